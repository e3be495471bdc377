//! The table `account_usage`: what each account uses of its quotas.

use super::store::{Batch, SqliteStore};
use crate::account_usage::{AccountUsage, Charge};
use logic::contract::{Denial, Quotas};
use rusqlite::{OptionalExtension, Row};
use wire::UserId;

impl SqliteStore {
    /// The same store with quotas; without this call there are none.
    #[must_use]
    pub fn with_quotas(self, quotas: Quotas) -> SqliteStore {
        SqliteStore { quotas, ..self }
    }

    /// Charges an account, unless a quota forbids it.
    pub(super) fn charge(
        &self,
        batch: &Batch,
        user: UserId,
        what: Charge,
    ) -> rusqlite::Result<Result<(), Denial>> {
        let sql = "SELECT groups_owned, groups_made, day, friends, conversations FROM account_usage WHERE user_id = ?1";
        let row = |row: &Row<'_>| {
            Ok(AccountUsage {
                groups: row.get(0)?,
                groups_made: row.get(1)?,
                day: row.get(2)?,
                friends: row.get(3)?,
                conversations: row.get(4)?,
            })
        };
        let mut usage =
            self.conn.prepare_cached(sql)?.query_row([user.0], row).optional()?.unwrap_or_default();
        if let Err(quota) = usage.charge(what, &self.quotas, batch.now) {
            return Ok(Err(Denial::Quota(quota)));
        }
        let sql = "INSERT OR REPLACE INTO account_usage \
                   (user_id, groups_owned, groups_made, day, friends, conversations) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let AccountUsage { groups, groups_made, day, friends, conversations } = usage;
        self.conn.prepare_cached(sql)?.execute((user.0, groups, groups_made, day, friends, conversations))?;
        Ok(Ok(()))
    }

    /// Takes a charge for a friend back.
    pub(super) fn refund_friend(&self, user: UserId) -> rusqlite::Result<()> {
        let sql = "UPDATE account_usage SET friends = friends - 1 WHERE user_id = ?1 AND friends > 0";
        self.conn.prepare_cached(sql)?.execute([user.0]).map(drop)
    }
}
