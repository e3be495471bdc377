//! Simple requests: a single write does all the checks and the work in one transaction, and its outcome is the answer.
//!
//! ```text
//!   begin:    submit(write)  ->  storage  ->  written: the noun's own outcome   -> reply, and pushes
//!                                                      any other, refuse(...)   -> refusal
//! ```
//!
//! A noun adds such a request as a line in `begin` and a line in `written`.

use crate::contract::{Denial, Epoch, Fence, Write, Written};
use crate::limits::SESSION_ENDED;
use crate::state::pending::Pending;
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::SessionRef;
use crate::turn::{FollowUp, Turn};
use wire::{Errno, Refusal};

/// Sends a write to storage on behalf of a session. Storage rejects it if the session has ended.
pub(crate) fn submit(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    session: SessionRef,
    pending: impl Into<Pending>,
    write: impl Into<Write>,
) {
    let write = write.into();
    let write = match turn.state.sessions.get(session) {
        Some(live) if live.epoch != Epoch::NONE => {
            Write::Fenced(Fence { user: live.user, epoch: live.epoch }, Box::new(write))
        }
        _ => write,
    };
    turn.write(reply_to, pending, write);
}

/// Answers a request whose write was not carried out. `sentence` explains a denial to the client.
pub(crate) fn refuse(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    written: &Written,
    sentence: impl FnOnce(Denial) -> &'static str,
) {
    match written {
        Written::Unavailable => turn.unavailable(reply_to),
        Written::Superseded => superseded(turn, reply_to),
        Written::Denied(Denial::Quota(quota)) => {
            let refusal = Refusal::new(Errno::Quota, quota.sentence()).with_limit(quota.key());
            turn.answer(reply_to, Refusal { until: quota.until(), ..refusal });
        }
        Written::Denied(Denial::Reference(why)) => turn.answer(reply_to, why.refusal()),
        Written::Denied(denial) => turn.refuse(reply_to, errno(*denial), sentence(*denial)),
        _ => turn.internal(reply_to),
    }
}

fn errno(denial: Denial) -> Errno {
    match denial {
        Denial::NotFound => Errno::NotFound,
        Denial::Forbidden => Errno::Forbidden,
        Denial::Conflict => Errno::Conflict,
        Denial::Oneself => Errno::BadRequest,
        Denial::NameTaken => Errno::NameTaken,
        Denial::TokenInvalid => Errno::TokenInvalid,
        Denial::Quota(_) => Errno::Quota,
        Denial::Reference(why) => why.errno(),
    }
}

/// Refuses the request and ends the caller's session, which has ended in the database.
fn superseded(turn: &mut Turn<'_>, reply_to: ReplyTo) {
    let Some(conn) = reply_to.conn() else { return };
    let session = turn.state.session_of(conn).and_then(|key| turn.state.sessions.get(key));
    let fence = session.map(|session| Fence { user: session.user, epoch: session.epoch });
    turn.refuse(reply_to, Errno::NotLoggedIn, SESSION_ENDED);
    if let Some(fence) = fence {
        turn.follow_ups.push_back(FollowUp::Superseded(fence));
    }
}
