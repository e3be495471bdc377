//! Where the answer to a request goes.

use crate::conn::ConnId;

/// The destination of an answer. Answering [`ReplyTo::Nowhere`] does nothing, so rules need not check whether a client
/// expects an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyTo {
    /// A request of this connection, by its type and number. A request with number 0 is answered too: nothing is
    /// written to the connection, but the request no longer counts as outstanding.
    Request { conn: ConnId, kind: u16, request: u32 },
    /// Work of the server itself, or a request that was answered before its work ended.
    Nowhere,
}

impl ReplyTo {
    pub fn conn(self) -> Option<ConnId> {
        match self {
            ReplyTo::Request { conn, .. } => Some(conn),
            ReplyTo::Nowhere => None,
        }
    }

    pub fn is_nowhere(self) -> bool {
        matches!(self, ReplyTo::Nowhere)
    }

    /// Takes the destination, so that later answers go nowhere.
    pub fn take(&mut self) -> ReplyTo {
        std::mem::replace(self, ReplyTo::Nowhere)
    }
}
