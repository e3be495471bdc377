//! The login throttle slows down password guessing. Failures are counted in three budgets:
//!
//! | for | free failures | then |
//! |---|---|---|
//! | an account and an origin (a network, or a client that showed an old token) | 5 | the wait doubles from 1 s to 300 s |
//! | an account, from all networks that it never logged in from | 5 | one attempt a second |
//! | a network, over the distinct accounts that failed and did not log in since | 10 accounts | the wait doubles with each account |
//!
//! Nobody else's guesses hold up the owner of an account: the second budget does not apply to a network that the
//! account has logged in from, nor the third to the account's first attempt from there; neither applies to a client
//! with an old token. Logins by token are exempt.
//!
//! Attempts are checked right before the password is hashed, and hashes run one at a time, so parallel attempts do not
//! evade the budgets.

use super::bounded_map::BoundedMap;
use crate::attempt::{AccountKey, Attempt, Origin};
use crate::limits::{
    ACCOUNT_WAIT_S, FREE_ACCOUNTS, FREE_TRIES, NETWORK_MEMORY_MS, TRIES_MAX, TRY_MEMORY_MS, TRY_WAIT_MAX_S,
};
use crate::network::Network;

/// The most failed accounts remembered of a network: with more, its wait would not grow any further.
const FAILED_ACCOUNTS_MAX: usize = FREE_ACCOUNTS + 9;

#[derive(Debug)]
pub(crate) struct LoginThrottle {
    by_origin: BoundedMap<(AccountKey, Origin), Tries>,
    by_account: BoundedMap<AccountKey, Tries>,
    by_network: BoundedMap<Network, FailedAccounts>,
}

/// A budget that an attempt has used up, so that further ones must wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    /// Of the account and the origin.
    Origin,
    /// Of the account.
    Account,
    /// Of the network.
    Network,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    failed: u32,
    /// When the next attempt may begin, monotonic ms.
    next: u64,
    last: u64,
}

impl Tries {
    fn wait(&self, now: u64) -> u64 {
        if self.failed < FREE_TRIES { 0 } else { self.next.saturating_sub(now) }
    }

    fn count(&mut self, now: u64, longest_s: u64) {
        self.failed += 1;
        self.last = now;
        self.next = now + doubled_ms(self.failed.saturating_sub(FREE_TRIES), longest_s);
    }

    fn is_over(&self, now: u64) -> bool {
        self.last + TRY_MEMORY_MS <= now
    }
}

/// The accounts that failed from a network, with the time of the failure.
#[derive(Clone, Debug, Default)]
struct FailedAccounts {
    accounts: Vec<(AccountKey, u64)>,
    next: u64,
}

impl FailedAccounts {
    fn forget_old(&mut self, now: u64) {
        self.accounts.retain(|(_, at)| at + NETWORK_MEMORY_MS > now);
    }

    fn wait(&self, now: u64) -> u64 {
        let remembered = self.accounts.iter().filter(|(_, at)| at + NETWORK_MEMORY_MS > now).count();
        if remembered < FREE_ACCOUNTS { 0 } else { self.next.saturating_sub(now) }
    }

    fn count(&mut self, account: AccountKey, now: u64) {
        self.forget_old(now);
        let known = self.accounts.len();
        match self.accounts.iter_mut().find(|(key, _)| *key == account) {
            Some((_, at)) => *at = now,
            None if known < FAILED_ACCOUNTS_MAX => self.accounts.push((account, now)),
            None => {}
        }
        let doublings = self.accounts.len().saturating_sub(FREE_ACCOUNTS);
        self.next = now + doubled_ms(doublings as u32, TRY_WAIT_MAX_S);
    }
}

/// A second, doubled this many times, at most `longest_s`.
fn doubled_ms(doublings: u32, longest_s: u64) -> u64 {
    1000 * (1u64 << doublings.min(16)).min(longest_s)
}

impl LoginThrottle {
    pub fn new(seed: u64) -> LoginThrottle {
        LoginThrottle {
            by_origin: BoundedMap::new(TRIES_MAX, seed),
            by_account: BoundedMap::new(TRIES_MAX, seed),
            by_network: BoundedMap::new(TRIES_MAX, seed),
        }
    }

