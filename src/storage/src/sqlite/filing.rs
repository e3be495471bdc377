//! Filing: moving journalled messages into the monthly tables and the table of sent cids, in key order.
//!
//! A run is frozen and filed in slices, each a short transaction between two commits:
//!
//! ```text
//!   run --by conversation, in order of seq--> pages of message_YYYYMM; conversation.last_seq moves with them; evicted
//!       --by sender, in order of cid--------> pages of sent_YYYYMMDD
//!       --> journal_filed.number: its records are no longer needed
//! ```
//!
//! Filing also relists conversations (see [`crate::listing`]). `conversation.last_seq` records what is filed, in the
//! same transaction as the messages, and `sent` accepts a cid twice without harm. So a run that was filed in part before
//! a crash is filed again as a whole. Slices are committed without an fsync: the write-ahead log preserves their order,
//! and the journal's records are kept until they are on the disk.

use super::chains::Chains;
use super::codec::{self, PAGE_HEADER, begin_page, end_page};
use super::column;
use super::connection::PAGE_SIZE;
use super::dropper::first_kept;
use super::entry;
use super::listing::{listed_of, relist};
use super::pages;
use super::run::{Run, Slot, parts};
use super::sent;
use super::totals::{self, Added};
use crate::calendar::{self, Day};
use crate::error::StoreError;
use crate::fault::{self, At};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row};
use wire::{ConversationId, Seq, UnixMillis};

/// The approximate number of rows that one slice writes. Each may dirty a page, and a commit that arrives meanwhile
/// waits for all of them.
const SLICE_ROWS: usize = 64;
/// The most messages that one slice files.
const SLICE_MESSAGES: usize = 2048;
/// The approximate bytes of one conversation that one slice files.
const SLICE_BYTES: usize = 1 << 20;
/// The sizes at which a page of messages ends: the first of them at which the page holds [`PAGE_MESSAGES`], or the
/// last. Three pages of the first size share a page of the B-tree; the others fill one, two or three overflow pages,
/// and their remainders share a page of the B-tree like the first ("Payload" in SQLite's file format). So long messages
/// are written once, whereas rows of their size would be moved about in the B-tree. With messages of 1 KiB a message
/// takes a fifth less processor time.
const PAGE_SIZES: [usize; 4] = [2_600, 10_000, 18_200, 26_400];
/// The most messages that have to be decoded to read one of them.
const PAGE_MESSAGES: usize = 24;

/// A run that is being filed.
#[derive(Debug)]
pub struct Filing {
    pub run: Run,
    pub step: Step,
    /// The conversations or senders that the step files.
    keys: Vec<u32>,
    place: Place,
    /// The slots of one key, in the order in which they are filed.
    share: (Option<usize>, Vec<u32>),
    /// Messages or cids that the step has filed.
    done: usize,
    /// The day of the table for cids.
    day: Day,
    /// The last slice met a fault: the next one isolates each conversation and sender, and passes over those that
    /// cannot be filed.
    pub is_careful: bool,
    /// Whether the database records that the run is filed.
    pub is_recorded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Messages,
    Sent,
    Journal,
}

/// The progress of a step: the current key, and how many slots of its share are filed.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    key: usize,
    within: usize,
}

impl Filing {
    pub fn new(run: Run, today: Day) -> Filing {
        let keys = run.conversations().keys();
        let (place, share) = (Place::default(), (None, Vec::new()));
        Filing {
            run,
            step: Step::Messages,
            keys,
            place,
            share,
            done: 0,
            day: today,
            is_careful: false,
            is_recorded: false,
        }
    }

    /// The messages that are being filed.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The share of the run that is filed, 0 to 1.
    pub fn progress(&self) -> f64 {
        let share = self.done as f64 / self.run.len().max(1) as f64;
        match self.step {
            Step::Messages => share * 0.6,
            Step::Sent => 0.6 + share * 0.4,
            Step::Journal => 0.99,
        }
    }

    /// The remaining slots of the key at `place`; `None`: all keys are done.
    fn share_at(&mut self, place: Place) -> Option<&[u32]> {
        let key = *self.keys.get(place.key)?;
        if self.share.0 != Some(place.key) {
            let chains: &Chains = match self.step {
                Step::Messages => self.run.conversations(),
                Step::Sent | Step::Journal => self.run.senders(),
            };
            self.share.1.clear();
            self.share.1.extend(chains.of(key));
            if self.step == Step::Sent {
                sent::sort(&self.run, &mut self.share.1);
            }
            self.share.0 = Some(place.key);
        }
        Some(&self.share.1[place.within..])
    }

