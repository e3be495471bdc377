//! Executes all writes except messages and changes that entries tell of.

use super::connection::Connection;
use super::failure::Failure;
use super::{account, contact, fence, node, session, timeline};
use crate::machine::Random;
use logic::contract::{Write, Written};
use wire::UnixMillis;

pub fn execute(
    conn: &mut Connection,
    now: UnixMillis,
    random: &mut Random,
    write: &Write,
) -> Result<Written, Failure> {
    match write {
        Write::Account(write) => account::write(conn, now, random, write),
        Write::Session(write) => session::write(conn, now, random, write),
        Write::Contact(write) => contact::write(conn, now, write),
        Write::Change(_) | Write::Group(_) | Write::Message(_) => {
            unreachable!("the router sends these to an appender")
        }
        Write::Timeline(write) => timeline::write(conn, write),
        Write::Node(write) => node::write(conn, now, write),
        Write::Fenced(fence, write) => match fence::is_in_force(conn, *fence)? {
            true => execute(conn, now, random, write),
            false => Ok(Written::Superseded),
        },
    }
}

/// Whether a write that may have been executed can be repeated without harm. A friendship that conflicts with itself would
/// be a wrong answer.
pub fn may_be_repeated(write: &Write) -> bool {
    match write {
        Write::Session(write) => session::may_be_repeated(write),
        Write::Timeline(_) | Write::Node(_) => true,
        Write::Account(write) => account::may_be_repeated(write),
        Write::Change(_) | Write::Contact(_) | Write::Group(_) | Write::Message(_) => false,
        Write::Fenced(_, write) => may_be_repeated(write),
    }
}
