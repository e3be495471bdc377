//! The interface between an embedded database and the threads that drive it.

use crate::error::StoreError;
use logic::contract::{Found, Read, Ticket, Write, Written};
use std::time::Duration;

/// Receives the outcomes of one commit, in the order of its writes.
pub type Publish<'a> = &'a mut dyn FnMut(Vec<(Ticket, Written)>);

/// A database as its only writer uses it.
pub trait Store: Send {
    /// Executes the writes in order, in as few commits as possible, and calls `publish` after each commit with the
    /// outcomes of its writes.
    ///
    /// # Errors [`StoreError::Unavailable`]: from some write on nothing was done; `publish` was called with
    /// [`Written::Unavailable`] for each of these, and the store remains usable. [`StoreError::Fatal`]: nothing was
    /// published and nothing may be acknowledged any more; the process must end.
    fn write(&mut self, batch: Vec<(Ticket, Write)>, publish: Publish<'_>) -> Result<(), StoreError>;

    /// Answers a read on the writer's own connection.
    fn read(&mut self, read: &Read) -> Found;

    /// Opens another connection, for reads on another thread.
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;

    /// Executes one bounded slice of background work (filing, creating tables, pruning) and returns whether to continue
    /// at once. What arrived after the work began may be left for later: see [`Store::unfiled`]. After
    /// [`StoreError::Unavailable`] the next call repeats the slice.
    fn housekeep(&mut self) -> Result<bool, StoreError>;

    /// Whether [`Store::housekeep`] must be called before the next batch, because filing falls behind the incoming
    /// messages.
    fn is_behind(&self) -> bool;

    /// How soon [`Store::housekeep`] should be called also while messages arrive; `None`: it can wait until none do.
    fn urgency(&self) -> Option<Duration> {
        None
    }

    /// Nothing but filing is done from now on: the store is about to be closed.
    fn close(&mut self) {}

    /// The number of durable messages that wait to be filed by [`Store::housekeep`].
    fn unfiled(&self) -> usize;
}

/// A database as a thread uses it that only reads.
pub trait Reader: Send {
    fn read(&mut self, read: &Read) -> Found;

    /// Waits until logic has the outcomes of all entries that earlier reads returned; `false`: not in time. A reader that
    /// shows only what is published need not wait.
    fn settle(&mut self) -> bool {
        true
    }
}
