//! Filing: moving journalled messages into the monthly tables and the table of sent cids, in key order.
//!
//! A run is frozen, sorted, and filed in slices, each a short transaction between two commits:
//!
//! ```text
//!   run --by (conversation, seq)--> pages of message_YYYYMM; conversation.last_seq moves with them; evicted
//!       --by (sender, cid)--------> pages of sent_YYYYMMDD
//!       --> its journal rows are deleted
//! ```
//!
//! `conversation.last_seq` says what is filed, in the same transaction as the messages, and `sent` takes a cid twice
//! without harm; so a run that was filed in part, before a crash, is filed again as a whole. Slices are committed without an fsync: the
//! log keeps their order, and until they are on the disk the journal's row is.

use super::super::StoreError;
use super::super::calendar::{self, Day};
use super::SqliteStore;
use super::codec::{Bytes, VERSION};
use super::run::{Run, Slot, parts};
use super::sent;
use rusqlite::{CachedStatement, Connection, OptionalExtension};
use wire::{ConversationId, Seq, UnixMillis};

/// Rows that a slice writes at most, about: each may dirty a page, and a commit that comes meanwhile waits for them all.
const SLICE_ROWS: usize = 64;
/// Messages that a slice files at most.
const SLICE_MESSAGES: usize = 2048;
/// Bytes of one conversation that a slice files at most, about.
const SLICE_BYTES: usize = 1 << 20;
/// A page of messages is not filled beyond this, so that several share a page of the B-tree.
const PAGE_BYTES: usize = 2600;

/// A run on its way.
#[derive(Debug)]
pub struct Filing {
    run: Run,
    stage: Stage,
    /// Slots in the order of the stage.
    order: Vec<u32>,
    /// How many of them are done.
    done: usize,
    /// Where the cids go.
    day: Day,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Messages,
    Sent,
    Journal,
}

impl Filing {
    fn new(run: Run, today: Day) -> Filing {
        let mut by_place: Vec<(u64, u32)> = run.slots().iter().map(|slot| slot.place).zip(0..).collect();
        by_place.sort_unstable();
        let order = by_place.into_iter().map(|(_, at)| at).collect();
        Filing { run, stage: Stage::Messages, order, done: 0, day: today }
    }

    /// The messages that are being filed.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// How much of the run is filed, 0 to 1.
    pub fn progress(&self) -> f64 {
        let share = self.done as f64 / self.run.len().max(1) as f64;
        match self.stage {
            Stage::Messages => share * 0.6,
            Stage::Sent => 0.6 + share * 0.4,
            Stage::Journal => 0.99,
        }
    }

    fn slot(&self, at: usize) -> &Slot {
        &self.run.slots()[self.order[at] as usize]
    }
}

impl SqliteStore {
    /// Freezes the current run. Its tables are made here, should they not have been made ahead.
    pub(super) fn begin_filing(&mut self) -> Result<(), StoreError> {
        let today = calendar::day_of((self.clock)());
        let mut months: Vec<_> = self.run.slots().iter().map(|slot| slot.month).collect();
        months.dedup();
        for month in months {
            self.tables.need_month(&self.conn, month)?;
        }
        self.tables.need_day(&self.conn, today)?;
        self.runs += 1;
        let mut next = self.spare.take().unwrap_or_default();
        next.clear(self.runs);
        self.filing = Some(Filing::new(std::mem::replace(&mut self.run, next), today));
        Ok(())
    }

