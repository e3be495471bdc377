//! Token buckets: a budget over time, in one number.
//!
//! A bucket is the time at which it is full again (the generic cell rate algorithm, ITU-T I.371).

use crate::limits::BURST_SECONDS;

/// What one unit of a budget costs. Costs are in thousandths of it.
pub(crate) const UNIT: u64 = 1_000;

const NANOS: u64 = 1_000_000_000;
const HOUR: u64 = 3_600 * NANOS;

/// When a bucket is full again, in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket(u64);

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Units in each window; 0: no limit.
    units: u64,
    /// The length of a window, nanoseconds.
    window: u64,
    /// Nanoseconds in which an empty bucket fills.
    burst: u64,
}

impl Rate {
    /// Units a second, in bursts of [`BURST_SECONDS`]' worth; 0: no limit.
    pub fn per_second(units: u32) -> Rate {
        Rate { units: units.into(), window: NANOS, burst: BURST_SECONDS * NANOS }
    }

    /// Units an hour, at once or spread over it; 0: no limit.
    pub fn per_hour(units: u32) -> Rate {
        Rate { units: units.into(), window: HOUR, burst: HOUR }
    }

    pub fn is_unlimited(self) -> bool {
        self.units == 0
    }

    fn nanos(self, cost: u64) -> u64 {
        cost * (self.window / UNIT) / self.units
    }

    /// The bucket after a cost, or in how many milliseconds it holds enough. `now`: monotonic ms.
    pub fn after(self, bucket: Bucket, cost: u64, now: u64) -> Result<Bucket, u64> {
        if self.is_unlimited() {
            return Ok(bucket);
        }
        let now = now * (NANOS / 1_000);
        let full_at = bucket.0.max(now) + self.nanos(cost);
        match (full_at - now).checked_sub(self.burst) {
            None | Some(0) => Ok(Bucket(full_at)),
            Some(missing) => Err(missing.div_ceil(NANOS / 1_000)),
        }
    }

    /// Takes from the bucket, or returns in how many milliseconds it holds enough.
    pub fn take(self, bucket: &mut Bucket, cost: u64, now: u64) -> Result<(), u64> {
        *bucket = self.after(*bucket, cost, now)?;
        Ok(())
    }

    /// Returns what was taken for something that does not count.
    pub fn put_back(self, bucket: &mut Bucket, cost: u64) {
        if !self.is_unlimited() {
            bucket.0 = bucket.0.saturating_sub(self.nanos(cost));
        }
    }
}

impl Bucket {
    pub fn is_full(self, now: u64) -> bool {
        self.0 <= now * (NANOS / 1_000)
    }

    /// Orders buckets by how much was taken from them.
    pub fn full_at(self) -> u64 {
        self.0
    }
}
