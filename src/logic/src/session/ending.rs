//! How a session ends: LOGOUT, a newer login, a lost connection, the end of its grace.

use crate::bus::{BusOrder, Channel, Hint};
use crate::conn::ConnId;
use crate::contract::presence::{Status, of_account};
use crate::contract::session::{self as storage, Ended, Revoked, Write};
use crate::contract::{Epoch, Fence, Found, Requester, TokenHash, Written};
use crate::effect::{DisconnectReason, Order};
use crate::limits::{SESSION_ENDED, TOKEN_INVALID};
use crate::state::State;
use crate::state::absences::Absent;
use crate::state::cluster::Cluster;
use crate::state::pending::session::{Ending, Pending};
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::{PendingLogin, Session, SessionRef};
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

/// LOGOUT: revokes the token, unless another session lives by it, then ends the session.
pub(super) fn log_out(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef) {
    let live = turn.state.sessions.of_caller(session);
    if !live.capabilities.can_be_refused() {
        // This client gets no reply, so the session ends even if storage is unreachable; `end` revokes the token.
        leave(turn, session);
        return turn.answer(reply_to, Reply::Done);
    }
    let (fence, token) = (Fence { user: live.user, epoch: live.epoch }, live.token);
    if fence.epoch != Epoch::NONE {
        let write = end_of(turn.state, fence, Some(token));
        return turn.write(reply_to, Pending::Logout(session), write);
    }
    if is_shared(turn.state, session, &token) {
        return logged_out(turn, reply_to, session, Left::default());
    }
    simple::submit(turn, reply_to, session, Pending::Logout(session), Write::RevokeToken(token));
}

/// Whether another session of the account on this node lives by a token.
fn is_shared(state: &State, session: SessionRef, token: &TokenHash) -> bool {
    let Some(user) = state.sessions.get(session).map(|live| live.user) else { return false };
    state.sessions.of(user).any(|(key, live)| key != session && live.token == *token)
        || state.absences.of(user).any(|absent| absent.token == *token)
}

/// What storage knows of an account, one of whose sessions has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Left {
    /// Whether it was the last one.
    pub was_last: bool,
    /// Whether the account shows something else by the others.
    pub changes_status: bool,
}

/// Ends the session once its token is revoked. `left` is of no meaning on a single node.
pub(super) fn logged_out(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef, left: Left) {
    if let Some(live) = turn.state.sessions.get(session) {
        let (conn, user) = (live.conn, live.user);
        let before = turn.state.status(user);
        remove(turn, session);
        turn.effects.order(conn, Order::LoggedOut { conn });
        match turn.state.cluster {
            Cluster::Solo => announce_end(turn, user, before.as_ref(), turn.now.monotonic),
            Cluster::Joined(_) => announce_left(turn, user, left, turn.now.monotonic),
        }
    }
    turn.answer(reply_to, Reply::Done);
}

/// The same on a single node, where the token is revoked.
pub(super) fn logged_out_alone(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef) {
    let of = turn.state.sessions.get(session).map(|live| (live.user, live.token));
    logged_out(turn, reply_to, session, Left::default());
    if let Some((user, token)) = of {
        token_revoked(turn, user, &token);
    }
}

/// LOGOUT could not be stored. Where a claimed session may have ended in the database, it ends here as well; its end is
/// stored later.
pub(super) fn logout_failed(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef, written: &Written) {
    if let Written::Unavailable = written
        && let Some(live) = turn.state.sessions.get(session).filter(|live| live.epoch != Epoch::NONE)
    {
        let (conn, fence, token) = (live.conn, Fence { user: live.user, epoch: live.epoch }, live.token);
        remove(turn, session);
        turn.effects.order(conn, Order::LoggedOut { conn });
        finish(turn, Ending::Session { fence, token: Some(token), heard: turn.now.monotonic });
    }
    simple::refuse(turn, reply_to, written, |_| TOKEN_INVALID);
}

