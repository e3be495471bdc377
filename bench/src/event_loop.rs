//! The loop that every workload runs in: one thread, one edge-triggered poll.
//!
//! One turn: the load does what is due, every connection that has something to write is written once, sleep, read. So what
//! one turn makes for one connection goes out in one write.

use crate::clock::{Alarm, Clock, MILLISECOND, SECOND, timeout};
use crate::connection::{Connection, Next, ReadBuffer, Unit};
use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::interrupt;
use crate::measure::{Meter, Phase};
use mio::{Events, Poll, Token};
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use wire::Dialect;

/// Bytes that wait to be written to one connection, about, at most.
const OUTPUT_MAX: usize = 4 << 20;
const ALARM: Token = Token(usize::MAX);
/// How long to listen on for doubles after everything has arrived.
const QUIET: u64 = 200 * MILLISECOND;

/// What a workload does inside a [`EventLoop`]. Times are the event_loop's clock, ns.
pub trait Load {
    /// Does what is due by `now`. In the drain phase no new load is to be made.
    fn turn(&mut self, event_loop: &mut EventLoop, now: u64);

    /// The measured phase has ended: what was due before `close` is sent all the same, however late; to leave it out
    /// would flatter the latencies.
    fn finish(&mut self, _rig: &mut EventLoop, _close: u64) {}

    /// Something came on connection `number`. It may close connections; it begins new ones in its next turn only.
    fn handle(&mut self, event_loop: &mut EventLoop, number: usize, unit: Unit<'_>, now: u64);

    /// What one read brought on connection `number` was handled.
    fn after_read(&mut self, _rig: &mut EventLoop, _number: usize, _now: u64) {}

    /// Connection `number` was lost. Whether that is part of the load.
    fn handle_lost(&mut self, _rig: &mut EventLoop, _number: usize) -> bool {
        false
    }

    /// Whether nothing more can come of it: the measured phase ends.
    fn is_hopeless(&self) -> bool {
        false
    }

    /// When it has something to do of its own, to the microsecond; `u64::MAX`: never.
    fn next_due(&self) -> u64;

    /// The same for what may be a millisecond late, which costs nothing to ask for.
    fn next_look(&self) -> u64 {
        u64::MAX
    }

    /// Whether something is still to come that the drain waits for.
    fn has_open(&self) -> bool;
}

/// The connections of a run, and what they are measured by.
#[derive(Debug)]
pub struct EventLoop {
    poll: Poll,
    /// The run's clock.
    pub clock: Clock,
    pub meter: Meter,
    pub connections: Vec<Connection>,
    dialect: Dialect,
    endpoints: Endpoints,
    /// Connections that were begun by [`EventLoop::open`], for the choice of where they come from.
    opened: u64,
    /// Connections that have something to write.
    dirty: Vec<usize>,
    /// How many Ctrl-C it has heeded.
    interrupts: u32,
}

impl EventLoop {
    /// A event_loop without connections.
    pub fn new(
        endpoints: Endpoints,
        dialect: Dialect,
        clock: Clock,
        meter: Meter,
    ) -> Result<EventLoop, Error> {
        let poll = Poll::new().map_err(|error| Error::io("make a poll", error))?;
        let (connections, dirty) = (Vec::new(), Vec::new());
        Ok(EventLoop { poll, clock, meter, connections, dialect, endpoints, opened: 0, dirty, interrupts: 0 })
    }

    /// Which dialect is spoken.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Measures something else from here on; gives back what was measured so far.
    pub fn exchange_meter(&mut self, meter: Meter) -> Meter {
        std::mem::replace(&mut self.meter, meter)
    }

    /// Takes a connection in that was set up before, and of which `partial` was read; its number.
    pub fn adopt(&mut self, stream: TcpStream, partial: Vec<u8>) -> Result<usize, Error> {
        let number = self.connections.len();
        let register = || {
            stream.set_nonblocking(true)?;
            let stream = mio::net::TcpStream::from_std(stream);
            Connection::register(stream, partial, self.poll.registry(), Token(number))
        };
        self.connections.push(register().map_err(|error| Error::io("register a socket", error))?);
        Ok(number)
    }

