//! What a run measures: latencies, CPU time and memory, and the phases in which they count.

pub mod latency;
pub mod measurement;
pub mod meter;
pub mod phases;
pub mod process;
pub mod tally;

pub use latency::{Latency, Quantiles};
pub use measurement::{Baseline, Measurement};
pub use meter::Meter;
pub use phases::{Phase, Phases};
pub use process::{Sample, Usage};
pub use tally::{CutShort, Interval, Tally, ratio};
