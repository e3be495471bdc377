//! Errors that prevent a measurement.

use std::io;
use thiserror::Error;
use wire::Refusal;

/// Ends a run with exit code 2: nothing was measured, whatever the server's quality.
#[derive(Debug, Error)]
pub enum Error {
    /// A system call failed.
    #[error("cannot {doing}: {source}")]
    Io {
        /// Completes "cannot …".
        doing: String,
        source: io::Error,
    },
    /// The server refused a set-up request for good.
    #[error("the server refused {what}: {errno} ({errmsg})", errno = refusal.errno, errmsg = refusal.errmsg)]
    Refused { what: &'static str, refusal: Box<Refusal> },
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    /// Invalid options, files or programs.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    pub fn io(doing: impl Into<String>, source: io::Error) -> Error {
        Error::Io { doing: doing.into(), source }
    }
}
