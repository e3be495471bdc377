//! Pending announcements of presence.

use wire::UserId;

#[derive(Debug)]
pub(crate) enum Pending {
    /// A session is over: the friends to notify are being read.
    Gone(UserId),
    /// A user is present whose presence has changed several times: the friends to notify are being read.
    Come(UserId),
    /// A user left this node after several changes: whether it is online on another one is being read.
    Elsewhere(UserId),
    /// Nobody may have been told that a user came online on another node: whether it is online there is being read.
    OnlineThere(UserId),
    /// It is: the friends to notify are being read.
    ComeThere(UserId),
}
