//! Why a run could not be run, in sentences for the person who started it.

use std::io;
use thiserror::Error;
use wire::Refusal;

/// What ends a run with exit code 2: it says nothing about the server's quality, only that nothing was measured.
#[derive(Debug, Error)]
pub enum Error {
    /// The operating system said no.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried, as it continues "cannot …".
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server refused a request of the set-up, and waiting does not mend it.
    #[error("the server refused {what}: {errno} ({errmsg})", errno = refusal.errno, errmsg = refusal.errmsg)]
    Refused { what: &'static str, refusal: Box<Refusal> },
    /// The server said something that the protocol does not allow.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    /// The options do not fit together, or a file does not hold what it should.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// An operating system error, with what was tried.
    pub fn io(doing: impl Into<String>, source: io::Error) -> Error {
        Error::Io { doing: doing.into(), source }
    }
}
