//! The lines that wait to be written: bounded, so that a stderr that is not read costs a fixed amount of memory.

use log::Level;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes of lines that may wait.
const BYTES: usize = 1024 * 1024;
/// Bytes beyond that for lines of level error.
const ERROR_BYTES: usize = 128 * 1024;
/// Bytes beyond both for lines about the end of the process.
const FATAL_BYTES: usize = 128 * 1024;
/// Bytes that are written at once.
const BATCH_BYTES: usize = 64 * 1024;

/// Decides how much of the queue a line may fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Importance {
    Normal,
    Error,
    /// The process is about to end.
    Fatal,
}

impl Importance {
    pub fn of(level: Level) -> Importance {
        if level == Level::Error { Importance::Error } else { Importance::Normal }
    }

    fn bytes_max(self) -> usize {
        match self {
            Importance::Normal => BYTES,
            Importance::Error => BYTES + ERROR_BYTES,
            Importance::Fatal => BYTES + ERROR_BYTES + FATAL_BYTES,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct LogQueue {
    state: Mutex<State>,
    /// Notified when lines were written.
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    /// Bytes of the lines here and of the batch that is being written.
    bytes: usize,
    /// Lines dropped since the last batch that reported them.
    dropped: u64,
    /// Lines queued since the start.
    queued: u64,
    /// Lines written since the start.
    written: u64,
}

/// Lines to write at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub text: Vec<u8>,
    lines: u64,
    /// The number of lines that were dropped after these; only once no line waits.
    pub dropped: Option<u64>,
}

impl LogQueue {
    /// Adds a line with its end of line, or drops it if the queue is too full for its importance.
    pub fn push(&self, line: String, importance: Importance) {
        let mut state = self.state.lock();
        if state.bytes + line.len() > importance.bytes_max() {
            state.dropped += 1;
            return;
        }
        state.bytes += line.len();
        state.queued += 1;
        state.lines.push_back(line);
    }

    pub fn is_empty(&self) -> bool {
        self.state.lock().lines.is_empty()
    }

    /// The oldest lines, to be handed to [`LogQueue::wrote`] once they are written.
    pub fn take(&self) -> Batch {
        let mut state = self.state.lock();
        let mut batch = Batch::default();
        while batch.text.len() < BATCH_BYTES
            && let Some(line) = state.lines.pop_front()
        {
            batch.text.extend_from_slice(line.as_bytes());
            batch.lines += 1;
        }
        if state.lines.is_empty() {
            state.lines.shrink_to(64);
            batch.dropped = Some(std::mem::take(&mut state.dropped)).filter(|&dropped| dropped > 0);
        }
        batch
    }

    pub fn wrote(&self, batch: &Batch) {
        let mut state = self.state.lock();
        state.bytes -= batch.text.len();
        state.written += batch.lines;
        drop(state);
        self.written.notify_all();
    }

    /// Waits until every line that was queued before is written, for at most `within`. Returns whether it is.
    pub fn wait_until_written(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut state = self.state.lock();
        let queued = state.queued;
        while state.written < queued {
            if self.written.wait_until(&mut state, deadline).timed_out() {
                return state.written >= queued;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(queue: &LogQueue, importance: Importance) -> usize {
        let line = "x".repeat(1023) + "\n";
        let before = queue.state.lock().queued;
        (0..4 * BYTES / line.len()).for_each(|_| queue.push(line.clone(), importance));
        (queue.state.lock().queued - before) as usize * line.len()
    }

    #[test]
    fn a_full_queue_drops_lines_and_has_room_for_errors_and_for_the_end() {
        let queue = LogQueue::default();
        assert_eq!(fill(&queue, Importance::Normal), BYTES);
        assert_eq!(fill(&queue, Importance::Error), ERROR_BYTES);
        assert_eq!(fill(&queue, Importance::Fatal), FATAL_BYTES);
        let dropped = queue.state.lock().dropped;
        // Lines that are being written still take their room.
        let first = queue.take();
        assert_eq!(fill(&queue, Importance::Fatal), 0);
        assert_eq!(first.dropped, None, "they were dropped after lines that still wait");
        queue.wrote(&first);
        assert_eq!(fill(&queue, Importance::Fatal), BATCH_BYTES);
        let mut last = queue.take();
        while !queue.is_empty() {
            queue.wrote(&last);
            last = queue.take();
        }
        assert!(last.dropped.is_some_and(|all| all > dropped), "{:?}", last.dropped);
        queue.wrote(&last);
        assert!(queue.wait_until_written(Duration::ZERO));
        assert_eq!(queue.state.lock().bytes, 0);
    }

    #[test]
    fn lines_are_written_in_order_and_a_flush_waits_for_those_queued_before() {
        let queue = LogQueue::default();
        queue.push("one\n".to_owned(), Importance::Normal);
        queue.push("two\n".to_owned(), Importance::Error);
        assert!(!queue.wait_until_written(Duration::from_millis(1)));
        let batch = queue.take();
        assert_eq!(batch.text, b"one\ntwo\n");
        assert!(!queue.wait_until_written(Duration::ZERO), "taken, but not written");
        queue.wrote(&batch);
        assert!(queue.wait_until_written(Duration::ZERO));
    }
}
