//! Requests without a session. Each shows a password or a token; nobody sees the account come or go.
//!
//! ```text
//!   LOGIN    password or token -> as a login, up to its token
//!   LOGOUT   token looked up -> revoked, its sessions end
//!   SEND     token looked up -> extended where an hour has passed -> stored if the token is still in force
//! ```
//!
//! Until its token is known, a request is charged to the network of its client, then to its account.
//!
//! A message that was refused because its token was not known in time is not stored afterwards: its sender was told no
//! `cid` to send it again with.

use crate::conn::ConnId;
use crate::contract::session::{self as storage, Holder, Read, Which, Write};
use crate::contract::{Client, Found, Written};
use crate::effect::Grant;
use crate::limits::TOKEN_INVALID;
use crate::message::{self, Sender};
use crate::request::Sessionless;
use crate::state::pending::sessionless::{Action, Pending, TokenUse};
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use crate::{budget, session, simple};
use wire::limits::TOKEN_BYTES;
use wire::message::Send;
use wire::session::KickCode;
use wire::{Errno, Refusal};

pub(crate) fn begin(turn: &mut Turn<'_>, conn: ConnId, request: Sessionless) {
    let Some(connection) = turn.state.connections.get_mut(conn) else { return };
    connection.heard = turn.now.monotonic;
    connection.outstanding += 1;
    let reply_to = ReplyTo::Request { conn, kind: request.kind(), request: 0 };
    if let Err(wait) = budget::charge_token(turn.state, conn, turn.now.monotonic) {
        return turn.answer(reply_to, budget::refusal(wait));
    }
    if let Some(refusal) = turn.state.refusal_to_begin() {
        return turn.answer(reply_to, refusal);
    }
    let (token, action) = match request {
        Sessionless::Login(login) => return session::begin_without_session(turn, reply_to, conn, login),
        Sessionless::Logout { token } => (token, Action::Logout),
        Sessionless::Send { token, send } => (token, Action::Send(send)),
    };
    if token.len() > TOKEN_BYTES {
        return refuse_token(turn, reply_to);
    }
    if let Action::Send(Ok(send)) = &action
        && let Err(refusal) = message::admit(turn, send)
    {
        return turn.answer(reply_to, refusal);
    }
    let read = Read::Holder { token: token.clone() };
    turn.read(reply_to, Pending::Holder(Box::new(TokenUse { token, action })), read);
}

pub(crate) fn found(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, found: Found) {
    match (pending, found) {
        (Pending::Holder(token_use), Found::Session(storage::Found::Holder(Some(holder)))) => {
            holder_known(turn, reply_to, *token_use, *holder);
        }
        (Pending::Holder(_), Found::Session(storage::Found::Holder(None))) => refuse_token(turn, reply_to),
        (_, Found::Unavailable) => turn.unavailable(reply_to),
        (_, _) => turn.internal(reply_to),
    }
}

fn holder_known(turn: &mut Turn<'_>, reply_to: ReplyTo, token_use: TokenUse, holder: Holder) {
    let Holder { user, name, token, is_stale } = holder;
    let send = match token_use.action {
        Action::Logout => {
            let write = Write::Revoke { user, which: Which::Token(token) };
            return turn.write(reply_to, Pending::Revocation(user), write);
        }
        Action::Send(Ok(_)) if reply_to.is_nowhere() => return,
        Action::Send(Ok(send)) => send,
        Action::Send(Err(refusal)) => return turn.answer(reply_to, refusal),
    };
    if let Err(wait) = budget::charge_send(turn.state, user, &send, turn.now.monotonic) {
        return turn.answer(reply_to, budget::refusal(wait));
    }
    if !is_stale {
        return store(turn, reply_to, Sender { user, name, token }, send);
    }
    let Some(connection) = reply_to.conn().and_then(|conn| turn.state.connections.get(conn)) else { return };
    let client = Client { device: None, kind: None, address: connection.peer };
    let write = Write::ExtendToken { token: token_use.token, client };
    turn.write(reply_to, Pending::Extension(Box::new(send)), write);
}

pub(crate) fn written(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, written: Written) {
    match (pending, written) {
        (Pending::Extension(_), Written::Session(storage::Written::TokenReady(_)))
            if reply_to.is_nowhere() => {}
        (Pending::Extension(send), Written::Session(storage::Written::TokenReady(ready))) => {
            let storage::TokenReady { user, name, token, .. } = *ready;
            let sender = Sender { user, name: name.clone(), token: token.hash };
            turn.grant(reply_to, Grant { user, name, token: token.text, expires: token.expires });
            store(turn, reply_to, sender, *send);
        }
        (Pending::Revocation(user), Written::Session(storage::Written::Revoked(revoked))) => {
            session::revoked(turn, reply_to, user, None, *revoked, KickCode::Revoked);
        }
        (_, other) => simple::refuse(turn, reply_to, &other, |_| TOKEN_INVALID),
    }
}

fn store(turn: &mut Turn<'_>, reply_to: ReplyTo, sender: Sender, send: Send) {
    if let Err(refusal) = message::store_by_token(turn, reply_to, sender, send) {
        turn.answer(reply_to, refusal);
    }
}

fn refuse_token(turn: &mut Turn<'_>, reply_to: ReplyTo) {
    turn.answer(reply_to, Refusal::new(Errno::TokenInvalid, TOKEN_INVALID));
}
