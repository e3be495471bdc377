//! The table of tokens.

use super::connection::Connection;
use super::failure::Failure;
use super::sql::Sql;
use logic::contract::Token;

pub fn insert_token(sql: &mut Sql, user: &str, token: &Token, device: Option<&str>) {
    sql.push("INSERT INTO token (hash, user_id, device, expires_at) VALUES (")
        .bytes(&token.hash)
        .push(format_args!(",{user},"))
        .maybe_text(device)
        .push(format_args!(",{})", token.expires))
        .end();
}

/// Deletes at most `limit` expired tokens and returns how many it deleted.
pub fn prune_tokens(conn: &mut Connection, limit: u64) -> Result<u64, Failure> {
    let now = conn.now()?;
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "DELETE FROM token WHERE expires_at <= {now} ORDER BY expires_at LIMIT {limit}"
    ));
    Ok(conn.ask(&sql)?.first().map_or(0, |answer| answer.changed))
}
