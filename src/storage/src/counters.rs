//! What a thread that writes to the database counts about itself.

use runtime::counters::{Counter, Durations, Flag, Gauge};
use std::time::Instant;

#[derive(Debug, Default)]
// No other thread writes to the same cache lines, nor to those that are fetched with them.
#[repr(align(128))]
pub struct Counters {
    /// How long each batch of writes took until it was durable and its outcomes were published.
    pub commits: Durations,
    /// Writes in these batches.
    pub writes: Counter,
    /// Messages that are durable in the journal and not yet filed in the tables; with a database server always 0.
    pub unfiled: Gauge,
    /// Whether the database cannot be reached, or refuses what this thread writes.
    pub is_away: Flag,
}

impl Counters {
    /// Counts the commit of a batch that was begun at `begun`.
    pub(crate) fn committed(&self, writes: usize, begun: Instant) {
        if writes > 0 {
            self.commits.record(begun.elapsed());
            self.writes.add(writes as u64);
        }
    }
}
