//! The command line: [`workload`] what can be measured, here everything else.

pub mod workload;

pub use workload::{CommonArgs, Worker, Workload};

use crate::relay::Fault;
use clap::{Args as Group, Parser, Subcommand};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Load generator of the chat server.
///
/// Exit code 0: every message was accounted for. 1: some were lost, duplicated, out of order, wrong or refused, a
/// connection was lost, or the results could not be written. 2: nothing could be measured.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub task: Task,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Make a load and measure it.
    #[command(flatten)]
    Load(Workload),
    /// Register N accounts and save them for `--accounts`.
    Accounts(AccountsArgs),
    /// Write N accounts with tokens straight into the database of a server that does not run, and save them for
    /// `--accounts`. Registering through a server takes an Argon2 hash each; this takes one for all.
    Prepare(PrepareArgs),
    /// A relay that stores nothing: what the machine costs without a chat server.
    Relay(RelayArgs),
    /// Run the standard set and hold it against the goals.
    Suite(SuiteArgs),
    /// Compare the results of two runs, or of two suites.
    Compare(CompareArgs),
    /// Compare what two servers cost, by interleaved pairs of runs.
    ///
    /// Each run starts its server on a free port with a fresh database in a temporary folder. The table shows
    /// the medians of the server's CPU time for each message, their ratio, and the difference beside its interquartile range:
    /// a difference below that range is noise.
    CompareServers(CompareServersArgs),
}

/// Options of `accounts`.
#[derive(Debug, Group)]
pub struct AccountsArgs {
    /// The server.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:6000")]
    pub address: SocketAddr,
    /// How many accounts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub count: u32,
    /// Where to save their ids, tokens, names and passwords.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// The beginning of their names.
    #[arg(long, value_name = "NAME", default_value = "bench", value_parser = prefix)]
    pub prefix: String,
}

/// Options of `prepare`.
#[derive(Debug, Group)]
pub struct PrepareArgs {
    /// The database, as `storage.url` names it.
    #[arg(long, value_name = "URL")]
    pub database: String,
    /// How many accounts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub count: u32,
    /// Where to save their ids, tokens, names and passwords.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// The beginning of their names.
    #[arg(long, value_name = "NAME", default_value = "bench", value_parser = prefix)]
    pub prefix: String,
    /// Memory that checking one of their passwords takes the server, KiB; as `password.memory_kib`.
    #[arg(long, value_name = "KIB", default_value_t = 19_456, value_parser = clap::value_parser!(u32).range(8..=4_194_304))]
    pub password_memory_kib: u32,
    /// Passes over that memory; as `password.iterations`.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub password_iterations: u32,
}

/// Options of `relay`.
#[derive(Debug, Group)]
pub struct RelayArgs {
    /// Where to listen.
    pub ip: IpAddr,
    /// Where to listen; 0: any free port. The address is printed.
    pub port: u16,
    /// Do one wrong: drop, duplicate, reorder, corrupt, refuse or disconnect at the Nth message.
    #[arg(long, value_name = "KIND:N", hide = true)]
    pub fault: Option<Fault>,
}

/// Options of `suite`.
#[derive(Debug, Group)]
pub struct SuiteArgs {
    /// Measured seconds of each run.
    #[arg(long, value_name = "D", default_value_t = 10.0, value_parser = workload::seconds)]
    pub seconds: f64,
    /// Run only what has one of these words in its name. Nothing is written then.
    #[arg(long, value_name = "WORD")]
    pub only: Vec<String>,
    /// Only with the server pinned to one CPU, or only free of that.
    #[arg(long, value_enum)]
    pub mode: Option<Placement>,
    /// The server's program; the one beside this program if not given.
    #[arg(long, value_name = "FILE")]
    pub server: Option<PathBuf>,
    /// Where the results go: DATE-COMMIT.json in this folder.
    #[arg(long, value_name = "FOLDER", default_value = "bench/results")]
    pub results: PathBuf,
    /// The page whose table is written anew, between its two markers.
    #[arg(long, value_name = "FILE", default_value = "README.md")]
    pub readme: PathBuf,
    /// Write neither results nor page.
    #[arg(long)]
    pub dry_run: bool,
}

/// Where the suite lets the server run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Placement {
    /// The server on CPU 0 with `--threads 1`, the generator on CPU 1.
    Pinned,
    /// Default threads, any CPU, the generator beside them.
    Free,
}

/// Options of `compare`.
#[derive(Debug, Group)]
pub struct CompareArgs {
    /// Results of `--json` or of the suite: the ones to compare with.
    pub before: PathBuf,
    /// The ones to compare.
    pub after: PathBuf,
}

/// Options of `compare-servers`.
#[derive(Debug, Group)]
pub struct CompareServersArgs {
    /// The program of the server to compare with.
    pub old: PathBuf,
    /// The program of the server to compare.
    pub new: PathBuf,
    /// Pairs of runs; the two servers alternate in going first.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub pairs: u32,
    /// Measured seconds of each run.
    #[arg(long, value_name = "D", default_value_t = 5.0, value_parser = workload::seconds)]
    pub seconds: f64,
    /// A run of the suite, by its full name; repeat for several.
    #[arg(long, value_name = "NAME", default_values_t = ["window 64".to_owned(), "window 1".to_owned()])]
    pub run: Vec<String>,
    /// Pin the server to CPU 0, with one sub-reactor, and the generator to CPU 1.
    #[arg(long)]
    pub pin: bool,
    /// Append the result of every run to this file as one line of JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// A prefix leaves room for `-`, 8 digits, `-` and the account's number within a name's 50 characters.
pub fn prefix(text: &str) -> Result<String, String> {
    let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if is_plain && (1..=30).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 30 letters, digits, `-` or `_`".to_owned())
    }
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
    fn a_load_is_a_window_or_a_rate() {
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
