//! Sessions: LOGIN, LOGOUT, DEVICES and REVOKE, the pushes KICKED and GOING_AWAY, and how a session begins and ends.
//!
//! ```text
//! password: account -> throttle -> password thread -> token made \
//!                                                                 > takeover -> session begins -> view read -> reply
//! token:    token looked up and extended ------------------------/  (others may be kicked here)
//! ```
//!
//! The session begins *before* its cursors are read. A message that is stored in between is therefore not lost: either
//! the read returns it, or it is recorded in a track and fed later.

mod devices;
mod ending;
mod going_away;
mod login;
mod opening;
mod takeover;
mod welcome;

pub(crate) use ending::{
    Kick, answer_settled, closed, expire_graces, is_held, refuse_ended, retry_endings, revoked, superseded,
};
pub(crate) use going_away::tell_all as tell_going_away;
pub(crate) use login::begin_without_session;
pub(crate) use takeover::lock_answered;
pub(crate) use welcome::complete as send_welcome;

use crate::contract::{
    Denial, Found, Written, account, group, presence as stored_presence, session as storage, timeline,
};
use crate::effect::PasswordResult;
use crate::limits::{TOKEN_INVALID, WRONG_PASSWORD};
use crate::request::Caller;
use crate::simple;
use crate::state::pending::session::{Overdue, Pending, Purpose, TokenReady, TokenRequest};
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use wire::session::{KickCode, Request};
use wire::{Errno, Reply};

/// LOGIN does its own load check; LOGOUT is never refused, nor is what ends a session that somebody else may have.
pub(crate) fn begins_when_busy(request: &Request) -> bool {
    !matches!(request, Request::Devices)
}

/// Whether it begins with a read that counts against its requester.
pub(crate) fn is_read(request: &Request) -> bool {
    matches!(request, Request::Devices)
}

pub(crate) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, caller: Caller, request: Request) {
    match request {
        Request::Login(login) => login::begin(turn, reply_to, caller, login),
        Request::Logout => ending::log_out(turn, reply_to, caller.session()),
        Request::Devices => devices::list(turn, reply_to, caller.session()),
        Request::Revoke(revoke) => devices::revoke(turn, reply_to, caller.session(), revoke),
    }
}

pub(crate) fn written(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, written: Written) {
    match (pending, written) {
        (Pending::Token(request), Written::Session(storage::Written::TokenReady(ready))) => {
            let storage::TokenReady { user, name, token, device, kind } = *ready;
            let request = TokenRequest { device, ..request };
            let ready = TokenReady { request, user, name, token, kind };
            match ready.request.purpose {
                Purpose::Session { .. } => takeover::begin(turn, reply_to, ready),
                Purpose::Token => login::answer_without_session(turn, reply_to, ready),
            }
        }
        (Pending::Takeover(takeover), Written::Session(storage::Written::Claimed(claimed))) => {
            takeover::claimed(turn, reply_to, *takeover, *claimed);
        }
        (Pending::Takeover(takeover), Written::Denied(Denial::Conflict)) => {
            takeover::refused(turn, reply_to, *takeover, Errno::AlreadyOnline);
        }
        (Pending::Takeover(takeover), Written::Denied(Denial::TokenInvalid)) => {
            takeover::refused(turn, reply_to, *takeover, Errno::TokenInvalid);
        }
        (Pending::Takeover(takeover), Written::Failed) => {
            takeover::refused(turn, reply_to, *takeover, Errno::Internal);
        }
        (Pending::Takeover(takeover), _) => takeover::in_doubt(turn, reply_to, *takeover),
        // Also if it failed: everything before it has been decided.
        (Pending::EndedOthers(read), _) => opening::read_view(turn, reply_to, read),
        (Pending::Logout(session), Written::Done) => ending::logged_out_alone(turn, reply_to, session),
        (
            Pending::Logout(session),
            Written::Session(storage::Written::Ended { was_last, changes_status }),
        ) => {
            ending::logged_out(turn, reply_to, session, ending::Left { was_last, changes_status });
        }
        (Pending::Logout(session), other) => ending::logout_failed(turn, reply_to, session, &other),
        (Pending::Ending(ending), written) => ending::finished(turn, *ending, &written),
        (Pending::Token(TokenRequest { is_new: true, .. }), Written::Denied(Denial::Conflict)) => {
            turn.refuse(reply_to, Errno::BadCredentials, WRONG_PASSWORD);
        }
        (Pending::Revocation(by), Written::Session(storage::Written::Revoked(revoked))) => {
            ending::revoked(turn, reply_to, by.user, Some(by.session), *revoked, KickCode::Revoked);
        }
        (Pending::Revocation(_), other) => {
            simple::refuse(turn, reply_to, &other, |_| "the account has no login with this `id`");
        }
        // Also if it failed: everything before it has been decided.
        (Pending::Settled, _) => turn.answer(reply_to, Reply::Done),
        (_, other) => simple::refuse(turn, reply_to, &other, |_| TOKEN_INVALID),
    }
}

