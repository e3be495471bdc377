//! Opening the embedded database: the lock, the schema, and the recovery of what the journal holds.

use super::append_cache::AppendCache;
use super::checkpoint::{self, Checkpointer};
use super::connection::{PAGE_SIZE, configure};
use super::journal::{Disk, Files, Journal};
use super::lock::ProcessLock;
use super::name_cache::NameCache;
use super::run::Run;
use super::schema::{self, Tables};
use super::sent::Sent;
use super::store::{DataFile, SqliteStore, Sync};
use crate::calendar::{self, Day};
use crate::error::StoreError;
use crate::machine::{Clock, Random};
use crate::store::Store;
use rusqlite::Connection;
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// Cache of the writing connection, KiB.
const CACHE_KIB: u32 = 16 << 10;

impl SqliteStore {
    /// Opens the database at `path`, made with its folder where it is missing, readable by this user alone.
    pub fn open(path: &Path, clock: Clock, random: Random) -> Result<SqliteStore, StoreError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|source| StoreError::File { path: folder.to_owned(), source })?;
        }
        // Made here for its mode, which SQLite gives to the log as well.
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        // Whatever lies beside it lies beside the file, not beside a link to it.
        let found = made.and_then(|file| Ok((path.canonicalize()?, file.metadata()?.nlink())));
        let (path, names) = found.map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        let path = &*path;
        if names > 1 {
            return Err(StoreError::Unsuitable(format!(
                "{} has {names} names (hard links), and what lies beside a database goes by one: leave it one name",
                path.display()
            )));
        }
        let lock = ProcessLock::take(path)?;
        checkpoint::sync_log(path)?;
        let conn = Connection::open(path)?;
        let files = Files::open(path).map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        let mut store = SqliteStore::recover(conn, Box::new(files), clock, random)?;
        let checkpointer = Checkpointer::start(path)?;
        store.file = Some(DataFile { path: path.to_owned(), checkpointer, _lock: lock });
        Ok(store)
    }

    /// A store on a connection and a disk for its journal: brings the schema up to date and files all that the journal
    /// holds.
    ///
    /// Whatever happened to the store that had them before: every message whose outcome was published is there, in
    /// its place, once.
    pub fn recover(
        conn: Connection,
        disk: Box<dyn Disk>,
        clock: Clock,
        random: Random,
    ) -> Result<SqliteStore, StoreError> {
        let (mut clock, mut random) = (clock, random);
        configure(&conn, CACHE_KIB)?;
        conn.pragma_update(None, "wal_autocheckpoint", 0)?;
        // Takes effect on a new database only.
        conn.pragma_update(None, "page_size", PAGE_SIZE)?;
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        schema::migrate(&conn)?;
        let now = clock();
        let mut tables = Tables::load(&conn)?;
        tables.make_ahead(&conn, now)?;
        let mut seed = [0; 8];
        random(&mut seed);
        let mut sent = Sent::new(u64::from_le_bytes(seed), calendar::day_of(now));
        sent.load(&conn, &tables)?;
        let mut run = Run::default();
        let journal = load_journal(&conn, disk, &mut run, &mut sent, calendar::day_of(now))?;
        let mut store = SqliteStore {
            conn,
            clock,
            random,
            resident: Arc::default(),
            cache: AppendCache::default(),
            names: NameCache::default(),
            sent,
            tables,
            run,
            filing: None,
            spare: None,
            journal,
            sync: Sync::Now,
            kept_house: None,
            file: None,
        };
        while store.housekeep()? {}
        Ok(store)
    }
}

/// Opens the journal and takes what was not filed into memory again. It is not made visible: it is filed before
/// anybody asks.
fn load_journal(
    conn: &Connection,
    disk: Box<dyn Disk>,
    run: &mut Run,
    sent: &mut Sent,
    today: Day,
) -> Result<Journal, StoreError> {
    let filed: i64 = conn.query_row("SELECT number FROM journal_filed", [], |row| row.get(0))?;
    let mut commits = 0u64;
    let journal = Journal::open(disk, filed as u64, |record| {
        commits += 1;
        run.load(record.number, record.payload, |sender, cid| sent.meet(today, sender, cid.as_bytes()).hash)?;
        Ok(())
    })?;
    if commits > 0 {
        log::info!(
            "filing {} messages of {commits} commits that the last run left in the journal",
            run.len()
        );
    }
    Ok(journal)
}
