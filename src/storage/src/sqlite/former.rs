//! The table `former_member`: who was a member of a group and is not any more, and what it saw.

use super::column::{seq, time, undamaged};
use super::store::SqliteStore;
use super::view::View;
use crate::error::StoreError;
use crate::fault::At;
use logic::contract::node;
use logic::contract::timeline::{CursorStep, Standing, UNREAD_MAX, Unread};
use rusqlite::{Connection, OptionalExtension, Row};
use wire::{ConversationId, ConversationKind, Seq, UnixMillis, UserId};

/// What somebody who has left saw of a timeline.
#[derive(Clone, Copy, Debug)]
pub struct Former {
    /// The last entry that it did not see.
    pub above: Seq,
    /// The last entry that it saw, which tells of its leaving.
    pub left: Seq,
    pub delivered: Seq,
}

impl Former {
    pub fn standing(self) -> Standing {
        let Former { left, delivered, .. } = self;
        let kind = ConversationKind::Group;
        Standing { kind, peer: None, last: left, has_left: true, delivered, read: left }
    }
}

impl SqliteStore {
    /// Ends a membership by the entry at `left`: the member's row is gone, and so is its place in the listing.
    pub(super) fn end_membership(
        &self,
        conversation: ConversationId,
        user: UserId,
        (left, time): (Seq, UnixMillis),
    ) -> rusqlite::Result<()> {
        let sql = "INSERT INTO former_member (conversation_id, user_id, joined_seq, left_seq, delivered_seq, left_at) \
                   SELECT conversation_id, user_id, max(joined_seq, cleared_seq), ?3, delivered_seq, ?4 FROM member \
                   WHERE conversation_id = ?1 AND user_id = ?2 AND device = 0";
        let row = (conversation.0, user.0, left.0 as i64, time.0 as i64);
        self.conn.prepare_cached(sql)?.execute(row)?;
        let sql = "DELETE FROM member WHERE conversation_id = ?1 AND user_id = ?2";
        self.conn.prepare_cached(sql)?.execute((conversation.0, user.0))?;
        let sql = "DELETE FROM listing WHERE user_id = ?2 AND conversation_id = ?1 AND (slack, listed_until) = \
                   (SELECT slack, listed_until FROM conversation WHERE id = ?1)";
        self.conn.prepare_cached(sql)?.execute((conversation.0, user.0))?;
        let sql = "UPDATE account_usage SET conversations = max(conversations - 1, 0) WHERE user_id = ?1";
        self.conn.prepare_cached(sql)?.execute([user.0])?;
        Ok(())
    }

    /// Moves the cursor of a user who is no member any more.
    pub(super) fn move_former(
        &self,
        conversation: ConversationId,
        user: UserId,
        step: CursorStep,
    ) -> Result<(), StoreError> {
        let moved = || {
            let Some(former) = former(&self.conn, conversation, user)? else { return Ok(()) };
            let delivered = step.apply(former.delivered, Seq(0)).0.min(former.left);
            if delivered == former.delivered {
                return Ok(());
            }
            let sql =
                "UPDATE former_member SET delivered_seq = ?3 WHERE conversation_id = ?1 AND user_id = ?2";
            self.conn.prepare_cached(sql)?.execute((conversation.0, user.0, delivered.0 as i64)).map(drop)
        };
        moved().at("former_member", format_args!("({conversation}, {user})"))
    }
}

pub fn former(
    conn: &Connection,
    conversation: ConversationId,
    user: UserId,
) -> rusqlite::Result<Option<Former>> {
    let sql = "SELECT joined_seq, left_seq, delivered_seq FROM former_member \
               WHERE conversation_id = ?1 AND user_id = ?2";
    let former =
        |row: &Row<'_>| Ok(Former { above: seq(row, 0)?, left: seq(row, 1)?, delivered: seq(row, 2)? });
    conn.prepare_cached(sql)?.query_row((conversation.0, user.0), former).optional()
}

impl View<'_> {
    /// The groups that a user has left and of whose entries it has not received all, by id.
    pub(super) fn left_behind(&self, user: UserId) -> Result<Vec<Unread>, StoreError> {
        let sql = "SELECT conversation_id, left_seq, delivered_seq FROM former_member INDEXED BY former_member_behind \
                   WHERE user_id = ?1 AND delivered_seq < left_seq ORDER BY conversation_id LIMIT ?2";
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((user.0, UNREAD_MAX as i64))?;
        let unread = |row: &Row<'_>| {
            let (last, delivered) = (seq(row, 1)?, seq(row, 2)?);
            Ok(Unread {
                conversation: ConversationId(row.get(0)?),
                peer: None,
                delivered,
                last,
                has_left: true,
            })
        };
        Ok(undamaged("former_member", &mut rows, unread)?.0)
    }

    /// The groups that a user has left at or after a time, and the entries that tell of it.
    pub(super) fn left_since(
        &self,
        user: UserId,
        since: UnixMillis,
    ) -> Result<Vec<(UnixMillis, node::End)>, StoreError> {
        let sql = "SELECT conversation_id, left_seq, left_at FROM former_member INDEXED BY former_member_left \
                   WHERE user_id = ?1 AND left_at >= ?2 ORDER BY left_at LIMIT ?3";
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((user.0, since.0 as i64, node::CHANGES_MAX as i64))?;
        let end = |row: &Row<'_>| {
            let end = node::End { conversation: ConversationId(row.get(0)?), last: seq(row, 1)? };
            Ok((time(row, 2)?, end))
        };
        Ok(undamaged("former_member", &mut rows, end)?.0)
    }
}
