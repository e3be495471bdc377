//! The publish barrier: keeps reads from returning messages that are committed but whose outcomes logic does not have
//! yet.
//!
//! The database shows a message from its commit on, but logic must have its outcome first (see `logic::contract`). So
//! each appender raises its barrier before it sends a COMMIT and lifts it when the outcomes are queued. After a query,
//! the read thread waits for every barrier that is raised *then*: a message it may have seen was either committed
//! behind one of these, or its outcome is queued already.

use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// The barriers of all appenders.
#[derive(Debug)]
pub struct PublishBarrier {
    /// For each appender how often its barrier was moved; odd: it is raised.
    moves: Mutex<Vec<u64>>,
    moved: Condvar,
}

impl PublishBarrier {
    pub fn new(count: usize) -> PublishBarrier {
        PublishBarrier { moves: Mutex::new(vec![0; count]), moved: Condvar::new() }
    }

    /// How many appenders there are.
    pub fn appenders(&self) -> usize {
        self.moves.lock().len()
    }

    /// Raises a barrier, if it is lifted.
    pub fn raise(&self, one: usize) {
        self.moves.lock()[one] |= 1;
    }

    /// Lifts a barrier, if it is raised.
    pub fn lift(&self, one: usize) {
        let mut moves = self.moves.lock();
        if moves[one] % 2 == 1 {
            moves[one] += 1;
            drop(moves);
            self.moved.notify_all();
        }
    }

    /// Waits until every barrier that is raised now was lifted. Returns whether that happened within `time`.
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
    fn a_reader_waits_only_for_barriers_raised_before() {
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
        // Whether the reader started before or after this, it only waits for barriers that are lifted again.
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
