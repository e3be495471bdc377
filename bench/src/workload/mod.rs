//! The workloads, one a file, and what they share.

pub mod idle;
pub mod login;
pub mod messaging;
pub mod mixed;
pub mod offline;
pub mod storm;

use crate::accounts::{Account, load, register_many};
use crate::args::workload::{CommonArgs, Worker, Workload};
use crate::clock::{Clock, nanoseconds};
use crate::endpoints::{Endpoints, PORTS};
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::event_loop::EventLoop;
use crate::interrupt;
use crate::measure::{Meter, Phases, Sample, Tally};
use crate::progress::ProgressLine;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::time::SystemTime;
use wire::frame::put_frame;
use wire::kind::{push, request};
use wire::{Frame, Heartbeat, Push, UnixMillis, UserId};

/// One thing that a workload measures; most measure one.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// What it is called where there are several.
    pub name: Cow<'static, str>,
    /// What is counted, in the singular: each has its cost.
    pub unit: Cow<'static, str>,
    /// What [`Tally::latency`] is the latency of.
    pub latency: Cow<'static, str>,
    /// What came of it.
    pub tally: Tally,
    /// What the server's memory was before most of the connections.
    pub base: Option<Baseline>,
    /// What else was counted.
    pub counts: BTreeMap<Cow<'static, str>, u64>,
}

impl Measurement {
    /// Adds what another process of the same run measured.
    pub fn add(&mut self, other: Measurement) {
        self.tally.add(other.tally);
        for (name, count) in other.counts {
            *self.counts.entry(name).or_default() += count;
        }
    }

    fn new(name: &'static str, unit: &'static str, latency: &'static str, tally: Tally) -> Measurement {
        let [name, unit, latency] = [name, unit, latency].map(Cow::Borrowed);
        Measurement { name, unit, latency, tally, base: None, counts: BTreeMap::new() }
    }
}

/// What the server's memory is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Its resident memory before `connections` were made, KiB.
    pub rss_kib: u64,
    /// The part of it that is not of files.
    pub anonymous_kib: u64,
    /// How many connections were made since.
    pub connections: u32,
}

impl Baseline {
    /// What the memory of `pids` is now, before `connections` are made; `None` where there are no such processes.
    ///
    /// # Errors
    /// One of them cannot be looked at.
    pub fn of(pids: &[u32], connections: u32) -> Result<Option<Baseline>, Error> {
        let sample = Sample::take(pids)?;
        let (rss_kib, anonymous_kib) = (sample.rss_kib(), sample.anonymous_kib());
        Ok((!pids.is_empty()).then_some(Baseline { rss_kib, anonymous_kib, connections }))
    }
}

/// What a workload is set up with.
#[derive(Debug)]
pub struct Setup<'a> {
    common: &'a CommonArgs,
    endpoints: Endpoints,
    /// Accounts of a file that belong to other processes.
    skip: u32,
    /// The line of the whole run; where there are several processes, the one that leads them has it.
    progress: ProgressLine,
}

impl Drop for Setup<'_> {
    fn drop(&mut self) {
        self.progress.end();
    }
}

/// Runs a workload, or this process's part of one.
pub fn run(workload: &Workload) -> Result<Vec<Measurement>, Error> {
    let common = workload.common();
    let worker = common.worker.unwrap_or(Worker { number: 0, of: 1 });
    let part = if worker.of > 1 { workload.part(worker) } else { workload.clone() };
    // Far enough apart that no two processes come from one address where ports may run out.
    let first = u64::from(worker.number) * workload.connections().max(1).next_multiple_of(PORTS);
    let endpoints = Endpoints::new(&common.address, first)?;
    let skip = workload.accounts_before(worker);
    let setup = |title| Setup {
        common: part.common(),
        endpoints: endpoints.clone(),
        skip,
        progress: if common.worker.is_none() { ProgressLine::begin(title) } else { ProgressLine::none() },
    };
    match &part {
        Workload::Pairs(args) => messaging::pairs(&setup("pairs"), args),
        Workload::Group(args) => messaging::group(&setup("group"), args),
        Workload::Login(args) => login::run(&setup("login"), args),
        Workload::Storm(args) => storm::run(&setup("storm"), args),
        Workload::Idle(args) => idle::run(&setup("idle"), args),
        Workload::Offline(args) => offline::run(&setup("offline"), args),
        Workload::Mixed(args) => mixed::run(&setup("mixed"), args),
    }
}

