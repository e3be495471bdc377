//! The index as a thread uses it that only reads.

use crate::error::IndexError;
use crate::file::BUSY_TIME;
use crate::index::id_of;
use crate::terms::Expression;
use rusqlite::{CachedStatement, Connection, OpenFlags, OptionalExtension, params};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wire::{ConversationId, Seq, UnixMillis, UserId};

/// Statements of the virtual machine between two looks at the deadline.
const OPS: i32 = 1_000;

/// A message that the index found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    pub seq: Seq,
    pub time: UnixMillis,
}

/// A part of a timeline: the entries of `first..=last`.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub conversation: ConversationId,
    pub first: Seq,
    pub last: Seq,
}

/// The index as a thread uses it that only reads.
#[derive(Debug)]
pub struct IndexReader {
    conn: Connection,
    clock: Instant,
    /// When the query must end, microseconds on `clock`.
    deadline: Arc<AtomicU64>,
}

impl IndexReader {
    pub fn open(path: &Path) -> Result<IndexReader, IndexError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(BUSY_TIME)?;
        conn.pragma_update(None, "cache_size", -8_192)?;
        let (clock, deadline) = (Instant::now(), Arc::new(AtomicU64::new(u64::MAX)));
        let until = Arc::clone(&deadline);
        conn.progress_handler(
            OPS,
            Some(move || clock.elapsed().as_micros() as u64 >= until.load(Ordering::Relaxed)),
        )?;
        Ok(IndexReader { conn, clock, deadline })
    }

    /// Sets how long the next query may take.
    pub fn allow(&self, time: Duration) {
        self.deadline.store((self.clock.elapsed() + time).as_micros() as u64, Ordering::Relaxed);
    }

    /// Whether it took that long.
    pub fn is_overdue(&self) -> bool {
        self.clock.elapsed().as_micros() as u64 >= self.deadline.load(Ordering::Relaxed)
    }

    /// The last hits of a range, the latest first, at most `limit`.
    pub fn hits(
        &self,
        expression: &Expression,
        sender: Option<UserId>,
        range: Range,
        limit: usize,
    ) -> Result<Vec<Hit>, IndexError> {
        let Range { conversation, first, last } = range;
        let sql = "SELECT w.rowid, e.time, e.sender FROM words w CROSS JOIN entry e ON e.id = w.rowid \
                   WHERE words MATCH ?1 AND w.rowid BETWEEN ?2 AND ?3 ORDER BY w.rowid DESC";
        let mut select = self.conn.prepare_cached(sql)?;
        let (first, last) = (id_of(conversation, first), id_of(conversation, last));
        let mut rows = select.query(params![expression.within(conversation), first, last])?;
        let mut hits = Vec::new();
        while hits.len() < limit {
            let Some(row) = rows.next()? else { break };
            let (id, time): (i64, i64) = (row.get(0)?, row.get(1)?);
            if sender.is_none_or(|sender| row.get(2) == Ok(sender.0)) {
                hits.push(Hit { seq: Seq(id as u64 & u64::from(u32::MAX)), time: UnixMillis(time as u64) });
            }
        }
        Ok(hits)
    }

    /// The last entry of a range that was stored at `time` or before; `None`: there is none. Times of a timeline never
    /// decrease.
    pub fn last_at(&self, range: Range, time: UnixMillis) -> Result<Option<Seq>, IndexError> {
        let Range { conversation, first, last } = range;
        let sql = "SELECT id, time FROM entry WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1";
        let mut select = self.conn.prepare_cached(sql)?;
        // All up to `low` are early enough, all above `high` are too late.
        let (mut low, mut high) = (None, last);
        while low.map_or(first, Seq::next) <= high {
            let begin = low.map_or(first, Seq::next);
            let middle = Seq(begin.0 + (high.0 - begin.0) / 2);
            match at_or_below(&mut select, conversation, begin, middle)? {
                Some((seq, at)) if at > time => high = seq.prev(),
                // Without an entry there is nothing to be too late.
                _ => low = Some(middle),
            }
        }
        Ok(low)
    }
}

fn at_or_below(
    select: &mut CachedStatement<'_>,
    conversation: ConversationId,
    first: Seq,
    last: Seq,
) -> Result<Option<(Seq, UnixMillis)>, IndexError> {
    let row = |row: &rusqlite::Row<'_>| {
        let (id, time): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok((Seq(id as u64 & u64::from(u32::MAX)), UnixMillis(time as u64)))
    };
    Ok(select.query_row([id_of(conversation, first), id_of(conversation, last)], row).optional()?)
}
