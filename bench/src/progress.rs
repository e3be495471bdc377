//! The line that a terminal shows while a run lasts. Where stderr is no terminal it says nothing.

use crate::measure::{Interval, Phase};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::borrow::Cow;
use std::time::Duration;

/// How often a line changes that is told nothing.
const TICK: Duration = Duration::from_millis(200);

/// The progress line; its clones are the same line.
#[derive(Clone, Debug)]
pub struct ProgressLine {
    bar: ProgressBar,
    /// What is counted, in the plural.
    unit: Cow<'static, str>,
}

impl ProgressLine {
    /// A line that begins with `title`, of a run that is being set up.
    pub fn begin(title: impl Into<Cow<'static, str>>) -> ProgressLine {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {msg}");
        bar.set_style(style.expect("the template is well formed"));
        bar.set_prefix(title);
        let progress = ProgressLine { bar, unit: Cow::Borrowed("") };
        progress.say("setting up");
        progress
    }

    /// The line, counting `unit`.
    #[must_use]
    pub fn counting(&self, unit: impl Into<Cow<'static, str>>) -> ProgressLine {
        ProgressLine { bar: self.bar.clone(), unit: unit.into() }
    }

    /// No line at all.
    pub fn none() -> ProgressLine {
        ProgressLine { bar: ProgressBar::hidden(), unit: Cow::Borrowed("") }
    }

    /// Says what the last interval was like.
    pub fn tell(&self, phase: Phase, interval: &Interval) {
        if self.bar.is_hidden() {
            return;
        }
        let phase = match phase {
            Phase::Warmup => "warm-up",
            Phase::Measured => "measuring",
            Phase::Drain => "draining",
        };
        let Interval { per_second, latency, server_cores, .. } = interval;
        let server = server_cores.map_or(String::new(), |cores| format!(", server {:.0} %", cores * 100.0));
        let (rate, p99) = (HumanCount(*per_second as u64), latency.p99 / 1e3);
        let (unit, p50) = (&self.unit, latency.p50 / 1e3);
        // Latencies are kept in the measured part only.
        let times = if p99 > 0.0 { format!(", p50 {p50:.2} ms, p99 {p99:.2} ms") } else { String::new() };
        self.bar.set_message(format!("{phase}: {rate} {unit}/s{times}{server}"));
        self.bar.disable_steady_tick();
        self.bar.tick();
    }

    /// Says what goes on where no intervals are told: the time goes on by itself.
    pub fn say(&self, what: &'static str) {
        self.bar.set_message(what);
        self.bar.enable_steady_tick(TICK);
    }

    /// The run is over; the line goes.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
