//! LOGIN and LOGOUT, and how a session begins and ends.
//!
//! ```text
//! password: account -> guard -> password thread -> token made  \
//!                                                               > session begins -> what it needs is read -> reply
//! token:    token looked up and extended ----------------------/        (an older one is kicked here)
//! ```
//!
//! The session begins *before* its cursors are read, so a message that is stored in between is seen one way or the
//! other: either the read has it, or it is noted as a track to be fed.

use crate::cluster::{entry, place};
use crate::conn::ConnId;
use crate::contract::session::LoginView;
use crate::contract::{self, Epoch, Read, Ticket, Token, TokenHash, Write};
use crate::effect::{CloseReason, Effects, Order, PasswordJob};
use crate::guard::Suspect;
use crate::limits::{DRAIN_RETRY_MS, LOGIN_GROUPS_BYTES};
use crate::parked::{Asked, LoginAccount, Stage, TokenReply};
use crate::session::{Joining, Session, SessionRef};
use crate::state::{GOING_AWAY, State};
use crate::welcome::{self, Welcoming};
use crate::{Conflict, Now, account, cluster, contact, delivery, grace, listing, rules};
use std::hash::BuildHasher;
use std::sync::Arc;
use wire::account::Who;
use wire::presence::Presence;
use wire::session::Kicked;
use wire::session::LoggedIn;
use wire::{Credentials, Errno, Push, Refusal, Reply, UserId, name};

/// What no answer carries.
const NOBODY: Ticket = Ticket(u64::MAX);
pub(crate) const ENDED: &str = "this session was ended by a newer login";

pub(crate) fn begin(
    state: &mut State,
    now: Now,
    asked: Asked,
    credentials: Credentials,
    device: Option<Box<str>>,
    fx: &mut Effects,
) {
    if state.session_of(asked.conn).is_some() {
        return state.refuse(now, asked, Errno::Conflict, "this connection is logged in already", fx);
    }
    if let Some(refusal) = state.refusal_to_begin() {
        return state.answer(now, asked, refusal, fx);
    }
    match credentials {
        Credentials::Token(token) => {
            let stage = Stage::LoginToken { device, made: false };
            state.write(
                now,
                Some(asked),
                stage,
                Write::Session(contract::session::Write::ExtendToken { token }),
                fx,
            );
        }
        Credentials::Password { who, password } => {
            let read = Read::Account(contract::account::Read::Password(who.clone()));
            let stage = Stage::LoginAccount(Box::new(LoginAccount { who, password, device }));
            state.read(now, Some(asked), stage, read, fx);
        }
    }
}

/// The account was looked up. An unknown one goes the same way, so that nobody can tell.
pub(crate) fn account_known(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    login: LoginAccount,
    account: Option<contract::account::Password>,
    fx: &mut Effects,
) {
    let Some(asked) = asked else { return };
    let Some(connection) = state.connections.get(asked.conn) else { return };
    let peer = connection.peer;
    if let Some(refusal) = account::passwords_full(state) {
        return state.answer(now, asked, refusal, fx);
    }
    let LoginAccount { who, password, device } = login;
    let suspect = suspect(state.boot, &who, account.as_ref());
    if let Err(wait) = state.guard.begin(suspect, peer, now.monotonic) {
        let refusal =
            Refusal::later(Errno::RateLimited, "too many wrong passwords; wait before the next try", wait);
        return state.answer(now, asked, refusal, fx);
    }
    let (user, hash) = account.map_or((None, None), |account| (Some(account.user), Some(account.hash)));
    let stage = Stage::LoginPassword { user, suspect, device };
    let ticket = state.parking.park(Some(asked), stage, now.monotonic);
    fx.passwords.push((ticket, PasswordJob::Verify { hash, password }));
}

fn suspect(seed: u64, who: &Who, account: Option<&contract::account::Password>) -> Suspect {
    const UNKNOWN: u64 = 1 << 63;
    Suspect(match (account, who) {
        (Some(account), _) => u64::from(account.user.0),
        (None, Who::Id(id)) => UNKNOWN >> 1 | u64::from(id.0),
        (None, Who::Name(text)) => {
            UNKNOWN | foldhash::fast::FixedState::with_seed(seed).hash_one(name::key(text))
        }
    })
}

