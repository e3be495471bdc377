//! CHANGE_PASSWORD.
//!
//! ```text
//! look-up -> throttle -> old checked -> new hashed -> changed, all other tokens revoked -> their sessions end
//!                            | wrong, but this client made the last change
//!                            +-> new checked -> the change was made already
//! ```
//!
//! A client that has not received the reply may ask again: the last line answers it.

use crate::attempt::{Attempt, ClientKey};
use crate::contract::account::{self as storage, PasswordChange};
use crate::contract::{Denial, Found, Written};
use crate::effect::{PasswordJob, PasswordResult};
use crate::state::password_queue::Class;
use crate::state::pending::account::{NewPassword, Pending, Step};
use crate::state::pending::session::Revoker;
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::SessionRef;
use crate::turn::Turn;
use crate::{password, session, simple};
use wire::account::{ChangePassword, Who};
use wire::session::KickCode;
use wire::{Errno, Refusal};

pub(super) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef, change: ChangePassword) {
    let live = turn.state.sessions.of_caller(session);
    let (user, conn) = (live.user, live.conn);
    let Some(network) = turn.state.network_of(conn) else { return };
    let login = storage::Login { who: Who::Id(user), network, known: None };
    let by = Revoker { user, session };
    let pending = Pending::NewPassword(Box::new(NewPassword { by, change, step: Step::Lookup }));
    turn.read(reply_to, pending, storage::Read::Credentials(Box::new(login)));
}

pub(super) fn found(turn: &mut Turn<'_>, reply_to: ReplyTo, mut change: Box<NewPassword>, found: Found) {
    let stored = match found {
        Found::Account(storage::Found::Credentials(Some(stored))) => *stored,
        Found::Unavailable => return turn.unavailable(reply_to),
        _ => return turn.internal(reply_to),
    };
    let Some(live) = turn.state.sessions.get(change.by.session) else {
        return session::refuse_ended(turn, reply_to);
    };
    let (token, conn) = (live.token, live.conn);
    let Some(network) = turn.state.network_of(conn) else { return };
    // The account knows this client: others' wrong passwords do not hold it up, and its own count as those of its logins.
    let client = Some(ClientKey::of(&token));
    let attempt = Attempt { account: stored.user.into(), network, client, is_familiar: stored.is_familiar };
    if let Err(wait) = turn.state.login_throttle.check(&attempt, turn.now.monotonic) {
        return password::refuse_guess(turn, reply_to, network, wait);
    }
    let job = PasswordJob::Verify { hash: Some(stored.hash.clone()), password: change.change.old.clone() };
    let may_be_made = stored.changed_by == Some(token);
    change.step = Step::Check { attempt, stored: stored.hash, may_be_made };
    queue(turn, reply_to, change, job);
}

fn queue(turn: &mut Turn<'_>, reply_to: ReplyTo, change: Box<NewPassword>, job: PasswordJob) {
    let conn = turn.state.sessions.get(change.by.session).map(|live| live.conn);
    match conn.and_then(|conn| turn.state.network_of(conn)) {
        Some(network) => {
            password::queue(turn, reply_to, Pending::NewPassword(change), Class::Login, network, job);
        }
        None => session::refuse_ended(turn, reply_to),
    }
}

/// Handles the result of the password thread.
pub(super) fn done(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    mut change: Box<NewPassword>,
    result: PasswordResult,
) {
    match (std::mem::replace(&mut change.step, Step::CheckMade), result) {
        (Step::Check { attempt, stored, .. }, PasswordResult::Verified(true)) => {
            password::tried(turn, attempt, true);
            let job = PasswordJob::Hash { password: change.change.new.clone() };
            change.step = Step::Hash { stored };
            queue(turn, reply_to, change, job);
        }
        (Step::Check { attempt, stored, may_be_made }, PasswordResult::Verified(false)) => {
            password::tried(turn, attempt, false);
            if !may_be_made {
                return refuse_wrong(turn, reply_to);
            }
            let job = PasswordJob::Verify { hash: Some(stored), password: change.change.new.clone() };
            queue(turn, reply_to, change, job);
        }
        (Step::CheckMade, PasswordResult::Verified(true)) => session::answer_settled(turn, reply_to),
        (Step::CheckMade, PasswordResult::Verified(false)) => refuse_wrong(turn, reply_to),
        (Step::Hash { stored }, PasswordResult::Hashed(new)) => write(turn, reply_to, &change, stored, new),
        (_, _) => turn.internal(reply_to),
    }
}

fn refuse_wrong(turn: &mut Turn<'_>, reply_to: ReplyTo) {
    turn.answer(reply_to, Refusal::new(Errno::BadCredentials, "the old password is wrong").about("old"));
}

fn write(turn: &mut Turn<'_>, reply_to: ReplyTo, change: &NewPassword, old: Box<str>, new: Box<str>) {
    let by = change.by;
    let Some(live) = turn.state.sessions.get(by.session) else {
        return session::refuse_ended(turn, reply_to);
    };
    let change = PasswordChange { user: by.user, old, new, token: live.token };
    let write = storage::Write::ChangePassword(Box::new(change));
    simple::submit(turn, reply_to, by.session, Pending::ChangePassword(by), write);
}

pub(super) fn written(turn: &mut Turn<'_>, reply_to: ReplyTo, by: Revoker, written: Written) {
    match written {
        Written::Account(storage::Written::PasswordChanged(revoked)) => {
            session::revoked(turn, reply_to, by.user, Some(by.session), *revoked, KickCode::Password);
        }
        // It was changed since it was checked.
        Written::Denied(Denial::Conflict) => refuse_wrong(turn, reply_to),
        other => simple::refuse(turn, reply_to, &other, |_| "there is no such account"),
    }
}
