//! Transports carry a connection's bytes. TCP is the only one; TLS would be another variant of [`AnyTransport`].
//!
//! The header of the PROXY protocol is read from the transport before any codec exists: [`proxy_handshake`].

mod any;
pub(crate) mod proxy_handshake;
pub(crate) mod proxy_header;
mod tcp;

pub(crate) use any::AnyTransport;
pub(crate) use tcp::Tcp;

use mio::event::Source;
use std::io::{Read, Result, Write};

/// A non-blocking byte stream, watched by an edge-triggered poll.
///
/// A `read` that does not fill its buffer has emptied the stream, and a `write` that falls short means that the kernel
/// takes no more: whatever becomes possible later is a new event (epoll(7)). `write` of nothing continues with what is
/// [`Transport::unsent`].
pub(crate) trait Transport: Read + Write + Source {
    /// Bytes that `write` has taken and that the transport has not passed to the kernel yet.
    fn unsent(&self) -> usize;

    /// Ends the output: the peer reads end of stream after everything that was written.
    fn close_write(&mut self) -> Result<()>;

    /// Enables TCP keep-alive, for connections on which no deadline detects a dead peer.
    fn keep_alive(&self) -> Result<()>;
}
