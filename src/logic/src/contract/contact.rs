//! Friends.

use wire::account::Who;
use wire::{Page, UnixMillis, UserId};

#[derive(Clone, Debug)]
pub enum Write {
    /// Makes two users friends. Outcome: [`Written::Friends`], or denied with `NotFound`, `Conflict` (they are friends
    /// already) or `Oneself`.
    Add { user: UserId, who: Who },
    /// Ends a friendship. Outcome: [`Written::Done`](super::Written::Done), or denied with `NotFound`.
    Remove { user: UserId, friend: UserId },
    /// Changes what a user notes about a friend; empty: nothing. Outcome: [`Written::Done`](super::Written::Done), or denied
    /// with `NotFound`.
    Set { user: UserId, friend: UserId, remark: Option<Box<str>>, tag: Option<Box<str>> },
}

#[derive(Clone, Debug)]
pub enum Written {
    /// The two users are friends now.
    Friends { peer: UserId, name: Box<str> },
}

#[derive(Clone, Debug)]
pub enum Read {
    /// A page of friends by id. Answer: [`Found::Friends`].
    Friends { user: UserId, page: Page },
    /// The ids of all friends. Answer: [`Found::FriendIds`].
    FriendIds { user: UserId },
}

#[derive(Clone, Debug)]
pub enum Found {
    /// Friends by id.
    Friends {
        friends: Vec<Friend>,
        /// Whether there are friends with higher ids.
        more: bool,
    },
    FriendIds(Vec<UserId>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Friend {
    pub user: UserId,
    pub name: Box<str>,
    /// When the user was last seen, as far as that is known, which is all that counts where the user is offline.
    pub last_seen: Option<UnixMillis>,
    pub notes: Notes,
}

/// What a user notes about a friend, for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    pub remark: Option<Box<str>>,
    pub tag: Option<Box<str>>,
}