impl Setup<'_> {
    /// `count` accounts that can log in.
    fn accounts(&self, count: u32) -> Result<Vec<Account>, Error> {
        match &self.common.accounts {
            Some(file) => load(file, self.skip as usize, count as usize),
            None => register_many(&self.endpoints, self.common.dialect.dialect(), &self.common.prefix, count),
        }
    }

    /// A event_loop without connections; `length` ns are measured after `warmup` ns.
    fn event_loop(&self, unit: &'static str, warmup: u64, length: u64) -> Result<EventLoop, Error> {
        let clock = Clock::start();
        let meter = self.meter(&clock, unit, warmup, length);
        EventLoop::new(self.endpoints.clone(), self.common.dialect.dialect(), clock, meter)
    }

    /// The same for those who are beside the load that is told of: it shows nothing and measures no server.
    fn quiet_event_loop(&self, warmup: u64, length: u64) -> Result<EventLoop, Error> {
        let clock = Clock::start();
        let phases = Phases::begin(clock.now(), warmup, length, &[]);
        let meter = Meter::begin(clock.now(), phases, ProgressLine::none());
        EventLoop::new(self.endpoints.clone(), self.common.dialect.dialect(), clock, meter)
    }

    /// What measures `length` ns after `warmup` ns from now on.
    fn meter(&self, clock: &Clock, unit: &'static str, warmup: u64, length: u64) -> Meter {
        let phases = Phases::begin(clock.now(), warmup, length, &self.common.server_pid);
        let phases = phases.with_beside(&self.common.beside);
        Meter::begin(clock.now(), phases, self.progress.counting(plural(unit)))
    }

    /// How long the load grows and then goes on before it is measured, ns.
    fn warmup(&self) -> u64 {
        nanoseconds(self.common.ramp + self.common.warmup)
    }

    /// How long is measured, ns.
    fn length(&self) -> u64 {
        nanoseconds(self.common.seconds)
    }

    /// How long the drain may take, ns.
    fn drain(&self) -> u64 {
        nanoseconds(self.common.drain)
    }

    /// What the server's memory is, before `connections` are made.
    fn base(&self, connections: u32) -> Result<Option<Baseline>, Error> {
        Baseline::of(&self.common.server_pid, connections)
    }

    /// All is ready to be measured: where there are several processes, waits until all of them are.
    fn ready(&self) -> Result<(), Error> {
        // Until now a Ctrl-C has ended the program; from now on a parent may pass one on.
        interrupt::listen(Vec::new())?;
        if self.common.worker.is_none() {
            return Ok(());
        }
        let meet = || {
            let mut out = io::stdout();
            writeln!(out, "{READY}").and_then(|()| out.flush())?;
            io::stdin().lock().read_line(&mut String::new())
        };
        meet().map(drop).map_err(|error| Error::io("wait for the other processes", error))
    }
}

/// `deliveries`, of several of a unit of work.
pub fn plural(unit: &str) -> String {
    match unit.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{unit}s"),
    }
}

/// What one process of several says when it is ready.
pub const READY: &str = "ready";

/// Appends a heartbeat of `user`, as a request that wants its answer.
fn put_heartbeat(out: &mut Vec<u8>, user: UserId, sequence: u32) {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let beat = Heartbeat { sequence, time: UnixMillis(since_epoch.as_millis() as u64), user };
    put_frame(out, request::HEARTBEAT, sequence.max(1), |out| out.extend_from_slice(&beat.encode()));
}

/// Does what a push asks of `user`'s connection that is not a message; counts it where it is trouble.
fn handle_push(event_loop: &mut EventLoop, number: usize, user: UserId, frame: Frame<'_>) {
    let errors = &mut event_loop.meter.errors;
    match frame.kind {
        push::PROBE => put_heartbeat(event_loop.output(number), user, 1),
        push::KICKED => errors.note("kicked"),
        push::GOING_AWAY => errors.note("going_away"),
        push::ERROR => match Push::decode(frame.kind, frame.value) {
            Ok(Some(Push::Error(refusal))) => errors.note_refusal(&refusal),
            _ => errors.note(ErrorCounts::UNEXPECTED),
        },
        // Receipts and presence are the server's work like any other, and nothing that a load must answer. CHANGED is
        // a hint that something may be missing; whether something is, the ledgers know.
        kind if (push::FIRST..push::ERROR).contains(&kind) && kind != push::MESSAGE => {}
        _ => errors.note(ErrorCounts::UNEXPECTED),
    }
}
