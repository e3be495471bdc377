//! Storage errors, by what can be done about them.

use rusqlite::ErrorCode;
use rusqlite::types::FromSqlError;
use std::path::PathBuf;

/// A storage error as a sentence that an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was done, but it may succeed later (disk full, locked).
    #[error("storage is unavailable: {0}")]
    Unavailable(String),
    /// A fault that does not pass, of what was asked alone: its data is damaged, or the database refuses the statement.
    #[error("{0}")]
    Fault(String),
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
        StoreError::Fault(error.to_string())
    }
}

impl StoreError {
    /// Whether the process must end.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, StoreError::Unavailable(_) | StoreError::Fault(_))
    }
}

// Extended error codes of SQLite (sqlite3.h) for its shared-memory index, which can be rebuilt from the log at any
// time: a full disk can make it fail without any loss.
const IOERR_SHMOPEN: i32 = 10 | 18 << 8;
const IOERR_SHMSIZE: i32 = 10 | 19 << 8;
const IOERR_SHMLOCK: i32 = 10 | 20 << 8;
const IOERR_SHMMAP: i32 = 10 | 21 << 8;

// Extended error codes for reads that a device or a file system failed: what is on the disk is as it was.
const IOERR_READ: i32 = 10 | 1 << 8;
const IOERR_SHORT_READ: i32 = 10 | 2 << 8;
const IOERR_DATA: i32 = 10 | 32 << 8;
const IOERR_CORRUPTFS: i32 = 10 | 33 << 8;

/// The extended error code of a commit that a hook refused; it decides anew for each.
const CONSTRAINT_COMMITHOOK: i32 = 19 | 2 << 8;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        let text = error.to_string();
        // Everything else is a value that does not convert, or a row that is missing.
        let rusqlite::Error::SqliteFailure(cause, _) = error else { return StoreError::Fault(text) };
        match cause.code {
            ErrorCode::SystemIoFailure => match cause.extended_code {
                IOERR_SHMOPEN | IOERR_SHMSIZE | IOERR_SHMLOCK | IOERR_SHMMAP => StoreError::Unavailable(text),
                IOERR_READ | IOERR_SHORT_READ | IOERR_DATA | IOERR_CORRUPTFS => StoreError::Fault(text),
                _ => StoreError::Fatal(text),
            },
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::OutOfMemory
            | ErrorCode::CannotOpen
            | ErrorCode::OperationInterrupted
            | ErrorCode::FileLockingProtocolFailed => StoreError::Unavailable(text),
            ErrorCode::ConstraintViolation if cause.extended_code == CONSTRAINT_COMMITHOOK => {
                StoreError::Unavailable(text)
            }
            _ => StoreError::Fault(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> StoreError {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None).into()
    }

    #[test]
    fn errors_are_told_apart_by_what_can_be_done_about_them() {
        let (busy, full, cantopen) = (5, 13, 14);
        for code in [busy, full, cantopen, IOERR_SHMSIZE] {
            assert!(matches!(failure(code), StoreError::Unavailable(_)), "{code}");
        }
        let (no_such_table, readonly, corrupt, mismatch, notadb) = (1, 8, 11, 20, 26);
        for code in [no_such_table, readonly, corrupt, mismatch, notadb, IOERR_READ] {
            assert!(matches!(failure(code), StoreError::Fault(_)), "{code}");
        }
        let (ioerr_fsync, ioerr_write) = (10 | 4 << 8, 10 | 3 << 8);
        for code in [ioerr_fsync, ioerr_write] {
            assert!(failure(code).is_fatal(), "{code}");
        }
    }
}
