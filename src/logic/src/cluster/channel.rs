//! Which channels this node listens to: a user's while connected here, a group's while one of its members is.

use super::entry;
use crate::Now;
use crate::bus::{BusOrder, Channel};
use crate::contract::Ticket;
use crate::effect::Effects;
use crate::limits::BUS_MS;
use crate::map::{Map, map};
use crate::parked::{Asked, Stage};
use crate::state::State;
use std::collections::VecDeque;

/// All subscriptions, and who waits for one.
#[derive(Debug)]
pub(crate) struct Channels {
    held: Map<Channel, Held>,
    /// Tickets with the bus, the first one due first. One that is not answered in time goes on without.
    waiting: VecDeque<(u64, Ticket)>,
}

#[derive(Debug, Default)]
struct Held {
    /// How many sessions need it.
    count: u32,
    /// The latest order to listen to it, until it is confirmed.
    asked: Option<Ticket>,
    confirmed: bool,
}

impl Channels {
    pub fn new(seed: u64) -> Channels {
        Channels { held: map(seed), waiting: VecDeque::new() }
    }

    /// When [`timeout`] has something to do.
    pub fn next(&self) -> Option<u64> {
        self.waiting.front().map(|(due, _)| *due)
    }

    /// Notes that `ticket` is with the bus.
    pub fn wait(&mut self, ticket: Ticket, due: u64) {
        let at = self.waiting.partition_point(|(other, _)| *other <= due);
        self.waiting.insert(at, (due, ticket));
    }

    /// Needs some channels once more; gives those that are not known to be listened to.
    fn hold(&mut self, channels: &[Channel]) -> Vec<Channel> {
        let mut missing = Vec::new();
        for channel in channels {
            let held = self.held.entry(channel.clone()).or_default();
            held.count += 1;
            if !held.confirmed {
                missing.push(channel.clone());
            }
        }
        missing
    }

    /// Needs some channels once less; gives those that nobody needs any more.
    fn drop(&mut self, channels: &[Channel]) -> Vec<Channel> {
        let mut needless = Vec::new();
        for channel in channels {
            let Some(held) = self.held.get_mut(channel) else { continue };
            held.count -= 1;
            if held.count == 0 {
                self.held.remove(channel);
                needless.push(channel.clone());
            }
        }
        needless
    }

    fn ask(&mut self, channels: &[Channel], ticket: Ticket) {
        for channel in channels {
            if let Some(held) = self.held.get_mut(channel) {
                held.asked = Some(ticket);
            }
        }
    }

    /// An order that was overtaken by another one (listen, do not, listen) confirms nothing.
    fn confirm(&mut self, channels: &[Channel], ticket: Ticket) {
        for channel in channels {
            if let Some(held) = self.held.get_mut(channel).filter(|held| held.asked == Some(ticket)) {
                held.confirmed = true;
            }
        }
    }
}

/// What goes on once its channels are listened to.
#[derive(Debug)]
pub(crate) struct Listening {
    pub channels: Vec<Channel>,
    pub then: Stage,
}

/// Listens to some channels for a session, then goes on with `then`.
pub(crate) fn hold(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    channels: &[Channel],
    then: Stage,
    fx: &mut Effects,
) {
    let Some(cluster) = &mut state.cluster else { return };
    let missing = cluster.channels.hold(channels);
    if missing.is_empty() {
        return entry::listening(state, now, asked, then, fx);
    }
    let session = then.session();
    let listening = Box::new(Listening { channels: missing.clone(), then });
    let ticket = state.parking.park(asked, Stage::Listening(listening), now.monotonic);
    if let Some(session) = session {
        state.joins_by(session, ticket);
    }
    let Some(cluster) = &mut state.cluster else { return };
    cluster.channels.ask(&missing, ticket);
    cluster.channels.wait(ticket, now.monotonic + BUS_MS);
    fx.bus.push(BusOrder::Subscribe { ticket, channels: missing });
}

/// A session needs some channels no more.
pub(crate) fn drop(state: &mut State, channels: &[Channel], fx: &mut Effects) {
    let Some(cluster) = &mut state.cluster else { return };
    let needless = cluster.channels.drop(channels);
    if !needless.is_empty() {
        fx.bus.push(BusOrder::Unsubscribe(needless));
    }
}

/// The bus has answered: the channels are listened to, or it is away, and then the database is asked each second.
pub(crate) fn confirmed(state: &mut State, now: Now, ticket: Ticket, fx: &mut Effects) {
    let Some(parked) = state.parking.take(ticket) else { return };
    let Stage::Listening(listening) = parked.stage else { return };
    let Listening { channels, then } = *listening;
    if let Some(cluster) = &mut state.cluster {
        cluster.channels.confirm(&channels, ticket);
    }
    entry::listening(state, now, parked.asked, then, fx);
}

/// Goes on where the bus has not answered in time: the database is the truth, and is looked at all the same.
pub(crate) fn timeout(state: &mut State, now: Now, fx: &mut Effects) {
    while let Some(cluster) = &mut state.cluster
        && cluster.channels.waiting.front().is_some_and(|(due, _)| *due <= now.monotonic)
        && let Some((_, ticket)) = cluster.channels.waiting.pop_front()
    {
        let Some(parked) = state.parking.take(ticket) else { continue };
        match parked.stage {
            Stage::Listening(listening) => entry::listening(state, now, parked.asked, listening.then, fx),
            Stage::Entering(entering) => entry::overdue(state, now, parked.asked, *entering, fx),
            other => debug_assert!(false, "nothing else waits for the bus: {other:?}"),
        }
    }
}
