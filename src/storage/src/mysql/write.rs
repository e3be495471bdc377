//! Executes all writes except messages and changes that entries tell of.

use super::connection::Connection;
use super::failure::Failure;
use super::sql::Sql;
use super::{account, contact, fence, node, presence, session, timeline};
use crate::machine::Random;
use logic::contract::{Write, Written};
use wire::{UnixMillis, UserId};

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
        Write::Presence(write) => presence::write(conn, now, write),
        Write::Node(write) => node::write(conn, now, write),
        Write::Fenced(fence, write) => match fence::is_in_force(conn, *fence)? {
            true => execute(conn, now, random, write),
            false => Ok(Written::Superseded),
        },
    }
}

/// Appends the statement that locks the rows of the accounts whose sessions these writes begin or end. It comes before
/// the fences of their transaction, which lock rows of sessions.
pub fn lock_accounts<'a>(sql: &mut Sql, writes: impl Iterator<Item = &'a Write>) {
    let mut users: Vec<UserId> = writes.flat_map(accounts_of).collect();
    if users.is_empty() {
        return;
    }
    users.sort_unstable();
    users.dedup();
    sql.push("SELECT 1 FROM user FORCE INDEX (PRIMARY) WHERE id IN ")
        .set(&users)
        .push(" ORDER BY id FOR UPDATE")
        .end();
}

fn accounts_of(write: &Write) -> Vec<UserId> {
    match write {
        Write::Session(write) => session::accounts_of(write),
        Write::Account(write) => account::account_of(write).into_iter().collect(),
        Write::Presence(write) => presence::accounts_of(write),
        Write::Fenced(_, write) => accounts_of(write),
        _ => Vec::new(),
    }
}

/// Whether a write that may have been executed can be repeated without harm. A friendship that conflicts with itself
/// would be a wrong answer.
pub fn may_be_repeated(write: &Write) -> bool {
    match write {
        Write::Session(write) => session::may_be_repeated(write),
        Write::Timeline(_) | Write::Presence(_) | Write::Node(_) => true,
        Write::Account(write) => account::may_be_repeated(write),
        Write::Change(_) | Write::Contact(_) | Write::Group(_) | Write::Message(_) => false,
        Write::Fenced(_, write) => may_be_repeated(write),
    }
}
