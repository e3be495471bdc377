//! The table of tokens.

use super::connection::Connection;
use super::failure::Failure;
use super::sql::Sql;
use crate::token::{self, OfRegister};
use logic::contract::{Token, TokenHash};
use wire::UnixMillis;

pub fn insert_token(sql: &mut Sql, user: &str, token: &Token, device: Option<&str>, of_register: OfRegister) {
    sql.push("INSERT INTO token (hash, user_id, device, expires_at, of_register) VALUES (")
        .bytes(&token.hash)
        .push(format_args!(",{user},"))
        .maybe_text(device)
        .push(format_args!(",{},{})", token.expires, of_register as u8))
        .end();
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
