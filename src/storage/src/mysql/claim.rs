//! The table of sessions: how sessions are claimed and end. Whoever changes which ones are in force locks the row of their
//! account first.

use super::connection::{Connection, rows_of};
use super::failure::Failure;
use super::record::{Record, first};
use super::sql::Sql;
use super::token::revoke_token;
use crate::claim::{EndPlan, Plan, Row, set_status};
use crate::column::{End, LEFT, NODE_KEPT_MS, client_kind_number, kick_code_number};
use logic::contract::node::ENDED_KEPT_MS;
use logic::contract::presence::SetStatus;
use logic::contract::session::{Claim, ClaimId};
use logic::contract::{Denial, Epoch, Fence, TokenHash, Written, session};
use wire::session::KickCode;
use wire::{UnixMillis, UserId};

/// A column that holds the hash of a token.
pub fn hash(row: &Record, column: usize) -> Result<TokenHash, Failure> {
    TokenHash::try_from(row.bytes(column)?).map_err(|_| row.unexpected(column))
}

/// What a session has set, in the columns `is_away`, `status_text` and `status_at`.
pub fn status(row: &Record, first: usize) -> Result<Option<SetStatus>, Failure> {
    let text = row.maybe_bytes(first + 1)?.map(|text| String::from_utf8_lossy(text).into());
    Ok(set_status(row.number(first)? != 0, text, row.maybe_time(first + 2)?))
}

/// The sessions of an account, as far as they are remembered; locks their rows.
pub fn sessions(conn: &mut Connection, user: UserId) -> Result<Vec<Row>, Failure> {
    // The rows of nodes are not locked: they belong to other nodes.
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "SELECT epoch, node, claim, token_hash, device, kind, heard_at, lost_at, changed_at, COALESCE(end_code, -1), \
         COALESCE(ended_by, 0), is_away, status_text, status_at FROM account_session FORCE INDEX (PRIMARY) WHERE user_id = {user} ORDER BY epoch FOR UPDATE"
    ))
    .statement(format_args!(
        "SELECT s.epoch, n.seen_at FROM account_session s JOIN node n ON n.name = s.node WHERE s.user_id = {user}"
    ));
    let answers = conn.ask(&sql)?;
    let [rows, seen] = &answers[..] else { unreachable!("one answer for each statement") };
    let seen = seen.rows.iter().map(|row| Ok((Epoch(row.unsigned(0)?), row.time(1)?)));
    let seen = seen.collect::<Result<Vec<_>, Failure>>()?;
    let session = |row: &Record| {
        let epoch = Epoch(row.unsigned(0)?);
        Ok(Row {
            epoch,
            node: String::from_utf8_lossy(row.bytes(1)?).into(),
            claim: ClaimId(row.number(2)? as u64),
            token: hash(row, 3)?,
            device: row.maybe_bytes(4)?.map(|device| String::from_utf8_lossy(device).into()),
            kind: row.client_kind(5)?,
            heard_at: row.time(6)?,
            lost_at: row.maybe_time(7)?,
            changed_at: row.time(8)?,
            end: Some(row.number(9)?).filter(|code| *code >= 0).map(End::of),
            ended_by: Some(Epoch(row.unsigned(10)?)).filter(|by| *by != Epoch::NONE),
            seen_at: seen.iter().find(|(of, _)| *of == epoch).map(|(_, at)| *at),
            status: status(row, 11)?,
        })
    };
    rows.rows.iter().map(session).collect()
}

pub fn mark_ended(
    sql: &mut Sql,
    now: UnixMillis,
    user: UserId,
    epoch: Epoch,
    why: KickCode,
    by: Option<Epoch>,
) {
    let code = kick_code_number(why);
    sql.push(format_args!("UPDATE account_session SET end_code = {code}, changed_at = {now}"));
    if let Some(by) = by {
        sql.push(format_args!(", ended_by = {}", by.0));
    }
    sql.push(format_args!(" WHERE user_id = {user} AND epoch = {}", epoch.0)).end();
}

