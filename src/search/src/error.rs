//! Why the index cannot be used.

use rusqlite::{Error, ErrorCode};
use std::io;
use std::path::PathBuf;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum IndexError {
    /// Its content is not what was written: it must be made anew.
    #[error("the search index is damaged: {0}")]
    Damaged(String),
    /// The disk is full, or the file cannot be accessed. It may be usable later.
    #[error("the search index cannot be used: {0}")]
    Unavailable(String),
    #[error("the search index cannot be used: {}: {source}", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the search index cannot be used: {} is in use by another process", .0.display())]
    Locked(PathBuf),
    #[error("the search index cannot be used: {} is not one; name another file in search.file", .0.display())]
    Foreign(PathBuf),
    /// The query took too long.
    #[error("the query took too long")]
    Overdue,
}

impl From<Error> for IndexError {
    fn from(error: Error) -> IndexError {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => IndexError::Overdue,
            // All statements are right: a table that is missing, or a value of a wrong type, is damage.
            None
            | Some(
                ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::TypeMismatch
                | ErrorCode::ConstraintViolation,
            ) => IndexError::Damaged(text),
            Some(ErrorCode::Unknown) if text.contains("no such") => IndexError::Damaged(text),
            Some(_) => IndexError::Unavailable(text),
        }
    }
}
