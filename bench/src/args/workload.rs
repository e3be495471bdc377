//! What can be measured, and how each load is divided over several processes.

use super::prefix;
use crate::accounts::LoginMethod;
use crate::error::Error;
use crate::lane::CHANNELS_MAX;
use crate::message::STAMP_BYTES;
use clap::{Args as Group, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use wire::Dialect;
use wire::limits::CONTENT_BYTES;

/// What fits an object of the legacy dialect beside its other fields.
const LEGACY_SIZE_MAX: u32 = 900;

/// The shortest time between two heartbeats of one connection, seconds.
const HEARTBEAT_LEAST: f64 = 0.01;

/// A load.
#[derive(Clone, Debug, Subcommand)]
pub enum Workload {
    /// P pairs of users; in each, one sends to the other.
    Pairs(PairsArgs),
    /// G groups of M users, of whom S send.
    Group(GroupArgs),
    /// Clients that connect and log in, one after another at a rate, or as fast as they are answered.
    Login(LoginArgs),
    /// N logged-in clients that drop and reconnect all at once, while pairs of others chat.
    Storm(StormArgs),
    /// N logged-in connections that say nothing but heartbeats.
    Idle(IdleArgs),
    /// Messages to absent users, who then log in and must get them all.
    Offline(OfflineArgs),
    /// A day of chat: circles of friends who chat, read, look back, leave and return.
    Mixed(MixedArgs),
}

/// What every workload knows.
#[derive(Clone, Debug, Group)]
pub struct CommonArgs {
    /// The server; again for each further node, which connections go to in turn.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:6000")]
    pub address: Vec<SocketAddr>,
    /// What to speak.
    #[arg(long, value_enum, default_value_t = DialectArg::Tlv)]
    pub dialect: DialectArg,
    /// Measured seconds.
    #[arg(long, value_name = "D", default_value_t = 10.0, value_parser = seconds)]
    pub seconds: f64,
    /// Seconds over which the load grows to its full size, before the warm-up. `storm`, `idle` and `offline` have none.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds)]
    pub ramp: f64,
    /// Seconds of full load before the measured ones; `offline` has none.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    pub warmup: f64,
    /// Seconds after the load that messages may take to arrive; then they are lost.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    pub drain: f64,
    /// A process whose CPU time and memory to report; again for each further one.
    #[arg(long, value_name = "PID")]
    pub server_pid: Vec<u32>,
    /// A process that the server works with, whose CPU time to report beside the server's, as `mariadb=4711`; again for
    /// each further one.
    #[arg(long, value_name = "NAME=PID", value_parser = named_pid)]
    pub beside: Vec<(String, u32)>,
    /// Also tell the server's threads apart.
    #[arg(long, requires = "server_pid")]
    pub threads_table: bool,
    /// Use the accounts of this file (`chatbench prepare` and `chatbench accounts` make one) instead of registering new
    /// ones.
    #[arg(long, value_name = "FILE")]
    pub accounts: Option<PathBuf>,
    /// The beginning of the names of the accounts that are registered.
    #[arg(long, value_name = "NAME", default_value = "bench", value_parser = prefix)]
    pub prefix: String,
    /// Processes to spread the load over; as many as its connections need if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub processes: Option<u32>,
    /// Append the result to this file as one line of JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the result as a page with plots.
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// What to call this run in its results.
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Which of the processes of a run this one is.
    #[arg(long, value_name = "I/N", hide = true)]
    pub worker: Option<Worker>,
}

/// What a load speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DialectArg {
    /// The chat server's own frames.
    Tlv,
    /// The JSON stream of the muduo chat servers. It has no acknowledgements: a message is done when it is delivered.
    Legacy,
}

impl DialectArg {
    /// As the protocol calls it.
    pub fn dialect(self) -> Dialect {
        match self {
            DialectArg::Tlv => Dialect::Tlv,
            DialectArg::Legacy => Dialect::Legacy,
        }
    }
}

/// One of several processes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its number, from 0.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl FromStr for Worker {
    type Err = String;

    fn from_str(text: &str) -> Result<Worker, String> {
        let (number, of) = text.split_once('/').ok_or("must be I/N")?;
        let parse = |text: &str| text.parse::<u32>().map_err(|error| error.to_string());
        let worker = Worker { number: parse(number)?, of: parse(of)? };
        if worker.number < worker.of { Ok(worker) } else { Err("I must be below N".to_owned()) }
    }
}

impl Worker {
    /// Its part of `total` that falls on its part of `lanes`: each lane has as much, but for the rounding.
    pub fn share(self, total: u32, lanes: u32) -> u32 {
        let (first, count) = self.part(lanes);
        let upto = |lane: u32| (u64::from(total) * u64::from(lane) / u64::from(lanes.max(1))) as u32;
        upto(first + count) - upto(first)
    }

