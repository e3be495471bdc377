//! The nodes that share a database, and the information they exchange through it.

use super::epoch::Epoch;
use std::sync::Arc;
use wire::session::KickCode;
use wire::{ConversationId, ConversationKind, Seq, UnixMillis, UserId};

/// A node that was not seen for this long is considered gone, milliseconds.
pub const SILENT_MS: u64 = 30_000;

/// How long the sessions of a silent node remain valid, milliseconds: for their grace period, but at least for as long
/// as a live node may be silent.
#[must_use]
pub fn node_grace(grace: u64) -> u64 {
    grace.max(SILENT_MS)
}

#[derive(Clone, Debug)]
pub enum Write {
    /// Records that this node is alive. Outcome: done.
    See {
        node: Arc<str>,
        /// Whether other nodes may have missed publications of this one.
        unheard: bool,
    },
}

#[derive(Clone, Debug)]
pub enum Read {
    /// Sessions that other nodes claimed, or that were ended, at or after a time. Answer: [`Found::Claims`].
    Claims {
        /// The asking node; its own claims are omitted.
        node: Arc<str>,
        /// [`UnixMillis::MAX`] only asks for the time.
        since: UnixMillis,
    },
    /// Conversations that received messages at or after a time and in which a member whose session this node holds is
    /// behind, by that time, at most [`CHANGES_MAX`]. Answer: [`Found::Changes`].
    Changes {
        node: Arc<str>,
        /// [`UnixMillis::MAX`] only asks for the time.
        since: UnixMillis,
    },
    /// The latest claim of an account. Answer: [`Found::Epoch`].
    Epoch { user: UserId },
    /// The members of a conversation and their delivered positions. Answer: [`Found::Roster`].
    Roster { conversation: ConversationId },
}

/// Rows of one [`Read::Changes`] page.
pub const CHANGES_MAX: usize = 10_000;

#[derive(Clone, Debug)]
pub enum Found {
    Claims {
        /// The current time. A claim that takes effect later may carry an earlier time, by as much as a transaction may
        /// last.
        now: UnixMillis,
        claims: Vec<Claim>,
        /// When another node last reported that its publications may be lost; 0: never.
        unheard: UnixMillis,
    },
    Epoch {
        /// [`Epoch::NONE`]: the account was never claimed.
        latest: Epoch,
        why: KickCode,
    },
    /// Boxed, as it would make every answer larger.
    Changes(Box<Changes>),
    /// `None`: there is no such conversation.
    Roster(Option<Box<Roster>>),
}

/// The latest claim of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub user: UserId,
    pub epoch: Epoch,
    /// Why it ended the sessions before.
    pub why: KickCode,
}

/// Conversations that received messages.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The current time, or the time of the last row if there are more. As for claims, rows that appear later may carry
    /// an earlier time.
    pub upto: UnixMillis,
    /// Whether there are others.
    pub more: bool,
    pub ends: Vec<End>,
}

/// The end of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub conversation: ConversationId,
    pub last: Seq,
}

/// A conversation's members and their delivered positions, at `last` or later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    pub kind: ConversationKind,
    pub last: Seq,
    /// All members by id.
    pub members: Vec<RosterMember>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RosterMember {
    pub user: UserId,
    /// The member sees the timeline above this seq.
    pub joined: Seq,
    /// The `delivered` cursor.
    pub delivered: Seq,
}
