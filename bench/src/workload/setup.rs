//! What a workload is set up with: accounts, an event loop with a meter, and the start that all processes share.

use crate::accounts::{Account, load, register_many};
use crate::args::CommonArgs;
use crate::clock::{Clock, nanoseconds};
use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::event_loop::EventLoop;
use crate::format::plural;
use crate::interrupt;
use crate::measure::{Baseline, Meter, Phases};
use crate::progress::ProgressLine;
use std::io::{self, BufRead, Write};

/// What a worker process prints once it is ready.
pub const READY: &str = "ready";

#[derive(Debug)]
pub struct Setup<'a> {
    pub common: &'a CommonArgs,
    pub endpoints: Endpoints,
    /// Accounts at the beginning of the file that belong to other processes.
    pub skip: u32,
    /// The progress of the whole run; hidden in a worker process.
    pub progress: ProgressLine,
}

impl Drop for Setup<'_> {
    fn drop(&mut self) {
        self.progress.end();
    }
}

impl Setup<'_> {
    /// `count` accounts that can log in.
    pub fn accounts(&self, count: u32) -> Result<Vec<Account>, Error> {
        match &self.common.accounts {
            Some(file) => load(file, self.skip as usize, count as usize),
            None => register_many(&self.endpoints, self.common.dialect(), &self.common.prefix, count),
        }
    }

    /// An event loop without connections that measures `length` ns after `warmup` ns.
    pub fn event_loop(&self, unit: &'static str, warmup: u64, length: u64) -> Result<EventLoop, Error> {
        let clock = Clock::start();
        let meter = self.meter(&clock, unit, warmup, length);
        EventLoop::new(self.endpoints.clone(), self.common.dialect(), clock, meter)
    }

    /// An event loop for users beside the measured load: it shows no progress and samples no server.
    pub fn background_event_loop(&self, warmup: u64, length: u64) -> Result<EventLoop, Error> {
        let clock = Clock::start();
        let phases = Phases::begin(clock.now(), warmup, length, &[]);
        let meter = Meter::begin(clock.now(), phases, ProgressLine::hidden());
        EventLoop::new(self.endpoints.clone(), self.common.dialect(), clock, meter)
    }

    /// A meter that measures `length` ns after `warmup` ns from now.
    pub fn meter(&self, clock: &Clock, unit: &'static str, warmup: u64, length: u64) -> Meter {
        let phases = Phases::begin(clock.now(), warmup, length, &self.common.server_pid);
        let phases = phases.with_beside(&self.common.beside);
        Meter::begin(clock.now(), phases, self.progress.counting(plural(unit)))
    }

    /// Ramp and warm-up, ns.
    pub fn warmup(&self) -> u64 {
        nanoseconds(self.common.ramp + self.common.warmup)
    }

    /// The measured time, ns.
    pub fn length(&self) -> u64 {
        nanoseconds(self.common.seconds)
    }

    /// The longest drain, ns.
    pub fn drain(&self) -> u64 {
        nanoseconds(self.common.drain)
    }

    /// The server's memory before `connections` are made.
    pub fn baseline(&self, connections: u32) -> Result<Option<Baseline>, Error> {
        Baseline::take(&self.common.server_pid, connections)
    }

    /// Ends the set-up. A worker process waits until all processes are ready.
    pub fn ready(&self) -> Result<(), Error> {
        // Until now Ctrl-C ends the program; from now on it ends the measurement.
        interrupt::listen(Vec::new())?;
        if self.common.worker.is_none() {
            return Ok(());
        }
        let wait = || {
            let mut out = io::stdout();
            writeln!(out, "{READY}").and_then(|()| out.flush())?;
            io::stdin().lock().read_line(&mut String::new())
        };
        wait().map(drop).map_err(|error| Error::io("wait for the other processes", error))
    }
}