    /// Its part of `total` things: how many come before them, and how many they are.
    pub fn part(self, total: u32) -> (u32, u32) {
        let (each, rest) = (total / self.of, total % self.of);
        (self.number * each + self.number.min(rest), each + u32::from(self.number < rest))
    }
}

/// How fast users send.
#[derive(Clone, Debug, Group)]
#[group(id = "load", required = true, multiple = false)]
pub struct PaceArgs {
    /// Keep W messages outstanding at each sender. A message is outstanding until it is both acknowledged to its sender
    /// and delivered to all its recipients, so a server that acknowledges fast and delivers late gains nothing.
    #[arg(long, value_name = "W", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub window: Option<u32>,
    /// Send R messages a second in all, evenly spread over time and senders, whatever the server does (open loop).
    /// Latencies count from when a message was due, not from when it could be sent.
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: Option<u32>,
}

/// Options of `pairs`.
#[derive(Clone, Debug, Group)]
pub struct PairsArgs {
    /// What every workload knows.
    #[command(flatten)]
    pub common: CommonArgs,
    /// How fast they send.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// How many pairs.
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub pairs: u32,
    /// Conversations that each pair spreads its messages over; more than one are groups of two.
    #[arg(long, value_name = "C", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=CHANNELS_MAX as i64))]
    pub conversations: u32,
    /// Bytes of each message's content.
    #[arg(long, value_name = "S", default_value_t = 64, value_parser = size())]
    pub size: u32,
}

/// Options of `group`.
#[derive(Clone, Debug, Group)]
pub struct GroupArgs {
    /// What every workload knows.
    #[command(flatten)]
    pub common: CommonArgs,
    /// How fast they send.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// How many groups.
    #[arg(long, value_name = "G", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub groups: u32,
    /// Members of each.
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(2..=19_000))]
    pub members: u32,
    /// Members of each who send.
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=CHANNELS_MAX as i64))]
    pub senders: u32,
    /// Bytes of each message's content.
    #[arg(long, value_name = "S", default_value_t = 64, value_parser = size())]
    pub size: u32,
}

/// Options of `login`.
#[derive(Clone, Debug, Group)]
#[command(group = clap::ArgGroup::new("logins").required(true).args(["window", "rate"]))]
pub struct LoginArgs {
    /// What every workload knows.
    #[command(flatten)]
    pub common: CommonArgs,
    /// How many accounts log in, in turn. Each closes its connection once it is logged in.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub count: u32,
    /// Keep W logins under way; fewer than there are accounts.
    #[arg(long, value_name = "W", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub window: Option<u32>,
    /// Begin R logins a second, whatever the server does; a latency counts from when a login was due.
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,
    /// By what they log in.
    #[arg(long, value_enum, default_value_t = LoginMethod::Token)]
    pub by: LoginMethod,
}

/// Options of `storm`.
#[derive(Clone, Debug, Group)]
pub struct StormArgs {
    /// What every workload knows. `--seconds` is how long the clients may take to be back.
    #[command(flatten)]
    pub common: CommonArgs,
    /// How many clients drop and reconnect.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// How many pairs of others chat meanwhile.
    #[arg(long, value_name = "P", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub pairs: u32,
    /// Messages a second of all those pairs.
    #[arg(long, value_name = "R", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
}

/// Options of `idle`.
#[derive(Clone, Debug, Group)]
pub struct IdleArgs {
    /// What every workload knows.
    #[command(flatten)]
    pub common: CommonArgs,
    /// How many connections.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub connections: u32,
    /// Seconds between two heartbeats of one connection; the legacy dialect has none.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    pub heartbeat: f64,
}

/// Options of `offline`.
#[derive(Clone, Debug, Group)]
pub struct OfflineArgs {
    /// What every workload knows. `--seconds` is how long storing, and then delivering, may take.
    #[command(flatten)]
    pub common: CommonArgs,
    /// How many messages in all.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub messages: u32,
    /// How many pairs; the receiver of each is absent.
    #[arg(long, value_name = "P", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub pairs: u32,
    /// Messages that each sender keeps unacknowledged.
    #[arg(long, value_name = "W", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub window: u32,
    /// Bytes of each message's content.
    #[arg(long, value_name = "S", default_value_t = 64, value_parser = size())]
    pub size: u32,
}

