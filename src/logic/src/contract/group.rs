//! Groups and their members.

use super::entry::{Actor, Announcement, Entry};
use wire::entry::Event;
use wire::group::{Group, Role};
use wire::{ConversationId, Page, UserId};

/// Members change only together with a system entry, in one transaction: who is a member at a seq follows from the
/// entries up to it.
#[derive(Clone, Debug)]
pub enum Write {
    /// Creates a group with the actor as its creator and only member. Outcome: [`Written::Created`].
    Create { by: Actor, name: Box<str>, desc: Box<str> },
    /// Makes the actor a member. Its view of the timeline begins with the entry, up to which it counts as read. Outcome:
    /// [`Written::Joined`], or denied with `NotFound` (also for a direct conversation), `Conflict` (is a member
    /// already) or `Forbidden` (is barred, or the group is dismissed).
    Join { by: Actor, conversation: ConversationId },
    /// Changes the members or their roles. Outcome: [`Written::Changed`], [`Written::Unchanged`] or
    /// [`Written::Refused`], or denied with `Forbidden` (is no member, also of a direct conversation).
    Change(Change),
}

/// A change of a group's members or their roles, by one of them.
#[derive(Clone, Debug)]
pub struct Change {
    pub by: Actor,
    pub conversation: ConversationId,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The actor is no member any more. A group whose last member leaves is dismissed.
    Leave,
    /// A user is no member any more.
    Remove {
        user: UserId,
        /// Whether it may not join again.
        bar: bool,
    },
    /// A member other than the creator becomes an admin, or a normal member.
    SetRole { user: UserId, role: Role },
    /// A member becomes the creator, and the actor an admin.
    Transfer { user: UserId },
}

#[derive(Clone, Debug)]
pub enum Written {
    /// The group exists; this is the first entry of its timeline.
    Created(Entry),
    Joined(Entry),
    /// The change is durable; this entry tells of it. Its members are those before the change.
    Changed(Entry),
    /// There was nothing to change.
    Unchanged,
    /// The actor may not make the change.
    Refused(Refused),
}

/// Why a member may not change the members of its group or their roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Only admins may do this to normal members, and only the creator to admins.
    NotAbove,
    /// Only the creator may do this.
    NotCreator,
    /// The user concerned is no member.
    NoMember,
    /// The user concerned is the actor.
    Oneself,
    /// The creator leaves only as the last member.
    IsCreator,
}

impl Change {
    /// The user concerned, if it is another one than who acts.
    #[must_use]
    pub fn target(&self) -> Option<UserId> {
        match self.what {
            What::Leave => None,
            What::Remove { user, .. } | What::SetRole { user, .. } | What::Transfer { user } => Some(user),
        }
    }

    /// What its entry tells. `target`: the name of the user concerned.
    #[must_use]
    pub fn announcement(&self, target: &str) -> Announcement {
        let by = &self.by.name;
        let (event, content) = match self.what {
            What::Leave => (Event::Left, format!("{by} left")),
            What::Remove { .. } => (Event::Removed, format!("{by} removed {target}")),
            What::SetRole { role: Role::Admin, .. } => (Event::Role, format!("{by} made {target} an admin")),
            What::SetRole { .. } => (Event::Role, format!("{by} made {target} a normal member")),
            What::Transfer { .. } => (Event::Transferred, format!("{by} made {target} the creator")),
        };
        let value = match self.what {
            What::SetRole { role, .. } => Some(role.as_str().into()),
            _ => None,
        };
        let who = [self.target().unwrap_or(self.by.user)].into();
        Announcement { event, who, value, content: content.into() }
    }

    /// Who is no member any more by it.
    #[must_use]
    pub fn removed(&self) -> Option<UserId> {
        match self.what {
            What::Leave => Some(self.by.user),
            What::Remove { user, .. } => Some(user),
            What::SetRole { .. } | What::Transfer { .. } => None,
        }
    }
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
