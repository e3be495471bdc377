//! The nodes that share the database, and the information they exchange.

use super::column::{self, seq, undamaged};
use super::store::{Batch, SqliteStore};
use super::view::View;
use crate::column::{End, LEFT, NODE_KEPT_MS};
use crate::error::StoreError;
use crate::fault::At;
use logic::contract::node::{self, CHANGES_MAX, Changes, ENDED_KEPT_MS, Roster, RosterMember};
use logic::contract::{Epoch, Fence, Found, Written};
use rusqlite::{OptionalExtension, Row};
use std::collections::BTreeMap;
use wire::session::KickCode;
use wire::{ConversationId, UnixMillis, UserId};

impl SqliteStore {
    pub(super) fn write_node(&mut self, batch: &Batch, write: node::Write) -> Result<Written, StoreError> {
        match write {
            node::Write::See { node, unheard } => self.see_node(batch, &node, unheard),
        }
    }

    fn see_node(&self, batch: &Batch, node: &str, unheard: bool) -> Result<Written, StoreError> {
        let now = batch.now.0;
        let unheard_at = if unheard { now } else { 0 };
        let sql = "INSERT INTO node (name, seen_at, unheard_at) VALUES (?1, ?2, ?3) ON CONFLICT (name) \
                   DO UPDATE SET seen_at = excluded.seen_at, unheard_at = max(unheard_at, excluded.unheard_at)";
        self.conn.prepare_cached(sql)?.execute((node, now as i64, unheard_at as i64))?;
        let outlived = now.saturating_sub(NODE_KEPT_MS) as i64;
        self.conn.prepare_cached("DELETE FROM node WHERE seen_at < ?1")?.execute([outlived])?;
        Ok(Written::Done)
    }
}

