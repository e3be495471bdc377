//! The nodes that share the database, and the information they exchange.

use super::connection::Connection;
use super::failure::Failure;
use super::record::{Record, first, undamaged};
use super::sql::Sql;
use crate::column::{NODE_KEPT_MS, kick_code_of};
use logic::contract::node::{CHANGES_MAX, Changes, Claim, End, Found, Read, Roster, RosterMember, Write};
use logic::contract::{Epoch, Written};
use wire::session::KickCode;
use wire::{ConversationId, UnixMillis, UserId};

pub fn write(conn: &mut Connection, now: UnixMillis, write: &Write) -> Result<Written, Failure> {
    match write {
        Write::See { node, unheard } => see_node(conn, now, node, *unheard),
    }
}

pub fn read(conn: &mut Connection, read: &Read) -> Result<Found, Failure> {
    match read {
        Read::Claims { node, since } => claims(conn, node, *since),
        Read::Changes { node, since } => changes(conn, node, *since),
        Read::Epoch { user } => epoch(conn, *user),
        Read::Roster { conversation } => Ok(Found::Roster(roster(conn, *conversation)?.map(Box::new))),
    }
}

/// Whether the answer reveals how far conversations have come.
pub fn shows_messages(read: &Read) -> bool {
    match read {
        Read::Claims { .. } | Read::Epoch { .. } => false,
        Read::Changes { .. } | Read::Roster { .. } => true,
    }
}

/// Touches no row of another node that may be alive: a node that stalls inside this transaction would block all others.
fn see_node(conn: &mut Connection, now: UnixMillis, node: &str, unheard: bool) -> Result<Written, Failure> {
    let unheard_at = if unheard { now.0 } else { 0 };
    let kept_from = now.0.saturating_sub(NODE_KEPT_MS);
    let mut sql = Sql::new();
    sql.push("INSERT INTO node (name, seen_at, unheard_at) VALUES (")
        .bytes(node.as_bytes())
        .push(format_args!(
            ", {now}, {unheard_at}) ON DUPLICATE KEY UPDATE seen_at = VALUES(seen_at), \
             unheard_at = GREATEST(unheard_at, VALUES(unheard_at))"
        ))
        .end()
        // A DELETE by time would wait for the lock of every row that it scans.
        .statement(format_args!("SELECT name FROM node WHERE seen_at < {kept_from}"));
    let gone = conn.rows(&sql)?;
    if !gone.is_empty() {
        let names = gone.iter().map(|row| row.bytes(0)).collect::<Result<Vec<_>, Failure>>()?;
        let mut sql = Sql::new();
        sql.push("DELETE FROM node WHERE name IN (")
            .list(",", names, |sql, name| {
                sql.bytes(name);
            })
            .push(format_args!(") AND seen_at < {kept_from}"))
            .end();
        conn.ask(&sql)?;
    }
    Ok(Written::Done)
}

fn claims(conn: &mut Connection, node: &str, since: UnixMillis) -> Result<Found, Failure> {
    let now = conn.now()?;
    let mut sql = Sql::new();
    sql.push(format_args!(
        "SELECT user_id, epoch, end_code FROM session WHERE changed_at >= {since} AND NOT node <=> "
    ))
    .bytes(node.as_bytes())
    .end()
    .push("SELECT COALESCE(MAX(unheard_at), 0) FROM node WHERE name <> ")
    .bytes(node.as_bytes())
    .end();
    let answers = conn.ask(&sql)?;
    let [claims, unheard] = &answers[..] else { unreachable!("one answer for each statement") };
    let claims = undamaged(&claims.rows, |row| {
        let (epoch, why) = (Epoch(row.unsigned(1)?), kick_code_of(row.number(2)?));
        Ok(Claim { user: row.user(0)?, epoch, why })
    })?;
    Ok(Found::Claims { now, claims, unheard: first(&unheard.rows)?.time(0)? })
}

fn epoch(conn: &mut Connection, user: UserId) -> Result<Found, Failure> {
    let mut sql = Sql::new();
    sql.statement(format_args!("SELECT epoch, end_code FROM session WHERE user_id = {user}"));
    match conn.rows(&sql)?.first() {
        Some(row) => Ok(Found::Epoch { latest: Epoch(row.unsigned(0)?), why: kick_code_of(row.number(1)?) }),
        None => Ok(Found::Epoch { latest: Epoch::NONE, why: KickCode::Login }),
    }
}

fn changes(conn: &mut Connection, node: &str, since: UnixMillis) -> Result<Found, Failure> {
    let now = conn.now()?;
    let limit = CHANGES_MAX + 1;
    let mut sql = Sql::new();
    // Each part walks its index and stops at the limit. A conversation is in the part of its later time.
    sql.list(" UNION ALL ", [("updated", ">="), ("changed", ">")], |sql, (column, order)| {
        let other = if column == "updated" { "changed" } else { "updated" };
        sql.push(format_args!(
            "(SELECT c.id, c.last_seq, c.{column}_at AS latest FROM conversation c FORCE INDEX (conversation_{column}) \
             WHERE c.{column}_at >= {since} AND c.{column}_at {order} c.{other}_at AND EXISTS (SELECT 1 \
             FROM member m JOIN session s ON s.user_id = m.user_id WHERE m.conversation_id = c.id AND m.device = 0 \
             AND m.delivered_seq < c.last_seq AND s.node = "
        ))
        .bytes(node.as_bytes())
        .push(format_args!(") ORDER BY c.{column}_at, c.id LIMIT {limit})"));
    })
    .push(format_args!(" ORDER BY latest, id LIMIT {limit}"))
    .end();
    let rows = conn.rows(&sql)?;
    let more = rows.len() > CHANGES_MAX;
    let rows = &rows[..rows.len().min(CHANGES_MAX)];
    let end = |row: &Record| Ok(End { conversation: row.conversation(0)?, last: row.seq(1)? });
    let upto = match rows.last() {
        Some(last) if more => last.time(2)?,
        _ => now,
    };
    let ends = undamaged(rows, end)?;
    Ok(Found::Changes(Box::new(Changes { upto, more, ends })))
}

fn roster(conn: &mut Connection, conversation: ConversationId) -> Result<Option<Roster>, Failure> {
    let mut sql = Sql::new();
    // The members last, so that the list is at least as new as the end.
    sql.statement(format_args!(
        "SELECT kind, last_seq FROM conversation WHERE id = {conversation}"
    ))
    .statement(format_args!(
        "SELECT user_id, joined_seq, delivered_seq FROM member WHERE conversation_id = {conversation} AND device = 0 \
         ORDER BY user_id"
    ));
    let answers = conn.ask(&sql)?;
    let [conversation, members] = &answers[..] else { unreachable!("one answer for each statement") };
    let Some(row) = conversation.rows.first() else { return Ok(None) };
    let member =
        |row: &Record| Ok(RosterMember { user: row.user(0)?, joined: row.seq(1)?, delivered: row.seq(2)? });
    let members = undamaged(&members.rows, member)?;
    Ok(Some(Roster { kind: row.kind(0)?, last: row.seq(1)?, members }))
}
