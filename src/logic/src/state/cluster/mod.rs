//! One interface for a single node and for a node of a cluster. A single node needs no cluster state and no extra work:
//! no claims, no rosters, no further reads.
//!
//! Rules call the methods of [`Cluster`], which do nothing on a single node. Only `cluster/` accesses the membership
//! itself.

pub(crate) mod channels;
pub(crate) mod delivery_lines;
pub(crate) mod loads;
pub(crate) mod member_list;
pub(crate) mod reconcile;

use crate::bus::{BusOrder, Channel, Hint, NodeState};
use crate::contract::Ticket;
use crate::contract::presence::Read;
use crate::effect::Effects;
use channels::Channels;
use delivery_lines::DeliveryLines;
use loads::Loads;
use reconcile::Reconcile;
use std::sync::Arc;
use wire::{ConversationId, Push, Seq, UserId};

#[derive(Debug)]
pub(crate) enum Cluster {
    /// A single node with a database of its own.
    Solo,
    /// A node that shares its database with others.
    Joined(Box<Membership>),
}

/// The additional state of a node of a cluster.
#[derive(Debug)]
pub(crate) struct Membership {
    /// The name of this run of this node.
    pub run: Arc<str>,
    pub lines: DeliveryLines,
    pub channels: Channels,
    pub locks: Vec<Lock>,
    pub reconcile: Reconcile,
    pub loads: Loads,
    /// Whether the bus is connected.
    pub has_bus: bool,
}

/// A lock on a user's logins that this node holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lock {
    pub ticket: Ticket,
    pub user: UserId,
    /// Monotonic ms.
    pub renew_at: u64,
}

impl Membership {
    fn new(run: Arc<str>, seed: u64) -> Membership {
        Membership {
            run,
            lines: DeliveryLines::new(seed),
            channels: Channels::new(seed),
            locks: Vec::new(),
            reconcile: Reconcile::default(),
            loads: Loads::new(seed),
            has_bus: false,
        }
    }

    fn next_timeout(&self) -> u64 {
        let locks = self.locks.iter().map(|lock| lock.renew_at);
        let dues = [self.lines.next(), self.channels.next()].into_iter().flatten();
        locks.chain(dues).chain([self.reconcile.next(), self.loads.next()]).min().unwrap_or(0)
    }
}

impl Cluster {
    /// `run`: the name of this run of this node; `None` on a single node.
    pub fn new(run: Option<Arc<str>>, seed: u64) -> Cluster {
        match run {
            Some(run) => Cluster::Joined(Box::new(Membership::new(run, seed))),
            None => Cluster::Solo,
        }
    }

    /// The cluster state; `None` on a single node.
    pub fn membership(&mut self) -> Option<&mut Membership> {
        match self {
            Cluster::Solo => None,
            Cluster::Joined(membership) => Some(membership),
        }
    }

    /// When something is due, monotonic ms.
    pub fn next_timeout(&self) -> Option<u64> {
        match self {
            Cluster::Solo => None,
            Cluster::Joined(membership) => Some(membership.next_timeout()),
        }
    }

    /// Whether this node may push to its sessions. An isolated node cannot tell whether they were taken over.
    pub fn may_push(&mut self, now: u64) -> bool {
        match self {
            Cluster::Solo => true,
            Cluster::Joined(membership) => membership.reconcile.may_push(now),
        }
    }

    /// Publishes a push to a user who has no session here.
    pub fn publish(&self, user: UserId, push: Push, effects: &mut Effects) {
        if let Cluster::Joined(_) = self {
            let (channel, hint) = (Channel::User(user), Hint::Push { push });
            effects.bus.push(BusOrder::Publish { channel, hint });
        }
    }

    /// Tells the sessions of a user on other nodes to read their lists again.
    pub fn publish_missed(&self, user: UserId, effects: &mut Effects) {
        if let Cluster::Joined(_) = self {
            effects.bus.push(BusOrder::Publish { channel: Channel::User(user), hint: Hint::Missed });
        }
    }

    /// Publishes a push to the members of a group who have sessions on other nodes.
    pub fn publish_to_group(&self, group: ConversationId, push: Push, effects: &mut Effects) {
        if let Cluster::Joined(_) = self {
            let (channel, hint) = (Channel::Group(group), Hint::Push { push });
            effects.bus.push(BusOrder::Publish { channel, hint });
        }
    }

