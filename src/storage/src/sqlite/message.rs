//! Appends: a message is validated, numbered and encoded in memory; the journal gets one record for the whole batch.

use super::append_cache::Next;
use super::codec::{Bytes, Entry};
use super::column::next_id;
use super::filing::Filing;
use super::listing::list;
use super::pages;
use super::references::Timelines;
use super::resident::Unlisted;
use super::run::{parts, place};
use super::sent::{self, CidHint};
use super::store::{Batch, SqliteStore, Sync};
use crate::account_usage::Charge;
use crate::column::Sort;
use crate::error::StoreError;
use crate::fault::At;
use crate::listing::Listed;
use logic::contract::message::{self, Append, Stored};
use logic::contract::{Denial, Epoch, Fence, Write, Written};
use std::sync::Arc;
use wire::{ConversationId, Message, References, Target, UserId};

impl SqliteStore {
    /// `hint` is what [`SqliteStore::hint`] returned for this write.
    pub(super) fn write_message(
        &mut self,
        batch: &Batch,
        write: message::Write,
        hint: CidHint,
    ) -> Result<Written, StoreError> {
        match write {
            message::Write::Append(append) => self.append(batch, append, hint),
            message::Write::AppendByToken(by) if !self.is_token_in_force(batch, &by.token)? => {
                Ok(Written::Superseded)
            }
            message::Write::AppendByToken(by) => self.append(batch, by.append, hint),
        }
    }

    /// Looks up and remembers the cid of a message. If the message is not stored after all, its next attempt only costs
    /// one look-up on the disk.
    pub(super) fn hint(&mut self, batch: &Batch, write: &Write) -> CidHint {
        match write {
            Write::Message(write) => self.hint_of(batch, write),
            _ => CidHint::default(),
        }
    }

    pub(super) fn hint_of(&mut self, batch: &Batch, write: &message::Write) -> CidHint {
        let append = match write {
            message::Write::Append(append) => append,
            message::Write::AppendByToken(by) => &by.append,
        };
        self.sent.look_up(batch.today, append.sender, append.cid.as_bytes())
    }

    fn append(&mut self, batch: &Batch, append: Append, hint: CidHint) -> Result<Written, StoreError> {
        let (sender, epoch, cid) = (append.sender, append.epoch, &*append.cid);
        if epoch != Epoch::NONE && !self.is_in_force(Fence { user: sender, epoch })? {
            return Ok(Written::Superseded);
        }
        if hint.may_be_sent
            && let Some(sent) = self.find_sent(hint.hash, sender, cid)?
        {
            let Message { conversation, seq, time, .. } = *sent;
            let stored = Stored { conversation, seq, time };
            return Ok(match sent.is_message() {
                true => Written::Message(message::Written::Duplicate(stored)),
                false => Written::Denied(Denial::Conflict),
            });
        }
        let conversation = match &append.target {
            Target::Conversation(conversation) | Target::Group(conversation) => *conversation,
            Target::User(user) => match self.open_direct(batch, sender, Some(*user))? {
                Ok(conversation) => conversation,
                Err(refused) => return Ok(refused),
            },
            Target::Name(name) => {
                let user = self.cache.user(&self.conn, name)?;
                match self.open_direct(batch, sender, user)? {
                    Ok(conversation) => conversation,
                    Err(refused) => return Ok(refused),
                }
            }
        };
        let head =
            self.cache.get(&self.conn, &self.resident, conversation).at("conversation", conversation)?;
        let head = match head {
            Some(head) if head.has_member(sender) && append.fits(head.kind) => head,
            _ => return Ok(Written::Denied(Denial::Forbidden)),
        };
        if let Some(references) = &append.references {
            let timelines = Timelines { conn: &self.conn, resident: &self.resident, run: &self.run };
            if let Err(why) = timelines.check(conversation, head, sender, references)? {
                return Ok(Written::Denied(Denial::Reference(why)));
            }
        }
        let Next { seq, month, time } =
            head.advance(batch.dated, batch.month).at("conversation", conversation)?;
        let (kind, members) = (head.kind, Arc::clone(&head.members));
        if !head.listed.holds(time) {
            head.listed = Listed::after(time, members.len());
            self.unlisted.push(Unlisted { conversation, seq, members: Arc::clone(&members) });
        }
        let (content_type, content) = (append.content_type(), &*append.content);
        let references = append.references.as_deref().map(References::to_json);
        let (sort, references) = (Sort::Message, references.as_deref());
        let entry = Entry { cid, sender, time, kind, sort, content_type, content, references };
        self.run.push(place(conversation, seq), hint.hash, month, &entry);
        let message = append.into_message(kind, Stored { conversation, seq, time });
        Ok(Written::Message(message::Written::Appended { message, members }))
    }

