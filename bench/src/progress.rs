//! The progress line on a terminal; hidden where stderr is not a terminal.

use crate::measure::{Interval, Phase};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::borrow::Cow;
use std::time::Duration;

/// How often the elapsed time is redrawn while no interval ends.
const TICK: Duration = Duration::from_millis(200);

/// A progress line; clones share it.
#[derive(Clone, Debug)]
pub struct ProgressLine {
    bar: ProgressBar,
    /// The unit of work, in the plural.
    unit: Cow<'static, str>,
}

impl ProgressLine {
    /// A line that starts with `title`, for a run that is being set up.
    pub fn begin(title: impl Into<Cow<'static, str>>) -> ProgressLine {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {msg}");
        bar.set_style(style.expect("the template is well formed"));
        bar.set_prefix(title);
        let progress = ProgressLine { bar, unit: Cow::Borrowed("") };
        progress.set_message("setting up");
        progress
    }

    /// The same line with another unit of work.
    #[must_use]
    pub fn counting(&self, unit: impl Into<Cow<'static, str>>) -> ProgressLine {
        ProgressLine { bar: self.bar.clone(), unit: unit.into() }
    }

    pub fn hidden() -> ProgressLine {
        ProgressLine { bar: ProgressBar::hidden(), unit: Cow::Borrowed("") }
    }

    /// Shows the last interval.
    pub fn show(&self, phase: Phase, interval: &Interval) {
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
        // Latencies are recorded in the measured phase only.
        let times = if p99 > 0.0 { format!(", p50 {p50:.2} ms, p99 {p99:.2} ms") } else { String::new() };
        self.bar.set_message(format!("{phase}: {rate} {unit}/s{times}{server}"));
        self.bar.disable_steady_tick();
        self.bar.tick();
    }

    /// Shows a message, and keeps redrawing the elapsed time.
    pub fn set_message(&self, message: &'static str) {
        self.bar.set_message(message);
        self.bar.enable_steady_tick(TICK);
    }

    /// Removes the line.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
