//! The sub-reactor: one thread, one poll, and the connections that it owns.
//!
//! ```text
//!   sleep -> events -> ready list -> mailbox -> orders -> deadlines -> flush -> push to logic -+
//!     ^     (read, decode)          (sockets)  (encode)              (one write              |
//!     |                                                               a connection)          |
//!     +--------------------------------------------------------------------------------------+
//! ```
//!
//! It waits for nobody: the one queue that it pushes into may be full, and then it keeps what it has, reads no
//! socket, and goes on carrying out orders, so whoever waits for it is served. Under load it sleeps for a moment before it
//! looks at events, where orders wake it (`moderation`).

use crate::acceptor::Accepted;
use crate::close::CloseReason;
use crate::codec::legacy;
use crate::connection::{self, Connection, Phase};
use crate::context::{Context, PASSING};
use crate::deadline::{Clock, Span, Tick};
use crate::pending_logins::PendingLogins;
use crate::transport::proxy_handshake::ProxiedPeer;
use logic::{ConnId, Input, Order};
use mio::event::Event;
use mio::{Events, Interest, Poll, Token};
use runtime::queue::{Bell, Gone, Inbox, Outbox};
use runtime::watchdog::{Pulse, Role};
use slab::Slab;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use wire::message;

/// The token of the waker; no connection's, whose slots are fewer.
pub(crate) const WAKE: Token = Token(usize::MAX);
/// Events that one poll takes.
pub(crate) const EVENTS: usize = 1024;
/// What one connection may read in a turn.
const READ_BYTES: usize = 64 * 1024;
/// Batches of orders that are carried out before output is flushed.
const BATCHES: usize = 64;
/// How long until logic's full inbox is tried again.
const RETRY: Duration = Duration::from_millis(1);

/// What the acceptor and the owner of the net say to a sub-reactor.
#[derive(Debug)]
pub(crate) enum Control {
    Adopt(Vec<Accepted>),
    /// Write what is unwritten, close everything, end; within this time.
    Drain(Duration),
}

/// What joins a loop to the other threads.
pub(crate) struct Endpoints {
    pub poll: Poll,
    /// What wakes it there.
    pub bell: Arc<Bell>,
    /// From the acceptor and the owner of the net.
    pub controls: Inbox<Control>,
    pub orders: Inbox<Vec<Order>>,
    pub to_logic: Outbox<Vec<Input>>,
}

impl Endpoints {
    /// Whether orders or controls wait.
    fn have_news(&self) -> bool {
        !self.orders.is_empty() || !self.controls.is_empty()
    }
}

/// One loop and everything in it.
pub(crate) struct Reactor {
    /// Which one; part of the connections' ids.
    index: usize,
    endpoints: Endpoints,
    /// Open connections of the whole server.
    connections: Arc<AtomicUsize>,
    pending_logins: PendingLogins,
    context: Context,
    slots: Slab<Connection>,
    /// Given out to connections one after another, so that no two users of a slot share an id.
    generation: u32,
    clock: Clock,
    events: Events,
    /// What sockets are read into, one at a time.
    buffer: Box<[u8]>,
    /// An encoded message on its way to many, as a frame.
    message: Vec<u8>,
    /// The same as a legacy object.
    object: Vec<u8>,
    expired: Vec<(ConnId, Tick)>,
    /// Set while the loop drains: when it ends at the latest.
    drained_by: Option<Tick>,
}

impl Reactor {
    /// A loop without connections.
    pub fn new(
        index: usize,
        endpoints: Endpoints,
        connections: Arc<AtomicUsize>,
        pending_logins: PendingLogins,
        context: Context,
    ) -> Reactor {
        Reactor {
            index,
            endpoints,
            connections,
            pending_logins,
            context,
            slots: Slab::new(),
            generation: 0,
            clock: Clock::start(),
            events: Events::with_capacity(EVENTS),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            message: Vec::new(),
            object: Vec::new(),
            expired: Vec::new(),
            drained_by: None,
        }
    }

