//! The start menu, and the questions of login and registration.

use super::state::{Mode, Terminal};
use crate::args::Login;
use crate::command::argument;
use crate::display::style::person;
use chatclient_core::sanitize;
use chatclient_store::{Folder, StoredAccount};
use std::time::Instant;
use wire::account::Who;

const RULE: &str = "========================";
const CHOICES: &str = "1. login\n2. register\n3. quit";
/// The number of the first stored account.
const FIRST_STORED: usize = 4;
/// The most stored accounts offered.
const STORED_MAX: usize = 5;

impl Terminal {
    pub(super) fn show_menu(&mut self) {
        self.stored_accounts = self.folder.as_ref().map(Folder::accounts).unwrap_or_default();
        self.stored_accounts.truncate(STORED_MAX);
        let mut stored = String::new();
        for (number, account) in (FIRST_STORED..).zip(&self.stored_accounts) {
            let enter = if number == FIRST_STORED { "   (or press Enter)" } else { "" };
            stored += &format!("{number}. continue as {}{enter}\n", person(&account.name, account.id));
        }
        self.print(&format!("{RULE}\n{CHOICES}\n{stored}{RULE}"));
    }

    pub(super) fn back_to_menu(&mut self) {
        self.mode = Mode::Menu;
        self.pending.clear();
        self.show_menu();
    }

    pub(super) fn handle_menu_line(&mut self, line: String) {
        let text = line.trim().to_owned();
        match std::mem::replace(&mut self.mode, Mode::Menu) {
            Mode::Menu => self.choose(&text),
            Mode::LoginWho if text.is_empty() => self.back_to_menu(),
            Mode::LoginWho => self.mode = Mode::LoginPassword { who: text },
            // Spaces around a password belong to it.
            Mode::LoginPassword { who } => match argument::who(&who) {
                Some(who) => self.log_in(who, &line),
                None => self.back_to_menu(),
            },
            Mode::RegisterName if text.is_empty() => self.back_to_menu(),
            Mode::RegisterName => match argument::who(&text) {
                Some(Who::Name(_)) if !text.contains(':') => {
                    self.mode = Mode::RegisterPassword { name: text };
                }
                _ => {
                    self.say("a name cannot be a number or contain a colon");
                    self.mode = Mode::RegisterName;
                }
            },
            Mode::RegisterPassword { name } => self.register(&name, line),
            // The other modes ask for no line.
            other => self.mode = other,
        }
    }

    fn choose(&mut self, choice: &str) {
        match choice {
            "1" | "login" => self.mode = Mode::LoginWho,
            "2" | "register" => self.mode = Mode::RegisterName,
            "3" | "quit" | "/quit" => self.quit(),
            "" => self.choose_stored(0),
            number => {
                let number = number.parse::<usize>().ok();
                let stored = number.and_then(|number| number.checked_sub(FIRST_STORED));
                match stored.filter(|stored| *stored < self.stored_accounts.len()) {
                    Some(stored) => self.choose_stored(stored),
                    None => self.say("choose a number"),
                }
            }
        }
    }

    /// Continues as a stored account: its conversations are shown at once, and it logs in by its token as soon as the
    /// server can be reached.
    fn choose_stored(&mut self, index: usize) {
        let Some(StoredAccount { id, name, .. }) = self.stored_accounts.get(index).cloned() else { return };
        match self.client.continue_as(id) {
            Ok(Some(token)) => {
                self.load_directory(id, &name);
                self.mode = Mode::Chat;
                self.say(&format!("you are {}; help lists the commands", person(&name, id)));
                self.show_stored();
                self.say_drafts();
                self.was_online = false;
                self.outage.begin(Instant::now());
                self.client.with(|session, now| session.login_token(now, &token));
            }
            Ok(None) => self.say("this account needs its password again"),
            Err(error) => self.say(&sanitize::line(&error.to_string())),
        }
    }

    /// Logs in as the command line says.
    pub(super) fn log_in_with(&mut self, login: Login) {
        self.mode = Mode::LoggingIn;
        match (login.token, login.password) {
            (Some(token), _) => self.client.with(|session, now| session.login_token(now, &token)),
            (None, Some((Who::Name(name), password))) if login.register => self.register(&name, password),
            (None, Some((who, password))) => self.log_in(who, &password),
            (None, None) => self.back_to_menu(),
        }
    }
}
