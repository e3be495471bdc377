//! The nodes that share a database, and the information they exchange through it.

use super::epoch::Fence;
use std::sync::Arc;
use wire::session::KickCode;
use wire::{ConversationId, ConversationKind, Seq, UnixMillis, UserId};

/// A node that was not seen for this long is considered gone, milliseconds.
pub const SILENT_MS: u64 = 30_000;

/// How long a session that has ended is remembered, milliseconds: a node that has not asked for so long asks for each of its
/// sessions.
pub const ENDED_KEPT_MS: u64 = 600_000;

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
    /// What has become of this node's sessions at or after a time. Answer: [`Found::Claims`].
    Claims {
        node: Arc<str>,
        /// [`UnixMillis::MAX`] only asks for the time.
        since: UnixMillis,
    },
    /// Conversations that received messages at or after a time and in which a user whose session this node holds, and who
    /// is a member or was one, is behind, or also has a session on another node, by that time, at most [`CHANGES_MAX`].
    /// Answer: [`Found::Changes`].
    Changes {
        node: Arc<str>,
        /// [`UnixMillis::MAX`] only asks for the time.
        since: UnixMillis,
    },
    /// Whether a session is in force. Answer: [`Found::Session`].
    Session(Fence),
    /// The members of a conversation, those who lately were, and their delivered positions. Answer: [`Found::Roster`].
    Roster { conversation: ConversationId },
}

/// Rows of one [`Read::Changes`] page.
pub const CHANGES_MAX: usize = 10_000;

#[derive(Clone, Debug)]
pub enum Found {
    /// Boxed, as it would make every answer larger.
    Claims(Box<Claims>),
    /// Why the session ended; `None`: it is in force.
    Session(Option<KickCode>),
    /// Boxed, as it would make every answer larger.
    Changes(Box<Changes>),
    /// `None`: there is no such conversation.
    Roster(Option<Box<Roster>>),
}

/// What has become of the sessions of a node.
#[derive(Clone, Debug)]
pub struct Claims {
    /// The current time. What takes effect later may carry an earlier time, by as much as a transaction may last.
    pub now: UnixMillis,
    /// The node's sessions that have ended.
    pub ended: Vec<Ended>,
    /// Users with a session on this node for whom another node began one.
    pub joined: Vec<UserId>,
    /// When another node last reported that its publications may be lost; 0: never.
    pub unheard: UnixMillis,
}

/// A session that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub fence: Fence,
    pub why: KickCode,
}

/// Conversations that received messages.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The current time, or the time of the last row if there are more. As for [`Claims`], rows that appear later may carry
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
    /// All members by id, and of those who were members and have not joined again, whoever has a session and either has not
    /// received all, or left within the last [`ENDED_KEPT_MS`] and had several sessions in that time.
    pub members: Vec<RosterMember>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RosterMember {
    pub user: UserId,
    /// The member sees the timeline above this seq.
    pub joined: Seq,
    /// The entry by which it ceased to be a member; `None`: it is one.
    pub left: Option<Seq>,
    /// The `delivered` cursor.
    pub delivered: Seq,
}