    /// Runs until it was told to drain, and did.
    pub fn run(mut self) {
        let mut pulse = Pulse::of(Role::Reactor);
        while !self.is_drained() {
            pulse.beat();
            let ready = self.context.ready.take_turn();
            let has_looked = self.sleep(!ready.is_empty(), &pulse);
            let now = Instant::now();
            let before = std::mem::replace(&mut self.context.now, self.clock.tick(now));
            if has_looked {
                self.context.moderation.polled(now);
            }
            self.handle_events();
            self.handle_ready(&ready);
            let drain = self.take_mail();
            self.take_orders();
            self.end_rests();
            if let Some(within) = drain {
                self.begin_drain(within);
            }
            if self.context.now > before {
                self.check_deadlines();
            }
            self.flush();
            self.push();
        }
        let left = self.slots.len();
        if left > 0 {
            log::warn!("{left} connections did not take what was written to them in time");
        }
        self.connections.fetch_sub(left, Ordering::Relaxed);
    }

    /// Sleeps until there is something to do; whether sockets were looked at.
    fn sleep(&mut self, has_work: bool, pulse: &Pulse) -> bool {
        if !self.context.stalled && self.rest(has_work) {
            self.events.clear();
            return false;
        }
        let timeout = if self.context.stalled {
            Some(RETRY)
        } else if has_work || self.endpoints.have_news() {
            Some(Duration::ZERO)
        } else {
            let deadline = self.next_deadline().map(|due| self.context.now.until(due));
            pulse.within([deadline, self.context.pace.next()].into_iter().flatten().min())
        };
        let polled = if timeout == Some(Duration::ZERO) {
            self.endpoints.poll.poll(&mut self.events, timeout)
        } else {
            self.endpoints.bell.about_to_poll();
            let timeout = if self.endpoints.have_news() { Some(Duration::ZERO) } else { timeout };
            let polled = self.endpoints.poll.poll(&mut self.events, timeout);
            self.endpoints.bell.awake();
            polled
        };
        match polled {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            Err(error) => panic!("epoll_wait on a valid descriptor and buffer: {error}"),
        }
        true
    }

    /// Where sockets are to be left alone, sleeps while they are and there is nothing else to do; whether they still are.
    fn rest(&self, has_work: bool) -> bool {
        let (moderation, endpoints) = (&self.context.moderation, &self.endpoints);
        if !moderation.is_loaded() {
            return false;
        }
        let Some(rest) = moderation.rest(Instant::now()) else { return false };
        if has_work {
            return true;
        }
        endpoints.bell.wait(Some(rest), || endpoints.have_news());
        moderation.rest(Instant::now()).is_some()
    }

    fn next_deadline(&self) -> Option<Tick> {
        let Context { wheel, synthetic_acks, now, .. } = &self.context;
        let times = [wheel.next(), synthetic_acks.next(), self.pending_logins.next(*now), self.drained_by];
        times.into_iter().flatten().min()
    }

    // ---- input ------------------------------------------------------------------------------------------------

    fn handle_events(&mut self) {
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let mut newcomers = 0;
        for event in events.iter().filter(|event| event.token() != WAKE) {
            self.handle_event(event, &mut newcomers);
        }
        self.events = events;
    }

    /// Handles an event; `newcomers` were read in this turn.
    fn handle_event(&mut self, event: &Event, newcomers: &mut usize) {
        let id = connection::id(self.index, event.token());
        let Some(conn) = find(&mut self.slots, id) else { return };
        let is_broken = event.is_error() || event.is_write_closed();
        let is_over = is_broken || event.is_read_closed();
        if event.is_writable() {
            conn.writable(&mut self.context);
        }
        conn.hung_up |= is_over;
        conn.readable |= is_over || event.is_readable();
        if !conn.readable {
            return;
        }
        // A peer that reset the connection may have sent requests before; they are read, if anything is now.
        if is_broken && !conn.gate_is_open(&self.context) {
            self.end(id, CloseReason::PeerReset);
        } else if is_over {
            self.context.list(conn);
        } else if !conn.listed {
            let is_new = conn.user().is_none();
            *newcomers += usize::from(is_new);
            if is_new && *newcomers > PASSING {
                self.context.list(conn);
            } else {
                self.service(id);
            }
        }
    }

    /// Goes on with the connections that have waited for this turn.
    fn handle_ready(&mut self, ready: &[ConnId]) {
        for &id in ready {
            if let Some(conn) = find(&mut self.slots, id) {
                conn.listed = false;
                self.service(id);
            }
        }
    }

    fn service(&mut self, id: ConnId) {
        let Some(conn) = find(&mut self.slots, id) else { return };
        if let Err(reason) = conn.service(&mut self.context, &mut self.buffer) {
            self.end(id, reason);
        }
    }

