//! Runs of the generator against a server or relay that is started for that run alone, on a fresh database and a free
//! port.

pub mod launch;
pub mod runs;

use crate::args::{Placement, PrepareArgs};
use crate::error::Error;
use crate::{prepare, results};
use launch::Launched;
use runs::{AT_MOST, Against, Run};
use serde_json::{Map, Value};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

/// The server's settings that differ from the defaults, and why.
pub const SETTINGS: &[&str] = &[
    // Nothing but the chat port. Older versions have no such keys, or cannot close that listener.
    "http.listen=",
    "ops.listen=",
    // One sender stands for many users.
    "limits.messages_per_second=0",
    "limits.requests_per_second=0",
    "limits.groups_made_day=0",
    // Thousands of accounts are registered before the clock starts, all from one address.
    "registration.per_address_hour=0",
    "password.memory_kib=8",
    "password.iterations=1",
    "limits.connections=19500",
    "log.level=warn",
];

/// Those of the settings that a server knows; an older one may not know all.
pub fn known<'a>(server: &Path, settings: &[&'a str]) -> Vec<&'a str> {
    if accepts(server, settings) {
        return settings.to_vec();
    }
    settings.iter().copied().filter(|setting| accepts(server, &[*setting])).collect()
}

/// Whether a server accepts these settings.
fn accepts(server: &Path, settings: &[&str]) -> bool {
    let mut command = Command::new(server);
    command.arg("--check-config").args(settings.iter().map(|setting| format!("--set={setting}")));
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// How a run is made.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// The server's program; a run against the relay does not use it.
    pub server: &'a Path,
    pub placement: Placement,
    pub run: &'a Run,
    /// The name of the result.
    pub name: &'a str,
    /// Measured seconds; a run listed in [`AT_MOST`] has its own.
    pub seconds: f64,
    /// Whether the generator prints its report.
    pub is_shown: bool,
    /// Server settings besides those of the run.
    pub settings: &'a [String],
}

#[derive(Debug)]
pub struct Measured {
    /// Whether every message was accounted for.
    pub is_clean: bool,
    /// `None` where the generator could not measure.
    pub result: Option<Map<String, Value>>,
}

/// A temporary folder for databases and results; SIGINT and SIGTERM end the current run instead of the program, so that
/// servers are stopped and the folder is removed.
#[derive(Debug)]
pub struct Testbed {
    generator: PathBuf,
    folder: TempDir,
    /// Databases created so far.
    databases: Cell<u32>,
    interrupted: Arc<AtomicBool>,
}

impl Testbed {
    pub fn new() -> Result<Testbed, Error> {
        let generator = std::env::current_exe().map_err(|error| Error::io("find this program", error))?;
        let folder = tempfile::Builder::new().prefix("chatbench.").tempdir();
        let folder = folder.map_err(|error| Error::io("create a temporary folder", error))?;
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let registered = signal_hook::flag::register(signal, Arc::clone(&interrupted));
            registered.map_err(|error| Error::io("handle signals", error))?;
        }
        Ok(Testbed { generator, folder, databases: Cell::new(0), interrupted })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// This program, as a command on the generator's CPU.
    pub fn generator(&self, placement: Placement) -> Command {
        launch::generator_command(&self.generator, placement)
    }

    /// The server that is installed or built beside this program.
    pub fn server_beside(&self) -> PathBuf {
        self.generator.with_file_name("chatserver")
    }

    /// The path of a database that does not exist yet.
    pub fn fresh_database(&self) -> Result<PathBuf, Error> {
        self.databases.set(self.databases.get() + 1);
        let folder = self.folder().join(format!("data-{}", self.databases.get()));
        fs::create_dir(&folder).map_err(|error| Error::io(format!("create {}", folder.display()), error))?;
        Ok(folder.join("chat.db"))
    }

    /// Starts `server` on `database`; pinned servers run with one reactor.
    pub fn start_server(
        &self,
        server: &Path,
        placement: Placement,
        database: &Path,
        settings: &[&str],
    ) -> Result<Launched, Error> {
        let mut command = launch::server_command(server, placement);
        if placement == Placement::Pinned {
            command.args(["--threads", "1"]);
        }
        command.arg(format!("--set=storage.url=sqlite:{}", database.display()));
        let known = known(server, SETTINGS);
        command.args(known.iter().chain(settings).map(|setting| format!("--set={setting}")));
        Launched::start(command)
    }

    /// Whether `server` accepts the settings of `run`.
    pub fn supports(&self, server: &Path, run: &Run) -> bool {
        accepts(server, run.settings)
    }

    /// Carries out one run.
    ///
    /// # Errors
    /// A program could not be started, the accounts could not be prepared, or a signal ended the run.
    pub fn run(&self, trial: &Trial<'_>) -> Result<Measured, Error> {
        let Trial { server, placement, run, name, seconds, is_shown, settings } = *trial;
        let database = self.fresh_database()?;
        let accounts = self.folder().join("accounts");
        if run.prepared > 0 {
            prepare::run(&PrepareArgs {
                database: format!("sqlite:{}", database.display()),
                count: run.prepared,
                file: accounts.clone(),
                prefix: "bench".to_owned(),
                conversations: run.conversations,
                read: run.read,
                password_memory_kib: 8,
                password_iterations: 1,
            })?;
        }
        let launched = match run.against {
            Against::Server => {
                let settings: Vec<&str> =
                    run.settings.iter().copied().chain(settings.iter().map(String::as_str)).collect();
                self.start_server(server, placement, &database, &settings)?
            }
            Against::Relay => {
                let mut command = launch::server_command(&self.generator, placement);
                command.arg("relay");
                Launched::start(command)?
            }
        };
        let result = self.folder().join("result.json");
        let mut generator = self.generator(placement);
        generator.args(run.options.split(' ')).args(["--address", &launched.address.to_string()]);
        generator.args(["--server-pid", &launched.pid().to_string(), "--threads-table"]);
        generator.args(["--name", name, "--json"]).arg(&result);
        let at_most = AT_MOST.iter().find(|(name, _)| *name == run.name).map(|(_, seconds)| *seconds);
        generator.args(["--seconds", &at_most.map_or_else(|| seconds.to_string(), str::to_owned)]);
        if run.prepared > 0 {
            generator.arg("--accounts").arg(&accounts);
        }
        if !is_shown {
            generator.stdout(Stdio::null());
        }
        // A run that fails must not report the result of the run before.
        let _ = fs::remove_file(&result);
        let status = generator.status().map_err(|error| Error::io("start the generator", error))?;
        self.check_interrupted()?;
        drop(launched);
        let folder = database.parent().unwrap_or(&database);
        fs::remove_dir_all(folder)
            .map_err(|error| Error::io(format!("remove {}", folder.display()), error))?;
        let result = if result.exists() { results::load(&result)?.pop() } else { None };
        Ok(Measured { is_clean: status.success(), result })
    }

    fn check_interrupted(&self) -> Result<(), Error> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Error::Usage("interrupted".to_owned()));
        }
        Ok(())
    }
}

/// The path, if the program exists.
pub fn existing(server: &Path) -> Result<&Path, Error> {
    if server.exists() {
        return Ok(server);
    }
    Err(Error::Usage(format!("there is no server at {}: build it, or name another one", server.display())))
}
