//! [`Stream`]: a server's socket, and TLS over it where the client's first byte asks for it.

use crate::identity::Acceptor;
use crate::layer::Layer;
use crate::session::{HELLO_BYTES, Server};
use std::io::{ErrorKind, Read, Result, Write};

/// A non-blocking byte stream, watched by an edge-triggered poll.
///
/// A `read` that does not fill its buffer has emptied the stream, unless [`Stream::has_more`] says otherwise, and a
/// `write` that falls short means that the kernel takes no more: whatever becomes possible later is a new event
/// (epoll(7)). `write` of nothing continues with what is [`Stream::unsent`].
#[derive(Debug)]
pub struct Stream<S> {
    socket: S,
    /// Boxed, because most connections of a server without a certificate have none.
    tls: Option<Box<Layer<Server>>>,
}

impl<S> Stream<S> {
    pub fn new(socket: S, tls: Option<Box<Layer<Server>>>) -> Stream<S> {
        Stream { socket, tls }
    }

    pub fn socket(&self) -> &S {
        &self.socket
    }

    /// What is read from it or written to it bypasses TLS.
    pub fn socket_mut(&mut self) -> &mut S {
        &mut self.socket
    }

    pub fn into_parts(self) -> (S, Option<Box<Layer<Server>>>) {
        (self.socket, self.tls)
    }

    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|layer| layer.is_handshaking())
    }

    /// Bytes that `write` has taken and that were not passed to the kernel yet.
    pub fn unsent(&self) -> usize {
        self.tls.as_ref().map_or(0, |layer| layer.unsent())
    }

    /// Whether another read may succeed although the last one did not fill its buffer.
    pub fn has_more(&self) -> bool {
        self.tls.as_ref().is_some_and(|layer| layer.has_more())
    }
}

impl<S: Read + Write> Stream<S> {
    /// Speaks TLS from the first byte on. `received` was read already; it is looked at by
    /// [`Stream::continue_handshake`].
    ///
    /// # Errors
    /// If it is more than a client can send first, or the machine has no random numbers.
    pub fn start_tls(&mut self, acceptor: &Acceptor, received: &[u8]) -> Result<()> {
        // Before it is answered, a client can send nothing else than its first message.
        if received.len() > HELLO_BYTES {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut layer = Layer::accept(acceptor)?;
        layer.begin(received);
        self.tls = Some(Box::new(layer));
        Ok(())
    }

    /// Continues the TLS handshake with what the client has sent. Returns whether it is over.
    ///
    /// # Errors
    /// What the socket returns, or what is wrong with the client.
    pub fn continue_handshake(&mut self) -> Result<bool> {
        match &mut self.tls {
            Some(layer) => layer.continue_handshake(&mut self.socket),
            None => Ok(true),
        }
    }

    /// Sends close_notify with TLS, if the kernel takes it: nothing may be written any more.
    ///
    /// # Errors
    /// What the socket returns.
    pub fn send_close_notify(&mut self) -> Result<()> {
        match &mut self.tls {
            Some(layer) => layer.close(&mut self.socket),
            None => Ok(()),
        }
    }
}

impl<S: Read + Write> Read for Stream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match &mut self.tls {
            None => self.socket.read(buffer),
            Some(layer) => layer.read(&mut self.socket, buffer),
        }
    }
}

impl<S: Read + Write> Write for Stream<S> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match &mut self.tls {
            None => self.socket.write(bytes),
            Some(layer) => layer.write(&mut self.socket, bytes),
        }
    }

    /// Nothing is kept back, unless the kernel takes no more.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
