//! One conversation's timeline as this client has it: what was shown, what waits behind a gap.

use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{Message, Seq};

/// Messages held behind a gap at most. More are dropped and come again with the history that fills the gap; the
/// server itself has at most 500 unacknowledged on their way.
pub const HELD_MAX: usize = 1_000;

/// What comes next in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A message to show.
    Message(Arc<Message>),
    /// An own message whose reply was seen before: already shown as sent.
    Own,
}

/// The highest contiguous seq and what lies above it.
///
/// ```text
///   1 … cursor            shown, in order, each once
///   cursor+1 … known      a gap: something above it was pushed, so HISTORY `after` cursor is asked
///   held                  above the cursor: messages that wait, and own ones that were confirmed already
/// ```
///
/// An own message is not pushed to the connection that sent it; its reply takes its place and may overtake the pushes
/// below it. So an own seq above the cursor is no gap yet, while a push above the cursor's successor is one.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Unknown until the server's cursor, or the first push, says where this client begins.
    cursor: Option<Seq>,
    /// The highest seq that the server pushed or counts as delivered.
    known: Seq,
    held: BTreeMap<Seq, Option<Arc<Message>>>,
}

impl Timeline {
    /// A timeline of which everything up to `cursor` was shown.
    pub fn starting_after(cursor: Seq) -> Timeline {
        Timeline { cursor: Some(cursor), ..Timeline::default() }
    }

    /// A timeline from an earlier life of the client.
    pub fn restored(cursor: Option<Seq>, own_above: impl IntoIterator<Item = Seq>) -> Timeline {
        Timeline { cursor, known: Seq(0), held: own_above.into_iter().map(|seq| (seq, None)).collect() }
    }

    /// The highest contiguous seq that was shown.
    pub fn cursor(&self) -> Option<Seq> {
        self.cursor
    }

    /// Whether something that the server has pushed already is missing below what it pushed.
    pub fn has_gap(&self) -> bool {
        self.cursor.is_some_and(|cursor| self.known > cursor)
    }

