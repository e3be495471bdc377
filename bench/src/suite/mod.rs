//! The standard set: every run on a fresh server with a fresh database, its figures beside their goals.
//!
//! The set runs twice: with the server pinned to one CPU and the generator to another ("pinned"), and with default
//! threads on any CPU ("free"). The relay is the floor: it does the same work on its sockets and nothing else, so the
//! difference is the server's own work.
//!
//! A missed goal shows in the table and nowhere else, as the machine may be the reason. A run with lost, duplicated,
//! reordered or refused messages fails the suite.

mod goals;
mod syscalls;
mod table;

use crate::args::{Placement, SuiteArgs};
use crate::error::Error;
use crate::outcome::Outcome;
use crate::testbed::launch::can_pin;
use crate::testbed::runs::{Against, RUNS, Run};
use crate::testbed::{SETTINGS, Testbed, Trial, existing};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use table::Results;

/// Keys of the plots of `--report`, which the suite's file leaves out.
const NOT_KEPT: [&str; 2] = ["moments", "histogram_us"];

/// Runs the suite.
pub fn run(args: &SuiteArgs) -> Result<Outcome, Error> {
    let testbed = Testbed::new()?;
    let server = args.server.clone().unwrap_or_else(|| testbed.server_beside());
    let suite = Suite { args, server: existing(&server)?.to_owned(), testbed };
    let matches = |name: &str| args.only.is_empty() || args.only.iter().any(|word| name.contains(word));
    let (is_wanted, counts_calls) = (|run: &&Run| matches(run.name), matches("system calls"));
    if !counts_calls && RUNS.iter().find(is_wanted).is_none() {
        let names: Vec<&str> = RUNS.iter().map(|run| run.name).collect();
        return Err(Error::Usage(format!("--only matches no run; the runs are: {}", names.join("; "))));
    }
    let mut placements: Vec<_> =
        args.mode.map_or(vec![Placement::Pinned, Placement::Free], |mode| vec![mode]);
    if placements.contains(&Placement::Pinned) && !can_pin() {
        println!("No pinned runs: they need taskset (util-linux) and CPUs 0 and 1.");
        placements.retain(|placement| *placement != Placement::Pinned);
    }
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let (mut results, mut outcome, mut counted) = (Results::default(), Outcome::Clean, None);
    for placement in &placements {
        for run in RUNS.iter().filter(is_wanted) {
            let Some(result) = suite.run(*placement, run, &mut outcome)? else { continue };
            results.0.push((*placement, run.name.to_owned(), result));
        }
    }
    if let Some(placement) = placements.first()
        && counts_calls
    {
        counted = syscalls::count(&suite.testbed, &suite.server, *placement)?;
    }
    for placement in &placements {
        println!("\n{}", title(*placement));
        print!("{}", results.on_terminal(*placement));
    }
    println!("\nSettings other than the defaults: {}", SETTINGS.join(", "));
    let busy = if load.parse::<f64>().is_ok_and(|load| load > 0.5) {
        " (other programs are running: the figures are worse than the server's)"
    } else {
        ""
    };
    println!("Database: {}. Load average before the first run: {load}{busy}", suite.filesystem());
    if args.only.is_empty() && args.mode.is_none() && !args.dry_run {
        suite.write(&results, counted.unwrap_or_default(), &load)?;
        table::write_page(&args.readme, &results.as_markdown())?;
        println!("Updated the table in {}", args.readme.display());
    }
    Ok(outcome)
}

fn title(placement: Placement) -> &'static str {
    match placement {
        Placement::Pinned => "pinned: the server on CPU 0 with --threads 1, the generator on CPU 1",
        Placement::Free => "free: default threads, any CPU, the generator on the same CPUs",
    }
}

#[derive(Debug)]
struct Suite<'a> {
    args: &'a SuiteArgs,
    server: PathBuf,
    testbed: Testbed,
}

impl Suite<'_> {
    /// Carries out one run; `None` if this server does not support it or nothing was measured.
    fn run(
        &self,
        placement: Placement,
        run: &Run,
        outcome: &mut Outcome,
    ) -> Result<Option<Map<String, Value>>, Error> {
        let mode = format!("{placement:?}").to_lowercase();
        if run.against == Against::Server && !self.testbed.supports(&self.server, run) {
            let settings = run.settings.join(", ");
            println!("[{mode}] {}: skipped, this server does not know {settings}\n", run.name);
            return Ok(None);
        }
        println!("[{mode}] {}", run.name);
        let (name, seconds) = (format!("{mode}: {}", run.name), self.args.seconds);
        let trial = Trial {
            server: &self.server,
            placement,
            run,
            name: &name,
            seconds,
            is_shown: true,
            settings: &[],
        };
        let measured = self.testbed.run(&trial)?;
        println!();
        if !measured.is_clean {
            println!("[{mode}] {}: FAULTY, see above\n", run.name);
            *outcome = Outcome::Faulty;
        }
        Ok(measured.result)
    }

    fn filesystem(&self) -> String {
        let mut command = Command::new("stat");
        command.args(["-f", "-c", "SQLite on %T"]).arg(self.testbed.folder());
        output_of(&mut command).unwrap_or_else(|| "SQLite".to_owned())
    }

    /// Writes the results to DATE-COMMIT.json.
    fn write(&self, results: &Results, counted: Vec<Value>, load: &str) -> Result<(), Error> {
        let mut runs: Vec<Value> = Vec::new();
        for (_, _, result) in &results.0 {
            let kept = result.iter().filter(|(key, _)| !NOT_KEPT.iter().any(|not| key.ends_with(not)));
            runs.push(kept.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>().into());
        }
        runs.extend(counted);
        let commit = output_of(Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=8"]));
        let (date, commit) =
            (jiff::Timestamp::now().to_string(), commit.unwrap_or_else(|| "unknown".to_owned()));
        let suite = json!({
            "date": date,
            "commit": commit,
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "kernel": output_of(Command::new("uname").arg("-sr")),
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

/// The standard output of a command that succeeds, trimmed.
fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
