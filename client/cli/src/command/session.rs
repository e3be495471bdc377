//! Commands about the login and the program.

use wire::DeviceId;
use wire::session::Revoke;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Help on all commands, or on the one of this name.
    Help(Option<&'static str>),
    /// Help on the keys and the marks of messages.
    Keys,
    Clear,
    /// Lists the logins that are in force.
    Devices,
    /// Ends other logins, or one's own.
    Revoke(Revoke),
    /// Changes the password, for which it asks.
    Password,
    Logout,
    Quit,
}

/// `all`, or the number of a login as it is listed.
pub fn revoke(rest: &str) -> Option<Command> {
    if rest == "all" {
        return Some(Command::Revoke(Revoke::Others));
    }
    let id = DeviceId(rest.strip_prefix('#').unwrap_or(rest).parse().ok()?);
    (id > DeviceId(0) && id <= DeviceId::MAX).then_some(Command::Revoke(Revoke::One(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_revoked_by_number_or_all_at_once() {
        let one = || Some(Command::Revoke(Revoke::One(DeviceId(3))));
        for (rest, command) in [("3", one()), ("#3", one()), ("all", Some(Command::Revoke(Revoke::Others)))] {
            assert_eq!(revoke(rest), command, "{rest}");
        }
        for rest in ["0", "-1", "x", "3 4", "2147483648", "everything"] {
            assert_eq!(revoke(rest), None, "{rest}");
        }
    }
}
