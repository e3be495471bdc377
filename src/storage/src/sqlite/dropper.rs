//! [`Dropper`]: which months are being dropped and how far that is; and the table `retention`.

use super::column;
use crate::calendar::Month;
use crate::error::StoreError;
use crate::fault::At;
use crate::retention::Retention;
use rusqlite::{Connection, OptionalExtension, Row};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::{ConversationId, Message, Seq};

/// The pause between two slices while messages arrive.
const PAUSE: Duration = Duration::from_millis(10);

/// How far the work is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    #[default]
    Idle,
    /// The run that was current when it began is being filed.
    Filing,
    /// Conversations up to this segment are raised.
    Raising(ConversationId, Month),
    /// The table of the oldest month is being emptied.
    Emptying,
}

/// What the writer knows about retention.
#[derive(Debug, Default)]
pub struct Dropper {
    /// The setting; `None`: nothing is dropped yet, as the store is being opened.
    pub months: Option<u32>,
    pub row: Retention,
    pub stage: Stage,
    /// The months before this one are being dropped.
    pub bound: Month,
    pub begun: Option<Instant>,
    /// Entries that are not shown any more since it began.
    pub entries: u64,
    /// Tables that were dropped since it began.
    pub tables: u32,
    /// Months whose tables turned out to be damaged: they are left to the next look.
    pub damaged: BTreeSet<Month>,
    /// The end of the last slice.
    pub last: Option<Instant>,
}

impl Dropper {
    /// Whether something is being dropped.
    pub fn is_busy(&self) -> bool {
        self.stage != Stage::Idle
    }

    /// Whether a slice is due while messages arrive.
    pub fn is_due(&self) -> bool {
        self.is_busy() && self.last.is_none_or(|last| last.elapsed() >= PAUSE)
    }

    /// How soon the next slice should come; `None`: nothing is being dropped.
    pub fn urgency(&self) -> Option<Duration> {
        self.is_busy().then_some(PAUSE)
    }
}

/// The first entry of a timeline that is kept.
pub fn first_kept(conn: &Connection, conversation: ConversationId) -> rusqlite::Result<Seq> {
    let mut select = conn.prepare_cached("SELECT first_seq FROM conversation WHERE id = ?1")?;
    let found = select.query_row([conversation.0], |row| column::seq(row, 0)).optional()?;
    Ok(found.unwrap_or_default())
}

/// Leaves out what was dropped while a page was read: its changes may have gone before.
pub fn leave_out_dropped(
    conn: &Connection,
    conversation: ConversationId,
    messages: &mut Vec<Arc<Message>>,
) -> rusqlite::Result<()> {
    if !messages.is_empty() {
        let first = first_kept(conn, conversation)?;
        messages.retain(|message| message.seq >= first);
    }
    Ok(())
}

/// How often first_seq has been raised.
pub fn rounds(conn: &Connection) -> rusqlite::Result<u64> {
    let mut select = conn.prepare_cached("SELECT rounds FROM retention")?;
    Ok(select.query_row([], |row| column::seq(row, 0)).optional()?.unwrap_or_default().0)
}

pub fn load(conn: &Connection) -> Result<Retention, StoreError> {
    let sql = "SELECT months, seen_at, held_until, kept_from, rounds FROM retention";
    let row = |row: &Row<'_>| {
        Ok(Retention {
            months: row.get(0)?,
            seen_at: column::time(row, 1)?,
            held_until: column::time(row, 2)?,
            kept_from: row.get(3)?,
            rounds: column::seq(row, 4)?.0,
        })
    };
    let found = conn.prepare_cached(sql)?.query_row([], row).optional().at("retention", "one")?;
    Ok(found.unwrap_or_default())
}

pub fn save(conn: &Connection, row: &Retention) -> Result<(), StoreError> {
    let Retention { months, seen_at, held_until, kept_from, rounds } = *row;
    let sql = "INSERT OR REPLACE INTO retention (one, months, seen_at, held_until, kept_from, rounds) \
               VALUES (1, ?1, ?2, ?3, ?4, ?5)";
    let values = (months, seen_at.0 as i64, held_until.0 as i64, kept_from, rounds as i64);
    conn.prepare_cached(sql)?.execute(values)?;
    Ok(())
}
