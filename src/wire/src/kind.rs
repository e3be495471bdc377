//! The numbers in a frame's `type` field, of all nouns together.

use crate::{account, change, contact, group, message, node, presence, session, timeline};

pub use crate::frame::REPLY;

/// Requests, client to server.
pub mod request {
    pub use crate::account::request::*;
    pub use crate::change::request::*;
    pub use crate::contact::request::*;
    pub use crate::group::request::*;
    pub use crate::heartbeat::HEARTBEAT;
    pub use crate::message::request::*;
    pub use crate::node::request::*;
    pub use crate::presence::request::*;
    pub use crate::session::request::*;
    pub use crate::timeline::request::*;
}

/// Pushes, server to client.
pub mod push {
    /// The lowest type of a push.
    pub const FIRST: u16 = 0x4000;
    /// An error that answers no request.
    pub const ERROR: u16 = crate::Push::ERROR;

    pub use crate::contact::push::*;
    pub use crate::message::push::*;
    pub use crate::presence::push::*;
    pub use crate::session::push::*;
    pub use crate::timeline::push::*;
}

/// Every type of request with its name, a list for each noun.
pub const REQUESTS: &[&[(u16, &str)]] = &[
    session::Request::TABLE,
    &[(request::HEARTBEAT, "HEARTBEAT")],
    account::Request::TABLE,
    contact::Request::TABLE,
    group::Request::TABLE,
    message::Request::TABLE,
    change::Request::TABLE,
    timeline::Request::TABLE,
    presence::Request::TABLE,
    node::Request::TABLE,
];

/// Every type of request with a JSON value and the names of its fields, a list for each noun.
pub const FIELDS: &[&[(u16, &[&str])]] = &[
    session::Request::FIELDS,
    account::Request::FIELDS,
    contact::Request::FIELDS,
    group::Request::FIELDS,
    message::Request::FIELDS,
    change::Request::FIELDS,
    timeline::Request::FIELDS,
    presence::Request::FIELDS,
    node::Request::FIELDS,
];

/// Every type of push with its name, a list for each noun.
pub const PUSHES: &[&[(u16, &str)]] = &[
    session::Push::TABLE,
    contact::Push::TABLE,
    message::Push::TABLE,
    timeline::Push::TABLE,
    presence::Push::TABLE,
    &[(push::ERROR, "ERROR")],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Errno;

    const PROTOCOL: &str = include_str!("../../../PROTOCOL.md");

    /// The first two columns, a number and a name, of the tables below the heading that contains `heading`.
    fn documented(heading: &str) -> Vec<(u16, &'static str)> {
        let sections = PROTOCOL.split("\n#").map(|section| section.trim_start_matches('#'));
        let section = sections.into_iter().find(|section| section.lines().next().unwrap().contains(heading));
        let rows = section.expect("the section exists").lines().filter_map(|line| line.strip_prefix("| "));
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => u16::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        rows.filter_map(|row| {
            let mut cells = row.split(" | ");
            Some((number(cells.next()?)?, cells.next()?))
        })
        .collect()
    }

    fn implemented(tables: &[&[(u16, &'static str)]]) -> Vec<(u16, &'static str)> {
        let mut rows: Vec<_> = tables.iter().copied().flatten().copied().collect();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn the_protocol_document_lists_exactly_the_requests() {
        assert_eq!(documented("Requests"), implemented(REQUESTS));
    }

    #[test]
    fn the_protocol_document_lists_exactly_the_pushes() {
        assert_eq!(documented("Pushes"), implemented(PUSHES));
    }

    #[test]
    fn the_protocol_document_lists_exactly_the_errors() {
        let errors: Vec<_> =
            Errno::ALL.iter().map(|errno| (u16::from(errno.number()), errno.name())).collect();
        assert_eq!(documented("Errors"), errors);
    }
}
