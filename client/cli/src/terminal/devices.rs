//! The logins of the account: `/devices` and `/revoke`, and `/password`, which ends all others.

use super::state::{Mode, PasswordQuestion, Terminal, Then};
use crate::display::list;
use wire::limits::{PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN};
use wire::session::{Device, Reply as SessionReply, Revoke};
use wire::{DeviceId, Reply};

impl Terminal {
    pub(super) fn list_devices(&mut self) {
        self.ask_devices("/devices", |terminal, devices| terminal.say(&list::devices(&devices)));
    }

    fn ask_devices(&mut self, name: &'static str, then: impl FnOnce(&mut Terminal, Vec<Device>) + 'static) {
        self.ask(name, chatclient_core::Session::devices, devices_of, then);
    }

    pub(super) fn revoke(&mut self, which: Revoke) {
        match which {
            Revoke::Others => self.revoke_other(which, "all other logins have ended".to_owned()),
            // Which one is the own: that one ends as with /logout.
            Revoke::One(id) => self.ask_devices("/revoke", move |terminal, devices| {
                match devices.iter().find(|device| device.id == id) {
                    Some(device) if device.current => terminal.log_out_here(id),
                    _ => terminal.revoke_other(which, format!("login {id} has ended")),
                }
            }),
        }
    }

    fn revoke_other(&mut self, which: Revoke, done: String) {
        self.ask(
            "/revoke",
            |session, now| session.revoke(now, which),
            Some,
            move |terminal, _| terminal.say(&done),
        );
    }

    fn log_out_here(&mut self, id: DeviceId) {
        self.say(&format!("login {id} is this one"));
        self.settle_then(Then::LogOut);
    }

    // ---- the password ----------------------------------------------------------------------------------------------

    pub(super) fn ask_passwords(&mut self) {
        if self.outage.is_on() {
            return self.say("/password: not connected");
        }
        self.mode = Mode::ChangingPassword(PasswordQuestion::Old);
    }

    /// Takes the answer to a question of `/password`. Spaces around a password belong to it.
    pub(super) fn answer_password(&mut self, line: String) {
        let Mode::ChangingPassword(question) = std::mem::replace(&mut self.mode, Mode::Chat) else { return };
        let next = match question {
            PasswordQuestion::Old if line.is_empty() => return self.say("the password is not changed"),
            PasswordQuestion::Old => {
                self.say_bounds();
                PasswordQuestion::New { old: line }
            }
            PasswordQuestion::New { old }
                if !(PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&line.len()) =>
            {
                self.say_bounds();
                PasswordQuestion::New { old }
            }
            PasswordQuestion::New { old } if self.has_reader => PasswordQuestion::Again { old, new: line },
            PasswordQuestion::New { old } => return self.change_password(&old, &line),
            PasswordQuestion::Again { old, new } if new == line => return self.change_password(&old, &new),
            PasswordQuestion::Again { old, .. } => {
                self.say("the passwords are not the same; once more");
                PasswordQuestion::New { old }
            }
        };
        self.mode = Mode::ChangingPassword(next);
    }

    fn say_bounds(&self) {
        self.say(&format!(
            "a password has {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} letters, digits or other signs"
        ));
    }

    fn change_password(&mut self, old: &str, new: &str) {
        self.ask(
            "/password",
            |session, now| session.change_password(now, old, new),
            Some,
            |terminal, _| terminal.say("the password is changed; all other logins have ended"),
        );
    }

    pub(super) fn cancel_passwords(&mut self) {
        self.mode = Mode::Chat;
        self.say("the password is not changed");
    }

    /// Nothing that was typed as a password stays, because the account is logged out.
    pub(super) fn drop_passwords(&mut self) {
        if let Mode::ChangingPassword(_) = self.mode {
            self.editor.take_line();
            self.screen.drop_line();
        }
    }
}

fn devices_of(reply: Reply) -> Option<Vec<Device>> {
    match reply {
        Reply::Session(SessionReply::Devices(page)) => Some(page.devices),
        _ => None,
    }
}
