//! Sessions: who is logged in on which node, fenced by epoch.
//!
//! One process alone has a file, and keeps its sessions in memory: it asks for none of this. Here it stands for the tests of
//! several nodes over one database, so that one story is told of every store.

use super::super::StoreError;
use super::super::claim::{Claim, Held};
use super::super::column::{NODE_KEPT_MS, kind_of};
use super::view::{View, seq};
use super::{Batch, SqliteStore};
use logic::contract::node::{self, Changes};
use logic::contract::node::{CHANGES_MAX, End, Roster, node_grace};
use logic::contract::session::Holder;
use logic::contract::{Epoch, Fence, Found, TokenHash, Write, Written, session};
use rusqlite::{OptionalExtension, Row};
use std::collections::BTreeMap;
use wire::{ConversationId, UnixMillis, UserId};

impl SqliteStore {
    /// Carries out [`session::Write::Claim`].
    pub(super) fn claim(&self, batch: &Batch, claim: Claim<'_>) -> Result<Written, StoreError> {
        let sql = "SELECT s.epoch, s.node, s.token_hash, s.lost_at, n.seen_at \
                   FROM session s LEFT JOIN node n ON n.name = s.node WHERE s.user_id = ?1";
        let row = |row: &Row<'_>| {
            let (node, token): (Option<Box<str>>, TokenHash) = (row.get(1)?, row.get(2)?);
            let (lost_at, seen_at): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
            let [lost_at, seen_at] = [lost_at, seen_at].map(|at| at.map(|at| UnixMillis(at as u64)));
            let held = node.map(|node| Held { holder: Holder { node, token }, lost_at, seen_at });
            Ok((row.get::<_, u32>(0)?, held))
        };
        let found = self.conn.prepare_cached(sql)?.query_row([claim.user.0], row).optional()?;
        let (latest, held) = found.unwrap_or_default();
        let before = match claim.takes_from(held, batch.now) {
            Ok(before) => before,
            Err(refused) => return Ok(refused),
        };
        let epoch = Epoch(latest + 1);
        let sql = "INSERT OR REPLACE INTO session (user_id, epoch, node, token_hash, lost_at, changed_at) \
                   VALUES (?1, ?2, ?3, ?4, NULL, ?5)";
        let values = (claim.user.0, epoch.0, claim.node, claim.token, batch.now.0 as i64);
        self.conn.prepare_cached(sql)?.execute(values)?;
        Ok(Written::Session(session::Written::Claimed { epoch, before }))
    }

    /// Carries out [`session::Write::Release`].
    pub(super) fn release(&self, batch: &Batch, fence: Fence, ended: bool) -> Result<Written, StoreError> {
        if !self.is_in_force(fence)? {
            return Ok(Written::Superseded);
        }
        let sql = match ended {
            true => "UPDATE session SET node = NULL, lost_at = coalesce(lost_at, ?2) WHERE user_id = ?1",
            false => "UPDATE session SET lost_at = coalesce(lost_at, ?2) WHERE user_id = ?1",
        };
        self.conn.prepare_cached(sql)?.execute((fence.user.0, batch.now.0 as i64))?;
        Ok(Written::Done)
    }

    /// Carries out [`node::Write::See`].
    pub(super) fn see_node(&self, batch: &Batch, node: &str, unheard: bool) -> Result<Written, StoreError> {
        let now = batch.now.0;
        let unheard_at = if unheard { now } else { 0 };
        let sql = "INSERT INTO node (name, seen_at, unheard_at) VALUES (?1, ?2, ?3) ON CONFLICT (name) \
                   DO UPDATE SET seen_at = excluded.seen_at, unheard_at = max(unheard_at, excluded.unheard_at)";
        self.conn.prepare_cached(sql)?.execute((node, now as i64, unheard_at as i64))?;
        let outlived = now.saturating_sub(NODE_KEPT_MS) as i64;
        self.conn.prepare_cached("DELETE FROM node WHERE seen_at < ?1")?.execute([outlived])?;
        Ok(Written::Done)
    }

    /// Carries out [`Write::Fenced`].
    pub(super) fn fenced(
        &mut self,
        batch: &Batch,
        fence: Fence,
        write: Write,
    ) -> Result<Written, StoreError> {
        if !self.is_in_force(fence)? {
            return Ok(Written::Superseded);
        }
        let met = self.meet(batch, &write);
        self.execute(batch, write, met)
    }

    /// Whether no later session of the user was claimed.
    pub(super) fn is_in_force(&self, Fence { user, epoch }: Fence) -> Result<bool, StoreError> {
        if epoch == Epoch::NONE {
            return Ok(true);
        }
        let sql = "SELECT 1 FROM session WHERE user_id = ?1 AND epoch > ?2";
        Ok(!self.conn.prepare_cached(sql)?.exists((user.0, epoch.0))?)
    }
}

