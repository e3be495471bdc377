//! Several nodes over one database, joined by a bus that may lose anything.
//!
//! ```text
//!            bus: pushes, kicks, leases (hints)                    database: sessions, timelines (the truth)
//!                   |                                                  |
//!   delivery_line  delivers a conversation in order, reads from the timeline what a hint left out
//!   reconcile      reads from the database what the bus may have lost; stops pushing when both are silent
//!   load           reports how busy this node is, and learns how busy the others are
//! ```
//!
//! The delay of a message to another node is that of the bus if nothing is lost. If a hint is lost and a later one
//! arrives, it is [`GAP_MS`](crate::limits::GAP_MS) and a read. If the bus is down, a node dies between commit and
//! publication, or the subscription has a gap, the database is polled each second. A node that cannot publish records
//! that in the database, which the others poll each second. In every other case the delay is at most
//! [`SAFETY_MS`](crate::limits::SAFETY_MS).

mod delivery_line;
mod load;
mod reconcile;

use crate::bus::{BusInput, BusOrder, Channel, Hint};
use crate::contract::node::End;
use crate::contract::{Fence, Found, Written};
use crate::limits::LOCK_RENEW_MS;
use crate::state::cluster::Cluster;
use crate::state::cluster::delivery_lines::Arrival;
use crate::state::pending::{Pending as AnyPending, PendingRequest, node};
use crate::state::sessions::SessionRef;
use crate::turn::{FollowUp, Turn};
use crate::{delivery, listening, password, session, typing};
use std::sync::Arc;
use wire::message::Push as MessagePush;
use wire::timeline::Push as TimelinePush;
use wire::{Message, Push, UserId};

/// A message or another entry that this node has stored.
pub(crate) struct Stored {
    pub message: Arc<Message>,
    /// The members at its seq.
    pub members: Arc<[UserId]>,
    /// The session that sent the message.
    pub sent_by: Option<SessionRef>,
}

/// Delivers a stored message to the members on this node and publishes it to the other nodes, if there are any.
pub(crate) fn deliver(turn: &mut Turn<'_>, stored: Stored) {
    let Stored { message, members, sent_by } = stored;
    match &mut turn.state.cluster {
        Cluster::Solo => delivery::deliver(turn, &message, &members, sent_by),
        Cluster::Joined(membership) => {
            membership.loads.stored += 1;
            if let Some(session) = sent_by
                && message.is_message()
            {
                delivery::note_own(turn, session, &message);
            }
            delivery_line::stored(turn, Arrival { message, members: Some(members) });
        }
    }
}

/// Runs every timer that is due.
pub(crate) fn handle_timeout(turn: &mut Turn<'_>) {
    if turn.state.cluster.next_timeout().is_none_or(|at| at > turn.now.monotonic) {
        return;
    }
    bus_deadlines(turn);
    renew_locks(turn);
    delivery_line::handle_timeout(turn);
    reconcile::handle_timeout(turn);
    load::handle_timeout(turn);
}

/// Continues the steps whose bus deadline has passed. That is safe: the database is authoritative and is read in any
/// case.
fn bus_deadlines(turn: &mut Turn<'_>) {
    while let Some(membership) = turn.state.cluster.membership()
        && let Some(ticket) = membership.channels.take_due(turn.now.monotonic)
    {
        let Some(PendingRequest { reply_to, pending, .. }) = turn.state.pending.take(ticket) else {
            continue;
        };
        match pending {
            AnyPending::Node(node::Pending::Listening(listening)) => {
                turn.follow_ups.push_back(FollowUp::Resume(reply_to, listening.then));
            }
            AnyPending::Session(pending) => session::bus_overdue(turn, reply_to, pending),
            other => debug_assert!(false, "this step does not wait for the bus: {other:?}"),
        }
    }
}

/// Renews the locks of logins that are still in progress.
fn renew_locks(turn: &mut Turn<'_>) {
    let Some(membership) = turn.state.cluster.membership() else { return };
    for lock in membership.locks.iter_mut().filter(|lock| lock.renew_at <= turn.now.monotonic) {
        lock.renew_at = turn.now.monotonic + LOCK_RENEW_MS;
        turn.effects.bus.push(BusOrder::Renew { ticket: lock.ticket, user: lock.user });
    }
}

