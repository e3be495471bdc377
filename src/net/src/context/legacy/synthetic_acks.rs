//! Messages that the kernel took on connections whose clients acknowledge nothing: logic is told as if they had.
//!
//! They are gathered as those clients would gather theirs, for what logic does with an acknowledgement costs as much as a
//! delivery: some ticks, or until there is much of one connection, or until it logs out or ends.

use crate::deadline::Tick;
use foldhash::{HashMap, HashMapExt};
use logic::limits::LEGACY_WINDOW;
use logic::{ConnId, Input};
use wire::timeline;
use wire::{Command, ConversationId, Seq};

/// A message: where, and which. It stands for those before it there.
pub(crate) type Mark = (ConversationId, Seq);

/// Messages of one connection that logic is told of at once: a reader that is fed must not run dry.
const MUCH: u32 = LEGACY_WINDOW / 4;
/// Ticks until logic is told at the latest.
const TICKS: u32 = 2;

/// What logic has not been told yet.
#[derive(Debug)]
pub(crate) struct SyntheticAcks {
    by_connection: HashMap<ConnId, Gathered>,
    since: Tick,
    is_due: bool,
}

/// Messages of one connection.
#[derive(Debug, Default)]
struct Gathered {
    count: u32,
    marks: Vec<Mark>,
}

impl SyntheticAcks {
    pub fn new() -> SyntheticAcks {
        SyntheticAcks { by_connection: HashMap::new(), since: Tick(0), is_due: false }
    }

    /// The kernel has all bytes of `count` messages, for which `marks` stand.
    pub fn report(&mut self, conn: ConnId, marks: impl Iterator<Item = Mark>, count: u32, now: Tick) {
        if count == 0 {
            return;
        }
        if self.by_connection.is_empty() {
            self.since = now;
        }
        let gathered = self.by_connection.entry(conn).or_default();
        gathered.count += count;
        self.is_due |= gathered.count >= MUCH;
        marks.for_each(|mark| note(&mut gathered.marks, mark));
    }

    /// A connection logs out or ends: what was delivered before must be known before.
    pub fn hurry(&mut self) {
        self.is_due = true;
    }

    /// When it must be told at the latest.
    pub fn next(&self) -> Option<Tick> {
        (!self.by_connection.is_empty()).then_some(Tick(self.since.0 + TICKS))
    }

    /// Puts it before `inputs`, if it is time.
    pub fn join(&mut self, inputs: &mut Vec<Input>, now: Tick) {
        if !self.is_due && self.next().is_none_or(|tick| tick > now) {
            return;
        }
        self.is_due = false;
        let ack = |conn, (conversation, seq)| Input::Request {
            conn,
            request: 0,
            command: Command::Timeline(timeline::Request::Ack(timeline::Cursor { conversation, seq })),
        };
        let all = self.by_connection.drain();
        let acks =
            all.flat_map(|(conn, gathered)| gathered.marks.into_iter().map(move |mark| ack(conn, mark)));
        inputs.splice(..0, acks);
    }
}

/// Adds a message to those of one connection.
pub(crate) fn note(marks: &mut Vec<Mark>, mark: Mark) {
    match marks.last_mut() {
        Some(last) if last.0 == mark.0 => last.1 = mark.1,
        _ => marks.push(mark),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_of_one_connection_is_told_at_once_however_few_marks_it_has() {
        let conn = ConnId::new(0, 1, 1);
        let (mut acks, mut inputs) = (SyntheticAcks::new(), Vec::new());
        let mark = |seq| std::iter::once((ConversationId(1), Seq(seq)));
        acks.report(conn, mark(1), 1, Tick(5));
        acks.join(&mut inputs, Tick(5));
        assert!(inputs.is_empty(), "one message waits for others");
        acks.report(conn, mark(u64::from(MUCH)), MUCH - 1, Tick(5));
        acks.join(&mut inputs, Tick(5));
        let told = Command::Timeline(timeline::Request::Ack(timeline::Cursor {
            conversation: ConversationId(1),
            seq: Seq(u64::from(MUCH)),
        }));
        let [Input::Request { command, .. }] = &inputs[..] else { panic!("{inputs:?}") };
        assert_eq!(*command, told);
        // And what is left is told in time.
        acks.report(conn, mark(99), 1, Tick(6));
        acks.join(&mut inputs, Tick(6 + TICKS));
        assert_eq!((inputs.len(), acks.next()), (2, None));
    }
}