/// Ends a session at its own request; its connection stays open.
fn leave(turn: &mut Turn<'_>, session: SessionRef) {
    if let Some(live) = turn.state.sessions.get(session) {
        let conn = live.conn;
        end(turn, session, turn.now.monotonic);
        turn.effects.order(conn, Order::LoggedOut { conn });
    }
}

/// Whether this node holds a session, connected or absent.
pub(crate) fn is_held(state: &State, Fence { user, epoch }: Fence) -> bool {
    state.sessions.of(user).any(|(_, live)| live.epoch == epoch)
        || state.absences.of(user).any(|absent| absent.epoch == epoch)
}

/// Ends a session on this node, connected or absent, that has ended in the database. Whoever ended it there tells the
/// friends if the user is gone.
pub(crate) fn superseded(turn: &mut Turn<'_>, Fence { user, epoch }: Fence, why: Kick) {
    turn.state.absences.remove(user, |absent| absent.epoch == epoch);
    let ended = turn.state.sessions.of(user).find(|(_, live)| live.epoch == epoch).map(|(key, _)| key);
    if let Some(key) = ended {
        kick(turn, key, why);
    }
}

/// Ends the sessions of a user that live by revoked tokens, on all nodes, and answers the request. That of a session
/// `by`: it ends without a KICKED if it is one of them.
pub(crate) fn revoked(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    user: UserId,
    by: Option<SessionRef>,
    revoked: Revoked,
    code: KickCode,
) {
    let Revoked { tokens, ended, is_gone, changes_status } = revoked;
    publish_ended(turn, user, &ended, None);
    let before = turn.state.status(user);
    for key in turn.state.sessions.keys_of(user) {
        let Some(live) = turn.state.sessions.get(key).filter(|live| tokens.include(&live.token)) else {
            continue;
        };
        let conn = live.conn;
        if Some(key) == by {
            remove(turn, key);
            turn.effects.order(conn, Order::LoggedOut { conn });
        } else {
            kick(turn, key, Kick { code, device: None });
        }
    }
    turn.state.absences.remove(user, |absent| tokens.include(&absent.token));
    match turn.state.cluster {
        Cluster::Solo => announce_end(turn, user, before.as_ref(), turn.now.monotonic),
        Cluster::Joined(_) => {
            announce_left(turn, user, Left { was_last: is_gone, changes_status }, turn.now.monotonic);
        }
    }
    answer_settled(turn, reply_to);
}

/// A session has ended during its login. Sessions that began after it took for granted that the friends are told of it.
fn announce_for_others(turn: &mut Turn<'_>, user: UserId, login: &PendingLogin) {
    if !login.was_present {
        presence::announce(turn, user);
    }
}

/// Tells the friends of a user, on a single node, what has changed by the end of sessions. `before`: what the user showed;
/// `heard`: when a client of the user was last heard of, monotonic ms.
fn announce_end(turn: &mut Turn<'_>, user: UserId, before: Option<&Status>, heard: u64) {
    let now = turn.state.status(user);
    if now.as_ref() == before {
        return;
    }
    match now {
        Some(_) => presence::announce(turn, user),
        None => presence::announce_gone(turn, user, heard),
    }
}

/// The same in a cluster, by what storage knows.
fn announce_left(turn: &mut Turn<'_>, user: UserId, left: Left, heard: u64) {
    if left.was_last && !turn.state.is_present(user) {
        presence::announce_gone(turn, user, heard);
    } else if left.changes_status {
        presence::announce(turn, user);
    }
}

/// Answers that revoked logins write nothing more. Without fences, what their sessions had sent to storage by now is
/// decided first, also if these ended earlier.
pub(crate) fn answer_settled(turn: &mut Turn<'_>, reply_to: ReplyTo) {
    match &turn.state.cluster {
        Cluster::Solo => turn.write(reply_to, Pending::Settled, Write::Settle),
        Cluster::Joined(_) => turn.answer(reply_to, Reply::Done),
    }
}

