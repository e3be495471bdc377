//! Connections that have not logged in and of which logic has no request. They cost a client nothing, so they may take
//! at most half of all connections, and none that a logged-in client needs. Above that the oldest of the address with
//! most of them is closed, so that one address cannot take the room of the others.
//!
//! ```text
//!   accepted, logged out, reply sent --> listed --> request sent to logic, logged in, closed
//!                                          |
//!                                          `--> too many: its input is read once more, then it is closed
//! ```
//!
//! All reactors share one list, because the address with most connections has them on all reactors. Only connections
//! without a login touch it.

use crate::peer::PeerAddress;
use logic::{ConnId, Network};
use parking_lot::Mutex;
use runtime::queue::Bell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Connections that may be open above the limit for the moment that closing others takes.
pub(crate) const EXCESS: usize = 16;

/// The number of connections of the whole server, and the list of those without a login.
#[derive(Debug)]
pub(crate) struct PendingLogins {
    /// Open connections of the server, of which some are arriving.
    pub open: AtomicUsize,
    /// The number of open connections above which the server is full.
    open_max: usize,
    /// Connections that were accepted and that no reactor has listed yet.
    arriving: AtomicUsize,
    /// Connections in the list.
    count: AtomicUsize,
    /// Numbers connections by age.
    ages: AtomicU64,
    list: Mutex<List>,
    /// The bells of the reactors.
    bells: Vec<Arc<Bell>>,
}

/// The age of a connection: a number that rises from one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Age(u64);

#[derive(Debug, Default)]
struct List {
    networks: HashMap<Network, BTreeMap<Age, ConnId>>,
    /// The networks by their number of connections; of those with equally many, the one with the oldest is last.
    by_count: BTreeSet<(usize, Reverse<Age>, Network)>,
}

impl PendingLogins {
    pub fn new(open_max: usize, bells: Vec<Arc<Bell>>) -> PendingLogins {
        PendingLogins {
            open: AtomicUsize::new(0),
            open_max,
            arriving: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            ages: AtomicU64::new(0),
            list: Mutex::default(),
            bells,
        }
    }

