//! The command line.

mod address;
mod common;
mod division;
mod values;
mod worker;
pub mod workload;

pub use address::{Address, TlsArgs};
pub use common::{CommonArgs, DialectArg};
pub use worker::Worker;
pub use workload::Workload;

use crate::relay::Fault;
use clap::{Args as Group, Parser, Subcommand};
use std::net::IpAddr;
use std::path::PathBuf;
use values::{prefix, seconds};

const EXIT_STATUS: &str = "\
Exit status:
  0  every message was accounted for
  1  messages were lost, duplicated, out of order, wrong or refused, a connection was lost, or the results could not be \
written
  2  nothing could be measured";

/// Load generator for the chat server.
#[derive(Debug, Parser)]
#[command(version, after_long_help = EXIT_STATUS)]
pub struct Args {
    #[command(subcommand)]
    pub task: Task,
}

#[derive(Debug, Subcommand)]
pub enum Task {
    #[command(flatten)]
    Load(Workload),
    /// Register N accounts and save them for `--accounts`.
    Accounts(AccountsArgs),
    /// Write N accounts with tokens straight into the database of a stopped server, and save them for `--accounts`.
    ///
    /// Registering through a server costs one Argon2 hash an account; this command computes one hash for all accounts.
    Prepare(PrepareArgs),
    /// Run a relay that stores nothing: what the same load costs on this machine without a chat server.
    Relay(RelayArgs),
    /// Run the standard set of workloads and compare the figures with their goals.
    Suite(SuiteArgs),
    /// Compare the results of two runs, or of two suites.
    Compare(CompareArgs),
    /// Compare what two servers cost, by interleaved pairs of runs.
    ///
    /// Each run starts its server on a free port with a fresh database in a temporary folder. The table shows the
    /// medians of the server's CPU time for each message, their ratio, and the difference beside its interquartile
    /// range: a difference below that range is noise.
    CompareServers(CompareServersArgs),
}

#[derive(Debug, Group)]
pub struct AccountsArgs {
    /// The address of the server.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:6000")]
    pub address: Address,
    #[command(flatten)]
    pub tls: TlsArgs,
    /// The number of accounts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub count: u32,
    /// The file for their ids, tokens, names and passwords.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// The prefix of their names.
    #[arg(long, value_name = "NAME", default_value = "bench", value_parser = prefix)]
    pub prefix: String,
}

#[derive(Clone, Debug, Group)]
pub struct PrepareArgs {
    /// The database, in the form of `storage.url`.
    #[arg(long, value_name = "URL")]
    pub database: String,
    /// The number of accounts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub count: u32,
    /// The file for their ids, tokens, names and passwords.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// The prefix of their names.
    #[arg(long, value_name = "NAME", default_value = "bench", value_parser = prefix)]
    pub prefix: String,
    /// Direct chats of each account, an even number below that of the accounts; each has one message.
    #[arg(long, value_name = "C", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub conversations: u32,
    /// All messages of these chats have been read by who received them; without, each account has missed half of them.
    #[arg(long)]
    pub read: bool,
    /// Memory of the password hash in KiB, as in `password.memory_kib`.
    #[arg(long, value_name = "KIB", default_value_t = 19_456, value_parser = clap::value_parser!(u32).range(8..=4_194_304))]
    pub password_memory_kib: u32,
    /// Iterations of the password hash, as in `password.iterations`.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub password_iterations: u32,
}

#[derive(Debug, Group)]
pub struct RelayArgs {
    /// The address to listen on.
    pub ip: IpAddr,
    /// The port to listen on; 0 chooses a free one. The relay prints its address.
    pub port: u16,
    /// Inject one fault at the Nth message: drop, duplicate, reorder, corrupt, refuse or disconnect.
    #[arg(long, value_name = "KIND:N", hide = true)]
    pub fault: Option<Fault>,
}

#[derive(Debug, Group)]
pub struct SuiteArgs {
    /// Measured seconds of each run.
    #[arg(long, value_name = "D", default_value_t = 10.0, value_parser = seconds)]
    pub seconds: f64,
    /// Run only workloads whose name contains one of these words. Nothing is written then.
    #[arg(long, value_name = "WORD")]
    pub only: Vec<String>,
    /// Run only with the server pinned to one CPU, or only unpinned.
    #[arg(long, value_enum)]
    pub mode: Option<Placement>,
    /// The server's program; by default the one in the folder of this program.
    #[arg(long, value_name = "FILE")]
    pub server: Option<PathBuf>,
    /// The folder for the results, DATE-COMMIT.json.
    #[arg(long, value_name = "FOLDER", default_value = "bench/results")]
    pub results: PathBuf,
    /// The page whose table is replaced, between its two markers.
    #[arg(long, value_name = "FILE", default_value = "README.md")]
    pub readme: PathBuf,
    /// Write neither the results nor the page.
    #[arg(long)]
    pub dry_run: bool,
}

/// The CPUs that a server may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Placement {
    /// The server on CPU 0 with `--threads 1`, the generator on CPU 1.
    Pinned,
    /// Default threads on any CPU; the generator shares them.
    Free,
}

#[derive(Debug, Group)]
pub struct CompareArgs {
    /// The results to compare with, written by `--json` or by the suite.
    pub before: PathBuf,
    /// The results to compare.
    pub after: PathBuf,
}

#[derive(Debug, Group)]
pub struct CompareServersArgs {
    /// The program of the server to compare with.
    pub old: PathBuf,
    /// The program of the server to compare.
    pub new: PathBuf,
    /// A setting of the first server only; repeat for several.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub old_set: Vec<String>,
    /// A setting of the second server only.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub new_set: Vec<String>,
    /// Pairs of runs; the two servers alternate in going first.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub pairs: u32,
    /// Measured seconds of each run.
    #[arg(long, value_name = "D", default_value_t = 5.0, value_parser = seconds)]
    pub seconds: f64,
    /// A run of the suite, by its full name; repeat for several.
    #[arg(long, value_name = "NAME", default_values_t = ["window 64".to_owned(), "window 1".to_owned()])]
    pub run: Vec<String>,
    /// Pin the server to CPU 0, with one reactor, and the generator to CPU 1.
    #[arg(long)]
    pub pin: bool,
    /// Append the result of every run to this file as one line of JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_load_needs_either_a_window_or_a_rate() {
        let parse = |extra: &[&str]| {
            Args::try_parse_from(["chatbench", "pairs", "--pairs", "2"].iter().chain(extra)).is_ok()
        };
        assert!(parse(&["--window", "1"]));
        assert!(parse(&["--rate", "1000"]));
        assert!(!parse(&[]));
        assert!(!parse(&["--window", "1", "--rate", "1000"]));
        assert!(!parse(&["--window", "1", "--size", "31"]));
    }
}
