//! Connections that wait to log in. They cost nothing to make, so there is a bound on how many may sit there:
//! beyond it the oldest go, though each may stay some seconds, which is all that an honest client needs.

use crate::deadline::{Span, Tick};
use logic::ConnId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The connections of one sub-reactor that wait to log in, and how many wait in the whole server.
#[derive(Debug)]
pub(crate) struct PendingLogins {
    /// Oldest first; those that have logged in or gone are still here until they come to the front, or until they
    /// are more than those that wait.
    queue: VecDeque<(ConnId, Tick)>,
    /// How many of them wait here.
    here: usize,
    /// How many wait in the server.
    everywhere: Arc<AtomicUsize>,
    limits: PendingLoginLimits,
}

/// When a pending_logins is too large.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingLoginLimits {
    /// How many may wait in the server, however long.
    pub threshold: usize,
    /// How long each may wait in any case.
    pub age: Span,
    /// Among how many sub-reactors the surplus is context.
    pub reactors: usize,
}

impl PendingLogins {
    pub fn new(everywhere: Arc<AtomicUsize>, limits: PendingLoginLimits) -> PendingLogins {
        PendingLogins { queue: VecDeque::new(), here: 0, everywhere, limits }
    }

    /// `conn` waits from now on.
    pub fn join(&mut self, conn: ConnId, now: Tick) {
        self.queue.push_back((conn, now));
        self.here += 1;
        self.everywhere.fetch_add(1, Ordering::Relaxed);
    }

    /// One that waited here has logged in or gone.
    pub fn leave(&mut self) {
        self.here -= 1;
        self.everywhere.fetch_sub(1, Ordering::Relaxed);
    }

    /// Those that must go now, oldest first. `waits` says whether a connection still waits since that time.
    ///
    /// Each sub-reactor takes its share of the surplus a tick, so that which one looks first does not decide whose
    /// connections go.
    pub fn surplus(&mut self, now: Tick, waits: impl Fn(ConnId, Tick) -> bool) -> Vec<ConnId> {
        if self.queue.len() > 2 * self.here + 64 {
            self.queue.retain(|&(conn, since)| waits(conn, since));
            self.queue.shrink_to(2 * self.here);
        }
        let surplus = self.everywhere.load(Ordering::Relaxed).saturating_sub(self.limits.threshold);
        let share = surplus.div_ceil(self.limits.reactors);
        let mut gone = Vec::new();
        while let Some(&(conn, since)) = self.queue.front() {
            if waits(conn, since) {
                if gone.len() == share || since.after(self.limits.age) > now {
                    break;
                }
                gone.push(conn);
            }
            self.queue.pop_front();
        }
        gone
    }

    /// When to look again; `None`: nobody waits here. While there is no pending_logins that is once a second, for another
    /// sub-reactor may make one.
    pub fn next(&self, now: Tick) -> Option<Tick> {
        let &(_, since) = self.queue.front().filter(|_| self.here > 0)?;
        let soon = Tick(now.0 + 1);
        if self.everywhere.load(Ordering::Relaxed) > self.limits.threshold {
            Some(since.after(self.limits.age).max(soon))
        } else {
            Some(Tick(now.0 + 10))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_oldest_go_when_they_are_old_enough_and_too_many() {
        let limits = PendingLoginLimits { threshold: 3, age: Span::of(Duration::from_secs(1)), reactors: 1 };
        let everywhere = Arc::new(AtomicUsize::new(0));
        let mut pending_logins = PendingLogins::new(Arc::clone(&everywhere), limits);
        let conn = |slot| ConnId::new(0, slot, 1);
        for slot in 0..6 {
            pending_logins.join(conn(slot), Tick(slot as u32));
        }
        pending_logins.leave();
        let still_waits = |id: ConnId, _| id.slot() != 1;
        assert!(pending_logins.surplus(Tick(10), still_waits).is_empty(), "none is old enough");
        assert_eq!(pending_logins.surplus(Tick(13), still_waits), [conn(0), conn(2)]);
        pending_logins.leave();
        pending_logins.leave();
        assert!(pending_logins.surplus(Tick(999), still_waits).is_empty(), "three may stay");
        assert_eq!(everywhere.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn those_that_logged_in_take_no_room_behind_one_that_did_not() {
        let limits = PendingLoginLimits { threshold: 3, age: Span::of(Duration::from_secs(1)), reactors: 1 };
        let mut pending_logins = PendingLogins::new(Arc::default(), limits);
        pending_logins.join(ConnId::new(0, 0, 0), Tick(0));
        for slot in 1..10_000 {
            pending_logins.join(ConnId::new(0, slot, 0), Tick(0));
            pending_logins.leave();
            pending_logins.surplus(Tick(0), |id, _| id.slot() == 0);
        }
        assert!(pending_logins.queue.len() < 100);
    }
}