/// Notifies the nodes of sessions that were ended in the database. `device`: that of the login that ended them.
pub(super) fn publish_ended(turn: &mut Turn<'_>, user: UserId, ended: &[Ended], device: Option<&str>) {
    for Ended { node, epoch, .. } in ended {
        if turn.state.cluster.run().is_some_and(|run| **run != **node) {
            let hint = Hint::Kick { user, epoch: *epoch, device: device.map(Into::into) };
            turn.effects.bus.push(BusOrder::Publish { channel: Channel::Node((&**node).into()), hint });
        }
    }
}

/// Ends a session and tells its client why. Its earlier requests stay in effect.
pub(super) fn kick(turn: &mut Turn<'_>, older: SessionRef, kick: Kick) {
    let Some(session) = remove(turn, older) else { return };
    let conn = session.conn;
    if let Some(login) = session.login {
        if let Some(pending) = turn.state.pending.take(login.ticket) {
            turn.refuse(pending.reply_to, Errno::NotLoggedIn, SESSION_ENDED);
        }
        announce_for_others(turn, session.user, &login);
    }
    let Kick { code, device } = kick;
    let reason = reason_of(code).into();
    let push =
        Push::Kicked(Box::new(Kicked { reason, code: Some(code), device, time: turn.now.wall })).into();
    turn.effects.order(conn, Order::Push { conn, push });
    turn.effects.order(conn, Order::Close { conn, reason: DisconnectReason::Kicked });
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
        lose(turn, session, connection.heard);
    }
}

/// Fails a login whose data could not be read, as `found` says: its session ends as if the connection were lost.
pub(super) fn login_failed(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef, found: &Found) {
    lose(turn, session, turn.now.monotonic);
    match found {
        Found::Failed => turn.internal(reply_to),
        _ => turn.unavailable(reply_to),
    }
}

/// Handles a session that has lost its connection; its client was last heard of at `heard`, monotonic ms. During its grace
/// period it can be resumed, and friends still see the user online.
fn lose(turn: &mut Turn<'_>, key: SessionRef, heard: u64) {
    let Some(live) = turn.state.sessions.get(key) else { return };
    let (user, now) = (live.user, turn.now.monotonic);
    let was_announced = live.login.as_ref().is_none_or(|login| login.was_present);
    let can_return = was_announced && live.capabilities.retains_token();
    let (epoch, status) = (live.epoch, live.status.clone());
    let absent = Absent { token: live.token, device: live.device, kind: live.kind, status, epoch, heard };
    if can_return && turn.state.absences.begin(user, absent, now) {
        remove(turn, key);
        lost(turn, Fence { user, epoch }, heard);
    } else {
        end(turn, key, heard);
    }
}

/// Records in the database that a claimed session lost its connection. If the write fails, other nodes infer it once this
/// node falls silent.
pub(super) fn lost(turn: &mut Turn<'_>, fence: Fence, heard: u64) {
    if fence.epoch != Epoch::NONE {
        let silent = turn.now.monotonic.saturating_sub(heard);
        turn.write_and_forget(Write::Lose { fence, silent });
    }
}

/// Ends a session for good and notifies friends. Its client was last heard of at `heard`, monotonic ms.
fn end(turn: &mut Turn<'_>, key: SessionRef, heard: u64) {
    let Some(before) = turn.state.sessions.get(key).map(|live| turn.state.status(live.user)) else { return };
    let Some(session) = remove(turn, key) else { return };
    if let Some(login) = session.login {
        // The client is gone, so the login needs no answer.
        turn.state.pending.take(login.ticket);
        announce_for_others(turn, session.user, &login);
    }
    let (user, token) = (session.user, session.token);
    let token =
        (!session.capabilities.retains_token() && !turn.state.lives_by(user, &token)).then_some(token);
    if session.epoch != Epoch::NONE {
        return finish(turn, Ending::Session { fence: Fence { user, epoch: session.epoch }, token, heard });
    }
    if let Some(token) = token {
        revoke(turn, user, token);
    }
    announce_end(turn, user, before.as_ref(), heard);
}

/// Revokes the token of a session that has ended.
pub(super) fn revoke(turn: &mut Turn<'_>, user: UserId, token: TokenHash) {
    finish(turn, Ending::Token(user, token));
}

