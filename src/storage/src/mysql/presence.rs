//! Online users.

use super::connection::Connection;
use super::failure::Failure;
use super::sql::Sql;
use logic::contract::node::node_grace;
use logic::contract::presence::{Found, Read};
use wire::UserId;

pub fn read(conn: &mut Connection, read: &Read) -> Result<Found, Failure> {
    match read {
        Read::Online { users, grace } => Ok(Found::Online(online(conn, users, *grace)?)),
    }
}

fn online(conn: &mut Connection, users: &[UserId], grace: u64) -> Result<Vec<UserId>, Failure> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let now = conn.now()?.0;
    let (lost_after, seen_after) = (now.saturating_sub(grace), now.saturating_sub(node_grace(grace)));
    let mut sql = Sql::new();
    sql.push("SELECT DISTINCT s.user_id FROM account_session s JOIN node n ON n.name = s.node WHERE s.user_id IN ")
        .set(users)
        .push(format_args!(
            " AND s.end_code IS NULL AND n.seen_at > {seen_after} AND (s.lost_at IS NULL OR s.lost_at > {lost_after}) ORDER BY s.user_id"
        ))
        .end();
    conn.rows(&sql)?.iter().map(|row| row.user(0)).collect()
}