impl View<'_> {
    pub(super) fn read_node(&mut self, read: &node::Read) -> Result<Found, StoreError> {
        let found = match read {
            node::Read::Claims { node, since } => self.claims(node, *since)?,
            node::Read::Changes { node, since } => self.changes(node, *since)?,
            node::Read::Session(fence) => node::Found::Session(self.end_of(*fence)?),
            node::Read::Roster { conversation } => {
                node::Found::Roster(self.roster(*conversation)?.map(Box::new))
            }
        };
        Ok(Found::Node(found))
    }

    fn claims(&self, node: &str, since: UnixMillis) -> Result<node::Found, StoreError> {
        let sql = "SELECT user_id, epoch, end_code FROM account_session \
                   WHERE changed_at >= ?1 AND node = ?2 AND end_code <> ?3";
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((since.0 as i64, node, LEFT))?;
        let (ended, _) = undamaged("session", &mut rows, |row| {
            let fence = Fence { user: UserId(row.get(0)?), epoch: Epoch(row.get(1)?) };
            Ok(node::Ended { fence, why: End::of(row.get(2)?).why() })
        })?;
        let sql = "SELECT DISTINCT m.user_id FROM account_session s JOIN account_session m ON m.user_id = s.user_id \
                   WHERE s.changed_at >= ?1 AND s.node <> ?2 AND s.end_code IS NULL \
                   AND m.node = ?2 AND m.end_code IS NULL";
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((since.0 as i64, node))?;
        let (joined, _) = undamaged("session", &mut rows, |row| Ok(UserId(row.get(0)?)))?;
        let sql = "SELECT coalesce(max(unheard_at), 0) FROM node WHERE name <> ?1";
        let unheard =
            self.conn.prepare_cached(sql)?.query_row([node], |row| column::time(row, 0)).at("node", "any")?;
        Ok(node::Found::Claims(Box::new(node::Claims { now: self.now, ended, joined, unheard })))
    }

    /// Why a session has ended; `None`: it has not. One that is not known any more was given up for another login.
    fn end_of(&self, Fence { user, epoch }: Fence) -> rusqlite::Result<Option<KickCode>> {
        let sql = "SELECT end_code FROM account_session WHERE user_id = ?1 AND epoch = ?2";
        let mut select = self.conn.prepare_cached(sql)?;
        let row = |row: &Row<'_>| row.get::<_, Option<i64>>(0);
        let found = select.query_row((user.0, epoch.0), row).optional()?;
        Ok(found.map_or(Some(KickCode::Login), |code| code.map(|code| End::of(code).why())))
    }

    fn changes(&mut self, node: &str, since: UnixMillis) -> Result<node::Found, StoreError> {
        let sql = "SELECT user_id, EXISTS (SELECT 1 FROM account_session o WHERE o.user_id = s.user_id AND o.node <> ?1 \
                       AND (o.end_code IS NULL OR o.changed_at >= ?2)) \
                   FROM account_session s WHERE node = ?1 AND end_code IS NULL";
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((node, since.0 as i64))?;
        let (users, _) =
            undamaged("session", &mut rows, |row| Ok((UserId(row.get(0)?), row.get::<_, bool>(1)?)))?;
        let mut found = BTreeMap::new();
        for (user, is_elsewhere) in users {
            let (rows, _) = self.rows(user, ConversationId(0), usize::MAX)?;
            for overview in rows.into_iter().map(|row| row.overview) {
                let changed = self.changed_at(overview.conversation)?;
                if (overview.last > overview.delivered || is_elsewhere) && changed >= since {
                    found.insert((changed, overview.conversation), overview.last);
                }
            }
            for behind in self.left_behind(user)? {
                let changed = self.changed_at(behind.conversation)?;
                if changed >= since {
                    found.insert((changed, behind.conversation), behind.last);
                }
            }
            // A session on another node may have acknowledged what one here has not got.
            let left = if is_elsewhere { self.left_since(user, since)? } else { Vec::new() };
            for (time, end) in left {
                found.insert((time, end.conversation), end.last);
            }
        }
        let more = found.len() > CHANGES_MAX;
        let mut upto = self.now;
        let mut ends = Vec::with_capacity(found.len().min(CHANGES_MAX));
        for ((time, conversation), last) in found.into_iter().take(CHANGES_MAX) {
            if more {
                upto = time;
            }
            ends.push(node::End { conversation, last });
        }
        Ok(node::Found::Changes(Box::new(Changes { upto, more, ends })))
    }

    /// When the last entry of a timeline was stored.
    fn changed_at(&self, conversation: ConversationId) -> rusqlite::Result<UnixMillis> {
        if let Some(end) = self.resident.end(conversation) {
            return Ok(end.time);
        }
        let sql = "SELECT max(updated_at, changed_at) FROM conversation WHERE id = ?1";
        let time: i64 = self.conn.prepare_cached(sql)?.query_row([conversation.0], |row| row.get(0))?;
        Ok(UnixMillis(time as u64))
    }

    fn roster(&self, conversation: ConversationId) -> Result<Option<Roster>, StoreError> {
        let end = self.resident.end(conversation);
        let sql = "SELECT kind, last_seq FROM conversation WHERE id = ?1";
        let mut select = self.conn.prepare_cached(sql)?;
        let row = |row: &Row<'_>| Ok((column::kind(row, 0)?, seq(row, 1)?));
        let found = select.query_row([conversation.0], row).optional().at("conversation", conversation)?;
        let Some((kind, filed)) = found else { return Ok(None) };
        // The members last, so that the list is at least as new as the end.
        let sql = "SELECT user_id, joined_seq, NULL, delivered_seq FROM member \
                   WHERE conversation_id = ?1 AND device = 0 UNION ALL \
                   SELECT user_id, joined_seq, left_seq, delivered_seq FROM former_member INDEXED BY former_member_roster \
                   WHERE conversation_id = ?1 AND delivered_seq < left_seq AND EXISTS (SELECT 1 FROM account_session s \
                       WHERE s.user_id = former_member.user_id AND s.end_code IS NULL) UNION ALL \
                   SELECT user_id, joined_seq, left_seq, delivered_seq FROM former_member INDEXED BY former_member_recent \
                   WHERE conversation_id = ?1 AND left_at >= ?2 AND delivered_seq >= left_seq \
                   AND EXISTS (SELECT 1 FROM account_session s \
                       WHERE s.user_id = former_member.user_id AND s.end_code IS NULL) \
                   AND (SELECT count(*) FROM account_session s WHERE s.user_id = former_member.user_id \
                       AND (s.end_code IS NULL OR s.changed_at >= ?2)) > 1 ORDER BY user_id";
        let mut select = self.conn.prepare_cached(sql)?;
        let recent = self.now.0.saturating_sub(ENDED_KEPT_MS);
        let mut rows = select.query((conversation.0, recent as i64))?;
        let member = |row: &Row<'_>| {
            let (user, joined) = (UserId(row.get(0)?), seq(row, 1)?);
            Ok(RosterMember { user, joined, left: column::maybe_seq(row, 2)?, delivered: seq(row, 3)? })
        };
        let (members, _) = undamaged("member", &mut rows, member)?;
        let last = end.map_or(filed, |end| end.last.max(filed));
        Ok(Some(Roster { kind, last, members }))
    }
}
