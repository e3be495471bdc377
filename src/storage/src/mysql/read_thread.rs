//! The threads that answer reads.

use super::read;
use super::reader::MysqlReader;
use crate::outcome::Outcome;
use crate::read_queue::ReadInbox;
use crate::read_schedule::Next;
use crate::store::Reader;
use logic::contract::{Found, Query, Ticket};
use runtime::queue::Outbox;
use std::time::{Duration, Instant};

/// The most answers that wait for the publish barrier together.
const HELD_MAX: usize = 32;
/// How long an answer waits for others before they wait for the publish barrier together, which takes as long as a
/// commit.
const HELD_TIME: Duration = Duration::from_millis(2);

/// A read thread.
pub struct ReadThread {
    pub reader: MysqlReader,
    pub outcomes: Outbox<Outcome>,
}

impl ReadThread {
    pub fn serve(mut self, mut inbox: ReadInbox) {
        while let Some(next) = inbox.next() {
            self.answer(&mut inbox, next);
        }
    }

    /// Answers a read. Answers that may show messages are held back until the publish barrier is lifted; meanwhile
    /// further reads are answered.
    fn answer(&mut self, inbox: &mut ReadInbox, first: Next) {
        let (begun, mut held, mut next) = (Instant::now(), Vec::new(), Some(first));
        while let Some(read) = next {
            let Query { ticket, lane, requester, read, .. } = match read {
                Next::Run(query) => query,
                Next::Overdue(query) => {
                    self.send(vec![(query.ticket, Found::Unavailable)]);
                    next = inbox.try_next();
                    continue;
                }
            };
            let read_begun = Instant::now();
            let found = self.reader.read(&read);
            inbox.finished(lane, requester, read_begun);
            if read::shows_messages(&read) {
                held.push((ticket, found));
            } else {
                self.send(vec![(ticket, found)]);
            }
            let has_time = held.len() < HELD_MAX && begun.elapsed() < HELD_TIME;
            next = if has_time { inbox.try_next() } else { None };
        }
        if !held.is_empty() {
            inbox.pass_on();
            if !self.reader.settle() {
                held.iter_mut().for_each(|(_, found)| *found = Found::Unavailable);
            }
            self.send(held);
        }
    }

    fn send(&self, found: Vec<(Ticket, Found)>) {
        if !found.is_empty() {
            // At shutdown logic may be gone already.
            let _ = self.outcomes.send(Outcome::Found(found));
        }
    }
}
