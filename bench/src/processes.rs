//! Several processes as one generator, as the number of descriptors limits the connections of each.
//!
//! ```text
//!   parent: registers accounts
//!          ----starts----> workers: set up, print "ready"
//!          <---ready------          wait
//!          ----newline---->         measure; twice where `Workload::rounds` is 2; print the measurements as JSON
//!          <---JSON-------
//! ```

use crate::accounts::{List, register_many};
use crate::args::{CommonArgs, Worker, Workload};
use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::interrupt;
use crate::measure::{Baseline, Measurement};
use crate::progress::ProgressLine;
use crate::workload::{self, setup::READY};
use rustix::process::{Pid, Resource, Signal, getrlimit, set_parent_process_death_signal};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tempfile::NamedTempFile;

/// Descriptors that are not connections.
const OWN_DESCRIPTORS: u64 = 64;

/// Runs a workload in as many processes as it asks for or needs.
pub fn run(workload: &Workload) -> Result<Vec<Measurement>, Error> {
    let room = descriptors().saturating_sub(OWN_DESCRIPTORS).max(1);
    let needed = workload.connections().div_ceil(room).max(1) as u32;
    let most = workload.processes_max();
    if needed > most {
        return Err(Error::Usage(format!(
            "{} connections need {needed} processes with {room} descriptors each, and this load cannot be divided into more \
             than {most}: raise the limit (ulimit -n)",
            workload.connections()
        )));
    }
    match workload.common().processes.unwrap_or(needed).clamp(needed, most) {
        1 => workload::run(workload),
        many => lead(many, workload),
    }
}

fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

struct WorkerProcess {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

fn lead(of: u32, workload: &Workload) -> Result<Vec<Measurement>, Error> {
    let common = workload.common();
    let progress = ProgressLine::begin(format!("{of} processes"));
    let made = match common.accounts {
        Some(_) => None,
        None => Some(register(workload)?),
    };
    // Taken before any worker connects: each of them sees only its own connections.
    let base = Baseline::take(&common.server_pid, workload.connections() as u32)?;
    let accounts = made.as_ref().map(NamedTempFile::path);
    let workers: Result<Vec<WorkerProcess>, Error> =
        (0..of).map(|number| WorkerProcess::start(Worker { number, of }, accounts)).collect();
    let mut workers = workers?;
    for _ in 0..workload.rounds() {
        for worker_process in &mut workers {
            worker_process.line(|line| (line.trim() == READY).then_some(()))?;
        }
        interrupt::listen(
            workers.iter().map(|worker_process| Pid::from_child(&worker_process.child)).collect(),
        )?;
        for worker_process in &mut workers {
            writeln!(worker_process.input).map_err(|error| Error::io("start a worker process", error))?;
        }
        progress.set_message("warm-up, then measuring");
    }
    let mut whole: Option<Vec<Measurement>> = None;
    for worker_process in &mut workers {
        let parts: Vec<Measurement> = worker_process.line(|line| serde_json::from_str(line).ok())?;
        match &mut whole {
            Some(whole) => whole.iter_mut().zip(parts).for_each(|(part, more)| part.add(more)),
            None => whole = Some(parts),
        }
    }
    progress.end();
    let mut measurements = whole.unwrap_or_default();
    for measurement in measurements.iter_mut().filter(|measurement| measurement.baseline.is_some()) {
        measurement.baseline = base;
    }
    Ok(measurements)
}

/// Registers the accounts of all processes and writes them to a file.
fn register(workload: &Workload) -> Result<NamedTempFile, Error> {
    let CommonArgs { address, tls, dialect, prefix, .. } = workload.common();
    let file = NamedTempFile::new().map_err(|error| Error::io("create a temporary file", error))?;
    let endpoints = Endpoints::new(address, 0, tls)?;
    let made = register_many(&endpoints, (*dialect).into(), prefix, workload.accounts())?;
    List::open(file.path())?.write(&made)?;
    Ok(file)
}

/// Runs a worker's share and prints its measurements for the parent. The worker is killed when its parent ends.
pub fn work(workload: &Workload) -> Result<(), Error> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Error::io("end with the parent process", error.into()))?;
    let parts = workload::run(workload)?;
    let mut out = io::stdout();
    let line = serde_json::to_string(&parts).map_err(|error| Error::Usage(error.to_string()))?;
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| Error::io("write to stdout", error))
}

impl WorkerProcess {
    /// Starts a worker with the accounts in `accounts`, or with those of `--accounts`.
    fn start(worker: Worker, accounts: Option<&Path>) -> Result<WorkerProcess, Error> {
        let start = || {
            let mut command = Command::new(std::env::current_exe()?);
            command
                .args(std::env::args_os().skip(1))
                .arg(format!("--worker={}/{}", worker.number, worker.of))
                // Ctrl-C reaches the whole process group of a terminal; the parent passes it on instead.
                .process_group(0);
            if let Some(accounts) = accounts {
                command.arg("--accounts").arg(accounts);
            }
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            let pipes = child.stdin.take().zip(child.stdout.take());
            let (input, output) = pipes.ok_or_else(|| io::Error::other("it has no pipes"))?;
            Ok(WorkerProcess { child, input, output: BufReader::new(output) })
        };
        start().map_err(|error| Error::io("start a worker process", error))
    }

    /// Parses the next line that it prints.
    fn line<T>(&mut self, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| Error::io("read from a worker process", error))?;
        if let Some(parsed) = parse(&line) {
            return Ok(parsed);
        }
        let status = self.child.wait().map_err(|error| Error::io("wait for a worker process", error))?;
        // It has printed the reason to stderr, which it shares with this process.
        Err(Error::Usage(format!("a worker process failed ({status})")))
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
