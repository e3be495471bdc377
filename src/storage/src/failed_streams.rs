//! Flights of messages of which one was given back: what was sent after it is given back as well, so that all of them
//! are tried again in order (see [`logic::contract::StreamId`]).

use logic::contract::Written;
use logic::contract::message::StreamId;
use logic::limits::APPENDS_MAX;
use std::collections::{BTreeSet, VecDeque};

/// What is remembered: no more streams than messages can be on their way, those that something was given back of last. Of a
/// stream that is forgotten nothing is on its way any more.
const KEPT_MAX: usize = APPENDS_MAX;

/// The streams that nothing of may be stored any more.
#[derive(Debug, Default)]
pub struct FailedStreams {
    streams: BTreeSet<StreamId>,
    /// The same as they came: the number says when a stream began, and an old connection may fly by a low one for long.
    in_order: VecDeque<StreamId>,
}

impl FailedStreams {
    /// Whether a message must be given back, because one before it was.
    pub fn has(&self, stream: Option<StreamId>) -> bool {
        stream.is_some_and(|stream| self.streams.contains(&stream))
    }

    /// A message was answered.
    pub fn learn(&mut self, stream: Option<StreamId>, written: &Written) {
        if let (Some(stream), Written::Unavailable) = (stream, written)
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
    fn what_follows_one_that_was_given_back_is_given_back() {
        let mut failed = FailedStreams::default();
        let [one, other] = [1, 2].map(|number| Some(StreamId(number)));
        failed.learn(one, &Written::Done);
        failed.learn(None, &Written::Unavailable);
        assert!(!failed.has(one) && !failed.has(None));
        failed.learn(one, &Written::Unavailable);
        assert!(failed.has(one) && !failed.has(other) && !failed.has(None));
        // As many as are remembered, with higher numbers; then one that began long before them.
        for number in 0..KEPT_MAX as u64 {
            failed.learn(Some(StreamId(1_000 + number)), &Written::Unavailable);
        }
        assert!(!failed.has(one), "the first that was given back is forgotten");
        failed.learn(other, &Written::Unavailable);
        assert!(failed.has(other) && !failed.has(Some(StreamId(1_000))) && failed.has(Some(StreamId(1_001))));
        assert!(failed.streams.len() == KEPT_MAX && failed.in_order.len() == KEPT_MAX);
    }
}
