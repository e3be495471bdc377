//! The logic thread: the only owner of session, presence and conversation state, so none of it needs a lock.
//!
//! Each turn drains the inboxes, storage outcomes first, so that a flood of commands cannot starve completions. It then
//! sends all effects, at most one batch to each thread, and sleeps until its bell rings.

use crate::ops::Readout;
use logic::{
    BusInput, BusOrder, Effects, Input, Logic, Now, Order, PasswordJob, PasswordResult, Ticket, Write,
};
use net::OutputBudget;
use runtime::log_writer;
use runtime::queue::{Bell, Inbox, Outbox, queue};
use runtime::watchdog::Role;
use runtime::worker::{Control, Worker};
use std::io;
use std::process;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use storage::{ClockWatch, Outcome, ReadOutbox};
use wire::UnixMillis;

/// The capacity of the queue of inputs, batches; when it is full, the reactors stop reading.
const INPUT_BATCHES: usize = 256;
/// The capacity of the queue of outcomes, batches. Storage waits while it is full; logic never waits for storage.
const OUTCOME_BATCHES: usize = 4_096;
/// The capacity of the queue from the bus, batches; when it is full, the subscriber drops hints.
const BUS_BATCHES: usize = 8_192;
/// Batches of inputs handled in one turn before its effects are sent.
const INPUT_BATCHES_A_TURN: usize = 64;
/// Batches from the bus handled in one turn.
const BUS_BATCHES_A_TURN: usize = 1_024;
/// The most orders kept while the bus does not keep up. Above that, publications are dropped.
const BUS_ORDERS_MAX: usize = 65_536;
/// How often the system clock is compared with the monotonic one, milliseconds.
const CLOCK_EVERY_MS: u64 = 1_000;
/// How long requests in flight may take to finish when the server stops.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// The sending ends of the queues into the logic thread.
#[derive(Debug, Clone)]
pub struct Inlets {
    pub inputs: Outbox<Vec<Input>>,
    pub outcomes: Outbox<Outcome>,
    pub passwords: Outbox<Vec<(Ticket, PasswordResult)>>,
    pub bus: Outbox<Vec<BusInput>>,
}

/// The receiving ends of the same queues, and the bell that they all ring.
#[derive(Debug)]
pub struct Inboxes {
    bell: Arc<Bell>,
    inputs: Inbox<Vec<Input>>,
    outcomes: Inbox<Outcome>,
    passwords: Inbox<Vec<(Ticket, PasswordResult)>>,
    bus: Inbox<Vec<BusInput>>,
}

/// The sending ends of the queues from the logic thread to all others.
#[derive(Debug)]
pub struct Outlets {
    pub orders: OrderOutlets,
    /// Bounds what may be sent to a session.
    pub output_budget: Arc<OutputBudget>,
    pub writes: Outbox<Vec<(Ticket, Write)>>,
    pub reads: ReadOutbox,
    /// `None` where messages cannot be searched.
    pub searches: Option<search::Outbox>,
    /// Tells the search index how busy storage is.
    pub load: search::Load,
    pub passwords: Outbox<Vec<(Ticket, PasswordJob)>>,
    /// `None` on a single node.
    pub bus: Option<Outbox<Vec<BusOrder>>>,
    /// Shows the numbers of the rules to others.
    pub readout: Arc<Readout>,
}

/// The sending ends of the queues of orders.
#[derive(Debug)]
pub struct OrderOutlets {
    /// By [`logic::ConnId::reactor`].
    pub reactors: Vec<Outbox<Vec<Order>>>,
    /// The number behind those of the reactors; `None` where `http.listen` is off.
    pub http: Option<Outbox<Vec<Order>>>,
}

impl OrderOutlets {
    fn len(&self) -> usize {
        self.reactors.len() + usize::from(self.http.is_some())
    }

    /// `orders`: by [`logic::ConnId::reactor`].
    fn send(&self, orders: &mut [Vec<Order>]) {
        let (of_reactors, of_http) = orders.split_at_mut(self.reactors.len());
        for (orders, outlet) in of_reactors.iter_mut().zip(&self.reactors) {
            if !orders.is_empty() {
                // A reactor never waits, so a full queue drains soon. One that has ended needs no orders.
                let _ = outlet.send(take(orders));
            }
        }
        // A turn of the http thread may be long, as it serves all connections that are ready. The orders are bounded
        // by the requests that it passes on at a time.
        for (orders, outlet) in of_http.iter_mut().zip(&self.http) {
            offer(orders, outlet);
        }
    }
}

