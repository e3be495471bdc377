//! Subscribing to bus channels on behalf of sessions. On a single node every step continues at once.

use crate::bus::{BusOrder, Channel};
use crate::contract::Ticket;
use crate::contract::node::End;
use crate::limits::BUS_MS;
use crate::state::pending::node::{Listener, Listening};
use crate::state::pending::{Pending, PendingRequest, node};
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::SessionRef;
use crate::turn::{FollowUp, Turn};
use wire::{ConversationId, UserId};

/// Subscribes to some channels for a session, then continues with `then`.
pub(crate) fn hold(turn: &mut Turn<'_>, reply_to: ReplyTo, channels: &[Channel], then: Listener) {
    let missing = turn.state.cluster.hold_channels(channels);
    subscribe(turn, reply_to, missing, then);
}

/// Continues with `then` once these channels, which are held, are subscribed to.
fn subscribe(turn: &mut Turn<'_>, reply_to: ReplyTo, missing: Vec<Channel>, then: Listener) {
    if missing.is_empty() {
        return turn.follow_ups.push_back(FollowUp::Resume(reply_to, then));
    }
    let session = then.login_session();
    let listening = Box::new(Listening { channels: missing.clone(), then });
    let pending = node::Pending::Listening(listening);
    let ticket = match session {
        Some(session) => turn.wait_in_login(reply_to, session, pending),
        None => turn.wait(reply_to, pending),
    };
    turn.state.cluster.order_channels(&missing, ticket);
    turn.state.cluster.set_bus_deadline(ticket, turn.now.monotonic + BUS_MS);
    turn.effects.bus.push(BusOrder::Subscribe { ticket, channels: missing });
}

/// Releases channels that a session no longer needs, and unsubscribes from those that no session needs.
pub(crate) fn release(turn: &mut Turn<'_>, channels: &[Channel]) {
    let unused = turn.state.cluster.release_channels(channels);
    if !unused.is_empty() {
        turn.effects.bus.push(BusOrder::Unsubscribe(unused));
    }
}

/// Releases all channels of a session that has ended.
pub(crate) fn release_all(turn: &mut Turn<'_>, user: UserId, groups: &[ConversationId]) {
    if turn.state.cluster.listens_to_groups() {
        let groups = groups.iter().map(|group| Channel::Group(*group));
        let channels: Vec<Channel> = groups.chain([Channel::User(user)]).collect();
        release(turn, &channels);
    }
}

/// Passes the subscription to a group's channel, which is held, on to a session until that ends. Returns `false` if it has
/// no need of it: it has ended, or has one.
pub(crate) fn keep(turn: &mut Turn<'_>, session: SessionRef, group: ConversationId) -> bool {
    if !turn.state.cluster.listens_to_groups() {
        return true;
    }
    let live = turn.state.sessions.get_mut(session).filter(|live| !live.groups.contains(&group));
    live.map(|live| live.groups.push(group)).is_some()
}

/// Subscribes to the channel of a group for all sessions of a new member; `entry`: the one that tells of it.
pub(crate) fn follow(turn: &mut Turn<'_>, user: UserId, entry: End) {
    let mut missing = None;
    for session in turn.state.sessions.keys_of(user) {
        if turn.state.cluster.listens_to_groups() && keep(turn, session, entry.conversation) {
            let channels = [Channel::Group(entry.conversation)];
            missing = Some(turn.state.cluster.hold_channels(&channels));
        }
    }
    if let Some(missing) = missing {
        subscribe(turn, ReplyTo::Nowhere, missing, Listener::Entry(entry));
    }
}

/// Releases the channel of a group that the session's user is no member of any more.
pub(crate) fn leave(turn: &mut Turn<'_>, session: SessionRef, group: ConversationId) {
    let Some(live) = turn.state.sessions.get_mut(session) else { return };
    if let Some(at) = live.groups.iter().position(|other| *other == group) {
        live.groups.swap_remove(at);
        release(turn, &[Channel::Group(group)]);
    }
}

/// Resumes the step that waited for a subscription: the bus confirmed it, or the bus is down and the database is polled
/// instead.
pub(crate) fn confirmed(turn: &mut Turn<'_>, ticket: Ticket) {
    let Some(PendingRequest { reply_to, pending, .. }) = turn.state.pending.take(ticket) else { return };
    let Pending::Node(node::Pending::Listening(listening)) = pending else { return };
    let Listening { channels, then } = *listening;
    turn.state.cluster.confirm_channels(&channels, ticket);
    turn.follow_ups.push_back(FollowUp::Resume(reply_to, then));
}
