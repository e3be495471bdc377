//! How a session ends: LOGOUT, a newer login, a lost connection, the end of its grace.

use crate::conn::ConnId;
use crate::contract::session::Write;
use crate::contract::{Epoch, Fence, TokenHash};
use crate::effect::{CloseReason, Order};
use crate::limits::SESSION_ENDED;
use crate::state::pending::session::Pending;
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::{Session, SessionRef};
use crate::turn::Turn;
use crate::{listening, presence, simple};
use wire::session::{Kicked, Push};
use wire::{Errno, Reply, UserId};

/// LOGOUT: the token is revoked, then the session ends.
pub(super) fn log_out(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef) {
    let live = turn.state.sessions.of_caller(session);
    if !live.capabilities.can_be_refused() {
        // It ends whether or not storage can be reached; its token is revoked with it.
        return logged_out(turn, reply_to, session);
    }
    let write = Write::RevokeToken(live.token);
    simple::submit(turn, reply_to, session, Pending::Logout(session), write);
}

/// The token is revoked.
pub(super) fn logged_out(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef) {
    if let Some(live) = turn.state.sessions.get(session) {
        let conn = live.conn;
        end(turn, session);
        turn.effects.order(conn, Order::LoggedOut { conn });
    }
    turn.answer(reply_to, Reply::Done);
}

/// A newer session of the account exists on some node: an older one here ends, connected or absent.
pub(crate) fn superseded(turn: &mut Turn<'_>, user: UserId, epoch: Epoch, device: Option<Box<str>>) {
    if turn.state.absences.epoch(user).is_some_and(|held| held < epoch) {
        turn.state.absences.take(user);
    }
    if let Some(key) = turn.state.sessions.of(user)
        && turn.state.epoch_of(key) < epoch
    {
        kick(turn, key, device);
    }
}

/// Ends an older session for a newer login. Its earlier requests are not undone. Gives its token.
pub(super) fn kick(turn: &mut Turn<'_>, older: SessionRef, device: Option<Box<str>>) -> Option<TokenHash> {
    let session = remove(turn, older)?;
    let conn = session.conn;
    if let Some(login) = session.login
        && let Some(pending) = turn.state.pending.take(login.ticket)
    {
        turn.refuse(pending.reply_to, Errno::NotLoggedIn, SESSION_ENDED);
    }
    let reason = "the account logged in on another connection".into();
    let push = Push::Kicked(Box::new(Kicked { reason, device, time: turn.now.wall })).into();
    turn.effects.order(conn, Order::Push { conn, push });
    turn.effects.order(conn, Order::Close { conn, reason: CloseReason::Kicked });
    Some(session.token)
}

/// A connection is gone.
pub(crate) fn closed(turn: &mut Turn<'_>, conn: ConnId) {
    if let Some(connection) = turn.state.connections.close(conn)
        && let Some(session) = connection.session
    {
        lose(turn, session);
    }
}

/// What a login needs could not be read: its session ends as if the connection were lost.
pub(super) fn login_failed(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef) {
    lose(turn, session);
    turn.unavailable(reply_to);
}

/// A session has lost its connection. Within its grace it can be resumed, and its user stays online for friends.
fn lose(turn: &mut Turn<'_>, key: SessionRef) {
    let Some(live) = turn.state.sessions.get(key) else { return };
    let (user, token, epoch) = (live.user, live.token, live.epoch);
    let was_announced = live.login.as_ref().is_none_or(|login| login.was_present);
    let can_return = was_announced && live.capabilities.retains_token();
    if can_return && turn.state.absences.begin(user, token, epoch, turn.now.monotonic) {
        remove(turn, key);
        release(turn, Fence { user, epoch }, false);
    } else {
        end(turn, key);
    }
}

/// Ends a session for good; friends are told.
fn end(turn: &mut Turn<'_>, key: SessionRef) {
    let Some(session) = remove(turn, key) else { return };
    if let Some(login) = session.login {
        // Its client is gone.
        turn.state.pending.take(login.ticket);
    }
    if !session.capabilities.retains_token() {
        turn.write_and_forget(Write::RevokeToken(session.token));
    }
    release(turn, Fence { user: session.user, epoch: session.epoch }, true);
    presence::announce_gone(turn, session.user);
}

fn remove(turn: &mut Turn<'_>, key: SessionRef) -> Option<Session> {
    let session = turn.state.sessions.remove(key)?;
    turn.state.rates.keep(session.user, session.bucket, turn.now.monotonic);
    if let Some(connection) = turn.state.connections.get_mut(session.conn) {
        connection.session = None;
    }
    listening::release_all(turn, session.user, &session.groups);
    Some(session)
}

/// Records in the database that a claimed session lost its connection or, with `ended`, is over. The write may fail: the
/// database then derives it from this node's silence.
pub(super) fn release(turn: &mut Turn<'_>, fence: Fence, ended: bool) {
    if fence.epoch != Epoch::NONE {
        turn.write_and_forget(Write::Release { fence, ended });
    }
}

/// Ends the sessions whose grace is over; friends are told.
pub(crate) fn expire_graces(turn: &mut Turn<'_>) {
    while let Some((user, epoch)) = turn.state.absences.take_ended(turn.now.monotonic) {
        if epoch == Epoch::NONE {
            presence::announce_gone(turn, user);
        } else {
            // It may have been resumed on another node.
            let write = Write::Release { fence: Fence { user, epoch }, ended: true };
            turn.write(ReplyTo::Nowhere, Pending::Expire(user), write);
        }
    }
}
