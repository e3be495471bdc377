//! Fencing: the sessions of accounts that may write, read under a lock: those in force, and those that have ended by
//! themselves and may have sent something before. The same for tokens of clients without a session.

use super::claim::hash;
use super::connection::{Connection, NOW};
use super::failure::Failure;
use super::record::Record;
use super::sql::Sql;
use crate::column::LEFT;
use logic::contract::{Epoch, Fence, TokenHash};
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

/// The query for those of the tokens that log in. It locks the rows, as [`sessions`] does. Whoever ends a login may lock
/// its session and its token in the other order; the database then undoes one of the two, which is tried again.
pub fn tokens<'a>(tokens: impl Iterator<Item = &'a TokenHash>) -> Sql {
    let mut tokens: Vec<&TokenHash> = tokens.collect();
    tokens.sort_unstable();
    tokens.dedup();
    let mut sql = Sql::new();
    sql.push(format_args!(
        "SELECT hash, expires_at > {NOW} FROM token FORCE INDEX (PRIMARY) WHERE hash IN ("
    ))
    .list(",", tokens, |sql, token| {
        sql.bytes(token);
    })
    .push(") ORDER BY hash LOCK IN SHARE MODE");
    sql
}

/// The sessions of the users, and the tokens, that were asked for and may write.
#[derive(Debug, Default)]
pub struct InForce {
    sessions: HashSet<(UserId, Epoch)>,
    tokens: HashSet<TokenHash>,
}

impl InForce {
    /// Reads the answer to [`sessions`].
    pub fn of(rows: &[Record]) -> Result<InForce, Failure> {
        let mut in_force = InForce::default();
        for row in rows {
            if row.number(2)? != 0 {
                in_force.sessions.insert((row.user(0)?, Epoch(row.unsigned(1)?)));
            }
        }
        Ok(in_force)
    }

    /// Adds the answer to [`tokens`].
    pub fn add_tokens(&mut self, rows: &[Record]) -> Result<(), Failure> {
        for row in rows {
            if row.number(1)? != 0 {
                self.tokens.insert(hash(row, 0)?);
            }
        }
        Ok(())
    }

    pub fn includes(&self, Fence { user, epoch }: Fence) -> bool {
        epoch == Epoch::NONE || self.sessions.contains(&(user, epoch))
    }

    /// Whether a message that needs this token may be stored.
    pub fn admits(&self, token: Option<&TokenHash>) -> bool {
        token.is_none_or(|token| self.tokens.contains(token))
    }
}
