//! The phase before the codec on a connection from a trusted proxy: the proxy may first send a header of the PROXY
//! protocol, which names the client.
//!
//! Only addresses in the configuration are trusted, because a header can claim any address. The header is optional: a
//! client on the proxy's own machine connects directly. So the first bytes decide. A connection that has sent nothing
//! that could start a header by the deadline is treated as direct.

use std::mem;
use std::net::SocketAddr;
use wire::proxy_header::{self, Header, Malformed};

/// A header that may still come or be completed.
#[derive(Debug, Default)]
pub(crate) struct ProxyHandshake {
    /// Everything received so far.
    received: Vec<u8>,
}

/// The handshake is over.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The client's address; `None`: there was no header, or it names no client.
    pub source: Option<SocketAddr>,
    /// What was received behind the header.
    pub rest: Vec<u8>,
}

impl ProxyHandshake {
    /// `None`: more bytes are needed to decide.
    pub fn take_in(&mut self, bytes: &[u8]) -> Result<Option<Finished>, Malformed> {
        self.received.extend_from_slice(bytes);
        Ok(match proxy_header::parse(&self.received)? {
            Header::Possible | Header::Begun => None,
            Header::Absent => Some(self.finish(None, 0)),
            Header::Whole { source, length } => Some(self.finish(source, length)),
        })
    }

    /// Handles the deadline for the header. `None`: the header was begun but is incomplete.
    pub fn expire(&mut self) -> Option<Finished> {
        match proxy_header::parse(&self.received) {
            Ok(Header::Begun) => None,
            _ => Some(self.finish(None, 0)),
        }
    }

    fn finish(&mut self, source: Option<SocketAddr>, length: usize) -> Finished {
        let mut rest = mem::take(&mut self.received);
        rest.drain(..length);
        Finished { source, rest }
    }
}
