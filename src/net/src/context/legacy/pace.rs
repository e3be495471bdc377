//! The pace of legacy objects: how long a peer has to read one before the next is written to it.

use logic::ConnId;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Connections whose peers have time to read. All rest equally long, so they stand in the order in which it ends.
#[derive(Debug)]
pub(crate) struct Pace {
    gap: Duration,
    resting: VecDeque<(Instant, ConnId)>,
}

impl Pace {
    /// A pace of one object every `gap`; zero: none.
    pub fn new(gap: Duration) -> Pace {
        Pace { gap, resting: VecDeque::new() }
    }

    /// Whether there is a pace.
    pub fn is_on(&self) -> bool {
        !self.gap.is_zero()
    }

    /// An object was written to this connection just now.
    pub fn rest(&mut self, conn: ConnId) {
        self.resting.push_back((Instant::now() + self.gap, conn));
    }

    /// How long until somebody has rested.
    pub fn next(&self) -> Option<Duration> {
        self.resting.front().map(|(until, _)| until.saturating_duration_since(Instant::now()))
    }

    /// A connection that has rested; each comes once.
    pub fn rested(&mut self) -> Option<ConnId> {
        let (until, conn) = *self.resting.front()?;
        if until > Instant::now() {
            return None;
        }
        self.resting.pop_front();
        Some(conn)
    }
}
