//! Steps of requests about contacts that wait.

use crate::state::sessions::SessionRef;
use wire::UserId;
use wire::contact::FriendsPage;

#[derive(Debug)]
pub(crate) enum Pending {
    /// ADD_FRIEND: the friendship is being created.
    Add { by: SessionRef, user: UserId, message: Option<Box<str>> },
    /// REMOVE_FRIEND: the friendship is being ended.
    Remove { by: SessionRef, user: UserId, friend: UserId },
    /// SET_FRIEND: the notes are being written.
    Set { by: SessionRef, user: UserId },
    /// FRIENDS: the page is being read.
    Friends,
    /// FRIENDS: which friends of the page are online on other nodes is being read.
    FriendsOnline(Box<FriendsPage>),
}
