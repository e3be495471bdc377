//! The shell around a [`Session`]: one thread, one socket, a clock.
//!
//! ```text
//!   any thread            connection thread
//!   Client --lock------> Session <---- mio Poll: socket, waker, next_timeout
//!          --wake------>    |
//!   Receiver <-- events -- store
//! ```
//!
//! The session is behind a lock that is held for microseconds: commands take it, the thread takes it to handle what
//! came, and nobody waits for the network or the disk inside it. What the session tells is written to the store, where there is
//! one, before it is passed on and before the server learns of it.

#![forbid(unsafe_code)]

use chatclient_core::event::{Event, Lost};
use chatclient_core::outbox::{LocalId, SendError};
use chatclient_core::session::{LinkAction, Options, Session};
use chatclient_store::{Folder, Shelf, Store, StoreError};
use crossbeam_channel::{Receiver, Sender};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use wire::{Target, UserId};

const WAKER: Token = Token(0);
const SOCKET: Token = Token(1);
/// Bytes read before the session is given time for other things.
const READ_BYTES: usize = 64 * 1024;
/// Events that nobody has taken, above which the socket is not read: the server then waits for acknowledgements.
const EVENTS_HIGH: usize = 4_096;
/// How often a full event queue is looked at again.
const EVENTS_LOOK: Duration = Duration::from_millis(50);

/// A session and the thread that drives it. Commands return at once; events tell what came of them.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    waker: Arc<Waker>,
    stop: Arc<AtomicBool>,
    /// Closes when the thread ends.
    ended: Receiver<Infallible>,
}

/// What the thread and the callers share. Whoever takes both locks takes the shelf's first: what the session tells is written
/// down in the order in which it is told.
#[derive(Debug)]
struct Shared {
    session: Mutex<Session>,
    shelf: Mutex<Shelf>,
    events: Sender<Event>,
    started: Instant,
}

impl Shared {
    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Passes on what the session tells, once it is written down; then it may also be told to the server, so what is
    /// to be transmitted is appended to `out` here.
    fn keep(&self, mut out: Option<&mut Vec<u8>>) {
        let mut shelf = self.shelf.lock();
        loop {
            let mut events = Vec::new();
            let (changes, wanted) = {
                let (mut session, now) = (self.session.lock(), self.now());
                if let Some(out) = &mut out {
                    session.poll_transmit(out);
                }
                events.extend(std::iter::from_fn(|| session.poll_event()));
                (session.poll_changes(now), session.poll_recall())
            };
            let failure = shelf.save(changes.as_ref(), &events).err();
            // Whoever dropped the receiver does not want to know.
            events.into_iter().for_each(|event| drop(self.events.send(event)));
            self.say_not_kept(failure);
            let Some(account) = wanted else { return };
            let memory = shelf.turn_to(account);
            let (snapshot, failure) =
                memory.map_or_else(|error| (None, Some(error)), |memory| (memory, None));
            self.say_not_kept(failure);
            self.session.lock().handle_recalled(self.now(), snapshot);
        }
    }

    fn say_not_kept(&self, why: Option<StoreError>) {
        if let Some(why) = why {
            let _ = self.events.send(Event::NotKept(why.to_string()));
        }
    }
}

impl Client {
    /// Starts the thread. `address` is `host:port`, the host a name or a number; nothing is connected yet, and nothing
    /// is kept on disk.
    pub fn start(address: impl Into<String>, options: Options) -> io::Result<(Client, Receiver<Event>)> {
        Client::start_keeping(address, options, None)
    }