/// Options of `mixed`.
#[derive(Clone, Debug, Group)]
pub struct MixedArgs {
    /// What every workload knows.
    #[command(flatten)]
    pub common: CommonArgs,
    /// How many circles of friends.
    #[arg(long, value_name = "C", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub circles: u32,
    /// Users of each circle. Each writes to the next one and to the group of all.
    #[arg(long, value_name = "M", default_value_t = 8, value_parser = clap::value_parser!(u32).range(3..=500))]
    pub members: u32,
    /// What they do, a second, all together.
    #[arg(long, value_name = "R", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// Decides who does what when: the same seed, the same day.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How often which is done: direct messages, group messages, reads, looks into the history, drops with a new login. The
    /// legacy dialect has neither reads nor a history: their parts fall to the others; and there one logs out and in again
    /// instead of dropping the connection, because what is on its way over that is lost.
    #[arg(long, value_name = "D:G:R:H:L", default_value = "60:10:20:8:2")]
    pub mix: Mix,
    /// Bytes of each message's content.
    #[arg(long, value_name = "S", default_value_t = 64, value_parser = size())]
    pub size: u32,
}

/// Proportions of what users do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix(pub [u32; 5]);

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Mix, String> {
        let numbers: Result<Vec<u32>, _> = text.split(':').map(str::parse).collect();
        let numbers = numbers.ok().and_then(|numbers| <[u32; 5]>::try_from(numbers).ok());
        let mix = numbers.ok_or("must be five numbers, D:G:R:H:L")?;
        if mix.iter().all(|part| *part <= 1_000_000) && mix.iter().sum::<u32>() > 0 {
            Ok(Mix(mix))
        } else {
            Err("must be at most 1000000 each, and not all 0".to_owned())
        }
    }
}

impl Workload {
    /// What every workload knows.
    pub fn common(&self) -> &CommonArgs {
        match self {
            Workload::Pairs(args) => &args.common,
            Workload::Group(args) => &args.common,
            Workload::Login(args) => &args.common,
            Workload::Storm(args) => &args.common,
            Workload::Idle(args) => &args.common,
            Workload::Offline(args) => &args.common,
            Workload::Mixed(args) => &args.common,
        }
    }

    /// What the options ask for, where they fit together.
    ///
    /// # Errors
    /// Those that do not.
    pub fn checked(mut self) -> Result<Workload, Error> {
        let wrong = |why: String| Err(Error::Usage(why));
        let common = self.common();
        if common.dialect.dialect() == Dialect::Legacy && self.message_size() > LEGACY_SIZE_MAX {
            return wrong(format!(
                "legacy clients are sent objects of at most 1,024 bytes, longer texts are cut: --size up to \
                 {LEGACY_SIZE_MAX} over the legacy dialect"
            ));
        }
        let has_ramp = !matches!(self, Workload::Storm(_) | Workload::Idle(_) | Workload::Offline(_));
        if common.ramp > 0.0 && !has_ramp {
            return wrong("--ramp: this load has no rate and no window that could grow".to_owned());
        }
        match &self {
            Workload::Group(args) if args.senders > args.members => {
                return wrong(format!("of {} members {} cannot send", args.members, args.senders));
            }
            Workload::Idle(args) if args.heartbeat < HEARTBEAT_LEAST => {
                return wrong(format!("--heartbeat must be at least {HEARTBEAT_LEAST}"));
            }
            _ => {}
        }
        if common.json.is_some() && common.json == common.report {
            return wrong("--json and --report must be two files".to_owned());
        }
        // Who is named twice has used what it has used once.
        let pids = &mut self.common_mut().server_pid;
        pids.sort_unstable();
        pids.dedup();
        Ok(self)
    }

    fn common_mut(&mut self) -> &mut CommonArgs {
        match self {
            Workload::Pairs(args) => &mut args.common,
            Workload::Group(args) => &mut args.common,
            Workload::Login(args) => &mut args.common,
            Workload::Storm(args) => &mut args.common,
            Workload::Idle(args) => &mut args.common,
            Workload::Offline(args) => &mut args.common,
            Workload::Mixed(args) => &mut args.common,
        }
    }

    /// Connections that it holds at once.
    pub fn connections(&self) -> u64 {
        let (count, each) = match self {
            Workload::Pairs(args) => (args.pairs, 2),
            Workload::Group(args) => (args.groups, args.members),
            Workload::Login(args) => (args.window.unwrap_or(args.count), 1),
            Workload::Storm(args) => (args.connections + 2 * args.pairs, 1),
            Workload::Idle(args) => (args.connections, 1),
            Workload::Offline(args) => (args.pairs, 2),
            Workload::Mixed(args) => (args.circles, args.members),
        };
        u64::from(count) * u64::from(each)
    }

    /// Bytes of each message's content; 0 where there are none, or none of a size to choose.
    pub fn message_size(&self) -> u32 {
        match self {
            Workload::Pairs(args) => args.size,
            Workload::Group(args) => args.size,
            Workload::Offline(args) => args.size,
            Workload::Mixed(args) => args.size,
            Workload::Login(_) | Workload::Storm(_) | Workload::Idle(_) => 0,
        }
    }

    /// Accounts that it uses.
    pub fn accounts(&self) -> u32 {
        match self {
            Workload::Login(args) => args.count,
            other => other.connections() as u32,
        }
    }

