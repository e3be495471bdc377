//! Pending requests: one table of everything that waits for storage, the password thread or the bus.
//!
//! [`Pending`] has a variant for each noun, and each noun's own `Pending` a variant for each step that waits. An entry
//! holds the data that its continuation needs; the rules above decide what to do with it.

pub(crate) mod account;
pub(crate) mod change;
pub(crate) mod contact;
pub(crate) mod group;
pub(crate) mod message;
pub(crate) mod node;
pub(crate) mod presence;
pub(crate) mod session;
pub(crate) mod sessionless;
pub(crate) mod timeline;

use super::reply_to::ReplyTo;
use super::sessions::SessionRef;
use crate::attempt::Attempt;
use crate::contract::Ticket;
use crate::limits::ANSWER_MS;
use slab::Slab;

/// The step that an answer continues.
#[derive(Debug)]
pub(crate) enum Pending {
    Session(session::Pending),
    Sessionless(sessionless::Pending),
    Account(account::Pending),
    Contact(contact::Pending),
    Group(group::Pending),
    Message(message::Pending),
    Change(change::Pending),
    Timeline(timeline::Pending),
    Presence(presence::Pending),
    Node(node::Pending),
    /// The answer is ignored.
    Nothing,
}

macro_rules! of_nouns {
    ($($Noun:ident($noun:ident),)*) => {
        $(
            impl From<$noun::Pending> for Pending {
                fn from(pending: $noun::Pending) -> Pending {
                    Pending::$Noun(pending)
                }
            }
        )*
    };
}

of_nouns! {
    Session(session),
    Sessionless(sessionless),
    Account(account),
    Contact(contact),
    Group(group),
    Message(message),
    Change(change),
    Timeline(timeline),
    Presence(presence),
    Node(node),
}

/// What to do about a request that has waited too long.
#[derive(Debug)]
pub(crate) enum Overdue {
    Session(session::Overdue),
    Message(message::Overdue),
    /// Answer it with UNAVAILABLE.
    Other,
}

impl Pending {
    /// The session whose login this is a step of.
    pub fn login_session(&self) -> Option<SessionRef> {
        match self {
            Pending::Session(pending) => pending.login_session(),
            Pending::Node(node::Pending::Listening(listening)) => listening.then.login_session(),
            _ => None,
        }
    }

    /// The attempt to guess a password that it may be, while it waits for the password thread.
    pub fn attempt(&self) -> Option<&Attempt> {
        match self {
            Pending::Session(pending) => pending.attempt(),
            Pending::Account(pending) => pending.attempt(),
            _ => None,
        }
    }

    /// Whether it waits for the password thread.
    fn hashes_password(&self) -> bool {
        match self {
            Pending::Session(pending) => pending.hashes_password(),
            Pending::Account(pending) => pending.hashes_password(),
            _ => false,
        }
    }

    /// Milliseconds after which it is overdue; `None` for work of the password thread, whose queue is bounded instead.
    fn patience(&self) -> Option<u64> {
        match self {
            Pending::Message(pending) => Some(pending.patience()),
            other => (!other.hashes_password()).then_some(ANSWER_MS),
        }
    }

    fn overdue(&self) -> Overdue {
        match self {
            Pending::Message(pending) => Overdue::Message(pending.overdue()),
            other => other
                .login_session()
                .map_or(Overdue::Other, |session| Overdue::Session(session::Overdue::Login(session))),
        }
    }
}

#[derive(Debug)]
pub(crate) struct PendingRequest {
    pub reply_to: ReplyTo,
    pub pending: Pending,
    /// Monotonic ms.
    pub since: u64,
    serial: u32,
}

#[derive(Debug, Default)]
pub(crate) struct PendingRequests {
    slots: Slab<PendingRequest>,
    serial: u32,
    /// Appends in flight.
    pub appends: usize,
    /// Bytes of messages: of the appends in flight, and of those whose token is not known yet.
    pub message_bytes: usize,
    /// Whether a write of cursors is in flight.
    pub writes_cursors: bool,
}

impl PendingRequests {
    /// Adds an entry; its answer will carry the ticket.
    pub fn insert(&mut self, reply_to: ReplyTo, pending: Pending, now: u64) -> Ticket {
        self.serial = self.serial.wrapping_add(1);
        self.count(&pending, 1);
        let key = self.slots.insert(PendingRequest { reply_to, pending, since: now, serial: self.serial });
        Ticket(u64::from(self.serial) << 32 | key as u64)
    }

    pub fn get(&self, ticket: Ticket) -> Option<&PendingRequest> {
        let request = self.slots.get(ticket.0 as u32 as usize)?;
        (request.serial == (ticket.0 >> 32) as u32).then_some(request)
    }

    /// Removes and returns the entry of a ticket; `None` if it was removed before.
    pub fn take(&mut self, ticket: Ticket) -> Option<PendingRequest> {
        self.get(ticket)?;
        let request = self.slots.remove(ticket.0 as u32 as usize);
        self.count(&request.pending, -1);
        Some(request)
    }

    fn count(&mut self, pending: &Pending, by: isize) {
        match pending {
            Pending::Message(message::Pending::Append(append)) => {
                self.appends = self.appends.wrapping_add_signed(by);
                self.message_bytes = self.message_bytes.wrapping_add_signed(by * append.bytes as isize);
            }
            Pending::Sessionless(pending) => {
                self.message_bytes = self.message_bytes.wrapping_add_signed(by * pending.bytes() as isize);
            }
            Pending::Timeline(timeline::Pending::Cursors(_)) => self.writes_cursors = by > 0,
            _ => {}
        }
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether only the periodic reads and writes of a cluster node are pending.
    pub fn is_settled(&self) -> bool {
        let is_periodic =
            |request: &PendingRequest| matches!(&request.pending, Pending::Node(node) if node.is_periodic());
        self.slots.iter().all(|(_, request)| is_periodic(request))
    }

    /// Returns the requests that have waited too long, and sets their entries to answer nowhere. The entries stay: a
    /// message may still be stored, and a login may have a session, which the caller ends.
    pub fn take_overdue(&mut self, now: u64) -> Vec<(ReplyTo, Overdue)> {
        let mut overdue = Vec::new();
        for (_, request) in &mut self.slots {
            let Some(patience) = request.pending.patience() else { continue };
            if request.since + patience > now || request.reply_to.is_nowhere() {
                continue;
            }
            overdue.push((request.reply_to.take(), request.pending.overdue()));
        }
        overdue
    }
}

// Each append in flight has one.
const _: () = assert!(size_of::<PendingRequest>() <= 88);
