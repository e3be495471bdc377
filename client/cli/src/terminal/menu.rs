//! The start menu, and the questions of login and registration.

use super::state::{IfTaken, Mode, NewAccount, Terminal};
use crate::args::{Login, UserAsked};
use crate::command::argument;
use crate::display::style::person;
use chatclient_core::sanitize;
use chatclient_store::{Folder, StoredAccount};
use std::time::Instant;
use wire::account::Who;
use wire::limits::{PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN};
use wire::name;

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
        self.is_away = false;
        self.show_menu();
    }

    pub(super) fn handle_menu_line(&mut self, line: String) {
        let text = line.trim().to_owned();
        match std::mem::replace(&mut self.mode, Mode::Menu) {
            Mode::Menu => self.choose(&text),
            Mode::PasswordCut => self.back_to_menu(),
            Mode::LoginWho if text.is_empty() => self.back_to_menu(),
            Mode::LoginWho => self.mode = Mode::LoginPassword { who: text },
            // Spaces around a password belong to it.
            Mode::LoginPassword { who } => match argument::who(&who) {
                Some(who) => self.log_in(who, &line),
                None => self.back_to_menu(),
            },
            Mode::RegisterName { .. } if text.is_empty() => self.back_to_menu(),
            Mode::RegisterName { password } => self.choose_name(text, password),
            Mode::RegisterPassword { name } => self.choose_password(name, line),
            Mode::RegisterRepeat { name, password } if password == line => {
                self.register(NewAccount { name, password }, IfTaken::AskName);
            }
            Mode::RegisterRepeat { name, .. } => {
                self.say("the passwords are not the same; once more");
                self.mode = Mode::RegisterPassword { name };
            }
            // The other modes ask for no line.
            other => self.mode = other,
        }
    }

    /// `password` was chosen before.
    fn choose_name(&mut self, name: String, password: Option<String>) {
        match (name::check_new_user(&name), password) {
            (Ok(()), Some(password)) => self.register(NewAccount { name, password }, IfTaken::AskName),
            (Ok(()), None) => {
                self.say(&format!("a password has {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} letters, digits or other signs"));
                self.mode = Mode::RegisterPassword { name };
            }
            (Err(sentence), password) => {
                self.say(&sentence.replacen("`name`", "the name", 1));
                self.mode = Mode::RegisterName { password };
            }
        }
    }

    fn choose_password(&mut self, name: String, password: String) {
        if !(PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&password.len()) {
            let unit = "letters, digits or other signs (a sign beyond ASCII counts as two to four)";
            self.say(&format!("a password has {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} {unit}"));
            self.mode = Mode::RegisterPassword { name };
        } else if self.has_reader {
            self.mode = Mode::RegisterRepeat { name, password };
        } else {
            self.register(NewAccount { name, password }, IfTaken::AskName);
        }
    }

    /// Asks for the password of the user that the command line names.
    pub(super) fn ask_password_of(&mut self, asked: UserAsked) {
        match asked.who {
            Who::Name(name) if asked.register => self.choose_name(name.into_string(), None),
            _ => {
                self.say(&format!("logging in as {}", sanitize::line(&asked.typed)));
                self.mode = Mode::LoginPassword { who: asked.typed };
            }
        }
    }

    fn choose(&mut self, choice: &str) {
        match choice {
            "1" | "login" => self.mode = Mode::LoginWho,
            "2" | "register" => self.mode = Mode::RegisterName { password: None },
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
        self.mode = Mode::LoggingIn { instead_of: None };
        match (login.token, login.password) {
            (Some(token), _) => self.client.with(|session, now| session.login_token(now, &token)),
            (None, Some((Who::Name(name), password))) if login.register => {
                self.register(NewAccount { name: name.into_string(), password }, IfTaken::LogIn);
            }
            (None, Some((who, password))) => self.log_in(who, &password),
            (None, None) => self.back_to_menu(),
        }
    }
}
