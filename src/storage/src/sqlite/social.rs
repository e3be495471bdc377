//! Friends, groups, and how far members have come.

use super::super::StoreError;
use super::super::column::OWNER;
use super::{Batch, SqliteStore};
use logic::contract::timeline::{CursorMove, CursorStep};
use logic::contract::{Denial, Epoch, Fence, Written, contact, group, timeline};
use rusqlite::OptionalExtension;
use wire::account::Who;
use wire::{ConversationId, ConversationKind, UserId};

impl SqliteStore {
    /// Carries out [`logic::contract::contact::Write::Add`].
    pub(super) fn add_friend(&mut self, user: UserId, who: &Who) -> Result<Written, StoreError> {
        let peer = match who {
            Who::Id(id) => Some(*id),
            Who::Name(name) => self.heads.user(&self.conn, name)?,
        };
        let Some(peer) = peer else { return Ok(Written::Denied(Denial::NotFound)) };
        if peer == user {
            return Ok(Written::Denied(Denial::Oneself));
        }
        let mut select = self.conn.prepare_cached("SELECT name FROM user WHERE id = ?1")?;
        let name: Option<Box<str>> = select.query_row([peer.0], |row| row.get(0)).optional()?;
        let Some(name) = name else { return Ok(Written::Denied(Denial::NotFound)) };
        let sql = "INSERT OR IGNORE INTO friend (user_id, friend_id) VALUES (?1, ?2), (?2, ?1)";
        if self.conn.prepare_cached(sql)?.execute((user.0, peer.0))? == 0 {
            return Ok(Written::Denied(Denial::Conflict));
        }
        Ok(Written::Contact(contact::Written::Friends { peer, name }))
    }

    /// Carries out [`logic::contract::group::Write::Create`].
    pub(super) fn create_group(
        &mut self,
        batch: &Batch,
        owner: UserId,
        name: &str,
        desc: &str,
    ) -> Result<Written, StoreError> {
        let sql = "INSERT INTO conversation (kind, name, description, updated_at) VALUES (1, ?1, ?2, ?3)";
        let id = self.conn.prepare_cached(sql)?.insert((name, desc, batch.now.0 as i64))?;
        let sql = "INSERT INTO member (conversation_id, user_id, role) VALUES (?1, ?2, ?3)";
        self.conn.prepare_cached(sql)?.execute((id, owner.0, OWNER))?;
        Ok(Written::Group(group::Written::Created(ConversationId(id as u32))))
    }

    /// Carries out [`logic::contract::group::Write::Join`]: what was said before stays unseen.
    pub(super) fn join_group(
        &mut self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Written, StoreError> {
        let last = match self.heads.get(&self.conn, &self.resident, conversation)? {
            Some(head) if head.kind == ConversationKind::Group => head.last,
            _ => return Ok(Written::Denied(Denial::NotFound)),
        };
        let sql = "INSERT OR IGNORE INTO member (conversation_id, user_id, joined_seq, delivered_seq, read_seq) \
                   VALUES (?1, ?2, ?3, ?3, ?3)";
        let joined = self.conn.prepare_cached(sql)?.execute((conversation.0, user.0, last.0 as i64))?;
        if joined == 0 {
            return Ok(Written::Denied(Denial::Conflict));
        }
        let sql = "UPDATE conversation SET member_version = member_version + 1 WHERE id = ?1";
        self.conn.prepare_cached(sql)?.execute([conversation.0])?;
        self.heads.joined(conversation, user);
        Ok(Written::Done)
    }

    /// Carries out [`logic::contract::timeline::Write::MoveCursors`]: see [`CursorStep::apply`]. Updates only, so that who is no
    /// member stays none.
    pub(super) fn move_cursors(&mut self, mut moves: Vec<CursorMove>) -> Result<Written, StoreError> {
        // In key order; moves of one member stay in theirs.
        moves.sort_by_key(|step| (step.conversation, step.user));
        let reach = "UPDATE member SET delivered_seq = max(delivered_seq, ?3), read_seq = max(read_seq, ?4) \
                     WHERE conversation_id = ?1 AND user_id = ?2 AND device = 0 \
                     AND (delivered_seq < ?3 OR read_seq < ?4)";
        let pass = "UPDATE member SET \
                    delivered_seq = CASE WHEN delivered_seq >= ?3 AND delivered_seq < ?4 THEN ?4 \
                                         ELSE delivered_seq END, \
                    read_seq = CASE WHEN read_seq >= ?3 AND read_seq < ?4 THEN ?4 ELSE read_seq END \
                    WHERE conversation_id = ?1 AND user_id = ?2 AND device = 0 \
                    AND (delivered_seq >= ?3 AND delivered_seq < ?4 OR read_seq >= ?3 AND read_seq < ?4)";
        let (mut reach, mut pass) = (self.conn.prepare_cached(reach)?, self.conn.prepare_cached(pass)?);
        let mut left_out = Vec::new();
        for CursorMove { conversation, user, epoch, step } in moves {
            if epoch != Epoch::NONE && !self.is_in_force(Fence { user, epoch })? {
                left_out.push((conversation, user));
                continue;
            }
            let (update, a, b) = match step {
                CursorStep::Reach { delivered, read } => (&mut reach, delivered, read),
                CursorStep::Pass { first, last } => (&mut pass, first.prev(), last),
            };
            update.execute((conversation.0, user.0, a.0 as i64, b.0 as i64))?;
        }
        Ok(Written::Timeline(timeline::Written::CursorsMoved { left_out }))
    }
}