    /// The same, with a store in this folder for every account that logs in.
    pub fn start_keeping(
        address: impl Into<String>,
        options: Options,
        folder: Option<Folder>,
    ) -> io::Result<(Client, Receiver<Event>)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (events, receiver) = crossbeam_channel::unbounded();
        let (alive, ended) = crossbeam_channel::bounded(0);
        let session = Session::new(Options { keeps_memory: folder.is_some(), ..options });
        let shared = Arc::new(Shared {
            session: Mutex::new(session),
            shelf: Mutex::new(Shelf::new(folder)),
            events,
            started: Instant::now(),
        });
        let client = Client { shared: shared.clone(), waker, stop: Arc::default(), ended };
        let driver = Driver {
            address: address.into(),
            shared,
            stop: client.stop.clone(),
            poll,
            link: Link::Down,
            last_peer: None,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            _alive: alive,
        };
        thread::Builder::new().name("connection".to_owned()).spawn(move || driver.run())?;
        Ok((client, receiver))
    }

    /// Calls any command or getter of the session with the present time, and lets the thread do what follows of it.
    ///
    /// ```no_run
    /// # use chatclient_connection::Client;
    /// # use chatclient_core::Options;
    /// let (client, events) = Client::start("127.0.0.1:6000", Options::new(1)).unwrap();
    /// client.with(|session, now| session.login_token(now, "a token"));
    /// ```
    pub fn with<T>(&self, command: impl FnOnce(&mut Session, u64) -> T) -> T {
        let result = command(&mut self.shared.session.lock(), self.shared.now());
        // The waker is an eventfd; writing to it fails only when the process is out of memory, and time helps then.
        let _ = self.waker.wake();
        result
    }

    /// Writes a message, as [`Session::send`] does. It is in the store when this returns.
    pub fn send(&self, target: Target, text: &str) -> Result<LocalId, SendError> {
        let sent = self.shared.session.lock().send(self.shared.now(), target, text);
        self.shared.keep(None);
        let _ = self.waker.wake();
        sent
    }

    /// Goes on as an account of the store, offline so far. `None` where nothing is kept or somebody is logged in; otherwise
    /// its token, if it has one.
    pub fn go_on_as(&self, account: UserId) -> Result<Option<Box<str>>, StoreError> {
        let mut shelf = self.shared.shelf.lock();
        let Some(snapshot) = shelf.turn_to(account)? else { return Ok(None) };
        let token = snapshot.token.clone();
        let adopted = self.shared.session.lock().adopt(self.shared.now(), snapshot);
        Ok(token.filter(|_| adopted))
    }

    /// Reads or writes the open store; `None` where there is none, or where it fails.
    pub fn store<T>(&self, ask: impl FnOnce(&mut Store) -> Result<T, StoreError>) -> Option<T> {
        let mut shelf = self.shared.shelf.lock();
        ask(shelf.store()?).map_err(|error| self.shared.say_not_kept(Some(error))).ok()
    }

    /// Reports what was delivered and read, ends the thread and waits for it, at most `within`.
    pub fn close(self, within: Duration) {
        self.with(|session, _| session.report_all());
        self.stop.store(true, Ordering::Release);
        let _ = self.waker.wake();
        let _ = self.ended.recv_timeout(within);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The thread may be looking up a name, which nothing can interrupt: it ends when it sees the flag.
        self.stop.store(true, Ordering::Release);
        let _ = self.waker.wake();
    }
}

struct Driver {
    address: String,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    poll: Poll,
    link: Link,
    /// Who was connected last: whoever names a node.
    last_peer: Option<IpAddr>,
    buffer: Box<[u8]>,
    /// Dropped with the driver, which [`Client::close`] waits for.
    _alive: Sender<Infallible>,
}

enum Link {
    Down,
    /// This address is tried; the others follow if it fails.
    Connecting(TcpStream, VecDeque<SocketAddr>),
    Open(Socket),
}

