//! Groups and their members.

use super::entry::{Actor, Entry};
use wire::group::{Group, Role};
use wire::{ConversationId, Page, UserId};

/// Members change only together with a system entry, in one transaction: who is a member at a seq follows from the
/// entries up to it.
#[derive(Clone, Debug)]
pub enum Write {
    /// Creates a group with the actor as its owner and only member. Outcome: [`Written::Created`].
    Create { by: Actor, name: Box<str>, desc: Box<str> },
    /// Makes the actor a member. Its view of the timeline begins with the entry, up to which it counts as read. Outcome:
    /// [`Written::Joined`], or denied with `NotFound` (also for a direct conversation) or `Conflict` (is a member
    /// already).
    Join { by: Actor, conversation: ConversationId },
}

#[derive(Clone, Debug)]
pub enum Written {
    /// The group exists; this is the first entry of its timeline.
    Created(Entry),
    Joined(Entry),
}

#[derive(Clone, Debug)]
pub enum Read {
    /// A page of a user's groups by id. Answer: [`Found::Groups`].
    Groups { user: UserId, page: Page },
    /// The ids of all groups of a user. Answer: [`Found::GroupIds`].
    GroupIds { user: UserId },
    /// A page of members by id, for a member. Answer: [`Found::Members`], or denied with `Forbidden`.
    Members { user: UserId, conversation: ConversationId, page: Page },
}

#[derive(Clone, Debug)]
pub enum Found {
    /// Groups by id.
    Groups {
        groups: Vec<Group>,
        /// Whether there are groups with higher ids.
        more: bool,
    },
    GroupIds(Vec<ConversationId>),
    /// Members by id.
    Members {
        members: Vec<Member>,
        /// Whether there are members with higher ids.
        more: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub user: UserId,
    pub name: Box<str>,
    pub role: Role,
}
