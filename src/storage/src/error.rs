//! Storage errors, by what can be done about them.

use rusqlite::ErrorCode;
use rusqlite::types::FromSqlError;
use std::path::PathBuf;

/// A storage error as a sentence that an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was done, but it may succeed later (disk full, locked, read-only).
    #[error("storage is unavailable: {0}")]
    Unavailable(String),
    /// The state of the disk is unknown. The process must end; the next start reads what is there.
    #[error("storage failed: {0}")]
    Fatal(String),
    /// Another process holds the database.
    #[error("{} is in use by another process (pid {pid})", path.display())]
    Locked {
        path: PathBuf,
        /// As that process recorded it.
        pid: String,
    },
    /// A file or folder cannot be used.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// The database is unsuitable. The sentence says what to change.
    #[error("{0}")]
    Unsuitable(String),
    /// A newer program wrote the database.
    #[error(
        "the database has schema version {found}, but this program supports at most version {known}: upgrade the program"
    )]
    Newer { found: u32, known: u32 },
    /// An older version crashed and left messages that only that version can read.
    #[error(
        "the database holds unfiled messages of an older version, which crashed: start that version, stop it with SIGTERM, \
         then start this one"
    )]
    Unfiled,
}

/// From a failure to start a thread.
impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> StoreError {
        StoreError::Unavailable(error.to_string())
    }
}

impl From<FromSqlError> for StoreError {
    fn from(error: FromSqlError) -> StoreError {
        StoreError::Fatal(error.to_string())
    }
}

impl StoreError {
    /// Whether the process must end.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, StoreError::Unavailable(_))
    }
}

// Extended error codes of SQLite (sqlite3.h) for its shared-memory index, which can be rebuilt from the log at any
// time: a full disk can make it fail without any loss.
const IOERR_SHMOPEN: i32 = 10 | 18 << 8;
const IOERR_SHMSIZE: i32 = 10 | 19 << 8;
const IOERR_SHMLOCK: i32 = 10 | 20 << 8;
const IOERR_SHMMAP: i32 = 10 | 21 << 8;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        let fatal = match &error {
            rusqlite::Error::SqliteFailure(cause, _) => match cause.code {
                ErrorCode::SystemIoFailure => !matches!(
                    cause.extended_code,
                    IOERR_SHMOPEN | IOERR_SHMSIZE | IOERR_SHMLOCK | IOERR_SHMMAP
                ),
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => true,
                _ => false,
            },
            // The stored bytes differ from what was written.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => true,
            _ => false,
        };
        if fatal { StoreError::Fatal(error.to_string()) } else { StoreError::Unavailable(error.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> StoreError {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None).into()
    }

    #[test]
    fn a_full_or_locked_disk_can_be_waited_for_and_a_failed_fsync_cannot() {
        let (busy, readonly, full, cantopen) = (5, 8, 13, 14);
        for code in [busy, readonly, full, cantopen, IOERR_SHMSIZE] {
            assert!(!failure(code).is_fatal(), "{code}");
        }
        let (ioerr_fsync, ioerr_write, corrupt, notadb) = (10 | 4 << 8, 10 | 3 << 8, 11, 26);
        for code in [ioerr_fsync, ioerr_write, corrupt, notadb] {
            assert!(failure(code).is_fatal(), "{code}");
        }
    }
}
