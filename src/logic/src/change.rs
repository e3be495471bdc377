//! Changes of entries: REACT. A change is a simple request whose entry is delivered like a message, also on the connection
//! that made it. It counts towards the rate of messages of its account.

use crate::cluster::{self, Stored};
use crate::contract::change::{self as storage, Place, Refused};
use crate::contract::entry::{Actor, Entry};
use crate::contract::{Denial, Written};
use crate::request::Caller;
use crate::simple;
use crate::state::bucket::UNIT;
use crate::state::pending::change::Pending;
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use std::sync::Arc;
use wire::change::{Changed, React, Reply, Request};
use wire::{Errno, Refusal};

pub(crate) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, caller: Caller, request: Request) {
    let session = caller.session();
    let live = turn.state.sessions.of_caller(session);
    if let Err(wait) = turn.state.rates.messages.take(&mut live.buckets.messages, UNIT, turn.now.monotonic) {
        let refusal = Refusal::later(Errno::RateLimited, "too many messages and changes; slow down", wait);
        return turn.answer(reply_to, refusal.with_limit("limits.messages_per_second"));
    }
    let (user, name) = (live.user, Arc::clone(&live.name));
    let write = match request {
        Request::React(React { conversation, seq, reaction, on, cid }) => {
            let by = Actor { user, name, cid: cid.unwrap_or_else(|| turn.state.next_cid()) };
            storage::Write::React(storage::React { by, conversation, seq, reaction, on })
        }
    };
    simple::submit(turn, reply_to, session, Pending::Storing(session), write);
}

pub(crate) fn written(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, written: Written) {
    let Pending::Storing(session) = pending;
    if !matches!(written, Written::Change(storage::Written::Made(_))) {
        // What makes no entry costs nothing.
        turn.state.put_back_message(session);
    }
    match written {
        Written::Change(storage::Written::Made(Entry { message, members })) => {
            turn.answer(reply_to, Reply::Changed(Changed { seq: message.seq, time: message.time }));
            cluster::deliver(turn, Stored { message, members, sent_by: None });
        }
        Written::Change(storage::Written::Unchanged(Place { seq, time })) => {
            turn.answer(reply_to, Reply::Changed(Changed { seq, time }));
        }
        Written::Change(storage::Written::Refused(why)) => turn.answer(reply_to, refusal(why)),
        other => simple::refuse(turn, reply_to, &other, |denial| match denial {
            Denial::Conflict => "the `cid` belongs to another message or change",
            _ => "only members may change messages",
        }),
    }
}

fn refusal(why: Refused) -> Refusal {
    match why {
        Refused::Absent => Refusal::new(Errno::NotFound, "there is no such message").about("seq"),
        Refused::NoMessage => Refusal::new(Errno::BadRequest, "only messages can be changed").about("seq"),
        Refused::Kinds => {
            Refusal::new(Errno::Quota, "the message has 20 kinds of reactions, and no more").about("reaction")
        }
    }
}
