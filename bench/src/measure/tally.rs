//! What came of a run, as plain data: what one process counted, or several together.

use super::{Latency, Quantiles, Usage};
use crate::error_counts::ErrorCounts;
use crate::ledger::Faults;
use serde::{Deserialize, Serialize};

/// One interval of a run: what happened since the interval before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// When it ended, seconds since the run began.
    pub at: f64,
    /// How long it was, seconds: longer than others where the generator itself stood still.
    pub seconds: f64,
    /// Whether it began in the measured part.
    pub is_measured: bool,
    /// Units of work (messages, deliveries, logins, heartbeats) a second.
    pub per_second: f64,
    /// Latencies of those, us.
    pub latency: Quantiles,
    /// What the server used, in cores; `None` where no `--server-pid` was given.
    pub server_cores: Option<f64>,
    /// What the generator used, in cores.
    pub generator_cores: f64,
    /// Resident memory of the server, KiB.
    pub server_rss_kib: u64,
}

/// What of a run was cut short by Ctrl-C.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutShort {
    pub measured: bool,
    /// The wait for what was under way: what had not arrived counts as lost.
    pub drain: bool,
}

/// What came of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// How long the measured part was, ns.
    pub nanoseconds: u64,
    /// Messages sent in the whole run.
    pub sent: u64,
    /// Units of work done in the measured part.
    pub done: u64,
    /// From when a unit of work was due, or was begun where nothing was due, to its end.
    pub latency: Latency,
    /// From when a message was due to the reply that it is stored.
    pub ack: Latency,
    /// How late work that was due was begun: the generator's own part in all latencies.
    pub lag: Latency,
    /// What went wrong with messages.
    pub faults: Faults,
    /// What else went wrong.
    pub errors: ErrorCounts,
    /// What the processes named on the command line used in the measured part.
    pub server: Option<Usage>,
    /// What those that stand beside them used, by name.
    pub beside: Vec<(String, Usage)>,
    /// What the generator used in it.
    pub generator: Usage,
    /// How many processes the generator was.
    pub generators: u32,
    /// How long a process of the generator stood still in the measured part, at most, ns.
    pub stood_still: u64,
    /// What of the run somebody has cut short.
    pub cut: CutShort,
    /// The run, interval by interval.
    pub intervals: Vec<Interval>,
}

impl Tally {
    /// Adds what another process of the same run counted at the same time.
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
        self.stood_still = self.stood_still.max(other.stood_still);
        self.cut.measured |= other.cut.measured;
        self.cut.drain |= other.cut.drain;
        let shared = self.intervals.len().min(other.intervals.len());
        self.intervals.iter_mut().zip(&other.intervals).for_each(|(interval, more)| interval.add(more));
        self.intervals.extend(&other.intervals[shared..]);
    }

    /// Units of work a second.
    pub fn per_second(&self) -> f64 {
        ratio(self.done as f64 * 1e9, self.nanoseconds as f64)
    }

    /// Microseconds of `cpu_ns` for each unit of work.
    pub fn us_each(&self, cpu_ns: u64) -> f64 {
        ratio(cpu_ns as f64 / 1e3, self.done as f64)
    }

    /// How many cores `cpu_ns` is, in the measured part.
    pub fn cores(&self, cpu_ns: u64) -> f64 {
        ratio(cpu_ns as f64, self.nanoseconds as f64)
    }
}

impl Interval {
    /// Adds another process's same interval.
    fn add(&mut self, other: &Interval) {
        self.per_second += other.per_second;
        self.generator_cores += other.generator_cores;
        self.server_cores = self.server_cores.or(other.server_cores);
        self.keep_worse(other);
    }

    /// When it began, seconds since the run began.
    pub fn began(&self) -> f64 {
        self.at - self.seconds
    }

    /// This interval and the one that follows it as one.
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

    /// Quantiles cannot be added: the worse of two is kept, and so is the larger memory.
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

/// A ratio; 0 where nothing was measured.
pub fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_moments_are_one_of_their_length() {
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
    fn what_two_processes_counted_is_one_run() {
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
