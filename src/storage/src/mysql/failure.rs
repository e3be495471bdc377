//! Failures of statements, by what can be done about them.

use super::client::ClientError;
use std::fmt;
use std::io;
use tls::{Fault, fault_in};

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
    /// There is no connection, because TLS finds the server at fault: its certificate, for instance. A start ends then; a
    /// running server tries again, as the server may have had a good certificate before and get one again.
    Untrusted,
    /// A conflict with another transaction. The same may succeed at once.
    Conflict,
    /// A key exists already.
    Duplicate,
    /// A column, or a key of a table, exists already.
    DuplicateColumn,
    /// The table of a month or a day does not exist yet.
    NoTable,
    /// The database does not exist.
    NoDatabase,
    /// The server lacks a resource (memory, disk space). The same may succeed later.
    Exhausted,
    /// A value in the database is damaged, so that its row cannot be used.
    Damaged,
    /// The server rejects the statement, and would again: its syntax, a table, a column or a privilege that is missing,
    /// or the server is read-only.
    Refused,
}

impl Cause {
    /// Whether the same fails again until an operator has changed something.
    pub fn is_permanent(self) -> bool {
        match self {
            Cause::NoTable | Cause::NoDatabase | Cause::Damaged | Cause::Refused => true,
            Cause::Lost
            | Cause::Untrusted
            | Cause::Conflict
            | Cause::Duplicate
            | Cause::DuplicateColumn
            | Cause::Exhausted => false,
        }
    }
}

// The server's error numbers (MySQL Server Error Message Reference; MariaDB Error Codes).
const ER_DUP_ENTRY: u16 = 1062;
const ER_DUP_FIELDNAME: u16 = 1060;
const ER_DUP_KEYNAME: u16 = 1061;
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
const ER_UNKNOWN_COM_ERROR: u16 = 1047; // Also: a Galera node that has lost its cluster.
const ER_DISK_FULL: u16 = 1021;
const ER_OUTOFMEMORY: u16 = 1037;
const ER_OUT_OF_SORTMEMORY: u16 = 1038;
const ER_OUT_OF_RESOURCES: u16 = 1041;
const ER_RECORD_FILE_FULL: u16 = 1114;
const ER_TOO_MANY_USER_CONNECTIONS: u16 = 1203;
const ER_LOCK_TABLE_FULL: u16 = 1206;
const ER_USER_LIMIT_REACHED: u16 = 1226;
const ER_TOO_MANY_CONCURRENT_TRXS: u16 = 1637;
const ER_WARN_DATA_OUT_OF_RANGE: u16 = 1264;
const ER_DATA_OUT_OF_RANGE: u16 = 1690;
const ER_NOT_KEYFILE: u16 = 1034;
const ER_CRASHED_ON_USAGE: u16 = 1194;
const ER_INDEX_CORRUPT: u16 = 1712;

impl Failure {
    /// A failure that was found here, not by the server.
    pub fn refused(text: impl Into<String>) -> Failure {
        Failure { cause: Cause::Refused, after: 0, text: text.into() }
    }

    /// A value that its column cannot have.
    pub fn damaged(text: impl Into<String>) -> Failure {
        Failure { cause: Cause::Damaged, after: 0, text: text.into() }
    }

    /// The same, with the statement in the text.
    pub fn in_statement(mut self, outline: &str) -> Failure {
        if self.cause.is_permanent() {
            self.text = format!("{outline}: {}", self.text);
        }
        self
    }

    /// There is no connection, and none can be opened.
    pub fn lost(text: impl Into<String>) -> Failure {
        Failure { cause: Cause::Lost, after: 0, text: text.into() }
    }

    /// An error in the statement after `after` others.
    pub fn of(error: &ClientError, after: usize) -> Failure {
        let (cause, text) = match error {
            ClientError::Server { code, .. } => (cause_of(*code), error.to_string()),
            ClientError::Io(error) if fault_in(error).is_some() => (Cause::Untrusted, tls_sentence(error)),
            ClientError::Io(error) if is_time_limit(error) => (Cause::Lost, NO_ANSWER.to_owned()),
            ClientError::NoTls => (Cause::Untrusted, error.to_string()),
            ClientError::Plugin(_) => (Cause::Refused, error.to_string()),
            ClientError::Io(_) | ClientError::Protocol(_) => (Cause::Lost, error.to_string()),
        };
        Failure { cause, after, text }
    }
}

/// What TLS finds wrong, and what to change.
fn tls_sentence(error: &io::Error) -> String {
    match fault_in(error) {
        Some(Fault::ClientCertificate { .. }) => {
            format!("{error}: make the account with REQUIRE SSL instead of REQUIRE X509")
        }
        _ => error.to_string(),
    }
}

/// Whether a time limit has passed, which the system reports as an operation that would block.
fn is_time_limit(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn cause_of(code: u16) -> Cause {
    match code {
        ER_DUP_ENTRY => Cause::Duplicate,
        ER_DUP_FIELDNAME | ER_DUP_KEYNAME => Cause::DuplicateColumn,
        ER_LOCK_WAIT_TIMEOUT | ER_LOCK_DEADLOCK | ER_CHECKREAD => Cause::Conflict,
        ER_NO_SUCH_TABLE => Cause::NoTable,
        ER_BAD_DB => Cause::NoDatabase,
        ER_SERVER_SHUTDOWN
        | ER_NORMAL_SHUTDOWN
        | ER_NEW_ABORTING_CONNECTION
        | ER_CON_COUNT
        | ER_QUERY_INTERRUPTED
        | ER_CONNECTION_KILLED
        | ER_CLIENT_INTERACTION_TIMEOUT
        | ER_UNKNOWN_COM_ERROR => Cause::Lost,
        ER_DISK_FULL
        | ER_OUTOFMEMORY
        | ER_OUT_OF_SORTMEMORY
        | ER_OUT_OF_RESOURCES
        | ER_RECORD_FILE_FULL
        | ER_TOO_MANY_USER_CONNECTIONS
        | ER_LOCK_TABLE_FULL
        | ER_USER_LIMIT_REACHED
        | ER_TOO_MANY_CONCURRENT_TRXS => Cause::Exhausted,
        ER_WARN_DATA_OUT_OF_RANGE
        | ER_DATA_OUT_OF_RANGE
        | ER_NOT_KEYFILE
        | ER_CRASHED_ON_USAGE
        | ER_INDEX_CORRUPT => Cause::Damaged,
        _ => Cause::Refused,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a plan or a change was not executed.
#[derive(Debug)]
pub struct Undone {
    pub failure: Failure,
    /// Whether it may have been executed nevertheless.
    pub is_in_doubt: bool,
}

/// A failure before anything was committed.
impl From<Failure> for Undone {
    fn from(failure: Failure) -> Undone {
        Undone { failure, is_in_doubt: false }
    }
}

impl Undone {
    /// A failure of statements of which the one after `before_commit` others is the COMMIT.
    pub fn at_commit(failure: Failure, before_commit: usize) -> Undone {
        let is_in_doubt = failure.cause == Cause::Lost || failure.after >= before_commit;
        Undone { failure, is_in_doubt }
    }
}