/// A token was revoked on a single node: what has begun to live by it in the meantime ends.
fn token_revoked(turn: &mut Turn<'_>, user: UserId, token: &TokenHash) {
    let before = turn.state.status(user);
    for key in turn.state.sessions.keys_of(user) {
        if turn.state.sessions.get(key).is_some_and(|live| live.token == *token) {
            kick(turn, key, Kick { code: KickCode::Revoked, device: None });
        }
    }
    turn.state.absences.remove(user, |absent| absent.token == *token);
    announce_end(turn, user, before.as_ref(), turn.now.monotonic);
}

/// Stores what follows from the end of a session, and tries again until that is stored.
pub(super) fn finish(turn: &mut Turn<'_>, ending: Ending) {
    let write = match &ending {
        Ending::Token(_, token) => Write::RevokeToken(*token),
        Ending::Session { fence, token, .. } => end_of(turn.state, *fence, *token),
        Ending::Claim(user, claim) => {
            let Some(run) = turn.state.cluster.run() else { return };
            let (node, grace) = (run.clone(), turn.state.rules.grace);
            Write::Abandon { user: *user, node, claim: *claim, grace }
        }
    };
    turn.write(ReplyTo::Nowhere, Pending::Ending(Box::new(ending)), write);
}

fn end_of(state: &State, fence: Fence, token: Option<TokenHash>) -> Write {
    Write::End { fence, grace: state.rules.grace, token }
}

/// Handles the outcome of [`finish`].
pub(super) fn finished(turn: &mut Turn<'_>, ending: Ending, written: &Written) {
    match (&ending, written) {
        (
            Ending::Session { fence: Fence { user, .. }, heard, .. },
            &Written::Session(storage::Written::Ended { was_last, changes_status }),
        ) => {
            announce_left(turn, *user, Left { was_last, changes_status }, *heard);
        }
        (Ending::Claim(user, _), &Written::Session(storage::Written::Ended { was_last, changes_status })) => {
            announce_left(turn, *user, Left { was_last, changes_status }, turn.now.monotonic);
        }
        // Whoever has logged in by it in the meantime lives by a token that is revoked.
        (Ending::Token(user, token), Written::Done) => token_revoked(turn, *user, token),
        (_, _) => {}
    }
    match written {
        Written::Unavailable => turn.state.unended.put(ending, turn.now.monotonic),
        // A fault does not pass.
        _ => turn.state.unended.succeeded(),
    }
}

/// Tries again to store what follows from the ends of sessions while storage could not be reached.
pub(crate) fn retry_endings(turn: &mut Turn<'_>) {
    for ending in turn.state.unended.take_due(turn.now.monotonic) {
        finish(turn, ending);
    }
}

fn remove(turn: &mut Turn<'_>, key: SessionRef) -> Option<Session> {
    let (session, buckets) = turn.state.sessions.remove(key)?;
    if let Some(buckets) = buckets {
        turn.state.rates.keep(session.user, buckets, turn.now.monotonic);
    }
    if let Some(connection) = turn.state.connections.get_mut(session.conn) {
        connection.session = None;
    }
    listening::release_all(turn, session.user, &session.groups);
    let of_login = session.login.as_ref().map(|login| login.ticket);
    let reads = turn.state.feeds.remove(&key).into_iter().chain(of_login);
    let requester = Requester::Account(session.user);
    turn.effects.unwanted.extend(reads.map(|ticket| (requester, ticket)));
    Some(session)
}

/// Ends the sessions whose grace period has expired, and notifies friends.
pub(crate) fn expire_graces(turn: &mut Turn<'_>) {
    while let Some((user, absent)) = turn.state.absences.take_ended(turn.now.monotonic) {
        let Absent { epoch, heard, .. } = absent;
        if epoch == Epoch::NONE {
            let status = absent.status.as_deref();
            let others = turn.state.sets_of(user);
            let before = of_account(others.chain([status]));
            announce_end(turn, user, before.as_ref(), heard);
        } else {
            // The session may have been resumed on another node.
            finish(turn, Ending::Session { fence: Fence { user, epoch }, token: None, heard });
        }
    }
}