pub(crate) struct Verified {
    pub user: Option<UserId>,
    pub suspect: Suspect,
    pub device: Option<Box<str>>,
    pub right: bool,
}

pub(crate) fn password_checked(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    verified: Verified,
    fx: &mut Effects,
) {
    let Some(asked) = asked else { return };
    let Verified { user, suspect, device, right } = verified;
    let Some(user) = user.filter(|_| right) else {
        return state.refuse(
            now,
            asked,
            Errno::BadCredentials,
            "the id, the name or the password is wrong",
            fx,
        );
    };
    let Some(connection) = state.connections.get(asked.conn) else { return };
    let peer = connection.peer;
    state.guard.succeeded(suspect, peer);
    if state.rules.conflict == Conflict::Reject && state.sessions.is_online(user) {
        return already_online(state, now, asked, fx);
    }
    let write = Write::Session(contract::session::Write::CreateToken { user, device: device.clone() });
    state.write(now, Some(asked), Stage::LoginToken { device, made: true }, write, fx);
}

fn already_online(state: &mut State, now: Now, asked: Asked, fx: &mut Effects) {
    state.refuse(now, asked, Errno::AlreadyOnline, "the account is online elsewhere", fx);
}

/// How a login came to its token.
#[derive(Debug)]
pub(crate) struct TokenReady {
    pub device: Option<Box<str>>,
    pub made: bool,
    pub user: UserId,
    pub name: Arc<str>,
    pub token: Token,
}

/// The token is good: the session begins.
pub(crate) fn token_ready(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    ready: TokenReady,
    fx: &mut Effects,
) {
    let reject = state.rules.conflict == Conflict::Reject && state.sessions.is_online(ready.user);
    if reject && state.cluster.is_none() {
        return give_up(state, now, asked, &ready, Errno::AlreadyOnline, fx);
    }
    let Some(asked) = still_asked(state, asked) else {
        return give_up(state, now, asked, &ready, Errno::Busy, fx);
    };
    if state.cluster.is_some() {
        return entry::begin(state, now, Some(asked), ready, fx);
    }
    let before = match state.sessions.of(ready.user) {
        Some(older) => kick(state, now, older, ready.device.clone(), fx),
        None => state.absences.take(ready.user).map(|absent| absent.token),
    };
    let begun = Begun { epoch: Epoch::NONE, before };
    let (session, token) = begin_session(state, now, asked, ready, begun, fx);
    read_view(state, now, Some(asked), session, token, fx);
}

/// Who asked, if that connection is still there and may log in.
pub(crate) fn still_asked(state: &State, asked: Option<Asked>) -> Option<Asked> {
    asked.filter(|asked| !state.draining && state.connections.get(asked.conn).is_some())
}

/// A login does not come to be.
pub(crate) fn give_up(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    ready: &TokenReady,
    errno: Errno,
    fx: &mut Effects,
) {
    // Nobody will get to know a token that was just made.
    if ready.made {
        state.write(
            now,
            None,
            Stage::Nothing,
            Write::Session(contract::session::Write::RevokeToken(ready.token.hash)),
            fx,
        );
    }
    let Some(asked) = asked else { return };
    match errno {
        Errno::AlreadyOnline => already_online(state, now, asked, fx),
        Errno::Unavailable => state.unavailable(now, Some(asked), fx),
        _ => state.refuse(now, asked, Errno::Busy, GOING_AWAY, fx),
    }
}

/// What a session begins with.
pub(crate) struct Begun {
    pub epoch: Epoch,
    /// The token of the session that was in force before.
    pub before: Option<TokenHash>,
}

