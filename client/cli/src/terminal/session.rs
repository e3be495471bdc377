//! Logging in and out, leaving, and lost connections.

use super::directory::Directory;
use super::missed::Missed;
use super::receipt_schedule::ReceiptSchedule;
use super::state::{Mode, Terminal, Then};
use crate::SCRIPT;
use crate::command::session::Command;
use crate::command::{help, table};
use crate::display::style::person;
use crate::display::{clock, kick, list, sentence};
use chatclient_core::{Failure, LogoutReason, Lost, Session, sanitize};
use chatclient_store::Folder;
use std::time::{Duration, Instant};
use wire::account::Who;
use wire::session::{Listing, LoggedIn, Push};
use wire::timeline::ConversationSummary;
use wire::{Errno, UserId};

/// How long leaving may wait for messages to be stored and requests to be answered.
const SETTLE: Duration = Duration::from_secs(2);

impl Terminal {
    pub(super) fn do_session_command(&mut self, command: Command) {
        match command {
            Command::Help(about) => match about.and_then(table::row_of) {
                Some(row) => self.say(&help::on(row)),
                None => self.say(&help::overview(self.screen.width())),
            },
            Command::Keys => self.say(&help::keys_and_marks()),
            Command::Clear => self.screen.clear(),
            Command::Devices => self.list_devices(),
            Command::Revoke(which) => self.revoke(which),
            Command::Password => self.ask_passwords(),
            Command::Logout => self.settle_then(Then::LogOut),
            Command::Quit => self.quit(),
        }
    }

    // ---- logging in ------------------------------------------------------------------------------------------------

    pub(super) fn log_in(&mut self, who: Who, password: &str) {
        self.mode = Mode::LoggingIn { instead_of: None };
        self.client.log_in(who, password, None);
    }

