//! Failures of statements, by what can be done about them.

use std::error::Error;
use std::fmt;
use std::io;

/// The text of a failure to answer in time.
pub const NO_ANSWER: &str = "no answer within 5 s: it accepts connections but is silent";

/// Statements that were not all executed.
#[derive(Debug)]
pub struct Failure {
    pub cause: Cause,
    /// How many of the statements had been executed.
    pub after: usize,
    text: String,
}

/// The cause of a failure, by what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The connection is lost, and with it the transaction. The last statement may have been executed.
    Lost,
    /// A conflict with another transaction. The same may succeed at once.
    Conflict,
    /// A key exists already.
    Duplicate,
    /// A column exists already.
    DuplicateColumn,
    /// The table of a month or a day does not exist yet.
    NoTable,
    /// The database does not exist.
    NoDatabase,
    /// The server rejects the statement, and would again.
    Refused,
}

// The server's error numbers (MySQL Server Error Message Reference; MariaDB Error Codes).
const ER_DUP_ENTRY: u16 = 1062;
const ER_DUP_FIELDNAME: u16 = 1060;
const ER_BAD_DB: u16 = 1049;
const ER_NO_SUCH_TABLE: u16 = 1146;
const ER_SERVER_SHUTDOWN: u16 = 1053;
const ER_NORMAL_SHUTDOWN: u16 = 1077;
const ER_NEW_ABORTING_CONNECTION: u16 = 1184;
const ER_CON_COUNT: u16 = 1040;
const ER_LOCK_WAIT_TIMEOUT: u16 = 1205;
const ER_LOCK_DEADLOCK: u16 = 1213;
const ER_CHECKREAD: u16 = 1020;
const ER_QUERY_INTERRUPTED: u16 = 1317;
const ER_CONNECTION_KILLED: u16 = 1927;
const ER_CLIENT_INTERACTION_TIMEOUT: u16 = 4031;

impl Failure {
    /// A failure that was found here, not by the server.
    pub fn refused(text: impl Into<String>) -> Failure {
        Failure { cause: Cause::Refused, after: 0, text: text.into() }
    }

    /// There is no connection, and none can be opened.
    pub fn lost(text: impl Into<String>) -> Failure {
        Failure { cause: Cause::Lost, after: 0, text: text.into() }
    }

    /// An error of the client library in the statement after `after` others.
    pub fn of(error: &mysql::Error, after: usize) -> Failure {
        let (cause, text) = match error {
            mysql::Error::MySqlError(error) => {
                (cause_of(error.code), format!("{} ({})", error.message, error.code))
            }
            error if is_time_limit(error) => (Cause::Lost, NO_ANSWER.to_owned()),
            mysql::Error::IoError(error) => (Cause::Lost, error.to_string()),
            mysql::Error::DriverError(error) => (Cause::Lost, error.to_string()),
            other => (Cause::Lost, other.to_string()),
        };
        Failure { cause, after, text }
    }
}

/// Whether a socket's time limit has passed, which the system reports as an operation that would block.
fn is_time_limit(error: &mysql::Error) -> bool {
    let error = match error {
        mysql::Error::IoError(error) => Some(error),
        mysql::Error::CodecError(error) => error.source().and_then(|cause| cause.downcast_ref::<io::Error>()),
        _ => None,
    };
    error.is_some_and(|error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut))
}

fn cause_of(code: u16) -> Cause {
    match code {
        ER_DUP_ENTRY => Cause::Duplicate,
        ER_DUP_FIELDNAME => Cause::DuplicateColumn,
        ER_LOCK_WAIT_TIMEOUT | ER_LOCK_DEADLOCK | ER_CHECKREAD => Cause::Conflict,
        ER_NO_SUCH_TABLE => Cause::NoTable,
        ER_BAD_DB => Cause::NoDatabase,
        ER_SERVER_SHUTDOWN
        | ER_NORMAL_SHUTDOWN
        | ER_NEW_ABORTING_CONNECTION
        | ER_CON_COUNT
        | ER_QUERY_INTERRUPTED
        | ER_CONNECTION_KILLED
        | ER_CLIENT_INTERACTION_TIMEOUT => Cause::Lost,
        _ => Cause::Refused,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
