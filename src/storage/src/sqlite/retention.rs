//! Drops the months that are not kept any more, in slices beside the traffic (see [`crate::retention`]).
//!
//! ```text
//!   file the run -> rounds + 1 -> raise first_seq -> rounds + 1 -> empty the tables, page by page -> drop them -> scrub
//! ```
//!
//! Every slice is a transaction of its own, and what is left to do follows from the tables: a conversation that has not
//! been raised has a segment of a dropped month, and a month that is not gone has a table. A crash between any two slices
//! therefore costs nothing. Readers are told by `first_seq` what is not there any more, before it is gone.

use super::column;
use super::dropper::{Dropper, Stage, load, save};
use super::pages;
use super::run::{parts, place};
use super::store::{SqliteStore, Sync};
use crate::calendar::{self, Month};
use crate::error::StoreError;
use crate::fault::{self, At};
use crate::retention::{self, Retention};
use rusqlite::{Connection, OptionalExtension, Row};
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Instant;
use wire::{ConversationId, Seq, UnixMillis};

/// Rows of `segment` that one slice looks at.
const SLICE_SEGMENTS: u32 = 256;
/// Conversations that one slice raises.
const SLICE_CONVERSATIONS: usize = 16;
/// Rows of one table that one slice deletes of a conversation.
const SLICE_ROWS: usize = 64;
/// A slice that has changed so many rows goes on with no other conversation.
const RAISED_ROWS: usize = 256;
/// Pages of messages that one slice deletes.
const SLICE_PAGES: usize = 16;

impl SqliteStore {
    /// Keeps so many whole months before the current one; 0: all. Nothing is dropped before this is called.
    pub fn with_retention(mut self, months: u32) -> SqliteStore {
        self.set_retention(months);
        self
    }

    pub(super) fn set_retention(&mut self, months: u32) {
        self.dropper = Dropper { months: Some(months), ..Dropper::default() };
        self.maintained_hour = None;
    }

    /// Leaves what is being dropped to the next start.
    pub(super) fn put_off_drop(&mut self) {
        self.dropper = Dropper::default();
    }

    /// Decides what to drop. Part of the hourly maintenance.
    pub(super) fn look_at_retention(&mut self, now: UnixMillis) -> Result<(), StoreError> {
        let Some(months) = self.dropper.months else { return Ok(()) };
        let row = load(&self.conn)?;
        let (next, hold) = row.look(now, months);
        if next != row {
            save(&self.conn, &next)?;
        }
        if let Some(hold) = hold {
            log::warn!("{}", hold.sentence(now, months));
        }
        (self.dropper.row, self.kept_from) = (next, next.kept_from);
        // What is being dropped has a bound of its own: a later one begins with raising the conversations above it.
        // While the clock is behind, the tables that are made ahead are of dropped months.
        if self.dropper.is_busy() || calendar::month_of(now) < next.kept_from {
            return Ok(());
        }
        let has_before = has_before(&self.conn, next.kept_from)?;
        let tables: BTreeSet<Month> = self.tables.months_before(next.kept_from).collect();
        if has_before || !tables.is_empty() {
            if has_before || !tables.is_subset(&self.dropper.damaged) {
                log::info!("dropping the messages of months before {}", retention::text(next.kept_from));
            }
            (self.dropper.stage, self.dropper.bound) = (Stage::Filing, next.kept_from);
            (self.dropper.begun, self.dropper.damaged) = (Some(Instant::now()), BTreeSet::new());
            (self.dropper.entries, self.dropper.tables) = (0, 0);
        }
        Ok(())
    }

    /// Executes a slice if something is being dropped and no run is being filed; returns whether to go on at once.
    /// `None`: there was nothing to do.
    pub(super) fn drop_slice(&mut self) -> Result<Option<bool>, StoreError> {
        if !self.dropper.is_busy() {
            return Ok(None);
        }
        // A damaged month, or a damaged conversation, must not keep others from being filed. It is tried again in an hour.
        let next = match fault::tolerate(self.drop_next())? {
            Some(next) => next,
            None => {
                if !self.conn.is_autocommit() {
                    self.roll_back()?;
                }
                match (self.dropper.stage, self.next_month()) {
                    (Stage::Emptying, Some(month)) => {
                        self.dropper.damaged.insert(month);
                        Stage::Emptying
                    }
                    _ => Stage::Idle,
                }
            }
        };
        (self.dropper.stage, self.dropper.last) = (next, Some(Instant::now()));
        Ok(Some(true))
    }

