//! Where the answer to a request goes.

use crate::conn::ConnId;

/// The address of an answer. Answering [`ReplyTo::Nowhere`] does nothing, so rules need not check whether a client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyTo {
    /// A request of this connection, by its type and number. Number 0 is answered too: its connection writes nothing,
    /// but the request no longer counts against it.
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

    /// Takes the address, so that later answers go nowhere.
    pub fn take(&mut self) -> ReplyTo {
        std::mem::replace(self, ReplyTo::Nowhere)
    }
}
