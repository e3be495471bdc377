//! LOGIN up to its token: look up the account, check the password, issue or extend the token.

use super::ending;
use crate::attempt::{AccountKey, Attempt, ClientKey};
use crate::conflict::Conflict;
use crate::conn::ConnId;
use crate::contract::Client;
use crate::contract::account::{self, Credentials as Stored, Read};
use crate::contract::session::Write;
use crate::contract::token::PasswordHash;
use crate::effect::{Grant, PasswordJob};
use crate::limits::{ALREADY_ONLINE, WRONG_PASSWORD};
use crate::password;
use crate::request::Caller;
use crate::state::password_queue::Class;
use crate::state::pending::session::{
    CheckedAccount, PasswordCheck, PasswordLogin, Pending, Purpose, TokenReady, TokenRequest,
};
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use std::hash::BuildHasher;
use wire::account::Who;
use wire::session::{Credentials, Login};
use wire::{Errno, Reply, name};

pub(super) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, caller: Caller, login: Login) {
    if caller.session.is_some() {
        return turn.refuse(reply_to, Errno::Conflict, "this connection is logged in already");
    }
    if let Some(refusal) = turn.state.refusal_to_begin() {
        return turn.answer(reply_to, refusal);
    }
    let purpose = Purpose::Session { with_last: login.with_last, by_cookie: login.by_cookie };
    check(turn, reply_to, caller.conn, login, purpose);
}

/// Issues or extends a token for requests without a session. No session begins or ends.
pub(crate) fn begin_without_session(turn: &mut Turn<'_>, reply_to: ReplyTo, conn: ConnId, login: Login) {
    check(turn, reply_to, conn, login, Purpose::Token);
}

fn check(turn: &mut Turn<'_>, reply_to: ReplyTo, conn: ConnId, login: Login, purpose: Purpose) {
    let Login { credentials, device, kind, known, by_cookie, with_last: _ } = login;
    let Some(connection) = turn.state.connections.get(conn) else { return };
    let client = Client { device, kind, address: connection.peer };
    match credentials {
        Credentials::Token(token) if by_cookie && token.is_empty() => {
            let sentence =
                "LOGIN needs a password, a token, or a connection that was opened with a session cookie";
            turn.refuse(reply_to, Errno::NotLoggedIn, sentence);
        }
        Credentials::Token(token) => {
            let pending =
                Pending::Token(TokenRequest { device: client.device.clone(), is_new: false, purpose });
            turn.write(reply_to, pending, Write::ExtendToken { token, client });
        }
        Credentials::Password { who, password } => {
            let network = client.network();
            let read = Read::Credentials(Box::new(account::Login { who: who.clone(), network, known }));
            let pending = Pending::Account(Box::new(PasswordLogin { who, password, client, purpose }));
            turn.read(reply_to, pending, read);
        }
    }
}

/// Continues once the account was looked up. A missing account takes the same path, so that the answer does not reveal
/// it.
pub(super) fn account_known(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    login: PasswordLogin,
    stored: Option<Box<Stored>>,
) {
    let PasswordLogin { who, password, client, purpose } = login;
    let network = client.network();
    let attempt = Attempt {
        account: account_key(turn.state.boot, &who, stored.as_deref()),
        network,
        client: stored.as_ref().and_then(|stored| stored.known.as_ref()).map(ClientKey::of),
        is_familiar: stored.as_ref().is_some_and(|stored| stored.is_familiar),
    };
    if let Err(wait) = turn.state.login_throttle.check(&attempt, turn.now.monotonic) {
        return password::refuse_guess(turn, reply_to, network, wait);
    }
    let (account, hash) = match stored {
        Some(stored) => {
            let Stored { user, hash, .. } = *stored;
            (Some(CheckedAccount { user, password: hash.clone() }), Some(hash))
        }
        None => (None, None),
    };
    let pending = Pending::Password(Box::new(PasswordCheck { account, attempt, client, purpose }));
    let job = PasswordJob::Verify { hash, password };
    password::queue(turn, reply_to, pending, Class::Login, network, job);
}

/// Maps account ids, unknown ids and hashes of unknown names to keys in disjoint ranges.
fn account_key(seed: u64, who: &Who, stored: Option<&Stored>) -> AccountKey {
    const UNKNOWN: u64 = 1 << 63;
    match (stored, who) {
        (Some(stored), _) => stored.user.into(),
        (None, Who::Id(id)) => AccountKey(UNKNOWN >> 1 | u64::from(id.0)),
        (None, Who::Name(text)) => {
            AccountKey(UNKNOWN | foldhash::fast::FixedState::with_seed(seed).hash_one(name::key(text)))
        }
    }
}

pub(super) fn password_checked(turn: &mut Turn<'_>, reply_to: ReplyTo, check: PasswordCheck, is_right: bool) {
    let PasswordCheck { account, attempt, client, purpose } = check;
    let account = account.filter(|_| is_right);
    password::tried(turn, attempt, account.is_some());
    let Some(CheckedAccount { user, password }) = account else {
        return turn.refuse(reply_to, Errno::BadCredentials, WRONG_PASSWORD);
    };
    if !turn.state.is_connected(reply_to) {
        return;
    }
    let is_rejected =
        turn.state.rules.sessions.conflict == Conflict::Reject && turn.state.sessions.is_online(user);
    if is_rejected && purpose != Purpose::Token {
        return turn.refuse(reply_to, Errno::AlreadyOnline, ALREADY_ONLINE);
    }
    let pending = Pending::Token(TokenRequest { device: client.device.clone(), is_new: true, purpose });
    let password = PasswordHash(password);
    turn.write(reply_to, pending, Write::CreateToken { user, password, client });
}

/// Answers a login that was for nothing but its token.
pub(super) fn answer_without_session(turn: &mut Turn<'_>, reply_to: ReplyTo, ready: TokenReady) {
    let TokenReady { request, user, name, token, .. } = ready;
    if !turn.state.is_connected(reply_to) {
        // The client never receives the token that was issued for this login.
        if request.is_new {
            ending::revoke(turn, user, token.hash);
        }
        return;
    }
    turn.state.counters.logins += 1;
    turn.grant(reply_to, Grant { user, name, token: token.text, expires: token.expires });
    turn.answer(reply_to, Reply::Done);
}
