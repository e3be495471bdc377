//! Counts and times what a run does while it runs, moment by moment.

use super::process::{resident, ticks};
use super::window::{Phase, Window};
use super::{Cut, Latency, Moment, Tally};
use crate::clock::{Clock, MILLISECOND, SECOND};
use crate::error::Error;
use crate::live::Live;
use crate::trouble::Trouble;

/// How long a moment is.
const MOMENT: u64 = 500 * MILLISECOND;
/// Moments that are kept of a run; of a longer one two at a time become one.
const MOMENTS_MAX: usize = 2_400;

/// Counts and times what a run does.
#[derive(Debug)]
pub struct Meter {
    window: Window,
    /// Units of work done in the measured phase.
    done: u64,
    /// Units of work done since the last moment, whatever the phase.
    done_now: u64,
    /// Latencies of the measured phase: all up to the last moment, and those since.
    latency: Latency,
    latency_now: Latency,
    ack: Latency,
    lag: Latency,
    /// What else went wrong.
    pub trouble: Trouble,
    moments: Vec<Moment>,
    next_moment: u64,
    last_moment: u64,
    /// Whether the measured phase had begun by then.
    is_measured: bool,
    /// What server and generator had used at the last moment, ns.
    used: [u64; 2],
    /// How long the generator stood still in the measured phase, at most.
    stood_still: u64,
    cut: Cut,
    live: Live,
}

impl Meter {
    /// Begins to measure, as `window` says, and tells `live` of it.
    pub fn begin(now: u64, window: Window, live: Live) -> Meter {
        let used = [ticks(window.pids()), ticks(&[std::process::id()])];
        Meter {
            window,
            done: 0,
            done_now: 0,
            latency: Latency::default(),
            latency_now: Latency::default(),
            ack: Latency::default(),
            lag: Latency::default(),
            trouble: Trouble::default(),
            moments: Vec::new(),
            next_moment: now + MOMENT,
            last_moment: now,
            is_measured: false,
            used,
            stood_still: 0,
            cut: Cut::default(),
            live,
        }
    }

    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The window, to end it.
    pub fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    /// Somebody has asked to end: what is measured ends at `now`.
    pub fn cut_short(&mut self, now: u64) {
        self.cut.measured = true;
        self.window.finish(now);
    }

    /// Somebody has asked not to wait for what is under way.
    pub fn note_end_of_drain(&mut self) {
        self.cut.drain = true;
    }

    /// A unit of work that counts from `at` is done at `now`.
    #[inline]
    pub fn record_done(&mut self, at: u64, now: u64) {
        self.count_done();
        if self.window.holds(at) {
            self.latency_now.record(now.saturating_sub(at));
        }
    }

    /// A unit of work is done whose latency says nothing.
    #[inline]
    pub fn count_done(&mut self) {
        self.done_now += 1;
        self.done += u64::from(self.window.phase() == Phase::Measured);
    }

    /// A message that counts from `at` was acknowledged at `now`.
    #[inline]
    pub fn record_ack(&mut self, at: u64, now: u64) {
        if self.window.holds(at) {
            self.ack.record(now.saturating_sub(at));
        }
    }

    /// Work that was due at `due` was begun at `now`.
    #[inline]
    pub fn record_lag(&mut self, due: u64, now: u64) {
        if self.window.holds(due) {
            self.lag.record(now.saturating_sub(due));
        }
    }

    /// When something changes by itself: the phase, or the moment.
    pub fn next_change(&self) -> u64 {
        self.next_moment.min(self.window.next_change())
    }

    /// Ends the moment and the phase where it is time. Whether a phase ended.
    pub fn advance(&mut self, clock: &Clock) -> Result<bool, Error> {
        let now = clock.now();
        if now >= self.next_moment {
            if self.is_measured {
                self.stood_still = self.stood_still.max(now - self.next_moment);
            }
            self.end_moment(now);
        }
        let has_changed = self.window.advance(clock)?;
        if has_changed {
            // A phase begins with a moment, but for one so short that its rates would say nothing.
            let now = clock.now();
            if now - self.last_moment >= MOMENT / 10 {
                self.end_moment(now);
            }
            self.is_measured = self.window.phase() == Phase::Measured;
        }
        Ok(has_changed)
    }

    fn end_moment(&mut self, now: u64) {
        let elapsed = (now - self.last_moment).max(1) as f64;
        let used = [ticks(self.window.pids()), ticks(&[std::process::id()])];
        let [server, generator] = [0, 1].map(|who| used[who].saturating_sub(self.used[who]) as f64 / elapsed);
        let moment = Moment {
            at: now as f64 / SECOND as f64,
            seconds: elapsed / SECOND as f64,
            is_measured: self.is_measured,
            per_second: self.done_now as f64 * SECOND as f64 / elapsed,
            latency: self.latency_now.quantiles(),
            server_cores: (!self.window.pids().is_empty()).then_some(server),
            generator_cores: generator,
            server_rss_kib: resident(self.window.pids()),
        };
        self.live.tell(self.window.phase(), &moment);
        self.moments.push(moment);
        if self.moments.len() == MOMENTS_MAX {
            self.moments = self.moments.chunks(2).map(|two| two[0].joined(&two[1])).collect();
        }
        self.latency.add(&self.latency_now);
        self.latency_now.clear();
        (self.done_now, self.used, self.last_moment) = (0, used, now);
        self.is_measured = self.window.phase() == Phase::Measured;
        // A stall skips moments; it does not make them shorter.
        self.next_moment = now + MOMENT;
    }

    /// The run is over: what came of it, but for what the ledgers know.
    pub fn end(mut self) -> Tally {
        self.latency.add(&self.latency_now);
        let has_server = !self.window.pids().is_empty();
        let measured = self.window.into_measured();
        if has_server && measured.server.is_none() {
            self.trouble.note(Trouble::SERVER_ENDED);
        }
        self.trouble.note_many(Trouble::BESIDE_ENDED, measured.beside_ended);
        Tally {
            nanoseconds: measured.nanoseconds,
            done: self.done,
            latency: self.latency,
            ack: self.ack,
            lag: self.lag,
            trouble: self.trouble,
            server: measured.server,
            beside: measured.beside,
            generator: measured.generator,
            generators: 1,
            stood_still: self.stood_still,
            cut: self.cut,
            moments: self.moments,
            ..Tally::default()
        }
    }
}
