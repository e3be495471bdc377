//! The connection's thread: one socket, driven by the session.

use crate::server::{Server, host};
use crate::shared_session::SharedSession;
use chatclient_core::{ConnectionAction, Lost};
use crossbeam_channel::Sender;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tls::{Client, Layer, fault_in};
use websocket::Tunnel;
use wire::frame::frame_length;
use wire::limits::{FRAME_BYTES, HEADER_BYTES};

const WAKER: Token = Token(0);
const SOCKET: Token = Token(1);
/// The most bytes read before the session gets time for other work.
const READ_BYTES: usize = 64 * 1024;
/// With more undelivered events than this the socket is not read; the server then waits for acknowledgements.
const EVENTS_HIGH: usize = 4_096;
/// How often a full event queue is checked.
const EVENTS_CHECK: Duration = Duration::from_millis(50);

/// Starts the thread. It drops `alive` at its end.
pub(crate) fn spawn(
    server: Server,
    shared: Arc<SharedSession>,
    stop: Arc<AtomicBool>,
    alive: Sender<Infallible>,
) -> io::Result<Arc<Waker>> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let driver = Driver {
        server,
        shared,
        stop,
        poll,
        transport: Transport::Down,
        last_peer: None,
        buffer: vec![0; READ_BYTES].into_boxed_slice(),
        _alive: alive,
    };
    thread::Builder::new().name("connection".to_owned()).spawn(move || driver.run())?;
    Ok(waker)
}

struct Driver {
    server: Server,
    shared: Arc<SharedSession>,
    stop: Arc<AtomicBool>,
    poll: Poll,
    transport: Transport,
    /// The peer of the last connection, which named the other nodes.
    last_peer: Option<IpAddr>,
    buffer: Box<[u8]>,
    /// Dropped at the end of the thread, which `Client::close` waits for.
    _alive: Sender<Infallible>,
}

enum Transport {
    Down,
    Connecting(Attempt),
    /// In the handshakes of TLS and WebSocket.
    Securing(Socket),
    Open(Socket),
}

/// A stream that is being connected.
struct Attempt {
    stream: TcpStream,
    /// What the certificate must name.
    host: Box<str>,
    /// They follow if it fails.
    addresses: VecDeque<SocketAddr>,
}

struct Socket {
    stream: TcpStream,
    tls: Option<Box<Layer<Client>>>,
    websocket: Option<Box<Tunnel>>,
    /// Bytes of the session that the kernel has not accepted yet.
    unwritten: Vec<u8>,
    /// Events are edge-triggered: there may be more to read without a new event.
    readable: bool,
}

/// What is below WebSocket.
struct Lower<'a> {
    stream: &'a mut TcpStream,
    tls: &'a mut Option<Box<Layer<Client>>>,
}

impl Driver {
    fn run(mut self) {
        let mut ready = Events::with_capacity(8);
        while !self.stop.load(Ordering::Acquire) {
            self.turn();
            let timeout = self.timeout();
            if let Err(error) = self.poll.poll(&mut ready, timeout)
                && error.kind() != ErrorKind::Interrupted
            {
                self.lost(Lost::Broken(error.to_string()));
            }
            for event in &ready {
                if event.token() == SOCKET {
                    self.handle_ready(event.is_readable() || event.is_read_closed() || event.is_error());
                }
            }
            self.read();
        }
        // A last LOGOUT or ACK is written if the kernel has room for it.
        self.turn();
    }

    /// Carries out the session's connection actions, commits, and writes.
    fn turn(&mut self) {
        self.shared.session.lock().handle_timeout(self.shared.now());
        loop {
            let action = self.shared.session.lock().poll_connection();
            match action {
                Some(ConnectionAction::Close) => {
                    self.write();
                    self.transport = Transport::Down;
                }
                Some(ConnectionAction::Connect) => self.connect(),
                None => break,
            }
        }
        self.shared.commit(match &mut self.transport {
            Transport::Open(socket) => Some(&mut socket.unwritten),
            _ => None,
        });
        self.write();
    }

    fn timeout(&self) -> Option<Duration> {
        let session = self.shared.session.lock().next_timeout();
        let session = session.map(|at| Duration::from_millis(at.saturating_sub(self.shared.now())));
        match &self.transport {
            Transport::Open(socket) if socket.readable && self.may_read() => Some(Duration::ZERO),
            Transport::Open(socket) if socket.readable => {
                Some(session.unwrap_or(EVENTS_CHECK).min(EVENTS_CHECK))
            }
            _ => session,
        }
    }

