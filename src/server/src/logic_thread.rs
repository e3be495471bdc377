//! The logic thread: one owner of every session, presence and conversation state, and no locks anywhere.
//!
//! A turn drains everything there is, storage outcomes first (a flood of commands must not starve completions), then
//! carries out all effects with one push to each thread concerned, then sleeps until its bell rings.

use logic::{
    BusInput, BusOrder, Effects, Input, Logic, Now, Order, PasswordJob, PasswordResult, Read, Rules, Ticket,
    Write,
};
use runtime::queue::{Bell, Inbox, Outbox, queue};
use runtime::watchdog::{Pulse, Role};
use std::io;
use std::process;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use storage::Outcome;
use wire::UnixMillis;

/// Batches of inputs on their way to logic; when there are more, the sub-reactors stop reading.
const INPUT_BATCHES: usize = 256;
/// Batches of outcomes on their way to logic. Storage waits while there are more; logic never waits for storage.
const OUTCOME_BATCHES: usize = 4_096;
/// Batches of what the bus has to say; when there are more, its subscriber drops them.
const BUS_BATCHES: usize = 8_192;
/// Such batches taken in one turn.
const TURN_NEWS: usize = 1_024;
/// Orders that wait for the bus.
const ORDERS_MAX: usize = 65_536;
/// Batches of inputs taken in one turn before effects are carried out.
const TURN_BATCHES: usize = 64;
/// How long the requests in flight may take to finish when the server stops.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// What the main thread tells logic.
#[derive(Debug)]
enum Control {
    /// Tell everybody, begin nothing new, finish what is in flight, then end.
    Drain,
}

/// The queues into the logic thread.
#[derive(Debug, Clone)]
pub struct Doors {
    pub inputs: Outbox<Vec<Input>>,
    /// For the storage threads.
    pub outcomes: Outbox<Outcome>,
    /// For the password thread.
    pub passwords: Outbox<Vec<(Ticket, PasswordResult)>>,
    /// For the threads of the bus.
    pub bus: Outbox<Vec<BusInput>>,
}

/// The queues out of the logic thread.
#[derive(Debug)]
pub struct Exits {
    /// One for each sub-reactor.
    pub reactors: Vec<Outbox<Vec<Order>>>,
    /// To the store thread.
    pub writes: Outbox<Vec<(Ticket, Write)>>,
    /// To the read thread.
    pub reads: Outbox<Vec<(Ticket, Read)>>,
    /// To the password thread.
    pub passwords: Outbox<Vec<(Ticket, PasswordJob)>>,
    /// To the bus, where there are other nodes.
    pub bus: Option<Outbox<Vec<BusOrder>>>,
}

/// The logic thread, waiting for its exits.
#[derive(Debug)]
pub struct Waiting {
    doors: Doors,
    started: Instant,
    begin: crossbeam_channel::Sender<Exits>,
    control: Outbox<Control>,
    thread: JoinHandle<()>,
}

/// The logic thread at work.
#[derive(Debug)]
pub struct LogicThread {
    control: Outbox<Control>,
    thread: JoinHandle<()>,
}

/// Starts the thread, so that the others can be given its doors. It works once it has its exits. `boot` are random bits.
///
/// # Errors
/// Where the system has no further thread.
pub fn spawn(rules: Rules, boot: u64) -> io::Result<Waiting> {
    let started = Instant::now();
    let (ready, made) = crossbeam_channel::bounded(1);
    let (begin, exits) = crossbeam_channel::bounded::<Exits>(1);
    let thread = thread::Builder::new().name("logic".into()).spawn(move || {
        let bell = Arc::new(Bell::new());
        let (inputs, inputs_in) = queue(INPUT_BATCHES, &bell);
        let (outcomes, outcomes_in) = queue(OUTCOME_BATCHES, &bell);
        let (passwords, passwords_in) = queue(OUTCOME_BATCHES, &bell);
        let (bus, bus_in) = queue(BUS_BATCHES, &bell);
        let (control, control_in) = queue(4, &bell);
        let doors = Doors { inputs, outcomes, passwords, bus };
        if ready.send((doors, control)).is_err() {
            return;
        }
        drop(ready);
        let Ok(exits) = exits.recv() else { return };
        Turns {
            logic: Logic::new(rules, boot),
            fx: Effects::new(exits.reactors.len()),
            exits,
            bell,
            pulse: Pulse::of(Role::Logic),
            inputs: inputs_in,
            outcomes: outcomes_in,
            passwords: passwords_in,
            bus: bus_in,
            control: control_in,
            started,
            drain_until: None,
        }
        .run();
    })?;
    let (doors, control) = made.recv().map_err(io::Error::other)?;
    Ok(Waiting { doors, started, begin, control, thread })
}

impl Waiting {
    /// The queues into the thread.
    pub fn doors(&self) -> &Doors {
        &self.doors
    }

    /// When its monotonic clock began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Gives the thread its exits: it begins to work.
    pub fn begin(self, exits: Exits) -> LogicThread {
        self.begin.send(exits).expect("the logic thread waits for this");
        LogicThread { control: self.control, thread: self.thread }
    }
}

impl LogicThread {
    /// Tells everybody that the server goes away and finishes what is in flight; returns when the thread has ended.
    pub fn drain(self) {
        // A thread that is gone already has nothing in flight.
        let _ = self.control.send(Control::Drain);
        if self.thread.join().is_err() {
            log::error!("the logic thread panicked");
        }
    }
}

