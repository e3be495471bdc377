//! The nodes that share the database, and the information they exchange.

use super::column::{self, seq, undamaged};
use super::store::{Batch, SqliteStore};
use super::view::View;
use crate::column::{NODE_KEPT_MS, kick_code_of};
use crate::error::StoreError;
use crate::fault::At;
use logic::contract::node::{self, CHANGES_MAX, Changes, End, Roster, RosterMember};
use logic::contract::{Epoch, Found, Written};
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
            node::Read::Epoch { user } => self.epoch(*user)?,
            node::Read::Roster { conversation } => {
                node::Found::Roster(self.roster(*conversation)?.map(Box::new))
            }
        };
        Ok(Found::Node(found))
    }

    fn claims(&self, node: &str, since: UnixMillis) -> Result<node::Found, StoreError> {
        let sql = "SELECT user_id, epoch, end_code FROM session WHERE changed_at >= ?1 AND node IS NOT ?2";
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((since.0 as i64, node))?;
        let (claims, _) = undamaged("session", &mut rows, |row| {
            let why = kick_code_of(row.get(2)?);
            Ok(node::Claim { user: UserId(row.get(0)?), epoch: Epoch(row.get(1)?), why })
        })?;
        let sql = "SELECT coalesce(max(unheard_at), 0) FROM node WHERE name <> ?1";
        let unheard =
            self.conn.prepare_cached(sql)?.query_row([node], |row| column::time(row, 0)).at("node", "any")?;
        Ok(node::Found::Claims { now: self.now, claims, unheard })
    }

    fn epoch(&self, user: UserId) -> rusqlite::Result<node::Found> {
        let mut select =
            self.conn.prepare_cached("SELECT epoch, end_code FROM session WHERE user_id = ?1")?;
        let row = |row: &Row<'_>| Ok((Epoch(row.get(0)?), kick_code_of(row.get(1)?)));
        let (latest, why) =
            select.query_row([user.0], row).optional()?.unwrap_or((Epoch::NONE, KickCode::Login));
        Ok(node::Found::Epoch { latest, why })
    }

    fn changes(&mut self, node: &str, since: UnixMillis) -> Result<node::Found, StoreError> {
        let mut select = self.conn.prepare_cached("SELECT user_id FROM session WHERE node = ?1")?;
        let mut rows = select.query([node])?;
        let (users, _) = undamaged("session", &mut rows, |row| row.get(0).map(UserId))?;
        let mut found = BTreeMap::new();
        for user in users {
            let (overviews, _) = self.overviews(user, ConversationId(0), usize::MAX)?;
            for overview in overviews {
                let changed = self.changed_at(overview.conversation)?;
                if overview.last > overview.delivered && changed >= since {
                    found.insert((changed, overview.conversation), overview.last);
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
            ends.push(End { conversation, last });
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
        let sql = "SELECT user_id, joined_seq, delivered_seq FROM member WHERE conversation_id = ?1 AND device = 0 \
                   ORDER BY user_id";
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query([conversation.0])?;
        let member = |row: &Row<'_>| {
            Ok(RosterMember { user: UserId(row.get(0)?), joined: seq(row, 1)?, delivered: seq(row, 2)? })
        };
        let (members, _) = undamaged("member", &mut rows, member)?;
        let last = end.map_or(filed, |end| end.last.max(filed));
        Ok(Some(Roster { kind, last, members }))
    }
}