/// Ends a session by itself, unless it was ended before.
fn mark_left(sql: &mut Sql, now: UnixMillis, user: UserId, epoch: Epoch) {
    sql.statement(format_args!(
        "UPDATE account_session SET end_code = {LEFT}, changed_at = {now} \
         WHERE user_id = {user} AND epoch = {} AND end_code IS NULL",
        epoch.0
    ));
}

fn forget(sql: &mut Sql, user: UserId, epoch: Epoch) {
    sql.statement(format_args!("DELETE FROM account_session WHERE user_id = {user} AND epoch = {}", epoch.0));
}

fn lock_account(conn: &mut Connection, user: UserId) -> Result<Option<u32>, Failure> {
    let rows = rows_of(conn, |sql| {
        sql.statement(format_args!("SELECT session_epoch FROM user WHERE id = {user} FOR UPDATE"));
    })?;
    rows.first().map(|row| row.unsigned(0)).transpose()
}

pub fn claim(conn: &mut Connection, now: UnixMillis, claim: &Claim) -> Result<Written, Failure> {
    let user = claim.user;
    // The account's row first: a token is not revoked from here on until the session that lives by it exists.
    let Some(latest) = lock_account(conn, user)? else { return Ok(Written::Denied(Denial::NotFound)) };
    let revoked = rows_of(conn, |sql| {
        sql.push(format_args!("SELECT 1 FROM token WHERE expires_at <= {now} AND hash = "))
            .bytes(&claim.token)
            .end();
    })?;
    if !revoked.is_empty() {
        return Ok(Written::Denied(Denial::TokenInvalid));
    }
    let next = latest.checked_add(1).map(Epoch);
    let next =
        next.ok_or_else(|| Failure::damaged(format!("the epoch of account {user} is out of range")))?;
    let plan = match Plan::make(claim, &sessions(conn, user)?, next, now) {
        Ok(plan) => plan,
        Err(refused) => return Ok(refused),
    };
    let epoch = plan.claimed.epoch;
    let mut sql = Sql::new();
    for token in &plan.revoked {
        revoke_token(&mut sql, now, token);
    }
    for (ended, why) in plan.ends {
        mark_ended(&mut sql, now, user, ended, why, Some(epoch));
    }
    for expired in plan.expired {
        mark_ended(&mut sql, now, user, expired, KickCode::Login, None);
    }
    for outdated in plan.outdated {
        forget(&mut sql, user, outdated);
    }
    if plan.is_new {
        let set = plan.claimed.status.as_ref();
        let is_away = u8::from(set.is_some_and(|set| set.status.is_away));
        let status_at = set.map_or_else(|| "NULL".to_owned(), |set| set.at.to_string());
        sql.statement(format_args!("UPDATE user SET session_epoch = {} WHERE id = {user}", epoch.0))
            .push("INSERT INTO account_session (user_id, epoch, node, claim, token_hash, device, kind, heard_at, changed_at, ")
            .push("is_away, status_text, status_at) ")
            .push(format_args!("VALUES ({user},{},", epoch.0))
            .bytes(claim.node.as_bytes())
            .push(format_args!(",{},", claim.id.0 as i64))
            .bytes(&claim.token)
            .push(",")
            .maybe_text(claim.device.as_deref())
            .push(format_args!(",{},{now},{now},{is_away},", client_kind_number(claim.kind)))
            .maybe_text(set.and_then(|set| set.status.text.as_deref()))
            .push(format_args!(",{status_at})"))
            .end();
    }
    if sql.statements() > 0 {
        conn.ask(&sql)?;
    }
    Ok(Written::Session(session::Written::Claimed(Box::new(plan.claimed))))
}

