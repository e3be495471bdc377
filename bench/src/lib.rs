//! The load generator of the chat server.
//!
//! ```text
//!   accounts, opening  (blocking, typed)     workload  (one mio loop, one thread, lean)
//!   register, log in, open     ----hand--->  event_loop <-> lane -> message, ledger
//!                                             |
//!   report, page, compare  <---  tally  <---  meter         several processes: processes
//! ```
//!
//! * [`accounts`], [`opening`] and [`session`] set up: what comes before the clock starts may be slow, so it is simple.
//! * [`workload`]: one file a workload; each drives its connections from one edge-triggered loop, the [`event_loop`].
//! * [`lane`] and [`ledger`]: every message of every sender is accounted for at every receiver: lost, duplicated, out of
//!   order, wrong content.
//! * [`measure`]: latencies, the measured window, and what the server's processes cost meanwhile.
//! * [`relay`]: a stand-in that stores nothing: the floor that a server's cost can be held against, and the tests' double.
//! * [`suite`]: the standard set, held against the goals.

#![forbid(unsafe_code)]

pub mod accounts;
pub mod args;
pub mod client;
pub mod clock;
pub mod compare;
pub mod compare_servers;
pub mod connection;
pub mod endpoints;
pub mod error;
pub mod error_counts;
pub mod event_loop;
pub mod interrupt;
pub mod lane;
pub mod lane_setup;
pub mod ledger;
pub mod legacy;
pub mod measure;
pub mod member_state;
pub mod message;
pub mod page;
pub mod plot;
pub mod prepare;
pub mod processes;
pub mod progress;
pub mod relay;
pub mod report;
pub mod results;
pub mod rng;
pub mod scanner;
pub mod schedule;
pub mod suite;
pub mod testbed;
pub mod workload;

use args::{Args, Task};
use endpoints::Endpoints;
use error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use wire::Dialect;

/// How a run ended that could be run at all. One that could not ends with exit code 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every message was accounted for: exit code 0.
    Clean,
    /// Something was lost, doubled, reordered, wrong or refused, or the results could not be written: exit code 1.
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

/// Does what the command line says, prints what came of it, and writes it where that is asked for.
pub fn run(args: Args) -> Result<Outcome, Error> {
    raise_file_limit();
    match args.task {
        Task::Load(load) => {
            let load = load.checked()?;
            if load.common().worker.is_some() {
                processes::work(&load)?;
                return Ok(Outcome::Clean);
            }
            report::check(load.common())?;
            let parts = processes::run(&load)?;
            Ok(report::publish(&load, parts))
        }
        Task::Accounts(accounts) => {
            let endpoints = Endpoints::new(&[accounts.address], 0)?;
            let list = accounts::List::open(&accounts.file)?;
            list.write(&accounts::register_many(
                &endpoints,
                Dialect::Tlv,
                &accounts.prefix,
                accounts.count,
            )?)?;
            Ok(Outcome::Clean)
        }
        Task::Prepare(prepare) => {
            prepare::run(&prepare)?;
            Ok(Outcome::Clean)
        }
        Task::Relay(relay) => {
            let mut relay = relay::Relay::bind((relay.ip, relay.port).into(), relay.fault)?;
            let mut out = io::stdout();
            let announced = writeln!(out, "listening on {}", relay.address()).and_then(|()| out.flush());
            announced.map_err(|error| Error::io("write to stdout", error))?;
            relay.run(&Default::default())?;
            Ok(Outcome::Clean)
        }
        Task::Suite(suite) => suite::run(&suite),
        Task::CompareServers(servers) => compare_servers::run(&servers),
        Task::Compare(files) => {
            compare::run(&files)?;
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
