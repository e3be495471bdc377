//! Sessions: who is logged in on which node, fenced by epoch; and what has changed since a time.

use super::failure::Failure;
use super::link::{Link, first};
use super::record::Record;
use super::sql::Sql;
use crate::claim::{Claim, Held};
use crate::column::{NODE_KEPT_MS, kind_of};
use logic::contract::node::{self, Changes};
use logic::contract::node::{CHANGES_MAX, End, Roster, node_grace};
use logic::contract::session::Holder;
use logic::contract::{Epoch, Fence, Found, TokenHash, Written, session};
use std::collections::HashMap;
use wire::{ConversationId, Seq, UnixMillis, UserId};

/// Carries out [`logic::contract::session::Write::Claim`].
pub fn claim(link: &mut Link, now: UnixMillis, claim: &Claim<'_>) -> Result<Written, Failure> {
    let user = claim.user;
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "SELECT node, token_hash, lost_at FROM session WHERE user_id = {user} FOR UPDATE"
    ))
    .statement(format_args!(
        "SELECT n.seen_at FROM session s JOIN node n ON n.name = s.node WHERE s.user_id = {user}"
    ));
    let answers = link.ask(&sql)?;
    let [session, seen] = &answers[..] else { unreachable!("an answer a statement") };
    let mut held = None;
    if let Some(row) = session.rows.first()
        && let Some(node) = row.maybe_bytes(0)?
    {
        let token =
            TokenHash::try_from(row.bytes(1)?).map_err(|_| Failure::refused("a token's hash is cut"))?;
        let node = String::from_utf8_lossy(node).into_owned().into_boxed_str();
        held = Some(Held {
            holder: Holder { node, token },
            lost_at: row.maybe_number(2)?.map(|at| UnixMillis(at as u64)),
            seen_at: seen.rows.first().map(|row| row.time(0)).transpose()?,
        });
    }
    let before = match claim.takes_from(held, now) {
        Ok(before) => before,
        Err(refused) => return Ok(refused),
    };
    let mut sql = Sql::new();
    sql.push(format_args!(
        "INSERT INTO session (user_id, epoch, node, token_hash, changed_at) VALUES ({user}, 1, "
    ))
    .bytes(claim.node.as_bytes())
    .push(", ")
    .bytes(claim.token)
    .push(format_args!(
        ", {now}) ON DUPLICATE KEY UPDATE epoch = epoch + 1, node = VALUES(node), \
             token_hash = VALUES(token_hash), lost_at = NULL, changed_at = VALUES(changed_at)"
    ))
    .end()
    .statement(format_args!("SELECT epoch FROM session WHERE user_id = {user}"));
    let epoch = Epoch(first(&link.rows(&sql)?)?.number(0)? as u32);
    Ok(Written::Session(session::Written::Claimed { epoch, before }))
}

/// Carries out [`logic::contract::session::Write::Release`].
pub fn release(
    link: &mut Link,
    now: UnixMillis,
    Fence { user, epoch }: Fence,
    ended: bool,
) -> Result<Written, Failure> {
    let end = if ended { "node = NULL, " } else { "" };
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "UPDATE session SET {end}lost_at = COALESCE(lost_at, {now}) WHERE user_id = {user} AND epoch <= {epoch}",
        epoch = epoch.0
    ))
    .statement(epochs([user].into_iter()));
    let is_in_force = latest(&link.rows(&sql)?)?.get(&user).is_none_or(|latest| *latest <= epoch);
    Ok(if is_in_force { Written::Done } else { Written::Superseded })
}

/// Carries out [`logic::contract::node::Write::See`]. Touches no row of another node that may be alive: one that stands still
/// in the middle of this would hold up all the others.
pub fn see_node(link: &mut Link, now: UnixMillis, node: &str, unheard: bool) -> Result<Written, Failure> {
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
        // A DELETE by time would wait for every row on its way.
        .statement(format_args!("SELECT name FROM node WHERE seen_at < {kept_from}"));
    let gone = link.rows(&sql)?;
    if !gone.is_empty() {
        let names = gone.iter().map(|row| row.bytes(0)).collect::<Result<Vec<_>, Failure>>()?;
        let mut sql = Sql::new();
        sql.push("DELETE FROM node WHERE name IN (")
            .list(",", names, |sql, name| {
                sql.bytes(name);
            })
            .push(format_args!(") AND seen_at < {kept_from}"))
            .end();
        link.ask(&sql)?;
    }
    Ok(Written::Done)
}

/// Whether no later session of the user was claimed; none can be before this transaction ends.
pub fn is_in_force(link: &mut Link, Fence { user, epoch }: Fence) -> Result<bool, Failure> {
    let mut sql = Sql::new();
    sql.statement(epochs([user].into_iter()));
    Ok(latest(&link.rows(&sql)?)?.get(&user).is_none_or(|latest| *latest <= epoch))
}

