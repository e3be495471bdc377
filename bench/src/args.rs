//! The command line.

use crate::relay::Fault;
use clap::{Args as Group, Parser, Subcommand};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use wire::limits::CONTENT_BYTES;

/// Load generator of the chat server.
///
/// Exit code 0: every message was accounted for. 1: some were lost, duplicated, out of order, wrong or refused, or a
/// connection was lost. 2: nothing could be measured.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub workload: Workload,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Workload {
    /// P pairs of users; in each, one sends to the other.
    Pairs(PairsArgs),
    /// N logged-in connections that say nothing but heartbeats.
    Idle(IdleArgs),
    /// Register N accounts and save them for `idle --accounts`.
    Accounts(AccountsArgs),
    /// A relay that stores nothing: what the machine costs without a chat server.
    Relay(RelayArgs),
}

/// What every workload knows.
#[derive(Debug, Group)]
pub struct CommonArgs {
    /// The server's TLV listener.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:6000")]
    pub address: SocketAddr,
    /// Measured seconds.
    #[arg(long, value_name = "D", default_value_t = 10.0, value_parser = seconds)]
    pub seconds: f64,
    /// A process whose CPU time and memory to report; again for each further one.
    #[arg(long, value_name = "PID")]
    pub server_pid: Vec<u32>,
    /// Also tell the server's threads apart.
    #[arg(long, requires = "server_pid")]
    pub threads_table: bool,
    /// The beginning of the names of the accounts that are registered.
    #[arg(long, value_name = "NAME", default_value = "bench", value_parser = prefix)]
    pub prefix: String,
    /// Append the result to this file as one line of JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Options of `pairs`.
#[derive(Debug, Group)]
#[command(group = clap::ArgGroup::new("load").required(true).args(["window", "rate"]))]
pub struct PairsArgs {
    /// What every workload knows.
    #[command(flatten)]
    pub common: CommonArgs,
    /// How many pairs.
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub pairs: u32,
    /// Keep W messages outstanding in each pair. A message is outstanding until it is both acknowledged to its sender
    /// and delivered to its recipient, so a server that acknowledges fast and delivers late gains nothing.
    #[arg(long, value_name = "W", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub window: Option<u32>,
    /// Send R messages a second in all, evenly spread, whatever the server does (open loop). Latencies count from when
    /// a message was due, not from when it could be sent.
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: Option<u32>,
    /// Bytes of each message's content.
    #[arg(long, value_name = "S", default_value_t = 64, value_parser = clap::value_parser!(u32).range(32..=CONTENT_BYTES as i64))]
    pub size: u32,
    /// Seconds of load before the measured ones.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    pub warmup: f64,
    /// Seconds after the load that messages may take to arrive; then they are lost.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    pub drain: f64,
}

/// Options of `idle`.
#[derive(Debug, Group)]
pub struct IdleArgs {
    /// What every workload knows.
    #[command(flatten)]
    pub common: CommonArgs,
    /// How many connections.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub connections: u32,
    /// Seconds between two heartbeats of one connection.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    pub heartbeat: f64,
    /// Log in to the accounts of this file (`chatbench accounts` makes one) instead of registering new ones, so that
    /// nothing of the registrations is left in the server's memory.
    #[arg(long, value_name = "FILE")]
    pub accounts: Option<PathBuf>,
}

/// Options of `accounts`.
#[derive(Debug, Group)]
pub struct AccountsArgs {
    /// The server's TLV listener.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:6000")]
    pub address: SocketAddr,
    /// How many accounts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub count: u32,
    /// Where to save their ids, tokens and names.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// The beginning of their names.
    #[arg(long, value_name = "NAME", default_value = "bench", value_parser = prefix)]
    pub prefix: String,
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

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be seconds, from 0 to 86400".to_owned()),
    }
}

/// A prefix leaves room for `-`, 8 digits, `-` and the account's number within a name's 50 characters.
fn prefix(text: &str) -> Result<String, String> {
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
