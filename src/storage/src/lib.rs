//! Durable state: the embedded database behind the synchronous [`Store`] trait and the threads that drive it, or a
//! database server ([`mysql`]), which has threads of its own. Both keep the contract of `logic::contract`.
//!
//! ```text
//!   logic --writes--> store thread --(one transaction a batch)--> database
//!     |                    |  commit, then publish
//!     |                    v
//!     |               outcomes --> logic
//!     +-----reads----> read thread ---^
//! ```
//!
//! A store carries out writes in order, many in one commit, and publishes their outcomes after it. A
//! message becomes visible to readers in the same moment in which its outcome is published, never before.

mod calendar;
mod claim;
mod column;
mod database;
mod error;
mod grounded;
mod mysql;
mod overview;
mod page;
mod settings;
mod sqlite;
#[cfg(test)]
mod story;
mod thread;
mod token;

pub use database::{Database, without_password};
pub use error::StoreError;
pub use settings::{Settings, StorageUrl};
pub use sqlite::{Disk, MemoryDisk, SqliteStore};
pub use thread::Outcome;

use logic::contract::{Found, Read, Ticket, Write, Written};
use mysql::Mysql;
use runtime::queue::Outbox;
use std::time::{SystemTime, UNIX_EPOCH};
use wire::UnixMillis;

/// Takes the outcomes of one commit, in the order of its writes.
pub type Publish<'a> = &'a mut dyn FnMut(Vec<(Ticket, Written)>);

/// The wall clock that a store stamps messages and tokens with.
pub type Clock = Box<dyn FnMut() -> UnixMillis + Send>;

/// Fills a buffer with bytes that nobody can guess.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// A database, as the one thread that writes to it sees it.
pub trait Store: Send {
    /// Carries out all writes in order, in as few commits as can be, and calls `publish` after each with the outcomes of
    /// its writes.
    ///
    /// [`StoreError::Unavailable`]: from some write on nothing is done, `publish` was called with
    /// [`Written::Unavailable`] for each of these, and the store may be used again. [`StoreError::Fatal`]: nothing was published, nothing may be
    /// acknowledged any more, the process must end.
    fn write(&mut self, batch: Vec<(Ticket, Write)>, publish: Publish<'_>) -> Result<(), StoreError>;

    /// Answers a question on the writer's own connection.
    fn read(&mut self, read: &Read) -> Found;

    /// A second way in, for questions from another thread.
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;

    /// Does one bounded slice of the work behind the promises (filing, new tables, pruning); whether to go on at once.
    /// What came in since the work was begun may be left for later: see [`Store::backlog`].
    /// After [`StoreError::Unavailable`] the same slice is done again by the next call.
    fn housekeep(&mut self) -> Result<bool, StoreError>;

    /// Whether [`Store::housekeep`] must be called now, between two batches, because it falls behind what comes in.
    fn is_behind(&self) -> bool;

    /// Messages that are durable and wait for [`Store::housekeep`].
    fn backlog(&self) -> usize;
}

/// A database, as a thread that only asks sees it.
pub trait Reader: Send {
    /// Answers a question.
    fn read(&mut self, read: &Read) -> Found;
}

/// A database that is open, in order, and used by nobody yet.
pub enum Opened {
    /// The embedded database.
    Sqlite(Box<dyn Store>),
    /// A database server.
    Mysql(Mysql),
}

/// A database at work: the threads that drive it.
#[derive(Debug)]
pub enum Storage {
    /// The embedded database.
    Sqlite(thread::Storage),
    /// A database server.
    Mysql(mysql::Threads),
}

/// Opens the database that the settings name: makes what is missing, brings its schema up to date and repairs what the
/// last run left half-done.
pub fn open(settings: &Settings) -> Result<Opened, StoreError> {
    Ok(match &settings.url {
        StorageUrl::Sqlite(path) => {
            Opened::Sqlite(Box::new(SqliteStore::open(path, wall_clock(), system_random())?))
        }
        StorageUrl::Mysql(database) => Opened::Mysql(Mysql::open(database, settings)?),
    })
}

/// Starts the threads of a database; everything they have to say goes to `outcomes`.
pub fn start(opened: Opened, outcomes: Outbox<Outcome>) -> Result<Storage, StoreError> {
    Ok(match opened {
        Opened::Sqlite(store) => Storage::Sqlite(thread::start(store, outcomes)?),
        Opened::Mysql(mysql) => Storage::Mysql(mysql.start(&outcomes)?),
    })
}

impl Storage {
    pub fn writes(&self) -> Outbox<Vec<(Ticket, Write)>> {
        match self {
            Storage::Sqlite(threads) => threads.writes(),
            Storage::Mysql(threads) => threads.writes(),
        }
    }

    pub fn reads(&self) -> Outbox<Vec<(Ticket, Read)>> {
        match self {
            Storage::Sqlite(threads) => threads.reads(),
            Storage::Mysql(threads) => threads.reads(),
        }
    }

    /// Finishes all that is queued and closes the database. Nobody may send any more.
    pub fn stop(self) {
        match self {
            Storage::Sqlite(threads) => threads.stop(),
            Storage::Mysql(threads) => threads.stop(),
        }
    }
}

/// The machine's clock.
pub fn wall_clock() -> Clock {
    Box::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(since.as_millis() as u64)
    })
}

/// The kernel's randomness.
pub fn system_random() -> Random {
    Box::new(|bytes| getrandom::fill(bytes).expect("the kernel has randomness once it has booted"))
}
