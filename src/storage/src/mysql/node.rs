//! The nodes that share the database, and the information they exchange.

use super::connection::Connection;
use super::failure::Failure;
use super::record::{Record, first, undamaged};
use super::sql::Sql;
use crate::column::{End, LEFT, NODE_KEPT_MS};
use logic::contract::node::{
    self, CHANGES_MAX, Changes, Claims, ENDED_KEPT_MS, Ended, Found, Read, Roster, RosterMember, Write,
};
use logic::contract::{Epoch, Fence, Written};
use wire::session::KickCode;
use wire::{ConversationId, UnixMillis};

pub fn write(conn: &mut Connection, now: UnixMillis, write: &Write) -> Result<Written, Failure> {
    match write {
        Write::See { node, unheard } => see_node(conn, now, node, *unheard),
    }
}

pub fn read(conn: &mut Connection, read: &Read) -> Result<Found, Failure> {
    match read {
        Read::Claims { node, since } => claims(conn, node, *since),
        Read::Changes { node, since } => changes(conn, node, *since),
        Read::Session(fence) => Ok(Found::Session(end_of(conn, *fence)?)),
        Read::Roster { conversation } => Ok(Found::Roster(roster(conn, *conversation)?.map(Box::new))),
    }
}

/// Whether the answer reveals how far conversations have come.
pub fn shows_messages(read: &Read) -> bool {
    match read {
        Read::Claims { .. } | Read::Session(_) => false,
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
        "SELECT user_id, epoch, end_code FROM account_session WHERE changed_at >= {since} AND end_code <> {LEFT} AND node = "
    ))
    .bytes(node.as_bytes())
    .end()
    .push(format_args!(
        "SELECT DISTINCT m.user_id FROM account_session s JOIN account_session m ON m.user_id = s.user_id \
         WHERE s.changed_at >= {since} AND s.end_code IS NULL AND m.end_code IS NULL AND s.node <> m.node AND m.node = "
    ))
    .bytes(node.as_bytes())
    .end()
    .push("SELECT COALESCE(MAX(unheard_at), 0) FROM node WHERE name <> ")
    .bytes(node.as_bytes())
    .end();
    let answers = conn.ask(&sql)?;
    let [ended, joined, unheard] = &answers[..] else { unreachable!("one answer for each statement") };
    let ended = undamaged(&ended.rows, |row| {
        let fence = Fence { user: row.user(0)?, epoch: Epoch(row.unsigned(1)?) };
        Ok(Ended { fence, why: End::of(row.number(2)?).why() })
    })?;
    let joined = undamaged(&joined.rows, |row| row.user(0))?;
    let unheard = first(&unheard.rows)?.time(0)?;
    Ok(Found::Claims(Box::new(Claims { now, ended, joined, unheard })))
}

/// Why a session has ended; `None`: it has not. One that is not known any more was given up for another login.
fn end_of(conn: &mut Connection, Fence { user, epoch }: Fence) -> Result<Option<KickCode>, Failure> {
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "SELECT COALESCE(end_code, -1) FROM account_session WHERE user_id = {user} AND epoch = {}",
        epoch.0
    ));
    Ok(match conn.rows(&sql)?.first() {
        Some(row) => Some(row.number(0)?).filter(|code| *code >= 0).map(|code| End::of(code).why()),
        None => Some(KickCode::Login),
    })
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
             FROM member m JOIN account_session s ON s.user_id = m.user_id WHERE m.conversation_id = c.id AND m.device = 0 \
             AND s.end_code IS NULL AND (m.delivered_seq < c.last_seq OR EXISTS (SELECT 1 FROM account_session o \
             WHERE o.user_id = s.user_id AND o.node <> s.node AND (o.end_code IS NULL OR o.changed_at >= {since}))) \
             AND s.node = "
        ))
        .bytes(node.as_bytes())
        .push(
            " UNION ALL SELECT 1 FROM former_member f JOIN account_session s ON s.user_id = f.user_id \
             WHERE f.conversation_id = c.id AND f.is_behind = 1 AND s.end_code IS NULL AND s.node = ",
        )
        .bytes(node.as_bytes())
        // A session on another node may have acknowledged what one here has not got.
        .push(format_args!(
            " UNION ALL SELECT 1 FROM former_member f JOIN account_session s ON s.user_id = f.user_id \
             WHERE f.conversation_id = c.id AND f.left_at >= {since} AND s.end_code IS NULL \
             AND EXISTS (SELECT 1 FROM account_session o WHERE o.user_id = s.user_id AND o.node <> s.node \
             AND (o.end_code IS NULL OR o.changed_at >= {since})) AND s.node = "
        ))
        .bytes(node.as_bytes())
        .push(format_args!(") ORDER BY c.{column}_at, c.id LIMIT {limit})"));
    })
    .push(format_args!(" ORDER BY latest, id LIMIT {limit}"))
    .end();
    let rows = conn.rows(&sql)?;
    let more = rows.len() > CHANGES_MAX;
    let rows = &rows[..rows.len().min(CHANGES_MAX)];
    let end = |row: &Record| Ok(node::End { conversation: row.conversation(0)?, last: row.seq(1)? });
    let upto = match rows.last() {
        Some(last) if more => last.time(2)?,
        _ => now,
    };
    let ends = undamaged(rows, end)?;
    Ok(Found::Changes(Box::new(Changes { upto, more, ends })))
}

fn roster(conn: &mut Connection, conversation: ConversationId) -> Result<Option<Roster>, Failure> {
    let recent = conn.now()?.0.saturating_sub(ENDED_KEPT_MS);
    let mut sql = Sql::new();
    // The members last, so that the list is at least as new as the end.
    sql.statement(format_args!("SELECT kind, last_seq FROM conversation WHERE id = {conversation}"))
        .statement(format_args!(
            "SELECT user_id, joined_seq, NULL, delivered_seq FROM member \
         WHERE conversation_id = {conversation} AND device = 0 UNION ALL \
         SELECT user_id, joined_seq, left_seq, delivered_seq FROM former_member FORCE INDEX (former_member_roster) \
         WHERE conversation_id = {conversation} AND is_behind = 1 AND EXISTS (SELECT 1 FROM account_session s \
         WHERE s.user_id = former_member.user_id AND s.end_code IS NULL) UNION ALL \
         SELECT user_id, joined_seq, left_seq, delivered_seq FROM former_member FORCE INDEX (former_member_recent) \
         WHERE conversation_id = {conversation} AND left_at >= {recent} AND is_behind = 0 \
         AND EXISTS (SELECT 1 FROM account_session s WHERE s.user_id = former_member.user_id AND s.end_code IS NULL) \
         AND (SELECT COUNT(*) FROM account_session s WHERE s.user_id = former_member.user_id \
         AND (s.end_code IS NULL OR s.changed_at >= {recent})) > 1 ORDER BY user_id"
        ));
    let answers = conn.ask(&sql)?;
    let [conversation, members] = &answers[..] else { unreachable!("one answer for each statement") };
    let Some(row) = conversation.rows.first() else { return Ok(None) };
    let member = |row: &Record| {
        let (user, joined) = (row.user(0)?, row.seq(1)?);
        Ok(RosterMember { user, joined, left: row.maybe_seq(2)?, delivered: row.seq(3)? })
    };
    let members = undamaged(&members.rows, member)?;
    Ok(Some(Roster { kind: row.kind(0)?, last: row.seq(1)?, members }))
}
