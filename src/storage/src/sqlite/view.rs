//! A reader's access to the database: the connection, and what is not filed yet.

use super::column::undamaged;
use super::login_cache::LoginCache;
use super::name_cache::NameCache;
use super::resident::Resident;
use crate::error::StoreError;
use crate::header_cache::HeaderCache;
use crate::page::Rows;
use rusqlite::{Connection, Row};
use wire::{Page, UnixMillis};

/// The data that a read accesses.
pub struct View<'a> {
    pub conn: &'a Connection,
    /// The messages that are not filed yet.
    pub resident: &'a Resident,
    /// Names of senders.
    pub names: &'a mut NameCache,
    /// What counts of unread messages have read.
    pub headers: &'a HeaderCache,
    /// What logins have read.
    pub logins: &'a LoginCache,
    pub now: UnixMillis,
}

impl View<'_> {
    /// Selects a page of rows by `sql` with `?1 = owner` and ids above `?2`. One row more than requested is selected to
    /// see whether more follow. `table` is the one that the first column is the key of.
    pub(super) fn page<T>(
        &self,
        table: &str,
        sql: &str,
        owner: u32,
        page: Page,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Rows<T>, StoreError> {
        let limit = page.limit as usize;
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query((owner, page.after, limit as i64 + 1))?;
        let (mut rows, count) = undamaged(table, &mut rows, row)?;
        rows.truncate(limit);
        Ok((rows, count > limit))
    }
}