    /// Finds or creates the direct conversation with a user, or the sender's notes, or returns why there is none.
    fn open_direct(
        &mut self,
        batch: &Batch,
        sender: UserId,
        peer: Option<UserId>,
    ) -> Result<Result<ConversationId, Written>, StoreError> {
        let Some(peer) = peer else { return Ok(Err(Written::Denied(Denial::NotFound))) };
        if let Some(conversation) = self.cache.direct(&self.conn, sender, peer)? {
            return Ok(Ok(conversation));
        }
        if !self.conn.prepare_cached("SELECT 1 FROM user WHERE id = ?1")?.exists([peer.0])? {
            return Ok(Err(Written::Denied(Denial::NotFound)));
        }
        self.begin(Sync::Now)?;
        if let Err(denial) = self.charge(batch, sender, Charge::Conversation)? {
            return Ok(Err(Written::Denied(denial)));
        }
        let conversation = self.whole_or_nothing(|store| store.create_direct(batch, sender, peer))?;
        Ok(Ok(conversation))
    }

    fn create_direct(
        &mut self,
        batch: &Batch,
        sender: UserId,
        peer: UserId,
    ) -> Result<ConversationId, StoreError> {
        let (low, high) = (sender.min(peer), sender.max(peer));
        let sql = concat!(
            "INSERT INTO conversation (id, kind, low_id, high_id, updated_at, listed_until) VALUES (",
            next_id!("conversation"),
            ", 0, ?1, ?2, ?3, ?3)"
        );
        let conversation = self.conn.prepare_cached(sql)?.insert((low.0, high.0, batch.now.0 as i64))?;
        let members = if low == high { &[low][..] } else { &[low, high] };
        for user in members.iter().copied() {
            let sql = "INSERT INTO member (conversation_id, user_id) VALUES (?1, ?2)";
            self.conn.prepare_cached(sql)?.execute((conversation, user.0))?;
            list(&self.conn, ConversationId(conversation as u32), user)?;
        }
        Ok(ConversationId(conversation as u32))
    }

    /// The entry that was stored with this sender and cid.
    pub(super) fn find_sent(
        &mut self,
        hash: u64,
        sender: UserId,
        cid: &str,
    ) -> Result<Option<Arc<Message>>, StoreError> {
        let filing = self.filing.as_ref().map(Filing::run);
        for run in [Some(&self.run), filing].into_iter().flatten() {
            if let Some(slot) = run.find(hash, sender, cid) {
                let entry = Bytes::entry_of(run.entry(slot))?;
                let (conversation, seq) = parts(slot.place);
                let entry = pages::message(&self.conn, &mut self.names, conversation, seq, entry)?;
                return entry.map(Some).map_err(StoreError::Fault);
            }
        }
        let Some((conversation, seq)) =
            sent::find(&self.conn, &self.tables, sender, cid).at("sent", sender)?
        else {
            return Ok(None);
        };
        pages::filed(&self.conn, &mut self.names, conversation, seq).at("message", conversation).map(Some)
    }
}