/// The question for the latest epochs of these users. Locks what it looks at, so that it stays true to the end of the
/// transaction: therefore it names no epoch, as READ COMMITTED gives back the lock of a row that a condition leaves out.
pub fn epochs(users: impl Iterator<Item = UserId>) -> Sql {
    let mut users: Vec<UserId> = users.collect();
    users.sort_unstable();
    users.dedup();
    let mut sql = Sql::new();
    sql.push("SELECT user_id, epoch FROM session FORCE INDEX (PRIMARY) WHERE user_id IN ")
        .set(&users)
        .push(" ORDER BY user_id LOCK IN SHARE MODE");
    sql
}

/// The answer to [`epochs`].
pub fn latest(rows: &[Record]) -> Result<HashMap<UserId, Epoch>, Failure> {
    rows.iter().map(|row| Ok((row.user(0)?, Epoch(row.number(1)? as u32)))).collect()
}

pub fn group_ids(link: &mut Link, user: UserId) -> Result<Vec<ConversationId>, Failure> {
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "SELECT c.id FROM member m JOIN conversation c ON c.id = m.conversation_id \
         WHERE m.user_id = {user} AND m.device = 0 AND c.kind = 1 ORDER BY c.id"
    ));
    link.rows(&sql)?.iter().map(|row| row.conversation(0)).collect()
}

pub fn online(link: &mut Link, users: &[UserId], grace: u64) -> Result<Vec<UserId>, Failure> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let now = link.now()?.0;
    let (lost_after, seen_after) = (now.saturating_sub(grace), now.saturating_sub(node_grace(grace)));
    let mut sql = Sql::new();
    sql.push("SELECT s.user_id FROM session s JOIN node n ON n.name = s.node WHERE s.user_id IN ")
        .set(users)
        .push(format_args!(
            " AND n.seen_at > {seen_after} AND (s.lost_at IS NULL OR s.lost_at > {lost_after}) ORDER BY s.user_id"
        ))
        .end();
    link.rows(&sql)?.iter().map(|row| row.user(0)).collect()
}

pub fn claims(link: &mut Link, node: &str, since: UnixMillis) -> Result<Found, Failure> {
    let now = link.now()?;
    let mut sql = Sql::new();
    sql.push(format_args!(
        "SELECT user_id, epoch FROM session WHERE changed_at >= {since} AND NOT node <=> "
    ))
    .bytes(node.as_bytes())
    .end()
    .push("SELECT COALESCE(MAX(unheard_at), 0) FROM node WHERE name <> ")
    .bytes(node.as_bytes())
    .end();
    let answers = link.ask(&sql)?;
    let [claims, unheard] = &answers[..] else { unreachable!("an answer a statement") };
    let claims = latest(&claims.rows)?.into_iter().map(|(user, epoch)| node::Claim { user, epoch }).collect();
    Ok(Found::Node(node::Found::Claims { now, claims, unheard: first(&unheard.rows)?.time(0)? }))
}

pub fn changes(link: &mut Link, node: &str, since: UnixMillis) -> Result<Found, Failure> {
    let now = link.now()?;
    let mut sql = Sql::new();
    sql.push(format_args!(
        "SELECT c.id, c.last_seq, c.member_version, c.updated_at FROM conversation c \
         FORCE INDEX (conversation_updated) WHERE c.updated_at >= {since} AND EXISTS (SELECT 1 \
         FROM member m JOIN session s ON s.user_id = m.user_id WHERE m.conversation_id = c.id AND m.device = 0 \
         AND m.delivered_seq < c.last_seq AND s.node = "
    ))
    .bytes(node.as_bytes())
    .push(format_args!(") ORDER BY c.updated_at, c.id LIMIT {}", CHANGES_MAX + 1))
    .end();
    let rows = link.rows(&sql)?;
    let more = rows.len() > CHANGES_MAX;
    let rows = &rows[..rows.len().min(CHANGES_MAX)];
    let end = |row: &Record| {
        Ok(End {
            conversation: row.conversation(0)?,
            last: row.seq(1)?,
            member_version: row.number(2)? as u32,
        })
    };
    let upto = match rows.last() {
        Some(last) if more => last.time(3)?,
        _ => now,
    };
    let ends = rows.iter().map(end).collect::<Result<_, Failure>>()?;
    Ok(Found::Node(node::Found::Changes(Box::new(Changes { upto, more, ends }))))
}

pub fn roster(link: &mut Link, conversation: ConversationId) -> Result<Option<Roster>, Failure> {
    let mut sql = Sql::new();
    // The members last: whoever is read here may have more than the end says, and never less than the version.
    sql.statement(format_args!(
        "SELECT kind, last_seq, member_version FROM conversation WHERE id = {conversation}"
    ))
    .statement(format_args!(
        "SELECT user_id, delivered_seq FROM member WHERE conversation_id = {conversation} AND device = 0 \
         ORDER BY user_id"
    ));
    let answers = link.ask(&sql)?;
    let [conversation, members] = &answers[..] else { unreachable!("an answer a statement") };
    let Some(row) = conversation.rows.first() else { return Ok(None) };
    let place = |row: &Record| Ok((row.user(0)?, row.seq(1)?));
    let members = members.rows.iter().map(place).collect::<Result<Vec<(UserId, Seq)>, Failure>>()?;
    Ok(Some(Roster {
        kind: kind_of(row.number(0)? as u8),
        last: row.seq(1)?,
        member_version: row.number(2)? as u32,
        members,
    }))
}
