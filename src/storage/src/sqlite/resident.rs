//! The resident tail: the end of every timeline that is published but not filed yet, shared by the writer and the
//! readers.
//!
//! A message is kept as its bytes in the journal's batch, which all messages of one commit share, and is read like one
//! on the disk. A reader reads the tail *first* and the disk afterwards, so that a message that is filed and evicted in
//! between is found on the disk. The lock is never held during SQL.

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
    tails: RwLock<HashMap<ConversationId, VecDeque<ResidentMessage>>>,
}

/// A resident message.
#[derive(Clone, Debug)]
pub struct ResidentMessage {
    pub seq: Seq,
    batch: Batch,
    start: u32,
    end: u32,
}

impl ResidentMessage {
    /// The message's entry, as in a page.
    pub fn entry(&self) -> &[u8] {
        &self.batch[self.start as usize..self.end as usize]
    }
}

/// The end of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub last: Seq,
    pub time: UnixMillis,
}

impl Resident {
    /// Makes the messages of a batch visible, in order, atomically with `announce`: no reader observes one without the
    /// other.
    pub fn publish(&self, batch: &Batch, slots: &[Slot], announce: impl FnOnce()) {
        let mut tails = self.tails.write();
        announce();
        for slot in slots {
            let (conversation, seq) = parts(slot.place);
            let tail = tails.entry(conversation).or_default();
            debug_assert!(tail.back().is_none_or(|last| last.seq.next() == seq), "a tail has no gaps");
            tail.push_back(ResidentMessage {
                seq,
                batch: Arc::clone(batch),
                start: slot.start,
                end: slot.end,
            });
        }
    }

    /// Removes messages that are filed: of each conversation those up to a seq.
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

    /// The end of a timeline; `None`: it is on the disk.
    pub fn end(&self, conversation: ConversationId) -> Option<End> {
        end_of(self.tails.read().get(&conversation))
    }

    /// The ends of many timelines, in their order.
    pub fn ends(&self, conversations: impl Iterator<Item = ConversationId>) -> Vec<Option<End>> {
        let tails = self.tails.read();
        conversations.map(|conversation| end_of(tails.get(&conversation))).collect()
    }

    /// The first resident messages above `after`, at most `limit`. Messages in between are on the disk.
    pub fn after(&self, conversation: ConversationId, after: Seq, limit: usize) -> Vec<ResidentMessage> {
        let tails = self.tails.read();
        let Some(tail) = tails.get(&conversation) else { return Vec::new() };
        let from = tail.partition_point(|message| message.seq <= after);
        tail.range(from..).take(limit).cloned().collect()
    }

    /// The last resident messages below `before`, at most `limit`, in order. Messages below them are on the disk.
    pub fn before(&self, conversation: ConversationId, before: Seq, limit: usize) -> Vec<ResidentMessage> {
        let tails = self.tails.read();
        let Some(tail) = tails.get(&conversation) else { return Vec::new() };
        let to = tail.partition_point(|message| message.seq < before);
        tail.range(to.saturating_sub(limit)..to).cloned().collect()
    }
}

fn end_of(tail: Option<&VecDeque<ResidentMessage>>) -> Option<End> {
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

    fn seqs(messages: &[ResidentMessage]) -> Vec<u64> {
        messages.iter().map(|message| message.seq.0).collect()
    }

    #[test]
    fn the_tail_is_read_both_ways_and_evicted_from_the_front() {
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
