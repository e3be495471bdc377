//! The messages between nodes: plain data. Everything on the bus is a hint that may be lost, late or out of order; the
//! database is authoritative. A hint comes from a live node of this deployment, at most once: the bus checks that before
//! logic sees it.

use crate::attempt::Attempt;
use crate::contract::node::End;
use crate::contract::{Epoch, Ticket};
use std::sync::Arc;
use wire::message::Push as MessagePush;
use wire::timeline::Push as TimelinePush;
use wire::{ConversationId, ConversationKind, Push, UnixMillis, UserId};

/// Where something is published.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Subscribed to by every node on which the user is connected.
    User(UserId),
    /// Subscribed to by every node on which a member of the group is connected.
    Group(ConversationId),
    /// Subscribed to by one run of a node, by its name.
    Node(Arc<str>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Hint {
    /// A push for the channel's user. A message is for all members of its conversation, and a TYPING on a group's channel
    /// for all but who types.
    Push { push: Push },
    /// A session on the channel's node has ended.
    Kick {
        user: UserId,
        epoch: Epoch,
        /// The device name given by the login that ended it.
        device: Option<Box<str>>,
    },
    /// The publishing node has begun a session of a user who has one on the channel's node.
    Joined { user: UserId },
    /// The channel's user has become a member of a group by this entry. The user's sessions on other nodes learn it.
    Entered { entry: End },
    /// The channel's user is no member of a group any more by this entry. The user's sessions on other nodes learn it, also
    /// those that do not hear the group.
    Left { entry: End },
    /// Publications for the channel's user may be missing: the publishing node did not know that the user has sessions on
    /// other nodes. These sessions read their lists again.
    Missed,
    /// A password was checked on another node. Every node counts the attempts on all nodes.
    PasswordTried { attempt: Attempt, is_right: bool },
}

impl Channel {
    /// Whether this channel may carry this hint. Only a node's own server tells its clients about their sessions and
    /// where to connect, so no channel carries such pushes.
    #[must_use]
    pub fn carries(&self, hint: &Hint) -> bool {
        match (self, hint) {
            (Channel::User(_), Hint::Push { push, .. }) => match push {
                Push::Message(MessagePush::New(message)) => message.kind == ConversationKind::Direct,
                Push::Presence(_) | Push::Contact(_) | Push::Timeline(_) => true,
                Push::Session(_) | Push::Error(_) => false,
            },
            (Channel::Group(group), Hint::Push { push, .. }) => match push {
                Push::Message(MessagePush::New(message)) => {
                    message.kind == ConversationKind::Group && message.conversation == *group
                }
                Push::Timeline(TimelinePush::Typing(typist)) => typist.conversation == *group,
                Push::Presence(_)
                | Push::Contact(_)
                | Push::Timeline(
                    TimelinePush::ReadReceipt(_) | TimelinePush::Delivered(_) | TimelinePush::Conversation(_),
                )
                | Push::Session(_)
                | Push::Error(_) => false,
            },
            (Channel::Node(_), Hint::Kick { .. } | Hint::Joined { .. } | Hint::PasswordTried { .. }) => true,
            (Channel::User(_), Hint::Entered { .. } | Hint::Left { .. } | Hint::Missed) => true,
            (
                Channel::Node(_) | Channel::Group(_),
                Hint::Entered { .. } | Hint::Left { .. } | Hint::Missed,
            )
            | (Channel::Node(_), Hint::Push { .. })
            | (
                Channel::User(_) | Channel::Group(_),
                Hint::Kick { .. } | Hint::Joined { .. } | Hint::PasswordTried { .. },
            ) => false,
        }
    }
}

/// An order from logic to the bus. While the bus is down, orders are dropped; orders with a ticket are still answered.
#[derive(Clone, Debug, PartialEq)]
pub enum BusOrder {
    /// Publishes to every other node that subscribes to the channel.
    Publish { channel: Channel, hint: Hint },
    /// Subscribes to these channels, and again after each reconnect. Answer: [`BusInput::Subscribed`].
    Subscribe { ticket: Ticket, channels: Vec<Channel> },
    /// Unsubscribes from these channels.
    Unsubscribe(Vec<Channel>),
    /// Takes the lock on a user's logins for [`LOCK_MS`], if no live node holds it. Answer: [`BusInput::Locked`].
    Lock {
        /// Also identifies the owner of the lock.
        ticket: Ticket,
        user: UserId,
    },
    /// Extends a lock by [`LOCK_MS`]; `ticket` is that of the [`BusOrder::Lock`].
    Renew { ticket: Ticket, user: UserId },
    /// Releases a lock if this owner still holds it; `ticket` is that of the [`BusOrder::Lock`].
    Unlock { ticket: Ticket, user: UserId },
    /// Renews this node's lease for [`LEASE_MS`]. Answer: [`BusInput::Nodes`].
    Lease,
    /// Reports this node's load; valid for [`REPORT_MS`].
    Report(Load),
    /// Enters these users into the online set, which is for others: the server does not read it.
    Seen { users: Vec<UserId>, at: UnixMillis },
    /// Removes a user from the online set.
    Unseen(UserId),
    /// Withdraws this node's report, so that no more clients are sent to it.
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
    /// The node's name and a suffix unique to the run.
    pub run: Box<str>,
    /// Whether its lease is valid.
    pub alive: bool,
    /// Its last report, while that is valid.
    pub report: Option<Report>,
}

/// The address and load that a node reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub node: Box<str>,
    /// Where its clients connect, `host:port`.
    pub address: Box<str>,
    pub load: Load,
    /// CPU in use, percent of all its processors.
    pub cpu: u64,
}

/// An input from the bus to logic.
#[derive(Clone, Debug, PartialEq)]
pub enum BusInput {
    /// Another node published something.
    Hint { channel: Channel, hint: Hint },
    /// The channels of this order are subscribed to, or the bus is down.
    Subscribed(Ticket),
    /// The answer to [`BusOrder::Lock`].
    Locked {
        ticket: Ticket,
        user: UserId,
        /// Whether the lock is now held; `false` also if this is unknown.
        held: bool,
    },
    /// The bus is connected and every subscription is active again. Hints may have been lost.
    Up,
    /// The bus is down.
    Down,
    /// Hints from other nodes were lost.
    Gap,
    /// Publications of this node may be lost, even if it receives those of others.
    Unheard,
    /// Everything published before `at` has been delivered.
    Heard {
        /// Monotonic ms.
        at: u64,
    },
    /// All nodes that have a lease or a report, this one included.
    Nodes(Vec<NodeState>),
}