/// Handles an input from the bus.
pub(crate) fn handle_bus(turn: &mut Turn<'_>, input: BusInput) {
    let Some(membership) = turn.state.cluster.membership() else { return };
    match input {
        BusInput::Hint { channel, hint } => handle_hint(turn, channel, hint),
        BusInput::Subscribed(ticket) => listening::confirmed(turn, ticket),
        BusInput::Locked { ticket, user, held } => session::lock_answered(turn, ticket, user, held),
        BusInput::Up => {
            membership.has_bus = true;
            reconcile::missed(turn);
            reconcile::announce_changed(turn, None);
        }
        BusInput::Gap => {
            reconcile::missed(turn);
            reconcile::announce_changed(turn, None);
        }
        BusInput::Down => {
            membership.has_bus = false;
            reconcile::missed(turn);
        }
        BusInput::Unheard => reconcile::unheard(turn),
        BusInput::Heard { at } => reconcile::bus_heard(turn, at),
        BusInput::Nodes(nodes) => load::nodes_known(turn, nodes),
    }
}

fn handle_hint(turn: &mut Turn<'_>, channel: Channel, hint: Hint) {
    if !channel.carries(&hint) {
        return;
    }
    match (channel, hint) {
        (Channel::User(user), Hint::Push { push: Push::Message(MessagePush::New(message)) }) => {
            // A direct chat has two members: the sender, and the user of this channel, unless the sender has sessions
            // here as well.
            let mut members = [user, message.from];
            members.sort_unstable();
            let members = (user != message.from).then(|| Arc::from(members));
            delivery_line::heard(turn, Arrival { message, members });
        }
        (Channel::Group(_), Hint::Push { push: Push::Message(MessagePush::New(message)) }) => {
            delivery_line::heard(turn, Arrival { message, members: None });
        }
        (Channel::Group(_), Hint::Push { push: Push::Timeline(TimelinePush::Typing(typist)) }) => {
            typing::heard(turn, typist);
        }
        (Channel::User(user), Hint::Push { push }) => delivery::push_here(turn, user, None, &push),
        (_, Hint::Kick { user, epoch, device }) => {
            reconcile::kick_heard(turn, Fence { user, epoch }, device);
        }
        (Channel::User(user), Hint::Entered { entry }) => listening::follow(turn, user, entry),
        (Channel::User(user), Hint::Left { entry }) => delivery_line::left_elsewhere(turn, user, entry),
        (Channel::User(user), Hint::Missed) => reconcile::announce_changed(turn, Some(user)),
        (_, Hint::Joined { user }) => _ = turn.state.sessions.share(user),
        (_, Hint::PasswordTried { attempt, is_right }) => password::tried_elsewhere(turn, attempt, is_right),
        (
            Channel::Group(_) | Channel::Node(_),
            Hint::Push { .. } | Hint::Entered { .. } | Hint::Left { .. } | Hint::Missed,
        ) => {}
    }
}

/// Delivers what a group has had since an entry, once its channel is subscribed to.
pub(crate) fn followed(turn: &mut Turn<'_>, entry: End) {
    delivery_line::end_known(turn, entry);
}

/// Ends a session on this node if it has ended in the database, which says why.
pub(crate) fn check_session(turn: &mut Turn<'_>, fence: Fence) {
    reconcile::kick_heard(turn, fence, None);
}

/// Handles the result of a read that the node issued for itself.
pub(crate) fn found(turn: &mut Turn<'_>, pending: node::Pending, found: Found) {
    match pending {
        node::Pending::DeliveryLine(read) => delivery_line::found(turn, read, found),
        node::Pending::Claims { issued } => reconcile::claims_found(turn, issued, found),
        node::Pending::Kick(kick) => reconcile::kick_checked(turn, *kick, found),
        node::Pending::Changes => reconcile::changes_found(turn, found),
        node::Pending::Listening(_) | node::Pending::Seen { .. } => {
            debug_assert!(false, "this step issues no read: {pending:?}");
        }
    }
}

/// Handles the outcome of a write that the node issued for itself.
pub(crate) fn written(turn: &mut Turn<'_>, pending: &node::Pending, written: &Written) {
    if let (node::Pending::Seen { unheard: true }, Written::Unavailable | Written::Failed) =
        (pending, written)
    {
        reconcile::unheard(turn);
    }
}
