//! The counts and times of a run: plain data, of one generator process or of several.

use super::latency::{Latency, Quantiles};
use super::process::Usage;
use crate::error_counts::ErrorCounts;
use crate::ledger::Faults;
use serde::{Deserialize, Serialize};

/// One interval of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its end, seconds since the start of the run.
    pub at: f64,
    /// Its length; longer where the generator stalled.
    pub seconds: f64,
    /// Whether it started in the measured time.
    pub is_measured: bool,
    /// Units of work (messages, deliveries, logins, heartbeats) a second.
    pub per_second: f64,
    /// Their latencies, us.
    pub latency: Quantiles,
    /// CPU time of the server, in cores; `None` without `--server-pid`.
    pub server_cores: Option<f64>,
    /// CPU time of the generator, in cores.
    pub generator_cores: f64,
    /// Resident memory of the server, KiB.
    pub server_rss_kib: u64,
}

/// What Ctrl-C cut short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutShort {
    pub measured: bool,
    /// The drain: messages that had not arrived count as lost.
    pub drain: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// The measured time.
    pub nanoseconds: u64,
    /// Messages sent in the whole run, not only in the measured time.
    pub sent: u64,
    /// Units of work done in the measured time.
    pub done: u64,
    /// From the time at which a unit of work was due, or started where nothing is due, to its end.
    pub latency: Latency,
    /// From the time at which a message was due to the reply that it is stored.
    pub ack: Latency,
    /// How late due work was started: the generator's own share of all latencies.
    pub lag: Latency,
    pub faults: Faults,
    pub errors: ErrorCounts,
    /// CPU time and memory of the `--server-pid` processes in the measured time; `None` where one has ended.
    pub server: Option<Usage>,
    /// The same for the `--beside` processes, by name.
    pub beside: Vec<(String, Usage)>,
    pub generator: Usage,
    /// The number of generator processes.
    pub generators: u32,
    /// The longest stall of a generator process in the measured time.
    pub stalled_ns: u64,
    pub cut_short: CutShort,
    pub intervals: Vec<Interval>,
}

impl Tally {
    /// Adds what another process of the same run counted.
    pub fn add(&mut self, other: Tally) {
        self.nanoseconds = self.nanoseconds.max(other.nanoseconds);
        self.sent += other.sent;
        self.done += other.done;
        self.latency.add(&other.latency);
        self.ack.add(&other.ack);
        self.lag.add(&other.lag);
        self.faults.add(&other.faults);
        self.errors.add(&other.errors);
        self.server = match (self.server.take(), other.server) {
            (Some(one), Some(other)) => Some(one.widened(other)),
            (one, other) => one.or(other),
        };
        for (name, used) in other.beside {
            match self.beside.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = std::mem::take(known).widened(used),
                None => self.beside.push((name, used)),
            }
        }
        self.generator.add(other.generator);
        self.generators += other.generators;
        self.stalled_ns = self.stalled_ns.max(other.stalled_ns);
        self.cut_short.measured |= other.cut_short.measured;
        self.cut_short.drain |= other.cut_short.drain;
        let shared = self.intervals.len().min(other.intervals.len());
        self.intervals.iter_mut().zip(&other.intervals).for_each(|(interval, more)| interval.add(more));
        self.intervals.extend(&other.intervals[shared..]);
    }

    /// Units of work a second.
    pub fn per_second(&self) -> f64 {
        ratio(self.done as f64 * 1e9, self.nanoseconds as f64)
    }

    /// The largest resident memory of the server that was sampled, KiB.
    pub fn peak_rss_kib(&self, server: &Usage) -> u64 {
        self.intervals.iter().map(|interval| interval.server_rss_kib).max().unwrap_or(0).max(server.rss_kib)
    }

    /// `cpu_ns` divided by the units of work, us.
    pub fn us_each(&self, cpu_ns: u64) -> f64 {
        ratio(cpu_ns as f64 / 1e3, self.done as f64)
    }

    /// `cpu_ns` divided by the measured time, cores.
    pub fn cores(&self, cpu_ns: u64) -> f64 {
        ratio(cpu_ns as f64, self.nanoseconds as f64)
    }
}

impl Interval {
    /// Adds the same interval of another process.
    fn add(&mut self, other: &Interval) {
        self.per_second += other.per_second;
        self.generator_cores += other.generator_cores;
        self.server_cores = self.server_cores.or(other.server_cores);
        self.keep_worse(other);
    }

    /// Its start, seconds since the start of the run.
    pub fn began(&self) -> f64 {
        self.at - self.seconds
    }

    /// Joins this interval with the next one.
    #[must_use]
    pub fn joined(mut self, next: &Interval) -> Interval {
        let seconds = self.seconds + next.seconds;
        let mean = |this: f64, that: f64| ratio(this * self.seconds + that * next.seconds, seconds);
        self.per_second = mean(self.per_second, next.per_second);
        self.generator_cores = mean(self.generator_cores, next.generator_cores);
        self.server_cores = self.server_cores.zip(next.server_cores).map(|(this, that)| mean(this, that));
        self.keep_worse(next);
        Interval { at: next.at, seconds, ..self }
    }

    /// Keeps the worse quantiles, which cannot be added, and the larger memory.
    fn keep_worse(&mut self, other: &Interval) {
        self.server_rss_kib = self.server_rss_kib.max(other.server_rss_kib);
        let (mine, more) = (&mut self.latency, &other.latency);
        for (mine, more) in [
            (&mut mine.p50, more.p50),
            (&mut mine.p99, more.p99),
            (&mut mine.p999, more.p999),
            (&mut mine.max, more.max),
        ] {
            *mine = mine.max(more);
        }
    }
}

/// `part / whole`, or 0 where `whole` is 0.
pub fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_intervals_are_weighted_by_their_length() {
        let interval = |at: f64, seconds: f64, per_second: f64, p99: f64| Interval {
            at,
            seconds,
            per_second,
            latency: Quantiles { p99, ..Quantiles::default() },
            server_cores: Some(per_second / 100.0),
            ..Interval::default()
        };
        let joined = interval(2.5, 0.5, 100.0, 9.0).joined(&interval(4.0, 1.5, 20.0, 3.0));
        assert_eq!((joined.at, joined.seconds, joined.per_second), (4.0, 2.0, 40.0));
        assert_eq!((joined.latency.p99, joined.server_cores), (9.0, Some(0.4)));
    }

    #[test]
    fn the_counts_of_two_processes_add_up() {
        let tally = |done: u64, ns: u64| {
            let mut tally = Tally { nanoseconds: 2_000_000_000, done, generators: 1, ..Tally::default() };
            tally.latency.record(ns);
            tally.faults.lost = 1;
            tally.errors.note("BUSY");
            tally.generator.cpu_ns = 500_000_000;
            tally.intervals = vec![Interval { per_second: 5.0, ..Interval::default() }];
            tally
        };
        let mut one = tally(10, 1_000);
        let text = serde_json::to_string(&tally(30, 9_000)).unwrap();
        one.add(serde_json::from_str(&text).unwrap());
        assert_eq!((one.done, one.faults.lost, one.generators, one.latency.count()), (40, 2, 2, 2));
        assert_eq!((one.per_second(), one.intervals[0].per_second), (20.0, 10.0));
        assert_eq!(one.errors.iter().collect::<Vec<_>>(), [("BUSY", 2)]);
        assert_eq!(one.cores(one.generator.cpu_ns), 0.5);
    }
}
