//! The threads of a MySQL store.
//!
//! ```text
//!   logic --writes--> store --- messages, joins, by conversation --> store-1 .. store-n --+--> outcomes --> logic
//!     |                 |                                                 | (barrier)    |
//!     |                 +------ all else ------------------------------> writer -----------+
//!     +------reads--------------------------------------------------> read-1 .. read-n ---+
//! ```
//!
//! The router (`store`) resolves the conversation of each message, creating direct conversations that are missing,
//! before it passes the message on. So all messages of one conversation pass one appender in the order in which they
//! arrived, however they were addressed.

use super::appender::Appender;
use super::connection::{Purpose, Server};
use super::housekeeping::housekeep;
use super::membership::Membership;
use super::publish_barrier::PublishBarrier;
use super::read_thread::ReadThread;
use super::reader::MysqlReader;
use super::reconnect::AutoConnection;
use super::router::Router;
use super::targets::Targets;
use super::writer::Writer;
use crate::counters::Counters;
use crate::error::StoreError;
use crate::failed_streams::FailedStreams;
use crate::header_cache::HeaderCache;
use crate::machine::system_random;
use crate::outcome::{BATCHES_MAX, Outcome};
use crate::read_queue::{READERS, ReadOutbox, ReadThreads};
use logic::contract::{Ticket, Write};
use runtime::queue::{Bell, Outbox};
use runtime::watchdog::Role;
use runtime::worker::{Mailbox, Worker};
use std::sync::Arc;
use std::time::Instant;

/// The number of appender threads.
pub const APPENDERS: usize = 4;

/// The running threads.
#[derive(Debug)]
pub struct Threads {
    writes: Outbox<Vec<(Ticket, Write)>>,
    router: Worker,
    appenders: Vec<Worker>,
    writer: Worker,
    readers: ReadThreads,
    housekeeping: Worker,
    membership: Option<Worker>,
    /// Of each appender.
    counters: Vec<Arc<Counters>>,
}

impl Threads {
    /// Starts the threads, an appender for each barrier. They send outcomes and answers to `outcomes`.
    pub fn start(
        target: &Server,
        barrier: &Arc<PublishBarrier>,
        outcomes: &Outbox<Outcome>,
        clock_start: Instant,
    ) -> Result<Threads, StoreError> {
        let connection = |purpose| AutoConnection::new(target, purpose);
        let (mut running, mut doors, mut counters) = (Vec::new(), Vec::new(), Vec::new());
        let writer = Writer::new(connection(Purpose::Writing), system_random(), outcomes.clone());
        let (writer, changes) = worker("writer", move |mailbox| writer.serve(mailbox))?;
        for number in 0..barrier.appenders() {
            let (barrier, changes) = (Arc::clone(barrier), changes.clone());
            let connection = connection(Purpose::Writing);
            let appender = Appender::new(number, connection, barrier, changes, outcomes.clone());
            counters.push(appender.counters());
            let name = format!("store-{}", number + 1);
            let (thread, jobs) = worker(&name, move |mailbox| appender.serve(mailbox))?;
            running.push(thread);
            doors.push(jobs);
        }
        let router = Router {
            connection: connection(Purpose::Writing),
            targets: Targets::new(),
            failed: FailedStreams::default(),
            appenders: doors,
            writer: changes,
            outcomes: outcomes.clone(),
        };
        let (router, writes) = worker("store", move |mailbox| router.serve(mailbox))?;
        let headers = Arc::new(HeaderCache::default());
        let readers = (0..READERS).map(|_| {
            let reader =
                MysqlReader::new(connection(Purpose::Reading), Arc::clone(barrier), Arc::clone(&headers));
            let reader = ReadThread { reader, outcomes: outcomes.clone() };
            move |inbox| reader.serve(inbox)
        });
        let readers = ReadThreads::start(clock_start, readers.collect())?;
        let (connection, months) = (connection(Purpose::Writing), target.retention_months);
        let housekeeping =
            Worker::spawn(Role::Housekeeping, "housekeeping", Arc::new(Bell::new()), move |control| {
                housekeep(connection, months, control);
            })?;
        let appenders = running;
        Ok(Threads { writes, router, appenders, writer, readers, housekeeping, membership: None, counters })
    }

    /// Starts the thread that keeps this node's membership.
    pub fn with_membership(
        self,
        membership: Membership,
        outcomes: &Outbox<Outcome>,
    ) -> Result<Threads, StoreError> {
        let (bell, outcomes) = (Arc::new(Bell::new()), outcomes.clone());
        let thread = Worker::spawn(Role::Housekeeping, "membership", bell, move |control| {
            membership.serve(&control, &outcomes);
        })?;
        Ok(Threads { membership: Some(thread), ..self })
    }

    pub fn writes(&self) -> Outbox<Vec<(Ticket, Write)>> {
        self.writes.clone()
    }

    pub fn reads(&self) -> ReadOutbox {
        self.readers.outbox()
    }

    pub fn counters(&self) -> Vec<Arc<Counters>> {
        self.counters.clone()
    }

    /// Finishes everything that is queued. Nothing may be sent any more.
    pub fn stop(self) {
        self.router.stop();
        for appender in self.appenders {
            appender.stop();
        }
        self.writer.stop();
        self.readers.stop();
        self.housekeeping.stop();
        if let Some(membership) = self.membership {
            membership.stop();
        }
    }
}

fn worker<T: Send + 'static>(
    name: &str,
    body: impl FnOnce(Mailbox<T>) + Send + 'static,
) -> Result<(Worker, Outbox<T>), StoreError> {
    Ok(Worker::with_mailbox(Role::Storage, name, BATCHES_MAX, body)?)
}
