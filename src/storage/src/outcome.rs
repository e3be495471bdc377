//! Messages from the storage threads to logic.

use logic::contract::{Found, Ticket, Written};

/// A message from the storage threads to logic.
#[derive(Debug)]
pub enum Outcome {
    /// Outcomes of writes, in order.
    Written(Vec<(Ticket, Written)>),
    /// Answers to reads.
    Found(Vec<(Ticket, Found)>),
    /// Nothing may be acknowledged any more: the process must exit with an error.
    Fatal(String),
}

/// Batches that may wait for a storage thread.
pub const BATCHES_MAX: usize = 1024;
