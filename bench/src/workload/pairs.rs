//! P pairs of users; in each, one sends to the other.
//!
//! One turn of the loop: send what the load asks for, acknowledge what is due, write every connection that has
//! something to write once, sleep, read. So what one turn makes for one connection goes out in one write.

use super::{Trouble, handle_push, lose};
use crate::accounts::{OPENING_SEQ, OpenPair, open_pairs, random};
use crate::args::PairsArgs;
use crate::clock::{Alarm, Clock, MILLISECOND, SECOND, nanoseconds, timeout};
use crate::connection::{Connection, Next, Scratch};
use crate::error::Error;
use crate::ledger::{Faults, Ledger, request_of};
use crate::measure::{Latency, Phase, Window};
use crate::message::{Answer, Direction, Incoming, Outgoing};
use crate::report::PairsReport;
use crate::schedule::Schedule;
use crate::session::Session;
use mio::{Events, Poll, Token};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::mem;
use wire::kind::{REPLY, push, request};
use wire::{Command, ConversationId, Errno, Frame, Seq, UserId};

/// A client acknowledges every this many messages, or ...
const ACK_MESSAGES: u32 = 64;
/// ... this long after the first that it has not acknowledged.
const ACK_DELAY: u64 = 200 * MILLISECOND;
/// How long a pair holds back after a refusal that does not say.
const HOLD_BACK: u64 = 100 * MILLISECOND;
/// How long to listen on for doubles after everything has arrived.
const QUIET: u64 = 200 * MILLISECOND;
/// At a fixed rate: end the load when this many messages are outstanding, the server does not keep up.
const OUTSTANDING_MAX: usize = 2_000_000;
const ALARM: Token = Token(usize::MAX);

/// The load.
#[derive(Debug)]
enum Load {
    /// This many outstanding in each pair.
    Window(usize),
    /// At an even pace, the pairs in turn.
    Rate(Schedule),
}

/// Connection 2i is pair i's sender, 2i + 1 its receiver.
#[derive(Debug)]
struct Pair {
    conversation: ConversationId,
    users: [UserId; 2],
    connections: [Connection; 2],
    outgoing: Outgoing,
    incoming: Incoming,
    ledger: Ledger,
    /// Delivered and not yet acknowledged to the server.
    unacknowledged: u32,
    /// Counts the ACKs, so that a delay that began before the last one is known as over.
    acks: u64,
    /// The count of ACKs at which a delay runs already.
    delay_of: Option<u64>,
    /// The server asked not to be sent to before.
    held_until: u64,
    /// It waits in [`Loop::ready`].
    is_ready: bool,
}

const SENDER: usize = 0;
const RECEIVER: usize = 1;

struct Loop {
    clock: Clock,
    pairs: Vec<Pair>,
    load: Load,
    window: Window,
    drain: u64,
    alarm: Alarm,
    /// Pairs that may have room in their window.
    ready: Vec<usize>,
    /// Pairs that hold back.
    held: Vec<usize>,
    /// Receivers that acknowledge after a delay: when, which pair, its count of ACKs when the delay began.
    acks_due: VecDeque<(u64, usize, u64)>,
    /// Connections that have something to write.
    dirty: Vec<usize>,
    has_overrun: bool,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    delivered: u64,
    acknowledgement: Latency,
    delivery: Latency,
    /// How late messages of a fixed rate were sent: the generator's own part in their latency.
    lag: Latency,
    trouble: Trouble,
}

