//! Changes of entries: each is one transaction of the tables `changed` and `reaction` and the entry that tells of it.

use super::append_cache::Next;
use super::changed::{self, Key};
use super::codec::Entry as StoredEntry;
use super::column;
use super::pages::{self, Damage, Wanted};
use super::sent::CidHint;
use super::store::{Batch, SqliteStore};
use super::timeline::key_of;
use super::view::View;
use crate::changed::Changed;
use crate::column::{Sort, change_content};
use crate::error::StoreError;
use crate::fault::At;
use logic::contract::change::{Place, Refused, What, Write, Written as Outcome};
use logic::contract::entry::{Actor, Entry};
use logic::contract::message::Stored;
use logic::contract::{Denial, Written};
use logic::rights::{self, Asked, Step};
use rusqlite::OptionalExtension;
use std::sync::Arc;
use wire::group::Role;
use wire::{ConversationId, ConversationKind, Message, Seq, UserId};

/// How a member stands to an entry of its conversation.
struct Standing {
    role: Role,
    /// Whether it is in the member's view.
    is_in_view: bool,
}

impl SqliteStore {
    pub(super) fn write_change(&mut self, batch: &Batch, write: &Write) -> Result<Written, StoreError> {
        let Write { by, conversation, seq, .. } = write;
        let (conversation, seq) = (*conversation, *seq);
        let hint = self.sent.look_up(batch.today, by.user, by.cid.as_bytes());
        if hint.may_be_sent
            && let Some(told) = self.find_sent(hint.hash, by.user, &by.cid)?
        {
            return Ok(match write.is_told_by(&told) {
                true => unchanged(Place { seq: told.seq, time: told.time }),
                false => Written::Denied(Denial::Conflict),
            });
        }
        let Some(standing) = self.standing(by.user, conversation, seq)? else {
            return Ok(Written::Denied(Denial::Forbidden));
        };
        let row = changed::row(&self.conn, conversation, seq)?;
        let row = row.unwrap_or(Changed { seq, ..Changed::default() });
        let entry = match standing.is_in_view {
            true => self.entry_at(by.user, conversation, &row)?,
            false => None,
        };
        let sender_role = match entry.as_deref() {
            Some(entry) => self.role_of(conversation, entry.from)?,
            None => Role::Normal,
        };
        let asked = Asked { entry: entry.as_deref(), role: standing.role, sender_role, now: batch.now };
        match (rights::change(write, asked), entry) {
            (Err(why), _) => Ok(refused(why)),
            (Ok(Step::IsDone), Some(entry)) => Ok(unchanged(row.told(&entry))),
            (Ok(_), entry) => self.make_change(batch, hint, write, row, entry.as_deref()),
        }
    }

    /// Makes a change of an entry that may be made. `row`: that of the entry before it.
    fn make_change(
        &mut self,
        batch: &Batch,
        hint: CidHint,
        write: &Write,
        mut row: Changed,
        entry: Option<&Message>,
    ) -> Result<Written, StoreError> {
        let Write { by, conversation, seq, what } = write;
        let (conversation, seq) = (*conversation, *seq);
        if let What::React { reaction, on } = what {
            let key = Key { conversation, seq, user: by.user, reaction };
            let told = changed::reaction(&self.conn, key).at("reaction", conversation)?;
            if let Some(outcome) = row.reactions.outcome(reaction, *on, told, batch.now) {
                return Ok(Written::Change(outcome));
            }
        }
        let Next { seq: place, time, .. } = self.next_place(batch, conversation)?;
        let told = Place { seq: place, time };
        match what {
            What::React { reaction, on } => {
                let key = Key { conversation, seq, user: by.user, reaction };
                row.change = told.seq;
                if *on {
                    changed::add_reaction(&self.conn, key, told)?;
                    row.reactions.add(reaction, by.user);
                } else {
                    row.reactions.take_back(reaction, changed::delete_reaction(&self.conn, key)?);
                }
            }
            What::Edit { content, .. } => {
                changed::empty_edit(&self.conn, conversation, &row, told.seq)?;
                row.edit(content, told);
            }
            What::Recall { .. } => {
                changed::empty_edit(&self.conn, conversation, &row, told.seq)?;
                changed::scrub(&self.conn, conversation, seq)?;
                self.scrubber.note(batch.now);
                if let Some(message) = entry {
                    changed::note_recall(&self.conn, message, told.seq)?;
                }
                row.recall(told);
            }
        }
        changed::write(&self.conn, conversation, &row)?;
        let stored = Stored { conversation, seq: told.seq, time };
        let entry = self.append_change(hint, by, conversation, |kind| write.entry(kind, stored))?;
        Ok(Written::Change(Outcome::Made(entry)))
    }

