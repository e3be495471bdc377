//! Fencing: the latest epochs of accounts, read under a lock.

use super::connection::Connection;
use super::failure::Failure;
use super::record::Record;
use super::sql::Sql;
use logic::contract::{Epoch, Fence};
use std::collections::HashMap;
use wire::UserId;

/// Whether no later session of the user was claimed; none can be until this transaction ends.
pub fn is_in_force(conn: &mut Connection, Fence { user, epoch }: Fence) -> Result<bool, Failure> {
    let mut sql = Sql::new();
    sql.statement(epochs([user].into_iter()));
    Ok(latest(&conn.rows(&sql)?)?.get(&user).is_none_or(|latest| *latest <= epoch))
}

/// The query for the latest epochs of these users. It locks the rows, so that the result holds until the transaction
/// ends. The condition names no epoch, as READ COMMITTED releases the lock of a row that the condition excludes.
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

pub fn latest(rows: &[Record]) -> Result<HashMap<UserId, Epoch>, Failure> {
    rows.iter().map(|row| Ok((row.user(0)?, Epoch(row.unsigned(1)?)))).collect()
}
