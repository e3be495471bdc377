//! How a session ends: LOGOUT, a newer login, a lost connection, the end of its grace.

use crate::bus::{BusOrder, Channel, Hint};
use crate::conn::ConnId;
use crate::contract::session::{Ended, Revoked, Write};
use crate::contract::{Epoch, Fence, Found, TokenHash};
use crate::effect::{DisconnectReason, Order};
use crate::limits::SESSION_ENDED;
use crate::state::State;
use crate::state::cluster::Cluster;
use crate::state::pending::session::{Pending, Revoker};
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::{Session, SessionRef};
use crate::turn::Turn;
use crate::{listening, presence, simple};
use wire::session::{KickCode, Kicked, Push};
use wire::{Errno, Reply, UserId};

/// Why a session ends that did not ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kick {
    pub code: KickCode,
    /// The device of the login that ended it.
    pub device: Option<Box<str>>,
}

/// LOGOUT: revokes the token, then ends the session.
pub(super) fn log_out(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef) {
    let live = turn.state.sessions.of_caller(session);
    if !live.capabilities.can_be_refused() {
        // This client gets no reply, so the session ends even if storage is unreachable; `end` revokes the token.
        return logged_out(turn, reply_to, session);
    }
    let write = Write::RevokeToken(live.token);
    simple::submit(turn, reply_to, session, Pending::Logout(session), write);
}

/// Ends the session once its token is revoked.
pub(super) fn logged_out(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef) {
    leave(turn, session);
    turn.answer(reply_to, Reply::Done);
}

/// Ends a session at its own request; its connection stays open.
fn leave(turn: &mut Turn<'_>, session: SessionRef) {
    if let Some(live) = turn.state.sessions.get(session) {
        let conn = live.conn;
        end(turn, session);
        turn.effects.order(conn, Order::LoggedOut { conn });
    }
}

/// Whether the user has a session on this node, connected or absent, with an epoch below `epoch`.
pub(crate) fn is_older(state: &State, user: UserId, epoch: Epoch) -> bool {
    let is_below = |held: Option<Epoch>| held.is_some_and(|held| held < epoch);
    is_below(state.absences.epoch(user)) || is_below(state.sessions.of(user).map(|key| state.epoch_of(key)))
}

/// Ends the user's session on this node, connected or absent, if its epoch is below `epoch`: a newer one exists on some
/// node, or it was revoked.
pub(crate) fn superseded(turn: &mut Turn<'_>, user: UserId, epoch: Epoch, why: Kick) {
    let was_present = turn.state.is_present(user);
    let has_successor = why.code == KickCode::Login;
    if turn.state.absences.epoch(user).is_some_and(|held| held < epoch) {
        turn.state.absences.take(user);
    }
    if let Some(key) = turn.state.sessions.of(user)
        && turn.state.epoch_of(key) < epoch
    {
        kick(turn, key, why);
    }
    if was_present && !has_successor && !turn.state.is_present(user) {
        presence::announce_gone(turn, user);
    }
}

/// Ends the sessions of a user that live by revoked tokens, on all nodes, and answers the request of the session
/// `by`, which ends without a KICKED if it is one of them.
pub(crate) fn revoked(turn: &mut Turn<'_>, reply_to: ReplyTo, by: Revoker, revoked: Revoked, code: KickCode) {
    let Revoker { user, session } = by;
    let Revoked { tokens, ended } = revoked;
    publish_ended(turn, user, ended);
    let was_present = turn.state.is_present(user);
    if let Some(live) = turn.state.sessions.of(user)
        && turn.state.sessions.get(live).is_some_and(|live| tokens.include(&live.token))
    {
        if live == session {
            leave(turn, live);
        } else {
            kick(turn, live, Kick { code, device: None });
        }
    }
    if turn.state.absences.token(user).is_some_and(|token| tokens.include(&token)) {
        turn.state.absences.take(user);
    }
    if was_present && !turn.state.is_present(user) {
        presence::announce_gone(turn, user);
    }
    answer_settled(turn, reply_to);
}

/// Answers that revoked logins write nothing more. Without fences, what their sessions had sent to storage by now is
/// decided first, also if these ended earlier.
pub(crate) fn answer_settled(turn: &mut Turn<'_>, reply_to: ReplyTo) {
    match &turn.state.cluster {
        Cluster::Solo => turn.write(reply_to, Pending::Settled, Write::Settle),
        Cluster::Joined(_) => turn.answer(reply_to, Reply::Done),
    }
}

/// Notifies the nodes of sessions that were ended in the database.
fn publish_ended(turn: &mut Turn<'_>, user: UserId, ended: Vec<Ended>) {
    for Ended { node, epoch } in ended {
        if turn.state.cluster.run().is_some_and(|run| **run != *node) {
            let hint = Hint::Kick { user, epoch, device: None };
            turn.effects.bus.push(BusOrder::Publish { channel: Channel::Node((&*node).into()), hint });
        }
    }
}

