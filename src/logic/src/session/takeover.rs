//! The takeover: a login with a valid token ends the sessions that it may not stand beside and begins a new one.
//!
//! On a single node this is one step. What the ended sessions had sent to storage is decided before the login goes on. In a cluster:
//!
//! ```text
//!   token valid -> subscribe to user -> lock -> claim -> kick those that ended -> unlock
//!                                                   |
//!                               session begins -> groups read -> subscribe to groups -> cursors read -> reply
//! ```
//!
//! All subscriptions are active before the cursors are read, so a message is either read or received from the bus. The
//! groups are read after the claim, so no group can be joined unnoticed. The lock only keeps the steps of two logins
//! apart. If the bus does not grant it in time, the login continues without it, because the database's epoch decides.

use super::ending::Kick;
use super::opening::Before;
use super::{ending, opening};
use crate::bus::{BusOrder, Channel, Hint};
use crate::conflict::{self, Party, Standing};
use crate::conn::ConnId;
use crate::contract::presence::{SetStatus, of_account};
use crate::contract::session::{Claim, Claimed, Ended, Write};
use crate::contract::{Epoch, Fence, Ticket, TokenHash};
use crate::limits::{ALREADY_ONLINE, GOING_AWAY, LOCK_RENEW_MS, LOCK_RETRY_MS, LOCK_WAIT_MS, TOKEN_INVALID};
use crate::listening;
use crate::state::State;
use crate::state::absences::Absent;
use crate::state::cluster::{Cluster, Lock};
use crate::state::pending::node::Listener;
use crate::state::pending::session::{Ending, Pending, Takeover, TakeoverStep, TokenReady};
use crate::state::pending::{Pending as AnyPending, PendingRequest};
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::{DeviceHash, SessionRef};
use crate::turn::Turn;
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
    let step = TakeoverStep::Claiming;
    let takeover = Takeover { ready, step, lock: None, lock_until: None, claim: None };
    let then = Listener::Session(Pending::Takeover(Box::new(takeover)));
    listening::hold(turn, reply_to, &channels, then);
}

fn take_over_alone(turn: &mut Turn<'_>, reply_to: ReplyTo, ready: TokenReady) {
    let user = ready.user;
    let held = held(turn, user);
    let device = turn.state.device_hash(ready.request.device.as_deref());
    let party = Party { identity: (ready.token.hash, device), kind: ready.kind };
    let standings: Vec<_> = held.iter().map(|held| held.standing).collect();
    let Ok(decided) = conflict::decide(turn.state.rules.sessions, &party, &standings) else {
        return give_up(turn, reply_to, &ready, Errno::AlreadyOnline);
    };
    let Some(conn) = caller_waiting(turn.state, reply_to) else {
        return give_up(turn, reply_to, &ready, Errno::Busy);
    };
    let shown = turn.state.status(user);
    let (mut resumed, mut must_settle, mut tokens) = (None, false, Vec::new());
    for (Held { standing, session, status }, why) in held.iter().zip(decided) {
        let Some(code) = why else { continue };
        let (token, device) = standing.party.identity;
        let is_same = standing.party.identity == party.identity;
        if is_same {
            resumed = Some(status);
        }
        // What a client sent before its connection was lost is its own, also after it has returned.
        must_settle |= session.is_some() || !is_same;
        match *session {
            Some(session) => {
                ending::kick(turn, session, Kick { code, device: ready.request.device.clone() });
            }
            None => {
                turn.state.absences.remove(user, |absent| (absent.token, absent.device) == (token, device));
            }
        }
        tokens.push(token);
    }
    // A client that reconnects with its token must not lose it to its own older connection.
    for token in tokens {
        if token != ready.token.hash && !turn.state.lives_by(user, &token) {
            ending::revoke(turn, user, token);
        }
    }
    let status = resumed.cloned().flatten();
    let shows = of_account(turn.state.sets_of(user).chain([status.as_deref()]));
    let before = Before {
        resumed: resumed.is_some(),
        was_present: !held.is_empty(),
        changes_status: shown.is_some() && shows != shown,
        status,
        is_shared: false,
    };
    let read = opening::begin(turn, conn, ready, Epoch::NONE, before);
    if must_settle {
        turn.write_in_login(reply_to, read.session, Pending::EndedOthers(read), Write::Settle);
    } else {
        opening::read_view(turn, reply_to, read);
    }
}

/// A session of the account that logs in.
struct Held {
    standing: Standing<(TokenHash, DeviceHash)>,
    /// `None`: it is absent.
    session: Option<SessionRef>,
    status: Option<Box<SetStatus>>,
}