    /// Does the next slice and returns the stage after it.
    fn drop_next(&mut self) -> Result<Stage, StoreError> {
        let kept_from = self.dropper.bound;
        Ok(match self.dropper.stage {
            Stage::Idle => Stage::Idle,
            Stage::Filing => {
                if self.run.len() > 0 {
                    self.begin_filing()?;
                }
                Stage::Raising(ConversationId(0), 0)
            }
            Stage::Raising(conversation, month) => match self.raise_some(conversation, month)? {
                Some((conversation, month)) => Stage::Raising(conversation, month),
                // Nothing is deleted of which a conversation may still show something.
                None if has_before(&self.conn, kept_from)? => {
                    log::warn!(
                        "months before {} are not dropped: a conversation that has messages of them is damaged, as was logged",
                        retention::text(kept_from)
                    );
                    Stage::Idle
                }
                None => {
                    let Retention { rounds, .. } = self.dropper.row;
                    self.set_rounds(rounds.next_multiple_of(2))?;
                    Stage::Emptying
                }
            },
            Stage::Emptying => match self.next_month() {
                Some(month) => {
                    self.empty_month(month)
                        .at(&format!("message_{month:06}"), "all, which is not dropped")?;
                    Stage::Emptying
                }
                None => {
                    self.say_dropped();
                    // The bound may have risen meanwhile.
                    if self.dropper.damaged.is_empty() {
                        self.maintained_hour = None;
                    }
                    Stage::Idle
                }
            },
        })
    }

    /// The month whose table is emptied next.
    fn next_month(&self) -> Option<Month> {
        self.tables.months_before(self.dropper.bound).find(|month| !self.dropper.damaged.contains(month))
    }

    /// `rounds`: see [`Retention`].
    fn set_rounds(&mut self, rounds: u64) -> Result<(), StoreError> {
        if rounds != self.dropper.row.rounds {
            let row = Retention { rounds, ..self.dropper.row };
            save(&self.conn, &row)?;
            self.dropper.row = row;
        }
        Ok(())
    }

    fn say_dropped(&self) {
        let Dropper { bound, begun, entries, tables, damaged, .. } = &self.dropper;
        if *entries > 0 || *tables > 0 {
            let but = match damaged.len() {
                0 => String::new(),
                count => format!("; {count} months are damaged and left"),
            };
            log::info!(
                "dropped the messages of months before {}: {entries} entries of timelines, in {:.1} s{but}",
                retention::text(*bound),
                begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64())
            );
        }
    }

    /// Raises some conversations. Returns where the next slice continues; `None`: all are raised.
    fn raise_some(
        &mut self,
        conversation: ConversationId,
        month: Month,
    ) -> Result<Option<(ConversationId, Month)>, StoreError> {
        let kept_from = self.dropper.bound;
        let rows = segments(&self.conn, conversation, month)?;
        let mut next = rows.last().copied().filter(|_| rows.len() == SLICE_SEGMENTS as usize);
        let mut old: Vec<_> = rows
            .iter()
            .filter(|(_, month)| *month < kept_from)
            .map(|(conversation, _)| *conversation)
            .collect();
        old.dedup();
        if old.len() > SLICE_CONVERSATIONS {
            old.truncate(SLICE_CONVERSATIONS);
            next = old.last().map(|last| (*last, Month::MAX));
        }
        if old.is_empty() {
            return Ok(next);
        }
        let sql = "SELECT 1 FROM sqlite_schema WHERE name = 'message_unfiled'";
        let has_unfiled = self.conn.prepare_cached(sql)?.exists([])?;
        // Before the first one is raised.
        self.set_rounds(self.dropper.row.rounds | 1)?;
        self.begin(Sync::Later)?;
        let (mut entries, mut rows) = (0, 0);
        let mut again = None;
        let mut raise_all = || -> Result<(), StoreError> {
            for conversation in &old {
                let raised = raise(&self.conn, *conversation, kept_from, has_unfiled);
                // What is damaged is left for a repair by hand, which the log asks for.
                let Some(raised) = fault::tolerate(raised.at("conversation", *conversation))? else {
                    continue;
                };
                entries += raised.entries;
                rows += raised.rows;
                if !raised.is_done {
                    again = Some((*conversation, 0));
                    break;
                }
                if rows >= RAISED_ROWS {
                    next = Some((*conversation, Month::MAX));
                    break;
                }
            }
            Ok(())
        };
        let done = raise_all();
        self.end_slice(done)?;
        // What logins have read begins below.
        self.logins.generations.count_all();
        self.dropper.entries += entries;
        Ok(again.or(next))
    }

    /// Deletes some pages of a month, and its table once it is empty.
    fn empty_month(&mut self, month: Month) -> Result<(), StoreError> {
        self.begin(Sync::Later)?;
        let empty = || -> Result<bool, StoreError> {
            let sql = format!(
                "DELETE FROM message_{month:06} WHERE id <= (SELECT max(id) FROM \
                 (SELECT id FROM message_{month:06} ORDER BY id LIMIT {SLICE_PAGES}))"
            );
            if self.conn.prepare(&sql)?.execute([])? > 0 {
                return Ok(false);
            }
            self.conn.execute_batch(&format!("DROP TABLE IF EXISTS message_{month:06}"))?;
            // Whatever interrupts what follows: the log and the journal are cleared of the texts. No entry is here.
            self.conn.execute("INSERT OR IGNORE INTO scrub (conversation_id, seq) VALUES (0, 0)", [])?;
            Ok(true)
        };
        let emptied = empty();
        let is_gone = *emptied.as_ref().unwrap_or(&false);
        self.end_slice(emptied.map(drop))?;
        self.logins.generations.count_all();
        if is_gone {
            self.tables.forget_month(month);
            self.dropper.tables += 1;
            let now = (self.clock)();
            self.scrubber.note(now);
        }
        Ok(())
    }
}

