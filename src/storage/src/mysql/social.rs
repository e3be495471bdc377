//! Friends and groups.

use super::failure::Failure;
use super::link::Link;
use super::sql::Sql;
use crate::column::OWNER;
use logic::contract::{Denial, Written, contact, group};
use wire::account::Who;
use wire::{ConversationId, UnixMillis, UserId};

/// Carries out [`logic::contract::contact::Write::Add`].
pub fn add_friend(link: &mut Link, user: UserId, who: &Who) -> Result<Written, Failure> {
    let mut sql = Sql::new();
    sql.push("SELECT id, name FROM user WHERE ").push(of(who)).end();
    let rows = link.rows(&sql)?;
    let Some(row) = rows.first() else { return Ok(Written::Denied(Denial::NotFound)) };
    let (peer, name) = (row.user(0)?, Box::from(row.text(1)?));
    if peer == user {
        return Ok(Written::Denied(Denial::Oneself));
    }
    let (low, high) = (user.min(peer), user.max(peer));
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "INSERT IGNORE INTO friend (user_id, friend_id) VALUES ({low}, {high}), ({high}, {low})"
    ));
    match link.ask(&sql)?[0].changed {
        0 => Ok(Written::Denied(Denial::Conflict)),
        _ => Ok(Written::Contact(contact::Written::Friends { peer, name })),
    }
}

/// Carries out [`logic::contract::group::Write::Create`].
pub fn create_group(
    link: &mut Link,
    now: UnixMillis,
    owner: UserId,
    name: &str,
    desc: &str,
) -> Result<Written, Failure> {
    let mut sql = Sql::new();
    sql.push("INSERT INTO conversation (kind, name, description, updated_at) VALUES (1,")
        .text(name)
        .push(",")
        .text(desc)
        .push(format_args!(",{now})"))
        .end()
        .statement(format_args!(
            "INSERT INTO member (conversation_id, user_id, role) VALUES (LAST_INSERT_ID(), {owner}, {OWNER})"
        ));
    Ok(Written::Group(group::Written::Created(ConversationId(link.ask(&sql)?[0].made as u32))))
}

/// The condition of being this user.
pub fn of(who: &Who) -> Sql {
    let mut sql = Sql::new();
    match who {
        Who::Id(id) => sql.push(format_args!("id = {id}")),
        Who::Name(name) => sql.push("name_key = ").bytes(wire::name::key(name).as_bytes()),
    };
    sql
}
