//! A second, read-only connection for the read thread.

use super::connection::configure;
use super::login_cache::LoginCache;
use super::name_cache::NameCache;
use super::resident::Resident;
use super::view::View;
use crate::error::StoreError;
use crate::header_cache::HeaderCache;
use crate::machine::{Clock, wall_clock};
use crate::store::Reader;
use logic::contract::{Found, Read};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::Arc;

/// Answers reads concurrently with the writer, whose resident tail and caches it shares.
pub struct SqliteReader {
    conn: Connection,
    resident: Arc<Resident>,
    names: NameCache,
    headers: Arc<HeaderCache>,
    logins: Arc<LoginCache>,
    clock: Clock,
}

impl SqliteReader {
    pub fn open(
        path: &Path,
        resident: Arc<Resident>,
        headers: Arc<HeaderCache>,
        logins: Arc<LoginCache>,
    ) -> Result<SqliteReader, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags)?;
        configure(&conn, 4096)?;
        let (names, clock) = (NameCache::default(), wall_clock());
        Ok(SqliteReader { conn, resident, names, headers, logins, clock })
    }
}

impl Reader for SqliteReader {
    fn read(&mut self, read: &Read) -> Found {
        let now = (self.clock)();
        let SqliteReader { conn, resident, names, headers, logins, .. } = self;
        View { conn, resident, names, headers, logins, now }.answer(read)
    }
}
