//! LOGIN up to its token: look up the account, check the password, issue or extend the token.

use crate::contract::account::{Password, Read};
use crate::contract::session::Write;
use crate::effect::PasswordJob;
use crate::limits::ALREADY_ONLINE;
use crate::request::Caller;
use crate::settings::Conflict;
use crate::state::login_throttle::AccountKey;
use crate::state::pending::session::{PasswordCheck, PasswordLogin, Pending, TokenRequest};
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use std::hash::BuildHasher;
use wire::account::Who;
use wire::session::{Credentials, Login};
use wire::{Errno, Refusal, name};

pub(super) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, caller: Caller, login: Login) {
    let Login { credentials, device } = login;
    if caller.session.is_some() {
        return turn.refuse(reply_to, Errno::Conflict, "this connection is logged in already");
    }
    if let Some(refusal) = turn.state.refusal_to_begin() {
        return turn.answer(reply_to, refusal);
    }
    match credentials {
        Credentials::Token(token) => {
            let pending = Pending::Token(TokenRequest { device, is_new: false });
            turn.write(reply_to, pending, Write::ExtendToken { token });
        }
        Credentials::Password { who, password } => {
            let read = Read::Password(who.clone());
            let pending = Pending::Account(Box::new(PasswordLogin { who, password, device }));
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
    account: Option<Password>,
) {
    let connection = reply_to.conn().and_then(|conn| turn.state.connections.get(conn));
    let Some(peer) = connection.map(|connection| connection.peer) else { return };
    if let Some(refusal) = turn.state.refusal_to_hash() {
        return turn.answer(reply_to, refusal);
    }
    let PasswordLogin { who, password, device } = login;
    let key = throttle_key(turn.state.boot, &who, account.as_ref());
    if let Err(wait) = turn.state.login_throttle.begin(key, peer, turn.now.monotonic) {
        let sentence = "too many wrong passwords; wait before the next try";
        return turn.answer(reply_to, Refusal::later(Errno::RateLimited, sentence, wait));
    }
    let (user, hash) = account.map_or((None, None), |account| (Some(account.user), Some(account.hash)));
    let pending = Pending::Password(PasswordCheck { user, key, device });
    turn.hash(reply_to, pending, PasswordJob::Verify { hash, password });
}

/// Maps account ids, unknown ids and hashes of unknown names to keys in disjoint ranges.
fn throttle_key(seed: u64, who: &Who, account: Option<&Password>) -> AccountKey {
    const UNKNOWN: u64 = 1 << 63;
    AccountKey(match (account, who) {
        (Some(account), _) => u64::from(account.user.0),
        (None, Who::Id(id)) => UNKNOWN >> 1 | u64::from(id.0),
        (None, Who::Name(text)) => {
            UNKNOWN | foldhash::fast::FixedState::with_seed(seed).hash_one(name::key(text))
        }
    })
}

pub(super) fn password_checked(turn: &mut Turn<'_>, reply_to: ReplyTo, check: PasswordCheck, is_right: bool) {
    if reply_to.is_nowhere() {
        return;
    }
    let PasswordCheck { user, key, device } = check;
    let Some(user) = user.filter(|_| is_right) else {
        return turn.refuse(reply_to, Errno::BadCredentials, "the id, the name or the password is wrong");
    };
    let connection = reply_to.conn().and_then(|conn| turn.state.connections.get(conn));
    let Some(peer) = connection.map(|connection| connection.peer) else { return };
    turn.state.login_throttle.succeeded(key, peer);
    if turn.state.rules.conflict == Conflict::Reject && turn.state.sessions.is_online(user) {
        return turn.refuse(reply_to, Errno::AlreadyOnline, ALREADY_ONLINE);
    }
    let write = Write::CreateToken { user, device: device.clone() };
    let pending = Pending::Token(TokenRequest { device, is_new: true });
    turn.write(reply_to, pending, write);
}
