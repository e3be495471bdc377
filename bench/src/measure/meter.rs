//! Counts and times the work of a run, interval by interval.

use super::latency::Latency;
use super::phases::{Phase, Phases};
use super::process::{resident, ticks};
use super::tally::{CutShort, Interval, Tally};
use crate::clock::{Clock, MILLISECOND, SECOND};
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::progress::ProgressLine;

/// The length of an interval, ns.
const INTERVAL: u64 = 500 * MILLISECOND;
/// The largest number of intervals; in a longer run, pairs of intervals are joined.
const INTERVALS_MAX: usize = 2_400;

#[derive(Debug)]
pub struct Meter {
    phases: Phases,
    /// Units of work done in the measured phase.
    done: u64,
    /// Units of work done since the last interval, whatever the phase.
    done_now: u64,
    /// Latencies of the measured phase, up to the last interval and since.
    latency: Latency,
    latency_now: Latency,
    ack: Latency,
    lag: Latency,
    /// Errors besides those that the ledgers count.
    pub errors: ErrorCounts,
    intervals: Vec<Interval>,
    next_interval: u64,
    last_interval: u64,
    /// Whether the current interval started in the measured phase.
    is_measured: bool,
    /// CPU time of server and generator at the last interval, ns.
    used: [u64; 2],
    /// The longest stall of the generator in the measured phase.
    stalled_ns: u64,
    cut_short: CutShort,
    progress: ProgressLine,
}

impl Meter {
    /// Starts measuring through `phases`, and reports to `progress`.
    pub fn begin(now: u64, phases: Phases, progress: ProgressLine) -> Meter {
        let used = [ticks(phases.pids()), ticks(&[std::process::id()])];
        Meter {
            phases,
            done: 0,
            done_now: 0,
            latency: Latency::default(),
            latency_now: Latency::default(),
            ack: Latency::default(),
            lag: Latency::default(),
            errors: ErrorCounts::default(),
            intervals: Vec::new(),
            next_interval: now + INTERVAL,
            last_interval: now,
            is_measured: false,
            used,
            stalled_ns: 0,
            cut_short: CutShort::default(),
            progress,
        }
    }

    pub fn phases(&self) -> &Phases {
        &self.phases
    }

    pub fn phases_mut(&mut self) -> &mut Phases {
        &mut self.phases
    }

    /// Ends the measured phase at `now`, on Ctrl-C.
    pub fn end_early(&mut self, now: u64) {
        self.cut_short.measured = true;
        self.phases.finish(now);
    }

    /// Notes that Ctrl-C ended the drain.
    pub fn note_drain_cut_short(&mut self) {
        self.cut_short.drain = true;
    }

    /// Counts a unit of work, with its latency from `at` to `now`.
    #[inline]
    pub fn record_done(&mut self, at: u64, now: u64) {
        self.count_done();
        if self.phases.holds(at) {
            self.latency_now.record(now.saturating_sub(at));
        }
    }

    /// Counts a unit of work without a latency.
    #[inline]
    pub fn count_done(&mut self) {
        self.done_now += 1;
        self.done += u64::from(self.phases.phase() == Phase::Measured);
    }

    /// Records the latency of an acknowledgement from `at` to `now`.
    #[inline]
    pub fn record_ack(&mut self, at: u64, now: u64) {
        if self.phases.holds(at) {
            self.ack.record(now.saturating_sub(at));
        }
    }

    /// Records that work due at `due` started at `now`.
    #[inline]
    pub fn record_lag(&mut self, due: u64, now: u64) {
        if self.phases.holds(due) {
            self.lag.record(now.saturating_sub(due));
        }
    }

    /// When the phase or the interval ends.
    pub fn next_change(&self) -> u64 {
        self.next_interval.min(self.phases.next_change())
    }

    /// Ends the interval and the phase when they are over. Returns whether a phase ended.
    pub fn advance(&mut self, clock: &Clock) -> Result<bool, Error> {
        let now = clock.now();
        if now >= self.next_interval {
            if self.is_measured {
                self.stalled_ns = self.stalled_ns.max(now - self.next_interval);
            }
            self.end_interval(now);
        }
        let has_changed = self.phases.advance(clock)?;
        if has_changed {
            // A phase starts a new interval, unless the current one is too short for meaningful rates.
            let now = clock.now();
            if now - self.last_interval >= INTERVAL / 10 {
                self.end_interval(now);
            }
            self.is_measured = self.phases.phase() == Phase::Measured;
        }
        Ok(has_changed)
    }

    fn end_interval(&mut self, now: u64) {
        let elapsed = (now - self.last_interval).max(1) as f64;
        let used = [ticks(self.phases.pids()), ticks(&[std::process::id()])];
        let [server, generator] = [0, 1].map(|who| used[who].saturating_sub(self.used[who]) as f64 / elapsed);
        let interval = Interval {
            at: now as f64 / SECOND as f64,
            seconds: elapsed / SECOND as f64,
            is_measured: self.is_measured,
            per_second: self.done_now as f64 * SECOND as f64 / elapsed,
            latency: self.latency_now.quantiles(),
            server_cores: (!self.phases.pids().is_empty()).then_some(server),
            generator_cores: generator,
            server_rss_kib: resident(self.phases.pids()),
        };
        self.progress.show(self.phases.phase(), &interval);
        self.intervals.push(interval);
        if self.intervals.len() == INTERVALS_MAX {
            self.intervals = self.intervals.chunks(2).map(|two| two[0].joined(&two[1])).collect();
        }
        self.latency.add(&self.latency_now);
        self.latency_now.clear();
        (self.done_now, self.used, self.last_interval) = (0, used, now);
        self.is_measured = self.phases.phase() == Phase::Measured;
        // A stall skips intervals; it does not make them shorter.
        self.next_interval = now + INTERVAL;
    }

    /// Ends the run. The caller adds what the ledgers counted.
    pub fn end(mut self) -> Tally {
        self.latency.add(&self.latency_now);
        let has_server = !self.phases.pids().is_empty();
        let measured = self.phases.into_measured();
        if has_server && measured.server.is_none() {
            self.errors.note(ErrorCounts::SERVER_ENDED);
        }
        self.errors.note_many(ErrorCounts::BESIDE_ENDED, measured.beside_ended);
        Tally {
            nanoseconds: measured.nanoseconds,
            done: self.done,
            latency: self.latency,
            ack: self.ack,
            lag: self.lag,
            errors: self.errors,
            server: measured.server,
            beside: measured.beside,
            generator: measured.generator,
            generators: 1,
            stalled_ns: self.stalled_ns,
            cut_short: self.cut_short,
            intervals: self.intervals,
            ..Tally::default()
        }
    }
}