    pub(super) fn handle_login_failed(&mut self, what: &str, failure: &Failure) {
        if let (Mode::LoggingIn { instead_of: Some(account) }, Failure::Refused(refusal)) =
            (&self.mode, failure)
            && refusal.errno == Errno::BadCredentials
        {
            let account = account.clone();
            let why = "is taken, by an account with another password or by one that looks like it";
            return self.ask_other_name(account, why);
        }
        match failure {
            Failure::Lost(why @ Lost::Unreachable(_)) => self.say_unreachable(why),
            _ => self.say(&format!("{what} failed: {}", sentence(failure))),
        }
        // The user may have cancelled the login before its failure arrived.
        if matches!(self.mode, Mode::LoggingIn { .. } | Mode::Registering { .. }) {
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

    pub(super) fn handle_logged_in(&mut self, login: &LoggedIn) {
        let is_first = matches!(self.mode, Mode::LoggingIn { .. });
        if self.is_secure
            && let Some(Err(error)) = self.folder.as_ref().map(Folder::require_tls)
        {
            self.say(&format!(
                "cannot note that this server has TLS: {}",
                sanitize::line(&error.to_string())
            ));
        }
        if is_first {
            self.load_directory(login.id, &login.name);
        }
        self.directory.learn_login(login);
        let rows = self.with_read_here(&login.conversations);
        self.directory.learn_conversations(&rows);
        self.receipts.login();
        self.missed = Missed::of(login, &self.directory.chats);
        self.tell_mutes();
        self.publish_names();
        self.update_marks();
        self.tell_presence_is_over(login.resumed);
        if self.outage.end() && !is_first {
            let again = std::mem::replace(&mut self.was_online, true);
            return self.say(if again { "reconnected" } else { "online" });
        }
        // A connection that comes back does not stop the user from leaving.
        if !is_first {
            return;
        }
        // The number of new messages is printed per conversation.
        self.missed = Missed::default();
        (self.mode, self.was_online) = (Mode::Chat, true);
        self.say(&format!("logged in as {}", person(&login.name, login.id)));
        self.say(&list::friends(self.directory.friends.values(), &[]));
        self.say(&list::groups(self.directory.groups.values()));
        for row in &rows {
            let ConversationSummary { conversation, unread, unread_more, .. } = row;
            if *unread > 0 || *unread_more {
                let more = if *unread_more { "+" } else { "" };
                self.say(&format!("{unread}{more} new in {}", self.directory.conversation(*conversation)));
            }
        }
        if login.friends_more || login.groups_more {
            self.say("these lists are not complete: `friends` and `groups` show everything");
        }
        self.say("help lists the commands");
        self.show_stored();
        self.say_drafts();
    }

    /// Loads what the store has about an account, before the server has said anything.
    pub(super) fn load_directory(&mut self, id: UserId, name: &str) {
        self.own.clear();
        self.members.clear();
        (self.window, self.opening) = (None, None);
        let directory = &mut self.directory;
        if self.client.store(|store| directory.load(id, name, store)).is_none() {
            *directory = Directory::new(id, name);
        }
        self.load_drafts();
        self.publish_names();
    }

    pub(super) fn handle_session_push(&mut self, push: Push) {
        let Push::Changed(changed) = push else { return };
        for listing in changed.what {
            match listing {
                Listing::Friends => self.ask_friends(false),
                Listing::Groups => self.ask_groups(false),
                // The session reads these itself.
                Listing::Conversations => {}
            }
        }
    }

    // ---- leaving ---------------------------------------------------------------------------------------------------

    pub(super) fn handle_logged_out(&mut self, reason: LogoutReason) {
        match reason {
            LogoutReason::Asked => self.print("logged out"),
            LogoutReason::Kicked(kicked) => {
                let (at, why) = (clock::short(kicked.time), kick::why(&kicked));
                let is_by_login = kick::is_by_login(&kicked);
                let reason = match is_by_login {
                    true => format!(": {}", sanitize::line(&kicked.reason)),
                    false => String::new(),
                };
                self.print(&self.style.alarm(&format!("you were logged out at {at} {why}{reason}")));
                if is_by_login && kicked.device.as_deref().unwrap_or_default().starts_with(SCRIPT) {
                    self.say("a script logged in as you; the server allows one session per account, so give it its own");
                }
            }
            LogoutReason::AlreadyOnline(refusal)
            | LogoutReason::TokenInvalid(refusal)
            | LogoutReason::Refused(refusal) => {
                let why = sentence(&Failure::Refused(refusal));
                self.say(&format!("you are no longer logged in: {why}"));
            }
        }
        self.drop_passwords();
        self.outage.end();
        self.question = None;
        self.pending.clear();
        self.receipts = ReceiptSchedule::default();
        self.leave_drafts();
        if !self.own.waiting.is_empty() {
            let count = self.own.waiting.len();
            let name = sanitize::line(&self.directory.my_name).into_owned();
            self.say(&format!("{count} unsent message(s) will be sent when {name} logs in again"));
        }
        match self.mode {
            Mode::Settling { then: Then::Quit, .. } => self.mode = Mode::Done,
            Mode::Done => {}
            Mode::ChangingPassword(_) if self.input.modes.is_some() => self.mode = Mode::PasswordCut,
            _ => self.back_to_menu(),
        }
    }

    pub(super) fn handle_interrupt(&mut self) {
        match self.mode {
            Mode::Menu => self.quit(),
            Mode::Chat => self.say("quit or Ctrl-D leaves"),
            Mode::ChangingPassword(_) => self.cancel_passwords(),
            _ => self.back_to_menu(),
        }
    }

    /// Leaves once every message is stored.
    pub(super) fn quit(&mut self) {
        self.settle_then(Then::Quit);
    }

    pub(super) fn settle_then(&mut self, then: Then) {
        self.mode = Mode::Settling { until: Instant::now() + SETTLE, then };
    }

    /// Continues from [`Mode::Settling`] when everything is stored or the time is up.
    pub(super) fn settle(&mut self) {
        let Mode::Settling { until, then } = self.mode else { return };
        let settled = self.client.with(|session, _| session.is_settled() || session.account().is_none());
        if !settled && Instant::now() < until {
            return;
        }
        // The events of messages stored just now are still in the queue; the next turn prints them.
        if settled && !self.own.waiting.is_empty() && Instant::now() < until {
            return;
        }
        match then {
            Then::Quit => {
                self.keep_line();
                let unsent = self.client.with(|session, _| session.unsent());
                let saved = self.client.store(|_| Ok(())).is_some();
                match (unsent, saved) {
                    (0, _) => {}
                    (_, true) => self.say(&format!("{unsent} unsent message(s) will be sent next time")),
                    (_, false) => self.say(&format!("{unsent} message(s) could not be sent")),
                }
                self.mode = Mode::Done;
            }
            Then::LogOut => {
                self.mode = Mode::LoggingOut;
                self.client.with(Session::logout);
            }
        }
    }
}
