//! What a node of a cluster waits for on its own behalf.

use super::{group, session};
use crate::bus::Channel;
use crate::state::sessions::SessionRef;
use wire::ConversationId;

#[derive(Debug)]
pub(crate) enum Pending {
    /// Something goes on when the bus listens to some channels.
    Listening(Box<Listening>),
    /// The timeline or the roster of a delivery line is being read.
    DeliveryLine(DeliveryLineRead),
    /// The sign of life is being written, maybe with the word that publications may be lost.
    Seen { unheard: bool },
    /// Claims of other nodes are being read, since this time, monotonic ms.
    Claims { issued: u64 },
    /// Conversations that have changed are being read.
    Changes,
}

impl Pending {
    /// Whether it recurs for as long as the node runs.
    pub fn is_periodic(&self) -> bool {
        matches!(self, Pending::Seen { .. } | Pending::Claims { .. } | Pending::Changes)
    }
}

#[derive(Debug)]
pub(crate) struct Listening {
    pub channels: Vec<Channel>,
    pub then: Listener,
}

/// What goes on when the channels it needs are listened to.
#[derive(Debug)]
pub(crate) enum Listener {
    Session(session::Pending),
    Group(group::Pending),
}

impl Listener {
    /// The session whose login this is a step of.
    pub fn login_session(&self) -> Option<SessionRef> {
        match self {
            Listener::Session(pending) => pending.login_session(),
            Listener::Group(_) => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct DeliveryLineRead {
    pub conversation: ConversationId,
    /// Tells it from other reads of the same line.
    pub serial: u32,
    /// Monotonic ms.
    pub issued: u64,
}
