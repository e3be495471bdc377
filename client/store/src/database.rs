//! [`Store`]: the database file of one account. Opening, locking, migrations, errors.

use rusqlite::{Connection, ErrorCode, OpenFlags, Row};
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use thiserror::Error;
use wire::UserId;

/// Every migration, in order; the first leads to version 1.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("../sql/0001_store.sql"),
    include_str!("../sql/0002_drafts.sql"),
    include_str!("../sql/0003_muted.sql"),
    include_str!("../sql/0004_history.sql"),
    include_str!("../sql/0005_known.sql"),
    include_str!("../sql/0006_entries.sql"),
    include_str!("../sql/0007_settings.sql"),
    include_str!("../sql/0008_references.sql"),
    include_str!("../sql/0009_changes.sql"),
];
/// The application id in the file's header, "chat": tells these files from other programs' databases.
const APPLICATION: i64 = 0x6368_6174;

/// Why the store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("{} is in use by another chatclient", .0.display())]
    InUse(PathBuf),
    #[error("{} was written by a newer chatclient (version {found}; this one supports up to {known})", path.display(),
        known = MIGRATIONS.len())]
    Newer { path: PathBuf, found: i64 },
    #[error("{} is damaged ({why}); move it away to start with a new one", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("{}: {why}", path.display())]
    Failed { path: PathBuf, why: String },
    /// The folder or the file cannot be created.
    #[error("{}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
}

/// The open store of one account. It is locked: no other process can open it.
#[derive(Debug)]
pub struct Store {
    pub(crate) db: Connection,
    pub(crate) path: PathBuf,
    pub(crate) account: UserId,
}

impl Store {
    /// Opens the store of an account, or creates it, readable by its owner only.
    pub fn open(path: &Path, account: UserId) -> Result<Store, StoreError> {
        let in_folder = |source| StoreError::Folder { path: path.to_owned(), source };
        // SQLite gives its other files the mode of this file.
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .and_then(|file| file.metadata())
            .and_then(|found| match found.permissions().mode() & 0o077 {
                0 => Ok(()),
                _ => fs::set_permissions(path, Permissions::from_mode(0o600)),
            })
            .map_err(in_folder)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(path, flags).and_then(|db| {
            // The other process keeps its lock until it ends: waiting does not help.
            db.busy_timeout(Duration::ZERO)?;
            // The lock is held while the connection is open; the kernel releases it however the process ends.
            db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            db.pragma_update(None, "journal_mode", "WAL")?;
            db.pragma_update(None, "synchronous", "NORMAL")?;
            // What was recalled or forgotten is overwritten.
            db.pragma_update(None, "secure_delete", true)?;
            db.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
            Ok(db)
        });
        let mut store = match opened {
            Ok(db) => Store { db, path: path.to_owned(), account },
            Err(error) => return Err(explain(path, &error)),
        };
        store.migrate()?;
        let insert = "INSERT OR IGNORE INTO account (id) VALUES (?1)";
        store.db.execute(insert, [account.0]).map_err(|error| store.failure(&error))?;
        Ok(store)
    }

    fn migrate(&mut self) -> Result<(), StoreError> {
        let run = |db: &mut Connection| {
            let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let application: i64 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
            if found > MIGRATIONS.len() as i64 || (found > 0 && application != APPLICATION) {
                return Ok(Err(found));
            }
            for (at, sql) in MIGRATIONS.iter().enumerate().skip(found as usize) {
                let transaction = db.transaction()?;
                transaction.execute_batch(sql)?;
                transaction.pragma_update(None, "application_id", APPLICATION)?;
                transaction.pragma_update(None, "user_version", at as i64 + 1)?;
                transaction.commit()?;
            }
            Ok(Ok(()))
        };
        match run(&mut self.db) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(found)) => Err(StoreError::Newer { path: self.path.clone(), found }),
            Err(error) => Err(self.failure(&error)),
        }
    }

    pub(crate) fn failure(&self, error: &rusqlite::Error) -> StoreError {
        explain(&self.path, error)
    }
}

impl Store {
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let rows =
            || -> rusqlite::Result<Vec<T>> { self.db.prepare_cached(sql)?.query_map([], read)?.collect() };
        rows().map_err(|error| self.failure(&error))
    }
}

fn explain(path: &Path, error: &rusqlite::Error) -> StoreError {
    let (path, why) = (path.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse(path),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => StoreError::Damaged { path, why },
        _ => StoreError::Failed { path, why },
    }
}

/// The present time in Unix milliseconds.
pub(crate) fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
