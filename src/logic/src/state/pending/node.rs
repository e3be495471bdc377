//! Steps that a cluster node takes for itself.

use super::{group, session};
use crate::bus::Channel;
use crate::contract::Fence;
use crate::contract::node::End;
use crate::state::sessions::SessionRef;
use wire::ConversationId;

#[derive(Debug)]
pub(crate) enum Pending {
    /// A step waits for subscriptions.
    Listening(Box<Listening>),
    /// The timeline or the roster of a delivery line is being read.
    DeliveryLine(DeliveryLineRead),
    /// The node's liveness is being recorded; `unheard`: also that its publications may be lost.
    Seen { unheard: bool },
    /// What has become of this node's sessions is being read; `issued`: when the read was issued, monotonic ms.
    Claims { issued: u64 },
    /// Changed conversations are being read.
    Changes,
    /// Whether a session has ended as a kick announced is being read.
    Kick(Box<Kick>),
}

impl Pending {
    /// Whether it recurs for as long as the node runs.
    pub fn is_periodic(&self) -> bool {
        matches!(self, Pending::Seen { .. } | Pending::Claims { .. } | Pending::Changes)
    }
}

/// A kick that the bus announced.
#[derive(Debug)]
pub(crate) struct Kick {
    /// The session that is said to have ended.
    pub fence: Fence,
    /// When the check began, monotonic ms.
    pub since: u64,
}

#[derive(Debug)]
pub(crate) struct Listening {
    pub channels: Vec<Channel>,
    pub then: Listener,
}

/// The step to resume once its channels are subscribed to.
#[derive(Debug)]
pub(crate) enum Listener {
    Session(session::Pending),
    Group(group::Pending),
    /// A user has become a member: what the group has had since this entry is delivered.
    Entry(End),
}

impl Listener {
    /// The session whose login this is a step of.
    pub fn login_session(&self) -> Option<SessionRef> {
        match self {
            Listener::Session(pending) => pending.login_session(),
            Listener::Group(_) | Listener::Entry(_) => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct DeliveryLineRead {
    pub conversation: ConversationId,
    /// Distinguishes it from other reads of the same line.
    pub serial: u32,
    /// Monotonic ms.
    pub issued: u64,
}