    /// Whether an attempt may begin now; if not, after how many milliseconds.
    pub fn check(&self, attempt: &Attempt, now: u64) -> Result<(), u64> {
        let own = self.by_origin.get(&(attempt.account, attempt.origin()));
        let mut wait = own.map_or(0, |tries| tries.wait(now));
        if attempt.client.is_none() {
            // The account's first attempt from a network that it knows is not held up by what others do there.
            let is_first =
                attempt.is_familiar && own.is_none_or(|tries| tries.failed == 0 || tries.is_over(now));
            if !is_first {
                wait = wait.max(self.by_network.get(&attempt.network).map_or(0, |failed| failed.wait(now)));
            }
            if !attempt.is_familiar {
                wait = wait.max(self.by_account.get(&attempt.account).map_or(0, |tries| tries.wait(now)));
            }
        }
        if wait == 0 { Ok(()) } else { Err(wait) }
    }

    /// Counts an attempt with a wrong password. Returns the budgets that it used up.
    pub fn failed(&mut self, attempt: &Attempt, now: u64) -> impl Iterator<Item = Exhausted> + use<> {
        let key = (attempt.account, attempt.origin());
        let tries = count(&mut self.by_origin, key, now, TRY_WAIT_MAX_S);
        let mut exhausted = [(tries == FREE_TRIES).then_some(Exhausted::Origin), None, None];
        if attempt.client.is_none() {
            let mut failed = self.by_network.get(&attempt.network).cloned().unwrap_or_default();
            let before = failed.accounts.len();
            failed.count(attempt.account, now);
            let accounts = failed.accounts.len();
            let is_crossed = before < FREE_ACCOUNTS && accounts >= FREE_ACCOUNTS;
            exhausted[2] = is_crossed.then_some(Exhausted::Network);
            self.by_network.insert(attempt.network, (accounts as u32, now), failed);
            if !attempt.is_familiar {
                let tries = count(&mut self.by_account, attempt.account, now, ACCOUNT_WAIT_S);
                exhausted[1] = (tries == FREE_TRIES).then_some(Exhausted::Account);
            }
        }
        exhausted.into_iter().flatten()
    }

    /// Forgets the failures of an account at an origin after a right password there. Returns whether there were any.
    ///
    /// The account's failures from elsewhere stay: they may be guesses, and do not hold up the owner.
    pub fn succeeded(&mut self, attempt: &Attempt) -> bool {
        let mut had_failed = self.by_origin.remove(&(attempt.account, attempt.origin())).is_some();
        if let Some(failed) = self.by_network.get(&attempt.network)
            && failed.accounts.iter().any(|(account, _)| *account == attempt.account)
        {
            had_failed = true;
            let mut failed = failed.clone();
            failed.accounts.retain(|(account, _)| *account != attempt.account);
            match failed.accounts.iter().map(|(_, at)| *at).max() {
                Some(last) => {
                    let value = (failed.accounts.len() as u32, last);
                    self.by_network.insert(attempt.network, value, failed);
                }
                None => {
                    self.by_network.remove(&attempt.network);
                }
            }
        }
        had_failed
    }

    /// Drops what is old enough to be forgotten.
    pub fn sweep(&mut self, now: u64) {
        self.by_origin.retain(|tries| !tries.is_over(now));
        self.by_account.retain(|tries| !tries.is_over(now));
        self.by_network.retain(|failed| failed.accounts.iter().any(|(_, at)| at + NETWORK_MEMORY_MS > now));
    }

    pub fn is_empty(&self) -> bool {
        self.by_origin.is_empty() && self.by_account.is_empty() && self.by_network.is_empty()
    }
}

