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

use crate::conn::ConnId;
use crate::effect::{CloseReason, Effects, Order, PasswordJob};
use crate::guard::Suspect;
use crate::limits::LOGIN_GROUPS_BYTES;
use crate::parked::{Asked, LoginAccount, Stage, TokenReply};
use crate::session::{Joining, Session, SessionRef};
use crate::state::State;
use crate::store::{Account, LoginView, Read, Token, Write};
use crate::welcome::{self, Welcoming};
use crate::{Conflict, Now, account, contact, delivery, listing};
use std::hash::BuildHasher;
use std::sync::Arc;
use wire::command::Who;
use wire::push::Kicked;
use wire::reply::{LoggedIn, Presence};
use wire::{Credentials, Errno, Push, Refusal, Reply, UserId, name};

const ENDED: &str = "this session was ended by a newer login";

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
            state.write(now, Some(asked), stage, Write::ExtendToken { token }, fx);
        }
        Credentials::Password { who, password } => {
            let read = Read::Account(who.clone());
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
    account: Option<Account>,
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
    let (user, hash) = account.map_or((None, None), |account| (Some(account.user), Some(account.password)));
    let stage = Stage::LoginPassword { user, suspect, device };
    let ticket = state.parking.park(Some(asked), stage, now.monotonic);
    fx.passwords.push((ticket, PasswordJob::Verify { hash, password }));
}

fn suspect(seed: u64, who: &Who, account: Option<&Account>) -> Suspect {
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
    let write = Write::CreateToken { user, device: device.clone() };
    state.write(now, Some(asked), Stage::LoginToken { device, made: true }, write, fx);
}

fn already_online(state: &mut State, now: Now, asked: Asked, fx: &mut Effects) {
    state.refuse(now, asked, Errno::AlreadyOnline, "the account is online elsewhere", fx);
}

/// How a login came to its token.
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
    let TokenReady { device, made, user, name, token } = ready;
    let reject = state.rules.conflict == Conflict::Reject && state.sessions.is_online(user);
    let alive = asked.filter(|asked| !state.draining && state.connections.get(asked.conn).is_some());
    let Some(asked) = alive.filter(|_| !reject) else {
        // Nobody will get to know a token that was just made.
        if made {
            state.write(now, None, Stage::Nothing, Write::RevokeToken(token.hash), fx);
        }
        if let Some(asked) = asked {
            match reject {
                true => already_online(state, now, asked, fx),
                false => state.refuse(now, asked, Errno::Busy, "the server is going away", fx),
            }
        }
        return;
    };
    let back = match state.sessions.of(user) {
        Some(older) => {
            kick(state, now, older, device, &token, fx);
            true
        }
        None => false,
    };
    let bucket = state.rates.arrive(user, now.monotonic);
    let connection = state.connections.get_mut(asked.conn).expect("looked up above");
    let is_legacy = connection.line.is_some();
    let session = state.sessions.insert(user, asked.conn, name, token.hash, bucket, is_legacy);
    connection.session = Some(session);
    let Token { text, expires, .. } = token;
    let stage = Stage::LoginView { session, back, token: Box::new(TokenReply { text, expires }) };
    let ticket = state.parking.park(Some(asked), stage, now.monotonic);
    state.sessions.get_mut(session).expect("inserted above").joining =
        Some(Box::new(Joining { ticket, held: Vec::new(), gathers: false }));
    fx.reads.push((ticket, Read::Login { user }));
}

