//! What every thread of the server stands on: queues of batches between threads, the bells that wake them, and the watchdog.

#![forbid(unsafe_code)]

pub mod queue;
pub mod watchdog;
