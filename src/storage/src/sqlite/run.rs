//! A run: messages that will be filed together, in the same bytes that the journal holds. An entry that was committed
//! with a change of a table is a *row* of the table `entry` instead of a part of a journal record; apart from that it is
//! like a message.

use super::chains::Chains;
use super::codec::{self, Bytes, Damaged, Entry, VERSION, put_entry, put_number};
use crate::calendar::{self, Month};
use foldhash::HashMap;
use std::collections::BTreeMap;
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
    /// The bytes of entries that are rows, each a page of its own.
    rows: Vec<Batch>,
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
    /// Its bytes: an index in `Run::batches`, or with [`ROW`] in `Run::rows`.
    batch: u32,
    /// The start of its entry in the batch.
    pub start: u32,
    /// The end of its entry in the batch.
    pub end: u32,
}

/// Marks [`Slot::batch`] of an entry that is a row.
const ROW: u32 = 1 << 31;

impl Slot {
    /// Whether it is a row of the table `entry`, not a part of a journal record.
    pub fn is_row(&self) -> bool {
        self.batch & ROW != 0
    }
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
        self.rows.clear();
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

    /// Adds an entry that is a row; `page` holds it alone.
    pub fn push_row(&mut self, place: u64, hash: u64, page: Vec<u8>) -> Result<(), Damaged> {
        let entry = Bytes::open(&page)?.entry()?;
        let (sender, month) = (entry.sender, calendar::month_of(entry.time));
        let fits =
            |n: usize| u32::try_from(n).ok().filter(|n| n & ROW == 0).expect("a run is far below 2 GiB");
        // The entry begins after the version.
        let (start, end) = (1, fits(page.len()));
        let slot = Slot { place, hash, sender, month, batch: fits(self.rows.len()) | ROW, start, end };
        self.bytes += page.len();
        self.rows.push(Arc::new(page));
        self.link(fits(self.slots.len()), &slot);
        self.slots.push(slot);
        Ok(())
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

    /// Closes the batch, once its messages are in the journal; `record` is the journal's last record.
    pub fn committed(&mut self, record: u64) {
        self.last = record;
        if self.open_batch().is_none() {
            return;
        }
        let mut bytes = std::mem::take(&mut self.open);
        if bytes.capacity() > 2 * bytes.len() {
            bytes.shrink_to_fit();
        }
        self.bytes += bytes.len();
        self.batches.push(Arc::new(bytes));
    }

    /// The messages and rows of the batch that began at `mark`.
    pub fn since(&self, mark: usize) -> &[Slot] {
        &self.slots[mark..]
    }

    /// Whether the batch that began at `mark` has messages of a conversation, rows apart.
    pub fn has_message_since(&self, mark: usize, conversation: ConversationId) -> bool {
        self.since(mark).iter().any(|slot| !slot.is_row() && parts(slot.place).0 == conversation)
    }

    /// Removes the batch that began at `mark`: nothing of it is committed.
    pub fn truncate(&mut self, mark: usize) {
        self.remove_since(mark, |_| true);
    }

    /// Removes the messages of the batch that began at `mark`, but keeps its rows: only these are committed.
    pub fn remove_messages(&mut self, mark: usize) {
        self.remove_since(mark, |slot| !slot.is_row());
    }

    fn remove_since(&mut self, mark: usize, is_removed: impl Fn(&Slot) -> bool) {
        self.open.clear();
        let mut slots = std::mem::take(&mut self.slots);
        let rest = slots.split_off(mark);
        slots.extend(rest.into_iter().filter(|slot| !is_removed(slot)));
        self.rows.truncate(slots.iter().filter(|slot| slot.is_row()).count());
        self.index.clear();
        self.collided.clear();
        self.conversations.clear();
        self.senders.clear();
        for (at, slot) in (0..).zip(&slots) {
            self.link(at, slot);
        }
        self.slots = slots;
    }

    /// Loads a record of the journal; nothing of it, if it is damaged. `rows` are the pages of rows by place; those that
    /// precede a message of the record in its timeline are loaded before it.
    pub fn load(
        &mut self,
        record: u64,
        batch: &[u8],
        rows: &mut BTreeMap<u64, Vec<u8>>,
        hash: impl FnMut(UserId, &str) -> u64,
    ) -> Result<(), Damaged> {
        let mark = self.begin();
        let loaded = self.load_messages(batch, rows, hash);
        if loaded.is_err() {
            self.remove_messages(mark);
        }
        self.committed(record);
        loaded
    }

    fn load_messages(
        &mut self,
        batch: &[u8],
        rows: &mut BTreeMap<u64, Vec<u8>>,
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
            let first = place(ConversationId(conversation), Seq(0));
            let place = place(ConversationId(conversation), Seq(seq));
            while let Some((&row, _)) = rows.range(first..place).next() {
                let page = rows.remove(&row).expect("it was just found");
                self.load_row(row, page, &mut hash)?;
            }
            self.push(place, hash(entry.sender, entry.cid), calendar::month_of(entry.time), &entry);
        }
        Ok(())
    }

