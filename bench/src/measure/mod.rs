//! What a run measures: latencies, the window in which they count, and what it cost.

pub mod latency;
pub mod meter;
pub mod process;
pub mod tally;
pub mod window;

pub use latency::{Latency, Quantiles};
pub use meter::Meter;
pub use process::{Sample, Usage};
pub use tally::{Cut, Moment, Tally, ratio};
pub use window::{Phase, Window};
