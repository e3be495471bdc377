//! The thread: sockets, deadlines, and how many connections there may be.

use crate::addresses::Addresses;
use crate::api::{self, Api, Sender};
use crate::client::{Client, forwarded};
use crate::connection::{Closed, Connection, READ_BYTES, Transport};
use crate::encryption;
use crate::exchange::{Decision, Received};
use crate::ops::{self, Operations};
use crate::origin::Origin;
use crate::request::Request;
use crate::response::Response;
use crate::settings::Settings;
use crate::site;
use crate::status::Status;
use crate::upgrade::{self, WebSockets};
use logic::{Input, Order};
use mio::event::Event;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Registry, Token};
use runtime::queue::{Bell, Outbox, poll_bell, queue};
use slab::Slab;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use wire::session::CookieToken;

const WAKE: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);
const EVENTS: usize = 256;
/// Connections that are accepted before others are served.
const BATCH: usize = 64;
/// Batches of orders that may wait: those of all requests in progress, and of as many whose clients have gone.
const ORDER_BATCHES: usize = 2 * api::REQUESTS * api::ORDERS_A_REQUEST;
/// Time until logic's full inbox is tried again.
const RETRY: Duration = Duration::from_millis(1);
/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(500);
/// The least time between two log lines of a listener.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);
/// TLS handshakes that one turn goes on with. Each costs about 0.25 ms of CPU, so that many of them do not hold up
/// requests.
const HANDSHAKES: usize = 4;

/// What a listener serves.
pub enum Service {
    /// Browsers: how requests reach logic, and where WebSockets go.
    Site(LogicLink, Box<dyn WebSockets>),
    /// Operators and their tools.
    Operations(Box<dyn Operations>),
}

/// How requests reach logic.
#[derive(Debug)]
pub struct LogicLink {
    /// The number of the listener's thread in a [`logic::ConnId`].
    pub number: usize,
    pub to_logic: Outbox<Vec<Input>>,
}

enum Served {
    Site(Box<Api>, Box<dyn WebSockets>),
    Operations(Box<dyn Operations>),
}

impl Served {
    fn decide(
        &mut self,
        sender: Sender,
        settings: &Settings,
        request: &Request,
        received: Received,
    ) -> Decision {
        let answer = match self {
            Served::Site(api, _) if api::is_api(&request.path) => {
                return api.handle(sender, settings, request, received);
            }
            Served::Site(_, websockets) => site::answer(request, settings, &**websockets, sender.is_secure),
            Served::Operations(operations) => ops::answer(request, &**operations),
        };
        match received {
            Received::Head if answer.status == Status::Ok => Decision::Skip,
            Received::TooLarge => Decision::Answer(Response::plain(Status::ContentTooLarge)),
            Received::Head | Received::Whole(_) => Decision::Answer(answer),
        }
    }

    fn api(&mut self) -> Option<&mut Api> {
        match self {
            Served::Site(api, _) => Some(api),
            Served::Operations(_) => None,
        }
    }
}

/// A running listener.
#[derive(Debug)]
pub struct Http {
    stop: Arc<AtomicBool>,
    bell: Arc<Bell>,
    orders: Option<Outbox<Vec<Order>>>,
    thread: JoinHandle<()>,
}

/// Serves a listener on a thread of its own; `name` is that of the thread, and of the listener in the log.
///
/// # Errors
/// What the system refuses; after the thread has started nothing is.
pub fn start(
    name: &'static str,
    listener: std::net::TcpListener,
    settings: Settings,
    service: Service,
) -> io::Result<Http> {
    let poll = Poll::new()?;
    let bell = poll_bell(&poll, WAKE)?;
    let (service, orders) = match service {
        Service::Site(LogicLink { number, to_logic }, websockets) => {
            let (orders, inbox) = queue(ORDER_BATCHES, &bell);
            (Served::Site(Box::new(Api::new(number, to_logic, inbox)), websockets), Some(orders))
        }
        Service::Operations(operations) => (Served::Operations(operations), None),
    };
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let stop = Arc::new(AtomicBool::new(false));
    let server = Server {
        name,
        poll,
        listener,
        addresses: Addresses::new(settings.limits.per_address),
        settings,
        service,
        stop: Arc::clone(&stop),
        bell: Arc::clone(&bell),
        is_waiting: true,
        has_failed: false,
        warned: None,
        connections: Slab::new(),
        ready: VecDeque::new(),
        handshakes: VecDeque::new(),
        buffer: vec![0; READ_BYTES].into_boxed_slice(),
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(|| server.run())?;
    Ok(Http { stop, bell, orders, thread })
}

impl Http {
    /// Where logic sends its answers; `None`: it is not asked anything.
    pub fn orders(&self) -> Option<Outbox<Vec<Order>>> {
        self.orders.clone()
    }

    /// Closes the listener and all connections. A panic of the thread is resumed here.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.bell.ring();
        if let Err(panic) = self.thread.join() {
            resume_unwind(panic);
        }
    }
}

