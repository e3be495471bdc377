//! Appends in flight.

use crate::contract::Fence;
use crate::limits::{ANSWER_MS, BACKLOG_MS};
use crate::state::sessions::SessionRef;

#[derive(Debug)]
pub(crate) enum Pending {
    /// SEND: the message is being stored.
    Append(PendingAppend),
}

#[derive(Debug)]
pub(crate) struct PendingAppend {
    pub sender: Fence,
    /// `None`: of a client without one.
    pub session: Option<SessionRef>,
    pub cid: Box<str>,
    /// The length of its content.
    pub bytes: usize,
    /// Whether it is part of its connection's backlog, which is retried instead of refused.
    pub in_backlog: bool,
}

/// What to do about an append that has waited too long. The message may still be stored and is then delivered.
#[derive(Debug)]
pub(crate) enum Overdue {
    /// Answer its sender UNAVAILABLE, with the `cid` to retry with.
    Answer { cid: Box<str> },
    /// Close its connection.
    Close,
}

impl Pending {
    pub fn patience(&self) -> u64 {
        let Pending::Append(append) = self;
        if append.in_backlog { BACKLOG_MS } else { ANSWER_MS }
    }

    pub fn overdue(&self) -> Overdue {
        let Pending::Append(append) = self;
        if append.in_backlog { Overdue::Close } else { Overdue::Answer { cid: append.cid.clone() } }
    }
}
