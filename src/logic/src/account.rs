//! REGISTER: is the name free, hash the password, make the account.

use crate::Now;
use crate::contract::account::Password;
use crate::contract::{self, Read, Token, Write};
use crate::effect::{Effects, PasswordJob};
use crate::limits::{BUSY_RETRY_MS, PASSWORDS_MAX};
use crate::parked::{Asked, Stage};
use crate::state::State;
use wire::account;
use wire::account::Registered;
use wire::account::{Register, Who};
use wire::{Errno, Refusal, Reply, UserId};

const TAKEN: &str = "`name` is taken";

pub(crate) fn register(state: &mut State, now: Now, asked: Asked, register: Box<Register>, fx: &mut Effects) {
    // Asked first, because hashing is what costs: a taken name is refused at once.
    let read = Read::Account(contract::account::Read::Password(Who::Name(register.name.clone())));
    state.read(now, Some(asked), Stage::RegisterName(register), read, fx);
}

pub(crate) fn name_known(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    register: Box<Register>,
    holder: Option<Password>,
    fx: &mut Effects,
) {
    let Some(asked) = asked else { return };
    if holder.is_some() {
        return state.refuse(now, asked, Errno::NameTaken, TAKEN, fx);
    }
    if let Some(refusal) = passwords_full(state) {
        return state.answer(now, asked, refusal, fx);
    }
    let password = register.password.clone();
    let ticket = state.parking.park(Some(asked), Stage::RegisterPassword(register), now.monotonic);
    fx.passwords.push((ticket, PasswordJob::Hash { password }));
}

/// Why no further password can be hashed now, if so.
pub(crate) fn passwords_full(state: &State) -> Option<Refusal> {
    (state.parking.passwords >= PASSWORDS_MAX)
        .then(|| Refusal::later(Errno::Busy, "too many passwords are being checked", 5 * BUSY_RETRY_MS))
}

pub(crate) fn hashed(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    register: Register,
    password: Box<str>,
    fx: &mut Effects,
) {
    let Register { name, nick, .. } = register;
    state.write(
        now,
        asked,
        Stage::RegisterAccount,
        Write::Account(contract::account::Write::Create { name, password, nick }),
        fx,
    );
}

pub(crate) fn made(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    user: UserId,
    token: Token,
    fx: &mut Effects,
) {
    let Some(asked) = asked else { return };
    let Token { text, expires, .. } = token;
    let reply = Registered { id: user, token: text, token_expires: expires };
    state.answer(now, asked, Reply::Account(account::Reply::Registered(Box::new(reply))), fx);
}

pub(crate) fn taken(state: &mut State, now: Now, asked: Option<Asked>, fx: &mut Effects) {
    if let Some(asked) = asked {
        state.refuse(now, asked, Errno::NameTaken, TAKEN, fx);
    }
}
