//! Several nodes over one database, joined by a bus that may lose everything.
//!
//! ```text
//!            bus: news, kicks, leases (hints)                    database: sessions, timelines (the truth)
//!                   |                                                  |
//!   line    delivers a conversation in order, asks the timeline for what a hint left out
//!   entry   takes a session over: listens, claims, listens to the groups, then reads where it is
//!   watch   asks the database what the bus may not have said, and trusts neither when both are silent
//!   place   says how busy this node is, and knows how busy the others are
//! ```
//!
//! What bounds the delay of a message to another node: nothing lost, the bus itself. A hint lost with a later one after
//! it, [`HOLE_MS`](crate::limits::HOLE_MS) and a read. Bus away, or a node died between commit and publication, or
//! the subscriber saw a gap: a look at the database each second. A node that cannot publish says so in the database, where
//! the others look each second. Anything else, [`SAFETY_MS`](crate::limits::SAFETY_MS).

pub(crate) mod channel;
pub(crate) mod entry;
pub(crate) mod line;
pub(crate) mod place;
pub(crate) mod watch;

use crate::bus::{BusInput, Channel, News};
use crate::contract::{self, Epoch, Fence, Write};
use crate::effect::Effects;
use crate::parked::Stage;
use crate::state::State;
use crate::{Now, delivery, login};
use channel::Channels;
use line::Lines;
use place::Placement;
use std::sync::Arc;
use watch::Watch;
use wire::message;
use wire::{Push, UserId};

/// What a node of a cluster knows beyond a node alone.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// This run of this node.
    pub run: Arc<str>,
    pub lines: Lines,
    pub channels: Channels,
    pub locks: Vec<entry::Lock>,
    pub watch: Watch,
    pub placement: Placement,
    /// Whether the bus is there.
    pub bus: bool,
}

impl Cluster {
    pub fn new(run: Arc<str>, seed: u64) -> Cluster {
        Cluster {
            run,
            lines: Lines::new(seed),
            channels: Channels::new(seed),
            locks: Vec::new(),
            watch: Watch::default(),
            placement: Placement::new(seed),
            bus: false,
        }
    }

    /// When [`timeout`] has something to do.
    pub fn next_timeout(&self) -> u64 {
        let locks = self.locks.iter().map(|lock| lock.renew_at);
        let dues = [self.lines.next(), self.channels.next()].into_iter().flatten();
        locks.chain(dues).chain([self.watch.next(), self.placement.next()]).min().unwrap_or(0)
    }
}

/// Does what has become due.
pub(crate) fn timeout(state: &mut State, now: Now, fx: &mut Effects) {
    channel::timeout(state, now, fx);
    entry::renew(state, now, fx);
    line::timeout(state, now, fx);
    watch::timeout(state, now, fx);
    place::timeout(state, now, fx);
}

/// Something came from the bus.
pub(crate) fn handle(state: &mut State, now: Now, input: BusInput, fx: &mut Effects) {
    let Some(cluster) = &mut state.cluster else { return };
    match input {
        BusInput::News { channel, news } => told(state, now, channel, news, fx),
        BusInput::Subscribed(ticket) => channel::confirmed(state, now, ticket, fx),
        BusInput::Locked { ticket, user, held } => entry::locked(state, now, ticket, user, held, fx),
        BusInput::Up => {
            cluster.bus = true;
            watch::missed(state, now);
            watch::changed(state, fx);
        }
        BusInput::Gap => {
            watch::missed(state, now);
            watch::changed(state, fx);
        }
        BusInput::Down => {
            cluster.bus = false;
            watch::missed(state, now);
        }
        BusInput::Unheard => watch::unheard(state, now),
        BusInput::Heard { at } => watch::heard(state, now, at, fx),
        BusInput::Nodes(nodes) => place::known(state, now, nodes),
    }
}

fn told(state: &mut State, now: Now, channel: Channel, news: News, fx: &mut Effects) {
    match (channel, news) {
        (
            Channel::User(user),
            News::Push { push: Push::Message(message::Push::New(message)), member_version },
        ) => {
            // A direct chat has two members: who sent it and whose channel this is.
            let mut members = [user, message.from];
            members.sort_unstable();
            let members = Some(Arc::from(members));
            line::heard(state, now, line::Arrival { message, members, member_version }, fx);
        }
        (
            Channel::Group(_),
            News::Push { push: Push::Message(message::Push::New(message)), member_version },
        ) => {
            line::heard(state, now, line::Arrival { message, members: None, member_version }, fx);
        }
        (Channel::User(user), News::Push { push, .. }) => {
            if state.sessions.is_online(user) {
                delivery::push(state, now, user, push, fx);
            }
        }
        (_, News::Kick { user, epoch, device }) => superseded(state, now, user, epoch, device, fx),
        (Channel::Group(_) | Channel::Node(_), News::Push { .. }) => {}
    }
}

/// A newer session of the account exists somewhere: what this node has of an older one ends.
pub(crate) fn superseded(
    state: &mut State,
    now: Now,
    user: UserId,
    epoch: Epoch,
    device: Option<Box<str>>,
    fx: &mut Effects,
) {
    if state.absences.epoch(user).is_some_and(|held| held < epoch) {
        state.absences.take(user);
    }
    if let Some(key) = state.sessions.of(user)
        && state.sessions.get(key).is_some_and(|session| session.epoch < epoch)
    {
        login::kick(state, now, key, device, fx);
    }
}

/// Tells the database that a session lost its connection or is over. Nobody waits for it: what it does not get to know
/// it derives from the node's silence.
pub(crate) fn release(
    state: &mut State,
    now: Now,
    (user, epoch): (UserId, Epoch),
    ended: bool,
    fx: &mut Effects,
) {
    if state.cluster.is_some() && epoch != Epoch::NONE {
        state.write(
            now,
            None,
            Stage::Nothing,
            Write::Session(contract::session::Write::Release { fence: Fence { user, epoch }, ended }),
            fx,
        );
    }
}
