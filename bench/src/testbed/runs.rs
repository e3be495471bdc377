//! The standard runs: the generator's options, and the program that each run is made against.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// A new server on a new database.
    Server,
    /// A new relay, which stores nothing: the lower bound.
    Relay,
}

#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub name: &'static str,
    pub against: Against,
    /// Accounts that are written to the database before the server starts.
    pub prepared: u32,
    /// Direct chats of each of them.
    pub conversations: u32,
    /// Whether the messages of these have been read.
    pub read: bool,
    /// Server settings besides those of all runs.
    pub settings: &'static [&'static str],
    /// The generator's options.
    pub options: &'static str,
}

const fn server(name: &'static str, options: &'static str) -> Run {
    Run { name, against: Against::Server, prepared: 0, conversations: 0, read: false, settings: &[], options }
}

const fn relay(name: &'static str, options: &'static str) -> Run {
    Run { against: Against::Relay, ..server(name, options) }
}

/// By default the server paces objects for legacy clients that lose the second of two; the generator loses none.
const fn legacy(name: &'static str, options: &'static str) -> Run {
    Run { settings: &["legacy.pace_ms=0"], ..server(name, options) }
}

pub const RUNS: &[Run] = &[
    server("window 64", "pairs --pairs 50 --window 64"),
    relay("window 64, relay", "pairs --pairs 50 --window 64"),
    server("window 64, 1 KiB", "pairs --pairs 50 --window 64 --size 1024"),
    server("window 64, 5000 conversations", "pairs --pairs 50 --window 64 --conversations 100"),
    server("window 1", "pairs --pairs 500 --window 1"),
    relay("window 1, relay", "pairs --pairs 500 --window 1"),
    server("20000/s", "pairs --pairs 500 --rate 20000"),
    relay("20000/s, relay", "pairs --pairs 500 --rate 20000"),
    server("group of 500, window 1", "group --members 500 --window 1"),
    relay("group of 500, window 1, relay", "group --members 500 --window 1"),
    server("group of 500, window 16", "group --members 500 --window 16"),
    legacy("legacy, 50 pairs", "pairs --dialect legacy --pairs 50 --window 1"),
    legacy("legacy, 500 pairs", "pairs --dialect legacy --pairs 500 --window 1"),
    relay("legacy, 500 pairs, relay", "pairs --dialect legacy --pairs 500 --window 1"),
    legacy("legacy, 20000/s", "pairs --dialect legacy --pairs 500 --rate 20000"),
    server("100 connections, 10000/s", "pairs --pairs 50 --rate 10000"),
    relay("100 connections, 10000/s, relay", "pairs --pairs 50 --rate 10000"),
    server("10000 connections, 10000/s", "pairs --pairs 5000 --rate 10000"),
    relay("10000 connections, 10000/s, relay", "pairs --pairs 5000 --rate 10000"),
    Run { prepared: 9_000, ..server("idle 9000", "idle --connections 9000 --warmup 0.5") },
    Run { prepared: 19_000, ..server("idle 19000", "idle --connections 19000 --warmup 0.5") },
    Run { prepared: 4_000, ..server("logins", "login --count 4000 --window 64 --by token") },
    Run {
        prepared: 4_000,
        conversations: 50,
        ..server("logins, 50 conversations", "login --count 4000 --window 64 --by token")
    },
    Run {
        prepared: 4_000,
        conversations: 50,
        read: true,
        ..server("logins, 50 read conversations", "login --count 4000 --window 64 --by token")
    },
    Run { prepared: 9_100, ..server("storm", "storm --connections 9000 --pairs 50 --rate 1000 --drain 20") },
    server("offline", "offline --messages 1000000 --pairs 50 --drain 30"),
    server("mixed", "mixed --circles 50 --rate 5000"),
];

/// Runs that end when their work is done, with their time limit in seconds.
pub const AT_MOST: &[(&str, &str)] = &[("storm", "60"), ("offline", "300")];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Task};
    use clap::Parser;

    #[test]
    fn the_options_of_every_run_parse() {
        for run in RUNS {
            let line = ["chatbench"].into_iter().chain(run.options.split(' '));
            let args = Args::try_parse_from(line).unwrap_or_else(|error| panic!("{}: {error}", run.name));
            let Task::Load(load) = args.task else { panic!("{} is not a load", run.name) };
            assert!(run.prepared == 0 || run.prepared >= load.accounts(), "{}", run.name);
        }
        assert!(AT_MOST.iter().all(|(name, _)| RUNS.iter().any(|run| run.name == *name)));
    }
}
