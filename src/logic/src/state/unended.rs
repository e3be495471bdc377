//! What follows from the ends of sessions and could not be stored. It is tried again, a part at a time, less and less
//! often while that fails.

use super::pending::session::Ending;
use crate::limits::{UNENDED_BATCH, UNENDED_RETRY_MAX_MS, UNENDED_RETRY_MS};
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(crate) struct Unended {
    endings: VecDeque<Ending>,
    /// When to try again, monotonic ms.
    due: u64,
    /// How long to wait after the next part, milliseconds; 0: storage could be reached.
    delay: u64,
}

impl Unended {
    pub fn is_empty(&self) -> bool {
        self.endings.is_empty()
    }

    /// Keeps what could not be stored.
    pub fn put(&mut self, ending: Ending, now: u64) {
        self.endings.push_back(ending);
        if self.delay == 0 {
            (self.due, self.delay) = (now + UNENDED_RETRY_MS, UNENDED_RETRY_MS);
        }
    }

    /// Storage can be reached.
    pub fn succeeded(&mut self) {
        (self.due, self.delay) = (0, 0);
    }

    /// Takes a part of what is due.
    pub fn take_due(&mut self, now: u64) -> Vec<Ending> {
        if now < self.due || self.endings.is_empty() {
            return Vec::new();
        }
        // Until it is known whether storage can be reached, nothing else is tried for longer.
        self.delay = (2 * self.delay).min(UNENDED_RETRY_MAX_MS);
        self.due = now + self.delay;
        self.endings.drain(..self.endings.len().min(UNENDED_BATCH)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::UserId;

    #[test]
    fn an_outage_is_tried_less_and_less_often_and_a_part_at_a_time() {
        let mut unended = Unended::default();
        let (mut now, mut tried, mut in_flight) = (0, 0, Vec::new());
        for user in 0..1_000 {
            unended.put(Ending::Token(UserId(user), [0; 32]), now);
        }
        for _ in 0..600 {
            now += 100;
            in_flight.extend(unended.take_due(now));
            assert!(in_flight.len() <= UNENDED_BATCH);
            tried += in_flight.len();
            in_flight.drain(..).for_each(|ending| unended.put(ending, now));
        }
        // In a minute.
        assert!((5 * UNENDED_BATCH..=20 * UNENDED_BATCH).contains(&tried), "{tried}");
        // Once one is stored, the others follow at once.
        unended.succeeded();
        let mut stored = 0;
        while !unended.is_empty() {
            now += 100;
            stored += unended.take_due(now).len();
        }
        assert_eq!(stored, 1_000);
    }
}
