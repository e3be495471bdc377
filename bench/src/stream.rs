//! A TCP socket, with or without TLS and WebSocket over it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use tls::{Client, Layer};
use websocket::Tunnel;

/// `S` is a blocking or a non-blocking socket.
#[derive(Debug)]
pub struct Stream<S> {
    pub socket: S,
    tls: Option<Box<Layer<Client>>>,
    websocket: Option<Box<Tunnel>>,
}

/// What is below WebSocket.
struct Lower<'a, S> {
    socket: &'a mut S,
    tls: &'a mut Option<Box<Layer<Client>>>,
}

impl<S> Stream<S> {
    /// With the TLS session `tls`, and in it the WebSocket `websocket`, whose handshakes the first reads and writes make.
    pub fn new(socket: S, tls: Option<Layer<Client>>, websocket: Option<Tunnel>) -> Stream<S> {
        Stream { socket, tls: tls.map(Box::new), websocket: websocket.map(Box::new) }
    }

    /// Whether another read may succeed although the last one did not fill its buffer.
    #[inline]
    pub fn has_more(&self) -> bool {
        self.tls.as_ref().is_some_and(|layer| layer.has_more())
            || self.websocket.as_ref().is_some_and(|tunnel| tunnel.has_more())
    }

    /// Whether a write of nothing would go on with what the socket has not taken.
    #[inline]
    pub fn has_unsent(&self) -> bool {
        self.tls.as_ref().is_some_and(|layer| layer.unsent() > 0)
            || self.websocket.as_ref().is_some_and(|tunnel| tunnel.unsent() > 0)
    }

    #[inline]
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|layer| layer.is_handshaking())
            || self.websocket.as_ref().is_some_and(|tunnel| tunnel.is_handshaking())
    }

    fn parts(&mut self) -> (Option<&mut Box<Tunnel>>, Lower<'_, S>) {
        (self.websocket.as_mut(), Lower { socket: &mut self.socket, tls: &mut self.tls })
    }
}

impl<S: Read + Write> Stream<S> {
    /// Makes the handshakes as far as the socket allows.
    ///
    /// # Errors
    /// What the socket returns, or what is wrong with the server.
    pub fn shake_hands(&mut self) -> io::Result<()> {
        if let Some(layer) = &mut self.tls {
            layer.continue_handshake(&mut self.socket)?;
        }
        match self.parts() {
            (Some(tunnel), mut lower) => tunnel.continue_handshake(&mut lower).map(drop),
            (None, _) => Ok(()),
        }
    }

    /// Announces the end of the output, with TLS and with WebSocket.
    ///
    /// # Errors
    /// What the socket returns.
    pub fn send_close_notify(&mut self) -> io::Result<()> {
        if let (Some(tunnel), mut lower) = self.parts() {
            tunnel.close(&mut lower)?;
        }
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
        let Stream { socket, tls, websocket } = self;
        Ok(Stream { socket: mio::net::TcpStream::from_std(socket), tls, websocket })
    }
}

impl<S: Read + Write> Read for Stream<S> {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.parts() {
            (Some(tunnel), mut lower) => tunnel.read(&mut lower, buffer),
            (None, mut lower) => lower.read(buffer),
        }
    }
}

impl<S: Read + Write> Write for Stream<S> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.parts() {
            (Some(tunnel), mut lower) => {
                let taken = tunnel.write(&mut lower, bytes)?;
                if let Some(layer) = lower.tls {
                    layer.flush(lower.socket)?;
                }
                Ok(taken)
            }
            (None, mut lower) => lower.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

impl<S: Read + Write> Read for Lower<'_, S> {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.tls {
            None => self.socket.read(buffer),
            Some(layer) => layer.read(self.socket, buffer),
        }
    }
}

impl<S: Read + Write> Write for Lower<'_, S> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.tls {
            None => self.socket.write(bytes),
            Some(layer) => layer.write(self.socket, bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
