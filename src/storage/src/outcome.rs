//! What passes between logic and the storage threads.

use logic::contract::{Found, Ticket, Written};

/// What the storage threads tell logic.
#[derive(Debug)]
pub enum Outcome {
    /// Outcomes of writes, in order.
    Written(Vec<(Ticket, Written)>),
    /// Answers to reads.
    Found(Vec<(Ticket, Found)>),
    /// Nothing may be acknowledged any more: the process must end with an error.
    Fatal(String),
}

/// Batches that may wait for a storage thread.
pub const BATCHES_MAX: usize = 1024;
