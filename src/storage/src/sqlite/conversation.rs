//! How one member sees a conversation: its settings, and where its view of the timeline begins.

use super::column::seq;
use super::store::SqliteStore;
use super::timeline::key_of;
use crate::error::StoreError;
use crate::fault::At;
use logic::contract::timeline::{self, Standing};
use logic::contract::{Denial, Written};
use rusqlite::{OptionalExtension, Row};
use wire::timeline::SettingsChange;
use wire::{ConversationId, ConversationKind, Seq, UserId};

/// A conversation and its end, as the writer sees them.
struct Found {
    kind: ConversationKind,
    /// The peer of a direct conversation.
    peer: Option<UserId>,
    last: Seq,
}

impl SqliteStore {
    pub(super) fn set_conversation(
        &mut self,
        user: UserId,
        conversation: ConversationId,
        change: SettingsChange,
    ) -> Result<Written, StoreError> {
        let Some(found) = self.conversation_of(user, conversation)? else {
            return Ok(Written::Denied(Denial::Forbidden));
        };
        let SettingsChange { pinned, muted, hidden } = change;
        let sql = "UPDATE member SET is_pinned = coalesce(?3, is_pinned), is_muted = coalesce(?4, is_muted), \
                   hidden_seq = CASE ?5 WHEN 1 THEN ?6 WHEN 0 THEN NULL ELSE hidden_seq END \
                   WHERE conversation_id = ?1 AND user_id = ?2 AND device = 0";
        let values = (conversation.0, user.0, pinned, muted, hidden, found.last.0 as i64);
        let changed = self.conn.prepare_cached(sql)?.execute(values);
        match changed.at("member", key_of(conversation, user))? {
            0 => Ok(Written::Denied(Denial::Forbidden)),
            _ => Ok(Written::Done),
        }
    }

    pub(super) fn clear(
        &mut self,
        user: UserId,
        conversation: ConversationId,
        upto: Seq,
    ) -> Result<Written, StoreError> {
        let Some(Found { kind, peer, last }) = self.conversation_of(user, conversation)? else {
            return Ok(Written::Denied(Denial::Forbidden));
        };
        let sql = "SELECT delivered_seq, read_seq FROM member \
                   WHERE conversation_id = ?1 AND user_id = ?2 AND device = 0";
        let mut select = self.conn.prepare_cached(sql)?;
        let cursors = |row: &Row<'_>| Ok((seq(row, 0)?, seq(row, 1)?));
        let found = select.query_row((conversation.0, user.0), cursors).optional();
        let Some((delivered, read)) = found.at("member", key_of(conversation, user))? else {
            return Ok(Written::Denied(Denial::Forbidden));
        };
        let upto = upto.min(last);
        let sql = "UPDATE member SET cleared_seq = max(cleared_seq, ?3), delivered_seq = max(delivered_seq, ?3), \
                   read_seq = max(read_seq, ?3) WHERE conversation_id = ?1 AND user_id = ?2 AND device = 0";
        let cleared = self.conn.prepare_cached(sql)?.execute((conversation.0, user.0, upto.0 as i64));
        cleared.at("member", key_of(conversation, user))?;
        let before = Standing { kind, peer, last, has_left: false, delivered, read };
        Ok(Written::Timeline(timeline::Written::Cleared { upto, before }))
    }

    /// `None`: the user is no member.
    fn conversation_of(
        &mut self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Option<Found>, StoreError> {
        let head =
            self.cache.get(&self.conn, &self.resident, conversation).at("conversation", conversation)?;
        let Some(head) = head.filter(|head| head.has_member(user)) else { return Ok(None) };
        let is_direct = head.kind == ConversationKind::Direct;
        let peer = head.members.iter().copied().find(|member| is_direct && *member != user);
        Ok(Some(Found { kind: head.kind, peer, last: head.last }))
    }
}
