//! What logic wants done. Collected over a turn, carried out by the shells around it after.

use crate::bus::BusOrder;
use crate::conn::ConnId;
use crate::contract::{Read, Ticket, Write};
use std::sync::Arc;
use wire::legacy::Welcome;
use wire::{Message, Push, Reply, UserId};

/// Everything that one turn of logic wants done.
#[derive(Debug)]
pub struct Effects {
    /// Orders for each sub-reactor, to be carried out in order.
    pub reactors: Vec<Vec<Order>>,
    /// Changes to storage, to be carried out in order.
    pub writes: Vec<(Ticket, Write)>,
    /// Questions to storage.
    pub reads: Vec<(Ticket, Read)>,
    /// Work for the password thread.
    pub passwords: Vec<(Ticket, PasswordJob)>,
    /// What other nodes are to know; nothing where there are none.
    pub bus: Vec<BusOrder>,
}

impl Effects {
    /// Nothing to do, for a server with this many sub-reactors.
    pub fn new(reactors: usize) -> Effects {
        Effects {
            reactors: (0..reactors).map(|_| Vec::new()).collect(),
            writes: Vec::new(),
            reads: Vec::new(),
            passwords: Vec::new(),
            bus: Vec::new(),
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.reactors.iter().all(Vec::is_empty)
            && self.writes.is_empty()
            && self.reads.is_empty()
            && self.passwords.is_empty()
            && self.bus.is_empty()
    }

    /// Adds an order for the sub-reactor that owns `conn`.
    pub fn order(&mut self, conn: ConnId, order: Order) {
        self.reactors[conn.reactor()].push(order);
    }
}

/// What a sub-reactor is to do. Orders about a connection that is gone are dropped there.
#[derive(Debug)]
pub enum Order {
    /// Answer a request. Comes once for each [`crate::Input::Request`], also for number 0, which writes nothing: it
    /// says that the request no longer counts against its connection. (ACK and READ with number 0 have no answer.)
    Reply {
        conn: ConnId,
        /// The request's type.
        kind: u16,
        /// The request's number.
        request: u32,
        reply: Reply,
    },
    /// Tell a legacy client that it is logged in, before [`Order::Reply`] says that its request is done. As many of the
    /// missed messages as fit come with it, the others follow it at once.
    Welcome {
        conn: ConnId,
        /// Everything that may fit.
        welcome: Box<Welcome>,
    },
    /// Push to one connection.
    Push { conn: ConnId, push: Push },
    /// Push one message to many: encoded once, in the order of orders.
    Deliver { message: Arc<Message>, to: Vec<ConnId> },
    /// The connection is this user's from here on: larger frames, heartbeats with this id, silence is probed.
    LoggedIn { conn: ConnId, user: UserId },
    /// The connection is nobody's again: back to the limits before login.
    LoggedOut { conn: ConnId },
    /// Say [`crate::Input::Drained`] as soon as nothing is left to be written to it.
    NotifyDrained { conn: ConnId },
    /// Write what is there, then close.
    Close {
        conn: ConnId,
        /// Why, for the log.
        reason: CloseReason,
    },
}

/// Why logic ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The account logged in elsewhere.
    Kicked,
    /// The server stops.
    Draining,
    /// A message of a legacy client, which cannot be told so, could not be stored for too long.
    Unstored,
}

/// Work for the password thread.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordJob {
    /// Is this the password? Without a hash (no such account) the same time is spent and the answer is no.
    Verify {
        /// The PHC string.
        hash: Option<Box<str>>,
        /// What the client sent.
        password: Box<str>,
    },
    /// Hash a new password.
    Hash {
        /// What the client sent.
        password: Box<str>,
    },
}

impl std::fmt::Debug for PasswordJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            PasswordJob::Verify { .. } => "Verify",
            PasswordJob::Hash { .. } => "Hash",
        })
    }
}

/// What came of a [`PasswordJob`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordResult {
    /// Whether it is the password.
    Verified(bool),
    /// The hash, a PHC string.
    Hashed(Box<str>),
    /// A fault of this machine (no memory); the log has it.
    Failed,
}
