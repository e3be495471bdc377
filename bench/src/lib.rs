//! The load generator of the chat server.
//!
//! ```text
//!   accounts  (blocking, typed)          workload  (one mio loop, one thread, lean)
//!   register, log in, open   --hand-->   schedule -> message -> connection -> server
//!                                                                   |
//!                              report <- measure <- ledger <--------+
//! ```
//!
//! * [`accounts`] and [`session`] set up: what comes before the clock starts may be slow, so it is simple.
//! * [`workload`]: one file a workload; each drives its connections from one edge-triggered loop.
//! * [`ledger`]: every message of every direction is accounted for: lost, duplicated, out of order, wrong content.
//! * [`measure`]: latencies, the measured window, and what the server's process cost meanwhile.
//! * [`relay`]: a stand-in that stores nothing: the floor that a server's cost can be held against, and the tests' double.

#![forbid(unsafe_code)]

pub mod accounts;
pub mod args;
pub mod clock;
pub mod connection;
pub mod error;
pub mod ledger;
pub mod measure;
pub mod message;
pub mod relay;
pub mod report;
pub mod schedule;
pub mod session;
pub mod shape;
pub mod workload;

use args::{Args, Workload};
use error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

/// How a run ended that could be run at all. One that could not ends with exit code 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every message was accounted for: exit code 0.
    Clean,
    /// Something was lost, doubled, reordered, wrong or refused: exit code 1.
    Faulty,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        match outcome {
            Outcome::Clean => ExitCode::SUCCESS,
            Outcome::Faulty => ExitCode::from(1),
        }
    }
}

/// Does what the command line says, prints what came of it, and appends it to the `--json` file where one is given.
pub fn run(args: Args) -> Result<Outcome, Error> {
    raise_file_limit();
    match args.workload {
        Workload::Pairs(pairs) => {
            let report = workload::pairs::run(&pairs)?;
            report::publish(&report, pairs.common.json.as_deref())
        }
        Workload::Idle(idle) => {
            let report = workload::idle::run(&idle)?;
            report::publish(&report, idle.common.json.as_deref())
        }
        Workload::Accounts(accounts) => {
            let made = accounts::register_many(accounts.address, &accounts.prefix, accounts.count)?;
            accounts::save(&accounts.file, &made)?;
            Ok(Outcome::Clean)
        }
        Workload::Relay(relay) => {
            let mut relay = relay::Relay::bind((relay.ip, relay.port).into(), relay.fault)?;
            let mut out = io::stdout();
            let announced = writeln!(out, "listening on {}", relay.address()).and_then(|()| out.flush());
            announced.map_err(|error| Error::io("write to stdout", error))?;
            relay.run(&Default::default())?;
            Ok(Outcome::Clean)
        }
    }
}

/// Lets the process open as many files as it may: the default soft limit of 1,024 would end most runs at set-up.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // Where it may not be raised, connecting says soon enough that there are too few.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}
