//! Whether the generator, not the server, limited what was measured.

use crate::clock::MILLISECOND;
use crate::measure::{Measurement, Tally};

/// Shorter measurements, ns, do not show what limited them.
const SHORTEST: u64 = 100 * MILLISECOND;
/// A generator that stalled for longer, ns, has measured itself.
const STALL: u64 = 200 * MILLISECOND;
/// A generator that used, or wanted, more of its cores than this limited the run.
const SATURATED: f64 = 0.95;
/// Latencies say nothing about the server when the generator was this late at p99, us, and that is more than this share
/// of the latency at p99.
const LATE_US: f64 = 200.0;
const LATE_SHARE: f64 = 0.2;

/// Why the generator limited the measurement; `None` where it did not.
pub fn bottleneck(measurement: &Measurement) -> Option<String> {
    let tally = &measurement.tally;
    let Tally { generator, generators, lag, latency, nanoseconds, stalled_ns, .. } = tally;
    if *nanoseconds < SHORTEST {
        return None;
    }
    if *stalled_ns > STALL {
        let seconds = *stalled_ns as f64 / 1e9;
        return Some(format!("the generator was the bottleneck: it stalled for {seconds:.1} s"));
    }
    let processes = f64::from((*generators).max(1));
    let (used, starved) = (tally.cores(generator.cpu_ns), tally.cores(generator.starved_ns));
    // A thread runs on one core at a time, so one saturated thread is enough.
    if used > SATURATED * processes || tally.cores(generator.busiest_ns()) > SATURATED {
        return Some(
            "the generator was the bottleneck: it used all of its core; the server can do more than this"
                .into(),
        );
    }
    if used + starved > SATURATED * processes && starved > 0.2 * used {
        let seconds = *nanoseconds as f64 / 1e9;
        return Some(format!(
            "the generator was the bottleneck: it waited for a CPU for {:.1} of {seconds:.1} s",
            starved * seconds / processes
        ));
    }
    let (late, all) = (lag.quantiles().p99, latency.quantiles().p99);
    (lag.count() > 0 && late > LATE_US && late > LATE_SHARE * all).then(|| {
        format!("the generator was the bottleneck: at p99 it sent {late:.0} us late, with a latency of {all:.0} us")
    })
}
