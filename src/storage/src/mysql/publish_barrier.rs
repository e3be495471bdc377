//! What no read may show yet: messages that are committed and whose outcomes logic does not have.
//!
//! The database shows a message from its commit on; logic has its outcome a moment later, and must have it first (see
//! `logic::contract`). So each store thread draws its curtain before it sends a COMMIT, and opens it when the outcomes are
//! queued. A reader that has read waits for every curtain that is raised *then*: what it may have seen was committed
//! behind one of those, or its outcomes are queued already.

use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// The barrier of all store threads.
#[derive(Debug)]
pub struct PublishBarrier {
    /// How often each was moved: odd while it is raised.
    moves: Mutex<Vec<u64>>,
    moved: Condvar,
}

impl PublishBarrier {
    /// That many, all open.
    pub fn new(count: usize) -> PublishBarrier {
        PublishBarrier { moves: Mutex::new(vec![0; count]), moved: Condvar::new() }
    }

    /// Draws one, if it is open.
    pub fn raise(&self, one: usize) {
        self.moves.lock()[one] |= 1;
    }

    /// Opens one, if it is raised.
    pub fn lift(&self, one: usize) {
        let mut moves = self.moves.lock();
        if moves[one] % 2 == 1 {
            moves[one] += 1;
            drop(moves);
            self.moved.notify_all();
        }
    }

    /// Waits until each that is raised now was opened; whether that came to be within `time`.
    pub fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut moves = self.moves.lock();
        let raised: Vec<(usize, u64)> =
            moves.iter().copied().enumerate().filter(|(_, moves)| moves % 2 == 1).collect();
        while raised.iter().any(|&(one, at)| moves[one] == at) {
            if self.moved.wait_until(&mut moves, until).timed_out() {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn a_reader_waits_for_what_was_drawn_before_and_not_for_what_comes_after() {
        let barrier = Arc::new(PublishBarrier::new(2));
        assert!(barrier.wait(Duration::ZERO));
        barrier.raise(0);
        barrier.raise(0);
        assert!(!barrier.wait(Duration::from_millis(1)));
        let waiting = thread::spawn({
            let barrier = Arc::clone(&barrier);
            move || barrier.wait(Duration::from_secs(20))
        });
        barrier.lift(0);
        // Whether the reader came before or after this, it waits for no more than what is opened again.
        barrier.raise(0);
        barrier.raise(1);
        barrier.lift(0);
        barrier.lift(1);
        assert!(waiting.join().unwrap());
        assert!(barrier.wait(Duration::ZERO));
        barrier.lift(1);
        assert!(barrier.wait(Duration::ZERO));
    }
}
