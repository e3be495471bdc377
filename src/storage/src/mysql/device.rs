//! The logins of an account: listing and revoking them.

use super::claim::{hash, mark_ended, sessions};
use super::connection::Connection;
use super::failure::Failure;
use super::record::{Record, undamaged};
use super::sql::Sql;
use super::token::{kept_client, revoke_token};
use crate::claim::{Row, changes_status};
use crate::token::KeptClient;
use logic::contract::node::SILENT_MS;
use logic::contract::session::{Ended, Revoked, Which};
use logic::contract::token::{DEVICES_MAX, Device};
use logic::contract::{Denial, TokenHash, Tokens, Written, session};
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
        Which::Token(hash) => Tokens::One(hash),
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
    let rows = sessions(conn, user)?;
    let (ended, stay): (Vec<&Row>, Vec<&Row>) =
        rows.iter().filter(|row| row.may_write()).partition(|row| tokens.include(&row.token));
    let mut sql = Sql::new();
    for row in &ended {
        mark_ended(&mut sql, now, user, row.epoch, code, None);
    }
    if !ended.is_empty() {
        conn.ask(&sql)?;
    }
    // Nobody else tells the friends for a node that is gone.
    let is_gone = ended.iter().any(|row| row.end.is_none()) && !stay.iter().any(|row| row.is_held(now));
    let stay: Vec<&Row> = stay.into_iter().filter(|row| row.is_held(now)).collect();
    let changes_status = changes_status(&stay, ended.iter().copied().filter(|row| row.end.is_none()));
    let ended = ended.into_iter().map(|row| Ended { node: row.node.clone(), epoch: row.epoch, why: code });
    Ok(Revoked { tokens, ended: ended.collect(), is_gone, changes_status })
}

pub fn devices(conn: &mut Connection, user: UserId, live: &[TokenHash]) -> Result<Vec<Device>, Failure> {
    let now = conn.now()?;
    let silent_since = now.0.saturating_sub(SILENT_MS);
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "SELECT t.id, t.hash, t.device, t.kind, t.address, t.created_at, t.last_used_at, t.expires_at, \
         EXISTS (SELECT 1 FROM account_session s JOIN node n ON n.name = s.node WHERE s.user_id = {user} \
             AND s.token_hash = t.hash AND s.end_code IS NULL AND s.lost_at IS NULL AND n.seen_at > {silent_since}) \
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
