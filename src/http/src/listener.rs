//! The thread: sockets, deadlines, and how many connections there may be.

use crate::exchange::{Exchange, Waits};
use crate::ops::{self, Operations};
use crate::request::Request;
use crate::response::Response;
use crate::site;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use slab::Slab;
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const WAKE: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);
const EVENTS: usize = 256;
/// The most bytes that one connection may read in a turn.
const READ_BYTES: usize = 16 * 1024;
/// Connections that are accepted before others are served.
const BATCH: usize = 64;
/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(500);
/// The least time between two log lines of a listener.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);
/// How long input is thrown away after FIN was sent.
const LINGER: Duration = Duration::from_secs(2);

/// Time limits of a connection.
#[derive(Clone, Copy, Debug)]
struct Timeouts {
    /// For a head, from its first byte on.
    head: Duration,
    /// Between two requests.
    idle: Duration,
    /// Without progress of a body, or of the peer's reading.
    stall: Duration,
}

const TIMEOUTS: Timeouts =
    Timeouts { head: Duration::from_secs(10), idle: Duration::from_secs(60), stall: Duration::from_secs(30) };

/// How many connections a listener keeps; one above this is closed at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connections: usize,
    /// Of one address (IPv6: of one /64) other than loopback, where a proxy on this machine has them all.
    pub per_address: usize,
}

/// What a listener serves.
pub enum Service {
    Site,
    /// Operators and their tools.
    Operations(Box<dyn Operations>),
}

impl Service {
    fn answer(&self, request: &Request) -> Response {
        match self {
            Service::Site => site::answer(request),
            Service::Operations(operations) => ops::answer(request, &**operations),
        }
    }
}

/// A running listener.
#[derive(Debug)]
pub struct Http {
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: JoinHandle<()>,
}

/// Serves a listener on a thread of its own; `name` is that of the thread, and of the listener in the log.
///
/// # Errors
/// What the system refuses; after the thread has started nothing is.
pub fn start(
    name: &'static str,
    listener: std::net::TcpListener,
    limits: Limits,
    service: Service,
) -> io::Result<Http> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKE)?;
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let stop = Arc::new(AtomicBool::new(false));
    let server = Server {
        name,
        poll,
        listener,
        limits,
        service,
        stop: Arc::clone(&stop),
        is_waiting: true,
        has_failed: false,
        warned: None,
        connections: Slab::new(),
        addresses: HashMap::new(),
        ready: VecDeque::new(),
        buffer: vec![0; READ_BYTES].into_boxed_slice(),
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(|| server.run())?;
    Ok(Http { stop, waker, thread })
}

impl Http {
    /// Closes the listener and all connections. A panic of the thread is resumed here.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.waker.wake().expect("an eventfd that is open takes a write");
        if let Err(panic) = self.thread.join() {
            resume_unwind(panic);
        }
    }
}

struct Server {
    name: &'static str,
    poll: Poll,
    listener: TcpListener,
    limits: Limits,
    service: Service,
    stop: Arc<AtomicBool>,
    /// There may be connections to accept.
    is_waiting: bool,
    /// Accepting failed, for lack of descriptors for instance; it is tried again at the next tick.
    has_failed: bool,
    /// When it was last logged that a connection was not served.
    warned: Option<Instant>,
    connections: Slab<Connection>,
    /// Open connections by address.
    addresses: HashMap<IpAddr, usize>,
    /// Slots of connections that can go on without a new event. A slot may have a new connection by then, which has
    /// nothing to do.
    ready: VecDeque<usize>,
    buffer: Box<[u8]>,
}

struct Connection {
    stream: TcpStream,
    /// The address that it counts against.
    source: IpAddr,
    exchange: Exchange,
    readable: bool,
    writable: bool,
    /// The peer sends nothing more.
    has_ended: bool,
    /// It is in [`Server::ready`].
    is_queued: bool,
    /// What the deadline is about, and since when.
    waits: Waits,
    since: Instant,
    /// FIN was sent; input is thrown away until the peer closes its side too.
    is_lingering: bool,
}

