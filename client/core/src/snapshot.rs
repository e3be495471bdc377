//! What a session must remember to go on after a restart.

use crate::outbox::Unsent;
use std::fmt;
use wire::{ConversationId, Seq, UserId};

/// The state of a session that outlives it: whose it is, up to where each conversation was shown, and what waits to
/// be sent. Plain data, for a store to write in its own form.
///
/// Exactly-once showing across restarts holds as far as the snapshot is as new as what was shown: take one (and make it
/// durable) after handling events and before the next [`poll_transmit`](crate::Session::poll_transmit).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The account; `None`: nobody has logged in yet.
    pub account: Option<UserId>,
    /// To log in by.
    pub token: Option<Box<str>>,
    /// The number that the next own message gets.
    pub next_number: u64,
    /// Each conversation's state, by id.
    pub conversations: Vec<ConversationSnapshot>,
    /// Own messages that wait, in order.
    pub unsent: Vec<Unsent>,
}

/// One conversation's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationSnapshot {
    pub conversation: ConversationId,
    /// Up to where it was shown; `None`: not known where this client begins.
    pub cursor: Option<Seq>,
    /// Up to where it was read here.
    pub read: Seq,
    /// Own messages above `cursor` that were reported as sent.
    pub own_above: Vec<Seq>,
}

// A token never reaches a log.
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
