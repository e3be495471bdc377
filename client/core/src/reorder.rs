//! [`ReorderBuffer`]: puts the messages of one conversation in order and finds gaps.

use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{Message, Seq};

/// The most messages held behind a gap. Further ones are dropped and fetched again by the backfill. The server has at
/// most 500 unacknowledged messages in flight.
pub const HELD_MAX: usize = 1_000;

/// The next message in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    Message(Arc<Message>),
    /// An own message, already reported as sent.
    Own,
}

/// The highest contiguous seq and the messages above it.
///
/// ```text
///   1 … cursor            delivered, in order, each once
///   cursor+1 … known      a gap if not all of it is held: to be fetched by HISTORY `after` the cursor
///   held                  above the cursor: messages that wait, and own messages that were confirmed
/// ```
///
/// An own message is not pushed to the connection that sent it. Its reply stands for the push and may overtake pushes
/// below it. So an own seq above the cursor is not a gap yet, but a pushed one above the cursor's successor is.
#[derive(Clone, Debug, Default)]
pub struct ReorderBuffer {
    /// `None` until the server's cursor or the first push defines where this client's view begins.
    cursor: Option<Seq>,
    /// The highest seq that the server has pushed or counts as delivered.
    known: Seq,
    /// `None` marks an own message.
    held: BTreeMap<Seq, Option<Arc<Message>>>,
}

impl ReorderBuffer {
    /// A buffer for a conversation that was delivered up to `cursor`.
    pub fn starting_after(cursor: Seq) -> ReorderBuffer {
        ReorderBuffer { cursor: Some(cursor), ..ReorderBuffer::default() }
    }

    /// The buffer of an earlier session.
    pub fn restored(cursor: Option<Seq>, own_above: impl IntoIterator<Item = Seq>) -> ReorderBuffer {
        ReorderBuffer { cursor, known: Seq(0), held: own_above.into_iter().map(|seq| (seq, None)).collect() }
    }

    /// The seq up to which everything was delivered.
    pub fn cursor(&self) -> Option<Seq> {
        self.cursor
    }

    /// Whether a message is missing below one that the server has pushed.
    pub fn has_gap(&self) -> bool {
        self.cursor.is_some_and(|cursor| self.known > cursor)
    }