    fn may_read(&self) -> bool {
        self.shared.events.len() < EVENTS_HIGH
    }

    // ---- the socket ------------------------------------------------------------------------------------------------

    fn connect(&mut self) {
        let node = self.shared.session.lock().take_other_node();
        // It is named by where it is reached without WebSocket.
        let node = node.filter(|_| !self.server.is_websocket);
        let (why, last_peer) = ("the host has no usable address".to_owned(), self.last_peer);
        let address = node.as_deref().unwrap_or(&self.server.address);
        let host = Box::<str>::from(host(address));
        match address.to_socket_addrs() {
            Ok(addresses) if node.is_none() => self.try_next(host, addresses.collect(), why),
            Ok(addresses) => {
                let there = addresses.filter(|there| may_follow(last_peer, there.ip()));
                self.try_next(host, there.collect(), why);
            }
            Err(error) => self.lost(Lost::Unreachable(error.to_string())),
        }
    }

    /// Starts connecting to the first of `addresses` that does not fail at once.
    fn try_next(&mut self, host: Box<str>, mut addresses: VecDeque<SocketAddr>, mut why: String) {
        while let Some(address) = addresses.pop_front() {
            let attempt = TcpStream::connect(address).and_then(|mut stream| {
                let interest = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut stream, SOCKET, interest).map(|()| stream)
            });
            match attempt {
                Ok(stream) => {
                    self.transport = Transport::Connecting(Attempt { stream, host, addresses });
                    return;
                }
                Err(error) => why = error.to_string(),
            }
        }
        self.lost(Lost::Unreachable(why));
    }

    fn handle_ready(&mut self, readable: bool) {
        match std::mem::replace(&mut self.transport, Transport::Down) {
            Transport::Down => {}
            Transport::Open(mut socket) => {
                socket.readable |= readable;
                self.transport = Transport::Open(socket);
                self.write();
            }
            Transport::Securing(socket) => self.secure(socket),
            Transport::Connecting(attempt) => match attempt.stream.take_error() {
                Ok(None) if let Ok(peer) = attempt.stream.peer_addr() => {
                    self.last_peer = Some(peer.ip());
                    self.connected(attempt.stream, &attempt.host);
                }
                Ok(None) => self.transport = Transport::Connecting(attempt),
                Ok(Some(error)) | Err(error) => {
                    self.try_next(attempt.host, attempt.addresses, error.to_string());
                }
            },
        }
    }

    fn connected(&mut self, stream: TcpStream, host: &str) {
        // Without TCP_NODELAY short messages wait for ACKs. A socket that refuses it still works.
        let _ = stream.set_nodelay(true);
        let websocket = self.server.is_websocket.then(|| {
            let limit = HEADER_BYTES + FRAME_BYTES;
            Box::new(Tunnel::new(&self.server.address, "/ws", "chat.1", frame_length, limit))
        });
        let mut socket = Socket { stream, tls: None, websocket, unwritten: Vec::new(), readable: true };
        let Some(trust) = &self.server.trust else { return self.secure(socket) };
        match Layer::connect(trust, host) {
            Ok(layer) => {
                socket.tls = Some(Box::new(layer));
                self.secure(socket);
            }
            Err(error) => self.lost(Lost::Insecure(error.to_string())),
        }
    }

    /// Continues the handshakes. Nothing of the session is sent before the server's certificate was checked.
    fn secure(&mut self, mut socket: Socket) {
        match socket.shake_hands() {
            Ok(true) => self.opened(socket),
            Ok(false) => self.transport = Transport::Securing(socket),
            Err(error) => self.lost(broken(&error)),
        }
    }

    fn opened(&mut self, socket: Socket) {
        self.transport = Transport::Open(socket);
        self.shared.session.lock().handle_connected(self.shared.now());
    }

    fn read(&mut self) {
        if !self.may_read() {
            return;
        }
        let Transport::Open(socket) = &mut self.transport else { return };
        while socket.readable {
            match socket.read(&mut self.buffer) {
                Ok(0) => return self.lost(Lost::Closed),
                Ok(length) => {
                    self.shared.session.lock().handle_bytes(self.shared.now(), &self.buffer[..length]);
                    return;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    socket.readable = socket.has_more();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.lost(broken(&error)),
            }
        }
    }

    fn write(&mut self) {
        let Transport::Open(socket) = &mut self.transport else { return };
        let mut written = 0;
        let failed = loop {
            if written == socket.unwritten.len() && !socket.has_unsent() {
                break None;
            }
            match socket.write(written) {
                // TLS has given everything to the kernel that it takes.
                Ok(0) => break None,
                Ok(length) => written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
        };
        socket.unwritten.drain(..written);
        if let Some(error) = failed {
            self.lost(broken(&error));
        }
    }

    fn lost(&mut self, why: Lost) {
        self.transport = Transport::Down;
        self.shared.session.lock().handle_disconnected(self.shared.now(), why);
    }
}

impl Socket {
    fn parts(&mut self) -> (Option<&mut Box<Tunnel>>, Lower<'_>) {
        (self.websocket.as_mut(), Lower { stream: &mut self.stream, tls: &mut self.tls })
    }

    /// Continues the handshakes as far as the socket allows. Returns whether they are over.
    fn shake_hands(&mut self) -> io::Result<bool> {
        if let Some(layer) = &mut self.tls
            && !layer.continue_handshake(&mut self.stream)?
        {
            return Ok(false);
        }
        match self.parts() {
            (Some(tunnel), mut lower) => tunnel.continue_handshake(&mut lower),
            (None, _) => Ok(true),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.parts() {
            (Some(tunnel), mut lower) => tunnel.read(&mut lower, buffer),
            (None, mut lower) => lower.read(buffer),
        }
    }

    /// Writes what is unwritten from this byte on, and what was taken before.
    fn write(&mut self, from: usize) -> io::Result<usize> {
        let Socket { stream, tls, websocket, unwritten, .. } = self;
        let mut lower = Lower { stream, tls };
        let Some(tunnel) = websocket else { return lower.write(&unwritten[from..]) };
        let taken = tunnel.write(&mut lower, &unwritten[from..])?;
        lower.flush()?;
        Ok(taken)
    }

    /// Whether another read may succeed without a new event.
    fn has_more(&self) -> bool {
        self.tls.as_ref().is_some_and(|layer| layer.has_more())
            || self.websocket.as_ref().is_some_and(|tunnel| tunnel.has_more())
    }

    /// Whether bytes were taken that the kernel has not.
    fn has_unsent(&self) -> bool {
        self.tls.as_ref().is_some_and(|layer| layer.unsent() > 0)
            || self.websocket.as_ref().is_some_and(|tunnel| tunnel.unsent() > 0)
    }
}

impl Read for Lower<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.tls {
            None => self.stream.read(buffer),
            Some(layer) => layer.read(self.stream, buffer),
        }
    }
}