    /// Files one slice of the frozen run.
    pub(super) fn file_slice(&mut self) -> Result<(), StoreError> {
        let Some(mut filing) = self.filing.take() else { return Ok(()) };
        let filed = self.in_filing_transaction(|conn| match filing.stage {
            Stage::Messages => file_messages(conn, &filing),
            Stage::Sent => file_sent(conn, &filing).map(Filed::cids),
            Stage::Journal => {
                let mut delete = conn.prepare_cached("DELETE FROM journal WHERE id <= ?1")?;
                delete.execute([filing.run.last_row()])?;
                Ok(Filed::cids(0))
            }
        });
        let filed = match filed {
            Ok(filed) => filed,
            Err(error) => {
                self.filing = Some(filing);
                return Err(error);
            }
        };
        self.resident.evict(&filed.ends);
        filing.done += filed.messages;
        if filing.done >= filing.run.len() || filing.stage == Stage::Journal {
            filing.done = 0;
            filing.stage = match filing.stage {
                Stage::Messages => {
                    filing.order = sent::order(&filing.run);
                    Stage::Sent
                }
                Stage::Sent => Stage::Journal,
                Stage::Journal => {
                    self.spare = Some(filing.run);
                    return Ok(());
                }
            };
        }
        self.filing = Some(filing);
        Ok(())
    }

    /// Runs a slice in a transaction of its own that is not synced.
    fn in_filing_transaction<T>(
        &mut self,
        slice: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.conn.execute_batch("PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE")?;
        let result = slice(&self.conn).and_then(|done| {
            self.conn.prepare_cached("COMMIT")?.execute([])?;
            Ok(done)
        });
        if result.is_err() {
            self.roll_back()?;
        }
        self.conn.execute_batch("PRAGMA synchronous = FULL").map_err(fatal)?;
        result
    }
}

/// What a slice did.
struct Filed {
    /// So many messages, or cids.
    messages: usize,
    /// Conversations whose messages are on the disk up to a seq.
    ends: Vec<(ConversationId, Seq)>,
}

impl Filed {
    fn cids(count: usize) -> Filed {
        Filed { messages: count, ends: Vec::new() }
    }
}

/// Files messages, whole conversations as far as the slice's size allows.
fn file_messages(conn: &Connection, filing: &Filing) -> Result<Filed, StoreError> {
    let mut filed = Filed::cids(0);
    let mut writer = PageWriter::new(conn)?;
    let end = filing.run.len().min(filing.done + SLICE_MESSAGES);
    let mut at = filing.done;
    while at < end && writer.rows < SLICE_ROWS {
        let conversation = parts(filing.slot(at).place).0;
        let month = filing.slot(at).month;
        let mut bytes = filing.run.entry(filing.slot(at)).len();
        let mut to = at + 1;
        while to < end && bytes < SLICE_BYTES {
            let slot = filing.slot(to);
            if parts(slot.place).0 != conversation || slot.month != month {
                break;
            }
            bytes += filing.run.entry(slot).len();
            to += 1;
        }
        writer.file(filing, at..to)?;
        filed.ends.push(parts(filing.slot(to - 1).place));
        filed.messages += to - at;
        at = to;
    }
    Ok(filed)
}

/// Files cids, whole senders except where one alone is larger than a slice; gives how many.
fn file_sent(conn: &Connection, filing: &Filing) -> Result<usize, StoreError> {
    let (mut at, mut rows) = (filing.done, 0);
    let end = filing.run.len().min(at + SLICE_MESSAGES);
    while at < end && rows < SLICE_ROWS {
        let sender = filing.slot(at).sender;
        let mut to = at + 1;
        while to < end && filing.slot(to).sender == sender {
            to += 1;
        }
        rows += sent::file(conn, filing.day, &filing.run, &filing.order[at..to])?;
        at = to;
    }
    Ok(at - filing.done)
}

/// Writes pages of messages and moves the ends of their conversations.
struct PageWriter<'a> {
    conn: &'a Connection,
    advance: CachedStatement<'a>,
    insert: Option<(calendar::Month, CachedStatement<'a>)>,
    page: Vec<u8>,
    rows: usize,
}

