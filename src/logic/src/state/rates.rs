//! The message rate of each account: a token bucket that holds ten seconds' worth.

use crate::limits::BURST_SECONDS;
use crate::map::{Map, map};
use wire::UserId;

/// How many messages an account may send now, in thousandths of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    level: u64,
    filled_at: u64,
}

/// The rate, and the buckets of accounts that went offline before they were full again.
#[derive(Debug)]
pub(crate) struct Rates {
    /// Messages a second; 0 is no limit.
    per_second: u64,
    absent: Map<UserId, Bucket>,
}

impl Rates {
    pub fn new(per_second: u32, seed: u64) -> Rates {
        Rates { per_second: u64::from(per_second), absent: map(seed) }
    }

    fn full(&self) -> u64 {
        self.per_second * BURST_SECONDS * 1000
    }

    /// The bucket of an account that comes online.
    pub fn restore(&mut self, user: UserId, now: u64) -> Bucket {
        let full = Bucket { level: self.full(), filled_at: now };
        self.absent.remove(&user).unwrap_or(full)
    }

    /// Keeps the bucket of an account that goes offline, so that reconnecting does not fill it.
    pub fn keep(&mut self, user: UserId, mut bucket: Bucket, now: u64) {
        self.fill(&mut bucket, now);
        if bucket.level < self.full() {
            self.absent.insert(user, bucket);
        }
    }

    /// Takes a token for one message, or returns in how many milliseconds the next one is available.
    pub fn take(&self, bucket: &mut Bucket, now: u64) -> Result<(), u64> {
        if self.per_second == 0 {
            return Ok(());
        }
        self.fill(bucket, now);
        if bucket.level >= 1000 {
            bucket.level -= 1000;
            return Ok(());
        }
        Err((1000 - bucket.level).div_ceil(self.per_second).max(1))
    }

    /// Returns the token of a message that does not count towards the rate.
    pub fn put_back(&self, bucket: &mut Bucket) {
        bucket.level = (bucket.level + 1000).min(self.full());
    }

    fn fill(&self, bucket: &mut Bucket, now: u64) {
        let gained = now.saturating_sub(bucket.filled_at) * self.per_second;
        bucket.level = (bucket.level + gained).min(self.full());
        bucket.filled_at = now;
    }

    /// Drops buckets that are full again.
    pub fn sweep(&mut self, now: u64) {
        let (per_second, full) = (self.per_second, self.full());
        self.absent.retain(|_, b| b.level + now.saturating_sub(b.filled_at) * per_second < full);
    }

    pub fn is_empty(&self) -> bool {
        self.absent.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_ten_seconds_then_the_rate() {
        let mut rates = Rates::new(100, 1);
        let mut bucket = rates.restore(UserId(1), 0);
        for _ in 0..1000 {
            assert_eq!(rates.take(&mut bucket, 0), Ok(()));
        }
        assert_eq!(rates.take(&mut bucket, 0), Err(10));
        assert_eq!(rates.take(&mut bucket, 10), Ok(()));
        assert_eq!(rates.take(&mut bucket, 10), Err(10));
        rates.put_back(&mut bucket);
        assert_eq!(rates.take(&mut bucket, 10), Ok(()));
    }

    #[test]
    fn reconnecting_does_not_fill_the_bucket() {
        let mut rates = Rates::new(1, 1);
        let mut bucket = rates.restore(UserId(1), 0);
        for _ in 0..10 {
            rates.take(&mut bucket, 0).unwrap();
        }
        rates.keep(UserId(1), bucket, 0);
        let mut bucket = rates.restore(UserId(1), 100);
        assert_eq!(rates.take(&mut bucket, 100), Err(900));
        rates.keep(UserId(1), bucket, 100);
        rates.sweep(20_000);
        assert!(rates.is_empty());
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let mut rates = Rates::new(0, 1);
        let mut bucket = rates.restore(UserId(1), 0);
        assert!((0..100_000).all(|_| rates.take(&mut bucket, 0).is_ok()));
    }
}