    /// The place after `count` more slots.
    fn after(&self, place: Place, count: usize) -> Place {
        let within = place.within + count;
        if within < self.share.1.len() {
            Place { key: place.key, within }
        } else {
            Place { key: place.key + 1, within: 0 }
        }
    }

    fn slot(&self, at: u32) -> &Slot {
        &self.run.slots()[at as usize]
    }

    /// Advances after a slice, to the next step if the slice was the last of its step. Returns whether the run is
    /// filed.
    pub fn advance(&mut self, filed: &Filed) -> bool {
        self.place = filed.place;
        self.done += filed.slots;
        if self.place.key < self.keys.len() {
            return false;
        }
        (self.place, self.share.0, self.done) = (Place::default(), None, 0);
        (self.step, self.keys) = match self.step {
            Step::Messages => (Step::Sent, self.run.senders().keys()),
            Step::Sent => (Step::Journal, Vec::new()),
            Step::Journal => return true,
        };
        false
    }
}

/// The result of filing a slice.
#[derive(Debug, Default)]
pub struct Filed {
    /// Where the next slice begins.
    place: Place,
    /// The number of messages or cids.
    slots: usize,
    /// Conversations and the seq up to which their messages are filed.
    pub ends: Vec<(ConversationId, Seq)>,
}

/// Files messages: whole conversations, as far as the size of a slice allows.
pub fn file_messages(conn: &Connection, filing: &mut Filing) -> Result<Filed, StoreError> {
    let mut filed = Filed { place: filing.place, ..Filed::default() };
    let mut writer = PageWriter::new(conn)?;
    while writer.rows < SLICE_ROWS && filed.slots < SLICE_MESSAGES {
        let Some(share) = filing.share_at(filed.place) else { break };
        let most = share.len().min(SLICE_MESSAGES - filed.slots);
        let count = page_group(filing, filed.place.within, most);
        let slots = &filing.share.1[filed.place.within..][..count];
        if filing.is_careful {
            apart(conn, || writer.file(filing, slots), |what| set_aside(conn, filing, slots, what))?;
        } else {
            writer.file(filing, slots)?;
        }
        filed.ends.push(parts(filing.slot(slots[count - 1]).place));
        filed.slots += count;
        filed.place = filing.after(filed.place, count);
    }
    Ok(filed)
}

/// How many slots of the share from `within` on are consecutive, belong to one month and fit a slice's bytes; at least
/// one. They are not consecutive where rows were filed before a crash or records of the journal are damaged.
fn page_group(filing: &Filing, within: usize, most: usize) -> usize {
    let share = &filing.share.1[within..][..most];
    let month = filing.slot(share[0]).month;
    let (mut bytes, mut place) = (0, filing.slot(share[0]).place);
    let fits = |at: &&u32| {
        let slot = filing.slot(**at);
        let (had, expected) = (bytes, place);
        bytes += filing.run.entry(slot).len();
        place += 1;
        slot.month == month && slot.place == expected && had < SLICE_BYTES
    };
    share.iter().take_while(fits).count()
}

/// Files cids: whole senders, unless a single one exceeds a slice.
pub fn file_sent(conn: &Connection, filing: &mut Filing) -> Result<Filed, StoreError> {
    let mut filed = Filed { place: filing.place, ..Filed::default() };
    let mut rows = 0;
    while rows < SLICE_ROWS && filed.slots < SLICE_MESSAGES {
        let Some(share) = filing.share_at(filed.place) else { break };
        let count = share.len().min(SLICE_MESSAGES - filed.slots);
        let share = &filing.share.1[filed.place.within..][..count];
        let file = || sent::file(conn, filing.day, &filing.run, share);
        rows += if filing.is_careful {
            // A cid that is not filed may be sent twice, which is less than a server that files nothing.
            apart(conn, file, |what| {
                fault::report(&format!("table `sent_{:08}`: cids were not filed: {what}", filing.day));
                Ok(1)
            })?
        } else {
            file()?
        };
        filed.slots += count;
        filed.place = filing.after(filed.place, count);
    }
    Ok(filed)
}

/// Does some work in a savepoint. If it meets a fault, it is undone, and `otherwise` is done instead.
fn apart<T>(
    conn: &Connection,
    work: impl FnOnce() -> Result<T, StoreError>,
    otherwise: impl FnOnce(&str) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    conn.execute_batch("SAVEPOINT part")?;
    match work() {
        Err(StoreError::Fault(what)) if !conn.is_autocommit() => {
            conn.execute_batch("ROLLBACK TO part; RELEASE part")?;
            otherwise(&what)
        }
        done => {
            if done.is_ok() {
                conn.execute_batch("RELEASE part")?;
            }
            done
        }
    }
}