struct Socket {
    stream: TcpStream,
    /// Taken from the session, not yet by the kernel.
    unwritten: Vec<u8>,
    /// Edge-triggered: there may be more to read although no new event comes.
    readable: bool,
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
        // What was written last, a LOGOUT or an ACK, gets the chance that the kernel gives it.
        self.turn();
    }

    /// Does what the session wants now.
    fn turn(&mut self) {
        self.shared.session.lock().handle_timeout(self.shared.now());
        loop {
            let action = self.shared.session.lock().poll_link();
            match action {
                Some(LinkAction::Close) => {
                    self.write();
                    self.link = Link::Down;
                }
                Some(LinkAction::Connect) => self.connect(),
                None => break,
            }
        }
        self.shared.keep(match &mut self.link {
            Link::Open(socket) => Some(&mut socket.unwritten),
            _ => None,
        });
        self.write();
    }

    fn timeout(&self) -> Option<Duration> {
        let session = self.shared.session.lock().next_timeout();
        let session = session.map(|at| Duration::from_millis(at.saturating_sub(self.shared.now())));
        match &self.link {
            Link::Open(socket) if socket.readable && self.may_read() => Some(Duration::ZERO),
            Link::Open(socket) if socket.readable => Some(session.unwrap_or(EVENTS_LOOK).min(EVENTS_LOOK)),
            _ => session,
        }
    }

    fn may_read(&self) -> bool {
        self.shared.events.len() < EVENTS_HIGH
    }

    // ---- the socket ------------------------------------------------------------------------------------------------

    fn connect(&mut self) {
        let node = self.shared.session.lock().take_other_node();
        let (why, last_peer) = ("there is no address to go to".to_owned(), self.last_peer);
        match node.as_deref().unwrap_or(&self.address).to_socket_addrs() {
            Ok(addresses) if node.is_none() => self.try_next(addresses.collect(), why),
            Ok(addresses) => {
                let there = addresses.filter(|there| may_follow(last_peer, there.ip()));
                self.try_next(there.collect(), why);
            }
            Err(error) => self.lost(Lost::Unreachable(error.to_string())),
        }
    }

    /// Tries the first of `addresses` that takes a connection at all.
    fn try_next(&mut self, mut addresses: VecDeque<SocketAddr>, mut why: String) {
        while let Some(address) = addresses.pop_front() {
            let attempt = TcpStream::connect(address).and_then(|mut stream| {
                let interest = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut stream, SOCKET, interest).map(|()| stream)
            });
            match attempt {
                Ok(stream) => {
                    self.link = Link::Connecting(stream, addresses);
                    return;
                }
                Err(error) => why = error.to_string(),
            }
        }
        self.lost(Lost::Unreachable(why));
    }

    fn handle_ready(&mut self, readable: bool) {
        match std::mem::replace(&mut self.link, Link::Down) {
            Link::Down => {}
            Link::Open(mut socket) => {
                socket.readable |= readable;
                self.link = Link::Open(socket);
                self.write();
            }
            Link::Connecting(stream, addresses) => match stream.take_error() {
                Ok(None) if let Ok(peer) = stream.peer_addr() => {
                    self.last_peer = Some(peer.ip());
                    // Without it chat lines would wait for each other's ACKs; a socket that refuses still works.
                    let _ = stream.set_nodelay(true);
                    self.link = Link::Open(Socket { stream, unwritten: Vec::new(), readable: true });
                    self.shared.session.lock().handle_connected(self.shared.now());
                }
                Ok(None) => self.link = Link::Connecting(stream, addresses),
                Ok(Some(error)) | Err(error) => self.try_next(addresses, error.to_string()),
            },
        }
    }

    fn read(&mut self) {
        if !self.may_read() {
            return;
        }
        let Link::Open(socket) = &mut self.link else { return };
        while socket.readable {
            match socket.stream.read(&mut self.buffer) {
                Ok(0) => return self.lost(Lost::Closed),
                Ok(length) => {
                    self.shared.session.lock().handle_bytes(self.shared.now(), &self.buffer[..length]);
                    return;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => socket.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.lost(Lost::Broken(error.to_string())),
            }
        }
    }

    fn write(&mut self) {
        let Link::Open(socket) = &mut self.link else { return };
        let mut written = 0;
        let failed = loop {
            if written == socket.unwritten.len() {
                break None;
            }
            match socket.stream.write(&socket.unwritten[written..]) {
                Ok(length) => written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
        };
        socket.unwritten.drain(..written);
        if let Some(error) = failed {
            self.lost(Lost::Broken(error.to_string()));
        }
    }

    fn lost(&mut self, why: Lost) {
        self.link = Link::Down;
        self.shared.session.lock().handle_disconnected(self.shared.now(), why);
    }
}

/// Whether a node that this peer told of may be at this address. What is this machine itself to the peer is another machine
/// to us: a login must not be shown to whatever listens here.
fn may_follow(peer: Option<IpAddr>, node: IpAddr) -> bool {
    let is_here = |ip: IpAddr| ip.to_canonical().is_loopback() || ip.to_canonical().is_unspecified();
    peer.is_some_and(is_here) || !is_here(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_on_this_machine_sends_us_to_this_machine() {
        let follows = |peer: &str, node: &str| {
            may_follow(Some(peer.parse().expect("a number")), node.parse().expect("a number"))
        };
        for here in ["127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"] {
            assert!(!follows("192.0.2.1", here) && !may_follow(None, here.parse().expect("a number")));
            assert!(follows("127.0.0.1", here) && follows("::1", here));
        }
        assert!(follows("192.0.2.1", "10.0.0.2") && follows("127.0.0.1", "10.0.0.2"));
    }
}
