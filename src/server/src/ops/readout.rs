//! What the logic thread shows to others.

use logic::{ERRNOS, Logic, Milliseconds};
use runtime::counters::{Counter, Flag, Gauge};

/// A copy of the numbers of [`Logic`], which only the logic thread writes.
#[derive(Debug, Default)]
// No other thread writes to the same cache lines, nor to those that are fetched with them.
#[repr(align(128))]
pub struct Readout {
    answers: [Gauge; ERRNOS],
    stored: [Gauge; Milliseconds::BUCKETS],
    stored_ms: Gauge,
    pub logins: Gauge,
    /// Turns of the thread.
    pub turns: Counter,
    pub sessions: Gauge,
    /// Requests that wait for storage, the password thread or the bus.
    pub pending: Gauge,
    /// Messages that storage has not answered for.
    pub appends: Gauge,
    /// On a cluster node: whether the bus is connected.
    pub hears_bus: Flag,
}

impl Readout {
    pub fn show(&self, logic: &Logic) {
        let counters = logic.counters();
        let pairs = self.answers.iter().zip(counters.answers);
        pairs
            .chain(self.stored.iter().zip(counters.stored.buckets))
            .for_each(|(shown, value)| shown.set(value));
        self.stored_ms.set(counters.stored.total_ms);
        self.logins.set(counters.logins);
        self.sessions.set(logic.sessions() as u64);
        self.pending.set(logic.pending() as u64);
        self.appends.set(logic.appends_in_flight() as u64);
        self.hears_bus.set(logic.hears_bus() == Some(true));
    }

    /// Answers by the number of their errno.
    pub fn answers(&self) -> [u64; ERRNOS] {
        std::array::from_fn(|number| self.answers[number].get())
    }

    /// How long messages took from their request to their delivery.
    pub fn stored(&self) -> Milliseconds {
        let buckets = std::array::from_fn(|bucket| self.stored[bucket].get());
        Milliseconds { buckets, total_ms: self.stored_ms.get() }
    }
}
