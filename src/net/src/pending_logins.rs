//! Connections that have not logged in. They cost a client nothing, so their number is bounded: above the bound the
//! oldest are closed, but not before they had a few seconds, which is enough for an honest client.

use crate::deadline::{Span, Tick};
use logic::ConnId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The pending logins of one reactor, and their number in the whole server.
#[derive(Debug)]
pub(crate) struct PendingLogins {
    /// Oldest first. A connection that has logged in or closed stays here until it comes to the front, or until such
    /// entries outnumber the others.
    queue: VecDeque<Pending>,
    /// Of this reactor.
    count: usize,
    /// Of the server.
    total: Arc<AtomicUsize>,
    limits: PendingLoginLimits,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    conn: ConnId,
    since: Tick,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingLoginLimits {
    /// The number of pending logins up to which none is closed.
    pub threshold: usize,
    /// The least age at which a pending login may be closed.
    pub age: Span,
    /// The number of reactors, which share the surplus.
    pub reactors: usize,
}

impl PendingLogins {
    pub fn new(total: Arc<AtomicUsize>, limits: PendingLoginLimits) -> PendingLogins {
        PendingLogins { queue: VecDeque::new(), count: 0, total, limits }
    }

    /// Adds a connection.
    pub fn join(&mut self, conn: ConnId, now: Tick) {
        self.queue.push_back(Pending { conn, since: now });
        self.count += 1;
        self.total.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a connection has logged in or closed.
    pub fn leave(&mut self) {
        self.count -= 1;
        self.total.fetch_sub(1, Ordering::Relaxed);
    }

    /// Removes the connections that must be closed now, oldest first. `is_pending` says whether a connection has waited
    /// since that time.
    ///
    /// Each reactor takes its share of the surplus a tick, so that it does not matter which one checks first.
    pub fn surplus(&mut self, now: Tick, is_pending: impl Fn(ConnId, Tick) -> bool) -> Vec<ConnId> {
        if self.queue.len() > 2 * self.count + 64 {
            self.queue.retain(|&Pending { conn, since }| is_pending(conn, since));
            self.queue.shrink_to(2 * self.count);
        }
        let surplus = self.total.load(Ordering::Relaxed).saturating_sub(self.limits.threshold);
        let share = surplus.div_ceil(self.limits.reactors);
        let mut removed = Vec::new();
        while let Some(&Pending { conn, since }) = self.queue.front() {
            if is_pending(conn, since) {
                if removed.len() == share || since.after(self.limits.age) > now {
                    break;
                }
                removed.push(conn);
            }
            self.queue.pop_front();
        }
        removed
    }

    /// When to check for a surplus again; `None`: no connection is pending here. Below the threshold the check runs
    /// once a second, because connections of other reactors count too.
    pub fn next(&self, now: Tick) -> Option<Tick> {
        let oldest = self.queue.front().filter(|_| self.count > 0)?;
        let soon = Tick(now.0 + 1);
        if self.total.load(Ordering::Relaxed) > self.limits.threshold {
            Some(oldest.since.after(self.limits.age).max(soon))
        } else {
            Some(Tick(now.0 + 10))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn limits() -> PendingLoginLimits {
        PendingLoginLimits { threshold: 3, age: Span::of(Duration::from_secs(1)), reactors: 1 }
    }

    #[test]
    fn the_oldest_are_closed_above_the_threshold_once_they_are_old_enough() {
        let total = Arc::new(AtomicUsize::new(0));
        let mut pending = PendingLogins::new(Arc::clone(&total), limits());
        let conn = |slot| ConnId::new(0, slot, 1);
        for slot in 0..6 {
            pending.join(conn(slot), Tick(slot as u32));
        }
        pending.leave();
        let is_pending = |id: ConnId, _| id.slot() != 1;
        assert!(pending.surplus(Tick(10), is_pending).is_empty(), "none is old enough");
        assert_eq!(pending.surplus(Tick(13), is_pending), [conn(0), conn(2)]);
        pending.leave();
        pending.leave();
        assert!(pending.surplus(Tick(999), is_pending).is_empty(), "three may stay");
        assert_eq!(total.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn logins_behind_one_that_is_still_pending_take_no_memory() {
        let mut pending = PendingLogins::new(Arc::default(), limits());
        pending.join(ConnId::new(0, 0, 0), Tick(0));
        for slot in 1..10_000 {
            pending.join(ConnId::new(0, slot, 0), Tick(0));
            pending.leave();
            pending.surplus(Tick(0), |id, _| id.slot() == 0);
        }
        assert!(pending.queue.len() < 100);
    }
}
