//! Several processes as one generator: a process can hold only so many connections open.
//!
//! ```text
//!   parent: registers accounts
//!          ----starts----> workers: set up, say "ready"
//!          <---ready------          wait
//!          ----go--------->         measure, once or (`Workload::rounds`) again; print what came of it as JSON
//!          <---result-----
//! ```

use crate::accounts::{List, register_many};
use crate::args::workload::{CommonArgs, Worker, Workload};
use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::interrupt;
use crate::progress::ProgressLine;
use crate::workload::{self, Baseline, Measurement, READY};
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
            "{} connections need {needed} processes of {room} descriptors, and this load cannot be parted into more \
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

/// A worker that was started.
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
    // Before any of them connects; after that each sees only its own connections.
    let base = Baseline::of(&common.server_pid, workload.connections() as u32)?;
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
            writeln!(worker_process.input).map_err(|error| Error::io("tell a process to begin", error))?;
        }
        progress.say("warm-up, then measuring");
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
    let mut parts = whole.unwrap_or_default();
    parts.iter_mut().filter(|part| part.base.is_some()).for_each(|part| part.base = base);
    Ok(parts)
}

/// Registers the accounts of all processes, and names them in a file.
fn register(workload: &Workload) -> Result<NamedTempFile, Error> {
    let CommonArgs { address, dialect, prefix, .. } = workload.common();
    let file = NamedTempFile::new().map_err(|error| Error::io("make a temporary file", error))?;
    let endpoints = Endpoints::new(address, 0)?;
    let made = register_many(&endpoints, dialect.dialect(), prefix, workload.accounts())?;
    List::open(file.path())?.write(&made)?;
    Ok(file)
}

/// Does a worker's part, and prints what it measured for its parent, whose end it does not outlive.
pub fn work(workload: &Workload) -> Result<(), Error> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Error::io("follow the first process", error.into()))?;
    let parts = workload::run(workload)?;
    let mut out = io::stdout();
    let line = serde_json::to_string(&parts).map_err(|error| Error::Usage(error.to_string()))?;
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| Error::io("write to stdout", error))
}

impl WorkerProcess {
    /// Starts one that takes its accounts from `accounts`, or from where all do.
    fn start(worker: Worker, accounts: Option<&Path>) -> Result<WorkerProcess, Error> {
        let start = || {
            let mut command = Command::new(std::env::current_exe()?);
            command
                .args(std::env::args_os().skip(1))
                .arg(format!("--worker={}/{}", worker.number, worker.of))
                // A terminal tells a whole group of Ctrl-C; this one is told by its parent.
                .process_group(0);
            if let Some(accounts) = accounts {
                command.arg("--accounts").arg(accounts);
            }
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            let pipes = child.stdin.take().zip(child.stdout.take());
            let (input, output) = pipes.ok_or_else(|| io::Error::other("it has no pipes"))?;
            Ok(WorkerProcess { child, input, output: BufReader::new(output) })
        };
        start().map_err(|error| Error::io("start another process", error))
    }

    /// The next line it prints, as `read` reads it.
    fn line<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .map_err(|error| Error::io("read_message from another process", error))?;
        if let Some(read) = read(&line) {
            return Ok(read);
        }
        let status = self.child.wait().map_err(|error| Error::io("wait for another process", error))?;
        // What went wrong it says on stderr, which is this process's.
        Err(Error::Usage(format!("one of the processes could not measure ({status})")))
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
