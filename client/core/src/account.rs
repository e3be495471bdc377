//! Creating accounts, changing their passwords, and the logins that are in force.

use crate::requests::RequestId;
use crate::state::Session;
use wire::Command;
use wire::account::{ChangePassword, Register, Request};
use wire::session::{Request as SessionRequest, Revoke};

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

    /// Changes the password. All other logins of the account end.
    pub fn change_password(&mut self, now: u64, old: &str, new: &str) -> RequestId {
        let change = ChangePassword { old: old.into(), new: new.into() };
        self.ask(now, Request::ChangePassword(Box::new(change)))
    }

    /// Asks for the logins that are in force.
    pub fn devices(&mut self, now: u64) -> RequestId {
        self.ask(now, SessionRequest::Devices)
    }

    /// Revokes other logins. The own one ends with [`Session::logout`].
    pub fn revoke(&mut self, now: u64, which: Revoke) -> RequestId {
        self.ask(now, SessionRequest::Revoke(which))
    }
}