/// Counts a failure and returns how many there are.
fn count<K: Copy + Ord + std::hash::Hash>(
    map: &mut BoundedMap<K, Tries>,
    key: K,
    now: u64,
    longest_s: u64,
) -> u32 {
    let mut tries = map.get(&key).copied().filter(|tries| !tries.is_over(now)).unwrap_or_default();
    tries.count(now, longest_s);
    map.insert(key, (tries.failed, tries.last), tries);
    tries.failed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::ClientKey;

    const OWNER: AccountKey = AccountKey(7);

    fn network(n: u32) -> Network {
        Network::of(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into())
    }

    fn from(n: u32) -> Attempt {
        Attempt { account: OWNER, network: network(n), client: None, is_familiar: false }
    }

    fn fail(throttle: &mut LoginThrottle, attempt: &Attempt, now: u64) -> Vec<Exhausted> {
        throttle.failed(attempt, now).collect()
    }

    #[test]
    fn five_tries_are_free_and_then_the_wait_doubles() {
        let mut throttle = LoginThrottle::new(1);
        let mut now = 1_000_000;
        for n in 1..=5 {
            assert_eq!(throttle.check(&from(1), now), Ok(()));
            let exhausted = fail(&mut throttle, &from(1), now);
            assert_eq!(exhausted.contains(&Exhausted::Origin), n == 5);
        }
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert_eq!(throttle.check(&from(1), now), Err(wait * 1000));
            assert_eq!(throttle.check(&from(1), now + wait * 1000 - 1), Err(1));
            now += wait * 1000;
            assert_eq!(throttle.check(&from(1), now), Ok(()));
            fail(&mut throttle, &from(1), now);
        }
    }

    #[test]
    fn an_unfamiliar_network_waits_at_most_a_second_for_others() {
        let mut throttle = LoginThrottle::new(1);
        for n in 0..40 {
            fail(&mut throttle, &from(n), 1_000);
        }
        assert_eq!(throttle.check(&from(99), 1_000), Err(1_000));
        assert_eq!(throttle.check(&from(99), 2_000), Ok(()));
    }

    #[test]
    fn others_never_hold_up_a_familiar_network_or_a_client_with_an_old_token() {
        let mut throttle = LoginThrottle::new(1);
        let owner = Attempt { is_familiar: true, ..from(50_000) };
        let with_token = Attempt { client: Some(ClientKey(1)), ..from(60_000) };
        for n in 0..10_000 {
            fail(&mut throttle, &from(n), u64::from(n));
            assert_eq!(throttle.check(&owner, u64::from(n)), Ok(()));
            assert_eq!(throttle.check(&with_token, u64::from(n)), Ok(()));
        }
        // Their own failures count.
        for attempt in [owner, with_token] {
            for _ in 0..5 {
                assert_eq!(throttle.check(&attempt, 0), Ok(()));
                fail(&mut throttle, &attempt, 0);
            }
            assert_eq!(throttle.check(&attempt, 0), Err(1_000));
        }
        // A client with a token is not held up by guesses from its own network either.
        let beside = Attempt { client: Some(ClientKey(2)), ..owner };
        assert_eq!(throttle.check(&beside, 0), Ok(()));
    }

    #[test]
    fn a_network_may_fail_for_ten_accounts() {
        let mut throttle = LoginThrottle::new(1);
        let at = |account| Attempt { account: AccountKey(account), ..from(1) };
        for account in 0..10 {
            assert_eq!(throttle.check(&at(account), 0), Ok(()));
            let exhausted = fail(&mut throttle, &at(account), 0);
            assert_eq!(exhausted, if account == 9 { vec![Exhausted::Network] } else { vec![] });
        }
        let mut now = 0;
        for (account, wait) in (10..).zip([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]) {
            assert_eq!(throttle.check(&at(account), now), Err(wait * 1000));
            now += wait * 1000;
            fail(&mut throttle, &at(account), now);
        }
        // An account that logged in there before has one attempt, and no more.
        let familiar = Attempt { is_familiar: true, ..at(100) };
        assert_eq!(throttle.check(&familiar, now), Ok(()));
        fail(&mut throttle, &familiar, now);
        assert_eq!(throttle.check(&familiar, now), Err(300_000));
        // An hour later all is forgotten.
        assert_eq!(throttle.check(&at(100), now + NETWORK_MEMORY_MS), Ok(()));
        throttle.sweep(now + NETWORK_MEMORY_MS);
        assert!(throttle.is_empty());
    }

    #[test]
    fn an_office_whose_people_mistype_and_then_log_in_is_not_held_up() {
        let mut throttle = LoginThrottle::new(1);
        for account in 0..1_000 {
            let attempt = Attempt { account: AccountKey(account), ..from(1) };
            assert_eq!(throttle.check(&attempt, 0), Ok(()));
            fail(&mut throttle, &attempt, 0);
            assert!(throttle.succeeded(&attempt) && !throttle.succeeded(&attempt));
        }
        assert!(throttle.by_network.is_empty() && throttle.by_origin.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_repeated_failures_are_kept() {
        let mut throttle = LoginThrottle::new(1);
        for _ in 0..6 {
            fail(&mut throttle, &from(0), 0);
        }
        for n in 1..2 * TRIES_MAX as u32 {
            let attempt = Attempt { account: AccountKey(u64::from(n) + 100), ..from(n) };
            fail(&mut throttle, &attempt, u64::from(n));
        }
        assert!(throttle.by_origin.len() <= TRIES_MAX);
        assert!(throttle.by_account.len() <= TRIES_MAX);
        assert!(throttle.by_network.len() <= TRIES_MAX);
        assert_eq!(throttle.check(&from(0), 0), Err(2_000));
    }
}