struct Server {
    name: &'static str,
    poll: Poll,
    listener: TcpListener,
    settings: Settings,
    service: Served,
    stop: Arc<AtomicBool>,
    bell: Arc<Bell>,
    /// There may be connections to accept.
    is_waiting: bool,
    /// Accepting failed, for lack of descriptors for instance; it is tried again at the next tick.
    has_failed: bool,
    /// When it was last logged that a connection was not served.
    warned: Option<Instant>,
    connections: Slab<Connection>,
    addresses: Addresses,
    /// Slots of connections that can go on without a new event. A slot may have a new connection by then, which has
    /// nothing to do.
    ready: VecDeque<usize>,
    /// The same for connections whose TLS handshake can go on.
    handshakes: VecDeque<usize>,
    buffer: Box<[u8]>,
}

impl Server {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut checked = Instant::now();
        loop {
            let is_busy = !self.ready.is_empty() || !self.handshakes.is_empty() || self.is_waiting;
            let has_deadlines = !self.connections.is_empty() || self.has_failed;
            self.bell.about_to_poll();
            let stops = self.stop.load(Ordering::SeqCst);
            let timeout = match self.service.api() {
                _ if is_busy || stops => Some(Duration::ZERO),
                Some(api) if api.has_news() => Some(Duration::ZERO),
                Some(api) if api.has_unsent() => Some(RETRY),
                _ => has_deadlines.then_some(TICK),
            };
            let polled = self.poll.poll(&mut events, timeout);
            self.bell.awake();
            match polled {
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
            self.take_answers(Api::answers);
            self.serve();
            self.take_answers(Api::flush);
            // After a pause of the machine, what arrived meanwhile counts: there may be more events than one poll returns.
            let has_all =
                events.iter().count() < EVENTS && self.ready.is_empty() && self.handshakes.is_empty();
            if has_all && checked.elapsed() >= TICK {
                checked = Instant::now();
                self.check_deadlines(checked);
                self.is_waiting |= std::mem::take(&mut self.has_failed);
            }
        }
    }

