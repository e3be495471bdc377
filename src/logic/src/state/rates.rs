//! The budgets of messages and requests. Each account has a bucket of each; before login, the requests of a client count
//! against its network.

use super::bucket::{Bucket, Rate};
use super::network_buckets::NetworkBuckets;
use crate::limits::NETWORKS_MAX;
use crate::map::{Map, map};
use crate::network::Network;
use wire::UserId;

/// The buckets of an account.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Buckets {
    pub messages: Bucket,
    pub requests: Bucket,
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
    /// Of the requests of clients that are not logged in.
    networks: NetworkBuckets,
}

impl Rates {
    pub fn new(messages: u32, requests: u32, seed: u64) -> Rates {
        let (messages, requests) = (Rate::per_second(messages), Rate::per_second(requests));
        let networks = NetworkBuckets::new(requests, NETWORKS_MAX, seed);
        Rates { messages, requests, absent: map(seed), networks }
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
        self.networks.take(network, cost, now)
    }

    /// Drops buckets that are full again.
    pub fn sweep(&mut self, now: u64) {
        self.absent.retain(|_, buckets| !buckets.are_full(now));
        self.networks.sweep(now);
    }

    pub fn is_empty(&self) -> bool {
        self.absent.is_empty() && self.networks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::bucket::UNIT;
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
