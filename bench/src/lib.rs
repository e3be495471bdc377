//! The load generator of the chat server.
//!
//! ```text
//!   accounts, lane_setup  (blocking, typed)    workload  (one mio loop, one thread, fast)
//!   register, log in, open   ---connections->  event_loop <-> lane -> message, ledger
//!                                                  |
//!   report, compare  <----------  tally  <-----  meter        several processes: processes
//! ```
//!
//! * [`accounts`], [`lane_setup`] and [`client`] set up a run before the clock starts; they may be slow, so they are
//!   simple.
//! * [`workload`]: one file a workload; each drives its connections from one edge-triggered [`event_loop`].
//! * [`lane`] and [`ledger`] account for every message of every sender at every receiver: lost, duplicated, out of order,
//!   wrong content.
//! * [`measure`]: latencies, the phases of a run, and CPU time and memory of the server's processes.
//! * [`relay`]: a server that stores nothing: the lower bound for a server's cost, and the peer in tests.
//! * [`testbed`] starts a server for each run; [`suite`] runs the standard set, [`compare_servers`] two servers in turn.

#![forbid(unsafe_code)]

pub mod accounts;
pub mod args;
pub mod client;
pub mod clock;
pub mod compare;
pub mod compare_servers;
pub mod connection;
pub mod digits;
pub mod endpoints;
pub mod error;
pub mod error_counts;
pub mod event_loop;
pub mod format;
pub mod interrupt;
pub mod lane;
pub mod lane_setup;
pub mod ledger;
pub mod legacy;
pub mod measure;
pub mod member_state;
pub mod message;
pub mod outcome;
pub mod prepare;
pub mod processes;
pub mod progress;
pub mod relay;
pub mod report;
pub mod results;
pub mod rng;
pub mod scanner;
pub mod schedule;
pub mod stamp;
pub mod stream;
pub mod suite;
pub mod testbed;
pub mod workload;

pub use outcome::Outcome;

use args::{Args, Task};
use endpoints::Endpoints;
use error::Error;
use std::io::{self, Write};
use wire::Dialect;

/// Runs the task of the command line.
///
/// # Errors
/// The task could not be run at all.
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
            let measurements = processes::run(&load)?;
            Ok(report::publish(&load, measurements))
        }
        Task::Accounts(accounts) => {
            let endpoints = Endpoints::new(std::slice::from_ref(&accounts.address), 0, &accounts.tls)?;
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

/// Raises the limit of open files to the hard limit: the default of 1,024 would end most runs during set-up.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // If this fails, connecting reports that descriptors are missing.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}
