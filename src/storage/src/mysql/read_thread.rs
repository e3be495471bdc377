//! The thread that answers reads.

use super::failure::Cause;
use super::publish_barrier::PublishBarrier;
use super::read;
use super::reconnect::AutoConnection;
use crate::fault;
use crate::outcome::Outcome;
use logic::contract::{Found, Read, Ticket};
use runtime::queue::Outbox;
use runtime::worker::{Mailbox, Next};
use std::sync::Arc;
use std::time::Duration;

/// The most reads whose answers are sent together.
const READS_MAX: usize = 32;

/// Attempts after a lost connection or a conflict.
const TRIES: usize = 3;

/// How long a read waits for the publish barrier before it is answered `Unavailable`.
const BARRIER_TIME: Duration = Duration::from_secs(1);

/// The read thread.
pub struct ReadThread {
    pub connection: AutoConnection,
    pub barrier: Arc<PublishBarrier>,
    pub outcomes: Outbox<Outcome>,
    pub is_failing: bool,
}

impl ReadThread {
    pub fn serve(mut self, mut mailbox: Mailbox<Vec<(Ticket, Read)>>) {
        let mut waiting: Vec<(Ticket, Read)> = Vec::new();
        loop {
            match mailbox.next((!waiting.is_empty()).then_some(Duration::ZERO)) {
                Next::Batch(reads) => waiting.extend(reads),
                Next::Stop if waiting.is_empty() => return,
                Next::Idle | Next::Stop => {}
            }
            while waiting.len() < READS_MAX
                && let Some(reads) = mailbox.try_next()
            {
                waiting.extend(reads);
            }
            // A few at a time, so that a quick answer does not wait for many slow ones behind it.
            let rest = waiting.split_off(waiting.len().min(READS_MAX));
            self.answer(std::mem::replace(&mut waiting, rest));
        }
    }

    /// Answers some reads. Answers that may show messages are held back until the publish barrier is lifted.
    fn answer(&mut self, reads: Vec<(Ticket, Read)>) {
        let (mut found, mut behind) = (Vec::new(), Vec::new());
        for (ticket, read) in reads {
            let answer = self.find(&read);
            if read::shows_messages(&read) {
                behind.push((ticket, answer));
            } else {
                found.push((ticket, answer));
            }
        }
        self.send(found);
        if !behind.is_empty() {
            if !self.barrier.wait(BARRIER_TIME) {
                behind.iter_mut().for_each(|(_, answer)| *answer = Found::Unavailable);
            }
            self.send(behind);
        }
    }

    fn send(&self, found: Vec<(Ticket, Found)>) {
        if !found.is_empty() {
            // At shutdown logic may be gone already.
            let _ = self.outcomes.send(Outcome::Found(found));
        }
    }

    fn find(&mut self, read: &Read) -> Found {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.connection.with(|conn| read::answer(conn, read)) {
                Ok(found) => {
                    self.is_failing = false;
                    return found;
                }
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
}
