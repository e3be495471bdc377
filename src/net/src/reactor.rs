//! The reactor: one thread, one poll, and the connections that it owns.
//!
//! ```text
//!   sleep -> events -> ready list -> controls -> orders -> deadlines -> flush -> push to logic -+
//!     ^     (read, decode)          (sockets)  (encode)              (one write                |
//!     |                                                               a connection)            |
//!     +----------------------------------------------------------------------------------------+
//! ```
//!
//! It waits for no other thread. When logic's inbox is full, the reactor keeps its inputs, reads no socket and
//! continues to carry out orders, so logic never has to wait for it. Under load it pauses before it polls sockets, but
//! orders still wake it; see [`crate::moderation`].

use crate::close::CloseReason;
use crate::codec::FanOut;
use crate::connection::Readiness;
use crate::context::{Context, HANDSHAKES_PER_TURN, TRANSIENT_PER_TURN};
use crate::control::Control;
use crate::deadline::{Clock, Span, Tick};
use crate::orders;
use crate::table::ConnectionTable;
use crate::token::{self, WAKE};
use logic::{ConnId, Input, Order};
use mio::event::Event;
use mio::{Events, Poll};
use runtime::queue::{Bell, Gone, Inbox, Outbox};
use runtime::watchdog::{Pulse, Role};
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Events that one poll returns at most.
const EVENTS: usize = 1024;
/// The most bytes that one connection may read in a turn.
const READ_BYTES: usize = 64 * 1024;
/// Batches of orders that are carried out before output is flushed.
const BATCHES: usize = 64;
/// Connections whose wait for memory is checked in a turn.
const BUDGET_WAITS_PER_TURN: usize = 64;
/// Time until logic's full inbox is tried again.
const RETRY: Duration = Duration::from_millis(1);

/// The connections of a reactor to the sockets and to the other threads.
pub(crate) struct Endpoints {
    pub poll: Poll,
    /// Wakes the reactor, in its poll or parked.
    pub bell: Arc<Bell>,
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

pub(crate) struct Reactor {
    index: usize,
    endpoints: Endpoints,
    connections: ConnectionTable,
    context: Context,
    clock: Clock,
    events: Events,
    /// The read buffer, shared by all transports.
    buffer: Box<[u8]>,
    fan_out: FanOut,
    /// Reused by each check of deadlines.
    expired: Vec<(ConnId, Tick)>,
    /// The deadline of a drain; `None` unless the reactor drains.
    drained_by: Option<Tick>,
}

impl Reactor {
    pub fn new(
        index: usize,
        endpoints: Endpoints,
        connections: ConnectionTable,
        context: Context,
    ) -> Reactor {
        Reactor {
            index,
            endpoints,
            connections,
            context,
            clock: Clock::start(),
            events: Events::with_capacity(EVENTS),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            fan_out: FanOut::default(),
            expired: Vec::new(),
            drained_by: None,
        }
    }

    /// Runs until a drain is ordered and either all connections are closed or the drain's deadline has passed.
    pub fn run(mut self) {
        let mut pulse = Pulse::of(Role::Reactor);
        while !self.is_drained() {
            pulse.beat();
            self.context.counters.turns.add(1);
            let ready = self.context.ready.take_turn();
            let has_work = !ready.is_empty() || !self.context.handshakes.is_empty();
            let has_polled = self.sleep(has_work, &pulse);
            let now = Instant::now();
            let before = mem::replace(&mut self.context.now, self.clock.tick(now));
            if has_polled {
                self.context.moderation.polled(now);
            }
            self.handle_events();
            self.handle_ready(&ready);
            self.continue_handshakes();
            let drain = self.take_control();
            self.take_orders();
            self.end_gaps();
            self.end_budget_waits();
            if let Some(within) = drain {
                self.drained_by = Some(self.context.now.after(Span::of(within)));
                self.connections.shut_down(&mut self.context);
            }
            if self.context.now > before {
                self.check_deadlines();
            }
            self.connections.close_surplus(&mut self.context, &mut self.buffer);
            self.flush();
            self.push_inputs();
        }
        let left = self.connections.abandon(&self.context);
        if left > 0 {
            log::warn!(
                "reactor {}: dropped {left} connections with output that was not written in time",
                self.index
            );
        }
    }

    fn is_drained(&self) -> bool {
        self.drained_by.is_some_and(|by| self.connections.is_empty() || by <= self.context.now)
    }

