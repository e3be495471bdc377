//! Pending reads of timelines and writes of cursors.

use crate::contract::timeline::CountedRange;
use crate::state::sessions::SessionRef;
use wire::timeline::{ConversationsPage, Typist};
use wire::{ConversationId, Seq, UserId};

#[derive(Debug)]
pub(crate) enum Pending {
    /// ACK or READ in a conversation without a track: the member's standing is being read.
    Standing(PendingReceipt),
    /// HISTORY: the page is being read.
    History,
    /// CONVERSATIONS: the page is being read.
    Conversations { user: UserId },
    /// CONVERSATIONS: what the user has read in part is being counted again.
    Recount(Box<Recount>),
    /// READERS: the page is being read.
    Readers,
    /// SEARCH: the index is being asked.
    Search,
    /// Messages for a session that is behind are being read.
    Feed { session: SessionRef, conversation: ConversationId },
    /// Further conversations in which a new session is behind are being read.
    Unread(SessionRef),
    /// How a user sees a conversation is being read for the user's other sessions, all but `by`.
    View { user: UserId, conversation: ConversationId, by: Option<SessionRef> },
    /// TYPING: whom to tell is being read.
    Typing(Typing),
    /// This many cursor moves are being written.
    Cursors(usize),
    /// SET_CONVERSATION: the settings are being written.
    Set { session: SessionRef, conversation: ConversationId },
    /// CLEAR: the member's view is being written.
    Clear { session: SessionRef, conversation: ConversationId },
}

/// A page of conversations, and the ranges of it that are being counted again.
#[derive(Debug)]
pub(crate) struct Recount {
    pub page: ConversationsPage,
    pub ranges: Vec<CountedRange>,
}

/// What is being read before others are told that a user is typing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Typing {
    /// The standing of the user.
    Standing(Typist),
    /// The members of the group.
    Members(Typist),
    /// The same; the user has a session on another node.
    Elsewhere(Typist),
}

impl Typing {
    pub fn typist(&self) -> Typist {
        let (Typing::Standing(typist) | Typing::Members(typist) | Typing::Elsewhere(typist)) = *self;
        typist
    }
}

/// A receipt, as received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingReceipt {
    pub session: SessionRef,
    pub conversation: ConversationId,
    pub seq: Seq,
    pub kind: ReceiptKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReceiptKind {
    Delivered,
    /// Implies `Delivered`.
    Read,
}
