//! System entries: what tells the members of a change of a conversation, stored with the change.

use super::append_cache::Next;
use super::codec::{Entry as StoredEntry, VERSION, put_entry};
use super::entry;
use super::run::place;
use super::store::{Batch, SqliteStore};
use crate::column::{Sort, system_content};
use crate::error::StoreError;
use crate::fault::At;
use logic::contract::entry::{Actor, Announcement, Entry};
use logic::contract::message::Stored;
use std::sync::Arc;
use wire::{ConversationId, ConversationKind, Seq, UserId};

impl SqliteStore {
    /// Takes the next place of a timeline that exists.
    pub(super) fn next_place(
        &mut self,
        batch: &Batch,
        conversation: ConversationId,
    ) -> Result<Next, StoreError> {
        let head = self.cache.get(&self.conn, &self.resident, conversation)?;
        let absent = || StoreError::Fault("the conversation does not exist".to_owned());
        head.ok_or_else(absent)
            .and_then(|head| head.advance(batch.dated, batch.month))
            .at("conversation", conversation)
    }

    /// Appends a system entry of a group to its timeline, in the open transaction, at the place that `next` has taken.
    pub(super) fn append_entry(
        &mut self,
        batch: &Batch,
        conversation: ConversationId,
        next: Next,
        by: &Actor,
        told: Announcement,
    ) -> Result<Entry, StoreError> {
        let Next { seq, time, .. } = next;
        let kind = ConversationKind::Group;
        let message = by.entry(told, Stored { conversation, seq, time });
        let system = message.system().expect("it was made as a system entry");
        let content = system_content(system, &message.content);
        let (cid, content_type, content) = (&*by.cid, system.event.as_str(), &*content);
        let (sender, sort, references) = (by.user, Sort::System, None);
        let stored = StoredEntry { cid, sender, time, kind, sort, content_type, content, references };
        let hash = self.sent.look_up(batch.today, by.user, by.cid.as_bytes()).hash;
        self.append_row(conversation, seq, hash, &stored)?;
        let head = self.cache.get(&self.conn, &self.resident, conversation)?;
        let members: Arc<[UserId]> = head.map_or_else(Arc::default, |head| Arc::clone(&head.members));
        Ok(Entry { message, members })
    }

    /// Appends an entry as a row of the table `entry`. `hash`: of its `cid`.
    pub(super) fn append_row(
        &mut self,
        conversation: ConversationId,
        seq: Seq,
        hash: u64,
        stored: &StoredEntry<'_>,
    ) -> Result<(), StoreError> {
        let mut page = vec![VERSION];
        put_entry(&mut page, stored);
        entry::insert(&self.conn, conversation, seq, &page)?;
        Ok(self.run.push_row(place(conversation, seq), hash, page)?)
    }
}
