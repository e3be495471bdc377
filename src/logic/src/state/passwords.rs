//! The work of the password thread: the jobs that wait for it, and the one that it has.

use super::password_queue::{Added, Class, PasswordQueue};
use crate::contract::Ticket;
use crate::effect::PasswordJob;
use crate::limits::{PASSWORD_RETRY_MAX_MS, PASSWORD_RETRY_MIN_MS};
use crate::network::Network;

#[derive(Debug)]
pub(crate) struct Passwords {
    queue: PasswordQueue<Waiting>,
    /// When the running job began, monotonic ms.
    running_since: Option<u64>,
    /// How long the last job took, milliseconds.
    last_took: u64,
}

/// A job that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub ticket: Ticket,
    pub class: Class,
    pub network: Network,
    pub job: PasswordJob,
}

impl Passwords {
    pub fn new(seed: u64) -> Passwords {
        Passwords { queue: PasswordQueue::new(seed), running_since: None, last_took: 0 }
    }

    pub fn add(&mut self, waiting: Waiting) -> Added<Waiting> {
        self.queue.add(waiting.class, waiting.network, waiting)
    }

    /// Takes the next job, unless one is running.
    pub fn take_next(&mut self) -> Option<Waiting> {
        if self.running_since.is_some() { None } else { self.queue.take() }
    }

    pub fn started(&mut self, now: u64) {
        self.running_since = Some(now);
    }

    pub fn finished(&mut self, now: u64) {
        if let Some(since) = self.running_since.take() {
            self.last_took = now.saturating_sub(since);
        }
    }

    /// When a client that finds the queue full may try again: about when the jobs that wait now are done.
    pub fn retry_ms(&self) -> u64 {
        let left = self.queue.len() as u64 * self.last_took;
        left.clamp(PASSWORD_RETRY_MIN_MS, PASSWORD_RETRY_MAX_MS)
    }
}
