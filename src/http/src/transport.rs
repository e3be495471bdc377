//! The socket of a connection, and TLS over it.

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::io::{ErrorKind, Read, Result, Write};
use std::net::Shutdown;
use tls::{Acceptor, Layer, Server};

/// A non-blocking byte stream, watched by an edge-triggered poll. A call that returns `WouldBlock` succeeds again after
/// the next event, or, for a read, where [`Transport::has_more`].
#[derive(Debug)]
pub(crate) struct Transport {
    stream: TcpStream,
    tls: Option<Box<Layer<Server>>>,
}

impl Transport {
    pub fn plain(stream: TcpStream) -> Transport {
        Transport { stream, tls: None }
    }

    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|layer| layer.is_handshaking())
    }

    /// Speaks TLS from the first byte on. `received` was read already; it is looked at by
    /// [`Transport::continue_handshake`].
    pub fn start_tls(&mut self, acceptor: &Acceptor, received: &[u8]) -> Result<()> {
        // Before it is answered, a client can send nothing else than its first message.
        if received.len() > tls::HELLO_BYTES {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut layer = Layer::accept(acceptor)?;
        layer.begin(received);
        self.tls = Some(Box::new(layer));
        Ok(())
    }

    /// Continues the TLS handshake with what the client has sent. Returns whether it is over.
    pub fn continue_handshake(&mut self) -> Result<bool> {
        match &mut self.tls {
            Some(layer) => layer.continue_handshake(&mut self.stream),
            None => Ok(true),
        }
    }

    /// Bytes that `write` has taken and that the kernel has not. A write of nothing continues with them.
    pub fn unsent(&self) -> usize {
        self.tls.as_ref().map_or(0, |layer| layer.unsent())
    }

    /// Whether another read may succeed although the last one would block.
    pub fn has_more(&self) -> bool {
        self.tls.as_ref().is_some_and(|layer| layer.has_more())
    }

    /// Reads what nobody looks at, as it is.
    pub fn discard(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.stream.read(buffer)
    }

    /// The socket and the TLS session over it.
    pub fn into_parts(self) -> (TcpStream, Option<Box<Layer<Server>>>) {
        (self.stream, self.tls)
    }

    /// Ends the output: the peer reads end of stream after everything that was written.
    pub fn close_write(&mut self) -> Result<()> {
        if let Some(layer) = &mut self.tls {
            layer.close(&mut self.stream)?;
        }
        self.stream.shutdown(Shutdown::Write)
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match &mut self.tls {
            None => self.stream.read(buffer),
            Some(layer) => layer.read(&mut self.stream, buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match &mut self.tls {
            None => self.stream.write(bytes),
            Some(layer) => layer.write(&mut self.stream, bytes),
        }
    }

    /// Nothing is kept back, unless the kernel takes no more.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Source for Transport {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> Result<()> {
        self.stream.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> Result<()> {
        self.stream.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> Result<()> {
        self.stream.deregister(registry)
    }
}
