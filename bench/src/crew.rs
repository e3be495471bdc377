//! Several processes as one generator: a process can hold only so many connections open.
//!
//! ```text
//!   parent ----starts----> workers: set up, say "ready"
//!          <---ready------          wait
//!          ----go--------->         measure, print what came of it as JSON
//!          <---result-----
//! ```

use crate::args::workload::{Worker, Workload};
use crate::error::Error;
use crate::interrupt;
use crate::live::Live;
use crate::workload::{self, Base, Part, READY};
use rustix::process::{Resource, Signal, getrlimit, set_parent_process_death_signal};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Descriptors that are not connections.
const OWN_DESCRIPTORS: u64 = 64;

/// Runs a workload in as many processes as it asks for or needs.
pub fn run(workload: &Workload) -> Result<Vec<Part>, Error> {
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
struct Mate {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

fn lead(of: u32, workload: &Workload) -> Result<Vec<Part>, Error> {
    // Before any of them connects; after that each sees only its own connections.
    let pids = &workload.common().server_pid;
    let base = Base::of(pids, workload.connections() as u32)?;
    let live = Live::begin(format!("{of} processes"));
    let mates: Result<Vec<Mate>, Error> = (0..of).map(|number| Mate::start(Worker { number, of })).collect();
    let mut mates = mates?;
    for mate in &mut mates {
        mate.line(|line| (line.trim() == READY).then_some(()))?;
    }
    for mate in &mut mates {
        writeln!(mate.input).map_err(|error| Error::io("tell a process to begin", error))?;
    }
    interrupt::listen()?;
    live.say("warm-up, then measuring");
    let mut whole: Option<Vec<Part>> = None;
    for mate in &mut mates {
        let parts: Vec<Part> = mate.line(|line| serde_json::from_str(line).ok())?;
        match &mut whole {
            Some(whole) => whole.iter_mut().zip(parts).for_each(|(part, more)| part.add(more)),
            None => whole = Some(parts),
        }
    }
    live.end();
    let mut parts = whole.unwrap_or_default();
    parts.iter_mut().filter(|part| part.base.is_some()).for_each(|part| part.base = base);
    Ok(parts)
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

impl Mate {
    fn start(worker: Worker) -> Result<Mate, Error> {
        let start = || {
            let mut command = Command::new(std::env::current_exe()?);
            command
                .args(std::env::args_os().skip(1))
                .arg(format!("--worker={}/{}", worker.number, worker.of));
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            let pipes = child.stdin.take().zip(child.stdout.take());
            let (input, output) = pipes.ok_or_else(|| io::Error::other("it has no pipes"))?;
            Ok(Mate { child, input, output: BufReader::new(output) })
        };
        start().map_err(|error| Error::io("start another process", error))
    }

    /// The next line it prints, as `read` reads it.
    fn line<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| Error::io("hear from another process", error))?;
        // It says on stderr, which is this process's, what went wrong.
        read(&line)
            .ok_or_else(|| Error::Usage("one of the processes could not measure; see above".to_owned()))
    }
}

impl Drop for Mate {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