/// Runs the workload.
pub fn run(args: &PairsArgs) -> Result<PairsReport, Error> {
    let common = &args.common;
    let opened = open_pairs(common.address, &common.prefix, args.pairs)?;
    let mut poll = Poll::new().map_err(|error| Error::io("make a poll", error))?;
    let run = random();
    let pairs =
        opened.into_iter().enumerate().map(|(number, open)| Pair::new(number, open, run, args, &poll));
    let pairs =
        pairs.collect::<io::Result<Vec<_>>>().map_err(|error| Error::io("register a socket", error))?;

    let clock = Clock::start();
    let now = clock.now();
    let load = match (args.window, args.rate) {
        (Some(window), _) => Load::Window(window as usize),
        (_, Some(rate)) => Load::Rate(Schedule::new(now, u64::from(rate), SECOND)),
        (None, None) => return Err(Error::Usage("a --window or a --rate is needed".to_owned())),
    };
    let mut turns = Loop {
        alarm: Alarm::new(poll.registry(), ALARM).map_err(|error| Error::io("make a timer", error))?,
        window: Window::begin(now, nanoseconds(args.warmup), nanoseconds(common.seconds), &common.server_pid),
        drain: nanoseconds(args.drain),
        ready: (0..pairs.len()).collect(),
        held: Vec::new(),
        acks_due: VecDeque::new(),
        dirty: Vec::new(),
        has_overrun: false,
        counts: Counts::default(),
        clock,
        pairs,
        load,
    };
    turns.run(&mut poll)?;
    Ok(turns.report(args))
}

impl Pair {
    fn new(number: usize, open: OpenPair, run: u32, args: &PairsArgs, poll: &Poll) -> io::Result<Pair> {
        let OpenPair { conversation, sender: (from, sender), receiver: (to, receiver) } = open;
        let (sender_number, size) = (number as u32, args.size as usize);
        let direction =
            Direction { sender: sender_number, from: from.id, name: from.name, conversation, size, run };
        let register = |session: Session, side: usize| {
            let (stream, partial) = session.into_parts();
            stream.set_nonblocking(true)?;
            let stream = mio::net::TcpStream::from_std(stream);
            Connection::register(stream, partial, poll.registry(), Token(2 * number + side))
        };
        Ok(Pair {
            conversation,
            users: [from.id, to.id],
            connections: [register(sender, SENDER)?, register(receiver, RECEIVER)?],
            outgoing: Outgoing::new(&direction),
            incoming: Incoming::new(&direction),
            ledger: Ledger::new(OPENING_SEQ),
            unacknowledged: 0,
            acks: 0,
            delay_of: None,
            held_until: 0,
            is_ready: true,
        })
    }

    fn is_open(&self) -> bool {
        self.connections.iter().all(Connection::is_open)
    }

    #[inline]
    fn send(&mut self, at: u64) {
        let counter = self.ledger.send(at);
        self.outgoing.encode(request_of(counter), counter, at, self.connections[SENDER].output());
    }

    fn acknowledge(&mut self) {
        let (conversation, seq) = (self.conversation, Seq(self.ledger.last_seq()));
        Command::Ack { conversation, seq }.encode(0, self.connections[RECEIVER].output());
        self.unacknowledged = 0;
        self.acks += 1;
    }

    /// What came to the sender: replies.
    #[inline]
    fn handle_at_sender(&mut self, frame: Frame<'_>, now: u64, window: &Window, counts: &mut Counts) {
        if frame.kind != REPLY | request::SEND {
            return self.handle_other(SENDER, frame, counts);
        }
        match self.incoming.reply(frame.value) {
            Answer::Stored(seq) => {
                if let Some(at) = self.ledger.handle_stored(frame.request, seq)
                    && window.holds(at)
                {
                    counts.acknowledgement.record(now.saturating_sub(at));
                }
            }
            Answer::Refused(refusal) => {
                self.ledger.handle_refused(frame.request, refusal.errno == Errno::Unavailable);
                counts.trouble.note_refusal(&refusal);
                self.held_until = now + refusal.retry_after_ms.map_or(HOLD_BACK, |ms| ms * MILLISECOND);
            }
            Answer::Wrong => self.ledger.handle_stray_reply(),
        }
    }