impl View<'_> {
    pub(super) fn group_ids(&self, user: UserId) -> Result<Vec<ConversationId>, StoreError> {
        let sql = "SELECT c.id FROM member m INDEXED BY member_user JOIN conversation c ON c.id = m.conversation_id \
                   WHERE m.user_id = ?1 AND m.device = 0 AND c.kind = 1 ORDER BY c.id";
        let mut select = self.conn.prepare_cached(sql)?;
        let ids = select.query_map([user.0], |row| row.get(0).map(ConversationId))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn online(&self, users: &[UserId], grace: u64) -> Result<Vec<UserId>, StoreError> {
        let sql = "SELECT 1 FROM session s JOIN node n ON n.name = s.node \
                   WHERE s.user_id = ?1 AND n.seen_at > ?3 AND (s.lost_at IS NULL OR s.lost_at > ?2)";
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

    pub(super) fn claims(&self, node: &str, since: UnixMillis) -> Result<Found, StoreError> {
        let sql = "SELECT user_id, epoch FROM session WHERE changed_at >= ?1 AND node IS NOT ?2";
        let mut select = self.conn.prepare_cached(sql)?;
        let rows = select.query_map((since.0 as i64, node), |row| {
            Ok(node::Claim { user: UserId(row.get(0)?), epoch: Epoch(row.get(1)?) })
        })?;
        let claims = rows.collect::<rusqlite::Result<_>>()?;
        let sql = "SELECT coalesce(max(unheard_at), 0) FROM node WHERE name <> ?1";
        let unheard = self.conn.prepare_cached(sql)?.query_row([node], |row| row.get::<_, i64>(0))?;
        Ok(Found::Node(node::Found::Claims { now: self.now, claims, unheard: UnixMillis(unheard as u64) }))
    }

    pub(super) fn changes(&mut self, node: &str, since: UnixMillis) -> Result<Found, StoreError> {
        let mut select = self.conn.prepare_cached("SELECT user_id FROM session WHERE node = ?1")?;
        let users = select.query_map([node], |row| row.get(0).map(UserId))?;
        let users: Vec<UserId> = users.collect::<rusqlite::Result<_>>()?;
        let mut found = BTreeMap::new();
        for user in users {
            for overview in self.overviews(user, ConversationId(0))? {
                if overview.last > overview.delivered && overview.time >= since {
                    found.insert((overview.time, overview.conversation), overview.last);
                }
            }
        }
        let more = found.len() > CHANGES_MAX;
        let mut upto = self.now;
        let mut ends = Vec::with_capacity(found.len().min(CHANGES_MAX));
        for ((time, conversation), last) in found.into_iter().take(CHANGES_MAX) {
            if more {
                upto = time;
            }
            ends.push(End { conversation, last, member_version: self.member_version(conversation)? });
        }
        Ok(Found::Node(node::Found::Changes(Box::new(Changes { upto, more, ends }))))
    }

    fn member_version(&self, conversation: ConversationId) -> rusqlite::Result<u32> {
        let sql = "SELECT member_version FROM conversation WHERE id = ?1";
        self.conn.prepare_cached(sql)?.query_row([conversation.0], |row| row.get(0))
    }

    pub(super) fn roster(&self, conversation: ConversationId) -> Result<Option<Roster>, StoreError> {
        let end = self.resident.end(conversation);
        let sql = "SELECT kind, last_seq, member_version FROM conversation WHERE id = ?1";
        let mut select = self.conn.prepare_cached(sql)?;
        let row = |row: &Row<'_>| Ok((row.get::<_, u8>(0)?, seq(row, 1)?, row.get::<_, u32>(2)?));
        let Some((kind, filed, member_version)) = select.query_row([conversation.0], row).optional()? else {
            return Ok(None);
        };
        let sql = "SELECT user_id, delivered_seq FROM member WHERE conversation_id = ?1 AND device = 0 \
                   ORDER BY user_id";
        let mut select = self.conn.prepare_cached(sql)?;
        let members = select
            .query_map([conversation.0], |row| Ok((UserId(row.get(0)?), seq(row, 1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let last = end.map_or(filed, |end| end.last.max(filed));
        Ok(Some(Roster { kind: kind_of(kind), last, member_version, members }))
    }
}
