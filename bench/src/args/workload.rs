//! The workloads, each with its options.

use super::common::{CommonArgs, DialectArg};
use super::values::{seconds, size};
use crate::accounts::LoginMethod;
use crate::error::Error;
use crate::lane::CHANNELS_MAX;
use clap::{Args, Subcommand};
use std::fmt;
use std::str::FromStr;

/// The largest content that fits into an object of the legacy dialect beside its other fields.
const LEGACY_SIZE_MAX: u32 = 900;
/// The shortest time between two heartbeats of one connection, seconds.
const HEARTBEAT_MIN: f64 = 0.01;

#[derive(Clone, Debug, Subcommand)]
pub enum Workload {
    /// P pairs of users; in each pair, one user sends to the other.
    Pairs(PairsArgs),
    /// G groups of M members, S of which send.
    Group(GroupArgs),
    /// Clients that connect, log in and disconnect, at a rate or as fast as they are answered.
    Login(LoginArgs),
    /// N logged-in clients that disconnect and reconnect at once, while pairs of other users chat.
    Storm(StormArgs),
    /// N logged-in connections that send only heartbeats.
    Idle(IdleArgs),
    /// Messages to offline users, who then log in and must receive all of them.
    Offline(OfflineArgs),
    /// A day of chat: circles of friends who write, edit, recall, react, search, read, leave and return.
    ///
    /// Over TLV, what each client shows at the end is compared with HISTORY, and what HISTORY shows to one member with what
    /// it shows to the others; a search must find what was indexed when it was answered, and nothing that was recalled.
    /// Any difference is printed and makes the run faulty.
    Mixed(MixedArgs),
}

/// How fast users send.
#[derive(Clone, Debug, Args)]
#[group(id = "load", required = true, multiple = false)]
pub struct PaceArgs {
    /// Keep W messages of every sender outstanding. A message is outstanding until it is acknowledged to its sender and
    /// delivered to all recipients: a server gains nothing by acknowledging early and delivering late.
    #[arg(long, value_name = "W", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub window: Option<u32>,
    /// Send R messages a second in total, evenly spread over time and senders, whatever the server does (open loop).
    /// Latencies count from the time at which a message was due, not from the time at which it could be sent.
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: Option<u32>,
}

#[derive(Clone, Debug, Args)]
pub struct PairsArgs {
    #[command(flatten)]
    pub common: CommonArgs,
    #[command(flatten)]
    pub pace: PaceArgs,
    /// The number of pairs.
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub pairs: u32,
    /// The number of conversations over which each pair spreads its messages; more than one are groups of two.
    #[arg(long, value_name = "C", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=CHANNELS_MAX as i64))]
    pub conversations: u32,
    /// The content of each message, in bytes.
    #[arg(long, value_name = "S", default_value_t = 64, value_parser = size())]
    pub size: u32,
}

#[derive(Clone, Debug, Args)]
pub struct GroupArgs {
    #[command(flatten)]
    pub common: CommonArgs,
    #[command(flatten)]
    pub pace: PaceArgs,
    /// The number of groups.
    #[arg(long, value_name = "G", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub groups: u32,
    /// The members of each group.
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(2..=19_000))]
    pub members: u32,
    /// The members of each group who send.
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=CHANNELS_MAX as i64))]
    pub senders: u32,
    /// The content of each message, in bytes.
    #[arg(long, value_name = "S", default_value_t = 64, value_parser = size())]
    pub size: u32,
}

#[derive(Clone, Debug, Args)]
#[command(group = clap::ArgGroup::new("logins").required(true).args(["window", "rate"]))]
pub struct LoginArgs {
    #[command(flatten)]
    pub common: CommonArgs,
    /// The number of accounts, which log in in turn. Each closes its connection once it is logged in.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub count: u32,
    /// Keep W logins in progress; W is below the number of accounts.
    #[arg(long, value_name = "W", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub window: Option<u32>,
    /// Start R logins a second, whatever the server does; a latency counts from the time at which a login was due.
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,
    /// The credentials to log in with.
    #[arg(long, value_enum, default_value_t = LoginMethod::Token)]
    pub by: LoginMethod,
}

#[derive(Clone, Debug, Args)]
pub struct StormArgs {
    /// `--seconds` is the time in which all clients must be back.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The number of clients that disconnect and reconnect.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// The number of pairs of other users who chat meanwhile.
    #[arg(long, value_name = "P", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub pairs: u32,
    /// Messages a second of all those pairs together.
    #[arg(long, value_name = "R", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
}

#[derive(Clone, Debug, Args)]
pub struct IdleArgs {
    #[command(flatten)]
    pub common: CommonArgs,
    /// The number of connections.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub connections: u32,
    /// Seconds between two heartbeats of one connection; the legacy dialect has no heartbeats.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    pub heartbeat: f64,
}

