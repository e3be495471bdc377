//! What nodes tell one another: plain data. Everything on the bus is a hint that may be lost, late or out of order; the
//! database is the truth.

use crate::contract::{Epoch, Ticket};
use std::sync::Arc;
use wire::{ConversationId, Push, UserId};

/// Where something is published.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// For a user: every node on which that user is connected listens.
    User(UserId),
    /// For the members of a group: every node on which one is connected listens.
    Group(ConversationId),
    /// For one run of a node, by its name.
    Node(Arc<str>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// For the channel's user, or, if it is a message, for the members of its conversation.
    Push {
        push: Push,
        /// Of the conversation of a message, see [`contract::message::Written::Appended`]; else 0.
        member_version: u32,
    },
    /// A session on that node has ended: the account was claimed for a newer one.
    Kick {
        user: UserId,
        /// The number of the newer one.
        epoch: Epoch,
        /// What the newer login called its device.
        device: Option<Box<str>>,
    },
}

/// What logic wants of the bus. While it is away, orders are dropped, and those with a ticket are answered all the same.
#[derive(Clone, Debug, PartialEq)]
pub enum BusOrder {
    /// Tell all who listen, this node not.
    Publish { channel: Channel, news: News },
    /// Listen, also after the bus was away. Answer: [`BusInput::Subscribed`].
    Subscribe { ticket: Ticket, channels: Vec<Channel> },
    /// Listen no more.
    Unsubscribe(Vec<Channel>),
    /// Take the lock on a user's logins if it is free, for [`LOCK_MS`]. Answer: [`BusInput::Locked`].
    Lock {
        /// For the answer; also says whose lock it is.
        ticket: Ticket,
        user: UserId,
    },
    /// Hold a lock for another [`LOCK_MS`].
    Renew {
        /// As it was taken.
        ticket: Ticket,
        user: UserId,
    },
    /// Give a lock back, if it is still this one's.
    Unlock {
        /// As it was taken.
        ticket: Ticket,
        user: UserId,
    },
    /// This node lives: its lease lasts [`LEASE_MS`] from now. Answer: [`BusInput::Nodes`].
    Lease,
    /// How busy this node is; kept for [`REPORT_MS`].
    Report(Load),
    /// This node takes no more clients: its report is withdrawn.
    Leave,
}

/// How long a lock lasts, milliseconds.
pub const LOCK_MS: u64 = 3_000;
/// How long a node's lease lasts, milliseconds.
pub const LEASE_MS: u64 = 4_000;
/// How long a report counts, milliseconds: three of them may be missed, which come every 5 to 15 s.
pub const REPORT_MS: u64 = 45_000;

/// How busy a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub connections: u64,
    /// Messages stored each second.
    pub messages_per_second: u64,
}

/// A run of a node, as the bus knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    /// Its name with what tells its runs apart.
    pub run: Box<str>,
    /// Its lease has not ended.
    pub alive: bool,
    /// Its last report, if that still counts.
    pub report: Option<Report>,
}

/// What a node reports of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub node: Box<str>,
    /// Where its clients connect, `host:port`.
    pub address: Box<str>,
    /// How busy it is.
    pub load: Load,
    /// Processor time, percent of all its processors.
    pub cpu: u64,
}

/// What the bus tells logic.
#[derive(Clone, Debug, PartialEq)]
pub enum BusInput {
    /// Another node published something.
    News { channel: Channel, news: News },
    /// The channels of that ticket are listened to, or the bus is away.
    Subscribed(Ticket),
    /// Whether the lock was free; `false` also where nobody knows.
    Locked {
        /// As it was asked.
        ticket: Ticket,
        user: UserId,
        /// Whether it is taken now.
        held: bool,
    },
    /// The bus is there, and everything that was subscribed to is listened to again. Something may have been missed.
    Up,
    /// The bus is away.
    Down,
    /// Something was missed.
    Gap,
    /// Something that this node published may not have been heard, though it may hear the others.
    Unheard,
    /// All that was published before `at`, monotonic ms, has been told.
    Heard {
        /// When it was there at the latest.
        at: u64,
    },
    /// All nodes that have a lease or a report, this one too.
    Nodes(Vec<NodeState>),
}
