//! A connection for reads, as a thread uses it.

use super::failure::Cause;
use super::publish_barrier::PublishBarrier;
use super::read;
use super::reconnect::AutoConnection;
use crate::fault;
use crate::header_cache::HeaderCache;
use crate::store::Reader;
use logic::contract::{Found, Read};
use std::sync::Arc;
use std::time::Duration;

/// Attempts after a lost connection or a conflict.
const TRIES: usize = 3;

/// How long a read waits for the publish barrier before it is answered `Unavailable`.
const BARRIER_TIME: Duration = Duration::from_secs(1);

/// Answers reads on a connection of its own, which is opened again after it was lost.
pub struct MysqlReader {
    connection: AutoConnection,
    barrier: Arc<PublishBarrier>,
    /// What counts of unread messages have read.
    headers: Arc<HeaderCache>,
    is_failing: bool,
}

impl MysqlReader {
    pub fn new(
        connection: AutoConnection,
        barrier: Arc<PublishBarrier>,
        headers: Arc<HeaderCache>,
    ) -> MysqlReader {
        MysqlReader { connection, barrier, headers, is_failing: false }
    }
}

impl Reader for MysqlReader {
    fn read(&mut self, read: &Read) -> Found {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.connection.with(|conn| read::answer(conn, &self.headers, read)) {
                Ok(found) => {
                    self.is_failing = false;
                    return found;
                }
                // A month was dropped while the read was under way.
                Err(failure) if tries < TRIES && failure.cause == Cause::NoTable => {}
                // The connection may have been lost while it was idle.
                Err(failure)
                    if tries < TRIES && failure.cause == Cause::Lost && self.connection.due().is_none() => {}
                Err(failure) if failure.cause.is_permanent() => {
                    fault::report(&failure.to_string());
                    return Found::Failed;
                }
                Err(failure) => {
                    if failure.cause != Cause::Lost && !std::mem::replace(&mut self.is_failing, true) {
                        log::error!("cannot read from the database: {failure}");
                    }
                    return Found::Unavailable;
                }
            }
        }
    }

    fn settle(&mut self) -> bool {
        self.barrier.wait(BARRIER_TIME)
    }
}
