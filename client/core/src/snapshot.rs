//! The state of a session that survives a restart.

use crate::outbox::Unsent;
use std::fmt;
use wire::{ConversationId, Seq, UserId};

/// The account, how far each conversation was shown, and the unsent messages: plain data for a store.
///
/// Messages are shown exactly once across restarts only if the snapshot is as recent as the messages shown: take it,
/// and make it durable, after handling events and before writing the bytes of the next
/// [`poll_transmit`](crate::Session::poll_transmit).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// `None`: no account has logged in yet.
    pub account: Option<UserId>,
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
