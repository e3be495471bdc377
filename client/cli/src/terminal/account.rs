//! Registering an account.

use super::state::{Mode, Terminal};
use crate::display::banner;
use chatclient_core::Failure;
use wire::Reply;
use wire::account::{self, Who};

impl Terminal {
    pub(super) fn register(&mut self, name: &str, password: String) {
        self.request(|session, now| session.register(now, name, &password), Terminal::handle_registered);
        self.mode = Mode::Registering { password };
    }

    fn handle_registered(&mut self, result: Result<Reply, Failure>) {
        let Mode::Registering { password } = &self.mode else { return };
        let password = password.clone();
        match result {
            Ok(Reply::Account(account::Reply::Registered(registered))) => {
                let id = registered.id;
                let digits = banner::rows(id.0, self.style.ink()).join("\n");
                self.say(&format!("\n{digits}\n\nyour id is {id}"));
                self.log_in(Who::Id(id), &password);
            }
            Ok(_) => self.back_to_menu(),
            Err(failure) => self.handle_login_failed("registration", &failure),
        }
    }
}
