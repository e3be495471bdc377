//! The state of a session that survives a restart.

use crate::outbox::Unsent;
use std::fmt;
use wire::{ConversationId, Message, Seq, UnixMillis, UserId};

/// The account, how far each conversation was shown, and the unsent messages: plain data for a store.
///
/// Messages are shown exactly once across restarts only if the snapshot is as recent as the messages shown: take it,
/// and make it durable, after handling events and before writing the bytes of the next
/// [`poll_transmit`](crate::Session::poll_transmit).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// `None`: no account has logged in yet.
    pub account: Option<UserId>,
    /// The identity of the server's database; `None`: not known, or of an older server.
    pub server: Option<Box<str>>,
    /// The history that this state agrees with.
    pub history: Option<Box<str>>,
    pub token: Option<Box<str>>,
    /// The number of the next outgoing message.
    pub next_number: u64,
    /// Sorted by id.
    pub conversations: Vec<ConversationSnapshot>,
    /// In the order in which they were written.
    pub unsent: Vec<Unsent>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationSnapshot {
    pub conversation: ConversationId,
    /// Everything up to here was shown; `None`: where this client's view begins is not known yet.
    pub cursor: Option<Seq>,
    /// Everything up to here was read on this device.
    pub read: Seq,
    /// Own messages above `cursor` that were reported as sent.
    pub own_above: Vec<Seq>,
    /// The latest message that was shown. A store, which has the messages, gives it only where it ends the account's view.
    pub last: Option<Kept>,
}

/// What tells a message from another one with its seq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub seq: Seq,
    pub from: UserId,
    pub time: UnixMillis,
    /// `None`: not known, or the sender gave none.
    pub cid: Option<Box<str>>,
    /// Those who ceased to be members by it, so that it is the last one that they see.
    pub leaving: Box<[UserId]>,
}

impl Kept {
    pub fn of(message: &Message) -> Kept {
        let Message { seq, from, time, cid, .. } = message;
        let system = message.system().filter(|system| system.removes_members());
        let leaving = system.map_or_else(Box::default, |system| system.who.clone());
        Kept { seq: *seq, from: *from, time: *time, cid: cid.clone(), leaving }
    }

    /// Whether it is the last message that a user sees.
    pub fn ends_view_of(&self, user: UserId) -> bool {
        self.leaving.contains(&user)
    }

    /// Whether this is the message, as far as is known.
    pub fn is_same(&self, message: &Message) -> bool {
        let is_same_cid = match (&self.cid, &message.cid) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        (self.seq, self.from, self.time) == (message.seq, message.from, message.time) && is_same_cid
    }
}

// The token must not reach a log.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("account", &self.account)
            .field("next_number", &self.next_number)
            .field("conversations", &self.conversations)
            .field("unsent", &self.unsent)
            .finish_non_exhaustive()
    }
}
