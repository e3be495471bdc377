//! The table of tokens.

use super::connection::Connection;
use super::failure::Failure;
use super::record::Record;
use super::sql::Sql;
use crate::column::client_kind_number;
use crate::token::{self, KeptClient, OfRegister};
use logic::contract::session::Holder;
use logic::contract::{Token, TokenHash};
use wire::{UnixMillis, UserId};

/// Adds a token with the account's next number. Of an account that exists the row is locked.
pub fn insert_token(
    sql: &mut Sql,
    now: UnixMillis,
    user: UserId,
    token: &Token,
    client: &KeptClient,
    of_register: OfRegister,
) {
    sql.push(
        "INSERT INTO token (hash, user_id, expires_at, of_register, device, kind, address, created_at, ",
    )
    .push("last_used_at, id) SELECT ")
    .bytes(&token.hash)
    .push(format_args!(",{user},{},{},", token.expires, of_register as u8))
    .maybe_text(client.device.as_deref())
    .push(format_args!(",{},", client_kind_number(client.kind)))
    .maybe_text(client.address_text().as_deref())
    .push(format_args!(",{now},{now},COALESCE(MAX(id), 0) + 1 FROM token WHERE user_id = {user}"))
    .end();
}

/// Whom a token in force logs in.
pub fn holder(conn: &mut Connection, text: &str) -> Result<Option<Holder>, Failure> {
    let (now, token) = (conn.now()?, token::hash(text));
    let mut sql = Sql::new();
    sql.push("SELECT u.id, u.name, t.expires_at, t.of_register FROM token t JOIN user u ON u.id = t.user_id WHERE t.hash = ")
        .bytes(&token)
        .push(format_args!(" AND t.expires_at > {now}"))
        .end();
    let rows = conn.rows(&sql)?;
    let Some(row) = rows.first() else { return Ok(None) };
    let is_fresh = row.number(3)? == OfRegister::No as i64 && token::is_fresh(row.time(2)?, now);
    Ok(Some(Holder { user: row.user(0)?, name: row.text(1)?.into(), token, is_stale: !is_fresh }))
}

/// Sets what is kept of a token after a login by it, unless it has been revoked in the meantime. Of REGISTER's token:
/// the session that begins lives by it, as by any other.
pub fn use_token(sql: &mut Sql, now: UnixMillis, token: &Token, client: &KeptClient) {
    sql.push(format_args!("UPDATE token SET expires_at = {}, of_register = 0, device = ", token.expires))
        .maybe_text(client.device.as_deref())
        .push(format_args!(", kind = {}, address = ", client_kind_number(client.kind)))
        .maybe_text(client.address_text().as_deref())
        .push(format_args!(", last_used_at = {now} WHERE expires_at > {now} AND hash = "))
        .bytes(&token.hash)
        .end();
}

/// Reads what is kept of a client, in the columns `device`, `kind` and `address`. A damaged address is one that is not
/// known.
pub fn kept_client(row: &Record, first: usize) -> Result<KeptClient, Failure> {
    Ok(KeptClient {
        device: row.maybe_text(first)?.map(Into::into),
        kind: row.client_kind(first + 1)?,
        address: row.text(first + 2)?.parse().ok(),
    })
}

/// Revokes a token, and REGISTER's where that belongs to the same login.
pub fn revoke_token(sql: &mut Sql, now: UnixMillis, hash: &TokenHash) {
    sql.push(format_args!("UPDATE token SET expires_at = LEAST(expires_at, {now}) WHERE hash = "))
        .bytes(hash)
        .end()
        .push("UPDATE token r JOIN token t ON r.user_id = t.user_id AND r.of_register = 2 ")
        .push(format_args!("SET r.expires_at = LEAST(r.expires_at, {now}) WHERE t.hash = "))
        .bytes(hash)
        .end();
}

/// Deletes at most `limit` tokens that identify no client any more, and returns how many it deleted.
pub fn prune_tokens(conn: &mut Connection, limit: u64) -> Result<u64, Failure> {
    let before = token::forgotten_before(conn.now()?);
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "DELETE FROM token WHERE expires_at <= {before} ORDER BY expires_at LIMIT {limit}"
    ));
    Ok(conn.ask(&sql)?.first().map_or(0, |answer| answer.changed))
}
