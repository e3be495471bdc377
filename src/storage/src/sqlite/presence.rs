//! Online users.

use super::view::View;
use crate::error::StoreError;
use logic::contract::node::node_grace;
use logic::contract::{Found, presence};
use wire::UserId;

impl View<'_> {
    pub(super) fn read_presence(&self, read: &presence::Read) -> Result<Found, StoreError> {
        let found = match read {
            presence::Read::Online { users, grace } => presence::Found::Online(self.online(users, *grace)?),
        };
        Ok(Found::Presence(found))
    }

    fn online(&self, users: &[UserId], grace: u64) -> Result<Vec<UserId>, StoreError> {
        let sql = "SELECT 1 FROM account_session s JOIN node n ON n.name = s.node \
                   WHERE s.user_id = ?1 AND s.end_code IS NULL AND n.seen_at > ?3 AND (s.lost_at IS NULL OR s.lost_at > ?2)";
        let mut select = self.conn.prepare_cached(sql)?;
        let before = |ms: u64| self.now.0.saturating_sub(ms) as i64;
        let (lost_after, seen_after) = (before(grace), before(node_grace(grace)));
        let mut online = Vec::new();
        for user in users {
            if select.exists((user.0, lost_after, seen_after))? {
                online.push(*user);
            }
        }
        online.sort_unstable();
        Ok(online)
    }
}
