//! The login throttle slows down password guessing: each failed try delays the next one.
//!
//! For an account and an address, five tries are free, then the wait doubles from 1 s to 300 s. For an account from all
//! addresses together, tries beyond the free ones are limited to one a second, so that an attacker cannot lock the
//! owner out for longer than that. A try counts when it begins, so parallel tries do not evade it. Success clears the
//! count. Logins by token are exempt.

use crate::limits::{FREE_TRIES, TRIES_MAX, TRY_MEMORY_MS, TRY_WAIT_MAX_S};
use crate::map::{Map, map};
use std::net::IpAddr;

/// The key of an account: its id or, if there is no such account, a hash of the name that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AccountKey(pub u64);

#[derive(Debug)]
pub(crate) struct LoginThrottle {
    by_address: Map<(AccountKey, IpAddr), Tries>,
    by_account: Map<AccountKey, Tries>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    failed: u32,
    /// When the next try may begin, monotonic ms.
    next: u64,
    last: u64,
}

impl Tries {
    fn wait(&self, now: u64) -> Option<u64> {
        (self.failed >= FREE_TRIES && now < self.next).then(|| self.next - now)
    }

    fn count(&mut self, now: u64, longest_s: u64) {
        self.failed += 1;
        self.last = now;
        let doublings = self.failed.saturating_sub(FREE_TRIES).min(16);
        self.next = now + 1000 * (1u64 << doublings).min(longest_s);
    }
}

impl LoginThrottle {
    pub fn new(seed: u64) -> LoginThrottle {
        LoginThrottle { by_address: map(seed), by_account: map(seed) }
    }

    /// Counts a try, or returns how many milliseconds to wait before the next one.
    pub fn begin(&mut self, account: AccountKey, from: IpAddr, now: u64) -> Result<(), u64> {
        let waits = [
            self.by_address.get(&(account, from)).and_then(|tries| tries.wait(now)),
            self.by_account.get(&account).and_then(|tries| tries.wait(now)),
        ];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        if self.by_address.len() >= TRIES_MAX {
            self.sweep(now);
            // Under a distributed attack, keep only addresses that failed often.
            if self.by_address.len() >= TRIES_MAX {
                self.by_address.retain(|_, tries| tries.failed >= FREE_TRIES);
            }
            if self.by_address.len() >= TRIES_MAX {
                self.by_address.clear();
            }
        }
        if self.by_account.len() >= TRIES_MAX {
            self.by_account.clear();
        }
        self.by_address.entry((account, from)).or_default().count(now, TRY_WAIT_MAX_S);
        self.by_account.entry(account).or_default().count(now, 1);
        Ok(())
    }

    /// Forgets the tries after a correct password.
    pub fn succeeded(&mut self, account: AccountKey, from: IpAddr) {
        self.by_address.remove(&(account, from));
        self.by_account.remove(&account);
    }

    /// Drops tries older than [`TRY_MEMORY_MS`].
    pub fn sweep(&mut self, now: u64) {
        self.by_address.retain(|_, tries| tries.last + TRY_MEMORY_MS > now);
        self.by_account.retain(|_, tries| tries.last + TRY_MEMORY_MS > now);
    }

    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty() && self.by_account.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: AccountKey = AccountKey(7);

    fn address(n: u8) -> IpAddr {
        [127, 0, 0, n].into()
    }

    #[test]
    fn five_tries_are_free_and_then_the_wait_doubles() {
        let mut throttle = LoginThrottle::new(1);
        let mut now = 1_000_000;
        for _ in 0..5 {
            assert_eq!(throttle.begin(ACCOUNT, address(1), now), Ok(()));
        }
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert_eq!(throttle.begin(ACCOUNT, address(1), now), Err(wait * 1000));
            assert_eq!(throttle.begin(ACCOUNT, address(1), now + wait * 1000 - 1), Err(1));
            now += wait * 1000;
            assert_eq!(throttle.begin(ACCOUNT, address(1), now), Ok(()));
        }
    }

    #[test]
    fn another_address_waits_at_most_a_second() {
        let mut throttle = LoginThrottle::new(1);
        for n in 0..40 {
            assert_eq!(throttle.begin(ACCOUNT, address(1), 1_000_000 * n), Ok(()));
        }
        let now = 1_000_000 * 39;
        assert_eq!(throttle.begin(ACCOUNT, address(2), now), Err(1000));
        assert_eq!(throttle.begin(ACCOUNT, address(2), now + 1000), Ok(()));
    }

    #[test]
    fn success_clears_the_count() {
        let mut throttle = LoginThrottle::new(1);
        for _ in 0..5 {
            throttle.begin(ACCOUNT, address(1), 0).unwrap();
        }
        throttle.succeeded(ACCOUNT, address(1));
        assert_eq!(throttle.begin(ACCOUNT, address(1), 0), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let mut throttle = LoginThrottle::new(1);
        for n in 0..3 * TRIES_MAX as u64 {
            let _ = throttle.begin(AccountKey(n), address(1), n);
        }
        assert!(throttle.by_address.len() <= TRIES_MAX && throttle.by_account.len() <= TRIES_MAX);
    }
}
