//! Groups and their members.

use super::column::{self, next_id, undamaged};
use super::former;
use super::listing::list;
use super::store::{Batch, SqliteStore};
use super::timeline::key_of;
use super::view::View;
use crate::account_usage::Charge;
use crate::column::role_number;
use crate::error::StoreError;
use crate::fault::At;
use crate::page::Rows;
use logic::contract::entry::Actor;
use logic::contract::group::{self, Change, Member, What};
use logic::contract::{Denial, Found, Quota, Written};
use logic::rights;
use logic::rights::group::{Asked, Step};
use rusqlite::Row;
use std::sync::Arc;
use wire::entry::Event;
use wire::group::{Group, Role};
use wire::{ConversationId, ConversationKind, Page, UserId};

impl SqliteStore {
    pub(super) fn write_group(&mut self, batch: &Batch, write: group::Write) -> Result<Written, StoreError> {
        match write {
            group::Write::Create { by, name, desc } => self.create_group(batch, &by, &name, &desc),
            group::Write::Join { by, conversation } => self.join_group(batch, &by, conversation),
            group::Write::Change(change) => self.change_group(batch, &change),
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
            "INSERT INTO conversation (id, kind, name, description, updated_at, listed_until, maker_id) VALUES (",
            next_id!("conversation"),
            ", 1, ?1, ?2, ?3, ?3, ?4)"
        );
        let id = self.conn.prepare_cached(sql)?.insert((name, desc, batch.now.0 as i64, by.user.0))?;
        let sql =
            "INSERT INTO member (conversation_id, user_id, kind, role, read_seq) VALUES (?1, ?2, 1, ?3, 1)";
        self.conn.prepare_cached(sql)?.execute((id, by.user.0, role_number(Role::Creator)))?;
        let conversation = ConversationId(id as u32);
        list(&self.conn, conversation, by.user)?;
        let next = self.next_place(batch, conversation)?;
        let entry = self.append_entry(batch, conversation, next, by, by.announcement(Event::Created))?;
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
        if self.takes_nobody_in(conversation, by.user).at("conversation", conversation)? {
            return Ok(Written::Denied(Denial::Forbidden));
        }
        if self.quotas.members > 0 && members >= self.quotas.members as usize {
            return Ok(Written::Denied(Denial::Quota(Quota::Members)));
        }
        if let Err(denial) = self.charge(batch, by.user, Charge::Conversation)? {
            return Ok(Written::Denied(denial));
        }
        let next = self.next_place(batch, conversation)?;
        let sql = "DELETE FROM former_member WHERE conversation_id = ?1 AND user_id = ?2";
        self.conn.prepare_cached(sql)?.execute((conversation.0, by.user.0))?;
        let sql = "INSERT INTO member (conversation_id, user_id, kind, joined_seq, delivered_seq, read_seq) \
                   VALUES (?1, ?2, 1, ?3, ?3, ?4)";
        let (before, seq) = (next.seq.prev().0 as i64, next.seq.0 as i64);
        self.conn.prepare_cached(sql)?.execute((conversation.0, by.user.0, before, seq))?;
        list(&self.conn, conversation, by.user)?;
        self.resident.joined(conversation, by.user);
        self.cache.joined(conversation, by.user);
        let entry = self.append_entry(batch, conversation, next, by, by.announcement(Event::Joined))?;
        Ok(Written::Group(group::Written::Joined(entry)))
    }

    /// Whether a group does not take a user in: it is dismissed, or the user is barred.
    fn takes_nobody_in(&self, conversation: ConversationId, user: UserId) -> rusqlite::Result<bool> {
        let sql = "SELECT dismissed_at IS NOT NULL OR EXISTS \
                   (SELECT 1 FROM barred WHERE conversation_id = ?1 AND user_id = ?2) FROM conversation WHERE id = ?1";
        self.conn.prepare_cached(sql)?.query_row((conversation.0, user.0), |row| row.get(0))
    }