    /// Whether anything is held above the cursor.
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Confirmed own messages above the cursor.
    pub fn own_above(&self) -> impl Iterator<Item = Seq> + '_ {
        self.held.iter().filter(|(_, message)| message.is_none()).map(|(seq, _)| *seq)
    }

    /// Learns the first visible message and the server's delivered cursor. A cursor that is already known stays:
    /// another device may have acknowledged messages that this one has not seen.
    pub fn learn(&mut self, first_seq: Seq, delivered_seq: Seq) {
        self.raise(first_seq.prev());
        if self.cursor.is_none() {
            self.cursor = Some(delivered_seq.max(first_seq.prev()));
        }
        self.known = self.known.max(delivered_seq);
        self.prune();
    }

    /// Learns the first visible message: nothing below it counts as missing.
    pub fn learn_first(&mut self, first_seq: Seq) {
        self.raise(first_seq.prev());
        self.prune();
    }

    /// Takes a message from a push or from HISTORY. Returns `false` if it is a duplicate or does not fit.
    pub fn accept(&mut self, message: Arc<Message>) -> bool {
        let seq = message.seq;
        let cursor = *self.cursor.get_or_insert_with(|| {
            // The first push of a conversation follows the server's cursor, except for own messages.
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

    /// Takes the seq of an own message that the server has stored.
    pub fn own(&mut self, seq: Seq) {
        if self.cursor.is_none() && seq == Seq(1) {
            self.cursor = Some(Seq(0));
        }
        if self.cursor.is_none_or(|cursor| seq > cursor) {
            self.held.insert(seq, None);
        }
    }

    /// Takes the next message in order and moves the cursor past it.
    pub fn pop(&mut self) -> Option<Next> {
        let next = self.cursor?.next();
        let held = self.held.remove(&next)?;
        self.cursor = Some(next);
        Some(held.map_or(Next::Own, Next::Message))
    }

    /// Abandons the next gap: moves the cursor to its end. Returns the first and the last missing seq.
    pub fn skip_gap(&mut self) -> Option<(Seq, Seq)> {
        let from = self.cursor?.next();
        let to = self.held.keys().next().map_or(self.known, |held| held.prev());
        (from <= to).then(|| {
            self.cursor = Some(to);
            (from, to)
        })
    }

    /// Drops the held messages: they were not acknowledged, so the next connection delivers them again.
    pub fn connection_lost(&mut self) {
        self.held.retain(|_, message| message.is_none());
        self.known = Seq(0);
    }

    /// Forgets everything above `same`. If nothing is left, the view begins where the server says.
    pub fn forget_above(&mut self, same: Seq) {
        self.cursor = self.cursor.map(|cursor| cursor.min(same)).filter(|cursor| *cursor > Seq(0));
        self.held.retain(|seq, message| message.is_none() && *seq <= same);
        self.known = Seq(0);
    }

    /// The view begins above `seq`, which is at most the end of what is known. Returns where it begins.
    pub fn clear(&mut self, seq: Seq) -> Seq {
        let held = self.held.keys().next_back().copied();
        let end = self.cursor.unwrap_or_default().max(self.known).max(held.unwrap_or_default());
        let upto = seq.min(end);
        self.learn_first(upto.next());
        upto
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
            extra: None,
        })
    }

    fn drain(buffer: &mut ReorderBuffer) -> Vec<u64> {
        let mut delivered = Vec::new();
        while let Some(next) = buffer.pop() {
            if let Next::Message(message) = next {
                delivered.push(message.seq.0);
            }
        }
        delivered
    }

    #[test]
    fn the_first_push_sets_the_start_of_an_unknown_conversation() {
        let mut buffer = ReorderBuffer::default();
        assert!(buffer.accept(message(7)));
        assert_eq!(drain(&mut buffer), [7]);
        assert!(!buffer.accept(message(7)) && !buffer.accept(message(6)));
    }

    #[test]
    fn an_own_reply_may_overtake_pushes_below_it() {
        let mut buffer = ReorderBuffer::starting_after(Seq(4));
        buffer.own(Seq(7));
        assert!(!buffer.has_gap() && buffer.holds());
        buffer.accept(message(5));
        buffer.accept(message(6));
        assert_eq!(drain(&mut buffer), [5, 6]);
        assert_eq!(buffer.cursor(), Some(Seq(7)));
        assert!(!buffer.accept(message(7)), "an own message is not delivered again");
    }

    #[test]
    fn an_own_reply_in_an_unknown_conversation_waits_for_a_push_below_or_above() {
        let mut buffer = ReorderBuffer::default();
        buffer.own(Seq(9));
        buffer.accept(message(8));
        assert_eq!((drain(&mut buffer), buffer.cursor()), (vec![8], Some(Seq(9))));

        let mut buffer = ReorderBuffer::default();
        buffer.own(Seq(9));
        buffer.accept(message(10));
        assert_eq!((drain(&mut buffer), buffer.cursor()), (vec![10], Some(Seq(10))));
    }

    #[test]
    fn a_push_beyond_the_next_is_held_until_the_gap_is_filled() {
        let mut buffer = ReorderBuffer::starting_after(Seq(1));
        buffer.accept(message(4));
        assert!(buffer.has_gap());
        assert_eq!(drain(&mut buffer), Vec::<u64>::new());
        buffer.accept(message(2));
        buffer.accept(message(3));
        assert_eq!(drain(&mut buffer), [2, 3, 4]);
        assert!(!buffer.has_gap());
    }

    #[test]
    fn a_newer_server_cursor_opens_a_gap_and_first_seq_closes_it() {
        let mut buffer = ReorderBuffer::starting_after(Seq(5));
        buffer.learn(Seq(1), Seq(9));
        assert!(buffer.has_gap());
        buffer.learn_first(Seq(10));
        assert!(!buffer.has_gap());
        assert_eq!(buffer.cursor(), Some(Seq(9)));
    }

    #[test]
    fn messages_dropped_for_lack_of_room_count_as_missing() {
        let mut buffer = ReorderBuffer::starting_after(Seq(0));
        for seq in 2..HELD_MAX as u64 + 100 {
            buffer.accept(message(seq));
        }
        buffer.accept(message(1));
        assert_eq!(drain(&mut buffer).len(), HELD_MAX + 1);
        assert!(buffer.has_gap());
    }
}
