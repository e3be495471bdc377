//! How a login enters a cluster.
//!
//! ```text
//!   token good -> listen to the user -> lock -> claim -> kick the former holder -> unlock
//!                                                  |
//!                              session begins -> groups known -> listen to them -> cursors read -> reply
//! ```
//!
//! All is listened to before the cursors are read, so a message is either read or heard; and the groups are asked for after
//! the claim, so none can have been joined unnoticed. The lock only keeps the steps of two logins apart: where the
//! bus cannot give it in time the login goes on, since the database's epoch decides.

use super::channel;
use crate::bus::{BusOrder, Channel, LOCK_MS, News};
use crate::contract::session::Holder;
use crate::contract::{self, Epoch, Ticket, Write};
use crate::effect::Effects;
use crate::limits::{BUS_MS, LOCK_RETRY_MS};
use crate::login::{self, Begun, TokenReady};
use crate::parked::{Asked, Stage};
use crate::state::State;
use crate::{Conflict, Now, group};
use wire::{ConversationId, Errno, UserId};

/// A lock on a user's logins that this node holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lock {
    ticket: Ticket,
    user: UserId,
    pub renew_at: u64,
}

/// A login between its token and its session.
#[derive(Debug)]
pub(crate) struct Entering {
    ready: TokenReady,
    step: Step,
    lock: Option<Ticket>,
    /// Until when a lock that is taken is waited for, monotonic ms.
    patience: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Waits to be listening, or for the answer to a claim.
    Under,
    /// Asked for the lock.
    Locking,
    /// Waits to ask for it again.
    LockedOut,
}

/// The token is good: takes the account's session over.
pub(crate) fn begin(state: &mut State, now: Now, asked: Option<Asked>, ready: TokenReady, fx: &mut Effects) {
    let channels = [Channel::User(ready.user)];
    let patience = now.monotonic + LOCK_MS;
    let then = Stage::Entering(Box::new(Entering { ready, step: Step::Under, lock: None, patience }));
    channel::hold(state, now, asked, &channels, then, fx);
}

/// The channels that something waited for are listened to.
pub(crate) fn listening(state: &mut State, now: Now, asked: Option<Asked>, then: Stage, fx: &mut Effects) {
    match then {
        Stage::Entering(entering) => lock(state, now, asked, *entering, fx),
        Stage::LoginView { session, token } => login::read_view(state, now, asked, session, token, fx),
        Stage::JoinGroup { session, conversation } => {
            group::join_now(state, now, asked, session, conversation, fx);
        }
        Stage::GroupReady(conversation) => group::ready(state, now, asked, conversation, fx),
        other => debug_assert!(false, "nothing else listens: {other:?}"),
    }
}

fn lock(state: &mut State, now: Now, asked: Option<Asked>, mut entering: Entering, fx: &mut Effects) {
    let Some(cluster) = &mut state.cluster else { return };
    if !cluster.bus {
        return claim(state, now, asked, entering, fx);
    }
    let user = entering.ready.user;
    entering.step = Step::Locking;
    let ticket = state.parking.park(asked, Stage::Entering(Box::new(entering)), now.monotonic);
    cluster.channels.wait(ticket, now.monotonic + BUS_MS);
    fx.bus.push(BusOrder::Lock { ticket, user });
}

/// The bus says whether the lock was free.
pub(crate) fn locked(
    state: &mut State,
    now: Now,
    ticket: Ticket,
    user: UserId,
    held: bool,
    fx: &mut Effects,
) {
    let Some(parked) = state.parking.take(ticket) else {
        // It came too late: the login went on without.
        if held {
            fx.bus.push(BusOrder::Unlock { ticket, user });
        }
        return;
    };
    let Stage::Entering(mut entering) = parked.stage else { return };
    if held {
        entering.lock = Some(ticket);
        if let Some(cluster) = &mut state.cluster {
            cluster.locks.push(Lock { ticket, user, renew_at: now.monotonic + LOCK_MS / 3 });
        }
        return claim(state, now, parked.asked, *entering, fx);
    }
    entering.step = Step::LockedOut;
    let ticket = state.parking.park(parked.asked, Stage::Entering(entering), now.monotonic);
    if let Some(cluster) = &mut state.cluster {
        cluster.channels.wait(ticket, now.monotonic + LOCK_RETRY_MS);
    }
}

/// The bus has not answered, or it is time to ask again.
pub(crate) fn overdue(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    entering: Entering,
    fx: &mut Effects,
) {
    match entering.step {
        Step::LockedOut if now.monotonic < entering.patience => lock(state, now, asked, entering, fx),
        _ => claim(state, now, asked, entering, fx),
    }
}