    /// What came to the receiver: messages.
    #[inline]
    fn handle_at_receiver(&mut self, frame: Frame<'_>, now: u64, window: &Window, counts: &mut Counts) {
        if frame.kind != push::MESSAGE {
            return self.handle_other(RECEIVER, frame, counts);
        }
        let Some(arrival) = self.incoming.message(frame.value) else {
            return self.ledger.handle_wrong_content();
        };
        if let Some(at) = self.ledger.handle_delivered(arrival.counter, arrival.at, arrival.seq) {
            self.unacknowledged += 1;
            counts.delivered += u64::from(window.phase() == Phase::Measured);
            if window.holds(at) {
                counts.delivery.record(now.saturating_sub(at));
            }
        }
    }

    #[cold]
    fn handle_other(&mut self, side: usize, frame: Frame<'_>, counts: &mut Counts) {
        // A reply to a heartbeat: a PROBE was answered.
        if frame.kind != REPLY | request::HEARTBEAT {
            handle_push(frame, self.users[side], self.connections[side].output(), &mut counts.trouble);
        }
    }
}

impl Loop {
    fn run(&mut self, poll: &mut Poll) -> Result<(), Error> {
        let (mut events, mut scratch) = (Events::with_capacity(1024), Scratch::default());
        let (mut deadline, mut quiet_since) = (u64::MAX, None);
        loop {
            if self.window.advance(&self.clock)? && self.window.phase() == Phase::Drain {
                // What was due before the end is sent, however late; to leave it out would flatter the latencies.
                if let Load::Rate(_) = self.load {
                    self.produce(self.window.close());
                }
                deadline = self.clock.now() + self.drain;
            }
            let now = self.clock.now();
            if self.window.phase() == Phase::Drain {
                if self.has_outstanding() {
                    quiet_since = None;
                } else {
                    deadline = deadline.min(*quiet_since.get_or_insert(now) + QUIET);
                }
                if now >= deadline || self.pairs.iter().all(|pair| !pair.is_open()) {
                    return Ok(());
                }
            } else {
                self.produce(now);
            }
            self.acknowledge_due(now);
            self.flush();
            let until = self.next_turn(deadline).map_err(|error| Error::io("set the timer", error))?;
            match poll.poll(&mut events, Some(timeout(self.clock.now(), until))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                polled => polled.map_err(|error| Error::io("poll", error))?,
            }
            for event in events.iter().filter(|event| event.token() != ALARM) {
                let Token(number) = event.token();
                let mut is_readable = self.pairs[number / 2].connections[number % 2].handle(event);
                while is_readable {
                    is_readable = self.read(number, &mut scratch);
                }
                // It may be writable again.
                self.dirty.push(number);
            }
        }
    }

    /// When the loop has something to do of its own. What is due to the microsecond rings the alarm.
    fn next_turn(&mut self, deadline: u64) -> io::Result<u64> {
        if let (Load::Rate(schedule), true) = (&self.load, self.window.phase() != Phase::Drain) {
            self.alarm.set(self.clock.now(), schedule.next_due())?;
        }
        let ack = self.acks_due.front().map_or(u64::MAX, |&(due, ..)| due);
        let held = self.held.iter().map(|&number| self.pairs[number].held_until).min().unwrap_or(u64::MAX);
        let until = deadline.min(self.window.next_change()).min(ack).min(held);
        // An end that is not near: look up once a second.
        Ok(until.min(self.clock.now() + SECOND))
    }

    /// Sends what the load asks for up to `until`.
    fn produce(&mut self, until: u64) {
        let mut now = self.clock.now();
        let Loop { clock, pairs, ready, held, dirty, counts, window, .. } = self;
        held.retain(|&number| {
            let is_over = pairs[number].held_until <= now;
            if is_over {
                ready.push(number);
            }
            !is_over
        });
        match &mut self.load {
            Load::Window(size) => {
                for number in ready.drain(..) {
                    let pair = &mut pairs[number];
                    if pair.held_until > now {
                        held.push(number);
                        continue;
                    }
                    pair.is_ready = false;
                    if pair.is_open() && pair.ledger.outstanding() < *size {
                        let at = clock.now();
                        while pair.ledger.outstanding() < *size {
                            pair.send(at);
                        }
                        dirty.push(2 * number);
                    }
                }
            }
            Load::Rate(schedule) => {
                while let Some((event, due)) = schedule.take(until) {
                    let number = (event % pairs.len() as u64) as usize;
                    let pair = &mut pairs[number];
                    if pair.is_open() {
                        pair.send(due);
                        dirty.push(2 * number);
                        if window.holds(due) {
                            counts.lag.record(now - due);
                        }
                    }
                    if event % 4096 == 0 {
                        now = clock.now();
                        let outstanding = pairs.iter().map(|pair| pair.ledger.outstanding()).sum::<usize>();
                        self.has_overrun |= outstanding > OUTSTANDING_MAX;
                    }
                    if self.has_overrun {
                        // The schedule ends here; the window goes on, so the report says what was delivered.
                        *schedule = Schedule::new(u64::MAX / 2, 1, SECOND);
                    }
                }
            }
        }
    }