    /// Takes one batch of new connections; whether the loop is to drain, and within which time.
    fn take_mail(&mut self) -> Option<Duration> {
        match self.endpoints.controls.try_recv() {
            Ok(Some(Control::Adopt(accepted))) => {
                accepted.into_iter().for_each(|accepted| self.adopt(accepted));
                None
            }
            Ok(Some(Control::Drain(within))) => Some(within),
            Ok(None) | Err(Gone) => None,
        }
    }

    fn adopt(&mut self, Accepted { mut stream, peer }: Accepted) {
        let slot = self.slots.vacant_key();
        self.generation = self.generation.wrapping_add(1);
        let id = ConnId::new(self.index, slot, self.generation);
        let token = connection::token(id);
        if let Err(error) = self.endpoints.poll.registry().register(&mut stream, token, Interest::READABLE) {
            log::warn!("a connection from {peer} cannot be watched: {error}");
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let origin = self.context.is_proxy(peer).then(ProxiedPeer::awaited);
        let mut conn = Connection::new(id, stream, origin, self.context.now);
        self.context.arm(&mut conn);
        self.pending_logins.join(id, self.context.now);
        self.slots.insert(conn);
    }

    // ---- orders -----------------------------------------------------------------------------------------------

    fn take_orders(&mut self) {
        for _ in 0..BATCHES {
            match self.endpoints.orders.try_recv() {
                Ok(Some(batch)) => batch.into_iter().for_each(|order| self.carry_out(order)),
                Ok(None) | Err(Gone) => break,
            }
        }
    }

    fn carry_out(&mut self, order: Order) {
        let Reactor { context, slots, message: encoded, object, pending_logins, .. } = self;
        match order {
            Order::Reply { conn, kind, request, reply } => {
                let Some(conn) = find_open(slots, conn) else { return };
                if conn.legacy.is_some() {
                    legacy::answer(conn, kind, &reply, context);
                } else if request != 0 {
                    conn.answer(context, |out| reply.encode(kind, request, out));
                }
                conn.discharge(kind, request, context);
            }
            Order::Welcome { conn, welcome } => {
                let Some(conn) = find_open(slots, conn) else { return };
                legacy::welcome(conn, &welcome, context);
            }
            Order::Push { conn, push } => {
                let Some(conn) = find_open(slots, conn) else { return };
                match conn.legacy {
                    None => conn.write(context, |out| push.encode(out)),
                    Some(_) => legacy::push(conn, &push, object, context),
                }
            }
            Order::Deliver { message, to } => {
                encoded.clear();
                object.clear();
                for id in to {
                    let Some(conn) = find_open(slots, id) else { continue };
                    if conn.legacy.is_some() {
                        legacy::deliver(conn, &message, object, context);
                        continue;
                    }
                    if encoded.is_empty() {
                        wire::Push::Message(message::Push::New(Arc::clone(&message))).encode(encoded);
                    }
                    conn.write(context, |out| out.extend_from_slice(encoded));
                }
            }
            Order::LoggedIn { conn, user } => {
                let Some(conn) = find_open(slots, conn) else { return };
                if conn.user().is_none() {
                    pending_logins.leave();
                }
                conn.log_in(user, context);
            }
            Order::LoggedOut { conn } => {
                let Some(conn) = find_open(slots, conn) else { return };
                if conn.user().is_some() {
                    conn.log_out(context);
                    pending_logins.join(conn.id, context.now);
                }
            }
            Order::NotifyDrained { conn } => {
                let Some(conn) = find_open(slots, conn) else { return };
                conn.notify_drained(context);
            }
            Order::Close { conn, reason } => self.end(conn, CloseReason::Ordered(reason)),
        }
    }

    /// Goes on with legacy connections whose peers have had their time to read.
    fn end_rests(&mut self) {
        while let Some(id) = self.context.pace.rested() {
            if let Some(conn) = find(&mut self.slots, id) {
                legacy::rested(conn, &mut self.context);
            }
        }
    }

    // ---- time -------------------------------------------------------------------------------------------------

    fn check_deadlines(&mut self) {
        let now = self.context.now;
        let mut expired = std::mem::take(&mut self.expired);
        self.context.wheel.expire(now, &mut expired);
        for (id, due) in expired.drain(..) {
            let Some(conn) = find(&mut self.slots, id) else { continue };
            if conn.due != due {
                continue;
            }
            conn.due = Tick(u32::MAX);
            match conn.expire(&mut self.context) {
                Ok(()) => self.context.arm(conn),
                Err(reason) => self.end(id, reason),
            }
        }
        self.expired = expired;

        let slots = &self.slots;
        let waits = |id: ConnId, since| {
            slots.get(id.slot()).is_some_and(|conn| {
                conn.id == id && conn.phase == Phase::Open && conn.user().is_none() && conn.since == since
            })
        };
        for id in self.pending_logins.surplus(now, waits) {
            self.end(id, CloseReason::TooManyPendingLogins);
        }
    }

    // ---- output -----------------------------------------------------------------------------------------------

    /// Writes each connection that has output, once: first what is delivered, then answers. Ends that this leads to are
    /// flushed too.
    fn flush(&mut self) {
        self.context.dirty.append(&mut self.context.answered);
        while !self.context.dirty.is_empty() {
            let mut dirty = std::mem::take(&mut self.context.dirty);
            for id in dirty.drain(..) {
                let Some(conn) = find(&mut self.slots, id) else { continue };
                if let Err(reason) = conn.flush(&mut self.context) {
                    self.end(id, reason);
                }
            }
            if self.context.dirty.is_empty() {
                self.context.dirty = dirty;
                break;
            }
        }
    }

    /// Tells logic everything of this turn at once.
    fn push(&mut self) {
        self.context.synthetic_acks.join(&mut self.context.inputs, self.context.now);
        if self.context.inputs.is_empty() {
            return;
        }
        // Most turns are like the one before.
        let next = Vec::with_capacity(self.context.inputs.len().min(EVENTS));
        let inputs = std::mem::replace(&mut self.context.inputs, next);
        let was_stalled = self.context.stalled;
        match self.endpoints.to_logic.try_send(inputs) {
            // Without logic there is nobody to tell: the server stops.
            Ok(Ok(())) | Err(Gone) => self.context.stalled = false,
            Ok(Err(inputs)) => {
                self.context.inputs = inputs;
                self.context.stalled = true;
            }
        }
        if self.context.stalled && !was_stalled {
            log::debug!("reactor {}: logic's inbox is full, nothing is read until it is not", self.index);
        }
    }

    // ---- the end of a connection -------------------------------------------------------------------------------

    fn end(&mut self, id: ConnId, reason: CloseReason) {
        let Some(conn) = find(&mut self.slots, id) else { return };
        if conn.phase == Phase::Open {
            if log::log_enabled!(log::Level::Debug) {
                match conn.peer() {
                    Ok(peer) => log::debug!("{id:?} of {peer} ends: {reason}"),
                    Err(_) => log::debug!("{id:?} ends: {reason}"),
                }
            }
            if conn.legacy.is_some() {
                self.context.synthetic_acks.hurry();
            }
            if conn.dialect.is_some() {
                self.context.inputs.push(Input::Closed { conn: id });
            }
            if conn.user().is_none() {
                self.pending_logins.leave();
            }
            let all_said = conn.ended && conn.output.is_empty();
            if reason.is_gentle() && !all_said {
                return conn.begin_end(&mut self.context);
            }
        }
        let mut conn = self.slots.remove(id.slot());
        conn.output.recycle(&mut self.context.pool);
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    fn begin_drain(&mut self, within: Duration) {
        self.drained_by = Some(self.context.now.after(Span::of(within)));
        let open: Vec<ConnId> = self.slots.iter().map(|(_, conn)| conn.id).collect();
        for id in open {
            if find_open(&mut self.slots, id).is_some() {
                self.end(id, CloseReason::Shutdown);
            }
        }
    }

    fn is_drained(&self) -> bool {
        self.drained_by.is_some_and(|by| self.slots.is_empty() || by <= self.context.now)
    }
}

/// The connection of this id, unless it is gone and maybe another one has its slot.
fn find(slots: &mut Slab<Connection>, id: ConnId) -> Option<&mut Connection> {
    slots.get_mut(id.slot()).filter(|conn| conn.id == id)
}

/// The same, for orders: a connection whose end has begun takes none.
fn find_open(slots: &mut Slab<Connection>, id: ConnId) -> Option<&mut Connection> {
    find(slots, id).filter(|conn| conn.phase == Phase::Open)
}