/// Holds the locks whose login is still under way.
pub(crate) fn renew(state: &mut State, now: Now, fx: &mut Effects) {
    let Some(cluster) = &mut state.cluster else { return };
    for lock in cluster.locks.iter_mut().filter(|lock| lock.renew_at <= now.monotonic) {
        lock.renew_at = now.monotonic + LOCK_MS / 3;
        fx.bus.push(BusOrder::Renew { ticket: lock.ticket, user: lock.user });
    }
}

fn unlock(state: &mut State, lock: Option<Ticket>, fx: &mut Effects) {
    let (Some(ticket), Some(cluster)) = (lock, &mut state.cluster) else { return };
    if let Some(at) = cluster.locks.iter().position(|lock| lock.ticket == ticket) {
        let Lock { user, .. } = cluster.locks.swap_remove(at);
        fx.bus.push(BusOrder::Unlock { ticket, user });
    }
}

fn claim(state: &mut State, now: Now, asked: Option<Asked>, mut entering: Entering, fx: &mut Effects) {
    // A session that nobody waits for must not end the one that is in force.
    if login::still_asked(state, asked).is_none() {
        return refused(state, now, asked, entering, Errno::Busy, fx);
    }
    let Some(cluster) = &state.cluster else { return };
    entering.step = Step::Under;
    let claim = Write::Session(contract::session::Write::Claim {
        user: entering.ready.user,
        node: cluster.run.clone(),
        token: entering.ready.token.hash,
        grace: state.rules.grace,
        unless_held: state.rules.conflict == Conflict::Reject,
    });
    state.write(now, asked, Stage::Entering(Box::new(entering)), claim, fx);
}

/// The session is this node's: the former holder is told, and it begins.
pub(crate) fn claimed(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    mut entering: Entering,
    (epoch, before): (Epoch, Option<Holder>),
    fx: &mut Effects,
) {
    let (user, device) = (entering.ready.user, entering.ready.device.clone());
    let run = state.cluster.as_ref().map(|cluster| cluster.run.clone());
    if let Some(holder) = before.as_ref().filter(|holder| run.as_deref() != Some(&*holder.node)) {
        let news = News::Kick { user, epoch, device: device.clone() };
        fx.bus.push(BusOrder::Publish { channel: Channel::Node((&*holder.node).into()), news });
    }
    unlock(state, entering.lock.take(), fx);
    // Whatever its number: a database that was set back numbers anew, and this claim is its latest.
    state.absences.take(user);
    if let Some(older) = state.sessions.of(user) {
        login::kick(state, now, older, device, fx);
    }
    let Some(asked) = login::still_asked(state, asked) else {
        refused(state, now, asked, entering, Errno::Busy, fx);
        // Nobody is behind the connection any more; if there was a session before, it is as if its own were lost.
        return super::release(state, now, (user, epoch), before.is_none(), fx);
    };
    let begun = Begun { epoch, before: before.map(|holder| holder.token) };
    let (session, token) = login::begin_session(state, now, asked, entering.ready, begun, fx);
    let stage = Stage::LoginGroups { session, token };
    let ticket = state.parking.park(Some(asked), stage, now.monotonic);
    state.joins_by(session, ticket);
    fx.reads.push((ticket, crate::Read::Group(contract::group::Read::GroupIds { user })));
}

/// The session stays another's, the database cannot be reached, or nobody waits for it any more.
pub(crate) fn refused(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    entering: Entering,
    errno: Errno,
    fx: &mut Effects,
) {
    unlock(state, entering.lock, fx);
    channel::drop(state, &[Channel::User(entering.ready.user)], fx);
    login::give_up(state, now, asked, &entering.ready, errno, fx);
}

/// The groups of the user are known: listens to all of them.
pub(crate) fn groups_known(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    then: Stage,
    groups: Vec<ConversationId>,
    fx: &mut Effects,
) {
    let Some(live) = then.session().and_then(|session| state.sessions.get_mut(session)) else { return };
    let channels: Vec<Channel> = groups.iter().map(|group| Channel::Group(*group)).collect();
    live.groups = groups;
    channel::hold(state, now, asked, &channels, then, fx);
}

/// A session has gone from this node: nobody listens for it any more.
pub(crate) fn left(state: &mut State, user: UserId, groups: &[ConversationId], fx: &mut Effects) {
    if state.cluster.is_some() {
        let groups = groups.iter().map(|group| Channel::Group(*group));
        let channels: Vec<Channel> = groups.chain([Channel::User(user)]).collect();
        channel::drop(state, &channels, fx);
    }
}