/// Creates the queues into the logic thread. They are created before it starts, because the threads it sends to need
/// them first.
pub fn queues() -> (Inlets, Inboxes) {
    let bell = Arc::new(Bell::new());
    let (inputs, inputs_in) = queue(INPUT_BATCHES, &bell);
    let (outcomes, outcomes_in) = queue(OUTCOME_BATCHES, &bell);
    let (passwords, passwords_in) = queue(OUTCOME_BATCHES, &bell);
    let (bus, bus_in) = queue(BUS_BATCHES, &bell);
    let inboxes =
        Inboxes { bell, inputs: inputs_in, outcomes: outcomes_in, passwords: passwords_in, bus: bus_in };
    (Inlets { inputs, outcomes, passwords, bus }, inboxes)
}

/// Starts the thread. [`Worker::stop`] announces the shutdown to all sessions, starts nothing new, and returns when the
/// requests in flight have finished, after at most [`DRAIN_TIME`].
///
/// `clock_start` is the zero of logic's monotonic clock.
///
/// # Errors
/// If the system cannot start another thread.
pub fn start(logic: Logic, clock_start: Instant, inboxes: Inboxes, outlets: Outlets) -> io::Result<Worker> {
    let bell = Arc::clone(&inboxes.bell);
    Worker::spawn(Role::Logic, "logic", bell, move |control| {
        let fx = Effects::new(outlets.orders.len());
        let clocks = ClockWatch::new("the system clock");
        let drain_until = None;
        LogicThread { logic, fx, inboxes, outlets, control, clock_start, drain_until, clocks, clock_due: 0 }
            .run();
    })
}

struct LogicThread {
    logic: Logic,
    fx: Effects,
    inboxes: Inboxes,
    outlets: Outlets,
    control: Control,
    clock_start: Instant,
    /// The deadline for draining, monotonic ms; `None` until a stop is requested.
    drain_until: Option<u64>,
    clocks: ClockWatch,
    /// When the system clock is looked at again, monotonic ms.
    clock_due: u64,
}

impl LogicThread {
    fn run(mut self) {
        loop {
            self.control.beat();
            self.outlets.readout.turns.add(1);
            let now = self.now();
            self.logic.set_session_output_max(self.outlets.output_budget.session_bytes());
            if now.monotonic >= self.clock_due {
                self.clock_due = now.monotonic + CLOCK_EVERY_MS;
                self.clocks.check(now.wall, Instant::now());
                self.outlets.readout.show(&self.logic);
            }
            let mut has_worked = self.handle_outcomes(now);
            has_worked |= self.handle_passwords(now);
            has_worked |= self.handle_bus(now);
            has_worked |= self.handle_inputs(now);
            if self.is_to_drain() {
                log::info!("draining: notifying {} sessions, accepting no requests", self.logic.sessions());
                self.logic.drain(now, &mut self.fx);
                self.drain_until = Some(now.monotonic + DRAIN_TIME.as_millis() as u64);
                has_worked = true;
            }
            if self.logic.next_timeout().is_some_and(|due| due <= now.monotonic) {
                self.logic.handle_timeout(now, &mut self.fx);
            }
            self.send_effects(now);
            if let Some(until) = self.drain_until {
                if now.monotonic >= until {
                    log::warn!(
                        "shutting down with requests in flight: draining took longer than {DRAIN_TIME:?}"
                    );
                    return;
                }
                if !has_worked && self.logic.is_settled() && self.is_idle() {
                    return;
                }
            }
            if !has_worked {
                self.sleep();
            }
        }
    }