/// Keeps messages that cannot be filed in a table of their own, for a repair by hand.
fn set_aside(conn: &Connection, filing: &Filing, slots: &[u32], why: &str) -> Result<(), StoreError> {
    let mut page = Vec::new();
    let Some(first) = slots.first().map(|at| filing.slot(*at).place as i64) else { return Ok(()) };
    begin_page(&mut page);
    slots.iter().for_each(|at| page.extend_from_slice(filing.run.entry(filing.slot(*at))));
    end_page(&mut page, &[&first.to_le_bytes()]);
    let (conversation, last) = parts(filing.slot(slots[slots.len() - 1]).place);
    let keep = || {
        entry::set_aside(conn, conversation, parts(first as u64).1, last, &page)?;
        Ok("they are kept in the table `message_unfiled`")
    };
    apart(conn, keep, |_| Ok("they are lost"))
        .map(|kept| fault::report(&format!("{} messages cannot be filed, {kept}: {why}", slots.len())))
}

/// Writes pages of messages and advances the ends of their conversations.
struct PageWriter<'a> {
    conn: &'a Connection,
    advance: CachedStatement<'a>,
    insert: Option<(calendar::Month, CachedStatement<'a>)>,
    page: Vec<u8>,
    rows: usize,
}

impl<'a> PageWriter<'a> {
    fn new(conn: &'a Connection) -> Result<PageWriter<'a>, StoreError> {
        let sql = "UPDATE conversation SET last_seq = ?2, message_seq = ?2, updated_at = ?3, \
                   low_messages = low_messages + iif(low_id = ?6, ?7, ?8) \
                   WHERE id = ?1 AND last_seq = ?4 AND month = ?5 \
                   AND listed_until >= ?3 AND listed_until - slack <= ?3";
        let page = Vec::with_capacity(PAGE_SIZES[PAGE_SIZES.len() - 1]);
        Ok(PageWriter { conn, advance: conn.prepare_cached(sql)?, insert: None, page, rows: 0 })
    }

    /// Files consecutive messages of one conversation and month.
    fn file(&mut self, filing: &Filing, slots: &[u32]) -> Result<(), StoreError> {
        let (first, last) = (filing.slot(slots[0]), filing.slot(slots[slots.len() - 1]));
        let (conversation, first_seq) = parts(first.place);
        let last_seq = parts(last.place).1;
        let month = first.month;
        self.rows += 1;
        let added = self.added(filing, slots)?;
        if slots.iter().any(|at| filing.slot(*at).is_row()) {
            entry::delete(self.conn, conversation, first_seq, last_seq)?;
        } else if added.is_plain() {
            let time = codec::time_of(filing.run.entry(last))?;
            let (before, id) = (first_seq.prev().0 as i64, conversation.0);
            let (last, time) = (last_seq.0 as i64, time.0 as i64);
            let (of_sender, of_other) = (added.of_sender.messages as i64, added.of_other.messages as i64);
            let values = (id, last, time, before, month, added.sender.0, of_sender, of_other);
            if self.advance.execute(values)? == 1 {
                self.rows += totals::keep(self.conn, conversation, first_seq, last_seq)?;
                return self.insert_pages(filing, slots);
            }
        }
        let filed = self.advance_slowly(filing, slots)?;
        self.insert_pages(filing, &slots[filed..])
    }

    fn added(&self, filing: &Filing, slots: &[u32]) -> Result<Added, StoreError> {
        Added::by(slots.iter().map(|at| filing.run.entry(filing.slot(*at))))
    }

    /// Advances a conversation that enters a month, is relisted, has entries that are not messages, or was filed in part
    /// before a crash. Returns how many of the slots are filed already.
    fn advance_slowly(&mut self, filing: &Filing, slots: &[u32]) -> Result<usize, StoreError> {
        let place = |at: &u32| parts(filing.slot(*at).place);
        let ((conversation, first), last) = (place(&slots[0]), place(&slots[slots.len() - 1]).1);
        let (id, month) = (conversation.0, filing.slot(slots[0]).month);
        let sql = "SELECT last_seq, month, slack, listed_until FROM conversation WHERE id = ?1";
        let mut select = self.conn.prepare_cached(sql)?;
        let row =
            |row: &Row<'_>| Ok((column::seq(row, 0)?, row.get::<_, calendar::Month>(1)?, listed_of(row, 2)?));
        let found = select.query_row([id], row).optional().at("conversation", id)?;
        let Some((filed, filed_month, listed)) = found else {
            return Err(StoreError::Fault(format!(
                "table `conversation`, key {id}: the journal has messages of it, but it does not exist"
            )));
        };
        if filed >= last {
            // After a crash. What the row claims is checked, because what is skipped here is dropped from the journal; unless
            // its month was dropped.
            let first_kept = first_kept(self.conn, conversation).at("conversation", id);
            let is_dropped = fault::tolerate(first_kept)?.is_some_and(|first| last < first);
            if is_dropped || pages::is_stored(self.conn, conversation, last)? {
                return Ok(slots.len());
            }
            fault::report(&format!(
                "table `conversation`, key {id}: last_seq is {filed}, but message {last} is not there yet"
            ));
            return Ok(0);
        }
        if filed < first.prev() {
            // Damaged records of the journal. What is there is kept; reads of what is missing fail.
            fault::report(&format!(
                "table `message_{month:06}`, key {id}: messages {} to {} are missing",
                filed.next(),
                first.prev()
            ));
        }
        if filed_month != month {
            let sql = "INSERT OR IGNORE INTO segment (conversation_id, month, first_seq) VALUES (?1, ?2, ?3)";
            self.conn.prepare_cached(sql)?.execute((id, month, filed.next().0 as i64))?;
        }
        let count = filed.next().0.saturating_sub(first.0) as usize;
        let (mut message_time, mut message_seq, mut change_time) = (None, None, None);
        for at in &slots[count..] {
            let entry = filing.run.entry(filing.slot(*at));
            let time = codec::time_of(entry)?.0 as i64;
            if codec::is_message(entry) {
                (message_time, message_seq) = (Some(time), Some(place(at).1.0 as i64));
            } else {
                change_time = Some(time);
            }
        }
        let sql = "UPDATE conversation SET last_seq = ?2, month = ?3, updated_at = coalesce(?4, updated_at), \
                   changed_at = coalesce(?5, changed_at), message_seq = coalesce(?6, message_seq) WHERE id = ?1";
        let values = (id, last.0 as i64, month, message_time, change_time, message_seq);
        self.conn.prepare_cached(sql)?.execute(values)?;
        let added = self.added(filing, &slots[count..])?;
        // What is missing is no message that anybody can read.
        let uncounted = added.uncounted + first.prev().0.saturating_sub(filed.0);
        totals::add(self.conn, conversation, &Added { uncounted, ..added })?;
        self.rows += 2 + totals::keep(self.conn, conversation, filed.next(), last)?;
        if let Some(time) = message_time.map(|time| UnixMillis(time as u64))
            && !listed.holds(time)
        {
            self.rows += relist(self.conn, conversation, listed, time)?;
        }
        Ok(count)
    }

    fn insert_pages(&mut self, filing: &Filing, mut slots: &[u32]) -> Result<(), StoreError> {
        let entry = |at: &u32| filing.run.entry(filing.slot(*at));
        while let Some(first) = slots.first() {
            let key = filing.slot(*first).place as i64;
            let month = filing.slot(*first).month;
            let (mine, rest) = slots.split_at(page_messages(slots.iter().map(|at| entry(at).len())));
            slots = rest;
            begin_page(&mut self.page);
            mine.iter().for_each(|at| self.page.extend_from_slice(entry(at)));
            let insert = match &mut self.insert {
                Some((of, insert)) if *of == month => insert,
                other => {
                    let sql = format!("INSERT INTO message_{month:06} (id, page) VALUES (?1, ?2)");
                    &mut other.insert((month, self.conn.prepare_cached(&sql)?)).1
                }
            };
            end_page(&mut self.page, &[&key.to_le_bytes()]);
            insert.execute((key, self.page.as_slice()))?;
            self.rows += 1 + self.page.len() / PAGE_SIZE as usize;
        }
        Ok(())
    }
}

/// How many messages of these lengths the next page takes; at least one, if there is one.
fn page_messages(lengths: impl Iterator<Item = usize>) -> usize {
    let (mut sizes, mut bytes, mut messages) = (PAGE_SIZES.iter().peekable(), PAGE_HEADER, 0);
    for length in lengths {
        bytes += length;
        while messages > 0 && sizes.next_if(|size| bytes > **size).is_some() {
            if messages >= PAGE_MESSAGES || sizes.peek().is_none() {
                return messages;
            }
        }
        messages += 1;
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_long_messages_are_long() {
        let page = |length: usize| page_messages(std::iter::repeat_n(length, 3_000));
        assert_eq!([page(1), page(100), page(107), page(109)], [2_595, 25, 24, 91]);
        assert_eq!([page(250), page(700), page(1_100)], [39, 25, 23]);
        assert_eq!([page(9_000), page(13_000), page(20_000), page(40_000)], [2, 2, 1, 1]);
        assert_eq!(page_messages([40_000, 10].into_iter()), 1);
        assert_eq!(page_messages([10; 7].into_iter()), 7, "what there is");
        assert_eq!(page_messages([].into_iter()), 0);
    }
}
