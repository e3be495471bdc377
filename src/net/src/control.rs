//! Messages to a reactor from the acceptor and from the owner of [`crate::Net`].

use crate::peer::PeerAddress;
use crate::transport::Transport;
use std::time::Duration;

#[derive(Debug)]
pub(crate) enum Control {
    /// Serve these connections from now on.
    Adopt(Vec<Accepted>),
    /// Write all output, close all connections and end the thread, within this time.
    Drain(Duration),
}

/// A connection that was just accepted and counted, and is not registered with any poll.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub transport: Transport,
    pub peer: PeerAddress,
}
