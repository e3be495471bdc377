//! Why the database did not do what it was asked, by what is left to do about it.

use std::fmt;

/// A question that was not answered, or not wholly.
#[derive(Debug)]
pub struct Failure {
    /// What is left to do.
    pub cause: Cause,
    /// How many statements of the question had been carried out.
    pub after: usize,
    text: String,
}

/// What is left to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The connection is gone, and with it the transaction; the last statement may have been carried out.
    Lost,
    /// Another transaction stood in the way: the same may work at once.
    Conflict,
    /// A key is there already.
    Duplicate,
    /// A column is there already.
    DuplicateColumn,
    /// A month's or a day's table is not there yet.
    NoTable,
    /// There is no such database on the server.
    NoDatabase,
    /// The server says no, and will again.
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
    /// A refusal of our own.
    pub fn refused(text: impl Into<String>) -> Failure {
        Failure { cause: Cause::Refused, after: 0, text: text.into() }
    }

    /// There is no connection, and none can be made.
    pub fn lost(text: impl Into<String>) -> Failure {
        Failure { cause: Cause::Lost, after: 0, text: text.into() }
    }

    /// What the client library says of the statement after `after` others.
    pub fn of(error: &mysql::Error, after: usize) -> Failure {
        let (cause, text) = match error {
            mysql::Error::MySqlError(error) => {
                (cause_of(error.code), format!("{} ({})", error.message, error.code))
            }
            mysql::Error::IoError(error) => (Cause::Lost, error.to_string()),
            mysql::Error::DriverError(error) => (Cause::Lost, error.to_string()),
            other => (Cause::Lost, other.to_string()),
        };
        Failure { cause, after, text }
    }
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
