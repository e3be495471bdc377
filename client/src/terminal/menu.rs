//! The start menu: login, register, quit.

use super::{Mode, Terminal, banner, command, sentence};
use chatclient::{Failure, LogoutReason, Lost, RequestId, sanitize};
use wire::Reply;
use wire::command::Who;

const MENU: &str = "\
========================
1. login
2. register
3. quit
========================";

impl Terminal {
    pub(super) fn show_menu(&self) {
        // A line that is being typed has the prompt of what was before: it answers the menu all the same.
        let prompt = if self.asking { "\nchoice:" } else { "" };
        self.say(&format!("{MENU}{prompt}"));
    }

    pub(super) fn back_to_menu(&mut self) {
        self.mode = Mode::Menu;
        self.show_menu();
    }

    pub(super) fn handle_menu_line(&mut self, line: String) {
        let text = line.trim().to_owned();
        match std::mem::replace(&mut self.mode, Mode::Menu) {
            Mode::Menu => self.choose(&text),
            Mode::LoginWho if text.is_empty() => self.back_to_menu(),
            Mode::LoginWho => self.mode = Mode::LoginPassword { who: text },
            // A password may begin and end with space.
            Mode::LoginPassword { who } => match command::who(&who) {
                Some(who) => self.log_in(who, &line),
                None => self.back_to_menu(),
            },
            Mode::RegisterName if text.is_empty() => self.back_to_menu(),
            Mode::RegisterName => self.mode = Mode::RegisterPassword { name: text },
            Mode::RegisterPassword { name } => {
                let request = self.client.with(|session, now| session.register(now, &name, &line));
                self.mode = Mode::Registering { request, password: line };
            }
            // No line is asked for in the others.
            other => self.mode = other,
        }
    }

    fn choose(&mut self, choice: &str) {
        match choice {
            "1" | "login" => self.mode = Mode::LoginWho,
            "2" | "register" => self.mode = Mode::RegisterName,
            "3" | "quit" => self.quit(),
            "" => {}
            _ => self.say("choose 1, 2 or 3"),
        }
    }

    fn log_in(&mut self, who: Who, password: &str) {
        self.mode = Mode::LoggingIn;
        self.client.with(|session, now| session.login_password(now, who, password));
    }

    pub(super) fn handle_registered(&mut self, request: RequestId, result: Result<Reply, Failure>) {
        let Mode::Registering { request: asked, password } = &self.mode else { return };
        if *asked != request {
            return;
        }
        let password = password.clone();
        match result {
            Ok(Reply::Registered(registered)) => {
                let id = registered.id;
                self.say(&format!("\n{}\n\nyour id is {id}", banner::rows(id.0).join("\n")));
                self.log_in(Who::Id(id), &password);
            }
            Ok(_) => self.back_to_menu(),
            Err(failure) => self.handle_entry_failed("registration", &failure),
        }
    }

    pub(super) fn handle_entry_failed(&mut self, what: &str, failure: &Failure) {
        match failure {
            Failure::Lost(why @ Lost::Unreachable(_)) => self.say_unreachable(why),
            _ => self.say(&format!("{what} failed: {}", sentence(failure))),
        }
        // A failure can arrive for a login that the user has turned away from.
        if matches!(self.mode, Mode::LoggingIn | Mode::Registering { .. }) {
            self.back_to_menu();
        }
    }

    pub(super) fn say_unreachable(&self, why: &Lost) {
        let why = sanitize::line(&why.to_string()).into_owned();
        self.say(&format!(
            "no chat server at {} ({why}); start one with `make run`, or name another: chatclient IP PORT",
            sanitize::line(&self.address)
        ));
    }

    pub(super) fn handle_logged_out(&mut self, reason: LogoutReason) {
        match reason {
            LogoutReason::Asked => self.say("logged out"),
            LogoutReason::Kicked(kicked) => {
                let device = kicked.device.as_deref().unwrap_or("unknown device");
                self.say(&format!(
                    "you were logged out at {} by a login from {}: {}",
                    super::clock::short(kicked.time),
                    sanitize::line(device),
                    sanitize::line(&kicked.reason)
                ));
            }
            LogoutReason::AlreadyOnline(refusal)
            | LogoutReason::TokenInvalid(refusal)
            | LogoutReason::Refused(refusal) => {
                let why = sentence(&Failure::Refused(refusal));
                self.say(&format!("you are no longer logged in: {why}"));
            }
        }
        self.outage.end();
        self.pending.clear();
        match self.mode {
            Mode::Settling { then: super::Then::Quit, .. } => self.mode = Mode::Done,
            Mode::Done => {}
            _ => self.back_to_menu(),
        }
    }
}
