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
use logic::contract::change::{Place, React, Refused, Write, Written as Outcome};
use logic::contract::entry::{Actor, Entry};
use logic::contract::message::Stored;
use logic::contract::{Denial, Written};
use logic::rights;
use rusqlite::OptionalExtension;
use std::sync::Arc;
use wire::limits::REACTION_KINDS;
use wire::{ConversationId, ConversationKind, Message, Seq, UserId};

impl SqliteStore {
    pub(super) fn write_change(&mut self, batch: &Batch, write: Write) -> Result<Written, StoreError> {
        match write {
            Write::React(react) => self.react(batch, &react),
        }
    }

    fn react(&mut self, batch: &Batch, react: &React) -> Result<Written, StoreError> {
        let React { by, conversation, seq, reaction, on } = react;
        let (conversation, seq, on) = (*conversation, *seq, *on);
        let hint = self.sent.look_up(batch.today, by.user, by.cid.as_bytes());
        if hint.may_be_sent
            && let Some(told) = self.find_sent(hint.hash, by.user, &by.cid)?
        {
            return Ok(match react.is_told_by(&told) {
                true => unchanged(Place { seq: told.seq, time: told.time }),
                false => Written::Denied(Denial::Conflict),
            });
        }
        let Some(found) = self.entry_in_view(by.user, conversation, seq)? else {
            return Ok(Written::Denied(Denial::Forbidden));
        };
        if let Err(why) = rights::react(found.as_deref()) {
            return Ok(Written::Change(Outcome::Refused(why)));
        }
        let key = Key { conversation, seq, user: by.user, reaction };
        match (changed::reaction(&self.conn, key).at("reaction", conversation)?, on) {
            (Some(told), true) => return Ok(unchanged(told)),
            (None, false) => return Ok(unchanged(Place { seq: Seq(0), time: batch.now })),
            (None, true) | (Some(_), false) => {}
        }
        let row = changed::row(&self.conn, conversation, seq)?;
        let mut row = row.unwrap_or(Changed { seq, ..Changed::default() });
        if on && !row.reactions.has(reaction) && row.reactions.kinds() >= REACTION_KINDS {
            return Ok(Written::Change(Outcome::Refused(Refused::Kinds)));
        }
        let Next { seq: told, time, .. } = self.next_place(batch, conversation)?;
        row.change = told;
        if on {
            changed::add_reaction(&self.conn, key, Place { seq: told, time })?;
            row.reactions.add(reaction, by.user);
        } else {
            row.reactions.take_back(reaction, changed::delete_reaction(&self.conn, key)?);
        }
        changed::write(&self.conn, conversation, &row)?;
        let stored = Stored { conversation, seq: told, time };
        let entry = self.append_change(hint, by, conversation, |kind| react.entry(kind, stored))?;
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

    /// What a member's view has at a seq. The outer `None`: the user is no member.
    fn entry_in_view(
        &mut self,
        user: UserId,
        conversation: ConversationId,
        seq: Seq,
    ) -> Result<Option<Option<Arc<Message>>>, StoreError> {
        let head =
            self.cache.get(&self.conn, &self.resident, conversation).at("conversation", conversation)?;
        let Some(last) = head.filter(|head| head.has_member(user)).map(|head| head.last) else {
            return Ok(None);
        };
        let sql = "SELECT max(c.first_seq, m.joined_seq + 1, m.cleared_seq + 1) \
                   FROM member m JOIN conversation c ON c.id = m.conversation_id \
                   WHERE m.conversation_id = ?1 AND m.user_id = ?2 AND m.device = 0";
        let mut select = self.conn.prepare_cached(sql)?;
        let first = select
            .query_row((conversation.0, user.0), |row| column::seq(row, 0))
            .optional()
            .at("member", key_of(conversation, user))?;
        drop(select);
        let Some(first) = first else { return Ok(None) };
        match (first..=last).contains(&seq) {
            true => self.entry_at(user, conversation, seq).map(Some),
            false => Ok(Some(None)),
        }
    }

    fn entry_at(
        &mut self,
        reader: UserId,
        conversation: ConversationId,
        seq: Seq,
    ) -> Result<Option<Arc<Message>>, StoreError> {
        let now = (self.clock)();
        let mut view = View { conn: &self.conn, resident: &self.resident, names: &mut self.names, now };
        let wanted = Wanted { conversation, has_changes: false, with_changes: true, reader: Some(reader) };
        let page = pages::after(&mut view, wanted, seq.prev(), 1, Damage::Ends, |_| false)
            .at("segment", conversation)?;
        Ok(page.messages.into_iter().next().filter(|entry| entry.seq == seq))
    }
}

fn unchanged(place: Place) -> Written {
    Written::Change(Outcome::Unchanged(place))
}
