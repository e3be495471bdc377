//! What nodes tell one another: plain data. Everything on the bus is a hint that may be lost, late or out of order; the
//! database is the truth.

use crate::contract::{Epoch, Ticket};
use std::sync::Arc;
use wire::{ConversationId, Push, UserId};

/// Where something is published.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Every node on which the user is connected listens.
    User(UserId),
    /// Every node on which a member of the group is connected listens.
    Group(ConversationId),
    /// One run of a node listens, by its name.
    Node(Arc<str>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// For the channel's user; a message is for the members of its conversation.
    Push {
        push: Push,
        /// Of a message's conversation, as in [`Written::Appended`]; 0 for any other push.
        ///
        /// [`Written::Appended`]: crate::contract::message::Written::Appended
        member_version: u32,
    },
    /// A session on the channel's node has ended: a newer login has claimed the account.
    Kick {
        user: UserId,
        /// The epoch of the newer session.
        epoch: Epoch,
        /// What the newer login calls its device.
        device: Option<Box<str>>,
    },
}

/// What logic orders of the bus. While the bus is away, orders are dropped; those with a ticket are answered all the
/// same.
#[derive(Clone, Debug, PartialEq)]
pub enum BusOrder {
    /// Tells every node that listens to the channel, except this one.
    Publish { channel: Channel, news: News },
    /// Listens, and again after the bus was away. Answer: [`BusInput::Subscribed`].
    Subscribe { ticket: Ticket, channels: Vec<Channel> },
    /// Stops listening to these channels.
    Unsubscribe(Vec<Channel>),
    /// Takes the lock on a user's logins for [`LOCK_MS`], if it is free. Answer: [`BusInput::Locked`].
    Lock {
        /// Also identifies the lock's owner.
        ticket: Ticket,
        user: UserId,
    },
    /// Holds a lock for another [`LOCK_MS`]; `ticket` as it was taken.
    Renew { ticket: Ticket, user: UserId },
    /// Returns a lock if this owner still holds it; `ticket` as it was taken.
    Unlock { ticket: Ticket, user: UserId },
    /// This node lives: its lease lasts [`LEASE_MS`] from now. Answer: [`BusInput::Nodes`].
    Lease,
    /// Reports how busy this node is; kept for [`REPORT_MS`].
    Report(Load),
    /// This node takes no more clients: its report is withdrawn.
    Leave,
}

/// How long a lock lasts, milliseconds.
pub const LOCK_MS: u64 = 3_000;
/// How long a node's lease lasts, milliseconds.
pub const LEASE_MS: u64 = 4_000;
/// How long a report is valid, milliseconds. Reports come every 5 to 15 s, so three may be missed.
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
    /// The node's name and what tells its runs apart.
    pub run: Box<str>,
    /// Whether its lease is valid.
    pub alive: bool,
    /// Its last report, while that is valid.
    pub report: Option<Report>,
}

/// What a node reports about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub node: Box<str>,
    /// Where its clients connect, `host:port`.
    pub address: Box<str>,
    pub load: Load,
    /// CPU in use, percent of all its processors.
    pub cpu: u64,
}

/// What the bus tells logic.
#[derive(Clone, Debug, PartialEq)]
pub enum BusInput {
    /// Another node published something.
    News { channel: Channel, news: News },
    /// The channels of that order are listened to, or the bus is away.
    Subscribed(Ticket),
    /// The answer to [`BusOrder::Lock`].
    Locked {
        ticket: Ticket,
        user: UserId,
        /// Whether the lock is held now; `false` also if that is unknown.
        held: bool,
    },
    /// The bus is connected, and every subscription is in force again. Something may be lost.
    Up,
    /// The bus is away.
    Down,
    /// Something was lost.
    Gap,
    /// Something that this node published may be lost, though it may hear the others.
    Unheard,
    /// Everything published before `at` has been delivered.
    Heard {
        /// Monotonic ms.
        at: u64,
    },
    /// All nodes that have a lease or a report, this one included.
    Nodes(Vec<NodeState>),
}
