//! Creating accounts.

use crate::requests::RequestId;
use crate::state::Session;
use wire::Command;
use wire::account::{Register, Request};

impl Session {
    /// Creates an account without logging in. [`crate::Event::Reply`] or [`crate::Event::Failed`] follows.
    pub fn register(&mut self, now: u64, name: &str, password: &str) -> RequestId {
        let request = self.next_request();
        let register =
            Register { name: name.into(), password: password.into(), email: None, code: None, nick: None };
        self.before_login.push_back((request, Command::Account(Request::Register(Box::new(register)))));
        self.ensure_connection(now);
        self.pump(now);
        request
    }
}
