//! The tail of every timeline that is published and not yet filed, shared by the writer and the readers.
//!
//! A message rests here as its bytes in the journal's batch, which all messages of one commit share; it is read like
//! one on the disk. A reader takes what it needs from here *first* and from the disk after, so that a message which is
//! filed and evicted in between is seen on the disk. The lock is never held during SQL.

use super::codec;
use super::run::{Batch, Slot, parts};
use foldhash::HashMap;
use parking_lot::RwLock;
use std::collections::VecDeque;
use std::sync::Arc;
use wire::{ConversationId, Seq, UnixMillis};

/// The resident messages.
#[derive(Debug, Default)]
pub struct Resident {
    tails: RwLock<HashMap<ConversationId, VecDeque<Resting>>>,
}

/// A resident message.
#[derive(Clone, Debug)]
pub struct Resting {
    /// Its place in its conversation.
    pub seq: Seq,
    batch: Batch,
    start: u32,
    end: u32,
}

impl Resting {
    /// The message as it stands in a page.
    pub fn entry(&self) -> &[u8] {
        &self.batch[self.start as usize..self.end as usize]
    }
}

/// Where a timeline ends, if its end is resident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub last: Seq,
    pub time: UnixMillis,
}

impl Resident {
    /// Makes the messages of a batch visible, in order, together with whatever `announce` does: no reader sees one
    /// without the other.
    pub fn publish(&self, batch: &Batch, slots: &[Slot], announce: impl FnOnce()) {
        let mut tails = self.tails.write();
        announce();
        for slot in slots {
            let (conversation, seq) = parts(slot.place);
            let tail = tails.entry(conversation).or_default();
            debug_assert!(tail.back().is_none_or(|last| last.seq.next() == seq), "a tail has no gaps");
            tail.push_back(Resting { seq, batch: Arc::clone(batch), start: slot.start, end: slot.end });
        }
    }

    /// Forgets messages that are filed: of each conversation those up to a seq.
    pub fn evict(&self, filed: &[(ConversationId, Seq)]) {
        let mut tails = self.tails.write();
        for (conversation, upto) in filed {
            let Some(tail) = tails.get_mut(conversation) else { continue };
            let count = tail.partition_point(|message| message.seq <= *upto);
            tail.drain(..count);
            if tail.is_empty() {
                tails.remove(conversation);
            }
        }
        if tails.is_empty() {
            tails.shrink_to_fit();
        }
    }

    /// Where a timeline ends; `None`: on the disk.
    pub fn end(&self, conversation: ConversationId) -> Option<End> {
        end_of(self.tails.read().get(&conversation))
    }

    /// The same for many, in their order.
    pub fn ends(&self, conversations: impl Iterator<Item = ConversationId>) -> Vec<Option<End>> {
        let tails = self.tails.read();
        conversations.map(|conversation| end_of(tails.get(&conversation))).collect()
    }

    /// The first resident messages above `after`, at most `limit`. What lies between is on the disk.
    pub fn after(&self, conversation: ConversationId, after: Seq, limit: usize) -> Vec<Resting> {
        let tails = self.tails.read();
        let Some(tail) = tails.get(&conversation) else { return Vec::new() };
        let from = tail.partition_point(|message| message.seq <= after);
        tail.range(from..).take(limit).cloned().collect()
    }

    /// The last resident messages below `before`, at most `limit`, in order. What lies below them is on the disk.
    pub fn before(&self, conversation: ConversationId, before: Seq, limit: usize) -> Vec<Resting> {
        let tails = self.tails.read();
        let Some(tail) = tails.get(&conversation) else { return Vec::new() };
        let to = tail.partition_point(|message| message.seq < before);
        tail.range(to.saturating_sub(limit)..to).cloned().collect()
    }
}

fn end_of(tail: Option<&VecDeque<Resting>>) -> Option<End> {
    let message = tail?.back()?;
    let time = codec::time_of(message.entry()).expect("it was encoded by this process");
    Some(End { last: message.seq, time })
}

#[cfg(test)]
mod tests {
    use super::super::codec::Entry;
    use super::super::run::{Run, place};
    use super::*;
    use wire::{ConversationKind, UserId};

    const CONVERSATION: ConversationId = ConversationId(1);

    fn publish(resident: &Resident, seqs: impl Iterator<Item = u64>) {
        let mut run = Run::default();
        let mark = run.begin();
        for seq in seqs {
            let entry = Entry {
                cid: "c",
                sender: UserId(1),
                time: UnixMillis(seq * 10),
                kind: ConversationKind::Direct,
                content_type: "text",
                content: "x",
            };
            run.push(place(CONVERSATION, Seq(seq)), seq, 202_601, &entry);
        }
        let (batch, slots) = run.committed(mark, 1).unwrap();
        resident.publish(&batch, slots, || {});
    }

    fn seqs(messages: &[Resting]) -> Vec<u64> {
        messages.iter().map(|message| message.seq.0).collect()
    }

    #[test]
    fn a_tail_is_read_both_ways_and_shrinks_from_its_front() {
        let resident = Resident::default();
        publish(&resident, 5..=7);
        publish(&resident, 8..=9);
        assert_eq!(seqs(&resident.after(CONVERSATION, Seq(2), 3)), [5, 6, 7]);
        assert_eq!(seqs(&resident.after(CONVERSATION, Seq(7), 3)), [8, 9]);
        assert_eq!(seqs(&resident.before(CONVERSATION, Seq(8), 2)), [6, 7]);
        assert_eq!(seqs(&resident.before(CONVERSATION, Seq(100), 9)), [5, 6, 7, 8, 9]);
        resident.evict(&[(CONVERSATION, Seq(6))]);
        assert_eq!(seqs(&resident.before(CONVERSATION, Seq(100), 9)), [7, 8, 9]);
        assert_eq!(resident.end(CONVERSATION), Some(End { last: Seq(9), time: UnixMillis(90) }));
        resident.evict(&[(CONVERSATION, Seq(9))]);
        assert_eq!(resident.end(CONVERSATION), None);
    }
}
