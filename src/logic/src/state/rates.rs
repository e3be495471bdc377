//! Budgets over time: token buckets that hold ten seconds' worth.
//!
//! A bucket is one number, the time at which it is full again (the generic cell rate algorithm, ITU-T I.371). Each
//! account has one for messages and one for requests; before login, the requests of a client count against its network.

use crate::limits::{BURST_SECONDS, NETWORKS_MAX};
use crate::map::{Map, map};
use crate::network::Network;
use wire::UserId;

/// What one unit of a budget costs. Costs are in thousandths of it.
pub(crate) const UNIT: u64 = 1_000;

/// When a bucket is full again, in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket(u64);

/// The buckets of an account.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Buckets {
    pub messages: Bucket,
    pub requests: Bucket,
}

/// How fast a bucket fills.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Units a second; 0: no limit.
    per_second: u64,
}

const NANOS: u64 = 1_000_000_000;
const BURST: u64 = BURST_SECONDS * NANOS;

impl Rate {
    fn nanos(self, cost: u64) -> u64 {
        cost * (NANOS / UNIT) / self.per_second
    }

    /// Takes from the bucket, or returns in how many milliseconds it holds enough. `now`: monotonic ms.
    pub fn take(self, bucket: &mut Bucket, cost: u64, now: u64) -> Result<(), u64> {
        if self.per_second == 0 {
            return Ok(());
        }
        let now = now * (NANOS / 1_000);
        let full_at = bucket.0.max(now) + self.nanos(cost);
        match (full_at - now).checked_sub(BURST) {
            None | Some(0) => {
                bucket.0 = full_at;
                Ok(())
            }
            Some(missing) => Err(missing.div_ceil(NANOS / 1_000)),
        }
    }

    /// Returns what was taken for something that does not count.
    pub fn put_back(self, bucket: &mut Bucket, cost: u64) {
        if self.per_second > 0 {
            bucket.0 = bucket.0.saturating_sub(self.nanos(cost));
        }
    }
}

impl Bucket {
    fn is_full(self, now: u64) -> bool {
        self.0 <= now * (NANOS / 1_000)
    }
}

impl Buckets {
    fn are_full(self, now: u64) -> bool {
        self.messages.is_full(now) && self.requests.is_full(now)
    }
}

/// The rates, and the buckets that belong to no session and are not full.
#[derive(Debug)]
pub(crate) struct Rates {
    pub messages: Rate,
    pub requests: Rate,
    absent: Map<UserId, Buckets>,
    networks: Map<Network, Bucket>,
}

impl Rates {
    pub fn new(messages: u32, requests: u32, seed: u64) -> Rates {
        let rate = |per_second: u32| Rate { per_second: per_second.into() };
        Rates { messages: rate(messages), requests: rate(requests), absent: map(seed), networks: map(seed) }
    }

    /// The buckets of an account that comes online.
    pub fn restore(&mut self, user: UserId) -> Buckets {
        self.absent.remove(&user).unwrap_or_default()
    }

    /// Keeps the buckets of an account that goes offline, so that reconnecting does not fill them.
    pub fn keep(&mut self, user: UserId, buckets: Buckets, now: u64) {
        if !buckets.are_full(now) {
            self.absent.insert(user, buckets);
        }
    }

    /// Takes from the requests of a network, or returns in how many milliseconds it has enough.
    pub fn take_from_network(&mut self, network: Network, cost: u64, now: u64) -> Result<(), u64> {
        if self.requests.per_second == 0 {
            return Ok(());
        }
        if self.networks.len() >= NETWORKS_MAX && !self.networks.contains_key(&network) {
            self.networks.retain(|_, bucket| !bucket.is_full(now));
            if self.networks.len() >= NETWORKS_MAX {
                self.networks.clear();
            }
        }
        self.requests.take(self.networks.entry(network).or_default(), cost, now)
    }

    /// Drops buckets that are full again.
    pub fn sweep(&mut self, now: u64) {
        self.absent.retain(|_, buckets| !buckets.are_full(now));
        self.networks.retain(|_, bucket| !bucket.is_full(now));
    }

    pub fn is_empty(&self) -> bool {
        self.absent.is_empty() && self.networks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn a_burst_of_ten_seconds_then_the_rate() {
        let mut rates = Rates::new(100, 0, 1);
        let (rate, mut bucket) = (rates.messages, rates.restore(UserId(1)).messages);
        for _ in 0..1000 {
            assert_eq!(rate.take(&mut bucket, UNIT, 0), Ok(()));
        }
        assert_eq!(rate.take(&mut bucket, UNIT, 0), Err(10));
        assert_eq!(rate.take(&mut bucket, UNIT, 10), Ok(()));
        assert_eq!(rate.take(&mut bucket, UNIT, 10), Err(10));
        rate.put_back(&mut bucket, UNIT);
        assert_eq!(rate.take(&mut bucket, UNIT, 10), Ok(()));
        assert_eq!(rate.take(&mut bucket, 5 * UNIT, 10), Err(50));
        assert_eq!(rate.take(&mut bucket, UNIT / 10, 10), Err(1));
    }

    #[test]
    fn reconnecting_does_not_fill_the_bucket() {
        let mut rates = Rates::new(1, 1, 1);
        let mut buckets = rates.restore(UserId(1));
        for _ in 0..10 {
            rates.messages.take(&mut buckets.messages, UNIT, 0).unwrap();
        }
        rates.keep(UserId(1), buckets, 0);
        let mut buckets = rates.restore(UserId(1));
        assert_eq!(rates.messages.take(&mut buckets.messages, UNIT, 100), Err(900));
        rates.keep(UserId(1), buckets, 100);
        rates.sweep(20_000);
        assert!(rates.is_empty());
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let mut rates = Rates::new(0, 0, 1);
        let (rate, mut bucket) = (rates.messages, Bucket::default());
        assert!((0..100_000).all(|_| rate.take(&mut bucket, UNIT, 0).is_ok()));
        assert!((0..100_000).all(|_| {
            rates.take_from_network(Network::of(Ipv4Addr::from_bits(1).into()), UNIT, 0).is_ok()
        }));
        assert!(rates.is_empty());
    }

    #[test]
    fn networks_have_buckets_of_their_own_and_bounded_memory() {
        let mut rates = Rates::new(0, 1, 1);
        for _ in 0..10 {
            rates.take_from_network(Network::of(Ipv4Addr::from_bits(1).into()), UNIT, 0).unwrap();
        }
        assert_eq!(rates.take_from_network(Network::of(Ipv4Addr::from_bits(1).into()), UNIT, 0), Err(1_000));
        for other in 0..2 * NETWORKS_MAX as u64 {
            assert_eq!(
                rates.take_from_network(
                    Network::of(Ipv6Addr::from_bits(u128::from(other) << 64).into()),
                    UNIT,
                    0
                ),
                Ok(())
            );
        }
        assert!(rates.networks.len() <= NETWORKS_MAX);
        rates.sweep(20_000);
        assert!(rates.is_empty());
    }
}
