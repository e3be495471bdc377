//! What threads count about themselves, for whoever watches the server.
//!
//! Each counter has one writer, the thread that it belongs to; any thread reads it. So counting is a load and a store
//! without a lock prefix, and no thread waits for another. Two counters read together may be a moment apart.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows. It starts at 0 and wraps around at 2^64.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Only for the thread that owns the counter: of two concurrent additions one can be lost.
    pub fn add(&self, by: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down, never below 0.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Only for the thread that owns the gauge.
    pub fn increment(&self) {
        self.set(self.get().wrapping_add(1));
    }

    /// Only for the thread that owns the gauge.
    pub fn decrement(&self) {
        debug_assert!(self.get() > 0, "more has ended than begun");
        self.set(self.get().saturating_sub(1));
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A state that holds or does not.
#[derive(Debug, Default)]
pub struct Flag(AtomicBool);

impl Flag {
    pub fn set(&self, value: bool) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The upper bounds of the buckets of [`Durations`], microseconds. One more bucket holds what took longer.
pub const BOUNDS_US: [u64; 16] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000, 5_000_000,
];

/// How long something took, each time: a histogram with the buckets of [`BOUNDS_US`].
#[derive(Debug, Default)]
pub struct Durations {
    buckets: [Counter; BOUNDS_US.len() + 1],
    total_us: Counter,
}

impl Durations {
    /// Only for the thread that owns the histogram.
    pub fn record(&self, duration: Duration) {
        self.record_many(duration, 1);
    }

    /// Records that something took this long `times` times.
    pub fn record_many(&self, duration: Duration, times: u64) {
        let us = duration.as_micros() as u64;
        self.buckets[BOUNDS_US.partition_point(|&bound| bound < us)].add(times);
        self.total_us.add(us.saturating_mul(times));
    }

    pub fn read(&self) -> Histogram {
        Histogram {
            buckets: std::array::from_fn(|bucket| self.buckets[bucket].get()),
            total_us: self.total_us.get(),
        }
    }
}

/// What [`Durations`] held at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How often each bucket was met, not cumulative.
    pub buckets: [u64; BOUNDS_US.len() + 1],
    /// All durations together, microseconds.
    pub total_us: u64,
}

impl Histogram {
    /// Adds what another thread has recorded.
    pub fn add(&mut self, other: &Histogram) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(sum, more)| *sum += more);
        self.total_us += other.total_us;
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// An upper bound of this share (0 to 1) of the durations, microseconds; `None` if there are none, or if it lies
    /// above the last bound.
    pub fn quantile_us(&self, share: f64) -> Option<u64> {
        quantile(&self.buckets, BOUNDS_US, share)
    }
}

/// The bound of the bucket that reaches this share (0 to 1) of what all buckets hold; `None` if they are empty, or if that
/// bucket has no bound.
pub fn quantile<B>(buckets: &[u64], bounds: impl IntoIterator<Item = B>, share: f64) -> Option<B> {
    let wanted = (buckets.iter().sum::<u64>() as f64 * share).ceil() as u64;
    let mut seen = 0;
    let mut bounded = buckets.iter().zip(bounds);
    let reached = bounded.find(|&(&count, _)| {
        seen += count;
        count > 0 && seen >= wanted
    });
    reached.map(|(_, bound)| bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_holds_it() {
        let durations = Durations::default();
        for (us, bucket) in
            [(0, 0), (50, 0), (51, 1), (1_000, 4), (1_001, 5), (5_000_000, 15), (5_000_001, 16)]
        {
            let before = durations.read();
            durations.record(Duration::from_micros(us));
            let after = durations.read();
            let grown: Vec<usize> = (0..17).filter(|&at| after.buckets[at] > before.buckets[at]).collect();
            assert_eq!(grown, [bucket], "{us} us");
            assert_eq!(after.total_us - before.total_us, us);
        }
    }

    #[test]
    fn a_quantile_is_the_bound_of_the_bucket_that_reaches_it() {
        let durations = Durations::default();
        assert_eq!(durations.read().quantile_us(0.5), None);
        durations.record_many(Duration::from_micros(80), 98);
        durations.record(Duration::from_millis(3));
        durations.record(Duration::from_secs(60));
        let read = durations.read();
        assert_eq!(read.count(), 100);
        assert_eq!(read.quantile_us(0.5), Some(100));
        assert_eq!(read.quantile_us(0.99), Some(5_000));
        assert_eq!(read.quantile_us(1.0), None, "longer than the last bound");
        let mut sum = read;
        sum.add(&read);
        assert_eq!((sum.count(), sum.total_us), (200, 2 * read.total_us));
    }
}
