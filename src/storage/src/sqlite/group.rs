//! Groups and their members.

use super::column::{self, next_id, undamaged};
use super::listing::list;
use super::store::{Batch, SqliteStore};
use super::view::View;
use crate::account_usage::Charge;
use crate::column::OWNER;
use crate::error::StoreError;
use crate::fault::At;
use crate::page::Rows;
use logic::contract::entry::Actor;
use logic::contract::group::{self, Member};
use logic::contract::{Denial, Found, Quota, Written};
use rusqlite::Row;
use wire::entry::Event;
use wire::group::Group;
use wire::{ConversationId, ConversationKind, Page, UserId};

impl SqliteStore {
    pub(super) fn write_group(&mut self, batch: &Batch, write: group::Write) -> Result<Written, StoreError> {
        match write {
            group::Write::Create { by, name, desc } => self.create_group(batch, &by, &name, &desc),
            group::Write::Join { by, conversation } => self.join_group(batch, &by, conversation),
        }
    }

    fn create_group(
        &mut self,
        batch: &Batch,
        by: &Actor,
        name: &str,
        desc: &str,
    ) -> Result<Written, StoreError> {
        if let Err(denial) = self.charge(batch, by.user, Charge::Group)? {
            return Ok(Written::Denied(denial));
        }
        let sql = concat!(
            "INSERT INTO conversation (id, kind, name, description, updated_at, listed_until) VALUES (",
            next_id!("conversation"),
            ", 1, ?1, ?2, ?3, ?3)"
        );
        let id = self.conn.prepare_cached(sql)?.insert((name, desc, batch.now.0 as i64))?;
        let sql =
            "INSERT INTO member (conversation_id, user_id, kind, role, read_seq) VALUES (?1, ?2, 1, ?3, 1)";
        self.conn.prepare_cached(sql)?.execute((id, by.user.0, OWNER))?;
        let conversation = ConversationId(id as u32);
        list(&self.conn, conversation, by.user)?;
        let next = self.next_place(batch, conversation)?;
        let entry = self.append_entry(batch, conversation, next, by, Event::Created)?;
        Ok(Written::Group(group::Written::Created(entry)))
    }

    /// The member's view begins with the entry, which is undelivered but read.
    fn join_group(
        &mut self,
        batch: &Batch,
        by: &Actor,
        conversation: ConversationId,
    ) -> Result<Written, StoreError> {
        let head =
            self.cache.get(&self.conn, &self.resident, conversation).at("conversation", conversation)?;
        let members = match head {
            Some(head) if head.kind == ConversationKind::Direct => {
                return Ok(Written::Denied(Denial::NotFound));
            }
            Some(head) if head.has_member(by.user) => return Ok(Written::Denied(Denial::Conflict)),
            Some(head) => head.members.len(),
            None => return Ok(Written::Denied(Denial::NotFound)),
        };
        if self.quotas.members > 0 && members >= self.quotas.members as usize {
            return Ok(Written::Denied(Denial::Quota(Quota::Members)));
        }
        if let Err(denial) = self.charge(batch, by.user, Charge::Conversation)? {
            return Ok(Written::Denied(denial));
        }
        let next = self.next_place(batch, conversation)?;
        let sql = "INSERT INTO member (conversation_id, user_id, kind, joined_seq, delivered_seq, read_seq) \
                   VALUES (?1, ?2, 1, ?3, ?3, ?4)";
        let (before, seq) = (next.seq.prev().0 as i64, next.seq.0 as i64);
        self.conn.prepare_cached(sql)?.execute((conversation.0, by.user.0, before, seq))?;
        list(&self.conn, conversation, by.user)?;
        self.resident.joined(conversation, by.user);
        self.cache.joined(conversation, by.user);
        let entry = self.append_entry(batch, conversation, next, by, Event::Joined)?;
        Ok(Written::Group(group::Written::Joined(entry)))
    }
}

impl View<'_> {
    pub(super) fn read_group(&self, read: &group::Read) -> Result<Found, StoreError> {
        let found = match read {
            group::Read::Groups { user, page } => {
                let (groups, more) = self.groups(*user, *page).at("member", format_args!("(any, {user})"))?;
                group::Found::Groups { groups, more }
            }
            group::Read::GroupIds { user } => {
                group::Found::GroupIds(self.group_ids(*user).at("member", format_args!("(any, {user})"))?)
            }
            group::Read::Members { user, conversation, page } => {
                return self.members(*user, *conversation, *page).at("member", conversation);
            }
        };
        Ok(Found::Group(found))
    }

    pub(super) fn groups(&self, user: UserId, page: Page) -> Result<Rows<Group>, StoreError> {
        let sql = "SELECT c.id, c.name, c.description, m.role \
                   FROM member m INDEXED BY member_kind JOIN conversation c ON c.id = m.conversation_id \
                   WHERE m.user_id = ?1 AND m.kind = 1 AND m.conversation_id > ?2 AND m.device = 0 \
                   ORDER BY m.conversation_id LIMIT ?3";
        self.page("conversation", sql, user.0, page, |row| {
            let desc: Option<Box<str>> = row.get(2)?;
            Ok(Group {
                conversation: ConversationId(row.get(0)?),
                name: row.get(1)?,
                desc: desc.unwrap_or_default(),
                role: column::role(row, 3)?,
            })
        })
    }

    fn group_ids(&self, user: UserId) -> Result<Vec<ConversationId>, StoreError> {
        let sql = "SELECT conversation_id FROM member INDEXED BY member_kind \
                   WHERE user_id = ?1 AND kind = 1 AND device = 0 ORDER BY conversation_id";
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query([user.0])?;
        Ok(undamaged("member", &mut rows, |row| row.get(0).map(ConversationId))?.0)
    }

    fn members(&self, user: UserId, conversation: ConversationId, page: Page) -> Result<Found, StoreError> {
        let sql = "SELECT 1 FROM member WHERE conversation_id = ?1 AND user_id = ?2 AND device = 0";
        if !self.conn.prepare_cached(sql)?.exists((conversation.0, user.0))? {
            return Ok(Found::Denied(Denial::Forbidden));
        }
        let sql = "SELECT u.id, u.name, m.role FROM member m JOIN user u ON u.id = m.user_id \
                   WHERE m.conversation_id = ?1 AND m.user_id > ?2 AND m.device = 0 ORDER BY m.user_id LIMIT ?3";
        let row = |row: &Row<'_>| {
            Ok(Member { user: UserId(row.get(0)?), name: row.get(1)?, role: column::role(row, 2)? })
        };
        let (members, more) = self.page("user", sql, conversation.0, page, row)?;
        Ok(Found::Group(group::Found::Members { members, more }))
    }
}
