//! Acknowledgements on behalf of legacy clients, which send none: messages accepted by the kernel count as received.
//!
//! They are batched, because an acknowledgement costs logic as much as a delivery: until some ticks have passed, until
//! one connection has many, or until a connection logs out or closes.

use crate::deadline::Tick;
use foldhash::{HashMap, HashMapExt};
use logic::limits::LEGACY_WINDOW;
use logic::{ConnId, Input};
use wire::{Command, ConversationId, Message, Seq, timeline};

/// The number of messages of one connection that are acknowledged without delay, so that feeding does not stall.
const BATCH_MAX: u32 = LEGACY_WINDOW / 4;
/// The longest delay of an acknowledgement, ticks.
const TICKS_MAX: u32 = 2;

/// A message that stands for all earlier ones of its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    conversation: ConversationId,
    seq: Seq,
}

impl Mark {
    pub fn of(message: &Message) -> Mark {
        Mark { conversation: message.conversation, seq: message.seq }
    }
}

/// Messages to one connection whose acknowledgement was not sent to logic yet.
#[derive(Debug, Default)]
pub(crate) struct Unacknowledged {
    /// At most one in a row for each conversation.
    marks: Vec<Mark>,
    /// Messages that the marks stand for.
    count: u32,
}

impl Unacknowledged {
    pub fn add_all(&mut self, marks: &[Mark]) {
        self.count += marks.len() as u32;
        marks.iter().for_each(|&mark| self.add(mark));
    }

    fn add(&mut self, mark: Mark) {
        match self.marks.last_mut() {
            Some(last) if last.conversation == mark.conversation => last.seq = mark.seq,
            _ => self.marks.push(mark),
        }
    }

    /// Moves everything from `other`, whose memory is kept for a single mark.
    fn append(&mut self, other: &mut Unacknowledged) {
        self.count += std::mem::take(&mut other.count);
        other.marks.drain(..).for_each(|mark| self.add(mark));
        other.marks.shrink_to(1);
    }
}

/// The acknowledgements that were not sent to logic yet.
#[derive(Debug)]
pub(crate) struct SyntheticAcks {
    by_connection: HashMap<ConnId, Unacknowledged>,
    /// When the first of them was recorded.
    since: Tick,
    is_due: bool,
}

impl SyntheticAcks {
    pub fn new() -> SyntheticAcks {
        SyntheticAcks { by_connection: HashMap::new(), since: Tick(0), is_due: false }
    }

    /// Moves `taken` here: the kernel has all bytes of these messages.
    pub fn record(&mut self, conn: ConnId, taken: &mut Unacknowledged, now: Tick) {
        if taken.count == 0 {
            return;
        }
        if self.by_connection.is_empty() {
            self.since = now;
        }
        let acks = self.by_connection.entry(conn).or_default();
        acks.append(taken);
        self.is_due |= acks.count >= BATCH_MAX;
    }

    /// Makes everything due: logic must get the acknowledgements of a connection before its logout or close.
    pub fn expedite(&mut self) {
        self.is_due = true;
    }

    /// When the acknowledgements are due at the latest.
    pub fn next(&self) -> Option<Tick> {
        (!self.by_connection.is_empty()).then_some(Tick(self.since.0 + TICKS_MAX))
    }

    /// Moves the acknowledgements to the front of `inputs`, if they are due.
    pub fn prepend_due(&mut self, inputs: &mut Vec<Input>, now: Tick) {
        if !self.is_due && self.next().is_none_or(|tick| tick > now) {
            return;
        }
        self.is_due = false;
        let ack = |conn, Mark { conversation, seq }| Input::Request {
            conn,
            request: 0,
            command: Command::Timeline(timeline::Request::Ack(timeline::Cursor { conversation, seq })),
        };
        let all = self.by_connection.drain();
        let acks = all.flat_map(|(conn, acks)| acks.marks.into_iter().map(move |mark| ack(conn, mark)));
        inputs.splice(..0, acks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unacknowledged(seq: u64, count: u32) -> Unacknowledged {
        Unacknowledged { marks: vec![Mark { conversation: ConversationId(1), seq: Seq(seq) }], count }
    }

    #[test]
    fn a_full_batch_of_one_connection_is_due_at_once_and_a_small_one_in_time() {
        let conn = ConnId::new(0, 1, 1);
        let (mut acks, mut inputs) = (SyntheticAcks::new(), Vec::new());
        acks.record(conn, &mut unacknowledged(1, 1), Tick(5));
        acks.prepend_due(&mut inputs, Tick(5));
        assert!(inputs.is_empty(), "one message waits for others");
        acks.record(conn, &mut unacknowledged(u64::from(BATCH_MAX), BATCH_MAX - 1), Tick(5));
        acks.prepend_due(&mut inputs, Tick(5));
        let last = timeline::Cursor { conversation: ConversationId(1), seq: Seq(u64::from(BATCH_MAX)) };
        let expected = Command::Timeline(timeline::Request::Ack(last));
        let [Input::Request { command, .. }] = &inputs[..] else { panic!("{inputs:?}") };
        assert_eq!(*command, expected);
        acks.record(conn, &mut unacknowledged(99, 1), Tick(6));
        acks.prepend_due(&mut inputs, Tick(6 + TICKS_MAX));
        assert_eq!((inputs.len(), acks.next()), (2, None));
    }
}
