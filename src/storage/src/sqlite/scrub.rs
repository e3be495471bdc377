//! The scrubber: after a recall the text is also removed from the files.
//!
//! A recall writes the places of the message and of its edits into the table `scrub`, in its own transaction. They stay
//! there until all of this is done, so that a start goes on with what a crash has interrupted:
//!
//! ```text
//!   the run is filed          -> each entry is in a page of its month, and in no row of `entry`
//!   pages are written anew    -> without the texts; `secure_delete` overwrites what SQLite frees
//!   the log is truncated      -> and with it earlier contents of those pages; on the way into the database file their free
//!                                space is cleared, where rows that SQLite has moved leave copies (see `vfs`)
//!   released segments are     -> and with them the records of the journal, also behind those of a later use
//!   filled with zeros
//! ```
//!
//! It works in slices like filing. While messages arrive it gets a bounded share of the time.

use super::checkpoint;
use super::codec::{Entry, begin_page, end_page, put_entry};
use super::column;
use super::pages;
use super::run::{parts, place};
use super::scrubber::{Stage, Turn};
use super::store::{SqliteStore, Sync};
use crate::column::{Sort, emptied_change};
use crate::error::StoreError;
use crate::fault::{self, At};
use rusqlite::Connection;
use wire::{ConversationId, Seq, UnixMillis};

/// The most entries that are scrubbed together.
const PLACES_MAX: u32 = 1_024;
/// The most pages that one slice writes anew.
const SLICE_PAGES: usize = 16;

impl SqliteStore {
    /// At the start: whether an earlier run has left something to scrub.
    pub(super) fn resume_scrub(&mut self) -> Result<(), StoreError> {
        let is_left = self.conn.prepare_cached("SELECT 1 FROM scrub LIMIT 1")?.exists([])?;
        self.scrubber.since = is_left.then_some(UnixMillis(0));
        Ok(())
    }

    /// Executes a slice, if one is due and no run is being filed; returns whether to go on at once. `None`: there was
    /// nothing to do.
    pub(super) fn scrub_slice(&mut self, now: UnixMillis) -> Result<Option<bool>, StoreError> {
        if !self.scrubber.is_due(now) {
            return Ok(None);
        }
        let next = match self.scrubber.stage {
            Stage::Waiting => {
                self.scrubber.places = waiting(&self.conn)?;
                if self.run.len() > 0 {
                    self.begin_filing()?;
                }
                Stage::Filing
            }
            // It is filed, or this would not have been called.
            Stage::Filing => Stage::Emptying(0),
            Stage::Emptying(done) if done < self.scrubber.places.len() => {
                self.empty_some(done)?;
                Stage::Emptying(done + SLICE_PAGES)
            }
            Stage::Emptying(_) => Stage::Truncating,
            Stage::Truncating => match checkpoint::truncate(&self.conn)? {
                true => {
                    // What is filed is in the database file, synced.
                    self.journal.release(u64::MAX);
                    Stage::Zeroing
                }
                // A reader or the other thread is using the log.
                false => {
                    self.scrubber.turn = Turn::Over;
                    return Ok(Some(false));
                }
            },
            Stage::Zeroing => match self.journal.zero_stale()? {
                true => Stage::Zeroing,
                false => {
                    self.end_scrub(now)?;
                    Stage::Waiting
                }
            },
        };
        self.scrubber.stage = next;
        Ok(Some(true))
    }

    /// Empties some entries in a transaction.
    fn empty_some(&mut self, done: usize) -> Result<(), StoreError> {
        self.begin(Sync::Later)?;
        let mut some = self.scrubber.places.iter().skip(done).take(SLICE_PAGES);
        let emptied = some.try_for_each(|(conversation, seq)| {
            // What is damaged is left for a repair by hand, which the log asks for.
            fault::tolerate(empty(&self.conn, *conversation, *seq).at("message", *conversation)).map(drop)
        });
        self.end_slice(emptied)
    }

    /// All of it is done.
    fn end_scrub(&mut self, now: UnixMillis) -> Result<(), StoreError> {
        self.begin(Sync::Later)?;
        let places = std::mem::take(&mut self.scrubber.places);
        let forget = || -> Result<(), StoreError> {
            let mut delete =
                self.conn.prepare_cached("DELETE FROM scrub WHERE conversation_id = ?1 AND seq = ?2")?;
            for (conversation, seq) in &places {
                delete.execute((conversation.0, seq.0 as i64))?;
            }
            Ok(())
        };
        let done = forget();
        self.end_slice(done)?;
        self.scrubber.turn = Turn::Over;
        self.resume_scrub()?;
        self.scrubber.since = self.scrubber.since.map(|_| now);
        Ok(())
    }

    /// Commits a slice, or undoes it.
    pub(super) fn end_slice(&mut self, done: Result<(), StoreError>) -> Result<(), StoreError> {
        match done.and_then(|()| Ok(self.conn.prepare_cached("COMMIT")?.execute([]).map(drop)?)) {
            Ok(()) => self.bound_log(),
            Err(error) => {
                self.roll_back()?;
                Err(error)
            }
        }
    }
}

fn waiting(conn: &Connection) -> Result<Vec<(ConversationId, Seq)>, StoreError> {
    let sql = "SELECT conversation_id, seq FROM scrub ORDER BY conversation_id, seq LIMIT ?1";
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query([PLACES_MAX])?;
    let place = |row: &rusqlite::Row<'_>| Ok((ConversationId(row.get(0)?), column::seq(row, 1)?));
    Ok(column::undamaged("scrub", &mut rows, place)?.0)
}

/// Writes the page of an entry anew, without the text of the entry.
fn empty(conn: &Connection, conversation: ConversationId, seq: Seq) -> Result<(), StoreError> {
    let Some((month, key, stored)) = pages::page_of(conn, conversation, seq)? else { return Ok(()) };
    let first = parts(key as u64).1;
    let mut page = Vec::with_capacity(stored.len());
    begin_page(&mut page);
    for (at, entry) in (first.0..).map(Seq).zip(pages::entries(key, &stored)?) {
        let content = match entry.sort {
            Sort::Change => emptied_change(entry.content),
            Sort::Message | Sort::System => "",
        };
        match at == seq {
            true => put_entry(&mut page, &Entry { content, references: None, ..entry }),
            false => put_entry(&mut page, &entry),
        }
    }
    end_page(&mut page, &[&key.to_le_bytes()]);
    debug_assert!(key as u64 <= place(conversation, seq));
    let sql = format!("UPDATE message_{month:06} SET page = ?2 WHERE id = ?1");
    conn.prepare_cached(&sql)?.execute((key, page))?;
    Ok(())
}
