//! Changes of entries: EDIT, RECALL and REACT. A change is a simple request whose entry is delivered like a message,
//! also on the connection that made it. It counts towards the rate of messages of its account.

use crate::cluster::{self, Stored};
use crate::contract::change::{self as storage, Place, Refused, What};
use crate::contract::entry::{Actor, Entry};
use crate::contract::{Denial, Written};
use crate::request::Caller;
use crate::simple;
use crate::state::bucket::UNIT;
use crate::state::pending::change::Pending;
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use std::sync::Arc;
use wire::change::{Changed, Edit, React, Recall, Reply, Request};
use wire::{ChangeKind, Errno, Refusal};

pub(crate) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, caller: Caller, request: Request) {
    let session = caller.session();
    if let Some(buckets) = turn.state.sessions.buckets_of(session)
        && let Err(wait) = turn.state.rates.messages.take(&mut buckets.messages, UNIT, turn.now.monotonic)
    {
        let refusal = Refusal::later(Errno::RateLimited, "too many messages and changes; slow down", wait);
        return turn.answer(reply_to, refusal.with_limit("limits.messages_per_second"));
    }
    let live = turn.state.sessions.of_caller(session);
    let (user, name) = (live.user, Arc::clone(&live.name));
    let (conversation, seq, cid, what) = match request {
        Request::Edit(Edit { conversation, seq, content, cid }) => {
            (conversation, seq, cid, What::Edit { content, window: turn.state.rules.edit_window })
        }
        Request::Recall(Recall { conversation, seq, cid }) => {
            (conversation, seq, cid, What::Recall { window: turn.state.rules.recall_window })
        }
        Request::React(React { conversation, seq, reaction, on, cid }) => {
            (conversation, seq, cid, What::React { reaction, on })
        }
    };
    let by = Actor { user, name, cid: cid.unwrap_or_else(|| turn.state.next_cid()) };
    let write = storage::Write { by, conversation, seq, what };
    let pending = Pending::Storing { session, kind: write.change().kind };
    simple::submit(turn, reply_to, session, pending, write);
}

pub(crate) fn written(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, written: Written) {
    let Pending::Storing { session, kind } = pending;
    if !matches!(written, Written::Change(storage::Written::Made(_))) {
        // What makes no entry costs nothing.
        turn.state.put_back_message(session);
    }
    match written {
        Written::Change(storage::Written::Made(Entry { message, members })) => {
            turn.answer(reply_to, reply(kind, Changed { seq: message.seq, time: message.time }));
            cluster::deliver(turn, Stored { message, members, sent_by: None });
        }
        Written::Change(storage::Written::Unchanged(Place { seq, time })) => {
            turn.answer(reply_to, reply(kind, Changed { seq, time }));
        }
        Written::Change(storage::Written::Refused(why)) => turn.answer(reply_to, refusal(why)),
        other => simple::refuse(turn, reply_to, &other, |denial| match denial {
            Denial::Conflict => "the `cid` belongs to another message or change",
            _ => "only members may change messages",
        }),
    }
}

fn reply(kind: ChangeKind, changed: Changed) -> Reply {
    let changed = Box::new(changed);
    match kind {
        ChangeKind::Edit => Reply::Edited(changed),
        ChangeKind::Recall => Reply::Recalled(changed),
        ChangeKind::Reaction { .. } => Reply::Reacted(changed),
    }
}

fn refusal(why: Refused) -> Refusal {
    match why {
        Refused::Absent => Refusal::new(Errno::NotFound, "there is no such message").about("seq"),
        Refused::NoMessage => Refusal::new(Errno::BadRequest, "only messages can be changed").about("seq"),
        Refused::Recalled => Refusal::new(Errno::NotFound, "the message was recalled").about("seq"),
        Refused::Foreign => Refusal::new(Errno::Forbidden, "the message is somebody else's").about("seq"),
        Refused::TooLate(until) => {
            let refusal = Refusal::new(Errno::Forbidden, "it is too late to change the message").about("seq");
            Refusal { until: Some(until), ..refusal }
        }
        Refused::Kinds => {
            Refusal::new(Errno::Quota, "the message has 20 kinds of reactions, and no more").about("reaction")
        }
    }
}
