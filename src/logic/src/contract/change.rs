//! Changes of entries: each is stored in one transaction with the entry that tells of it.

use super::entry::{Actor, Entry};
use super::message::Stored;
use std::sync::Arc;
use wire::message::is_server_cid;
use wire::{Change, ChangeKind, ConversationId, ConversationKind, Message, Seq, UnixMillis};

/// Changes an entry. Outcome: [`Written::Made`], [`Written::Unchanged`] or [`Written::Refused`], or denied with
/// `Forbidden` (is no member) or `Conflict` (the `cid` belongs to something else).
///
/// The actor's `cid` is in one space with those of messages: if it was stored with the same change, that is the outcome.
#[derive(Clone, Debug)]
pub struct Write {
    pub by: Actor,
    pub conversation: ConversationId,
    pub seq: Seq,
    pub what: What,
}

/// What is done to the entry.
#[derive(Clone, Debug)]
pub enum What {
    /// It gets another text.
    Edit {
        content: Box<str>,
        /// For how long after it was stored it may be edited, milliseconds.
        window: u64,
    },
    /// Its text is taken back, and so are its reactions.
    Recall {
        /// For how long after it was stored its sender may recall it, milliseconds.
        window: u64,
    },
    /// The actor's reaction is added, or taken back.
    React { reaction: Box<str>, on: bool },
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

/// The entry that tells of a change, or the message whose first text is what an edit asked for.
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
    /// It was recalled.
    Recalled,
    /// It is somebody else's.
    Foreign,
    /// The time in which it could be changed was over then.
    TooLate(UnixMillis),
    /// It has as many kinds of reactions as a message may have.
    Kinds,
}

impl Write {
    pub fn change(&self) -> Change {
        let kind = match self.what {
            What::Edit { .. } => ChangeKind::Edit,
            What::Recall { .. } => ChangeKind::Recall,
            What::React { on, .. } => ChangeKind::Reaction { on },
        };
        Change { of: self.seq, kind }
    }

    /// The content of the entry that tells of it.
    #[must_use]
    pub fn content(&self) -> &str {
        match &self.what {
            What::Edit { content, .. } => content,
            What::Recall { .. } => "",
            What::React { reaction, .. } => reaction,
        }
    }

    /// The entry that tells of it.
    #[must_use]
    pub fn entry(&self, kind: ConversationKind, stored: Stored) -> Arc<Message> {
        let Actor { user, name, cid } = &self.by;
        let change = self.change();
        Arc::new(Message {
            conversation: stored.conversation,
            kind,
            seq: stored.seq,
            from: *user,
            name: Arc::clone(name),
            content_type: change.content_type().into(),
            content: self.content().into(),
            time: stored.time,
            cid: (!is_server_cid(cid)).then(|| cid.clone()),
            extra: Some(change.into()),
        })
    }

    /// Whether an entry that was stored with the actor's `cid` tells of this change. The text of an edit does not count:
    /// it is gone once it is replaced.
    #[must_use]
    pub fn is_told_by(&self, entry: &Message) -> bool {
        let is_same = match &self.what {
            What::React { reaction, .. } => entry.content == *reaction,
            What::Edit { .. } | What::Recall { .. } => true,
        };
        entry.conversation == self.conversation && entry.change() == Some(self.change()) && is_same
    }
}
