//! The nodes that share the database, and the information they exchange.

use super::store::{Batch, SqliteStore};
use super::view::View;
use super::view::seq;
use crate::column::{NODE_KEPT_MS, kind_of};
use crate::error::StoreError;
use logic::contract::node::{self, CHANGES_MAX, Changes, End, Roster};
use logic::contract::{Epoch, Found, Written};
use rusqlite::{OptionalExtension, Row};
use std::collections::BTreeMap;
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
            node::Read::Roster { conversation } => {
                node::Found::Roster(self.roster(*conversation)?.map(Box::new))
            }
        };
        Ok(Found::Node(found))
    }

    fn claims(&self, node: &str, since: UnixMillis) -> Result<node::Found, StoreError> {
        let sql = "SELECT user_id, epoch FROM session WHERE changed_at >= ?1 AND node IS NOT ?2";
        let mut select = self.conn.prepare_cached(sql)?;
        let rows = select.query_map((since.0 as i64, node), |row| {
            Ok(node::Claim { user: UserId(row.get(0)?), epoch: Epoch(row.get(1)?) })
        })?;
        let claims = rows.collect::<rusqlite::Result<_>>()?;
        let sql = "SELECT coalesce(max(unheard_at), 0) FROM node WHERE name <> ?1";
        let unheard = self.conn.prepare_cached(sql)?.query_row([node], |row| row.get::<_, i64>(0))?;
        Ok(node::Found::Claims { now: self.now, claims, unheard: UnixMillis(unheard as u64) })
    }

    fn changes(&mut self, node: &str, since: UnixMillis) -> Result<node::Found, StoreError> {
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
        Ok(node::Found::Changes(Box::new(Changes { upto, more, ends })))
    }

    fn member_version(&self, conversation: ConversationId) -> rusqlite::Result<u32> {
        let sql = "SELECT member_version FROM conversation WHERE id = ?1";
        self.conn.prepare_cached(sql)?.query_row([conversation.0], |row| row.get(0))
    }

    fn roster(&self, conversation: ConversationId) -> Result<Option<Roster>, StoreError> {
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
