//! The options that all workloads share.

use super::address::{Address, TlsArgs};
use super::values::{named_pid, prefix, seconds};
use super::worker::Worker;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use wire::Dialect;

/// The options that all workloads share.
#[derive(Clone, Debug, Args)]
pub struct CommonArgs {
    /// The server, also as tls://HOST:PORT, or ws:// or wss:// for http.listen; repeat for every further node. Connections go to the nodes in turn.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:6000")]
    pub address: Vec<Address>,
    #[command(flatten)]
    pub tls: TlsArgs,
    /// The protocol to speak.
    #[arg(long, value_enum, default_value_t = DialectArg::Tlv)]
    pub dialect: DialectArg,
    /// The length of the measurement in seconds.
    #[arg(long, value_name = "D", default_value_t = 10.0, value_parser = seconds)]
    pub seconds: f64,
    /// Seconds in which the load grows to its full size, before the warm-up. `storm`, `idle` and `offline` have no
    /// ramp.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds)]
    pub ramp: f64,
    /// Seconds of full load before the measured seconds; `offline` has no warm-up.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    pub warmup: f64,
    /// Seconds to wait for outstanding messages after the load ends; what arrives later counts as lost.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    pub drain: f64,
    /// A server process whose CPU time and memory to report; repeat for several.
    #[arg(long, value_name = "PID")]
    pub server_pid: Vec<u32>,
    /// A process that the server depends on, whose CPU time to report as well, such as `mariadb=4711`; repeat for
    /// several.
    #[arg(long, value_name = "NAME=PID", value_parser = named_pid)]
    pub beside: Vec<(String, u32)>,
    /// Also report the CPU time of each server thread.
    #[arg(long, requires = "server_pid")]
    pub threads_table: bool,
    /// Use the accounts in this file, written by `chatbench prepare` or `chatbench accounts`, instead of registering
    /// new ones.
    #[arg(long, value_name = "FILE")]
    pub accounts: Option<PathBuf>,
    /// The prefix of the names of newly registered accounts.
    #[arg(long, value_name = "NAME", default_value = "bench", value_parser = prefix)]
    pub prefix: String,
    /// The number of generator processes; by default as many as the connections need.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub processes: Option<u32>,
    /// Append the result to this file as one line of JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the result to this file as an HTML page with plots.
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// The name of this run in its results.
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// The number of this process among all processes of the run.
    #[arg(long, value_name = "I/N", hide = true)]
    pub worker: Option<Worker>,
}

/// The protocol that a load speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DialectArg {
    /// The chat server's binary frames.
    Tlv,
    /// The JSON stream of the muduo chat servers. It has no acknowledgements: a message is done when it is delivered.
    Legacy,
}

impl From<DialectArg> for Dialect {
    fn from(arg: DialectArg) -> Dialect {
        match arg {
            DialectArg::Tlv => Dialect::Tlv,
            DialectArg::Legacy => Dialect::Legacy,
        }
    }
}

impl CommonArgs {
    pub fn dialect(&self) -> Dialect {
        self.dialect.into()
    }
}
