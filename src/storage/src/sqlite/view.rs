//! A reader's access to the database: the connection, and what is not filed yet.

use super::name_cache::NameCache;
use super::resident::Resident;
use crate::error::StoreError;
use crate::page::Rows;
use rusqlite::{Connection, Row};
use wire::{Page, Seq, UnixMillis};

/// One question's way to what it needs.
pub struct View<'a> {
    pub conn: &'a Connection,
    /// What is not filed yet.
    pub resident: &'a Resident,
    /// NameCache of senders.
    pub names: &'a mut NameCache,
    pub now: UnixMillis,
}

impl View<'_> {
    /// Rows of `sql` for `?1 = owner` above `?2`; one more than asked tells whether there are others.
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