/// Ends the session of a claim. A transaction that claims it and has not ended holds the account's row.
pub fn abandon(
    conn: &mut Connection,
    now: UnixMillis,
    user: UserId,
    node: &str,
    claim: ClaimId,
    grace: u64,
) -> Result<Written, Failure> {
    lock_account(conn, user)?;
    let rows = sessions(conn, user)?;
    let (mut was_last, mut changes_status) = (false, false);
    if let Some(own) = rows.iter().find(|row| *row.node == *node && row.claim == claim) {
        EndPlan { was_last, changes_status, .. } = EndPlan::make(&rows, own.epoch, None, grace, now);
        let mut sql = Sql::new();
        forget(&mut sql, user, own.epoch);
        conn.ask(&sql)?;
    }
    Ok(Written::Session(session::Written::Ended { was_last, changes_status }))
}

pub fn lose(conn: &mut Connection, now: UnixMillis, fence: Fence, silent: u64) -> Result<Written, Failure> {
    let Fence { user, epoch } = fence;
    let heard = now.0.saturating_sub(silent);
    let row = format!("user_id = {user} AND epoch = {} AND end_code IS NULL", epoch.0);
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "UPDATE account_session SET lost_at = COALESCE(lost_at, {now}), heard_at = GREATEST(heard_at, {heard}) WHERE {row}"
    ))
    // An UPDATE counts only rows that change.
    .statement(format_args!("SELECT COUNT(*) FROM account_session WHERE {row}"));
    let is_in_force = first(&conn.rows(&sql)?)?.number(0)? != 0;
    Ok(if is_in_force { Written::Done } else { Written::Superseded })
}

pub fn end(
    conn: &mut Connection,
    now: UnixMillis,
    Fence { user, epoch }: Fence,
    grace: u64,
    token: Option<&TokenHash>,
) -> Result<Written, Failure> {
    lock_account(conn, user)?;
    let plan = EndPlan::make(&sessions(conn, user)?, epoch, token, grace, now);
    let mut sql = Sql::new();
    // The token's row before the session's, as everywhere.
    if let Some(token) = token.filter(|_| plan.revokes) {
        revoke_token(&mut sql, now, token);
    }
    mark_left(&mut sql, now, user, epoch);
    conn.ask(&sql)?;
    let EndPlan { was_last, changes_status, .. } = plan;
    Ok(Written::Session(session::Written::Ended { was_last, changes_status }))
}

pub fn touch(conn: &mut Connection, now: UnixMillis, heard: &[(Fence, u64)]) -> Result<Written, Failure> {
    let mut heard = heard.to_vec();
    heard.sort_unstable();
    let mut sql = Sql::new();
    for (Fence { user, epoch }, silent) in heard {
        let at = now.0.saturating_sub(silent);
        sql.statement(format_args!(
            "UPDATE account_session SET heard_at = GREATEST(heard_at, {at}) WHERE user_id = {user} AND epoch = {}",
            epoch.0
        ));
    }
    if sql.statements() > 0 {
        conn.ask(&sql)?;
    }
    Ok(Written::Done)
}

/// Deletes at most `limit` sessions that have been over for long, and returns how many it found.
pub fn prune(conn: &mut Connection, limit: usize) -> Result<usize, Failure> {
    let now = conn.now()?.0;
    let (ended, gone) = (now.saturating_sub(ENDED_KEPT_MS), now.saturating_sub(NODE_KEPT_MS));
    let mut sql = Sql::new();
    // A DELETE by these conditions would wait for the lock of every row that it scans.
    sql.statement(format_args!(
        "SELECT s.user_id, s.epoch FROM account_session s FORCE INDEX (session_changed) LEFT JOIN node n ON n.name = s.node \
         WHERE s.changed_at < {ended} AND (s.end_code IS NOT NULL OR s.lost_at < {gone} \
             OR s.changed_at < {gone} AND n.name IS NULL) LIMIT {limit}"
    ));
    let found = conn.rows(&sql)?;
    if !found.is_empty() {
        let mut sql = Sql::new();
        for row in &found {
            forget(&mut sql, row.user(0)?, Epoch(row.unsigned(1)?));
        }
        conn.ask(&sql)?;
    }
    Ok(found.len())
}
