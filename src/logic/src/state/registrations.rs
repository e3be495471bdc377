//! How many accounts a network may register: `per_hour`, at once or spread over the hour.

use super::bounded_map::BoundedMap;
use crate::limits::TRIES_MAX;
use crate::network::Network;

const HOUR_US: u64 = 3_600_000_000;

#[derive(Debug)]
pub(crate) struct Registrations {
    /// The share of the hour that one registration takes, microseconds; 0: no limit.
    interval: u64,
    /// When each network's budget is full again, monotonic microseconds (the theoretical arrival time of the generic
    /// cell rate algorithm, ITU-T I.371). The one that is full soonest is the least valuable.
    full_at: BoundedMap<Network, u64>,
}

impl Registrations {
    /// `per_hour`: 0 is no limit.
    pub fn new(per_hour: u32, seed: u64) -> Registrations {
        let interval = HOUR_US.checked_div(u64::from(per_hour)).unwrap_or(0);
        Registrations { interval, full_at: BoundedMap::new(TRIES_MAX, seed) }
    }

    /// Whether one more registration is within the budget; if not, after how many milliseconds.
    pub fn check(&self, network: Network, now: u64) -> Result<(), u64> {
        let now = now * 1_000;
        let used = self.full_at.get(&network).map_or(0, |full_at| full_at.saturating_sub(now));
        let over = (used + self.interval).saturating_sub(HOUR_US);
        if over == 0 { Ok(()) } else { Err(over.div_ceil(1_000)) }
    }

    /// Counts a registration, or returns after how many milliseconds the next one is within the budget.
    pub fn take(&mut self, network: Network, now: u64) -> Result<(), u64> {
        self.check(network, now)?;
        if self.interval > 0 {
            let from = self.full_at.get(&network).map_or(0, |full_at| *full_at).max(now * 1_000);
            self.set(network, from + self.interval);
        }
        Ok(())
    }

    /// Returns a registration that did not take place.
    pub fn give_back(&mut self, network: Network) {
        if let Some(full_at) = self.full_at.get(&network) {
            self.set(network, full_at.saturating_sub(self.interval));
        }
    }

    fn set(&mut self, network: Network, full_at: u64) {
        self.full_at.insert(network, (0, full_at), full_at);
    }

    /// Drops budgets that are full.
    pub fn sweep(&mut self, now: u64) {
        self.full_at.retain(|full_at| *full_at > now * 1_000);
    }

    pub fn is_empty(&self) -> bool {
        self.full_at.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: u32) -> Network {
        Network::of(std::net::Ipv4Addr::from_bits(n).into())
    }

    #[test]
    fn twenty_an_hour_from_each_address() {
        let mut registrations = Registrations::new(20, 1);
        for n in 1..=2 {
            for _ in 0..20 {
                assert_eq!(registrations.take(network(n), 5), Ok(()));
            }
            assert_eq!(registrations.take(network(n), 5), Err(180_000));
            assert_eq!(registrations.take(network(n), 180_004), Err(1));
        }
        assert_eq!(registrations.take(network(1), 180_005), Ok(()));
        assert_eq!(registrations.take(network(1), 180_005), Err(180_000));
        registrations.give_back(network(1));
        assert_eq!(registrations.check(network(1), 180_005), Ok(()));
        registrations.sweep(3_600_005 + 180_000);
        assert!(registrations.is_empty());
    }

    #[test]
    fn zero_is_no_limit() {
        let mut registrations = Registrations::new(0, 1);
        assert!((0..100_000).all(|_| registrations.take(network(1), 0).is_ok()) && registrations.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_used_budgets_are_kept() {
        let mut registrations = Registrations::new(20, 1);
        for _ in 0..20 {
            registrations.take(network(0), 0).unwrap();
        }
        for n in 1..2 * TRIES_MAX as u32 {
            registrations.take(network(n), 0).unwrap();
        }
        assert!(registrations.full_at.len() <= TRIES_MAX);
        assert!(registrations.take(network(0), 0).is_err());
    }
}
