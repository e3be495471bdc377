//! The start menu: login, register, quit.

use super::style::person;
use super::{Mode, Terminal, banner, command, sentence};
use crate::args::Entry;
use chatclient_core::{Failure, LogoutReason, Lost, RequestId, sanitize};
use chatclient_store::{Folder, StoredAccount};
use std::time::Instant;
use wire::account;
use wire::account::Who;
use wire::{Reply, UserId};

const RULE: &str = "========================";
const CHOICES: &str = "1. login\n2. register\n3. quit";
/// The choices after those are accounts that the store keeps.
const FIRST_KEPT: usize = 4;
const KEPT_MAX: usize = 5;

impl Terminal {
    pub(super) fn show_menu(&mut self) {
        self.kept = self.folder.as_ref().map(Folder::accounts).unwrap_or_default();
        self.kept.truncate(KEPT_MAX);
        let mut kept = String::new();
        for (number, account) in (FIRST_KEPT..).zip(&self.kept) {
            let enter = if number == FIRST_KEPT { "   (or just Enter)" } else { "" };
            kept += &format!("{number}. go on as {}{enter}\n", person(&account.name, account.id));
        }
        // A line that is being typed has the prompt of what was before: it answers the menu all the same.
        let prompt = if self.asking { "\nchoice:" } else { "" };
        self.print(&format!("{RULE}\n{CHOICES}\n{kept}{RULE}{prompt}"));
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
            Mode::RegisterName => match command::who(&text) {
                Some(Who::Name(_)) if !text.contains(':') => {
                    self.mode = Mode::RegisterPassword { name: text };
                }
                _ => {
                    self.say("commands tell names from ids and texts: more than digits, and no colon");
                    self.mode = Mode::RegisterName;
                }
            },
            Mode::RegisterPassword { name } => {
                let request = self.client.with(|session, now| session.register(now, &name, &line));
                self.mode = Mode::Registering { request, password: line };
            }
            // No line is asked for in the others.
            other => self.mode = other,
        }
    }

    /// Logs in by what the command line gave.
    pub(super) fn enter(&mut self, entry: Entry) {
        self.mode = Mode::LoggingIn;
        match (entry.token, entry.password) {
            (Some(token), _) => self.client.with(|session, now| session.login_token(now, &token)),
            (None, Some((Who::Name(name), password))) if entry.register => {
                let request = self.client.with(|session, now| session.register(now, &name, &password));
                self.mode = Mode::Registering { request, password };
            }
            (None, Some((who, password))) => self.log_in(who, &password),
            (None, None) => self.back_to_menu(),
        }
    }

    fn choose(&mut self, choice: &str) {
        match choice {
            "1" | "login" => self.mode = Mode::LoginWho,
            "2" | "register" => self.mode = Mode::RegisterName,
            "3" | "quit" | "/quit" => self.quit(),
            "" => self.choose_kept(0),
            number => {
                let kept = number.parse::<usize>().ok().and_then(|number| number.checked_sub(FIRST_KEPT));
                match kept.filter(|kept| *kept < self.kept.len()) {
                    Some(kept) => self.choose_kept(kept),
                    None => self.say("choose a number"),
                }
            }
        }
    }

    /// Goes on as an account of the store: its conversations are there at once, and it logs in by its token as soon as
    /// the server can be reached.
    fn choose_kept(&mut self, kept: usize) {
        let Some(StoredAccount { id, name, .. }) = self.kept.get(kept).cloned() else { return };
        match self.client.continue_as(id) {
            Ok(Some(token)) => {
                self.learn_store(id, &name);
                self.mode = Mode::Chat;
                self.say(&format!("you are {}; help lists the commands", person(&name, id)));
                self.take_up();
                self.was_online = false;
                self.outage.begin(Instant::now());
                self.client.with(|session, now| session.login_token(now, &token));
            }
            Ok(None) => self.say("log in with the password this time"),
            Err(error) => self.say(&sanitize::line(&error.to_string())),
        }
    }

    /// Everything that is known of an account before the server says a word.
    pub(super) fn learn_store(&mut self, id: UserId, name: &str) {
        self.own.clear();
        (self.here, self.page_shown) = (None, None);
        let directory = &mut self.directory;
        self.client.store(|store| directory.learn_store(id, name, store));
        self.publish_names();
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
            Ok(Reply::Account(account::Reply::Registered(registered))) => {
                let id = registered.id;
                self.say(&format!(
                    "\n{}\n\nyour id is {id}",
                    banner::rows(id.0, self.style.ink()).join("\n")
                ));
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
            LogoutReason::Asked => self.print("logged out"),
            LogoutReason::Kicked(kicked) => {
                let device = kicked.device.as_deref().unwrap_or("unknown device");
                self.print(&self.style.alarm(&format!(
                    "you were logged out at {} by a login from {}: {}",
                    super::clock::short(kicked.time),
                    sanitize::line(device),
                    sanitize::line(&kicked.reason)
                )));
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
        self.here = None;
        if !self.own.waiting.is_empty() {
            let (count, name) =
                (self.own.waiting.len(), sanitize::line(&self.directory.my_name).into_owned());
            self.say(&format!("{count} message(s) are not sent yet: they are when {name} logs in again"));
        }
        match self.mode {
            Mode::Settling { then: super::Then::Quit, .. } => self.mode = Mode::Done,
            Mode::Done => {}
            _ => self.back_to_menu(),
        }
    }
}