    /// Appends an entry that tells of a change to its timeline, in the open transaction, at a place that was taken.
    fn append_change(
        &mut self,
        hint: CidHint,
        by: &Actor,
        conversation: ConversationId,
        entry: impl FnOnce(ConversationKind) -> Arc<Message>,
    ) -> Result<Entry, StoreError> {
        let head = self.cache.get(&self.conn, &self.resident, conversation)?;
        let absent = || StoreError::Fault("the conversation does not exist".to_owned());
        let head = head.ok_or_else(absent).at("conversation", conversation)?;
        let (kind, members) = (head.kind, Arc::clone(&head.members));
        let message = entry(kind);
        let change = message.change().expect("it was made as an entry of a change");
        let content = change_content(change, &message.content);
        let (cid, content_type, content) = (&*by.cid, &*message.content_type, &*content);
        let (sender, time, sort, references) = (by.user, message.time, Sort::Change, None);
        let stored = StoredEntry { cid, sender, time, kind, sort, content_type, content, references };
        self.append_row(conversation, message.seq, hint.hash, &stored)?;
        Ok(Entry { message, members })
    }

    /// `None`: the user is no member.
    fn standing(
        &mut self,
        user: UserId,
        conversation: ConversationId,
        seq: Seq,
    ) -> Result<Option<Standing>, StoreError> {
        let head =
            self.cache.get(&self.conn, &self.resident, conversation).at("conversation", conversation)?;
        let Some(last) = head.filter(|head| head.has_member(user)).map(|head| head.last) else {
            return Ok(None);
        };
        let sql = "SELECT m.role, max(c.first_seq, m.joined_seq + 1, m.cleared_seq + 1) \
                   FROM member m JOIN conversation c ON c.id = m.conversation_id \
                   WHERE m.conversation_id = ?1 AND m.user_id = ?2 AND m.device = 0";
        let mut select = self.conn.prepare_cached(sql)?;
        let found = select
            .query_row((conversation.0, user.0), |row| Ok((column::role(row, 0)?, column::seq(row, 1)?)))
            .optional()
            .at("member", key_of(conversation, user))?;
        Ok(found.map(|(role, first)| Standing { role, is_in_view: (first..=last).contains(&seq) }))
    }

    /// The role of a user; of who is no member, that of a member.
    pub(super) fn role_of(&self, conversation: ConversationId, user: UserId) -> Result<Role, StoreError> {
        let sql = "SELECT role FROM member WHERE conversation_id = ?1 AND user_id = ?2 AND device = 0";
        let mut select = self.conn.prepare_cached(sql)?;
        let role = select.query_row((conversation.0, user.0), |row| column::role(row, 0)).optional();
        Ok(role.at("member", key_of(conversation, user))?.unwrap_or(Role::Normal))
    }

    /// An entry as changes have left it, of which `changed` is the row.
    fn entry_at(
        &mut self,
        reader: UserId,
        conversation: ConversationId,
        changed: &Changed,
    ) -> Result<Option<Arc<Message>>, StoreError> {
        let (now, seq) = ((self.clock)(), changed.seq);
        let SqliteStore { conn, resident, names, headers, logins, .. } = self;
        let mut view = View { conn, resident, names, headers, logins, now };
        let wanted =
            Wanted { conversation, has_changes: false, with_changes: true, reader: Some(reader), upto: None };
        let page = pages::after(&mut view, wanted, seq.prev(), 1, Damage::Ends, |_| false)
            .at("segment", conversation)?;
        let mut entry = page.messages.into_iter().next().filter(|entry| entry.seq == seq);
        if let Some(entry) = &mut entry {
            changed.clone().lay_over(Arc::make_mut(entry), Some(reader));
        }
        Ok(entry)
    }
}

fn refused(why: Refused) -> Written {
    Written::Change(Outcome::Refused(why))
}

fn unchanged(place: Place) -> Written {
    Written::Change(Outcome::Unchanged(place))
}
