//! A run: journalled messages that will be filed together, in the same bytes that the journal holds.

use super::chains::Chains;
use super::codec::{self, Bytes, Damaged, Entry, VERSION, put_entry, put_number};
use crate::calendar::{self, Month};
use foldhash::HashMap;
use std::sync::Arc;
use wire::{ConversationId, Seq, UserId};

/// Messages per conversation at which a run is full: the more messages share a page, the less each costs.
const DENSITY: usize = 128;
/// A run of fewer messages is never full.
const MESSAGES_MIN: usize = 1 << 14;
/// A run of this many messages is always full, which bounds its memory.
const MESSAGES_MAX: usize = 1 << 16;
/// A run of this many encoded bytes is always full.
const BYTES_MAX: usize = 16 << 20;

/// The bytes of one commit, as in its journal record. Shared with the resident tail.
pub type Batch = Arc<Vec<u8>>;

/// Messages in journal order, indexed by conversation and by `(sender, cid)`.
#[derive(Debug, Default)]
pub struct Run {
    batches: Vec<Batch>,
    /// Their total bytes.
    bytes: usize,
    /// The batch that is being built.
    open: Vec<u8>,
    slots: Vec<Slot>,
    /// For each hash of `(sender, cid)` the first slot with that hash.
    index: HashMap<u64, u32>,
    /// Slots whose hash occurred before.
    collided: Vec<u32>,
    /// The number of the journal record that holds the last message.
    last: u64,
    /// Slots by conversation, in order of seq.
    conversations: Chains,
    /// Slots by sender.
    senders: Chains,
}

/// One message of a run.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// See [`place`].
    pub place: u64,
    /// Hash of `(sender, cid)`.
    hash: u64,
    pub sender: UserId,
    /// The month of its table.
    pub month: Month,
    batch: u32,
    /// The start of its entry in the batch.
    pub start: u32,
    /// The end of its entry in the batch.
    pub end: u32,
}

/// Conversation and seq as one number that sorts like the pair; also the key of a page. Seqs are below 2^32 in this
/// store.
pub fn place(conversation: ConversationId, seq: Seq) -> u64 {
    debug_assert!(seq.0 <= SEQ_MAX);
    u64::from(conversation.0) << 32 | seq.0
}

/// The largest seq that fits a [`place`].
pub const SEQ_MAX: u64 = u32::MAX as u64;

pub fn parts(place: u64) -> (ConversationId, Seq) {
    (ConversationId((place >> 32) as u32), Seq(place & SEQ_MAX))
}

impl Run {
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Empties the run and keeps the memory of its lists.
    pub fn clear(&mut self) {
        self.batches.clear();
        self.bytes = 0;
        self.slots.clear();
        self.index.clear();
        self.collided.clear();
        self.conversations.clear();
        self.senders.clear();
    }

    pub fn is_full(&self) -> bool {
        self.fullness() >= 1.0
    }

    /// The fill level; above 1: overdue for filing.
    pub fn fullness(&self) -> f64 {
        let enough = (self.conversations.len() * DENSITY).clamp(MESSAGES_MIN, MESSAGES_MAX);
        let messages = self.slots.len() as f64 / enough as f64;
        messages.max(self.bytes as f64 / BYTES_MAX as f64)
    }

    /// Begins a batch. Returns the mark for [`Run::committed`] and [`Run::truncate`].
    pub fn begin(&mut self) -> usize {
        let size = self.batches.last().map_or(0, |last| last.len());
        self.open.clear();
        self.open.reserve(size);
        self.open.push(VERSION);
        self.slots.len()
    }

    /// Adds a message to the open batch.
    pub fn push(&mut self, place: u64, hash: u64, month: Month, entry: &Entry<'_>) {
        let (conversation, seq) = parts(place);
        put_number(&mut self.open, u64::from(conversation.0));
        put_number(&mut self.open, seq.0);
        let start = self.open.len();
        put_entry(&mut self.open, entry);
        let end = self.open.len();
        let fits = |n: usize| u32::try_from(n).expect("a run and one batch are far below 4 GiB");
        let (batch, start, end) = (fits(self.batches.len()), fits(start), fits(end));
        let slot = Slot { place, hash, sender: entry.sender, month, batch, start, end };
        self.link(fits(self.slots.len()), &slot);
        self.slots.push(slot);
    }

    fn link(&mut self, at: u32, slot: &Slot) {
        self.index.entry(slot.hash).and_modify(|_| self.collided.push(at)).or_insert(at);
        self.conversations.push(parts(slot.place).0.0);
        self.senders.push(slot.sender.0);
    }

    /// The journal record of the open batch; `None`: it has no messages.
    pub fn open_batch(&self) -> Option<&[u8]> {
        (self.open.len() > 1).then_some(&*self.open)
    }

    /// Closes the batch that began at `mark`, once it is in the journal as this record. Returns its bytes and messages.
    pub fn committed(&mut self, mark: usize, record: u64) -> Option<(Batch, &[Slot])> {
        self.open_batch()?;
        let mut bytes = std::mem::take(&mut self.open);
        if bytes.capacity() > 2 * bytes.len() {
            bytes.shrink_to_fit();
        }
        self.bytes += bytes.len();
        let batch = Arc::new(bytes);
        self.batches.push(Arc::clone(&batch));
        self.last = record;
        Some((batch, &self.slots[mark..]))
    }