#[derive(Clone, Debug, Args)]
pub struct OfflineArgs {
    /// `--seconds` is the time that storing, and then delivering, may take.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The number of messages in total.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub messages: u32,
    /// The number of pairs; the receiver of each pair is offline.
    #[arg(long, value_name = "P", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub pairs: u32,
    /// Unacknowledged messages of each sender.
    #[arg(long, value_name = "W", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub window: u32,
    /// The content of each message, in bytes.
    #[arg(long, value_name = "S", default_value_t = 64, value_parser = size())]
    pub size: u32,
}

#[derive(Clone, Debug, Args)]
pub struct MixedArgs {
    #[command(flatten)]
    pub common: CommonArgs,
    /// The number of circles of friends.
    #[arg(long, value_name = "C", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub circles: u32,
    /// The users of each circle. Each user writes to the next user and to a group of the whole circle.
    #[arg(long, value_name = "M", default_value_t = 8, value_parser = clap::value_parser!(u32).range(3..=500))]
    pub members: u32,
    /// Actions a second of all users together.
    #[arg(long, value_name = "R", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// The seed of the random choices: the same seed repeats the same sequence of actions.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// The proportions of direct messages, group messages, reads, history pages, reconnects with a new login, edits,
    /// recalls, reactions, and searches; those that are left out at the end are 0. The legacy dialect has only messages
    /// and logins, so these take the share of the other actions. It acknowledges nothing either, and a dropped
    /// connection loses what is in transit, so there users log out and in again on the same connection.
    #[arg(long, value_name = "D:G:R:H:L:E:C:A:S", default_value = "55:10:16:6:2:4:1:4:2")]
    pub mix: Mix,
    /// The content of each message, in bytes.
    #[arg(long, value_name = "S", default_value_t = 64, value_parser = size())]
    pub size: u32,
}

/// The proportions of the actions of [`MixedArgs::mix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix(pub [u32; MIX]);

/// The number of different actions.
const MIX: usize = 9;

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Mix, String> {
        let numbers: Result<Vec<u32>, _> = text.split(':').map(str::parse).collect();
        let given = numbers.ok().filter(|numbers| numbers.len() <= MIX);
        let given = given.ok_or(format!("must be up to {MIX} numbers, D:G:R:H:L:E:C:A:S"))?;
        let mut parts = [0; MIX];
        parts[..given.len()].copy_from_slice(&given);
        if parts.iter().all(|part| *part <= 1_000_000) && parts.iter().sum::<u32>() > 0 {
            Ok(Mix(parts))
        } else {
            Err("each number must be at most 1000000, and one must not be 0".to_owned())
        }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.map(|part| part.to_string());
        f.write_str(&parts.join(":"))
    }
}

impl Workload {
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

    pub fn common_mut(&mut self) -> &mut CommonArgs {
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

    /// The workload, with every process named once, if its options are compatible.
    ///
    /// # Errors
    /// Which options are not.
    pub fn checked(mut self) -> Result<Workload, Error> {
        let wrong = |why: String| Err(Error::Usage(why));
        let common = self.common();
        if common.dialect == DialectArg::Legacy && self.message_size() > LEGACY_SIZE_MAX {
            return wrong(format!(
                "--size must be at most {LEGACY_SIZE_MAX} over the legacy dialect: its objects have at most 1,024 bytes, \
                 and longer texts are cut"
            ));
        }
        let has_ramp = !matches!(self, Workload::Storm(_) | Workload::Idle(_) | Workload::Offline(_));
        if common.ramp > 0.0 && !has_ramp {
            return wrong("--ramp: this workload has neither a rate nor a window that could grow".to_owned());
        }
        match &self {
            Workload::Group(args) if args.senders > args.members => {
                return wrong(format!("--senders {} is more than --members {}", args.senders, args.members));
            }
            Workload::Idle(args) if args.heartbeat < HEARTBEAT_MIN => {
                return wrong(format!("--heartbeat must be at least {HEARTBEAT_MIN}"));
            }
            _ => {}
        }
        if common.json.is_some() && common.json == common.report {
            return wrong("--json and --report must name two different files".to_owned());
        }
        // A process that is named twice must not be counted twice.
        let pids = &mut self.common_mut().server_pid;
        pids.sort_unstable();
        pids.dedup();
        Ok(self)
    }

    /// The content of each message in bytes; 0 where it cannot be chosen.
    pub fn message_size(&self) -> u32 {
        match self {
            Workload::Pairs(args) => args.size,
            Workload::Group(args) => args.size,
            Workload::Offline(args) => args.size,
            Workload::Mixed(args) => args.size,
            Workload::Login(_) | Workload::Storm(_) | Workload::Idle(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_up_to_nine_numbers() {
        assert_eq!("1:2:3:4:5".parse(), Ok(Mix([1, 2, 3, 4, 5, 0, 0, 0, 0])));
        let whole = "1:2:3:4:5:6:7:8:9";
        assert_eq!(whole.parse().map(|mix: Mix| mix.to_string()), Ok(whole.to_owned()));
        for wrong in ["", "0:0:0:0:0", "a:1:1:1:1", "1:2:3:4:5:6:7:8:9:1", "9999999:1:1:1:1", "1::1"] {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong}");
        }
    }
}