/// The account's session is this connection's.
pub(crate) fn begin_session(
    state: &mut State,
    now: Now,
    asked: Asked,
    ready: TokenReady,
    begun: Begun,
    fx: &mut Effects,
) -> (SessionRef, Box<TokenReply>) {
    let TokenReady { user, name, token, .. } = ready;
    let Begun { epoch, before } = begun;
    // A client that reconnects with its token must not lose it to its own older connection.
    let resumed = before == Some(token.hash);
    if let Some(before) = before.filter(|_| !resumed) {
        state.write(
            now,
            None,
            Stage::Nothing,
            Write::Session(contract::session::Write::RevokeToken(before)),
            fx,
        );
    }
    let bucket = state.rates.arrive(user, now.monotonic);
    let claim = (token.hash, epoch);
    let connection = state.connections.get_mut(asked.conn).expect("its caller has looked");
    let session = state.sessions.insert(user, asked.conn, name, claim, bucket, now.monotonic);
    connection.session = Some(session);
    let is_legacy = connection.line.is_some();
    let joining =
        Joining { ticket: NOBODY, held: Vec::new(), back: before.is_some(), resumed, gathers: false };
    let live = state.sessions.get_mut(session).expect("inserted above");
    (live.is_legacy, live.joining) = (is_legacy, Some(Box::new(joining)));
    let Token { text, expires, .. } = token;
    (session, Box::new(TokenReply { text, expires }))
}

/// Reads what the session needs.
pub(crate) fn read_view(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    session: SessionRef,
    token: Box<TokenReply>,
    fx: &mut Effects,
) {
    let Some(live) = state.sessions.get(session) else { return };
    let read = Read::Session(contract::session::Read::LoginView { user: live.user });
    let ticket = state.parking.park(asked, Stage::LoginView { session, token }, now.monotonic);
    state.joins_by(session, ticket);
    fx.reads.push((ticket, read));
}

/// Ends an older session for a newer login; nothing it asked for before is undone. Gives the token it had.
pub(crate) fn kick(
    state: &mut State,
    now: Now,
    older: SessionRef,
    device: Option<Box<str>>,
    fx: &mut Effects,
) -> Option<TokenHash> {
    let session = remove(state, now, older, fx)?;
    let conn = session.conn;
    if let Some(joining) = session.joining
        && let Some(parked) = state.parking.take(joining.ticket)
        && let Some(asked) = parked.asked
    {
        state.refuse(now, asked, Errno::NotLoggedIn, ENDED, fx);
    }
    let reason = "the account logged in on another connection".into();
    let push =
        Push::Session(wire::session::Push::Kicked(Box::new(Kicked { reason, device, time: now.wall })));
    fx.order(conn, Order::Push { conn, push });
    fx.order(conn, Order::Close { conn, reason: CloseReason::Kicked });
    Some(session.token)
}

/// What the session needs is there; of friends elsewhere the database knows whether they are online.
pub(crate) fn view_read(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    (session, token): (SessionRef, Box<TokenReply>),
    view: Box<LoginView>,
    fx: &mut Effects,
) {
    let users: Vec<UserId> = view.friends.iter().map(|friend| friend.user).collect();
    if state.cluster.is_none() || users.is_empty() {
        return view_ready(state, now, asked, session, *token, (*view, Vec::new()), fx);
    }
    let read = Read::Presence(contract::presence::Read::Online { users, grace: state.rules.grace });
    let stage = Stage::LoginFriends { session, token, view };
    let ticket = state.parking.park(asked, stage, now.monotonic);
    state.joins_by(session, ticket);
    fx.reads.push((ticket, read));
}

/// All that the session needs is there: the reply, then whatever it has missed.
pub(crate) fn view_ready(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    session: SessionRef,
    token: TokenReply,
    (mut view, online): (LoginView, Vec<UserId>),
    fx: &mut Effects,
) {
    let Some(live) = state.sessions.get_mut(session) else { return };
    if live.is_legacy {
        return welcome::begin(state, now, asked, Welcoming::new(session, view, online), fx);
    }
    let (user, conn, name) = (live.user, live.conn, live.name.clone());
    let Some(joining) = live.joining.take() else { return };
    let Joining { held, back, resumed, .. } = *joining;
    let unread = std::mem::take(&mut view.unread);
    for entry in &mut view.conversations {
        listing::lay_over(&state.cursors, user, entry);
    }
    let mut friends = listing::friends(state, view.friends);
    listing::mark_online(&mut friends, &online);
    let groups_more = view.groups_more | listing::cut_groups(&mut view.groups, LOGIN_GROUPS_BYTES);
    let reply = LoggedIn {
        id: user,
        name: (&*name).into(),
        token: token.text,
        token_expires: token.expires,
        node: state.rules.node.clone(),
        resumed,
        friends,
        groups: view.groups,
        conversations: view.conversations,
        friends_more: view.friends_more,
        groups_more,
        conversations_more: view.conversations_more,
    };
    fx.order(conn, Order::LoggedIn { conn, user });
    if let Some(asked) = asked {
        state.answer(now, asked, Reply::Session(wire::session::Reply::LoggedIn(Box::new(reply))), fx);
    }
    for push in held {
        fx.order(conn, Order::Push { conn, push });
    }
    if state.draining {
        rules::go_away(conn, DRAIN_RETRY_MS, place::elsewhere(state), fx);
    }
    if !back {
        contact::announce(state, now, user, Presence::Online, &view.friend_ids, fx);
    }
    delivery::unread_known(state, now, session, unread, fx);
}

