//! The order in which passwords are hashed. Hashing is the most expensive thing that a client without a login can ask
//! for, so one address must not take it from the others.
//!
//! Logins and registrations wait apart. In each, the addresses take turns, and each address has its own queue. The
//! password thread gets one job at a time, so a login waits for the running job, for at most one job of each other
//! address, and for one registration in every [`LOGINS_IN_A_ROW`] logins.

use crate::map::{Map, map};
use crate::network::Network;
use std::collections::VecDeque;

/// Waiting logins are preferred to waiting registrations this many times in a row.
const LOGINS_IN_A_ROW: u32 = 3;
/// The most jobs of each class that wait on behalf of one address.
pub(crate) const PER_NETWORK: usize = 256;
/// The most jobs of each class that wait.
pub(crate) const WAITING: usize = 512;

/// What a password is hashed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Login,
    Registration,
}

/// The waiting jobs.
#[derive(Debug)]
pub(crate) struct PasswordQueue<J> {
    logins: FairQueue<J>,
    registrations: FairQueue<J>,
    /// Logins taken since the last registration.
    logins_in_a_row: u32,
}

/// What became of a job that was added.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Added<J> {
    Queued,
    /// It waits instead of this one, the newest of the address with the most jobs.
    Displaced(J),
    /// The job itself: its address has too many waiting already.
    Full(J),
}

impl<J> PasswordQueue<J> {
    pub fn new(seed: u64) -> PasswordQueue<J> {
        PasswordQueue {
            logins: FairQueue::new(seed),
            registrations: FairQueue::new(seed),
            logins_in_a_row: 0,
        }
    }

    pub fn add(&mut self, class: Class, network: Network, job: J) -> Added<J> {
        self.class_mut(class).add(network, job)
    }

    /// Takes the job to run next.
    pub fn take(&mut self) -> Option<J> {
        let is_turn_of_registrations = self.logins.is_empty()
            || self.logins_in_a_row >= LOGINS_IN_A_ROW && !self.registrations.is_empty();
        if is_turn_of_registrations {
            self.logins_in_a_row = 0;
            return self.registrations.take();
        }
        self.logins_in_a_row += 1;
        self.logins.take()
    }

    /// How many jobs wait.
    pub fn len(&self) -> usize {
        self.logins.len + self.registrations.len
    }

    fn class_mut(&mut self, class: Class) -> &mut FairQueue<J> {
        match class {
            Class::Login => &mut self.logins,
            Class::Registration => &mut self.registrations,
        }
    }
}

/// A queue for each address; the addresses take turns.
#[derive(Debug)]
struct FairQueue<J> {
    by_network: Map<Network, VecDeque<J>>,
    /// The addresses that have jobs, the next one first.
    turns: VecDeque<Network>,
    len: usize,
}

impl<J> FairQueue<J> {
    fn new(seed: u64) -> FairQueue<J> {
        FairQueue { by_network: map(seed), turns: VecDeque::new(), len: 0 }
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn add(&mut self, network: Network, job: J) -> Added<J> {
        let waiting = self.by_network.get(&network).map_or(0, VecDeque::len);
        if waiting >= PER_NETWORK {
            return Added::Full(job);
        }
        let mut displaced = None;
        if self.len >= WAITING {
            // Runs only while the queue is full; it has at most WAITING addresses.
            let most = self.by_network.iter().max_by_key(|(_, jobs)| jobs.len());
            match most.map(|(network, jobs)| (*network, jobs.len())) {
                Some((longest, most)) if most > waiting + 1 => displaced = self.take_newest(longest),
                _ => return Added::Full(job),
            }
        }
        let jobs = self.by_network.entry(network).or_default();
        if jobs.is_empty() {
            self.turns.push_back(network);
        }
        jobs.push_back(job);
        self.len += 1;
        displaced.map_or(Added::Queued, Added::Displaced)
    }

    fn take(&mut self) -> Option<J> {
        let network = self.turns.pop_front()?;
        let jobs = self.by_network.get_mut(&network)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.by_network.remove(&network);
        } else {
            self.turns.push_back(network);
        }
        self.len -= usize::from(job.is_some());
        job
    }

    /// Takes the newest job of an address that has at least two.
    fn take_newest(&mut self, network: Network) -> Option<J> {
        let job = self.by_network.get_mut(&network)?.pop_back();
        self.len -= usize::from(job.is_some());
        job
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> Network {
        Network::of(std::net::Ipv4Addr::from_bits(0x7f00_0000 + n).into())
    }

    fn queue() -> PasswordQueue<&'static str> {
        PasswordQueue::new(1)
    }

    fn all(queue: &mut PasswordQueue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.take()).collect()
    }

    #[test]
    fn addresses_take_turns() {
        let mut queue = queue();
        for _ in 0..100 {
            assert_eq!(queue.add(Class::Login, address(1), "crowd"), Added::Queued);
        }
        queue.add(Class::Login, address(2), "a");
        queue.add(Class::Login, address(3), "b");
        queue.add(Class::Login, address(2), "c");
        assert_eq!(all(&mut queue)[..6], ["crowd", "a", "b", "crowd", "c", "crowd"]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_login_passes_all_waiting_registrations_but_starves_none() {
        let mut queue = queue();
        for _ in 0..3 {
            queue.add(Class::Registration, address(1), "register");
        }
        queue.add(Class::Login, address(1), "login");
        assert_eq!(queue.take(), Some("login"));
        for _ in 0..5 {
            queue.add(Class::Login, address(2), "login");
        }
        let order = all(&mut queue);
        assert_eq!(
            order,
            ["login", "login", "register", "login", "login", "login", "register", "register"],
            "one login was taken before"
        );
    }

    #[test]
    fn an_address_that_fills_the_queue_gives_way_to_others() {
        let mut queue = PasswordQueue::new(1);
        for n in 0..PER_NETWORK {
            assert_eq!(queue.add(Class::Registration, address(1), (1, n)), Added::Queued);
        }
        assert_eq!(queue.add(Class::Registration, address(1), (1, 999)), Added::Full((1, 999)));
        for n in 0..WAITING - PER_NETWORK {
            assert_eq!(queue.add(Class::Registration, address(2), (2, n)), Added::Queued);
        }
        // Full: the newcomer displaces the newest job of the address with the most.
        let Added::Displaced((_, displaced)) = queue.add(Class::Registration, address(3), (3, 0)) else {
            panic!("the newcomer was refused");
        };
        assert_eq!(displaced, PER_NETWORK - 1);
        assert_eq!(queue.len(), WAITING);
        // The newcomer's turn comes after one job of each other address.
        assert_eq!([queue.take(), queue.take(), queue.take()], [Some((1, 0)), Some((2, 0)), Some((3, 0))]);
        assert_eq!(queue.add(Class::Login, address(1), (1, 0)), Added::Queued, "logins wait apart");
    }

    #[test]
    fn waiting_jobs_are_bounded_however_many_addresses_there_are() {
        let mut queue = PasswordQueue::new(1);
        for n in 0..10 * WAITING as u32 {
            queue.add(Class::Login, address(n), n);
        }
        assert_eq!(queue.len(), WAITING);
        assert_eq!(queue.add(Class::Login, address(1 << 20), 0), Added::Full(0), "nobody has more than one");
    }
}
