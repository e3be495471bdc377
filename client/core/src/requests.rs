//! Requests in flight, by number, with their deadlines.

use crate::outbox::LocalId;
use crate::schedule::Schedule;
use std::collections::BTreeMap;
use wire::ConversationId;
use wire::timeline::{Clear, Set};

/// A request of the caller: 1, 2, 3 …
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// The origin of a request, which decides how its reply is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Made by the caller of the session; the reply becomes an event. The session itself makes all other requests.
    Caller(RequestId),
    /// Made by the caller; the session and its store note what it changes.
    Set(RequestId, Set),
    Clear(RequestId, Clear),
    Login,
    Logout,
    Heartbeat,
    Send(LocalId),
    /// Fetches missing messages.
    Backfill(ConversationId),
    /// Compares a message with another history of the server.
    Compare(ConversationId),
    /// Reads a page of the conversation list.
    Listing,
    Nodes,
}

impl Purpose {
    /// The request of the caller.
    pub fn of_caller(self) -> Option<RequestId> {
        match self {
            Purpose::Caller(request) | Purpose::Set(request, _) | Purpose::Clear(request, _) => Some(request),
            _ => None,
        }
    }
}

/// The requests of one connection.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    last: u32,
    waiting: BTreeMap<u32, Purpose>,
    deadlines: Schedule<u32>,
}

impl Requests {
    /// Registers a request that must be answered by `deadline`; returns its number.
    pub fn begin(&mut self, purpose: Purpose, deadline: u64) -> u32 {
        // Number 0 would ask for no reply.
        self.last = self.last.checked_add(1).unwrap_or(1);
        self.waiting.insert(self.last, purpose);
        self.deadlines.set(self.last, Some(deadline));
        self.last
    }

    /// Removes a request that was answered; `None` if no request has this number.
    pub fn end(&mut self, number: u32) -> Option<Purpose> {
        self.deadlines.set(number, None);
        self.waiting.remove(&number)
    }

    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.next()
    }

    /// Removes one request whose deadline has passed.
    pub fn pop_overdue(&mut self, now: u64) -> Option<Purpose> {
        let number = self.deadlines.pop_due(now)?;
        self.waiting.remove(&number)
    }

    /// Removes all requests: the connection is lost.
    pub fn take_all(&mut self) -> impl Iterator<Item = Purpose> + use<> {
        self.deadlines.clear();
        std::mem::take(&mut self.waiting).into_values()
    }

    /// Whether no request but heartbeats is in flight.
    pub fn is_empty(&self) -> bool {
        self.waiting.values().all(|purpose| *purpose == Purpose::Heartbeat)
    }

    /// How many requests of the caller are in flight.
    pub fn from_caller(&self) -> usize {
        self.waiting.values().filter(|purpose| purpose.of_caller().is_some()).count()
    }
}