/// Ends an older session for a newer login; nothing it asked for before is undone.
fn kick(
    state: &mut State,
    now: Now,
    older: SessionRef,
    device: Option<Box<str>>,
    token: &Token,
    fx: &mut Effects,
) {
    let Some(session) = remove(state, now, older) else { return };
    let conn = session.conn;
    if let Some(joining) = session.joining
        && let Some(parked) = state.parking.take(joining.ticket)
        && let Some(asked) = parked.asked
    {
        state.refuse(now, asked, Errno::NotLoggedIn, ENDED, fx);
    }
    // A client that reconnects with its token must not lose it to its own older connection.
    if session.token != token.hash {
        state.write(now, None, Stage::Nothing, Write::RevokeToken(session.token), fx);
    }
    let reason = "the account logged in on another connection".into();
    let push = Push::Kicked(Box::new(Kicked { reason, device, time: now.wall }));
    fx.order(conn, Order::Push { conn, push });
    fx.order(conn, Order::Close { conn, reason: CloseReason::Kicked });
}

/// What the session needs is there: the reply, then whatever it has missed.
pub(crate) fn view_ready(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    session: SessionRef,
    back: bool,
    token: TokenReply,
    mut view: LoginView,
    fx: &mut Effects,
) {
    let Some(live) = state.sessions.get_mut(session) else { return };
    if live.is_legacy {
        return welcome::begin(state, now, asked, Welcoming::new(session, back, view), fx);
    }
    let (user, conn, name) = (live.user, live.conn, live.name.clone());
    let held = live.joining.take().map(|joining| joining.held).unwrap_or_default();
    let unread = std::mem::take(&mut view.unread);
    for entry in &mut view.conversations {
        listing::lay_over(&state.cursors, user, entry);
    }
    let friends = listing::friends(&state.sessions, view.friends);
    let groups_more = view.groups_more | listing::cut_groups(&mut view.groups, LOGIN_GROUPS_BYTES);
    let reply = LoggedIn {
        id: user,
        name: (&*name).into(),
        token: token.text,
        token_expires: token.expires,
        node: state.rules.node.clone(),
        resumed: false,
        friends,
        groups: view.groups,
        conversations: view.conversations,
        friends_more: view.friends_more,
        groups_more,
        conversations_more: view.conversations_more,
    };
    fx.order(conn, Order::LoggedIn { conn, user });
    if let Some(asked) = asked {
        state.answer(now, asked, Reply::LoggedIn(Box::new(reply)), fx);
    }
    for push in held {
        fx.order(conn, Order::Push { conn, push });
    }
    if !back {
        contact::announce(state, user, Presence::Online, &view.friend_ids, fx);
    }
    delivery::unread_known(state, now, session, unread, fx);
}

/// What the session needs could not be read: as if the login had not been.
pub(crate) fn view_failed(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    session: SessionRef,
    fx: &mut Effects,
) {
    end(state, now, session, fx);
    state.unavailable(now, asked, fx);
}

pub(crate) fn logout(state: &mut State, now: Now, asked: Asked, session: SessionRef, fx: &mut Effects) {
    let live = state.sessions.get(session).expect("a connection's session ends with it");
    if live.is_legacy {
        // It could not be told of a refusal, and its token is not what it logs in by.
        return revoked(state, now, Some(asked), session, fx);
    }
    let write = Write::RevokeToken(live.token);
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
        end(state, now, session, fx);
    }
}

/// Ends a session for good, and has its friends told.
fn end(state: &mut State, now: Now, session: SessionRef, fx: &mut Effects) {
    if let Some(session) = remove(state, now, session) {
        if let Some(joining) = session.joining {
            // Nobody waits for its answer any more.
            state.parking.take(joining.ticket);
        }
        if session.is_legacy {
            // Its client does not know the token.
            state.write(now, None, Stage::Nothing, Write::RevokeToken(session.token), fx);
        }
        let user = session.user;
        state.read(now, None, Stage::Presence(user), Read::FriendIds { user }, fx);
    }
}

fn remove(state: &mut State, now: Now, session: SessionRef) -> Option<Session> {
    let session = state.sessions.remove(session)?;
    state.rates.leave(session.user, session.bucket, now.monotonic);
    if let Some(connection) = state.connections.get_mut(session.conn) {
        connection.session = None;
    }
    Some(session)
}
