//! Online users, and what they show to their friends.

use super::column;
use super::store::{Batch, SqliteStore};
use super::view::View;
use crate::claim::{set_changes_status, set_status};
use crate::error::StoreError;
use crate::fault::At;
use logic::contract::node::node_grace;
use logic::contract::presence::{self, Online, of_account};
use logic::contract::{Found, Written};
use wire::UserId;

impl SqliteStore {
    pub(super) fn write_presence(
        &mut self,
        batch: &Batch,
        write: presence::Write,
    ) -> Result<Written, StoreError> {
        let now = batch.now.0;
        match write {
            presence::Write::Set { fence, status, grace } => {
                let rows = self.sessions(fence.user)?;
                let changes = set_changes_status(&rows, fence.epoch, &status, grace, batch.now);
                let sql = "UPDATE account_session SET is_away = ?3, status_text = ?4, status_at = ?5 \
                           WHERE user_id = ?1 AND epoch = ?2";
                let values = (fence.user.0, fence.epoch.0, status.is_away, status.text, now as i64);
                self.conn.prepare_cached(sql)?.execute(values)?;
                Ok(Written::Presence(presence::Written::Set { changes }))
            }
            presence::Write::Seen(users) => {
                let sql = "UPDATE user SET last_seen_at = ?2 WHERE id = ?1 AND last_seen_at < ?2";
                let mut update = self.conn.prepare_cached(sql)?;
                for (user, silent) in users {
                    update.execute((user.0, now.saturating_sub(silent) as i64))?;
                }
                Ok(Written::Done)
            }
        }
    }
}

impl View<'_> {
    pub(super) fn read_presence(&self, read: &presence::Read) -> Result<Found, StoreError> {
        let found = match read {
            presence::Read::Online { users, grace } => presence::Found::Online(self.online(users, *grace)?),
        };
        Ok(Found::Presence(found))
    }

    fn online(&self, users: &[UserId], grace: u64) -> Result<Vec<Online>, StoreError> {
        let sql = "SELECT s.is_away, s.status_text, s.status_at FROM account_session s JOIN node n ON n.name = s.node \
                   WHERE s.user_id = ?1 AND s.end_code IS NULL AND n.seen_at > ?3 AND (s.lost_at IS NULL OR s.lost_at > ?2) \
                   ORDER BY s.epoch";
        let mut select = self.conn.prepare_cached(sql)?;
        let before = |ms: u64| self.now.0.saturating_sub(ms) as i64;
        let (lost_after, seen_after) = (before(grace), before(node_grace(grace)));
        let mut online = Vec::new();
        for &user in users {
            let rows = select.query_map((user.0, lost_after, seen_after), |row| {
                Ok(set_status(row.get(0)?, row.get(1)?, column::maybe_time(row, 2)?))
            })?;
            let set = rows.collect::<Result<Vec<_>, _>>().at("account_session", user)?;
            if let Some(status) = of_account(set.iter().map(Option::as_ref)) {
                online.push(Online { user, status });
            }
        }
        online.sort_unstable_by_key(|online| online.user);
        Ok(online)
    }
}
