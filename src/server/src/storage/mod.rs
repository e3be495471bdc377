//! Durable state: one synchronous [`Store`] trait, an implementation a database, and the threads that drive it.
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
mod error;
mod sqlite;
#[cfg(test)]
mod story;
mod thread;
mod token;

pub use error::StoreError;
pub use sqlite::{Disk, MemoryDisk, SqliteStore};
pub use thread::{Outcome, Storage, start};

use logic::store::{Found, Read, Ticket, Write, Written};
use std::path::Path;
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

/// Opens the embedded database at `path`: makes what is missing, brings its schema up to date and repairs what the last
/// run left half-done.
pub fn open(path: &Path) -> Result<Box<dyn Store>, StoreError> {
    Ok(Box::new(SqliteStore::open(path, wall_clock(), system_random())?))
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