    fn change_group(&mut self, batch: &Batch, change: &Change) -> Result<Written, StoreError> {
        let (by, conversation) = (&change.by, change.conversation);
        let head =
            self.cache.get(&self.conn, &self.resident, conversation).at("conversation", conversation)?;
        let members = match head {
            Some(head) if head.kind == ConversationKind::Group && head.has_member(by.user) => {
                Arc::clone(&head.members)
            }
            _ => return Ok(Written::Denied(Denial::Forbidden)),
        };
        let role = self.role_of(conversation, by.user)?;
        let target = match change.target() {
            Some(user) if members.binary_search(&user).is_ok() => Some(self.role_of(conversation, user)?),
            _ => None,
        };
        let has_left = match change.target() {
            Some(user) if target.is_none() => former::former(&self.conn, conversation, user)
                .at("former_member", key_of(conversation, user))?
                .is_some(),
            _ => false,
        };
        let asked = Asked { role, target, has_left, members: members.len() };
        match rights::group::change(change, asked) {
            Ok(Step::Make) => {}
            Ok(Step::Bar) => {
                change.target().map(|user| self.bar(conversation, user)).transpose()?;
                return Ok(Written::Group(group::Written::Unchanged));
            }
            Ok(Step::IsDone) => return Ok(Written::Group(group::Written::Unchanged)),
            Err(why) => return Ok(Written::Group(group::Written::Refused(why))),
        }
        let name = match change.target() {
            Some(user) => self.names.get(&self.conn, user)?,
            None => Arc::default(),
        };
        let next = self.next_place(batch, conversation)?;
        match change.what {
            What::Leave if members.len() == 1 => {
                self.dismiss(batch, conversation)?;
                self.end_membership(conversation, by.user, (next.seq, next.time))?;
            }
            What::Leave => self.end_membership(conversation, by.user, (next.seq, next.time))?,
            What::Remove { user, bar } => {
                self.end_membership(conversation, user, (next.seq, next.time))?;
                if bar {
                    self.bar(conversation, user)?;
                }
            }
            What::SetRole { user, role } => self.set_role(conversation, user, role)?,
            What::Transfer { user } => {
                self.set_role(conversation, by.user, Role::Admin)?;
                self.set_role(conversation, user, Role::Creator)?;
            }
        }
        let entry = self.append_entry(batch, conversation, next, by, change.announcement(&name))?;
        if let Some(user) = change.removed() {
            self.resident.left(conversation, user);
            self.cache.left(conversation, user);
        }
        Ok(Written::Group(group::Written::Changed(entry)))
    }

    /// The user does not join the group again.
    fn bar(&self, conversation: ConversationId, user: UserId) -> rusqlite::Result<()> {
        let sql = "INSERT OR IGNORE INTO barred (conversation_id, user_id) VALUES (?1, ?2)";
        self.conn.prepare_cached(sql)?.execute((conversation.0, user.0)).map(drop)
    }

    /// Nobody joins the group any more, and it does not count for who made it.
    fn dismiss(&self, batch: &Batch, conversation: ConversationId) -> rusqlite::Result<()> {
        let sql = "UPDATE account_usage SET groups_owned = max(groups_owned - 1, 0) \
                   WHERE user_id = (SELECT maker_id FROM conversation WHERE id = ?1)";
        self.conn.prepare_cached(sql)?.execute([conversation.0])?;
        let sql = "UPDATE conversation SET dismissed_at = ?2 WHERE id = ?1";
        self.conn.prepare_cached(sql)?.execute((conversation.0, batch.now.0 as i64)).map(drop)
    }

    fn set_role(&self, conversation: ConversationId, user: UserId, role: Role) -> rusqlite::Result<()> {
        let sql = "UPDATE member SET role = ?3 WHERE conversation_id = ?1 AND user_id = ?2 AND device = 0";
        self.conn.prepare_cached(sql)?.execute((conversation.0, user.0, role_number(role))).map(drop)
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
