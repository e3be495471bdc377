//! Fencing: the sessions of accounts that may write, read under a lock: those in force, and those that have ended by
//! themselves and may have sent something before.

use super::connection::Connection;
use super::failure::Failure;
use super::record::Record;
use super::sql::Sql;
use crate::column::LEFT;
use logic::contract::{Epoch, Fence};
use std::collections::HashSet;
use wire::UserId;

/// Whether a session may write; it cannot be ended until this transaction does.
pub fn is_in_force(conn: &mut Connection, fence: Fence) -> Result<bool, Failure> {
    let mut sql = Sql::new();
    sql.statement(sessions([fence.user].into_iter()));
    Ok(InForce::of(&conn.rows(&sql)?)?.includes(fence))
}

/// The query for the sessions of these users. It locks the rows, so that the result holds until the transaction ends. The
/// condition names only keys, as READ COMMITTED releases the lock of a row that the condition excludes.
pub fn sessions(users: impl Iterator<Item = UserId>) -> Sql {
    let mut users: Vec<UserId> = users.collect();
    users.sort_unstable();
    users.dedup();
    let mut sql = Sql::new();
    sql.push(format_args!(
        "SELECT user_id, epoch, COALESCE(end_code, {LEFT}) = {LEFT} FROM account_session FORCE INDEX (PRIMARY) WHERE user_id IN "
    ))
        .set(&users)
        .push(" ORDER BY user_id, epoch LOCK IN SHARE MODE");
    sql
}

/// The sessions of the users that were asked for that may write.
#[derive(Debug, Default)]
pub struct InForce(HashSet<(UserId, Epoch)>);

impl InForce {
    /// Reads the answer to [`sessions`].
    pub fn of(rows: &[Record]) -> Result<InForce, Failure> {
        let mut in_force = HashSet::new();
        for row in rows {
            if row.number(2)? != 0 {
                in_force.insert((row.user(0)?, Epoch(row.unsigned(1)?)));
            }
        }
        Ok(InForce(in_force))
    }

    pub fn includes(&self, Fence { user, epoch }: Fence) -> bool {
        epoch == Epoch::NONE || self.0.contains(&(user, epoch))
    }
}