/// What was done to a conversation.
struct Raised {
    /// Entries that are not shown any more.
    entries: u64,
    /// Rows that were changed.
    rows: usize,
    /// Whether nothing is left to delete.
    is_done: bool,
}

/// Raises first_seq above the dropped months and deletes some of what belongs to entries below it. The segments of the
/// dropped months go last.
fn raise(
    conn: &Connection,
    conversation: ConversationId,
    kept_from: Month,
    has_unfiled: bool,
) -> Result<Raised, StoreError> {
    let sql = "SELECT first_seq, last_seq, month FROM conversation WHERE id = ?1";
    let row = |row: &Row<'_>| Ok((column::seq(row, 0)?, column::seq(row, 1)?, column::month(row, 2)?));
    let found = conn.prepare_cached(sql)?.query_row([conversation.0], row).optional()?;
    let sql =
        "SELECT first_seq FROM segment WHERE conversation_id = ?1 AND month >= ?2 ORDER BY month LIMIT 1";
    let kept = conn
        .prepare_cached(sql)?
        .query_row((conversation.0, kept_from), |row| column::seq(row, 0))
        .optional()?;
    let (mut entries, mut rows) = (0, 0);
    if let Some((before, last, month)) = found {
        if kept.is_none() && month >= kept_from {
            return Err(StoreError::Fault(format!("its last month is {month}, but has no segment")));
        }
        // Where nothing of a kept month is filed, what is not filed is of a kept month.
        let mut first = kept.unwrap_or(last.next()).max(before);
        if has_unfiled && let Some(unfiled) = first_unfiled(conn, conversation, before..first, kept_from)? {
            first = unfiled;
        }
        // First, so that nobody waits for entries that are gone.
        rows += pass_over(conn, conversation, first.prev())?;
        if rows == SLICE_ROWS {
            return Ok(Raised { entries, rows, is_done: false });
        }
        let sql = "UPDATE conversation SET first_seq = ?2, month = iif(month < ?3, 0, month) \
                   WHERE id = ?1 AND (first_seq < ?2 OR month BETWEEN 1 AND ?3 - 1)";
        conn.prepare_cached(sql)?.execute((conversation.0, first.0 as i64, kept_from))?;
        entries = first.0 - before.0;
        let forgotten = forget_below(conn, conversation, first, has_unfiled)?;
        rows += forgotten.iter().sum::<usize>();
        if forgotten.contains(&SLICE_ROWS) {
            return Ok(Raised { entries, rows, is_done: false });
        }
    }
    let sql = "DELETE FROM segment WHERE conversation_id = ?1 AND month < ?2";
    conn.prepare_cached(sql)?.execute((conversation.0, kept_from))?;
    Ok(Raised { entries, rows, is_done: true })
}

