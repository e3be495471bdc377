//! [`NetworkBuckets`]: a bucket for each network that has used some of its budget.

use super::bounded_map::BoundedMap;
use super::bucket::{Bucket, Rate};
use crate::network::Network;

#[derive(Debug)]
pub(crate) struct NetworkBuckets {
    rate: Rate,
    /// The bucket that is full soonest is the least valuable.
    buckets: BoundedMap<Network, Bucket>,
}

impl NetworkBuckets {
    /// Keeps at most `capacity` buckets.
    pub fn new(rate: Rate, capacity: usize, seed: u64) -> NetworkBuckets {
        NetworkBuckets { rate, buckets: BoundedMap::new(capacity, seed) }
    }

    /// Whether a cost is within the budget; if not, after how many milliseconds.
    pub fn check(&self, network: Network, cost: u64, now: u64) -> Result<(), u64> {
        self.rate.after(self.of(network), cost, now).map(drop)
    }

    /// Takes from a network's bucket, or returns after how many milliseconds that is within the budget.
    pub fn take(&mut self, network: Network, cost: u64, now: u64) -> Result<(), u64> {
        let bucket = self.rate.after(self.of(network), cost, now)?;
        if !self.rate.is_unlimited() {
            self.set(network, bucket);
        }
        Ok(())
    }

    /// Returns what was taken for something that did not take place.
    pub fn put_back(&mut self, network: Network, cost: u64) {
        if let Some(mut bucket) = self.buckets.get(&network).copied() {
            self.rate.put_back(&mut bucket, cost);
            self.set(network, bucket);
        }
    }

    fn of(&self, network: Network) -> Bucket {
        self.buckets.get(&network).copied().unwrap_or_default()
    }

    fn set(&mut self, network: Network, bucket: Bucket) {
        self.buckets.insert(network, (0, bucket.full_at()), bucket);
    }

    /// Drops buckets that are full again.
    pub fn sweep(&mut self, now: u64) {
        self.buckets.retain(|bucket| !bucket.is_full(now));
    }

    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.buckets.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::bucket::UNIT;
    use super::*;
    use crate::limits::TRIES_MAX;

    fn network(n: u32) -> Network {
        Network::of(std::net::Ipv4Addr::from_bits(n).into())
    }

    fn per_hour(units: u32) -> NetworkBuckets {
        NetworkBuckets::new(Rate::per_hour(units), TRIES_MAX, 1)
    }

    #[test]
    fn twenty_an_hour_from_each_address() {
        let mut registrations = per_hour(20);
        for n in 1..=2 {
            for _ in 0..20 {
                assert_eq!(registrations.take(network(n), UNIT, 5), Ok(()));
            }
            assert_eq!(registrations.take(network(n), UNIT, 5), Err(180_000));
            assert_eq!(registrations.take(network(n), UNIT, 180_004), Err(1));
        }
        assert_eq!(registrations.take(network(1), UNIT, 180_005), Ok(()));
        assert_eq!(registrations.take(network(1), UNIT, 180_005), Err(180_000));
        registrations.put_back(network(1), UNIT);
        assert_eq!(registrations.check(network(1), UNIT, 180_005), Ok(()));
        registrations.sweep(3_600_005 + 180_000);
        assert!(registrations.is_empty());
    }

    #[test]
    fn zero_is_no_limit() {
        let mut registrations = per_hour(0);
        assert!((0..100_000).all(|_| registrations.take(network(1), UNIT, 0).is_ok()));
        assert!(registrations.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_used_budgets_are_kept() {
        let mut registrations = per_hour(20);
        for _ in 0..20 {
            registrations.take(network(0), UNIT, 0).unwrap();
        }
        for n in 1..2 * TRIES_MAX as u32 {
            registrations.take(network(n), UNIT, 0).unwrap();
        }
        assert!(registrations.len() <= TRIES_MAX);
        assert!(registrations.take(network(0), UNIT, 0).is_err());
    }
}
