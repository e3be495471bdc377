//! Transports carry a connection's bytes: a TCP socket, and TLS over it where the client's first byte asks for it.
//!
//! The header of the PROXY protocol is read from the transport before any codec exists: [`proxy_handshake`].

pub(crate) mod proxy_handshake;
mod tcp;

pub(crate) use tcp::Tcp;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use std::io::{Read, Result, Write};
use tls::{Acceptor, Layer, Server};

/// A non-blocking byte stream, watched by an edge-triggered poll.
///
/// A `read` that does not fill its buffer has emptied the stream, unless [`Transport::has_more`] says otherwise, and a
/// `write` that falls short means that the kernel takes no more: whatever becomes possible later is a new event
/// (epoll(7)). `write` of nothing continues with what is [`Transport::unsent`].
#[derive(Debug)]
pub(crate) struct Transport {
    tcp: Tcp,
    /// Boxed, because most connections of a server without a certificate have none.
    tls: Option<Box<Layer<Server>>>,
}

impl Transport {
    pub fn new(tcp: Tcp, tls: Option<Box<Layer<Server>>>) -> Transport {
        Transport { tcp, tls }
    }

    /// Bytes that `write` has taken and that the transport has not passed to the kernel yet.
    pub fn unsent(&self) -> usize {
        self.tls.as_ref().map_or(0, |layer| layer.unsent())
    }

    /// Whether another read may succeed although the last one did not fill its buffer.
    pub fn has_more(&self) -> bool {
        self.tls.as_ref().is_some_and(|layer| layer.has_more())
    }

    /// Reads what no codec will see, as it is.
    pub fn discard(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.tcp.read(buffer)
    }

    /// Ends the output: the peer reads end of stream after everything that was written.
    pub fn close_write(&mut self) -> Result<()> {
        if let Some(layer) = &mut self.tls {
            layer.close(&mut self.tcp)?;
        }
        self.tcp.close_write()
    }

    /// Sends close_notify with TLS, if the kernel takes it.
    pub fn send_close_notify(&mut self) {
        if let Some(layer) = &mut self.tls {
            // The peer may have gone already.
            let _ = layer.close(&mut self.tcp);
        }
    }

    /// Enables TCP keep-alive, for connections on which no deadline detects a dead peer.
    pub fn keep_alive(&self) -> Result<()> {
        self.tcp.keep_alive()
    }

    // ---- TLS ------------------------------------------------------------------------------------------------------

    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|layer| layer.is_handshaking())
    }

    /// Speaks TLS from the first byte on. `received` was read already; it is looked at by
    /// [`Transport::continue_handshake`].
    pub fn start_tls(&mut self, acceptor: &Acceptor, received: &[u8]) -> Result<()> {
        let mut layer = Layer::accept(acceptor)?;
        layer.begin(received);
        self.tls = Some(Box::new(layer));
        Ok(())
    }

    /// Continues the TLS handshake with what the client has sent. Returns whether it is over.
    pub fn continue_handshake(&mut self) -> Result<bool> {
        match &mut self.tls {
            Some(layer) => layer.continue_handshake(&mut self.tcp),
            None => Ok(true),
        }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match &mut self.tls {
            None => self.tcp.read(buffer),
            Some(layer) => {
                debug_assert!(!layer.is_handshaking(), "handshakes go on in the order of their queue");
                layer.read(&mut self.tcp, buffer)
            }
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match &mut self.tls {
            None => self.tcp.write(bytes),
            Some(layer) => layer.write(&mut self.tcp, bytes),
        }
    }

    /// Nothing is kept back, unless the kernel takes no more.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Source for Transport {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> Result<()> {
        self.tcp.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> Result<()> {
        self.tcp.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> Result<()> {
        self.tcp.deregister(registry)
    }
}