    /// Removes the batch that began at `mark`.
    pub fn truncate(&mut self, mark: usize) {
        self.open.clear();
        let mut slots = std::mem::take(&mut self.slots);
        slots.truncate(mark);
        self.index.clear();
        self.collided.clear();
        self.conversations.clear();
        self.senders.clear();
        for (at, slot) in (0..).zip(&slots) {
            self.link(at, slot);
        }
        self.slots = slots;
    }

    /// Loads a record of the journal; nothing of it, if it is damaged.
    pub fn load(
        &mut self,
        record: u64,
        batch: &[u8],
        hash: impl FnMut(UserId, &str) -> u64,
    ) -> Result<(), Damaged> {
        let mark = self.begin();
        let loaded = self.load_messages(batch, hash);
        match loaded {
            Ok(()) => drop(self.committed(mark, record)),
            Err(_) => self.truncate(mark),
        }
        loaded
    }

    fn load_messages(
        &mut self,
        batch: &[u8],
        mut hash: impl FnMut(UserId, &str) -> u64,
    ) -> Result<(), Damaged> {
        let mut read = Bytes::open(batch)?;
        while !read.is_empty() {
            let conversation =
                u32::try_from(read.number()?).map_err(|_| Damaged("conversation out of range"))?;
            let seq = read.number()?;
            if seq > SEQ_MAX {
                return Err(Damaged("seq out of range"));
            }
            let entry = read.entry()?;
            let place = place(ConversationId(conversation), Seq(seq));
            self.push(place, hash(entry.sender, entry.cid), calendar::month_of(entry.time), &entry);
        }
        Ok(())
    }

    /// The number of the journal record that holds the last message.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The slots by conversation, in order of seq.
    pub fn conversations(&self) -> &Chains {
        &self.conversations
    }

    /// The slots by sender, in journal order.
    pub fn senders(&self) -> &Chains {
        &self.senders
    }

    /// All slots, in journal order.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// A message's entry, as in a page.
    pub fn entry(&self, slot: &Slot) -> &[u8] {
        let batch = self.batches.get(slot.batch as usize).map_or(&self.open, |batch| &**batch);
        &batch[slot.start as usize..slot.end as usize]
    }

    /// A message's `cid`.
    pub fn cid(&self, slot: &Slot) -> &[u8] {
        codec::cid_of(self.entry(slot))
    }

    /// The message with this sender and `cid`.
    pub fn find(&self, hash: u64, sender: UserId, cid: &str) -> Option<&Slot> {
        let first = *self.index.get(&hash)?;
        let others = self.collided.iter();
        others
            .chain([&first])
            .map(|at| &self.slots[*at as usize])
            .find(|slot| slot.hash == hash && slot.sender == sender && self.cid(slot) == cid.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{ConversationKind, UnixMillis};

    fn entry(sender: u32, cid: &str) -> Entry<'_> {
        Entry {
            cid,
            sender: UserId(sender),
            time: UnixMillis(1),
            kind: ConversationKind::Direct,
            content_type: "text",
            content: "x",
        }
    }

    #[test]
    fn equal_hashes_are_distinguished_and_a_truncated_batch_is_gone() {
        let mut run = Run::default();
        let at = |seq| place(ConversationId(1), Seq(seq));
        let mark = run.begin();
        run.push(at(1), 7, 202_601, &entry(1, "a"));
        run.push(at(2), 7, 202_601, &entry(1, "b"));
        run.committed(mark, 1).unwrap();
        let second = run.begin();
        run.push(at(3), 7, 202_601, &entry(2, "a"));
        let find = |run: &Run, sender, cid| run.find(7, UserId(sender), cid).map(|slot| slot.place);
        assert_eq!(find(&run, 1, "a"), Some(at(1)));
        assert_eq!(find(&run, 1, "b"), Some(at(2)));
        assert_eq!(find(&run, 2, "a"), Some(at(3)));
        assert_eq!(find(&run, 2, "b"), None);
        run.truncate(second);
        assert_eq!(find(&run, 2, "a"), None);
        assert_eq!(find(&run, 1, "b"), Some(at(2)));
    }

    #[test]
    fn a_journal_record_is_read_back_as_it_was_written() {
        let mut run = Run::default();
        let mark = run.begin();
        run.push(place(ConversationId(9), Seq(4)), 1, 202_601, &entry(3, "c"));
        let record = run.open_batch().unwrap().to_vec();
        assert_eq!(run.committed(mark, 1).unwrap().1.len(), 1);
        let mut again = Run::default();
        again.load(5, &record, |_, _| 1).unwrap();
        assert_eq!(
            again.find(1, UserId(3), "c").map(|slot| parts(slot.place)),
            Some((ConversationId(9), Seq(4)))
        );
        assert_eq!(again.last(), 5);
        assert!(again.load(6, &record[..record.len() - 1], |_, _| 1).is_err());
    }
}