    /// Sleeps until there is something to do. Returns whether sockets were polled.
    fn sleep(&mut self, has_work: bool, pulse: &Pulse) -> bool {
        if !self.context.inbox_full && self.pause(has_work) {
            self.events.clear();
            return false;
        }
        let timeout = if self.context.inbox_full {
            Some(RETRY)
        } else if has_work || self.endpoints.have_news() {
            Some(Duration::ZERO)
        } else {
            let deadline = self.next_deadline().map(|due| self.context.now.until(due));
            pulse.within([deadline, self.context.legacy.pacer.next()].into_iter().flatten().min())
        };
        let polled = if timeout == Some(Duration::ZERO) {
            self.endpoints.poll.poll(&mut self.events, timeout)
        } else {
            self.endpoints.bell.about_to_poll();
            let has_news = self.endpoints.have_news() || self.has_surplus();
            let timeout = if has_news { Some(Duration::ZERO) } else { timeout };
            let polled = self.endpoints.poll.poll(&mut self.events, timeout);
            self.endpoints.bell.awake();
            polled
        };
        match polled {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            Err(error) => panic!("epoll_wait failed on a valid descriptor and buffer: {error}"),
        }
        true
    }

    /// Whether this reactor must close connections without a login. Another one may have rung the bell for that.
    fn has_surplus(&self) -> bool {
        !self.context.inbox_full && self.context.pending_logins.is_surplus_of(self.index)
    }

    /// While the next poll of the sockets is delayed, sleeps until then or until there is other work. Returns whether
    /// it is still delayed.
    fn pause(&self, has_work: bool) -> bool {
        let (moderation, endpoints) = (&self.context.moderation, &self.endpoints);
        if !moderation.is_loaded() {
            return false;
        }
        let Some(pause) = moderation.pause(Instant::now()) else { return false };
        if has_work {
            return true;
        }
        endpoints.bell.wait(Some(pause), || endpoints.have_news());
        moderation.pause(Instant::now()).is_some()
    }

    fn next_deadline(&self) -> Option<Tick> {
        let Context { wheel, legacy, now, awaiting_budget, .. } = &self.context;
        // Other reactors free memory too.
        let next_tick = (!awaiting_budget.is_empty()).then_some(Tick(now.0 + 1));
        let times = [wheel.next(), legacy.synthetic_acks.next(), next_tick, self.drained_by];
        times.into_iter().flatten().min()
    }

    // ---- input ------------------------------------------------------------------------------------------------

    fn handle_events(&mut self) {
        let events = mem::replace(&mut self.events, Events::with_capacity(0));
        let mut unauthenticated = 0;
        for event in events.iter().filter(|event| event.token() != WAKE) {
            self.handle_event(event, &mut unauthenticated);
        }
        self.events = events;
    }

    /// `unauthenticated`: connections without a login that were ready in this turn.
    fn handle_event(&mut self, event: &Event, unauthenticated: &mut usize) {
        let id = token::conn_id(self.index, event.token());
        let Some(conn) = self.connections.find(id) else { return };
        match conn.handle_event(event, &mut self.context) {
            Readiness::Idle => {}
            Readiness::Reset => self.connections.close(id, CloseReason::PeerReset, &mut self.context),
            Readiness::Readable => {
                *unauthenticated += usize::from(!conn.is_logged_in());
                if !conn.is_logged_in() && *unauthenticated > TRANSIENT_PER_TURN {
                    conn.queue_input(&mut self.context);
                } else {
                    self.service(id);
                }
            }
        }
    }

    /// Continues with the connections whose turn this is.
    fn handle_ready(&mut self, ready: &[ConnId]) {
        for &id in ready {
            if let Some(conn) = self.connections.find(id) {
                conn.begin_turn();
                self.service(id);
            }
        }
    }

    fn service(&mut self, id: ConnId) {
        let Some(conn) = self.connections.find(id) else { return };
        if let Err(reason) = conn.service(&mut self.context, &mut self.buffer) {
            self.connections.close(id, reason, &mut self.context);
        }
    }

    /// Continues with a few TLS handshakes.
    fn continue_handshakes(&mut self) {
        let mut served = 0;
        while served < HANDSHAKES_PER_TURN
            && let Some(id) = self.context.handshakes.pop()
        {
            let Some(conn) = self.connections.find_open(id) else { continue };
            served += 1;
            if let Err(reason) = conn.continue_handshake(&mut self.context) {
                self.connections.close(id, reason, &mut self.context);
            }
        }
    }

