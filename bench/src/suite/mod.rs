//! The standard set, each run with a fresh server on a fresh database, held against the goals.
//!
//! First the server has one CPU and the generator the other ("pinned"), then both run as they would by default ("free"). The
//! relay is the floor: it does what the server does on its sockets and nothing else, so the server's own work is the
//! difference.
//!
//! A goal that is missed shows in the table and changes nothing else: it may be the machine's. A run that lost, doubled,
//! reordered or refused messages fails the suite.

mod set;
mod stand;
mod syscalls;
mod table;

use crate::Outcome;
use crate::args::{Placement, PrepareArgs, SuiteArgs};
use crate::error::Error;
use crate::{compare, prepare};
use serde_json::{Map, Value, json};
use set::{AT_MOST, Against, RUNS, Run};
use signal_hook::consts::{SIGINT, SIGTERM};
use stand::Standing;
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use table::Results;
use tempfile::TempDir;

/// What is set otherwise than by default, and why.
const SETTINGS: &[&str] = &[
    // A sender here is many users.
    "limits.messages_per_second=0",
    // Thousands of accounts are registered before the clock starts.
    "password.memory_kib=8",
    "password.iterations=1",
    "limits.connections=19500",
    "log.level=warn",
];
/// Both are told in pictures by `--report`; a suite's file keeps numbers.
const NOT_KEPT: [&str; 2] = ["moments", "histogram_us"];

/// What all runs of a suite share.
#[derive(Debug)]
struct Bench<'a> {
    args: &'a SuiteArgs,
    /// This program, and the server's.
    own: PathBuf,
    server: PathBuf,
    folder: TempDir,
    /// Databases made so far.
    databases: Cell<u32>,
    /// Somebody wants it to end.
    interrupted: Arc<AtomicBool>,
}

/// Runs the suite.
pub fn run(args: &SuiteArgs) -> Result<Outcome, Error> {
    let bench = Bench::new(args)?;
    let has_word = |name: &str| args.only.is_empty() || args.only.iter().any(|word| name.contains(word));
    let (is_wanted, counts_calls) = (|run: &&Run| has_word(run.name), has_word("system calls"));
    if !counts_calls && RUNS.iter().find(is_wanted).is_none() {
        let names: Vec<&str> = RUNS.iter().map(|run| run.name).collect();
        return Err(Error::Usage(format!(
            "no run has one of these words in its name; there are: {}",
            names.join("; ")
        )));
    }
    let mut placements: Vec<_> =
        args.mode.map_or(vec![Placement::Pinned, Placement::Free], |mode| vec![mode]);
    if placements.contains(&Placement::Pinned) && !stand::can_pin() {
        println!("No pinned runs: they need taskset (util-linux) and CPUs 0 and 1.");
        placements.retain(|placement| *placement != Placement::Pinned);
    }
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let (mut results, mut outcome, mut counted) = (Results::default(), Outcome::Clean, None);
    for placement in &placements {
        for run in RUNS.iter().filter(is_wanted) {
            let Some(result) = bench.run(*placement, run, &mut outcome)? else { continue };
            results.0.push((*placement, run.name.to_owned(), result));
        }
    }
    if let Some(placement) = placements.first()
        && counts_calls
    {
        counted = syscalls::count(&bench, *placement)?;
    }
    for placement in &placements {
        println!("\n{}", title(*placement));
        print!("{}", results.on_terminal(*placement));
    }
    println!("\nSettings other than the default: {}", SETTINGS.join(", "));
    let busy = if load.parse::<f64>().is_ok_and(|load| load > 0.5) {
        " (something else runs here: the figures suffer)"
    } else {
        ""
    };
    println!("Database: {}. Load average before the first run: {load}{busy}", bench.filesystem());
    if args.only.is_empty() && args.mode.is_none() && !args.dry_run {
        bench.write(&results, counted.unwrap_or_default(), &load)?;
        table::write_page(&args.readme, &results.as_markdown())?;
        println!("The table in {} is written anew.", args.readme.display());
    }
    Ok(outcome)
}

fn title(placement: Placement) -> &'static str {
    match placement {
        Placement::Pinned => "pinned: the server on CPU 0 with --threads 1, the generator on CPU 1",
        Placement::Free => "free: default threads, any CPU, the generator beside them",
    }
}