/// Ends a session and tells its client why. Its earlier requests stay in effect. Returns its token.
pub(super) fn kick(turn: &mut Turn<'_>, older: SessionRef, kick: Kick) -> Option<TokenHash> {
    let session = remove(turn, older)?;
    let conn = session.conn;
    if let Some(login) = session.login
        && let Some(pending) = turn.state.pending.take(login.ticket)
    {
        turn.refuse(pending.reply_to, Errno::NotLoggedIn, SESSION_ENDED);
    }
    let Kick { code, device } = kick;
    let reason = reason_of(code).into();
    let push =
        Push::Kicked(Box::new(Kicked { reason, code: Some(code), device, time: turn.now.wall })).into();
    turn.effects.order(conn, Order::Push { conn, push });
    turn.effects.order(conn, Order::Close { conn, reason: DisconnectReason::Kicked });
    Some(session.token)
}

/// Refuses a request whose session has ended in the meantime.
pub(crate) fn refuse_ended(turn: &mut Turn<'_>, reply_to: ReplyTo) {
    turn.refuse(reply_to, Errno::NotLoggedIn, SESSION_ENDED);
}

/// The sentence for clients that do not know the code.
fn reason_of(code: KickCode) -> &'static str {
    match code {
        KickCode::Login => "the account logged in on another connection",
        KickCode::Revoked => "the login was revoked",
        KickCode::Password => "the password of the account was changed",
        KickCode::Disabled => "the account was disabled",
        KickCode::Deleted => "the account was deleted",
        KickCode::Admin => "an administrator ended the session",
        KickCode::Limit => "the account has too many sessions",
        KickCode::Other => "the server ended the session",
    }
}

/// Handles the end of a connection.
pub(crate) fn closed(turn: &mut Turn<'_>, conn: ConnId) {
    if let Some(connection) = turn.state.connections.close(conn)
        && let Some(session) = connection.session
    {
        lose(turn, session);
    }
}

/// Fails a login whose data could not be read, as `found` says: its session ends as if the connection were lost.
pub(super) fn login_failed(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef, found: &Found) {
    lose(turn, session);
    match found {
        Found::Failed => turn.internal(reply_to),
        _ => turn.unavailable(reply_to),
    }
}

/// Handles a session that has lost its connection. During its grace period it can be resumed, and friends still see the
/// user online.
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

/// Ends a session for good and notifies friends.
fn end(turn: &mut Turn<'_>, key: SessionRef) {
    let Some(session) = remove(turn, key) else { return };
    if let Some(login) = session.login {
        // The client is gone, so the login needs no answer.
        turn.state.pending.take(login.ticket);
    }
    if !session.capabilities.retains_token() {
        revoke(turn, session.token);
    }
    release(turn, Fence { user: session.user, epoch: session.epoch }, true);
    presence::announce_gone(turn, session.user);
}

/// Revokes the token of a session that has ended, and tries again until that is stored.
pub(super) fn revoke(turn: &mut Turn<'_>, token: TokenHash) {
    turn.write(ReplyTo::Nowhere, Pending::Revoke(token), Write::RevokeToken(token));
}

/// Tries again to revoke tokens while storage could not be reached.
pub(crate) fn retry_revocations(turn: &mut Turn<'_>) {
    for token in std::mem::take(&mut turn.state.unrevoked) {
        revoke(turn, token);
    }
}

fn remove(turn: &mut Turn<'_>, key: SessionRef) -> Option<Session> {
    let session = turn.state.sessions.remove(key)?;
    turn.state.rates.keep(session.user, session.buckets, turn.now.monotonic);
    if let Some(connection) = turn.state.connections.get_mut(session.conn) {
        connection.session = None;
    }
    listening::release_all(turn, session.user, &session.groups);
    Some(session)
}

/// Records in the database that a claimed session lost its connection or, with `ended`, is over. If the write fails,
/// other nodes infer it once this node falls silent.
pub(super) fn release(turn: &mut Turn<'_>, fence: Fence, ended: bool) {
    if fence.epoch != Epoch::NONE {
        turn.write_and_forget(Write::Release { fence, ended });
    }
}

/// Ends the sessions whose grace period has expired, and notifies friends.
pub(crate) fn expire_graces(turn: &mut Turn<'_>) {
    while let Some((user, epoch)) = turn.state.absences.take_ended(turn.now.monotonic) {
        if epoch == Epoch::NONE {
            presence::announce_gone(turn, user);
        } else {
            // The session may have been resumed on another node.
            let write = Write::Release { fence: Fence { user, epoch }, ended: true };
            turn.write(ReplyTo::Nowhere, Pending::Expire(user), write);
        }
    }
}