    // ---- other threads ----------------------------------------------------------------------------------------

    /// Handles one control message. Returns the drain time if the message orders a drain.
    fn take_control(&mut self) -> Option<Duration> {
        match self.endpoints.controls.try_recv() {
            Ok(Some(Control::Adopt(batch))) => {
                for accepted in batch {
                    self.connections.adopt(accepted, &mut self.context);
                }
                None
            }
            Ok(Some(Control::AdoptWebSocket(upgraded))) => {
                self.connections.adopt_websocket(*upgraded, &mut self.context);
                if self.drained_by.is_some() {
                    self.connections.shut_down(&mut self.context);
                }
                None
            }
            Ok(Some(Control::Drain(within))) => Some(within),
            Ok(None) | Err(Gone) => None,
        }
    }

    fn take_orders(&mut self) {
        let Reactor { connections, fan_out, context, .. } = self;
        for _ in 0..BATCHES {
            match self.endpoints.orders.try_recv() {
                Ok(Some(batch)) => {
                    batch
                        .into_iter()
                        .for_each(|order| orders::carry_out(order, connections, fan_out, context));
                }
                Ok(None) | Err(Gone) => break,
            }
        }
    }

    /// Sends all inputs of this turn to logic in one batch.
    fn push_inputs(&mut self) {
        let Context { inputs, legacy, inbox_full, now, .. } = &mut self.context;
        legacy.synthetic_acks.prepend_due(inputs, *now);
        if inputs.is_empty() {
            return;
        }
        // Most turns have about as many inputs as the one before.
        let next = Vec::with_capacity(inputs.len().min(EVENTS));
        let batch = mem::replace(inputs, next);
        let was_full = *inbox_full;
        match self.endpoints.to_logic.try_send(batch) {
            // Logic has ended, because the server is stopping.
            Ok(Ok(())) | Err(Gone) => *inbox_full = false,
            Ok(Err(batch)) => {
                *inputs = batch;
                *inbox_full = true;
            }
        }
        if *inbox_full && !was_full {
            log::debug!("reactor {}: logic's inbox is full; pausing all reads", self.index);
        }
    }

    // ---- time -------------------------------------------------------------------------------------------------

    fn check_deadlines(&mut self) {
        let mut expired = mem::take(&mut self.expired);
        self.context.wheel.expire(self.context.now, &mut expired);
        for (id, due) in expired.drain(..) {
            let Some(conn) = self.connections.find(id) else { continue };
            if let Err(reason) = conn.check_deadline(due, &mut self.context) {
                self.connections.close(id, reason, &mut self.context);
            }
        }
        self.expired = expired;
        self.connections.close_unread(&mut self.context);
    }

    /// Continues with connections whose requests for pages waited for memory, if there is some now.
    fn end_budget_waits(&mut self) {
        let mut promised = 0;
        for _ in 0..self.context.awaiting_budget.len().min(BUDGET_WAITS_PER_TURN) {
            let Some(id) = self.context.awaiting_budget.pop_front() else { return };
            let Some(conn) = self.connections.find_open(id) else { continue };
            if conn.end_budget_wait(promised, &mut self.context) {
                promised += 1;
            } else {
                self.context.awaiting_budget.push_back(id);
            }
        }
    }

    /// Continues with legacy connections whose clients have had time to read.
    fn end_gaps(&mut self) {
        while let Some(id) = self.context.legacy.pacer.pop_elapsed() {
            if let Some(conn) = self.connections.find_open(id) {
                conn.gap_elapsed(&mut self.context);
            }
        }
    }

    // ---- output -----------------------------------------------------------------------------------------------

    /// Writes each connection that has output once, deliveries before answers. Connections that this closes are flushed
    /// too.
    fn flush(&mut self) {
        self.context.deliveries.append(&mut self.context.answers);
        while !self.context.deliveries.is_empty() {
            let mut queued = mem::take(&mut self.context.deliveries);
            for id in queued.drain(..) {
                let Some(conn) = self.connections.find(id) else { continue };
                if let Err(reason) = conn.flush(&mut self.context) {
                    self.connections.close(id, reason, &mut self.context);
                }
            }
            if self.context.deliveries.is_empty() {
                self.context.deliveries = queued;
                break;
            }
        }
    }
}
