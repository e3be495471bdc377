//! Accounts. REGISTER checks that the name is free, hashes the password, then creates the account; PROFILE is one read;
//! CHANGE_PASSWORD checks the old password, hashes the new one, then changes it and ends all other sessions.

mod new_password;

use crate::contract::contact::Notes;
use crate::contract::{Denial, Found, Token, Written, account as storage};
use crate::effect::{PasswordJob, PasswordResult};
use crate::request::Caller;
use crate::state::bucket::UNIT;
use crate::state::password_queue::Class;
use crate::state::pending::account::Pending;
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use crate::{password, simple};
use wire::account::{Profile, Register, Registered, Relation, Reply, Request, Who};
use wire::{Errno, Refusal, UserId};

const NAME_TAKEN: &str = "`name` is taken, or looks like the name of another user";

pub(crate) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, caller: Caller, request: Request) {
    match request {
        Request::Register(register) => {
            let Some(network) = turn.state.network_of(caller.conn) else { return };
            if password::refuse_registration(turn, reply_to, network) {
                return;
            }
            // Hashing is expensive, so a name in use is refused first.
            let read = storage::Read::Id(Who::Name(register.name.clone()));
            turn.read(reply_to, Pending::Name(register), read);
        }
        Request::ChangePassword(change) => new_password::begin(turn, reply_to, caller.session(), *change),
        Request::Profile(who) => {
            let user = turn.state.sessions.of_caller(caller.session()).user;
            let who = who.unwrap_or(Who::Id(user));
            turn.read(reply_to, Pending::Profile { user }, storage::Read::Profile { user, who });
        }
        Request::Find(find) => turn.read(reply_to, Pending::Find, storage::Read::Find(find)),
    }
}

pub(crate) fn found(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, found: Found) {
    match (pending, found) {
        (Pending::Name(_), Found::Account(storage::Found::Id(Some(_)))) => {
            turn.answer(reply_to, name_taken());
        }
        (Pending::Name(register), Found::Account(storage::Found::Id(None))) => {
            name_is_free(turn, reply_to, register);
        }
        (Pending::Profile { user }, Found::Account(storage::Found::Profile(Some(profile)))) => {
            turn.answer(reply_to, Reply::Profile(Box::new(profile_of(user, *profile))));
        }
        (Pending::Profile { .. }, Found::Account(storage::Found::Profile(None))) => {
            turn.refuse(reply_to, Errno::NotFound, "there is no such user");
        }
        (Pending::Find, Found::Account(storage::Found::Users(found))) => {
            turn.answer(reply_to, Reply::Found(Box::new(found)));
        }
        (Pending::NewPassword(change), found) => new_password::found(turn, reply_to, change, found),
        (_, Found::Unavailable) => turn.unavailable(reply_to),
        (_, _) => turn.internal(reply_to),
    }
}

/// A profile as `user` sees it.
fn profile_of(user: UserId, profile: storage::Profile) -> Profile {
    let storage::Profile { user: id, name, nick, created, friend } = profile;
    let relation = match (id == user, &friend) {
        (true, _) => Relation::Oneself,
        (false, Some(_)) => Relation::Friend,
        (false, None) => Relation::None,
    };
    let Notes { remark, tag } = friend.unwrap_or_default();
    Profile { id, name, nick, created, relation, remark, tag }
}

fn name_is_free(turn: &mut Turn<'_>, reply_to: ReplyTo, register: Box<Register>) {
    let network = reply_to.conn().and_then(|conn| turn.state.network_of(conn));
    let Some(network) = network else { return };
    // Requests that were sent at once may have used the budget up by now.
    if password::refuse_registration(turn, reply_to, network) {
        return;
    }
    password::count_registration(turn, network);
    let job = PasswordJob::Hash { password: register.password.clone() };
    let pending = Pending::Password(register, network);
    password::queue(turn, reply_to, pending, Class::Registration, network, job);
}

pub(crate) fn password_done(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    pending: Pending,
    result: PasswordResult,
) {
    match (pending, result) {
        (Pending::Password(register, network), PasswordResult::Hashed(password)) => {
            let Register { name, nick, .. } = *register;
            turn.write(reply_to, Pending::Create(network), storage::Write::Create { name, password, nick });
        }
        (Pending::NewPassword(change), result) => new_password::done(turn, reply_to, change, result),
        (_, _) => turn.internal(reply_to),
    }
}

pub(crate) fn written(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, written: Written) {
    match (pending, written) {
        (Pending::Create(_), Written::Account(storage::Written::Created { user, token })) => {
            let Token { text, expires, .. } = token;
            let reply = Registered { id: user, token: text, token_expires: expires };
            turn.answer(reply_to, Reply::Registered(Box::new(reply)));
        }
        (Pending::Create(network), Written::Denied(Denial::NameTaken)) => {
            turn.state.registrations.put_back(network, UNIT);
            turn.answer(reply_to, name_taken());
        }
        (Pending::ChangePassword(by), written) => new_password::written(turn, reply_to, by, written),
        (_, other) => simple::refuse(turn, reply_to, &other, |_| "the account cannot be created"),
    }
}

fn name_taken() -> Refusal {
    Refusal::new(Errno::NameTaken, NAME_TAKEN).about("name")
}
