//! Announcements of presence that wait.

use wire::UserId;

#[derive(Debug)]
pub(crate) enum Pending {
    /// A session is over: the friends to tell are being read.
    Gone(UserId),
}
