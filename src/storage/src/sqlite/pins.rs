//! Pins: reads of several statements in one transaction, whose view of the disk is older than what is filed meanwhile.
//!
//! ```text
//!   reader   pin ---- BEGIN ---- reads: the tail, or the disk as it was ---- COMMIT ---- unpin
//!   writer                 files messages, evict ........................................... evicted
//! ```
//!
//! What such a read does not find on the disk must still be in the resident tail, so evictions wait for the pins that
//! were taken before them. A pin is held for one read, so what waits is what is filed in that time.

use parking_lot::Mutex;
use std::collections::VecDeque;
use wire::{ConversationId, Seq};

/// What is filed: of each conversation the entries up to a seq.
pub type Filed = Vec<(ConversationId, Seq)>;

#[derive(Debug, Default)]
pub struct Pins(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The number of the last eviction.
    last: u64,
    /// For each pin the last eviction before it. There are at most as many as readers.
    held: Vec<u64>,
    /// Evictions that wait, in order.
    waiting: VecDeque<(u64, Filed)>,
}

impl Pins {
    /// Takes a pin, which [`Pins::release`] takes back.
    pub fn take(&self) -> u64 {
        let mut state = self.0.lock();
        let last = state.last;
        state.held.push(last);
        last
    }

    /// Releases a pin; returns the evictions that waited for no other one.
    pub fn release(&self, pin: u64) -> Vec<Filed> {
        let mut state = self.0.lock();
        if let Some(at) = state.held.iter().position(|held| *held == pin) {
            state.held.swap_remove(at);
        }
        if state.waiting.is_empty() { Vec::new() } else { state.due() }
    }

    /// Adds an eviction; returns whether it may be carried out now. Otherwise it waits.
    pub fn may_evict(&self, filed: &[(ConversationId, Seq)]) -> bool {
        let mut state = self.0.lock();
        state.last += 1;
        if state.held.is_empty() {
            debug_assert!(state.waiting.is_empty(), "the last pin has released what waited");
            return true;
        }
        let number = state.last;
        state.waiting.push_back((number, filed.to_vec()));
        false
    }
}

impl State {
    fn due(&mut self) -> Vec<Filed> {
        let oldest = self.held.iter().min().copied().unwrap_or(u64::MAX);
        let count = self.waiting.partition_point(|(number, _)| *number <= oldest);
        self.waiting.drain(..count).map(|(_, filed)| filed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eviction_waits_for_the_pins_before_it() {
        let pins = Pins::default();
        let filed = |seq| vec![(ConversationId(1), Seq(seq))];
        assert!(pins.may_evict(&filed(1)));
        let first = pins.take();
        assert!(!pins.may_evict(&filed(2)));
        let second = pins.take();
        assert!(!pins.may_evict(&filed(3)));
        let third = pins.take();
        assert_eq!(pins.release(third), Vec::<Filed>::new());
        assert_eq!(pins.release(first), [filed(2)]);
        assert_eq!(pins.release(second), [filed(3)]);
        assert!(pins.may_evict(&filed(4)));
    }
}