    /// Reads once from a connection. Whether there may be more.
    #[inline]
    fn read(&mut self, number: usize, scratch: &mut Scratch) -> bool {
        let (pair, side) = (&mut self.pairs[number / 2], number % 2);
        let next = pair.connections[side].fill(scratch);
        let now = self.clock.now();
        let (window, counts) = (&self.window, &mut self.counts);
        let are_frames = loop {
            match scratch.next_frame() {
                Ok(Some(frame)) if side == SENDER => pair.handle_at_sender(frame, now, window, counts),
                Ok(Some(frame)) => pair.handle_at_receiver(frame, now, window, counts),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        if next == Next::Closed || !are_frames {
            lose(&mut pair.connections[side], &mut counts.trouble);
            return false;
        }
        pair.connections[side].keep(scratch);
        if side == RECEIVER && pair.unacknowledged >= ACK_MESSAGES {
            pair.acknowledge();
        } else if side == RECEIVER && pair.unacknowledged > 0 && pair.delay_of != Some(pair.acks) {
            pair.delay_of = Some(pair.acks);
            self.acks_due.push_back((now + ACK_DELAY, number / 2, pair.acks));
        }
        if !mem::replace(&mut pair.is_ready, true) {
            self.ready.push(number / 2);
        }
        next == Next::Read
    }

    /// Acknowledges to the server what receivers have had for a while.
    fn acknowledge_due(&mut self, now: u64) {
        while let Some(&(due, number, acks)) = self.acks_due.front()
            && due <= now
        {
            self.acks_due.pop_front();
            let pair = &mut self.pairs[number];
            if pair.acks == acks && pair.unacknowledged > 0 && pair.is_open() {
                pair.acknowledge();
                self.dirty.push(2 * number + RECEIVER);
            }
        }
    }

    /// Writes every connection that has something to write, once.
    fn flush(&mut self) {
        for number in self.dirty.drain(..) {
            let connection = &mut self.pairs[number / 2].connections[number % 2];
            if connection.can_flush() && connection.flush().is_err() {
                lose(connection, &mut self.counts.trouble);
            }
        }
    }

    fn has_outstanding(&self) -> bool {
        self.pairs.iter().any(|pair| pair.ledger.outstanding() > 0)
    }

    fn report(mut self, args: &PairsArgs) -> PairsReport {
        let mut faults = Faults::default();
        self.pairs.iter().for_each(|pair| faults.add(&pair.ledger.close()));
        if self.has_overrun {
            self.counts.trouble.note(Trouble::OVERRUN);
        }
        PairsReport {
            pairs: args.pairs,
            window: args.window,
            rate: args.rate,
            size: args.size,
            warmup: args.warmup,
            sent: self.pairs.iter().map(|pair| pair.ledger.sent()).sum(),
            delivered: self.counts.delivered,
            acknowledgement: self.counts.acknowledgement.quantiles(),
            delivery: self.counts.delivery.quantiles(),
            lag: args.rate.map(|_| self.counts.lag.quantiles()),
            faults,
            trouble: self.counts.trouble,
            measured: self.window.measured().clone(),
            threads_table: args.common.threads_table,
        }
    }
}
