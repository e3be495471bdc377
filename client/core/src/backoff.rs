//! [`Backoff`]: how long to wait before the next attempt.

use crate::random::Random;

/// The upper bound of the first wait, milliseconds.
pub const BASE_MS: u64 = 200;
/// The upper bound of every wait, milliseconds.
pub const CAP_MS: u64 = 10_000;

/// Exponential backoff with full jitter: each wait is drawn from 0 to a bound that doubles, so that the clients of a
/// failed node do not reconnect all at once (Brooker, "Exponential Backoff And Jitter", AWS 2015).
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Counts a failure and draws the wait after it, milliseconds.
    pub fn fail(&mut self, random: &mut Random) -> u64 {
        let wait = random.up_to(bound(self.failures));
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The upper bound of the wait after `failures` earlier failures, milliseconds.
pub fn bound(failures: u32) -> u64 {
    CAP_MS.min(BASE_MS << failures.min(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_cap() {
        let bounds: Vec<u64> = (0..8).map(bound).collect();
        assert_eq!(bounds, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(bound(u32::MAX), CAP_MS);
    }

    #[test]
    fn waits_are_spread_from_zero_to_the_bound() {
        let mut random = Random::new(1);
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..1000).map(|_| backoff.fail(&mut random)).collect();
        assert!(waits.iter().all(|wait| *wait <= CAP_MS));
        assert!(waits[10..].iter().any(|wait| *wait < 500) && waits[10..].iter().any(|wait| *wait > 9500));
        backoff.reset();
        assert!(backoff.fail(&mut random) <= BASE_MS);
    }
}