/// What the session needs could not be read: as if its connection were lost.
pub(crate) fn view_failed(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    session: SessionRef,
    fx: &mut Effects,
) {
    lose(state, now, session, fx);
    state.unavailable(now, asked, fx);
}

pub(crate) fn logout(state: &mut State, now: Now, asked: Asked, session: SessionRef, fx: &mut Effects) {
    let live = state.sessions.get(session).expect("a connection's session ends with it");
    if live.is_legacy {
        // It could not be told of a refusal, and its token is not what it logs in by.
        return revoked(state, now, Some(asked), session, fx);
    }
    let write = Write::Session(contract::session::Write::RevokeToken(live.token));
    state.write(now, Some(asked), Stage::Logout(session), write, fx);
}

/// The token of a session that logs out is revoked.
pub(crate) fn revoked(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    session: SessionRef,
    fx: &mut Effects,
) {
    if let Some(live) = state.sessions.get(session) {
        let conn = live.conn;
        end(state, now, session, fx);
        fx.order(conn, Order::LoggedOut { conn });
    }
    if let Some(asked) = asked {
        state.answer(now, asked, Reply::Done, fx);
    }
}

/// A connection is gone.
pub(crate) fn closed(state: &mut State, now: Now, conn: ConnId, fx: &mut Effects) {
    if let Some(connection) = state.connections.close(conn)
        && let Some(session) = connection.session
    {
        lose(state, now, session, fx);
    }
}

/// A session has lost its connection: within its grace it can be resumed, and nobody sees it go.
fn lose(state: &mut State, now: Now, session: SessionRef, fx: &mut Effects) {
    let Some(live) = state.sessions.get(session) else { return };
    let came = live.joining.as_ref().is_none_or(|joining| joining.back);
    let claim = (live.user, live.epoch);
    // A legacy client has no token to come back with.
    let may_return = came && !live.is_legacy;
    if may_return && state.absences.begin(live.user, live.token, live.epoch, now.monotonic) {
        remove(state, now, session, fx);
        cluster::release(state, now, claim, false, fx);
    } else {
        end(state, now, session, fx);
    }
}

/// Ends a session for good, and has its friends told.
fn end(state: &mut State, now: Now, session: SessionRef, fx: &mut Effects) {
    if let Some(session) = remove(state, now, session, fx) {
        if let Some(joining) = session.joining {
            // Nobody waits for its answer any more.
            state.parking.take(joining.ticket);
        }
        if session.is_legacy {
            // Its client does not know the token.
            state.write(
                now,
                None,
                Stage::Nothing,
                Write::Session(contract::session::Write::RevokeToken(session.token)),
                fx,
            );
        }
        cluster::release(state, now, (session.user, session.epoch), true, fx);
        grace::over(state, now, session.user, fx);
    }
}

fn remove(state: &mut State, now: Now, session: SessionRef, fx: &mut Effects) -> Option<Session> {
    let session = state.sessions.remove(session)?;
    state.rates.leave(session.user, session.bucket, now.monotonic);
    if let Some(connection) = state.connections.get_mut(session.conn) {
        connection.session = None;
    }
    entry::left(state, session.user, &session.groups, fx);
    Some(session)
}
