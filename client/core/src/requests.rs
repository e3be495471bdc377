//! Requests that wait for their reply.

use crate::outbox::LocalId;
use crate::schedule::Schedule;
use std::collections::BTreeMap;
use wire::ConversationId;

/// A request that the user of a session made, by number; 1, 2, 3 …
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Login,
    Logout,
    /// The user of the session asked.
    Asked(RequestId),
    /// To store a message.
    Send(LocalId),
    /// To fill a gap.
    Fill(ConversationId),
    /// To learn the cursors of the conversations that the login reply had no room for.
    Catalogue,
    /// To learn where else to go.
    Nodes,
    /// A sign of life.
    Heartbeat,
}

/// The requests of one connection.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    last: u32,
    waiting: BTreeMap<u32, Purpose>,
    deadlines: Schedule<u32>,
}

impl Requests {
    /// Registers a request that must be answered by `deadline`, and numbers it.
    pub fn begin(&mut self, purpose: Purpose, deadline: u64) -> u32 {
        // Number 0 asks for no reply.
        self.last = self.last.checked_add(1).unwrap_or(1);
        self.waiting.insert(self.last, purpose);
        self.deadlines.set(self.last, Some(deadline));
        self.last
    }

    /// What the request was for; `None` where none of this number waits.
    pub fn end(&mut self, number: u32) -> Option<Purpose> {
        self.deadlines.set(number, None);
        self.waiting.remove(&number)
    }

    /// When the next one has waited too long.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.next()
    }

    /// Takes one that has waited too long.
    pub fn pop_overdue(&mut self, now: u64) -> Option<Purpose> {
        let number = self.deadlines.pop_due(now)?;
        self.waiting.remove(&number)
    }

    /// Takes all: the connection is lost.
    pub fn take_all(&mut self) -> impl Iterator<Item = Purpose> + use<> {
        self.deadlines.clear();
        std::mem::take(&mut self.waiting).into_values()
    }

    /// Whether none waits, heartbeats aside.
    pub fn is_empty(&self) -> bool {
        self.waiting.values().all(|purpose| *purpose == Purpose::Heartbeat)
    }

    /// How many of them the user of the session made.
    pub fn asked(&self) -> usize {
        self.waiting.values().filter(|purpose| matches!(purpose, Purpose::Asked(_))).count()
    }
}