/// The first of the messages in `range` that could not be filed (see [`entry::set_aside`](super::entry::set_aside)) and
/// are of a kept month.
fn first_unfiled(
    conn: &Connection,
    conversation: ConversationId,
    range: Range<Seq>,
    kept_from: Month,
) -> Result<Option<Seq>, StoreError> {
    let sql = "SELECT id, page FROM message_unfiled WHERE id >= ?1 AND id < ?2 ORDER BY id";
    let mut select = conn.prepare(sql)?;
    let mut rows = select.query([range.start, range.end].map(|seq| place(conversation, seq) as i64))?;
    while let Some(row) = rows.next()? {
        let key: i64 = row.get(0)?;
        let stored = row.get_ref(1)?.as_blob()?;
        let entries = pages::entries(key, stored).at("message_unfiled", key)?;
        if entries.last().is_some_and(|entry| calendar::month_of(entry.time) >= kept_from) {
            return Ok(Some(parts(key as u64).1));
        }
    }
    Ok(None)
}

/// Raises the cursors of some members to `upto`. Returns how many; with [`SLICE_ROWS`], more may be left.
fn pass_over(conn: &Connection, conversation: ConversationId, upto: Seq) -> rusqlite::Result<usize> {
    let sql = format!(
        "UPDATE member SET delivered_seq = max(delivered_seq, ?2), read_seq = max(read_seq, ?2) \
         WHERE conversation_id = ?1 AND device = 0 AND user_id IN (SELECT user_id FROM member \
         WHERE conversation_id = ?1 AND device = 0 AND (delivered_seq < ?2 OR read_seq < ?2) LIMIT {SLICE_ROWS})"
    );
    conn.prepare_cached(&sql)?.execute((conversation.0, upto.0 as i64))
}

/// Deletes some rows that belong to entries below `first`. Returns how many of each table; with [`SLICE_ROWS`], more may
/// be left.
fn forget_below(
    conn: &Connection,
    conversation: ConversationId,
    first: Seq,
    has_unfiled: bool,
) -> rusqlite::Result<Vec<usize>> {
    // Totals are differences, of which the row directly below the first entry may be one side.
    let tables = [
        ("changed", "conversation_id, seq", first),
        ("reaction", "conversation_id, user_id, seq, reaction", first),
        ("recalled", "conversation_id, seq", first),
        ("scrub", "conversation_id, seq", first),
        ("direct_total", "conversation_id, seq", first.prev()),
    ];
    // Who left before the first entry has nothing to receive any more.
    let sql = format!(
        "UPDATE former_member SET delivered_seq = left_seq WHERE conversation_id = ?1 AND user_id IN \
         (SELECT user_id FROM former_member WHERE conversation_id = ?1 AND left_seq < ?2 \
         AND delivered_seq < left_seq LIMIT {SLICE_ROWS})"
    );
    let mut changed = vec![conn.prepare_cached(&sql)?.execute((conversation.0, first.0 as i64))?];
    if has_unfiled {
        let sql = "DELETE FROM message_unfiled WHERE id >= ?1 AND id < ?2";
        conn.execute(sql, [Seq(0), first].map(|seq| place(conversation, seq) as i64))?;
    }
    for (table, key, below) in tables {
        let sql = format!(
            "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} \
             WHERE conversation_id = ?1 AND seq < ?2 LIMIT {SLICE_ROWS})"
        );
        changed.push(conn.prepare_cached(&sql)?.execute((conversation.0, below.0 as i64))?);
    }
    Ok(changed)
}

/// Whether a conversation has a segment of a month before `kept_from`.
fn has_before(conn: &Connection, kept_from: Month) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM segment WHERE month < ?1 LIMIT 1")?.exists([kept_from])
}

/// Segments above one, by conversation and month.
fn segments(
    conn: &Connection,
    conversation: ConversationId,
    month: Month,
) -> rusqlite::Result<Vec<(ConversationId, Month)>> {
    let sql = "SELECT conversation_id, month FROM segment WHERE (conversation_id, month) > (?1, ?2) \
               ORDER BY conversation_id, month LIMIT ?3";
    let mut select = conn.prepare_cached(sql)?;
    let row = |row: &Row<'_>| Ok((ConversationId(row.get(0)?), row.get(1)?));
    select.query_map((conversation.0, month, SLICE_SEGMENTS), row)?.collect()
}
