//! The logins of an account: listing and revoking them.

use super::connection::Connection;
use super::failure::Failure;
use super::record::{Record, undamaged};
use super::sql::Sql;
use super::token::{kept_client, revoke_token};
use crate::column::kick_code_number;
use crate::token::KeptClient;
use logic::contract::node::SILENT_MS;
use logic::contract::session::{Ended, Revoked, Which};
use logic::contract::token::{DEVICES_MAX, Device};
use logic::contract::{Denial, Epoch, TokenHash, Tokens, Written, session};
use wire::session::KickCode;
use wire::{DeviceId, UnixMillis, UserId};

/// Revokes tokens of an account, and ends the sessions that live by them.
pub fn revoke(
    conn: &mut Connection,
    now: UnixMillis,
    user: UserId,
    which: Which,
) -> Result<Written, Failure> {
    // Claims of the account's sessions lock its row, too.
    let mut sql = Sql::new();
    sql.statement(format_args!("SELECT 1 FROM user WHERE id = {user} FOR UPDATE"));
    if let Which::One(id) = which {
        sql.statement(format_args!("SELECT hash FROM token WHERE user_id = {user} AND id = {id}"));
    }
    let answers = conn.ask(&sql)?;
    let tokens = match which {
        Which::AllBut(kept) => Tokens::AllBut(kept),
        Which::One(_) => match answers.last().and_then(|answer| answer.rows.first()) {
            Some(row) => Tokens::One(hash(row, 0)?),
            None => return Ok(Written::Denied(Denial::NotFound)),
        },
    };
    let revoked = revoke_tokens(conn, now, user, tokens, KickCode::Revoked)?;
    Ok(Written::Session(session::Written::Revoked(Box::new(revoked))))
}

/// Revokes these tokens of an account, whose row is locked, and ends the sessions that live by them.
pub fn revoke_tokens(
    conn: &mut Connection,
    now: UnixMillis,
    user: UserId,
    tokens: Tokens,
    code: KickCode,
) -> Result<Revoked, Failure> {
    let mut sql = Sql::new();
    match &tokens {
        Tokens::One(hash) => revoke_token(&mut sql, now, hash),
        Tokens::AllBut(kept) => {
            sql.push(format_args!(
                "UPDATE token SET expires_at = {now} WHERE user_id = {user} AND expires_at > {now} AND hash <> "
            ))
            .bytes(kept)
            .end();
        }
    }
    conn.ask(&sql)?;
    Ok(Revoked { tokens, ended: end_sessions(conn, now, user, tokens, code)? })
}

/// Ends the claimed sessions of an account that live by these tokens: their fences no longer hold.
fn end_sessions(
    conn: &mut Connection,
    now: UnixMillis,
    user: UserId,
    tokens: Tokens,
    code: KickCode,
) -> Result<Vec<Ended>, Failure> {
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "SELECT node, token_hash, epoch FROM session WHERE user_id = {user} FOR UPDATE"
    ));
    let rows = conn.rows(&sql)?;
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    let Some(node) = row.maybe_bytes(0)? else { return Ok(Vec::new()) };
    if !tokens.include(&hash(row, 1)?) {
        return Ok(Vec::new());
    }
    let latest: u32 = row.unsigned(2)?;
    let epoch = latest.checked_add(1).map(Epoch);
    let epoch =
        epoch.ok_or_else(|| Failure::damaged(format!("the epoch of account {user} is out of range")))?;
    let node = String::from_utf8_lossy(node).into_owned().into_boxed_str();
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "UPDATE session SET epoch = {}, node = NULL, lost_at = COALESCE(lost_at, {now}), changed_at = {now}, \
         end_code = {} WHERE user_id = {user}",
        epoch.0,
        kick_code_number(code)
    ));
    conn.ask(&sql)?;
    Ok(vec![Ended { node, epoch }])
}

/// A column that holds the hash of a token.
pub fn hash(row: &Record, column: usize) -> Result<TokenHash, Failure> {
    TokenHash::try_from(row.bytes(column)?).map_err(|_| row.unexpected(column))
}

pub fn devices(conn: &mut Connection, user: UserId, live: &[TokenHash]) -> Result<Vec<Device>, Failure> {
    let now = conn.now()?;
    let silent_since = now.0.saturating_sub(SILENT_MS);
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "SELECT t.id, t.hash, t.device, t.kind, t.address, t.created_at, t.last_used_at, t.expires_at, \
         EXISTS (SELECT 1 FROM session s JOIN node n ON n.name = s.node WHERE s.user_id = {user} \
             AND s.token_hash = t.hash AND s.lost_at IS NULL AND n.seen_at > {silent_since}) \
         FROM token t WHERE t.user_id = {user} AND t.of_register <> 2 ORDER BY t.last_used_at DESC, t.id DESC"
    ));
    let device = |row: &Record| {
        let token = hash(row, 1)?;
        let KeptClient { device, kind, address } = kept_client(row, 2)?;
        let online = row.number(8)? != 0;
        let is_in_force = row.time(7)? > now || online || live.contains(&token);
        Ok(is_in_force.then_some(Device {
            id: DeviceId(row.unsigned(0)?),
            token,
            device,
            kind,
            address,
            created: row.time(5)?,
            last_used: row.time(6)?,
            online,
        }))
    };
    let devices = undamaged(&conn.rows(&sql)?, device)?;
    Ok(devices.into_iter().flatten().take(DEVICES_MAX).collect())
}
