//! The takeover: a login with a valid token ends the account's previous session and begins a new one.
//!
//! On a single node this is one step. In a cluster:
//!
//! ```text
//!   token valid -> subscribe to user -> lock -> claim -> kick the former holder -> unlock
//!                                                   |
//!                               session begins -> groups read -> subscribe to groups -> cursors read -> reply
//! ```
//!
//! All subscriptions are active before the cursors are read, so a message is either read or received from the bus. The
//! groups are read after the claim, so no group can be joined unnoticed. The lock only keeps the steps of two logins
//! apart. If the bus does not grant it in time, the login continues without it, because the database's epoch decides.

use super::ending::Kick;
use super::{ending, opening};
use crate::bus::{BusOrder, Channel, Hint};
use crate::conn::ConnId;
use crate::contract::session::{Holder, Write};
use crate::contract::{Epoch, Fence, Ticket, TokenHash};
use crate::limits::{ALREADY_ONLINE, GOING_AWAY, LOCK_RENEW_MS, LOCK_RETRY_MS, LOCK_WAIT_MS, TOKEN_INVALID};
use crate::listening;
use crate::settings::Conflict;
use crate::state::State;
use crate::state::cluster::{Cluster, Lock};
use crate::state::pending::node::Listener;
use crate::state::pending::session::{Pending, Takeover, TakeoverStep, TokenReady, TokenRequest};
use crate::state::pending::{Pending as AnyPending, PendingRequest};
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use wire::session::KickCode;
use wire::{Errno, UserId};

/// Begins the takeover of a login whose token is valid.
pub(super) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, ready: TokenReady) {
    if let Cluster::Solo = turn.state.cluster {
        return take_over_alone(turn, reply_to, ready);
    }
    if caller_waiting(turn.state, reply_to).is_none() {
        return give_up(turn, reply_to, &ready, Errno::Busy);
    }
    let channels = [Channel::User(ready.user)];
    let takeover = Takeover { ready, step: TakeoverStep::Claiming, lock: None, lock_until: None };
    let then = Listener::Session(Pending::Takeover(Box::new(takeover)));
    listening::hold(turn, reply_to, &channels, then);
}

fn take_over_alone(turn: &mut Turn<'_>, reply_to: ReplyTo, ready: TokenReady) {
    let user = ready.user;
    if turn.state.rules.conflict == Conflict::Reject && turn.state.sessions.is_online(user) {
        return give_up(turn, reply_to, &ready, Errno::AlreadyOnline);
    }
    let Some(conn) = caller_waiting(turn.state, reply_to) else {
        return give_up(turn, reply_to, &ready, Errno::Busy);
    };
    let before = match turn.state.sessions.of(user) {
        Some(older) => ending::kick(turn, older, login_kick(&ready.request)),
        None => turn.state.absences.take(user).map(|absent| absent.token),
    };
    // In a cluster the claim revokes it. A client that reconnects with its token must not lose it to its own older
    // connection.
    if let Some(before) = before.filter(|before| *before != ready.token.hash) {
        ending::revoke(turn, before);
    }
    let read = opening::begin(turn, conn, ready, Epoch::NONE, before);
    opening::read_view(turn, reply_to, read);
}

/// Tells an older session of a login.
fn login_kick(request: &TokenRequest) -> Kick {
    Kick { code: KickCode::Login, device: request.device.clone() }
}

/// Asks for the lock, once the user's channel is subscribed to.
pub(super) fn lock(turn: &mut Turn<'_>, reply_to: ReplyTo, mut takeover: Takeover) {
    if !turn.state.cluster.has_bus() {
        return claim(turn, reply_to, takeover);
    }
    let user = takeover.ready.user;
    takeover.step = TakeoverStep::Locking;
    let now = turn.now.monotonic;
    let until = *takeover.lock_until.get_or_insert(now + LOCK_WAIT_MS);
    let ticket = wait_for_bus(turn, reply_to, takeover, until.saturating_sub(now));
    turn.effects.bus.push(BusOrder::Lock { ticket, user });
}

fn wait_for_bus(turn: &mut Turn<'_>, reply_to: ReplyTo, takeover: Takeover, ms: u64) -> Ticket {
    let ticket = turn.wait(reply_to, Pending::Takeover(Box::new(takeover)));
    turn.state.cluster.set_bus_deadline(ticket, turn.now.monotonic + ms);
    ticket
}