impl Write for Lower<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.tls {
            None => self.stream.write(bytes),
            Some(layer) => layer.write(self.stream, bytes),
        }
    }

    /// Continues with what TLS has taken.
    fn flush(&mut self) -> io::Result<()> {
        match self.tls {
            None => Ok(()),
            Some(layer) => layer.flush(self.stream),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The server may have gone already.
        if let (Some(tunnel), mut lower) = self.parts() {
            let _ = tunnel.close(&mut lower);
        }
        if let Some(layer) = &mut self.tls {
            let _ = layer.close(&mut self.stream);
        }
    }
}

fn broken(error: &io::Error) -> Lost {
    match fault_in(error) {
        Some(fault) => Lost::Insecure(fault.to_string()),
        None => Lost::Broken(error.to_string()),
    }
}

/// Whether a node named by this peer may be at this address. A loopback address named by a remote peer refers to the
/// peer's machine: the token must not be sent to a local program that happens to listen there.
fn may_follow(peer: Option<IpAddr>, node: IpAddr) -> bool {
    let is_here = |ip: IpAddr| ip.to_canonical().is_loopback() || ip.to_canonical().is_unspecified();
    peer.is_some_and(is_here) || !is_here(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_local_server_can_name_a_loopback_address() {
        let follows = |peer: &str, node: &str| {
            may_follow(Some(peer.parse().expect("an IP address")), node.parse().expect("an IP address"))
        };
        for here in ["127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"] {
            assert!(!follows("192.0.2.1", here) && !may_follow(None, here.parse().expect("an IP address")));
            assert!(follows("127.0.0.1", here) && follows("::1", here));
        }
        assert!(follows("192.0.2.1", "10.0.0.2") && follows("127.0.0.1", "10.0.0.2"));
    }
}
