//! What a run measures: latencies, the window in which they count, and what it cost.

pub mod latency;
pub mod process;
pub mod window;

pub use latency::{Latency, Quantiles};
pub use process::{Sample, Usage};
pub use window::{Measured, Phase, Window};