    /// The largest number of processes of which each has something to do.
    pub fn processes_max(&self) -> u32 {
        match self {
            Workload::Pairs(args) => args.pairs.min(args.pace.rate.unwrap_or(u32::MAX)),
            Workload::Group(args) => args.groups.min(args.pace.rate.unwrap_or(u32::MAX)),
            Workload::Login(args) => args.count.min(args.window.or(args.rate).unwrap_or(u32::MAX)),
            Workload::Storm(args) => args.connections.min(args.pairs).min(args.rate),
            Workload::Idle(args) => args.connections,
            Workload::Offline(args) => args.pairs.min(args.messages),
            Workload::Mixed(args) => args.circles.min(args.rate),
        }
        .max(1)
    }

    /// How often all processes wait for each other: before each of the times that something is measured.
    pub fn rounds(&self) -> u32 {
        if let Workload::Offline(_) = self { 2 } else { 1 }
    }

    /// Accounts that the processes before `worker` use.
    pub fn accounts_before(&self, worker: Worker) -> u32 {
        (0..worker.number).map(|number| self.part(Worker { number, ..worker }).accounts()).sum()
    }

    /// The part of it that `worker` does.
    pub fn part(&self, worker: Worker) -> Workload {
        let mut part = self.clone();
        let cut = |number: &mut u32| *number = worker.part(*number).1;
        // Whoever sends sends as much, whichever process they are in; and none is told to do nothing.
        let share = |number: &mut u32, lanes: u32| *number = worker.share(*number, lanes).max(1);
        let share_some = |number: &mut Option<u32>, lanes| number.iter_mut().for_each(|it| share(it, lanes));
        match &mut part {
            Workload::Pairs(args) => {
                share_some(&mut args.pace.rate, args.pairs);
                cut(&mut args.pairs);
            }
            Workload::Group(args) => {
                share_some(&mut args.pace.rate, args.groups);
                cut(&mut args.groups);
            }
            Workload::Login(args) => {
                share_some(&mut args.window, args.count);
                share_some(&mut args.rate, args.count);
                cut(&mut args.count);
            }
            Workload::Storm(args) => {
                share(&mut args.rate, args.pairs);
                cut(&mut args.connections);
                cut(&mut args.pairs);
            }
            Workload::Idle(args) => cut(&mut args.connections),
            Workload::Offline(args) => {
                share(&mut args.messages, args.pairs);
                cut(&mut args.pairs);
            }
            Workload::Mixed(args) => {
                share(&mut args.rate, args.circles);
                cut(&mut args.circles);
                args.seed = args.seed.wrapping_add(u64::from(worker.number));
            }
        }
        part.common_mut().worker = Some(worker);
        part
    }
}

/// Reads a name and a process.
fn named_pid(text: &str) -> Result<(String, u32), String> {
    let (name, pid) = text.split_once('=').ok_or("must be NAME=PID")?;
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
    match pid.parse() {
        Ok(pid) if is_plain => Ok((name.to_owned(), pid)),
        _ => Err("must be small letters, `=` and the number of a process".to_owned()),
    }
}

/// Reads an option of seconds.
pub fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be seconds, from 0 to 86400".to_owned()),
    }
}

fn size() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(STAMP_BYTES as i64..=CONTENT_BYTES as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_up_the_whole() {
        for of in 1..7 {
            let parts: Vec<_> = (0..of).map(|number| Worker { number, of }.part(20)).collect();
            assert_eq!(parts.iter().map(|part| part.1).sum::<u32>(), 20);
            assert!(parts.windows(2).all(|two| two[0].0 + two[0].1 == two[1].0));
        }
        for (total, lanes, of) in [(900, 3, 2), (7, 5, 4), (1_000, 64, 7), (3, 3, 3)] {
            let shares: Vec<_> = (0..of).map(|number| Worker { number, of }.share(total, lanes)).collect();
            assert_eq!(shares.iter().sum::<u32>(), total);
            // Each of the lanes has the same, but for the rounding.
            for (number, share) in (0..).zip(shares) {
                let each =
                    f64::from(Worker { number, of }.part(lanes).1) * f64::from(total) / f64::from(lanes);
                assert!((f64::from(share) - each).abs() < 1.0 + 1e-9, "{total} {lanes} {of}");
            }
        }
        assert!("3/3".parse::<Worker>().is_err() && "x".parse::<Worker>().is_err());
        assert_eq!("1/3".parse(), Ok(Worker { number: 1, of: 3 }));
    }

    #[test]
    fn a_mix_is_five_numbers() {
        assert_eq!("1:2:3:4:5".parse(), Ok(Mix([1, 2, 3, 4, 5])));
        for wrong in ["1:2:3:4", "0:0:0:0:0", "a:1:1:1:1", "1:2:3:4:5:6", "9999999:1:1:1:1"] {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong}");
        }
    }
}
