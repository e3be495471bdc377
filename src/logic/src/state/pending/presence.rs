//! Pending requests about presence, and announcements.

use crate::contract::presence::Status;
use crate::state::sessions::SessionRef;
use wire::UserId;

#[derive(Debug)]
pub(crate) enum Pending {
    /// SET_PRESENCE: what the session shows is being recorded.
    Set { session: SessionRef, status: Status },
    /// The friends to notify are being read.
    Friends(Box<Announcement>),
    /// What the user shows on all nodes is being read.
    Shown(Box<Announcement>),
    /// What a user shows is being read, to tell one other user.
    Show { of: UserId, to: UserId },
}

/// What friends are to be told of a user.
#[derive(Debug)]
pub(crate) struct Announcement {
    pub user: UserId,
    /// When the user was last heard of, monotonic ms, to be told where there is no session; `None`: nothing is told then.
    pub gone: Option<u64>,
    /// Filled once they are read.
    pub friends: Vec<UserId>,
    /// What they were told before, if only something else is to be told; `Some(None)`: that the user is offline.
    pub told: Option<Option<Status>>,
}

impl Announcement {
    pub fn of(user: UserId, gone: Option<u64>) -> Announcement {
        Announcement { user, gone, friends: Vec::new(), told: None }
    }
}