/// The sessions of an account on a single node.
fn held(turn: &Turn<'_>, user: UserId) -> Vec<Held> {
    let (state, now) = (&*turn.state, turn.now.monotonic);
    let connected = state.sessions.of(user).map(|(key, live)| Held {
        standing: Standing {
            party: Party { identity: (live.token, live.device), kind: live.kind },
            is_connected: true,
            silent: now.saturating_sub(state.connections.heard(live.conn).unwrap_or(0)),
        },
        session: Some(key),
        status: live.status.clone(),
    });
    let absent = state.absences.of(user).map(|absent| Held {
        standing: Standing {
            party: Party { identity: (absent.token, absent.device), kind: absent.kind },
            is_connected: false,
            silent: now.saturating_sub(absent.heard),
        },
        session: None,
        status: absent.status.clone(),
    });
    connected.chain(absent).collect()
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
    let id = turn.state.next_claim();
    let Some(run) = turn.state.cluster.run() else { return };
    takeover.step = TakeoverStep::Claiming;
    takeover.claim = Some(id);
    let ready = &takeover.ready;
    let claim = Claim {
        user: ready.user,
        node: run.clone(),
        id,
        token: ready.token.hash,
        device: ready.request.device.clone(),
        kind: ready.kind,
        grace: turn.state.rules.grace,
        policy: turn.state.rules.sessions,
    };
    turn.write(reply_to, Pending::Takeover(Box::new(takeover)), Write::Claim(Box::new(claim)));
}

/// Notifies the nodes whose sessions the login ended, and begins the session, once the database has recorded it.
pub(super) fn claimed(turn: &mut Turn<'_>, reply_to: ReplyTo, mut takeover: Takeover, claimed: Claimed) {
    let (user, device) = (takeover.ready.user, takeover.ready.request.device.clone());
    let Claimed { epoch, resumed, was_present, status, changes_status, ended, forgotten, others } = claimed;
    let status = status.map(Box::new);
    ending::publish_ended(turn, user, &ended, device.as_deref());
    unlock(turn, takeover.lock.take());
    for Ended { epoch, why, .. } in ended {
        let kick = Kick { code: why, device: device.clone() };
        ending::superseded(turn, Fence { user, epoch }, kick);
    }
    for Ended { epoch, why, .. } in forgotten {
        ending::superseded(turn, Fence { user, epoch }, Kick { code: why, device: None });
    }
    let Some(run) = turn.state.cluster.run().cloned() else { return };
    let mut is_shared = false;
    for node in others.into_iter().filter(|node| **node != *run) {
        is_shared = true;
        let channel = Channel::Node((&*node).into());
        turn.effects.bus.push(BusOrder::Publish { channel, hint: Hint::Joined { user } });
    }
    let Some(conn) = caller_waiting(turn.state, reply_to) else {
        return claimed_for_nobody(turn, reply_to, takeover, epoch, resumed.then_some(status));
    };
    let before = Before { resumed, was_present, changes_status, status, is_shared };
    let read = opening::begin(turn, conn, takeover.ready, epoch, before);
    opening::read_groups(turn, reply_to, user, read);
}

/// Gives up a session whose connection is gone. If it continues another one, `resumed` is what that has set, and it is
/// treated as if it had lost its connection.
fn claimed_for_nobody(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    takeover: Takeover,
    epoch: Epoch,
    resumed: Option<Option<Box<SetStatus>>>,
) {
    let (user, kind, now) = (takeover.ready.user, takeover.ready.kind, turn.now.monotonic);
    let device = turn.state.device_hash(takeover.ready.request.device.as_deref());
    let (token, fence) = (takeover.ready.token.hash, Fence { user, epoch });
    refused(turn, reply_to, takeover, Errno::Busy);
    let can_return = resumed.is_some_and(|status| {
        let absent = Absent { token, device, kind, status, epoch, heard: now };
        turn.state.absences.begin(user, absent, now)
    });
    if can_return {
        ending::lost(turn, fence, now);
    } else {
        ending::finish(turn, Ending::Session { fence, token: None, heard: now });
    }
}

/// Gives up a claim that may have been stored: whatever it has begun is ended.
pub(super) fn in_doubt(turn: &mut Turn<'_>, reply_to: ReplyTo, takeover: Takeover) {
    if let Some(claim) = takeover.claim {
        ending::finish(turn, Ending::Claim(takeover.ready.user, claim));
    }
    refused(turn, reply_to, takeover, Errno::Unavailable);
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
        ending::revoke(turn, ready.user, ready.token.hash);
    }
    match errno {
        Errno::AlreadyOnline => turn.refuse(reply_to, errno, ALREADY_ONLINE),
        Errno::TokenInvalid => turn.refuse(reply_to, errno, TOKEN_INVALID),
        Errno::Unavailable => turn.unavailable(reply_to),
        Errno::Internal => turn.internal(reply_to),
        _ => turn.refuse(reply_to, Errno::Busy, GOING_AWAY),
    }
}
