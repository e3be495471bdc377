//! N logged-in connections that say nothing but heartbeats: what does the server keep for each?

use super::{Trouble, handle_push, lose, put_heartbeat};
use crate::accounts::{load, log_in, register_many};
use crate::args::IdleArgs;
use crate::clock::{Clock, SECOND, nanoseconds, timeout};
use crate::connection::{Connection, Next, Scratch};
use crate::error::Error;
use crate::measure::{Latency, Phase, Sample, Window};
use crate::report::IdleReport;
use crate::schedule::Schedule;
use mio::net::TcpStream;
use mio::{Events, Poll, Token};
use std::io::{self, ErrorKind};
use std::thread;
use std::time::Duration;
use wire::kind::{REPLY, request};
use wire::{Frame, Heartbeat, UserId};

/// How long the server may take after a login to come to rest, before its memory is looked at.
const SETTLE: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Idler {
    user: UserId,
    connection: Connection,
    /// The sequence of the last heartbeat, and when it was due while it is not answered.
    sequence: u32,
    beating_since: Option<u64>,
}

struct Loop {
    clock: Clock,
    idlers: Vec<Idler>,
    schedule: Schedule,
    window: Window,
    answered: u64,
    latency: Latency,
    trouble: Trouble,
}

/// Runs the workload.
pub fn run(args: &IdleArgs) -> Result<IdleReport, Error> {
    let common = &args.common;
    let accounts = match &args.accounts {
        Some(file) => load(file)?,
        None => register_many(common.address, &common.prefix, args.connections)?,
    };
    let count = args.connections as usize;
    if accounts.len() < count {
        return Err(Error::Usage(format!(
            "{count} connections need as many accounts; there are {}",
            accounts.len()
        )));
    }
    let (first, others) = accounts[..count].split_at(1);
    let mut sessions = log_in(common.address, first)?;
    thread::sleep(SETTLE);
    let one_login = Sample::take(&common.server_pid)?;
    sessions.extend(log_in(common.address, others)?);

    let mut poll = Poll::new().map_err(|error| Error::io("make a poll", error))?;
    let register = |(number, session): (usize, crate::session::Session)| {
        let (stream, partial) = session.into_parts();
        stream.set_nonblocking(true)?;
        let stream = TcpStream::from_std(stream);
        let connection = Connection::register(stream, partial, poll.registry(), Token(number))?;
        Ok(Idler { user: accounts[number].id, connection, sequence: 0, beating_since: None })
    };
    let idlers: io::Result<Vec<_>> = sessions.into_iter().enumerate().map(register).collect();
    let clock = Clock::start();
    let settle = SETTLE.as_nanos() as u64;
    let mut turns = Loop {
        idlers: idlers.map_err(|error| Error::io("register a socket", error))?,
        schedule: Schedule::new(clock.now(), u64::from(args.connections), nanoseconds(args.heartbeat).max(1)),
        window: Window::begin(clock.now(), settle, nanoseconds(common.seconds), &common.server_pid),
        clock,
        answered: 0,
        latency: Latency::default(),
        trouble: Trouble::default(),
    };
    turns.run(&mut poll)?;
    Ok(IdleReport {
        connections: args.connections,
        heartbeats: turns.answered,
        heartbeat: turns.latency.quantiles(),
        one_login_kib: [one_login.rss_kib(), one_login.anonymous_kib()],
        trouble: turns.trouble,
        measured: turns.window.measured().clone(),
        threads_table: common.threads_table,
    })
}

impl Loop {
    fn run(&mut self, poll: &mut Poll) -> Result<(), Error> {
        let (mut events, mut scratch) = (Events::with_capacity(1024), Scratch::default());
        while self.window.phase() != Phase::Drain {
            self.beat();
            let now = self.clock.now();
            let until = self.schedule.next_due().min(self.window.next_change()).min(now + SECOND);
            match poll.poll(&mut events, Some(timeout(now, until))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                polled => polled.map_err(|error| Error::io("poll", error))?,
            }
            for event in &events {
                let Token(number) = event.token();
                let mut is_readable = self.idlers[number].connection.handle(event);
                while is_readable {
                    is_readable = self.read(number, &mut scratch);
                }
                self.flush(number);
            }
            self.window.advance(&self.clock)?;
        }
        Ok(())
    }

    /// Sends the heartbeats that are due.
    fn beat(&mut self) {
        while let Some((event, due)) = self.schedule.take(self.clock.now()) {
            let number = (event % self.idlers.len() as u64) as usize;
            let idler = &mut self.idlers[number];
            if !idler.connection.is_open() {
                continue;
            }
            if idler.beating_since.replace(due).is_some() {
                self.trouble.note("heartbeat_unanswered");
            }
            idler.sequence = idler.sequence.wrapping_add(1).max(1);
            put_heartbeat(idler.connection.output(), idler.user, idler.sequence);
            self.flush(number);
        }
    }

    fn flush(&mut self, number: usize) {
        let connection = &mut self.idlers[number].connection;
        if connection.can_flush() {
            if connection.flush().is_err() {
                lose(connection, &mut self.trouble);
            }
            connection.shrink();
        }
    }

    /// Reads once from a connection. Whether there may be more.
    fn read(&mut self, number: usize, scratch: &mut Scratch) -> bool {
        let next = self.idlers[number].connection.fill(scratch);
        let now = self.clock.now();
        let are_frames = loop {
            match scratch.next_frame() {
                Ok(Some(frame)) => self.handle(number, frame, now),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        let connection = &mut self.idlers[number].connection;
        if next == Next::Closed || !are_frames {
            lose(connection, &mut self.trouble);
            return false;
        }
        connection.keep(scratch);
        next == Next::Read
    }

    fn handle(&mut self, number: usize, frame: Frame<'_>, now: u64) {
        let idler = &mut self.idlers[number];
        if frame.kind != REPLY | request::HEARTBEAT {
            return handle_push(frame, idler.user, idler.connection.output(), &mut self.trouble);
        }
        match Heartbeat::decode(frame.value) {
            Some(beat) if beat.sequence == idler.sequence => {
                if let Some(due) = idler.beating_since.take() {
                    self.answered += u64::from(self.window.phase() == Phase::Measured);
                    if self.window.holds(due) {
                        self.latency.record(now.saturating_sub(due));
                    }
                }
            }
            // The answer to the heartbeat that answered a PROBE.
            Some(_) => {}
            None => self.trouble.note(Trouble::WRONG_HEARTBEAT),
        }
    }
}