impl Server {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut checked = Instant::now();
        loop {
            let is_busy = !self.ready.is_empty() || self.is_waiting;
            let has_deadlines = !self.connections.is_empty() || self.has_failed;
            let timeout = match is_busy {
                true => Some(Duration::ZERO),
                false => has_deadlines.then_some(TICK),
            };
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => panic!("epoll_wait failed on a valid descriptor and buffer: {error}"),
            }
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            for event in &events {
                match event.token() {
                    WAKE => {}
                    LISTENER => self.is_waiting = true,
                    Token(slot) => self.handle_event(slot, event),
                }
            }
            if self.is_waiting {
                self.is_waiting = self.accept();
            }
            self.serve();
            // After a pause of the machine, what arrived meanwhile counts: there may be more events than one poll returns.
            let has_all = events.iter().count() < EVENTS && self.ready.is_empty();
            if has_all && checked.elapsed() >= TICK {
                checked = Instant::now();
                self.check_deadlines(checked);
                self.is_waiting |= std::mem::take(&mut self.has_failed);
            }
        }
    }

    fn handle_event(&mut self, slot: usize, event: &Event) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        connection.writable |= event.is_writable();
        self.queue(slot);
    }

    /// Queues a connection if it can go on.
    fn queue(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if !connection.is_queued && connection.can_go_on() {
            connection.is_queued = true;
            self.ready.push_back(slot);
        }
    }

    /// Accepts some connections. Returns whether there may be more.
    fn accept(&mut self) -> bool {
        for _ in 0..BATCH {
            let (mut stream, peer) = match self.listener.accept() {
                Ok((stream, peer)) => (stream, peer.ip().to_canonical()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    self.has_failed = true;
                    self.warn(&format!("cannot accept connections: {error}"));
                    return false;
                }
            };
            let source = source(peer);
            let of_source = self.addresses.get(&source).copied().unwrap_or_default();
            let is_surplus = of_source >= self.limits.per_address && !peer.is_loopback();
            if self.connections.len() >= self.limits.connections || is_surplus {
                self.warn(&format!("too many connections; closed one from {peer}"));
                continue;
            }
            let entry = self.connections.vacant_entry();
            if register(self.poll.registry(), &mut stream, Token(entry.key())).is_err() {
                continue;
            }
            self.addresses.insert(source, of_source + 1);
            // The kernel reports what the socket can do as its first event.
            entry.insert(Connection {
                stream,
                source,
                exchange: Exchange::new(),
                readable: false,
                writable: false,
                has_ended: false,
                is_queued: false,
                waits: Waits::Idle,
                since: Instant::now(),
                is_lingering: false,
            });
        }
        true
    }

    /// One step for each connection that can go on.
    fn serve(&mut self) {
        for _ in 0..self.ready.len() {
            let Some(slot) = self.ready.pop_front() else { return };
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            connection.is_queued = false;
            let service = &self.service;
            match connection.step(&mut self.buffer, &mut |request: &Request| service.answer(request)) {
                Ok(()) => self.queue(slot),
                Err(Closed) => self.remove(slot),
            }
        }
    }

    fn check_deadlines(&mut self, now: Instant) {
        let late = self.connections.iter().filter(|(_, connection)| connection.is_late(now));
        let late: Vec<usize> = late.map(|(slot, _)| slot).collect();
        for slot in late {
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            match connection.time_out(now) {
                Ok(()) => self.queue(slot),
                Err(Closed) => self.remove(slot),
            }
        }
    }

    fn remove(&mut self, slot: usize) {
        let Connection { source, .. } = self.connections.remove(slot);
        if let Some(count) = self.addresses.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&source);
            }
        }
    }

    /// Logs once in a while why a connection is not served.
    fn warn(&mut self, why: &str) {
        if self.warned.is_none_or(|last| last.elapsed() > WARNING_INTERVAL) {
            self.warned = Some(Instant::now());
            log::warn!("{}.listen: {why}", self.name);
        }
    }
}