    /// Begins a new connection in the place of `number`, or as a new one. What is put into its output is written as soon as
    /// it is there.
    pub fn open(&mut self, number: usize) -> io::Result<()> {
        self.opened += 1;
        let from = self.connections.len() as u64 + self.opened;
        let connection = Connection::begin(self.endpoints.begin(from)?, self.poll.registry(), Token(number))?;
        match self.connections.get_mut(number) {
            Some(place) => *place = connection,
            None => self.connections.push(connection),
        }
        Ok(())
    }

    /// Closes a connection on purpose.
    pub fn close(&mut self, number: usize) {
        self.connections[number].close();
    }

    /// Whether so much waits to be written to connection `number` that no more should be put there now.
    #[inline]
    pub fn is_full(&self, number: usize) -> bool {
        self.connections[number].waiting() > OUTPUT_MAX
    }

    /// What is to be written to connection `number` at the end of this turn: append there.
    #[inline]
    pub fn output(&mut self, number: usize) -> &mut Vec<u8> {
        let connection = &mut self.connections[number];
        if connection.mark_dirty() {
            self.dirty.push(number);
        }
        connection.output()
    }

    /// Runs `load` through the phases of the meter's window; then what is under way may take `drain` ns to arrive.
    pub fn run(&mut self, load: &mut impl Load, drain: u64) -> Result<(), Error> {
        let alarm = Alarm::new(self.poll.registry(), ALARM);
        let mut alarm = alarm.map_err(|error| Error::io("make a timer", error))?;
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
                // One after another: two that come together end what is measured and the drain.
                self.interrupts += 1;
                match self.meter.phases().phase() {
                    Phase::Warmup => {
                        return Err(Error::Usage("ended before anything was measured".to_owned()));
                    }
                    Phase::Measured => self.meter.cut_short(now),
                    Phase::Drain => {
                        self.meter.note_end_of_drain();
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
            // A sleep to the microsecond needs the alarm; what is far off, only the poll.
            let due = load.next_due();
            if due != u64::MAX {
                alarm.set(now, due).map_err(|error| Error::io("set the timer", error))?;
            }
            let until = self.meter.next_change().min(deadline).min(load.next_look()).min(now + SECOND);
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
                // It may be writable again.
                if self.connections[number].can_flush() {
                    self.output(number);
                }
            }
        }
    }

    /// Reads once from a connection. Whether there may be more.
    #[inline]
    fn read(&mut self, load: &mut impl Load, number: usize, buffer: &mut ReadBuffer) -> bool {
        let next = self.connections[number].fill(buffer);
        let now = self.clock.now();
        let is_well = loop {
            match buffer.next(self.dialect) {
                Ok(Some(unit)) => load.handle(self, number, unit, now),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        // A load may have closed it, or begun it anew.
        if !self.connections[number].is_open() {
            return false;
        }
        if next == Next::Closed || !is_well {
            self.lose(load, number);
            return false;
        }
        self.connections[number].keep(buffer);
        load.after_read(self, number, now);
        next == Next::Read
    }

    /// Writes every connection that has something to write, once.
    fn flush(&mut self, load: &mut impl Load) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for number in dirty.drain(..) {
            let connection = &mut self.connections[number];
            connection.clear_dirty();
            if connection.can_flush() && connection.flush().is_err() {
                self.lose(load, number);
            }
        }
        // What was put while connections were lost waits for the next turn.
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
    }

    /// Gives up a connection that ended before the run did.
    fn lose(&mut self, load: &mut impl Load, number: usize) {
        if self.connections[number].is_open() {
            self.connections[number].close();
            if !load.handle_lost(self, number) {
                self.meter.errors.note(ErrorCounts::DISCONNECTED);
            }
        }
    }
}
