//! Messages to a reactor from the acceptor and from the owner of [`crate::Net`].

use crate::peer::PeerAddress;
use crate::transport::Transport;
use std::time::Duration;
use wire::session::CookieToken;

#[derive(Debug)]
pub(crate) enum Control {
    /// Serve these connections from now on.
    Adopt(Vec<Accepted>),
    /// Serve this connection as a WebSocket from now on.
    AdoptWebSocket(Box<Upgraded>),
    /// Write all output, close all connections and end the thread, within this time.
    Drain(Duration),
}

/// A connection that was upgraded to WebSocket and counted, and is not registered with any poll.
#[derive(Debug)]
pub(crate) struct Upgraded {
    pub accepted: Accepted,
    /// What LOGIN without credentials logs in by.
    pub session: Option<CookieToken>,
    /// What the client has sent since.
    pub received: Vec<u8>,
    /// What it has not been sent yet.
    pub output: Vec<u8>,
}

/// A connection that was just accepted and counted, and is not registered with any poll.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub transport: Transport,
    pub peer: PeerAddress,
}
