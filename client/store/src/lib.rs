//! What outlives the client on this machine: one SQLite file for each account of each server.
//!
//! ```text
//!   Session --changes, events--> Store::save, one transaction --> then ACKs and SENDs are written
//!   Store::snapshot --> Session, at the next start;  Store::history --> the screen, also without a server
//! ```
//!
//! A message, the cursor over it and the outbox change in one transaction, before anything of it is told to the server. So
//! a client that dies at any moment has each message once, and sends what it had accepted once. The write-ahead log is not
//! synced for every message: a process's death loses nothing; after a power cut the cursor is older, and the
//! server gives again what lies above it.

#![forbid(unsafe_code)]

mod folder;
mod reading;
mod shelf;
mod writing;

pub use folder::{Folder, KeptAccount};
pub use reading::{Failed, KeptConversation};
pub use shelf::Shelf;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use thiserror::Error;
use wire::UserId;

/// Every migration in order; the first is version 1.
const MIGRATIONS: &[&str] = &[include_str!("../sql/0001_store.sql")];
/// In the file's header, so that no other program's database is taken for one of these: "chat".
const APPLICATION: i64 = 0x6368_6174;

/// Why nothing is kept.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another client has it.
    #[error("{} is in use by another chatclient", .0.display())]
    InUse(PathBuf),
    /// A later version wrote it.
    #[error("{} was written by a newer chatclient (version {found}, this one knows {known})", path.display(),
        known = MIGRATIONS.len())]
    Newer { path: PathBuf, found: i64 },
    /// It is no store, or a broken one.
    #[error("{} is damaged ({why}); move it away and a new one is begun", path.display())]
    Damaged { path: PathBuf, why: String },
    /// SQLite cannot read or write it.
    #[error("{}: {why}", path.display())]
    Failed { path: PathBuf, why: String },
    /// The folder or the file cannot be made.
    #[error("{}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
}

/// The open store of one account. No other process can open it meanwhile.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: PathBuf,
    account: UserId,
}

impl Store {
    /// Opens the store of an account, or makes it: readable by its owner alone.
    pub fn open(path: &Path, account: UserId) -> Result<Store, StoreError> {
        let in_folder = |source| StoreError::Folder { path: path.to_owned(), source };
        // SQLite gives its other files the mode of this one.
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
            // Whoever has it keeps it: waiting does not help.
            db.busy_timeout(Duration::ZERO)?;
            // Held for the life of the connection, and let go by the kernel however the process ends.
            db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            db.pragma_update(None, "journal_mode", "WAL")?;
            db.pragma_update(None, "synchronous", "NORMAL")?;
            db.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
            Ok(db)
        });
        let mut store = match opened {
            Ok(db) => Store { db, path: path.to_owned(), account },
            Err(error) => return Err(explain(path, &error)),
        };
        store.migrate()?;
        let make = "INSERT OR IGNORE INTO account (id) VALUES (?1)";
        store.db.execute(make, [account.0]).map_err(|error| store.failure(&error))?;
        Ok(store)
    }

    pub fn account(&self) -> UserId {
        self.account
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

    fn failure(&self, error: &rusqlite::Error) -> StoreError {
        explain(&self.path, error)
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

/// Unix milliseconds.
fn wall() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