/// Handles the answer of the bus to a lock request.
pub(crate) fn lock_answered(turn: &mut Turn<'_>, ticket: Ticket, user: UserId, held: bool) {
    let Some(PendingRequest { reply_to, pending, .. }) = turn.state.pending.take(ticket) else {
        // Too late: the login has continued without the lock.
        if held {
            turn.effects.bus.push(BusOrder::Unlock { ticket, user });
        }
        return;
    };
    let AnyPending::Session(Pending::Takeover(mut takeover)) = pending else { return };
    if !held {
        takeover.step = TakeoverStep::LockedOut;
        let left = takeover.lock_until.map_or(0, |until| until.saturating_sub(turn.now.monotonic));
        wait_for_bus(turn, reply_to, *takeover, LOCK_RETRY_MS.min(left));
        return;
    }
    takeover.lock = Some(ticket);
    turn.state.cluster.add_lock(Lock { ticket, user, renew_at: turn.now.monotonic + LOCK_RENEW_MS });
    claim(turn, reply_to, *takeover);
}

/// Handles a bus deadline: the bus has not answered, or the lock is due to be requested again.
pub(super) fn bus_overdue(turn: &mut Turn<'_>, reply_to: ReplyTo, takeover: Takeover) {
    match takeover.step {
        TakeoverStep::LockedOut if takeover.lock_until.is_some_and(|until| turn.now.monotonic < until) => {
            lock(turn, reply_to, takeover);
        }
        _ => claim(turn, reply_to, takeover),
    }
}

fn unlock(turn: &mut Turn<'_>, lock: Option<Ticket>) {
    if let Some(Lock { ticket, user, .. }) = lock.and_then(|ticket| turn.state.cluster.remove_lock(ticket)) {
        turn.effects.bus.push(BusOrder::Unlock { ticket, user });
    }
}

fn claim(turn: &mut Turn<'_>, reply_to: ReplyTo, mut takeover: Takeover) {
    // A login whose client is gone must not end the current session.
    if caller_waiting(turn.state, reply_to).is_none() {
        return refused(turn, reply_to, takeover, Errno::Busy);
    }
    let (grace, conflict) = (turn.state.rules.grace, turn.state.rules.conflict);
    let Some(run) = turn.state.cluster.run() else { return };
    takeover.step = TakeoverStep::Claiming;
    let claim = Write::Claim {
        user: takeover.ready.user,
        node: run.clone(),
        token: takeover.ready.token.hash,
        grace,
        unless_held: conflict == Conflict::Reject,
    };
    turn.write(reply_to, Pending::Takeover(Box::new(takeover)), claim);
}

/// Notifies the former holder and begins the session, once the database has recorded this node as its holder.
pub(super) fn claimed(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    mut takeover: Takeover,
    epoch: Epoch,
    before: Option<Holder>,
) {
    let (user, device) = (takeover.ready.user, takeover.ready.request.device.clone());
    let run = turn.state.cluster.run().map(|run| &**run);
    if let Some(holder) = before.as_ref().filter(|holder| run != Some(&*holder.node)) {
        let hint = Hint::Kick { user, epoch, device: device.clone() };
        let channel = Channel::Node((&*holder.node).into());
        turn.effects.bus.push(BusOrder::Publish { channel, hint });
    }
    unlock(turn, takeover.lock.take());
    // Regardless of their epochs: after a restore the database counts from an older epoch, and this claim is its
    // latest.
    turn.state.absences.take(user);
    if let Some(older) = turn.state.sessions.of(user) {
        ending::kick(turn, older, Kick { code: KickCode::Login, device });
    }
    let Some(conn) = caller_waiting(turn.state, reply_to) else {
        refused(turn, reply_to, takeover, Errno::Busy);
        // The connection is gone. A previous session is treated as if it had lost its connection.
        return ending::release(turn, Fence { user, epoch }, before.is_none());
    };
    let before: Option<TokenHash> = before.map(|holder| holder.token);
    let read = opening::begin(turn, conn, takeover.ready, epoch, before);
    opening::read_groups(turn, reply_to, user, read);
}

/// Ends a takeover that failed: another session keeps the account, the database is unreachable, or the client is gone.
pub(super) fn refused(turn: &mut Turn<'_>, reply_to: ReplyTo, takeover: Takeover, errno: Errno) {
    unlock(turn, takeover.lock);
    listening::release(turn, &[Channel::User(takeover.ready.user)]);
    give_up(turn, reply_to, &takeover.ready, errno);
}

/// The connection of a login, if it is still open and may log in.
fn caller_waiting(state: &State, reply_to: ReplyTo) -> Option<ConnId> {
    reply_to.conn().filter(|_| !state.draining && state.is_connected(reply_to))
}

fn give_up(turn: &mut Turn<'_>, reply_to: ReplyTo, ready: &TokenReady, errno: Errno) {
    // The client never receives the token that was issued for this login.
    if ready.request.is_new {
        ending::revoke(turn, ready.token.hash);
    }
    match errno {
        Errno::AlreadyOnline => turn.refuse(reply_to, errno, ALREADY_ONLINE),
        Errno::TokenInvalid => turn.refuse(reply_to, errno, TOKEN_INVALID),
        Errno::Unavailable => turn.unavailable(reply_to),
        Errno::Internal => turn.internal(reply_to),
        _ => turn.refuse(reply_to, Errno::Busy, GOING_AWAY),
    }
}
