//! Counts and times what a run does while it runs, interval by interval.

use super::phases::{Phase, Phases};
use super::process::{resident, ticks};
use super::{CutShort, Interval, Latency, Tally};
use crate::clock::{Clock, MILLISECOND, SECOND};
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::progress::ProgressLine;

/// How long a interval is.
const INTERVAL: u64 = 500 * MILLISECOND;
/// Moments that are kept of a run; of a longer one two at a time become one.
const INTERVALS_MAX: usize = 2_400;

/// Counts and times what a run does.
#[derive(Debug)]
pub struct Meter {
    phases: Phases,
    /// Units of work done in the measured phase.
    done: u64,
    /// Units of work done since the last interval, whatever the phase.
    done_now: u64,
    /// Latencies of the measured phase: all up to the last interval, and those since.
    latency: Latency,
    latency_now: Latency,
    ack: Latency,
    lag: Latency,
    /// What else went wrong.
    pub errors: ErrorCounts,
    intervals: Vec<Interval>,
    next_interval: u64,
    last_interval: u64,
    /// Whether the measured phase had begun by then.
    is_measured: bool,
    /// What server and generator had used at the last interval, ns.
    used: [u64; 2],
    /// How long the generator stood still in the measured phase, at most.
    stood_still: u64,
    cut: CutShort,
    progress: ProgressLine,
}

impl Meter {
    /// Begins to measure, as `window` says, and tells `progress` of it.
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
            stood_still: 0,
            cut: CutShort::default(),
            progress,
        }
    }

    pub fn phases(&self) -> &Phases {
        &self.phases
    }

    /// The window, to end it.
    pub fn phases_mut(&mut self) -> &mut Phases {
        &mut self.phases
    }

    /// Somebody has asked to end: what is measured ends at `now`.
    pub fn cut_short(&mut self, now: u64) {
        self.cut.measured = true;
        self.phases.finish(now);
    }

    /// Somebody has asked not to wait for what is under way.
    pub fn note_end_of_drain(&mut self) {
        self.cut.drain = true;
    }

    /// A unit of work that counts from `at` is done at `now`.
    #[inline]
    pub fn record_done(&mut self, at: u64, now: u64) {
        self.count_done();
        if self.phases.holds(at) {
            self.latency_now.record(now.saturating_sub(at));
        }
    }

    /// A unit of work is done whose latency says nothing.
    #[inline]
    pub fn count_done(&mut self) {
        self.done_now += 1;
        self.done += u64::from(self.phases.phase() == Phase::Measured);
    }

    /// A message that counts from `at` was acknowledged at `now`.
    #[inline]
    pub fn record_ack(&mut self, at: u64, now: u64) {
        if self.phases.holds(at) {
            self.ack.record(now.saturating_sub(at));
        }
    }

    /// Work that was due at `due` was begun at `now`.
    #[inline]
    pub fn record_lag(&mut self, due: u64, now: u64) {
        if self.phases.holds(due) {
            self.lag.record(now.saturating_sub(due));
        }
    }

    /// When something changes by itself: the phase, or the interval.
    pub fn next_change(&self) -> u64 {
        self.next_interval.min(self.phases.next_change())
    }

    /// Ends the interval and the phase where it is time. Whether a phase ended.
    pub fn advance(&mut self, clock: &Clock) -> Result<bool, Error> {
        let now = clock.now();
        if now >= self.next_interval {
            if self.is_measured {
                self.stood_still = self.stood_still.max(now - self.next_interval);
            }
            self.end_interval(now);
        }
        let has_changed = self.phases.advance(clock)?;
        if has_changed {
            // A phase begins with a interval, but for one so short that its rates would say nothing.
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
        self.progress.tell(self.phases.phase(), &interval);
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

    /// The run is over: what came of it, but for what the ledgers know.
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
            stood_still: self.stood_still,
            cut: self.cut,
            intervals: self.intervals,
            ..Tally::default()
        }
    }
}