    /// A read of which of these users are online on other nodes; `None` if there is nothing to read.
    pub fn online_elsewhere(&self, users: impl Iterator<Item = UserId>, grace: u64) -> Option<Read> {
        match self {
            Cluster::Solo => None,
            Cluster::Joined(_) => {
                let users: Vec<UserId> = users.collect();
                (!users.is_empty()).then_some(Read::Online { users, grace })
            }
        }
    }

    /// The name of this run of this node; `None` on a single node.
    pub fn run(&self) -> Option<&Arc<str>> {
        match self {
            Cluster::Solo => None,
            Cluster::Joined(membership) => Some(&membership.run),
        }
    }

    /// Whether the bus is connected.
    pub fn has_bus(&self) -> bool {
        match self {
            Cluster::Solo => false,
            Cluster::Joined(membership) => membership.has_bus,
        }
    }

    /// Sets a deadline for an answer of the bus, monotonic ms.
    pub fn set_bus_deadline(&mut self, ticket: Ticket, due: u64) {
        if let Cluster::Joined(membership) = self {
            membership.channels.set_deadline(ticket, due);
        }
    }

    /// Counts one more session that needs these channels. Returns those without a confirmed subscription.
    pub fn hold_channels(&mut self, channels: &[Channel]) -> Vec<Channel> {
        match self {
            Cluster::Solo => Vec::new(),
            Cluster::Joined(membership) => membership.channels.hold(channels),
        }
    }

    /// Counts one session less that needs these channels. Returns those that no session needs any more.
    pub fn release_channels(&mut self, channels: &[Channel]) -> Vec<Channel> {
        match self {
            Cluster::Solo => Vec::new(),
            Cluster::Joined(membership) => membership.channels.release(channels),
        }
    }

    /// Notes that the bus was asked to subscribe to these channels.
    pub fn order_channels(&mut self, channels: &[Channel], ticket: Ticket) {
        if let Cluster::Joined(membership) = self {
            membership.channels.order(channels, ticket);
        }
    }

    /// Notes that the bus has subscribed to these channels.
    pub fn confirm_channels(&mut self, channels: &[Channel], ticket: Ticket) {
        if let Cluster::Joined(membership) = self {
            membership.channels.confirm(channels, ticket);
        }
    }

    /// Notes a lock that this node holds.
    pub fn add_lock(&mut self, lock: Lock) {
        if let Cluster::Joined(membership) = self {
            membership.locks.push(lock);
        }
    }

    /// Removes a lock that this node releases.
    pub fn remove_lock(&mut self, ticket: Ticket) -> Option<Lock> {
        let locks = &mut self.membership()?.locks;
        let at = locks.iter().position(|lock| lock.ticket == ticket)?;
        Some(locks.swap_remove(at))
    }

    /// Whether the node subscribes to the groups of its sessions.
    pub fn listens_to_groups(&self) -> bool {
        matches!(self, Cluster::Joined(_))
    }

    /// Whether an acknowledged track, pushed up to `pushed`, must be kept. A delivery line that restarts relies on the
    /// stored cursor, so a cursor that is not stored yet needs the track. A line that has settled less than `pushed`
    /// would push the difference again.
    pub fn keeps_track(
        &self,
        conversation: ConversationId,
        pushed: Seq,
        is_cursor_moving: impl FnOnce() -> bool,
    ) -> bool {
        match self {
            Cluster::Solo => false,
            Cluster::Joined(membership) => {
                membership.lines.is_below(conversation, pushed) || is_cursor_moving()
            }
        }
    }

    pub fn sweep(&mut self, now: u64) {
        if let Cluster::Joined(membership) = self {
            membership.lines.sweep(now);
        }
    }

    /// The runs of the other nodes that are alive, as far as the bus knows; none on a single node.
    pub fn other_runs(&self) -> Vec<Arc<str>> {
        let Cluster::Joined(membership) = self else { return Vec::new() };
        let others = membership.loads.nodes.iter().filter(|node| node.alive && *node.run != *membership.run);
        others.map(|node| Arc::from(&*node.run)).collect()
    }

    /// The nodes that the bus lists; empty on a single node.
    pub fn nodes(&self) -> &[NodeState] {
        match self {
            Cluster::Solo => &[],
            Cluster::Joined(membership) => &membership.loads.nodes,
        }
    }

    /// Announces that this node accepts no more clients.
    pub fn leave(&self, effects: &mut Effects) {
        if let Cluster::Joined(_) = self {
            effects.bus.push(BusOrder::Leave);
        }
    }
}
