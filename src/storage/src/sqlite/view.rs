//! A reader's access to the database: the connection, and what is not filed yet.

use super::name_cache::NameCache;
use super::resident::Resident;
use crate::error::StoreError;
use crate::page::Rows;
use rusqlite::{Connection, Row};
use wire::{Page, Seq, UnixMillis};

/// The data that a read accesses.
pub struct View<'a> {
    pub conn: &'a Connection,
    /// The messages that are not filed yet.
    pub resident: &'a Resident,
    /// Names of senders.
    pub names: &'a mut NameCache,
    pub now: UnixMillis,
}

impl View<'_> {
    /// Selects a page of rows by `sql` with `?1 = owner` and ids above `?2`. One row more than requested is selected to
    /// see whether more follow.
    pub(super) fn page<T>(
        &self,
        sql: &str,
        owner: u32,
        page: Page,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Rows<T>, StoreError> {
        let limit = page.limit as usize;
        let mut select = self.conn.prepare_cached(sql)?;
        let rows = select.query_map((owner, page.after, limit as i64 + 1), row)?;
        let mut rows: Vec<T> = rows.collect::<rusqlite::Result<_>>()?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok((rows, more))
    }
}

pub fn seq(row: &Row<'_>, column: usize) -> rusqlite::Result<Seq> {
    row.get::<_, i64>(column).map(|seq| Seq(seq as u64))
}
