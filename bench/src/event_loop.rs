//! The loop that every workload runs in: one thread, one edge-triggered poll.
//!
//! A turn: the load does what is due, every connection with output is written once, then the loop polls and reads. All
//! output of a turn for one connection goes out in one write.

use crate::clock::{Alarm, Clock, MILLISECOND, SECOND, timeout};
use crate::connection::{Connection, Inbound, ReadBuffer, ReadOutcome};
use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::interrupt;
use crate::measure::{Meter, Phase};
use crate::stream::Stream;
use mio::{Events, Poll, Token};
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use wire::Dialect;

/// About the largest output buffer of a connection, bytes.
const OUTPUT_MAX: usize = 4 << 20;
const ALARM: Token = Token(usize::MAX);
/// How long to wait for duplicates after everything has arrived, ns.
const QUIET: u64 = 200 * MILLISECOND;

/// What a workload does in an [`EventLoop`]. Times are those of the run's clock, ns.
pub trait Load {
    /// Does what is due by `now`. The drain phase allows no new load.
    fn turn(&mut self, event_loop: &mut EventLoop, now: u64);

    /// Ends the load: everything that was due before `close` is still sent, however late, because omitting it would
    /// flatter the latencies.
    fn finish(&mut self, _event_loop: &mut EventLoop, _close: u64) {}

