//! Answers reads.

use super::connection::Connection;
use super::failure::Failure;
use super::{account, contact, group, node, presence, search, session, timeline};
use crate::header_cache::HeaderCache;
use logic::contract::{Found, Read};

/// `headers`: what counts of unread messages have read.
pub fn answer(conn: &mut Connection, headers: &HeaderCache, read: &Read) -> Result<Found, Failure> {
    Ok(match read {
        Read::Account(read) => Found::Account(account::read(conn, read)?),
        Read::Session(read) => Found::Session(session::read(conn, headers, read)?),
        Read::Contact(read) => Found::Contact(contact::read(conn, read)?),
        Read::Group(read) => group::read(conn, read)?,
        Read::Timeline(read) => timeline::read(conn, headers, read)?,
        Read::Presence(read) => Found::Presence(presence::read(conn, read)?),
        Read::Node(read) => Found::Node(node::read(conn, read)?),
        Read::Search(read) => Found::Search(search::read(conn, read)?),
    })
}

/// Whether the answer reveals messages or how far conversations have come.
pub fn shows_messages(read: &Read) -> bool {
    match read {
        Read::Session(_) | Read::Timeline(_) | Read::Search(_) => true,
        Read::Node(read) => node::shows_messages(read),
        Read::Account(_) | Read::Contact(_) | Read::Group(_) | Read::Presence(_) => false,
    }
}