    /// Counts a connection that was accepted.
    pub fn accept(&self) {
        self.arriving.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a reactor has an accepted connection.
    pub fn arrive(&self) {
        self.arriving.fetch_sub(1, Ordering::Relaxed);
    }

    /// The age of a connection that was just accepted or has just logged out.
    pub fn newest_age(&self) -> Age {
        Age(self.ages.fetch_add(1, Ordering::Relaxed))
    }

    pub fn join(&self, conn: ConnId, peer: PeerAddress, age: Age) {
        self.list.lock().change(Network::of(peer.ip()), |conns| {
            conns.insert(age, conn);
        });
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub fn leave(&self, peer: PeerAddress, age: Age) {
        self.list.lock().change(Network::of(peer.ip()), |conns| {
            conns.remove(&age);
        });
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether a new connection can be taken in. It may need the room of one in the list.
    pub fn have_room(&self) -> bool {
        let not_logged_in = self.arriving.load(Ordering::Relaxed) + self.count.load(Ordering::Relaxed);
        self.open.load(Ordering::Relaxed).saturating_sub(not_logged_in) < self.open_max
    }

    /// Whether so many connections are open above the limit that the reactors have to close some before others come.
    pub fn is_exceeded(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= self.open_max + EXCESS
    }

    /// The number of connections that must be closed now.
    pub fn surplus(&self) -> usize {
        let count = self.count.load(Ordering::Relaxed);
        let above_share = count.saturating_sub((self.open_max / 2).max(1));
        // One that has yet to arrive may have to be closed itself.
        let arrived = self.open.load(Ordering::Relaxed).saturating_sub(self.arriving.load(Ordering::Relaxed));
        above_share.max(arrived.saturating_sub(self.open_max)).min(count)
    }

    /// Whether a connection of this reactor must be closed now.
    pub fn is_surplus_of(&self, reactor: usize) -> bool {
        self.surplus() > 0 && self.list.lock().first().is_some_and(|first| first.reactor() == reactor)
    }

    /// The connection to close first, if it belongs to this reactor. Otherwise the reactor that has it is woken.
    pub fn first(&self, reactor: usize) -> Option<ConnId> {
        let first = self.list.lock().first()?;
        if first.reactor() != reactor {
            self.bells[first.reactor()].ring();
            return None;
        }
        Some(first)
    }
}

impl List {
    fn change(&mut self, network: Network, change: impl FnOnce(&mut BTreeMap<Age, ConnId>)) {
        let conns = self.networks.entry(network).or_default();
        if let Some((&oldest, _)) = conns.first_key_value() {
            self.by_count.remove(&(conns.len(), Reverse(oldest), network));
        }
        change(conns);
        match conns.first_key_value() {
            Some((&oldest, _)) => drop(self.by_count.insert((conns.len(), Reverse(oldest), network))),
            None => drop(self.networks.remove(&network)),
        }
    }

    /// The oldest connection of the network with most.
    fn first(&self) -> Option<ConnId> {
        let (_, Reverse(oldest), network) = self.by_count.last()?;
        self.networks.get(network)?.get(oldest).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn pending(open_max: usize) -> PendingLogins {
        PendingLogins::new(open_max, vec![Arc::new(Bell::new())])
    }

    /// Adds connections from an address; their slots begin at `slot`.
    fn join(pending: &PendingLogins, ip: &str, slot: usize, count: usize) -> Vec<Age> {
        let join = |slot| {
            let age = pending.newest_age();
            pending.open.fetch_add(1, Ordering::Relaxed);
            pending.join(ConnId::new(0, slot, 1), peer(ip), age);
            age
        };
        (slot..slot + count).map(join).collect()
    }

    fn peer(ip: &str) -> PeerAddress {
        SocketAddr::new(ip.parse().unwrap(), 1).into()
    }

    fn first_slot(pending: &PendingLogins) -> Option<usize> {
        pending.first(0).map(ConnId::slot)
    }

    #[test]
    fn the_oldest_of_the_address_with_most_is_first() {
        let pending = pending(20);
        join(&pending, "192.0.2.1", 0, 2);
        let many = join(&pending, "192.0.2.2", 10, 3);
        assert_eq!(first_slot(&pending), Some(10));
        pending.leave(peer("192.0.2.2"), many[0]);
        assert_eq!(first_slot(&pending), Some(0), "equally many: the oldest of all");
        pending.leave(peer("192.0.2.2"), many[1]);
        pending.leave(peer("192.0.2.2"), many[2]);
        assert_eq!(first_slot(&pending), Some(0));
        assert_eq!(pending.list.lock().networks.len(), 1, "an address without connections takes no memory");
    }

    #[test]
    fn the_addresses_of_a_64_count_as_one() {
        let pending = pending(20);
        join(&pending, "192.0.2.1", 0, 2);
        (0..3).for_each(|host| drop(join(&pending, &format!("2001:db8:0:7::{host}"), 10 + host, 1)));
        join(&pending, "2001:db8:0:8::1", 20, 1);
        assert_eq!(first_slot(&pending), Some(10));
    }

    #[test]
    fn they_take_half_of_the_connections_and_no_room_of_others() {
        let pending = pending(10);
        join(&pending, "192.0.2.1", 0, 5);
        assert_eq!((pending.surplus(), pending.have_room()), (0, true));
        join(&pending, "192.0.2.2", 5, 1);
        assert_eq!(pending.surplus(), 1);
        // Connections that are not listed have logged in.
        pending.open.fetch_add(3, Ordering::Relaxed);
        assert_eq!(pending.surplus(), 1);
        pending.open.fetch_add(4, Ordering::Relaxed);
        assert_eq!((pending.surplus(), pending.have_room()), (3, true));
        pending.open.fetch_add(3, Ordering::Relaxed);
        assert_eq!((pending.surplus(), pending.have_room()), (6, false), "all of them, and no more");
    }
}