pub(crate) fn found(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, found: Found) {
    match (pending, found) {
        (Pending::Account(login), Found::Account(account::Found::Credentials(stored))) => {
            login::account_known(turn, reply_to, *login, stored);
        }
        (Pending::Groups(read), Found::Group(group::Found::GroupIds(groups))) => {
            opening::groups_known(turn, reply_to, read, groups);
        }
        (Pending::View(read), Found::Session(storage::Found::LoginView(view))) => {
            opening::view_known(turn, reply_to, read, view);
        }
        (Pending::Friends(read, view), Found::Presence(stored_presence::Found::Online(online))) => {
            opening::complete(turn, reply_to, read, *view, online);
        }
        (Pending::Devices(session), Found::Session(storage::Found::Devices(devices))) => {
            devices::listed(turn, reply_to, session, devices);
        }
        (Pending::Recount(read, recount), Found::Timeline(timeline::Found::Counts(counts))) => {
            opening::recounted(turn, reply_to, read, *recount, &counts);
        }
        (Pending::Welcome(welcome), found) => welcome::found(turn, reply_to, *welcome, found),
        (
            Pending::Groups(read)
            | Pending::View(read)
            | Pending::Friends(read, _)
            | Pending::Recount(read, _),
            found,
        ) => {
            ending::login_failed(turn, reply_to, read.session, &found);
        }
        (_, Found::Unavailable) => turn.unavailable(reply_to),
        (_, _) => turn.internal(reply_to),
    }
}

pub(crate) fn password_done(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    pending: Pending,
    result: PasswordResult,
) {
    match (pending, result) {
        (Pending::Password(check), PasswordResult::Verified(is_right)) => {
            login::password_checked(turn, reply_to, *check, is_right);
        }
        (_, _) => turn.internal(reply_to),
    }
}

pub(crate) fn overdue(turn: &mut Turn<'_>, reply_to: ReplyTo, overdue: &Overdue) {
    let Overdue::Login(session) = overdue;
    ending::login_failed(turn, reply_to, *session, &Found::Unavailable);
}

/// Resumes a login whose subscriptions are confirmed.
pub(crate) fn resume(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending) {
    match pending {
        Pending::Takeover(takeover) => takeover::lock(turn, reply_to, *takeover),
        Pending::View(read) => opening::read_view(turn, reply_to, read),
        other => debug_assert!(false, "this step waits for no channel: {other:?}"),
    }
}

/// Continues a login that the bus has not answered in time.
pub(crate) fn bus_overdue(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending) {
    match pending {
        Pending::Takeover(takeover) => takeover::bus_overdue(turn, reply_to, *takeover),
        other => debug_assert!(false, "this step does not wait for the bus: {other:?}"),
    }
}