    fn handle_event(&mut self, slot: usize, event: &Event) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.handle_event(event);
        self.queue(slot);
    }

    /// Queues a connection if it can go on.
    fn queue(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if !connection.is_queued && connection.can_go_on() {
            connection.is_queued = true;
            let queue = if connection.is_handshaking() { &mut self.handshakes } else { &mut self.ready };
            queue.push_back(slot);
        }
    }

    /// Accepts some connections. Returns whether there may be more.
    fn accept(&mut self) -> bool {
        for _ in 0..BATCH {
            let (stream, peer) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    self.has_failed = true;
                    self.warn(&format!("cannot accept connections: {error}"));
                    return false;
                }
            };
            if self.connections.len() >= self.settings.limits.connections {
                self.report_surplus(peer.ip());
                continue;
            }
            if stream.set_nodelay(true).is_err() {
                continue;
            }
            let mut transport = Transport::new(stream, None);
            let entry = self.connections.vacant_entry();
            if register(self.poll.registry(), &mut transport, Token(entry.key())).is_err() {
                continue;
            }
            match Connection::new(transport, peer, &self.settings, &mut self.addresses) {
                Ok(connection) => drop(entry.insert(connection)),
                Err(_surplus) => self.report_surplus(peer.ip()),
            }
        }
        true
    }

    /// One step for each connection that can go on, and for a few of those in a handshake.
    fn serve(&mut self) {
        for _ in 0..self.ready.len() {
            let Some(slot) = self.ready.pop_front() else { break };
            self.step(slot);
        }
        for _ in 0..self.handshakes.len().min(HANDSHAKES) {
            let Some(slot) = self.handshakes.pop_front() else { break };
            self.step(slot);
        }
    }

    /// Hands answers to the connections that wait for them.
    fn take_answers(&mut self, take: impl FnOnce(&mut Api) -> Vec<(usize, Response)>) {
        for (slot, response) in self.service.api().map(take).unwrap_or_default() {
            if let Some(connection) = self.connections.get_mut(slot) {
                connection.answer_later(&response);
                self.queue(slot);
            }
        }
    }

    fn step(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.is_queued = false;
        let mut asked_by = None;
        let (name, settings, service) = (self.name, &self.settings, &mut self.service);
        let answer = &mut |client: &Client, request: &Request, received: Received| {
            let address = forwarded(client.address.ip(), &request.forwarded_for, &settings.proxies);
            if let Received::Whole(_) = received {
                log::debug!("{name}: {:?} {:?} from {address}", request.method, request.path);
            }
            let url = settings.url.as_ref();
            if let Some(refusal) = encryption::refusal(settings.encryption.as_ref(), url, client, request) {
                return Decision::Answer(refusal);
            }
            let is_secure = client.is_encrypted || url.is_some_and(Origin::is_secure);
            asked_by = Some((address, upgrade::session(request, settings, is_secure)));
            service.decide(Sender { slot, address, is_secure }, settings, request, received)
        };
        match connection.step(&mut self.buffer, settings, &mut self.addresses, answer) {
            Ok(()) => self.queue(slot),
            Err(Closed::Upgraded) => self.hand_over(slot, asked_by),
            Err(closed) => drop(self.remove(slot, closed)),
        }
    }

    /// Hands a connection over that speaks WebSocket from now on.
    fn hand_over(&mut self, slot: usize, asked_by: Option<(IpAddr, Option<CookieToken>)>) {
        let connection = self.remove(slot, Closed::Upgraded);
        let (client, session) = asked_by.unwrap_or_else(|| (connection.client().address.ip(), None));
        match (connection.upgraded(client, session, self.poll.registry()), &self.service) {
            (Ok(upgraded), Served::Site(_, websockets)) => websockets.adopt(upgraded),
            (Ok(_), Served::Operations(_)) => {}
            (Err(error), _) => self.warn(&format!("cannot hand over a connection from {client}: {error}")),
        }
    }

    fn check_deadlines(&mut self, now: Instant) {
        let late = self.connections.iter().filter(|(_, connection)| connection.is_late(now));
        let late: Vec<usize> = late.map(|(slot, _)| slot).collect();
        for slot in late {
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            match connection.time_out(now) {
                Ok(()) => self.queue(slot),
                Err(closed) => drop(self.remove(slot, closed)),
            }
        }
    }

    fn remove(&mut self, slot: usize, closed: Closed) -> Connection {
        let connection = self.connections.remove(slot);
        if let Some(api) = self.service.api() {
            api.abandon(slot);
        }
        if let Some(counted) = connection.counted() {
            self.addresses.leave(counted);
        }
        if closed == Closed::Surplus {
            self.report_surplus(connection.client().address.ip());
        }
        connection
    }

    fn report_surplus(&mut self, peer: IpAddr) {
        self.warn(&format!("too many connections; closed one from {}", peer.to_canonical()));
    }

    /// Logs once in a while why a connection is not served.
    fn warn(&mut self, why: &str) {
        if self.warned.is_none_or(|last| last.elapsed() > WARNING_INTERVAL) {
            self.warned = Some(Instant::now());
            log::warn!("{}.listen: {why}", self.name);
        }
    }
}

fn register(registry: &Registry, transport: &mut Transport, token: Token) -> io::Result<()> {
    registry.register(transport.socket_mut(), token, Interest::READABLE | Interest::WRITABLE)
}
