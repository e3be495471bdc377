//! Steps of requests about contacts that wait.

use wire::UserId;
use wire::contact::FriendsPage;

#[derive(Debug)]
pub(crate) enum Pending {
    /// ADD_FRIEND: the friendship is being created.
    Add { user: UserId, message: Option<Box<str>> },
    /// FRIENDS: the page is being read.
    Friends,
    /// FRIENDS: which friends of the page are online on other nodes is being read.
    FriendsOnline(Box<FriendsPage>),
}