impl<'a> PageWriter<'a> {
    fn new(conn: &'a Connection) -> Result<PageWriter<'a>, StoreError> {
        let sql = "UPDATE conversation SET last_seq = ?2, updated_at = ?3 \
                   WHERE id = ?1 AND last_seq = ?4 AND month = ?5";
        let page = Vec::with_capacity(2 * PAGE_BYTES);
        Ok(PageWriter { conn, advance: conn.prepare_cached(sql)?, insert: None, page, rows: 0 })
    }

    /// Files consecutive messages of one conversation and month.
    fn file(&mut self, filing: &Filing, range: std::ops::Range<usize>) -> Result<(), StoreError> {
        let (first, last) = (filing.slot(range.start), filing.slot(range.end - 1));
        let (conversation, first_seq) = parts(first.place);
        let last_seq = parts(last.place).1;
        let month = first.month;
        let time = Bytes::entry_of(filing.run.entry(last))?.time;
        let (before, id) = (first_seq.prev().0 as i64, conversation.0);
        self.rows += 1;
        let advanced = self.advance.execute((id, last_seq.0 as i64, time.0 as i64, before, month))?;
        let start = if advanced == 1 {
            range.start
        } else {
            range.start + self.advance_slowly(conversation, first_seq, last_seq, time, month)?
        };
        self.insert_pages(filing, start..range.end)
    }

    /// The same for a conversation that enters a month, or of which a part was filed before a crash; gives how many of
    /// the messages are on the disk already.
    fn advance_slowly(
        &mut self,
        conversation: ConversationId,
        first: Seq,
        last: Seq,
        time: UnixMillis,
        month: calendar::Month,
    ) -> Result<usize, StoreError> {
        let id = conversation.0;
        let mut select =
            self.conn.prepare_cached("SELECT last_seq, month FROM conversation WHERE id = ?1")?;
        let found: Option<(i64, calendar::Month)> =
            select.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((filed, filed_month)) = found else {
            return Err(StoreError::Fatal(format!(
                "the journal names conversation {id}, which is not there"
            )));
        };
        let filed = Seq(filed as u64);
        if filed >= last {
            return Ok((last.0 - first.0 + 1) as usize);
        }
        if filed < first.prev() {
            let gap = format!("conversation {id} is filed up to {filed} and the journal begins at {first}");
            return Err(StoreError::Fatal(gap));
        }
        if filed_month != month {
            let sql = "INSERT OR IGNORE INTO segment (conversation_id, month, first_seq) VALUES (?1, ?2, ?3)";
            self.conn.prepare_cached(sql)?.execute((id, month, filed.next().0 as i64))?;
        }
        let sql = "UPDATE conversation SET last_seq = ?2, updated_at = ?3, month = ?4 WHERE id = ?1";
        self.conn.prepare_cached(sql)?.execute((id, last.0 as i64, time.0 as i64, month))?;
        self.rows += 2;
        Ok((filed.next().0 - first.0) as usize)
    }

    fn insert_pages(&mut self, filing: &Filing, range: std::ops::Range<usize>) -> Result<(), StoreError> {
        let mut at = range.start;
        while at < range.end {
            let key = filing.slot(at).place as i64;
            let month = filing.slot(at).month;
            self.page.clear();
            self.page.push(VERSION);
            while at < range.end {
                let entry = filing.run.entry(filing.slot(at));
                if self.page.len() > 1 && self.page.len() + entry.len() > PAGE_BYTES {
                    break;
                }
                self.page.extend_from_slice(entry);
                at += 1;
            }
            let insert = match &mut self.insert {
                Some((of, insert)) if *of == month => insert,
                other => {
                    let sql = format!("INSERT INTO message_{month:06} (id, page) VALUES (?1, ?2)");
                    &mut other.insert((month, self.conn.prepare_cached(&sql)?)).1
                }
            };
            insert.execute((key, self.page.as_slice()))?;
            // A long message takes overflow pages.
            self.rows += 1 + self.page.len() / 8192;
        }
        Ok(())
    }
}

/// What must not be gone on after.
fn fatal(error: rusqlite::Error) -> StoreError {
    StoreError::Fatal(error.to_string())
}
