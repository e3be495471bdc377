//! Registering an account.

use super::state::{IfTaken, Mode, NewAccount, Terminal};
use crate::display::{banner, sentence};
use chatclient_core::{Failure, sanitize};
use wire::account::{self, Who};
use wire::{Errno, Refusal, Reply};

impl Terminal {
    pub(super) fn register(&mut self, account: NewAccount, if_taken: IfTaken) {
        let NewAccount { name, password } = &account;
        self.request(|session, now| session.register(now, name, password), Terminal::handle_registered);
        self.mode = Mode::Registering { account, if_taken };
    }

    fn handle_registered(&mut self, result: Result<Reply, Failure>) {
        let Mode::Registering { account, if_taken } = &self.mode else { return };
        let (account, if_taken) = (account.clone(), *if_taken);
        match result {
            Ok(Reply::Account(account::Reply::Registered(registered))) => {
                let id = registered.id;
                let digits = banner::rows(id.0, self.style.ink()).join("\n");
                self.say(&format!("\n{digits}\n\nyour id is {id}"));
                self.log_in(Who::Id(id), &account.password);
            }
            Ok(_) => self.back_to_menu(),
            Err(Failure::Refused(refusal)) if is_about_name(&refusal) => match if_taken {
                IfTaken::LogIn => {
                    self.log_in(Who::Name(account.name.as_str().into()), &account.password);
                    self.mode = Mode::LoggingIn { instead_of: Some(account) };
                }
                IfTaken::AskName if refusal.errno == Errno::NameTaken => {
                    self.ask_other_name(account, "is taken: another user has it, or one that looks like it");
                }
                IfTaken::AskName => {
                    let why = format!("is refused: {}", sentence(&Failure::Refused(refusal)));
                    self.ask_other_name(account, &why);
                }
            },
            Err(failure) => self.handle_login_failed("registration", &failure),
        }
    }

    /// Asks for another name; the password that was chosen stays.
    pub(super) fn ask_other_name(&mut self, account: NewAccount, why: &str) {
        let NewAccount { name, password } = account;
        self.say(&format!(
            "the name {} {why}; choose another one (your password is kept), or press Enter for the menu",
            sanitize::line(&name)
        ));
        self.mode = Mode::RegisterName { password: Some(password) };
    }
}

/// Whether a registration was refused for its name, so that another one may be accepted.
fn is_about_name(refusal: &Refusal) -> bool {
    let names_field = refusal.field.as_deref() == Some("name");
    refusal.errno == Errno::NameTaken || (refusal.errno == Errno::BadRequest && names_field)
}
