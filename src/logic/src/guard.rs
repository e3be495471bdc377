//! Against password guessing: every failed try makes the next one wait.
//!
//! Per (account, address): five free, then 1, 2, 4 … 300 s. Per account alone: beyond the free ones at most one a
//! second, whatever the number of addresses, so that nobody can lock another out for longer than that. A try counts
//! when it begins, so a hundred at once are no way around it; success forgets them. Tokens are exempt.

use crate::limits::{FREE_TRIES, TRIES_MAX, TRY_MEMORY_MS, TRY_WAIT_MAX_S};
use crate::map::{Map, map};
use std::net::IpAddr;

/// An account as the guard knows it: its id, or what its unknown name hashes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Suspect(pub u64);

#[derive(Debug)]
pub(crate) struct Guard {
    by_address: Map<(Suspect, IpAddr), Tries>,
    by_account: Map<Suspect, Tries>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    failed: u32,
    /// No earlier than this, monotonic ms.
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

impl Guard {
    pub fn new(seed: u64) -> Guard {
        Guard { by_address: map(seed), by_account: map(seed) }
    }

    /// Counts a try, or says how many milliseconds to wait before one.
    pub fn begin(&mut self, who: Suspect, from: IpAddr, now: u64) -> Result<(), u64> {
        let waits = [
            self.by_address.get(&(who, from)).and_then(|tries| tries.wait(now)),
            self.by_account.get(&who).and_then(|tries| tries.wait(now)),
        ];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        if self.by_address.len() >= TRIES_MAX {
            self.sweep(now);
            // Under attack from everywhere, only who failed often is worth the memory.
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
        self.by_address.entry((who, from)).or_default().count(now, TRY_WAIT_MAX_S);
        self.by_account.entry(who).or_default().count(now, 1);
        Ok(())
    }

    /// The password was right.
    pub fn succeeded(&mut self, who: Suspect, from: IpAddr) {
        self.by_address.remove(&(who, from));
        self.by_account.remove(&who);
    }

    /// Forgets what is long past.
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

    const WHO: Suspect = Suspect(7);

    fn address(n: u8) -> IpAddr {
        [127, 0, 0, n].into()
    }

    #[test]
    fn five_are_free_then_each_waits_twice_as_long() {
        let mut guard = Guard::new(1);
        let mut now = 1_000_000;
        for _ in 0..5 {
            assert_eq!(guard.begin(WHO, address(1), now), Ok(()));
        }
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert_eq!(guard.begin(WHO, address(1), now), Err(wait * 1000));
            assert_eq!(guard.begin(WHO, address(1), now + wait * 1000 - 1), Err(1));
            now += wait * 1000;
            assert_eq!(guard.begin(WHO, address(1), now), Ok(()));
        }
    }

    #[test]
    fn another_address_waits_a_second_at_most() {
        let mut guard = Guard::new(1);
        for n in 0..40 {
            assert_eq!(guard.begin(WHO, address(1), 1_000_000 * n), Ok(()));
        }
        let now = 1_000_000 * 39;
        assert_eq!(guard.begin(WHO, address(2), now), Err(1000));
        assert_eq!(guard.begin(WHO, address(2), now + 1000), Ok(()));
    }

    #[test]
    fn success_forgets() {
        let mut guard = Guard::new(1);
        for _ in 0..5 {
            guard.begin(WHO, address(1), 0).unwrap();
        }
        guard.succeeded(WHO, address(1));
        assert_eq!(guard.begin(WHO, address(1), 0), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let mut guard = Guard::new(1);
        for n in 0..3 * TRIES_MAX as u64 {
            let _ = guard.begin(Suspect(n), address(1), n);
        }
        assert!(guard.by_address.len() <= TRIES_MAX && guard.by_account.len() <= TRIES_MAX);
    }
}
