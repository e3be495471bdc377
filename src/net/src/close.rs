//! Why connections end: for the log, and for how much care the end takes.

use thiserror::Error;

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CloseReason {
    /// The peer has sent its last byte.
    #[error("the peer closed it")]
    PeerClosed,
    /// The peer, or the network between, gave up.
    #[error("the peer reset it")]
    PeerReset,
    /// Nobody logged in for too long.
    #[error("nobody logged in on it in time")]
    LoginTimeout,
    /// One of the oldest of too many that wait to log in.
    #[error("too many connections wait to log in, and this was one of the oldest")]
    TooManyPendingLogins,
    /// Silent, and silent again after a probe.
    #[error("it was silent and did not answer the probe")]
    Silent,
    /// The peer does not read what is written to it.
    #[error("the peer does not read what is written to it")]
    SlowConsumer,
    /// What came is no frame, or too large a one.
    #[error("what it sent cannot be read as frames")]
    BadFrame,
    /// The first byte belongs to no protocol.
    #[error("its first byte belongs to no protocol that is known")]
    UnknownDialect,
    /// What came is no JSON object, or too long a one.
    #[error("what it sent cannot be read as JSON objects")]
    BadObject,
    /// A proxy that is believed sent what cannot be believed.
    #[error("what it sent is no PROXY header that can be read")]
    BadProxyHeader,
    /// A proxy that is believed has begun to say whose connection it is, and has not finished.
    #[error("its PROXY header was not complete in time")]
    ProxyTimeout,
    /// The rules of the chat server say so.
    #[error("as ordered: {0:?}")]
    Ordered(logic::CloseReason),
    /// The server stops.
    #[error("the server stops")]
    Shutdown,
}

impl CloseReason {
    /// Whether the peer may still want what was written to it: flush, say goodbye, and only then let go.
    pub(crate) fn is_gentle(self) -> bool {
        match self {
            CloseReason::PeerClosed
            | CloseReason::BadFrame
            | CloseReason::BadObject
            | CloseReason::UnknownDialect
            | CloseReason::BadProxyHeader
            | CloseReason::Ordered(_)
            | CloseReason::Shutdown => true,
            CloseReason::PeerReset
            | CloseReason::LoginTimeout
            | CloseReason::ProxyTimeout
            | CloseReason::TooManyPendingLogins
            | CloseReason::Silent
            | CloseReason::SlowConsumer => false,
        }
    }
}
