//! Why connections are closed: for the log, and for whether output is still flushed.

use thiserror::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CloseReason {
    #[error("the peer closed the connection")]
    PeerClosed,
    /// Also used when the network reported a failure.
    #[error("the connection was reset")]
    PeerReset,
    #[error("the client did not log in in time")]
    LoginTimeout,
    #[error(
        "too many connections have not logged in, and this was the oldest of the address with most of them"
    )]
    TooManyPendingLogins,
    #[error("the client was silent and did not answer a probe")]
    Silent,
    #[error("the client does not read its output")]
    SlowConsumer,
    #[error(
        "the unwritten output of all clients takes too much memory, and this one has read nothing of its own"
    )]
    OutputMemory,
    #[error("the client sent a malformed or oversized frame")]
    BadFrame,
    #[error("the client sent what is not acceptable on a WebSocket: {0}")]
    BadWebSocket(websocket::Fault),
    #[error("the client sent a WebSocket message that is not exactly one frame")]
    NotOneFrame,
    #[error("the first byte belongs to no supported protocol")]
    UnknownDialect,
    #[error("the client sent malformed JSON or an oversized object")]
    BadObject,
    #[error("a trusted proxy sent a malformed PROXY header")]
    BadProxyHeader,
    #[error("a peer that chat.proxies does not name sent a PROXY header")]
    UnnamedProxy,
    #[error("a trusted proxy did not complete its PROXY header in time")]
    ProxyTimeout,
    #[error("the client sent what is not acceptable in TLS")]
    BadTls,
    #[error("the client did not complete its TLS handshake in time")]
    TlsTimeout,
    #[error("the client did not use TLS, which tls.required demands")]
    PlainRefused,
    /// Ordered by logic.
    #[error("closed by the server: {0:?}")]
    Ordered(logic::DisconnectReason),
    #[error("the server is shutting down")]
    Shutdown,
}

impl CloseReason {
    /// Whether output is flushed and FIN sent before the socket is closed.
    pub(crate) fn is_gentle(self) -> bool {
        match self {
            CloseReason::PeerClosed
            | CloseReason::BadFrame
            | CloseReason::BadWebSocket(_)
            | CloseReason::NotOneFrame
            | CloseReason::BadObject
            | CloseReason::UnknownDialect
            | CloseReason::BadProxyHeader
            | CloseReason::UnnamedProxy
            | CloseReason::BadTls
            | CloseReason::PlainRefused
            | CloseReason::Ordered(_)
            | CloseReason::Shutdown => true,
            CloseReason::PeerReset
            | CloseReason::LoginTimeout
            | CloseReason::ProxyTimeout
            | CloseReason::TlsTimeout
            | CloseReason::TooManyPendingLogins
            | CloseReason::Silent
            | CloseReason::SlowConsumer
            | CloseReason::OutputMemory => false,
        }
    }
}
