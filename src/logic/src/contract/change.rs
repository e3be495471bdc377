//! Changes of entries: each is stored in one transaction with the entry that tells of it.

use super::entry::{Actor, Entry};
use super::message::Stored;
use std::sync::Arc;
use wire::change::REACTION;
use wire::message::is_server_cid;
use wire::{Change, ChangeKind, ConversationId, ConversationKind, Message, Seq, UnixMillis};

#[derive(Clone, Debug)]
pub enum Write {
    /// Adds the actor's reaction to a message, or takes it back. Outcome: [`Written::Made`], [`Written::Unchanged`] or
    /// [`Written::Refused`], or denied with `Forbidden` (is no member) or `Conflict` (the `cid` belongs to something else).
    React(React),
}

/// A change of a reaction. The actor's `cid` is in one space with those of messages: if it was stored with the same
/// change, that is the outcome.
#[derive(Clone, Debug)]
pub struct React {
    pub by: Actor,
    pub conversation: ConversationId,
    pub seq: Seq,
    pub reaction: Box<str>,
    pub on: bool,
}

#[derive(Clone, Debug)]
pub enum Written {
    /// The change is durable; this entry tells of it.
    Made(Entry),
    /// There was nothing to change, or the `cid` was stored before.
    Unchanged(Place),
    /// The entry cannot be changed so.
    Refused(Refused),
}

/// The entry that tells of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// 0: there is none.
    pub seq: Seq,
    /// When it was stored; where there is none, the present time.
    pub time: UnixMillis,
}

/// Why an entry cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such entry, or the member's view begins after it.
    Absent,
    /// It is not a message.
    NoMessage,
    /// It has as many kinds of reactions as a message may have.
    Kinds,
}

impl React {
    pub fn change(&self) -> Change {
        Change { of: self.seq, kind: ChangeKind::Reaction { on: self.on } }
    }

    /// The entry that tells of it.
    #[must_use]
    pub fn entry(&self, kind: ConversationKind, stored: Stored) -> Arc<Message> {
        let Actor { user, name, cid } = &self.by;
        Arc::new(Message {
            conversation: stored.conversation,
            kind,
            seq: stored.seq,
            from: *user,
            name: Arc::clone(name),
            content_type: REACTION.into(),
            content: self.reaction.clone(),
            time: stored.time,
            cid: (!is_server_cid(cid)).then(|| cid.clone()),
            extra: Some(self.change().into()),
        })
    }

    /// Whether an entry that was stored with the actor's `cid` tells of this change.
    #[must_use]
    pub fn is_told_by(&self, entry: &Message) -> bool {
        entry.conversation == self.conversation
            && entry.change() == Some(self.change())
            && entry.content == self.reaction
    }
}
