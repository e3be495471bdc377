//! What a run measures: latencies, the window in which they count, and what it cost.

pub mod latency;
pub mod meter;
pub mod phases;
pub mod process;
pub mod tally;

pub use latency::{Latency, Quantiles};
pub use meter::Meter;
pub use phases::{Phase, Phases};
pub use process::{Sample, Usage};
pub use tally::{CutShort, Interval, Tally, ratio};
