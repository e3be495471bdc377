//! What a thread may do with an embedded database.

use crate::error::StoreError;
use logic::contract::{Found, Read, Ticket, Write, Written};

/// Takes the outcomes of one commit, in the order of its writes.
pub type Publish<'a> = &'a mut dyn FnMut(Vec<(Ticket, Written)>);

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