    /// Whether anything waits above the cursor.
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Own messages above the cursor that were confirmed.
    pub fn own_above(&self) -> impl Iterator<Item = Seq> + '_ {
        self.held.iter().filter(|(_, message)| message.is_none()).map(|(seq, _)| *seq)
    }

    /// Takes the server's word for where this member's view begins and up to where it was delivered.
    ///
    /// A client that knows its own cursor keeps it: another device may have acknowledged what this one never saw.
    pub fn learn(&mut self, first_seq: Seq, delivered_seq: Seq) {
        self.raise(first_seq.prev());
        if self.cursor.is_none() {
            self.cursor = Some(delivered_seq.max(first_seq.prev()));
        }
        self.known = self.known.max(delivered_seq);
        self.prune();
    }

    /// Below `first_seq` nothing is missing.
    pub fn learn_first(&mut self, first_seq: Seq) {
        self.raise(first_seq.prev());
        self.prune();
    }

    /// Takes a message that was pushed or read from the history. `false` where this client has it.
    pub fn accept(&mut self, message: Arc<Message>) -> bool {
        let seq = message.seq;
        let cursor = *self.cursor.get_or_insert_with(|| {
            // The first push of a conversation follows the server's cursor, own messages aside.
            self.held.keys().next().map_or(seq, |own| seq.min(*own)).prev()
        });
        if seq <= cursor {
            return false;
        }
        self.known = self.known.max(seq);
        if self.held.contains_key(&seq) || (self.held.len() >= HELD_MAX && seq != cursor.next()) {
            return false;
        }
        self.held.insert(seq, Some(message));
        true
    }

    /// Takes the seq of an own message whose reply has come.
    pub fn own(&mut self, seq: Seq) {
        if self.cursor.is_none() && seq == Seq(1) {
            self.cursor = Some(Seq(0));
        }
        if self.cursor.is_none_or(|cursor| seq > cursor) {
            self.held.insert(seq, None);
        }
    }

    /// Takes what comes next in order, and moves the cursor over it.
    pub fn pop(&mut self) -> Option<Next> {
        let next = self.cursor?.next();
        let held = self.held.remove(&next)?;
        self.cursor = Some(next);
        Some(held.map_or(Next::Own, Next::Message))
    }

    /// Gives up on what is missing next: the cursor moves to where something is held. Returns the missing ones.
    pub fn skip_hole(&mut self) -> Option<(Seq, Seq)> {
        let from = self.cursor?.next();
        let to = self.held.keys().next().map_or(self.known, |held| held.prev());
        (from <= to).then(|| {
            self.cursor = Some(to);
            (from, to)
        })
    }

    /// Drops what waits: it was not acknowledged, so the next connection brings it again.
    pub fn connection_lost(&mut self) {
        self.held.retain(|_, message| message.is_none());
        self.known = Seq(0);
    }

    fn raise(&mut self, to: Seq) {
        if let Some(cursor) = &mut self.cursor {
            *cursor = (*cursor).max(to);
        }
    }

    fn prune(&mut self) {
        if let Some(cursor) = self.cursor {
            self.held = self.held.split_off(&cursor.next());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{ConversationId, ConversationKind, UnixMillis, UserId};

    fn message(seq: u64) -> Arc<Message> {
        Arc::new(Message {
            conversation: ConversationId(1),
            kind: ConversationKind::Direct,
            seq: Seq(seq),
            from: UserId(2),
            name: "a".into(),
            content_type: "text".into(),
            content: "x".into(),
            time: UnixMillis(0),
            cid: None,
        })
    }

    fn drain(timeline: &mut Timeline) -> Vec<u64> {
        let mut shown = Vec::new();
        while let Some(next) = timeline.pop() {
            if let Next::Message(message) = next {
                shown.push(message.seq.0);
            }
        }
        shown
    }

    #[test]
    fn the_first_push_says_where_an_unknown_conversation_begins() {
        let mut timeline = Timeline::default();
        assert!(timeline.accept(message(7)));
        assert_eq!(drain(&mut timeline), [7]);
        assert!(!timeline.accept(message(7)) && !timeline.accept(message(6)));
    }

    #[test]
    fn an_own_reply_may_overtake_pushes_below_it() {
        let mut timeline = Timeline::starting_after(Seq(4));
        timeline.own(Seq(7));
        assert!(!timeline.has_gap() && timeline.holds());
        timeline.accept(message(5));
        timeline.accept(message(6));
        assert_eq!(drain(&mut timeline), [5, 6]);
        assert_eq!(timeline.cursor(), Some(Seq(7)));
        assert!(!timeline.accept(message(7)), "an own message is not shown again");
    }

    #[test]
    fn an_own_reply_in_an_unknown_conversation_waits_for_pushes_on_either_side() {
        let mut timeline = Timeline::default();
        timeline.own(Seq(9));
        timeline.accept(message(8));
        assert_eq!((drain(&mut timeline), timeline.cursor()), (vec![8], Some(Seq(9))));

        let mut timeline = Timeline::default();
        timeline.own(Seq(9));
        timeline.accept(message(10));
        assert_eq!((drain(&mut timeline), timeline.cursor()), (vec![10], Some(Seq(10))));
    }

    #[test]
    fn a_push_beyond_the_next_is_held_until_the_gap_is_filled() {
        let mut timeline = Timeline::starting_after(Seq(1));
        timeline.accept(message(4));
        assert!(timeline.has_gap());
        assert_eq!(drain(&mut timeline), Vec::<u64>::new());
        timeline.accept(message(2));
        timeline.accept(message(3));
        assert_eq!(drain(&mut timeline), [2, 3, 4]);
        assert!(!timeline.has_gap());
    }

    #[test]
    fn another_devices_cursor_shows_a_gap_and_first_seq_closes_one() {
        let mut timeline = Timeline::starting_after(Seq(5));
        timeline.learn(Seq(1), Seq(9));
        assert!(timeline.has_gap());
        timeline.learn_first(Seq(10));
        assert!(!timeline.has_gap());
        assert_eq!(timeline.cursor(), Some(Seq(9)));
    }

    #[test]
    fn what_does_not_fit_is_known_to_be_missing() {
        let mut timeline = Timeline::starting_after(Seq(0));
        for seq in 2..HELD_MAX as u64 + 100 {
            timeline.accept(message(seq));
        }
        timeline.accept(message(1));
        assert_eq!(drain(&mut timeline).len(), HELD_MAX + 1);
        assert!(timeline.has_gap());
    }
}