impl<'a> Bench<'a> {
    fn new(args: &'a SuiteArgs) -> Result<Bench<'a>, Error> {
        let own = std::env::current_exe().map_err(|error| Error::io("find this program", error))?;
        let server = args.server.clone().unwrap_or_else(|| own.with_file_name("chatserver"));
        if !server.exists() {
            return Err(Error::Usage(format!(
                "there is no server at {}: build it, or say --server",
                server.display()
            )));
        }
        let folder = tempfile::Builder::new().prefix("chatbench.").tempdir();
        let folder = folder.map_err(|error| Error::io("make a temporary folder", error))?;
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // So that what was started is stopped, and the folder goes.
            let registered = signal_hook::flag::register(signal, Arc::clone(&interrupted));
            registered.map_err(|error| Error::io("watch for signals", error))?;
        }
        Ok(Bench { args, own, server, folder, databases: Cell::new(0), interrupted })
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn own(&self) -> &Path {
        &self.own
    }

    /// The path of a database that does not exist yet.
    fn fresh_data(&self) -> Result<PathBuf, Error> {
        self.databases.set(self.databases.get() + 1);
        let folder = self.folder().join(format!("data-{}", self.databases.get()));
        fs::create_dir(&folder).map_err(|error| Error::io(format!("make {}", folder.display()), error))?;
        Ok(folder.join("chat.db"))
    }

    /// Starts a server on `database`, as `placement` says.
    fn start_server(
        &self,
        placement: Placement,
        database: &Path,
        settings: &[&str],
    ) -> Result<Standing, Error> {
        let mut command = stand::server_command(&self.server, placement);
        if placement == Placement::Pinned {
            command.args(["--threads", "1"]);
        }
        command
            .arg(format!("--set=storage.url=sqlite:{}", database.display()))
            .arg("--set=http.listen=127.0.0.1:0");
        command.args(SETTINGS.iter().chain(settings).map(|setting| format!("--set={setting}")));
        Standing::start(command)
    }

    /// Whether the server knows these settings.
    fn knows(&self, settings: &[&str]) -> bool {
        let mut command = Command::new(&self.server);
        command.arg("--check-config").args(settings.iter().map(|setting| format!("--set={setting}")));
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    /// Makes one run; `None`: it cannot be made with this server, or told nothing.
    fn run(
        &self,
        placement: Placement,
        run: &Run,
        outcome: &mut Outcome,
    ) -> Result<Option<Map<String, Value>>, Error> {
        let mode = format!("{placement:?}").to_lowercase();
        if !self.knows(run.settings) {
            println!(
                "[{mode}] {}: left out, this server does not know {}\n",
                run.name,
                run.settings.join(", ")
            );
            return Ok(None);
        }
        let database = self.fresh_data()?;
        let accounts = self.folder().join("accounts");
        if run.prepared > 0 {
            prepare::run(&PrepareArgs {
                database: format!("sqlite:{}", database.display()),
                count: run.prepared,
                file: accounts.clone(),
                prefix: "bench".to_owned(),
                password_memory_kib: 8,
                password_iterations: 1,
            })?;
        }
        let standing = match run.against {
            Against::Server => self.start_server(placement, &database, run.settings)?,
            Against::Relay => {
                let mut command = stand::server_command(&self.own, placement);
                command.arg("relay");
                Standing::start(command)?
            }
        };
        let result = self.folder().join("result.json");
        let mut generator = stand::generator_command(&self.own, placement);
        generator.args(run.options.split(' ')).args(["--address", &standing.address.to_string()]);
        generator.args(["--server-pid", &standing.pid().to_string(), "--threads-table"]);
        generator.args(["--name", &format!("{mode}: {}", run.name), "--json"]).arg(&result);
        let seconds = AT_MOST.iter().find(|(name, _)| *name == run.name);
        let seconds =
            seconds.map_or_else(|| self.args.seconds.to_string(), |(_, at_most)| (*at_most).to_owned());
        generator.args(["--seconds", &seconds]);
        if run.prepared > 0 {
            generator.arg("--accounts").arg(&accounts);
        }
        println!("[{mode}] {}", run.name);
        // Of the run before nothing may be taken for this one's.
        let _ = fs::remove_file(&result);
        let status = generator.status().map_err(|error| Error::io("start the generator", error))?;
        println!();
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Error::Usage("interrupted".to_owned()));
        }
        if !status.success() {
            println!("[{mode}] {}: FAULTY, see above\n", run.name);
            *outcome = Outcome::Faulty;
        }
        drop(standing);
        let folder = database.parent().unwrap_or(&database);
        fs::remove_dir_all(folder)
            .map_err(|error| Error::io(format!("remove {}", folder.display()), error))?;
        Ok(if result.exists() { compare::results(&result)?.pop() } else { None })
    }

    fn filesystem(&self) -> String {
        let mut command = Command::new("stat");
        command.args(["-f", "-c", "SQLite on %T"]).arg(self.folder());
        said(&mut command).unwrap_or_else(|| "SQLite".to_owned())
    }

    /// Writes what was measured to DATE-COMMIT.json.
    fn write(&self, results: &Results, counted: Vec<Value>, load: &str) -> Result<(), Error> {
        let mut runs: Vec<Value> = Vec::new();
        for (_, _, result) in &results.0 {
            let kept = result.iter().filter(|(key, _)| !NOT_KEPT.iter().any(|not| key.ends_with(not)));
            runs.push(kept.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>().into());
        }
        runs.extend(counted);
        let commit = said(Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=8"]));
        let (date, commit) =
            (jiff::Timestamp::now().to_string(), commit.unwrap_or_else(|| "unknown".to_owned()));
        let suite = json!({
            "date": date,
            "commit": commit,
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "kernel": said(Command::new("uname").arg("-sr")),
            "database": self.filesystem(),
            "load_before": load,
            "seconds": self.args.seconds,
            "settings": SETTINGS,
            "runs": runs,
        });
        let file = self.args.results.join(format!("{}-{commit}.json", &date[..10]));
        let text = serde_json::to_string_pretty(&suite).map_err(|error| Error::Usage(error.to_string()))?;
        fs::create_dir_all(&self.args.results)
            .and_then(|()| fs::write(&file, text + "\n"))
            .map_err(|error| Error::io(format!("write {}", file.display()), error))?;
        println!("\nResults: {}", file.display());
        Ok(())
    }
}

/// What a command prints, where it succeeds.
fn said(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
