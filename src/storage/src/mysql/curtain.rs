//! What no read may show yet: messages that are committed and whose outcomes logic does not have.
//!
//! The database shows a message from its commit on; logic has its outcome a moment later, and must have it first (see
//! `logic::contract`). So each store thread draws its curtain before it sends a COMMIT, and opens it when the outcomes are
//! queued. A reader that has read waits for every curtain that is drawn *then*: what it may have seen was committed
//! behind one of those, or its outcomes are queued already.

use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// The curtains of all store threads.
#[derive(Debug)]
pub struct Curtains {
    /// How often each was moved: odd while it is drawn.
    moves: Mutex<Vec<u64>>,
    moved: Condvar,
}

impl Curtains {
    /// That many, all open.
    pub fn new(count: usize) -> Curtains {
        Curtains { moves: Mutex::new(vec![0; count]), moved: Condvar::new() }
    }

    /// Draws one, if it is open.
    pub fn draw(&self, one: usize) {
        self.moves.lock()[one] |= 1;
    }

    /// Opens one, if it is drawn.
    pub fn open(&self, one: usize) {
        let mut moves = self.moves.lock();
        if moves[one] % 2 == 1 {
            moves[one] += 1;
            drop(moves);
            self.moved.notify_all();
        }
    }

    /// Waits until each that is drawn now was opened; whether that came to be within `time`.
    pub fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut moves = self.moves.lock();
        let drawn: Vec<(usize, u64)> =
            moves.iter().copied().enumerate().filter(|(_, moves)| moves % 2 == 1).collect();
        while drawn.iter().any(|&(one, at)| moves[one] == at) {
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
        let curtains = Arc::new(Curtains::new(2));
        assert!(curtains.wait(Duration::ZERO));
        curtains.draw(0);
        curtains.draw(0);
        assert!(!curtains.wait(Duration::from_millis(1)));
        let waiting = thread::spawn({
            let curtains = Arc::clone(&curtains);
            move || curtains.wait(Duration::from_secs(20))
        });
        curtains.open(0);
        // Whether the reader came before or after this, it waits for no more than what is opened again.
        curtains.draw(0);
        curtains.draw(1);
        curtains.open(0);
        curtains.open(1);
        assert!(waiting.join().unwrap());
        assert!(curtains.wait(Duration::ZERO));
        curtains.open(1);
        assert!(curtains.wait(Duration::ZERO));
    }
}