/// What a connection counts against: its address, or its /64, as one machine may have all of that.
fn source(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// The connection is over.
struct Closed;

fn register(registry: &Registry, stream: &mut TcpStream, token: Token) -> io::Result<()> {
    stream.set_nodelay(true)?;
    registry.register(stream, token, Interest::READABLE | Interest::WRITABLE)
}

impl Connection {
    /// Whether there is something to do without a new event.
    fn can_go_on(&self) -> bool {
        let reads = self.readable && (self.is_lingering || self.exchange.takes_input());
        reads || (self.writable && !self.exchange.output.is_empty())
    }

    /// Whether it has taken too long.
    fn is_late(&self, now: Instant) -> bool {
        let Timeouts { head, idle, stall } = TIMEOUTS;
        let allowed = match self.waits {
            _ if self.is_lingering => LINGER,
            _ if !self.exchange.output.is_empty() => stall,
            Waits::Idle => idle,
            Waits::Head => head,
            Waits::Body | Waits::End => stall,
        };
        now.saturating_duration_since(self.since) > allowed
    }

    /// It has taken too long: a request that is not complete is answered, everything else just ends.
    fn time_out(&mut self, now: Instant) -> Result<(), Closed> {
        if self.is_lingering || !self.exchange.output.is_empty() || self.waits == Waits::End {
            return Err(Closed);
        }
        self.exchange.time_out();
        self.since = now;
        self.write()
    }

    /// Reads once, answers, and writes once.
    fn step(
        &mut self,
        buffer: &mut [u8],
        answer: &mut impl FnMut(&Request) -> Response,
    ) -> Result<(), Closed> {
        if self.readable && (self.is_lingering || self.exchange.takes_input()) {
            match self.stream.read(buffer) {
                Ok(0) if self.is_lingering => return Err(Closed),
                // What it has asked for is still answered, but nothing more comes.
                Ok(0) => {
                    self.readable = false;
                    self.has_ended = true;
                }
                Ok(_) if self.is_lingering => {}
                Ok(length) => {
                    self.exchange.take_in(&buffer[..length], answer);
                    self.progressed(matches!(self.exchange.waits(), Waits::Body | Waits::Idle));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Closed),
            }
        }
        self.write()?;
        // What waited for room in the output; it is written in the next step.
        if self.exchange.output.is_empty() && !self.is_lingering {
            self.exchange.proceed(answer);
            self.progressed(false);
            if self.has_ended && self.exchange.output.is_empty() {
                self.exchange.end();
                self.write()?;
            }
        }
        Ok(())
    }

    /// Notes what the deadline is about now. `is_progress`: its time begins anew.
    fn progressed(&mut self, is_progress: bool) {
        let waits = self.exchange.waits();
        if is_progress || waits != self.waits {
            self.since = Instant::now();
        }
        self.waits = waits;
    }

    fn write(&mut self) -> Result<(), Closed> {
        while self.writable && !self.exchange.output.is_empty() {
            match self.stream.write(&self.exchange.output) {
                Ok(length) => {
                    self.exchange.output.drain(..length);
                    self.progressed(true);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Closed),
            }
        }
        if self.exchange.output.is_empty() && self.exchange.output.capacity() > READ_BYTES {
            self.exchange.output = Vec::new();
        }
        if self.exchange.output.is_empty() && self.exchange.waits() == Waits::End && !self.is_lingering {
            // The peer may still send: closing now would make the kernel destroy what it has not read.
            if self.stream.shutdown(Shutdown::Write).is_err() {
                return Err(Closed);
            }
            self.is_lingering = true;
            self.readable = true;
            self.since = Instant::now();
        }
        Ok(())
    }
}
