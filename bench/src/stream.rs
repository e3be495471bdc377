//! A TCP socket, with or without TLS.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use tls::{Client, Layer};

/// `S` is a blocking or a non-blocking socket.
#[derive(Debug)]
pub struct Stream<S> {
    pub socket: S,
    tls: Option<Box<Layer<Client>>>,
}

impl<S> Stream<S> {
    /// With the TLS session `tls`, whose handshake the first reads and writes make.
    pub fn new(socket: S, tls: Option<Layer<Client>>) -> Stream<S> {
        Stream { socket, tls: tls.map(Box::new) }
    }

    /// Whether another read may succeed although the last one did not fill its buffer.
    #[inline]
    pub fn has_more(&self) -> bool {
        self.tls.as_ref().is_some_and(|layer| layer.has_more())
    }

    /// Whether a write of nothing would go on with what the socket has not taken.
    #[inline]
    pub fn has_unsent(&self) -> bool {
        self.tls.as_ref().is_some_and(|layer| layer.unsent() > 0)
    }

    #[inline]
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|layer| layer.is_handshaking())
    }
}

impl<S: Read + Write> Stream<S> {
    /// Makes the handshake as far as the socket allows.
    ///
    /// # Errors
    /// What the socket returns, or what is wrong with the server.
    pub fn shake_hands(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(layer) => layer.continue_handshake(&mut self.socket).map(drop),
            None => Ok(()),
        }
    }

    /// Sends close_notify with TLS.
    ///
    /// # Errors
    /// What the socket returns.
    pub fn send_close_notify(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(layer) => layer.close(&mut self.socket),
            None => Ok(()),
        }
    }
}

impl Stream<TcpStream> {
    /// The same connection for an event loop.
    ///
    /// # Errors
    /// If the socket refuses.
    pub fn into_nonblocking(self) -> io::Result<Stream<mio::net::TcpStream>> {
        self.socket.set_nonblocking(true)?;
        Ok(Stream { socket: mio::net::TcpStream::from_std(self.socket), tls: self.tls })
    }
}

impl<S: Read + Write> Read for Stream<S> {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.read(buffer),
            Some(layer) => layer.read(&mut self.socket, buffer),
        }
    }
}

impl<S: Read + Write> Write for Stream<S> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.write(bytes),
            Some(layer) => layer.write(&mut self.socket, bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