    /// Loads an entry that is a row; `page` holds it alone.
    pub fn load_row(
        &mut self,
        place: u64,
        page: Vec<u8>,
        hash: &mut impl FnMut(UserId, &str) -> u64,
    ) -> Result<(), Damaged> {
        let entry = Bytes::open(&page)?.entry()?;
        let hash = hash(entry.sender, entry.cid);
        self.push_row(place, hash, page)
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
        let batch = match slot.is_row() {
            true => &self.rows[(slot.batch & !ROW) as usize],
            false => self.batches.get(slot.batch as usize).map_or(&self.open, |batch| &**batch),
        };
        &batch[slot.start as usize..slot.end as usize]
    }

    /// The entry at a place, if it belongs to the batch that is being built or follows the last closed one as a row.
    pub fn open_entry(&self, place: u64) -> Option<&[u8]> {
        let is_closed = |slot: &&Slot| !slot.is_row() && (slot.batch as usize) < self.batches.len();
        let open = self.slots.iter().rev().take_while(|slot| !is_closed(slot));
        open.into_iter().find(|slot| slot.place == place).map(|slot| self.entry(slot))
    }

    /// The bytes that hold a message's entry, once its batch is closed.
    pub fn batch(&self, slot: &Slot) -> &Batch {
        match slot.is_row() {
            true => &self.rows[(slot.batch & !ROW) as usize],
            false => &self.batches[slot.batch as usize],
        }
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
    use crate::column::Sort;
    use wire::{ConversationKind, UnixMillis};

    fn entry(sender: u32, cid: &str) -> Entry<'_> {
        Entry {
            cid,
            sender: UserId(sender),
            time: UnixMillis(1),
            kind: ConversationKind::Direct,
            sort: Sort::Message,
            content_type: "text",
            content: "x",
            references: None,
        }
    }

    #[test]
    fn equal_hashes_are_distinguished_and_a_truncated_batch_is_gone() {
        let mut run = Run::default();
        let at = |seq| place(ConversationId(1), Seq(seq));
        let mark = run.begin();
        run.push(at(1), 7, 202_601, &entry(1, "a"));
        run.push(at(2), 7, 202_601, &entry(1, "b"));
        run.committed(1);
        assert_eq!(run.since(mark).len(), 2);
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
        run.begin();
        run.push(place(ConversationId(9), Seq(4)), 1, 202_601, &entry(3, "c"));
        let record = run.open_batch().unwrap().to_vec();
        run.committed(1);
        let mut again = Run::default();
        let mut rows = BTreeMap::new();
        again.load(5, &record, &mut rows, |_, _| 1).unwrap();
        assert_eq!(
            again.find(1, UserId(3), "c").map(|slot| parts(slot.place)),
            Some((ConversationId(9), Seq(4)))
        );
        assert_eq!(again.last(), 5);
        assert!(again.load(6, &record[..record.len() - 1], &mut rows, |_, _| 1).is_err());
    }

    fn page(cid: &str) -> Vec<u8> {
        let mut page = vec![VERSION];
        put_entry(&mut page, &entry(1, cid));
        page
    }

    #[test]
    fn rows_are_loaded_in_their_place_among_the_messages() {
        let at = |conversation, seq| place(ConversationId(conversation), Seq(seq));
        let mut run = Run::default();
        run.begin();
        for (conversation, seq) in [(1, 2), (2, 1), (1, 4)] {
            run.push(at(conversation, seq), 0, 202_601, &entry(1, "m"));
        }
        let record = run.open_batch().unwrap().to_vec();
        let rows = [(1, 1), (1, 3), (1, 5), (2, 2), (3, 1)];
        let mut rows =
            rows.into_iter().map(|(conversation, seq)| (at(conversation, seq), page("r"))).collect();
        let mut again = Run::default();
        again.load(1, &record, &mut rows, |_, _| 0).unwrap();
        for (place, page) in rows {
            again.load_row(place, page, &mut |_, _| 0).unwrap();
        }
        let seqs = |of| again.conversations().of(of).map(|at| parts(again.slots()[at as usize].place).1.0);
        let seqs: Vec<Vec<u64>> = [1, 2, 3].map(|of| seqs(of).collect()).into();
        assert_eq!(seqs, [vec![1, 2, 3, 4, 5], vec![1, 2], vec![1]]);
        assert!(again.slots().iter().all(|slot| again.cid(slot) == if slot.is_row() { b"r" } else { b"m" }));
    }

    #[test]
    fn rows_stay_where_only_the_messages_of_a_batch_are_removed() {
        let at = |seq| place(ConversationId(1), Seq(seq));
        let mut run = Run::default();
        run.push_row(at(1), 1, page("first")).unwrap();
        let mark = run.begin();
        run.push(at(2), 2, 202_601, &entry(1, "a"));
        assert!(run.has_message_since(mark, ConversationId(1)));
        run.push_row(place(ConversationId(2), Seq(1)), 3, page("kept")).unwrap();
        assert!(!run.has_message_since(mark, ConversationId(2)));
        run.remove_messages(mark);
        let cids: Vec<&[u8]> = run.slots().iter().map(|slot| run.cid(slot)).collect();
        assert_eq!(cids, [&b"first"[..], b"kept"]);
        run.truncate(mark);
        assert_eq!(run.len(), 1);
        assert!(run.find(3, UserId(1), "kept").is_none() && run.find(1, UserId(1), "first").is_some());
    }
}