struct Turns {
    logic: Logic,
    fx: Effects,
    exits: Exits,
    bell: Arc<Bell>,
    pulse: Pulse,
    inputs: Inbox<Vec<Input>>,
    outcomes: Inbox<Outcome>,
    passwords: Inbox<Vec<(Ticket, PasswordResult)>>,
    bus: Inbox<Vec<BusInput>>,
    control: Inbox<Control>,
    started: Instant,
    drain_until: Option<u64>,
}

impl Turns {
    fn run(mut self) {
        loop {
            self.pulse.beat();
            let now = self.now();
            let mut worked = self.storage_outcomes(now);
            worked |= self.passwords(now);
            worked |= self.news(now);
            worked |= self.inputs(now);
            while let Ok(Some(Control::Drain)) = self.control.try_recv() {
                log::info!("draining: {} sessions are told, nothing new begins", self.logic.sessions());
                self.logic.drain(now, &mut self.fx);
                self.drain_until = Some(now.monotonic + DRAIN_TIME.as_millis() as u64);
            }
            if self.logic.next_timeout().is_some_and(|due| due <= now.monotonic) {
                self.logic.handle_timeout(now, &mut self.fx);
            }
            self.carry_out(now);
            if let Some(until) = self.drain_until {
                let late = now.monotonic >= until;
                if late || (!worked && self.logic.is_settled() && self.is_idle()) {
                    if late {
                        log::warn!("some requests were still in flight when the server stopped");
                    }
                    return;
                }
            }
            if !worked {
                self.sleep();
            }
        }
    }

    fn now(&self) -> Now {
        // The wall clock may be anything, also before 1970: it is only shown.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            monotonic: self.started.elapsed().as_millis() as u64,
            wall: UnixMillis(wall.as_millis() as u64),
        }
    }

    fn storage_outcomes(&mut self, now: Now) -> bool {
        let mut worked = false;
        while let Ok(Some(outcome)) = self.outcomes.try_recv() {
            worked = true;
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
                Outcome::Fatal(why) => {
                    // Nothing may be acknowledged any more; what is on disk is read again at the next start.
                    log::error!("storage has failed, the server ends at once: {why}");
                    process::exit(1);
                }
            }
        }
        worked
    }

    fn passwords(&mut self, now: Now) -> bool {
        let mut worked = false;
        while let Ok(Some(batch)) = self.passwords.try_recv() {
            worked = true;
            for (ticket, result) in batch {
                self.logic.handle_password(now, ticket, result, &mut self.fx);
            }
        }
        worked
    }

    fn news(&mut self, now: Now) -> bool {
        for taken in 0..TURN_NEWS {
            let Ok(Some(batch)) = self.bus.try_recv() else { return taken > 0 };
            for input in batch {
                self.logic.handle_bus(now, input, &mut self.fx);
            }
        }
        true
    }

    fn inputs(&mut self, now: Now) -> bool {
        for taken in 0..TURN_BATCHES {
            let Ok(Some(batch)) = self.inputs.try_recv() else { return taken > 0 };
            for input in batch {
                self.logic.handle_input(now, input, &mut self.fx);
            }
        }
        true
    }

    /// Carries out all effects: at most one push to each thread.
    fn carry_out(&mut self, now: Now) {
        let Effects { reactors, writes, reads, passwords, bus } = &mut self.fx;
        for (orders, exit) in reactors.iter_mut().zip(&self.exits.reactors) {
            if !orders.is_empty() {
                // A sub-reactor waits for nobody, so this never waits for long; one that is gone needs no orders.
                let _ = exit.send(fresh(orders));
            }
        }
        offer(writes, &self.exits.writes);
        offer(reads, &self.exits.reads);
        offer(passwords, &self.exits.passwords);
        if let Some(exit) = &self.exits.bus {
            offer(bus, exit);
            // Hints only: while the bus does not keep up, others find what they lack in the database.
            if bus.len() > ORDERS_MAX {
                bus.retain(|order| !matches!(order, BusOrder::Publish { .. }));
                self.logic.handle_bus(now, BusInput::Unheard, &mut self.fx);
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.outcomes.is_empty()
            && self.inputs.is_empty()
            && self.passwords.is_empty()
            && self.bus.is_empty()
            && self.control.is_empty()
    }

    fn sleep(&self) {
        let due = [self.logic.next_timeout(), self.drain_until].into_iter().flatten().min();
        let now = self.started.elapsed().as_millis() as u64;
        let timeout = due.map(|due| Duration::from_millis(due.saturating_sub(now).max(1)));
        self.bell.wait(self.pulse.within(timeout), || !self.is_idle());
    }
}

/// Pushes the batch where there is room; else it stays and grows, in order, until there is. Logic never waits for
/// storage, and what may be in there at all is bounded by the rules.
fn offer<T>(batch: &mut Vec<T>, exit: &Outbox<Vec<T>>) {
    if !batch.is_empty()
        && let Ok(Err(back)) = exit.try_send(fresh(batch))
    {
        *batch = back;
    }
}

/// Takes the batch and leaves an empty one with about as much room.
fn fresh<T>(batch: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(batch.len().min(1024));
    std::mem::replace(batch, room)
}
