//! Pending announcements of presence.

use wire::UserId;

#[derive(Debug)]
pub(crate) enum Pending {
    /// A session is over: the friends to notify are being read.
    Gone(UserId),
}
