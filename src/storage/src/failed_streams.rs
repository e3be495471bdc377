//! Ordered streams with a failed append: later appends of such a stream are rejected as well, so that all of them are
//! retried in order (see [`logic::contract::message::StreamId`]).

use logic::contract::Written;
use logic::contract::message::StreamId;
use logic::limits::APPENDS_MAX;
use std::collections::{BTreeSet, VecDeque};

/// The number of most recently failed streams to remember. It equals the most appends in flight, so no append of a
/// forgotten stream can be in flight.
const KEPT_MAX: usize = APPENDS_MAX;

/// The streams whose further appends are rejected.
#[derive(Debug, Default)]
pub struct FailedStreams {
    streams: BTreeSet<StreamId>,
    /// The same streams in the order in which they failed, which is not the order of their ids: an old connection may
    /// use a low id for a long time.
    in_order: VecDeque<StreamId>,
}

impl FailedStreams {
    /// Whether an append must be rejected because an earlier append of its stream failed.
    pub fn contains(&self, stream: Option<StreamId>) -> bool {
        stream.is_some_and(|stream| self.streams.contains(&stream))
    }

    /// Records the outcome of an append.
    pub fn note(&mut self, stream: Option<StreamId>, written: &Written) {
        if let (Some(stream), Written::Unavailable | Written::Failed) = (stream, written)
            && self.streams.insert(stream)
        {
            self.in_order.push_back(stream);
            if self.in_order.len() > KEPT_MAX
                && let Some(first) = self.in_order.pop_front()
            {
                self.streams.remove(&first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_rejected_after_its_first_failed_append() {
        let mut failed = FailedStreams::default();
        let [one, other] = [1, 2].map(|number| Some(StreamId(number)));
        failed.note(one, &Written::Done);
        failed.note(None, &Written::Unavailable);
        assert!(!failed.contains(one) && !failed.contains(None));
        failed.note(one, &Written::Unavailable);
        assert!(failed.contains(one) && !failed.contains(other) && !failed.contains(None));
        // Fill the memory with higher ids; then an old stream fails.
        for number in 0..KEPT_MAX as u64 {
            failed.note(Some(StreamId(1_000 + number)), &Written::Unavailable);
        }
        assert!(!failed.contains(one), "the stream that failed first is forgotten");
        failed.note(other, &Written::Unavailable);
        assert!(
            failed.contains(other)
                && !failed.contains(Some(StreamId(1_000)))
                && failed.contains(Some(StreamId(1_001)))
        );
        assert!(failed.streams.len() == KEPT_MAX && failed.in_order.len() == KEPT_MAX);
    }
}
