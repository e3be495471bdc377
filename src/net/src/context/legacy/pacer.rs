//! Gaps between legacy objects: how long a client has to read one before the next is written to it.

use logic::ConnId;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// All gaps are equally long, so they end in the order in which they began.
#[derive(Debug)]
pub(crate) struct Pacer {
    gap: Duration,
    waiting: VecDeque<Gap>,
}

#[derive(Debug)]
struct Gap {
    conn: ConnId,
    ends: Instant,
}

impl Pacer {
    /// A gap of zero disables pacing.
    pub fn new(gap: Duration) -> Pacer {
        Pacer { gap, waiting: VecDeque::new() }
    }

    pub fn is_enabled(&self) -> bool {
        !self.gap.is_zero()
    }

    /// An object was written to this connection just now.
    pub fn begin_gap(&mut self, conn: ConnId) {
        self.waiting.push_back(Gap { conn, ends: Instant::now() + self.gap });
    }

    /// Time until the next gap ends.
    pub fn next(&self) -> Option<Duration> {
        self.waiting.front().map(|gap| gap.ends.saturating_duration_since(Instant::now()))
    }

    /// A connection whose gap is over; each is returned once.
    pub fn pop_elapsed(&mut self) -> Option<ConnId> {
        let &Gap { conn, ends } = self.waiting.front()?;
        if ends > Instant::now() {
            return None;
        }
        self.waiting.pop_front();
        Some(conn)
    }
}