    fn now(&self) -> Now {
        // The wall clock may show any time, even before 1970; it is only displayed.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            monotonic: self.clock_start.elapsed().as_millis() as u64,
            wall: UnixMillis(wall.as_millis() as u64),
        }
    }

    fn handle_outcomes(&mut self, now: Now) -> bool {
        let mut has_worked = false;
        while let Ok(Some(outcome)) = self.inboxes.outcomes.try_recv() {
            has_worked = true;
            match outcome {
                Outcome::Written(batch) => {
                    for (ticket, written) in batch {
                        self.logic.handle_written(now, ticket, written, &mut self.fx);
                    }
                }
                Outcome::Found(batch) => {
                    for (ticket, found) in batch {
                        self.logic.handle_found(now, ticket, found, &mut self.fx);
                    }
                }
                Outcome::Fatal(error) => {
                    // No message may be acknowledged any more. The next start recovers from what is on disk.
                    log::error!("exiting because storage cannot go on: {error}");
                    log_writer::flush(log_writer::FLUSH_TIME);
                    process::exit(1);
                }
            }
        }
        has_worked
    }

    fn handle_passwords(&mut self, now: Now) -> bool {
        let mut has_worked = false;
        while let Ok(Some(batch)) = self.inboxes.passwords.try_recv() {
            has_worked = true;
            for (ticket, result) in batch {
                self.logic.handle_password(now, ticket, result, &mut self.fx);
            }
        }
        has_worked
    }

    fn handle_bus(&mut self, now: Now) -> bool {
        for batches in 0..BUS_BATCHES_A_TURN {
            let Ok(Some(batch)) = self.inboxes.bus.try_recv() else { return batches > 0 };
            for input in batch {
                self.logic.handle_bus(now, input, &mut self.fx);
            }
        }
        true
    }

    fn handle_inputs(&mut self, now: Now) -> bool {
        for batches in 0..INPUT_BATCHES_A_TURN {
            let Ok(Some(batch)) = self.inboxes.inputs.try_recv() else { return batches > 0 };
            for input in batch {
                self.logic.handle_input(now, input, &mut self.fx);
            }
        }
        true
    }

    /// Sends at most one batch to each thread.
    fn send_effects(&mut self, now: Now) {
        let Effects { reactors, writes, reads, unwanted, searches, passwords, bus, alerts } = &mut self.fx;
        for alert in alerts.drain(..) {
            log::warn!("{alert}");
        }
        self.outlets.orders.send(reactors);
        offer(writes, &self.outlets.writes);
        if !reads.is_empty() {
            // Read threads that have ended need no reads.
            let _ = self.outlets.reads.send(take(reads));
        }
        if !unwanted.is_empty() {
            self.outlets.reads.forget(unwanted.drain(..));
        }
        // Where messages cannot be searched, the rules refuse the request.
        if let Some(outlet) = self.outlets.searches.as_ref().filter(|_| !searches.is_empty()) {
            outlet.send(take(searches));
        }
        self.outlets.load.set(self.logic.appends_in_flight());
        offer(passwords, &self.outlets.passwords);
        if let Some(outlet) = &self.outlets.bus {
            offer(bus, outlet);
            // Publications are only hints: the other nodes find in the database what they missed.
            if bus.len() > BUS_ORDERS_MAX {
                bus.retain(|order| !matches!(order, BusOrder::Publish { .. }));
                self.logic.handle_bus(now, BusInput::Unheard, &mut self.fx);
            }
        }
    }

    fn is_to_drain(&self) -> bool {
        self.drain_until.is_none() && self.control.is_stopping()
    }

    fn is_idle(&self) -> bool {
        let Inboxes { bell: _, inputs, outcomes, passwords, bus } = &self.inboxes;
        outcomes.is_empty() && inputs.is_empty() && passwords.is_empty() && bus.is_empty()
    }

    fn sleep(&self) {
        self.outlets.readout.show(&self.logic);
        let due = [self.logic.next_timeout(), self.drain_until].into_iter().flatten().min();
        let now = self.clock_start.elapsed().as_millis() as u64;
        let timeout = due.map(|due| Duration::from_millis(due.saturating_sub(now).max(1)));
        self.control.wait(timeout, || !self.is_idle() || self.is_to_drain());
    }
}

/// Sends the batch if there is room; otherwise it stays and grows, in order. Logic never waits for these threads, and
/// its rules bound how much a batch can hold.
fn offer<T>(batch: &mut Vec<T>, outlet: &Outbox<Vec<T>>) {
    if !batch.is_empty()
        && let Ok(Err(back)) = outlet.try_send(take(batch))
    {
        *batch = back;
    }
}

/// Takes the batch and leaves an empty one of about the same capacity.
fn take<T>(batch: &mut Vec<T>) -> Vec<T> {
    let empty = Vec::with_capacity(batch.len().min(1024));
    std::mem::replace(batch, empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use logic::ConnId;

    #[test]
    fn logic_does_not_wait_for_the_http_thread() {
        let bell = Arc::new(Bell::new());
        let (reactor, of_reactor) = queue(1, &bell);
        let (http, of_http) = queue(1, &bell);
        let outlets = OrderOutlets { reactors: vec![reactor], http: Some(http) };
        let drained = |slot| Order::NotifyDrained { conn: ConnId::new(1, slot, 1) };
        let mut orders: Vec<Vec<Order>> = (0..outlets.len()).map(|_| Vec::new()).collect();
        for slot in 0..3 {
            orders[1].push(drained(slot));
            outlets.send(&mut orders);
        }
        let slots = |orders: Vec<Order>| -> Vec<usize> {
            let conns = orders.into_iter().map(|order| match order {
                Order::NotifyDrained { conn } => conn.slot(),
                other => panic!("{other:?}"),
            });
            conns.collect()
        };
        assert_eq!(slots(of_http.try_recv().unwrap().unwrap()), [0]);
        outlets.send(&mut orders);
        assert_eq!(slots(of_http.try_recv().unwrap().unwrap()), [1, 2], "they are kept in their order");
        assert!(of_reactor.is_empty() && orders.iter().all(Vec::is_empty));
    }
}
