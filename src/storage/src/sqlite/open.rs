//! Opening the embedded database: the lock, the schema, and the recovery of what the journal holds.

use super::append_cache::AppendCache;
use super::checkpoint::{self, Checkpointer};
use super::column;
use super::connection::{PAGE_SIZE, configure};
use super::dropper::{self, Dropper};
use super::entry;
use super::generations::Touched;
use super::identity::{APPLICATION_ID, Place};
use super::journal::{Disk, Files, Journal};
use super::lock::ProcessLock;
use super::name;
use super::name_cache::NameCache;
use super::run::{Run, parts};
use super::schema::{self, Tables};
use super::scrubber::Scrubber;
use super::sent::Sent;
use super::store::{DataFile, SqliteStore, Sync};
use crate::calendar::{self, Day};
use crate::error::StoreError;
use crate::fault::{self, At};
use crate::machine::{Clock, Random};
use crate::store::Store;
use logic::contract::Quotas;
use rusqlite::{Connection, OpenFlags};
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// The page cache of the writing connection, KiB.
const CACHE_KIB: u32 = 16 << 10;

impl SqliteStore {
    /// Opens the database at `path`. Creates it and its folder if they are missing, accessible to this user only. What
    /// is not this program's is left as it is.
    pub fn open(path: &Path, clock: Clock, random: Random) -> Result<SqliteStore, StoreError> {
        let Place { path, lock } = Place::examine(path)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|source| StoreError::File { path: folder.to_owned(), source })?;
        }
        // Created here to set its mode, which SQLite copies to the write-ahead log.
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        // The files beside a database lie beside the file itself, not beside a symbolic link to it.
        let made = made.and_then(|_| path.canonicalize());
        let path = &*made.map_err(|source| StoreError::File { path: path.clone(), source })?;
        let mut lock = match lock {
            Some(lock) => lock,
            None => ProcessLock::create(path)?,
        };
        lock.record_holder();
        checkpoint::sync_log(path)?;
        let conn = vfs::open(path, OpenFlags::default())?;
        let files = Files::open(path).map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        let mut store = SqliteStore::recover(conn, Box::new(files), clock, random)?;
        let checkpointer = Checkpointer::start(path)?;
        store.file = Some(DataFile { path: path.to_owned(), checkpointer, _lock: lock });
        Ok(store)
    }

    /// Opens a store on a connection and a disk for its journal: migrates the schema and files everything that the
    /// journal holds.
    ///
    /// However the previous store ended, every message whose outcome was published is present exactly once, at its seq.
    pub fn recover(
        conn: Connection,
        disk: Box<dyn Disk>,
        clock: Clock,
        random: Random,
    ) -> Result<SqliteStore, StoreError> {
        let (mut clock, mut random) = (clock, random);
        configure(&conn, CACHE_KIB)?;
        conn.pragma_update(None, "wal_autocheckpoint", 0)?;
        conn.pragma_update(None, "page_size", PAGE_SIZE)?;
        if schema::layout(&conn)?.is_empty() {
            // Before there is a log, so that the file itself says from the beginning whose it is.
            conn.pragma_update(None, "application_id", APPLICATION_ID)?;
        }
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        schema::migrate(&conn)?;
        name::claim_existing(&conn)?;
        conn.pragma_update(None, "application_id", APPLICATION_ID)?;
        let now = clock();
        let mut tables = Tables::load(&conn)?;
        if let Some(month) = tables.drop_far(&conn, now)? {
            log::warn!(
                "there are messages of {}-{:02}: the clock of this machine was ahead, or is behind now; in conversations that \
                 were written to then, new messages are dated by that time until the clock has passed it",
                month / 100,
                month % 100
            );
        }
        tables.make_ahead(&conn, now)?;
        let mut seed = [0; 8];
        random(&mut seed);
        let mut sent = Sent::new(u64::from_le_bytes(seed), calendar::day_of(now));
        sent.load(&conn, &tables)?;
        let mut run = Run::default();
        let journal = load_journal(&conn, disk, &mut run, &mut sent, calendar::day_of(now))?;
        let kept_from = fault::tolerate(dropper::load(&conn))?.map_or(0, |row| row.kept_from);
        let mut store = SqliteStore {
            conn,
            clock,
            random,
            resident: Arc::default(),
            cache: AppendCache::default(),
            names: NameCache::default(),
            headers: Arc::default(),
            logins: Arc::default(),
            touched: Touched::default(),
            sent,
            tables,
            run,
            filing: None,
            spare: None,
            journal,
            unlisted: Vec::new(),
            sync: Sync::Now,
            quotas: Quotas::default(),
            scrubber: Scrubber::default(),
            dropper: Dropper::default(),
            kept_from,
            maintained_hour: None,
            file: None,
        };
        store.resume_scrub()?;
        while store.housekeep()? {}
        Ok(store)
    }
}

/// Opens the journal and loads the messages and rows that were not filed. They are not published as resident: they are
/// filed before any reader exists.
fn load_journal(
    conn: &Connection,
    disk: Box<dyn Disk>,
    run: &mut Run,
    sent: &mut Sent,
    today: Day,
) -> Result<Journal, StoreError> {
    let filed = conn.query_row("SELECT number FROM journal_filed", [], |row| column::seq(row, 0));
    // What is filed already is filed again, without harm.
    let filed = fault::tolerate(filed.at("journal_filed", "number"))?.map_or(0, |filed| filed.0);
    let mut commits = 0u64;
    let mut rows = entry::load(conn)?;
    let mut hash = |sender, cid: &str| sent.look_up(today, sender, cid.as_bytes()).hash;
    let journal = Journal::open(disk, filed, |record| {
        commits += 1;
        if let Err(damaged) = run.load(record.number, record.payload, &mut rows, &mut hash) {
            fault::report(&format!("journal record {}: {damaged}", record.number));
        }
    })?;
    for (place, page) in rows {
        if let Err(damaged) = run.load_row(place, page, &mut hash) {
            fault::report(&format!("table `entry`, key {:?}: {damaged}", parts(place)));
        }
    }
    run.committed(journal.last());
    if commits > 0 {
        log::info!("recovering {} messages of {commits} commits from the journal of the last run", run.len());
    }
    Ok(journal)
}