    /// Handles input of connection `number`. May close connections, but opens new ones in its next turn only.
    fn handle(&mut self, event_loop: &mut EventLoop, number: usize, inbound: Inbound<'_>, now: u64);

    /// Called after all input of one read of connection `number` was handled.
    fn after_read(&mut self, _event_loop: &mut EventLoop, _number: usize, _now: u64) {}

    /// Handles the loss of connection `number`. Returns whether the load expects it.
    fn handle_lost(&mut self, _event_loop: &mut EventLoop, _number: usize) -> bool {
        false
    }

    /// Whether the load cannot continue, which ends the measured phase.
    fn is_hopeless(&self) -> bool {
        false
    }

    /// When something is due, to the microsecond; `u64::MAX` for never.
    fn next_due(&self) -> u64;

    /// When something is due that may be a millisecond late; this needs no timer.
    fn next_coarse_due(&self) -> u64 {
        u64::MAX
    }

    /// Whether the drain has to wait for replies or deliveries.
    fn has_open(&self) -> bool;
}

/// The connections of a run, its clock and its meter.
#[derive(Debug)]
pub struct EventLoop {
    poll: Poll,
    pub clock: Clock,
    pub meter: Meter,
    pub connections: Vec<Connection>,
    dialect: Dialect,
    endpoints: Endpoints,
    /// Connections opened by [`EventLoop::open`]; chooses their source addresses.
    opened: u64,
    /// Connections with output.
    dirty: Vec<usize>,
    /// Ctrl-Cs handled so far.
    interrupts: u32,
}

impl EventLoop {
    pub fn new(
        endpoints: Endpoints,
        dialect: Dialect,
        clock: Clock,
        meter: Meter,
    ) -> Result<EventLoop, Error> {
        let poll = Poll::new().map_err(|error| Error::io("create a poll", error))?;
        let (connections, dirty) = (Vec::new(), Vec::new());
        Ok(EventLoop { poll, clock, meter, connections, dialect, endpoints, opened: 0, dirty, interrupts: 0 })
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Replaces the meter and returns the old one.
    pub fn replace_meter(&mut self, meter: Meter) -> Meter {
        std::mem::replace(&mut self.meter, meter)
    }

    /// Adds an open connection from which `partial` was read already; returns its number.
    pub fn adopt(&mut self, stream: Stream<TcpStream>, partial: Vec<u8>) -> Result<usize, Error> {
        let number = self.connections.len();
        let register =
            || Connection::register(stream.into_nonblocking()?, partial, self.poll.registry(), Token(number));
        self.connections.push(register().map_err(|error| Error::io("register a socket", error))?);
        Ok(number)
    }

    /// Starts connecting, in place of connection `number` or as an additional one. Its output is written once it is
    /// connected.
    pub fn open(&mut self, number: usize) -> io::Result<()> {
        self.opened += 1;
        let from = self.connections.len() as u64 + self.opened;
        let connection = Connection::begin(self.endpoints.begin(from)?, self.poll.registry(), Token(number))?;
        match self.connections.get_mut(number) {
            Some(old) => *old = connection,
            None => self.connections.push(connection),
        }
        Ok(())
    }

    pub fn close(&mut self, number: usize) {
        self.connections[number].close();
    }

    /// Whether the output buffer of connection `number` is full for now.
    #[inline]
    pub fn is_full(&self, number: usize) -> bool {
        self.connections[number].waiting() > OUTPUT_MAX
    }

    /// The output of connection `number`, to append to; it is written at the end of this turn.
    #[inline]
    pub fn output(&mut self, number: usize) -> &mut Vec<u8> {
        let connection = &mut self.connections[number];
        if connection.mark_dirty() {
            self.dirty.push(number);
        }
        connection.output()
    }

    /// Runs `load` through all phases; the drain takes at most `drain` ns.
    pub fn run(&mut self, load: &mut impl Load, drain: u64) -> Result<(), Error> {
        let alarm = Alarm::new(self.poll.registry(), ALARM);
        let mut alarm = alarm.map_err(|error| Error::io("create a timer", error))?;
        let (mut events, mut buffer) = (Events::with_capacity(1024), ReadBuffer::default());
        let (mut deadline, mut quiet_since) = (u64::MAX, None);
        loop {
            if self.meter.advance(&self.clock)? && self.meter.phases().phase() == Phase::Drain {
                load.finish(self, self.meter.phases().close());
                deadline = self.clock.now() + drain;
            }
            let now = self.clock.now();
            load.turn(self, now);
            if load.is_hopeless() {
                self.meter.phases_mut().finish(now);
            }
            if interrupt::count() > self.interrupts {
                // One at a time: two that arrive together end the measured phase and the drain.
                self.interrupts += 1;
                match self.meter.phases().phase() {
                    Phase::Warmup => {
                        return Err(Error::Usage("interrupted before anything was measured".to_owned()));
                    }
                    Phase::Measured => self.meter.end_early(now),
                    Phase::Drain => {
                        self.meter.note_drain_cut_short();
                        deadline = now;
                    }
                }
            }
            if self.meter.phases().phase() == Phase::Drain {
                if load.has_open() {
                    quiet_since = None;
                } else {
                    deadline = deadline.min(*quiet_since.get_or_insert(now) + QUIET);
                }
                if now >= deadline || !self.connections.iter().any(Connection::is_open) {
                    return Ok(());
                }
            }
            self.flush(load);
            let now = self.clock.now();
            // Only a sleep that must be exact to the microsecond needs the timer.
            let due = load.next_due();
            if due != u64::MAX {
                alarm.set(now, due).map_err(|error| Error::io("set the timer", error))?;
            }
            let until = self.meter.next_change().min(deadline).min(load.next_coarse_due()).min(now + SECOND);
            match self.poll.poll(&mut events, Some(timeout(now, until))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                polled => polled.map_err(|error| Error::io("poll", error))?,
            }
            for event in events.iter().filter(|event| event.token() != ALARM) {
                let Token(number) = event.token();
                let mut is_readable = self.connections[number].handle(event);
                while is_readable {
                    is_readable = self.read(load, number, &mut buffer);
                }
                // The event may have made it writable again.
                if self.connections[number].can_flush() {
                    self.output(number);
                }
            }
        }
    }

    /// Reads once from a connection. Returns whether there may be more.
    #[inline]
    fn read(&mut self, load: &mut impl Load, number: usize, buffer: &mut ReadBuffer) -> bool {
        let next = self.connections[number].fill(buffer);
        let now = self.clock.now();
        let is_valid = loop {
            match buffer.next(self.dialect) {
                Ok(Some(unit)) => load.handle(self, number, unit, now),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        // The load may have closed or replaced it.
        if !self.connections[number].is_open() {
            return false;
        }
        if next == ReadOutcome::Closed || !is_valid {
            self.lose(load, number);
            return false;
        }
        self.connections[number].keep(buffer);
        load.after_read(self, number, now);
        next == ReadOutcome::Read
    }

    /// Writes the output of every connection once.
    fn flush(&mut self, load: &mut impl Load) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for number in dirty.drain(..) {
            let connection = &mut self.connections[number];
            connection.clear_dirty();
            if connection.can_flush() && connection.flush().is_err() {
                self.lose(load, number);
            }
        }
        // Output added while connections were lost waits for the next turn.
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
    }

    /// Closes a connection that ended before the run did.
    fn lose(&mut self, load: &mut impl Load, number: usize) {
        if self.connections[number].is_open() {
            self.connections[number].close();
            if !load.handle_lost(self, number) {
                self.meter.errors.note(ErrorCounts::DISCONNECTED);
            }
        }
    }
}
