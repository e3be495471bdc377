//! Groups and their members.

use wire::group::{Group, Role};
use wire::{ConversationId, Page, UserId};

#[derive(Clone, Debug)]
pub enum Write {
    /// Creates a group with its owner as the only member. Outcome: [`Written::Created`].
    Create { owner: UserId, name: Box<str>, desc: Box<str> },
    /// Makes a user a member. Outcome: done, or denied with `NotFound` (also for a direct conversation) or `Conflict`
    /// (is a member already).
    Join { user: UserId, conversation: ConversationId },
}

#[derive(Clone, Debug)]
pub enum Written {
    Created(ConversationId),
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
