//! What is held for a client that gets no replies: messages of its ordered stream that are not stored yet, in order of
//! arrival, and requests that arrived above its budget.
//!
//! ```text
//!   oldest                                   newest
//!   | with storage: one stream of appends | waiting |
//! ```

use crate::contract::message::StreamId;
use std::collections::VecDeque;
use wire::Command;
use wire::message::Send;

/// The capacity that an empty backlog keeps.
const ROOM_KEPT: usize = 4;

#[derive(Debug, Default)]
pub(crate) struct Backlog {
    messages: VecDeque<Queued>,
    /// How many messages, from the front, are with storage.
    with_storage: usize,
    /// The stream of those appends; `None` if there are none. Storage refuses all appends that follow a failed one in a
    /// stream, and remembers failed streams only for a while, so each retry uses a new stream.
    stream: Option<StreamId>,
    /// Whether an append failed. Nothing is sent until storage has answered all of them; then everything is retried.
    has_failed: bool,
    /// Whether it is listed for the next retry.
    is_listed: bool,
    /// Requests that have not begun, because the budget of requests does not allow them yet.
    pub deferred: VecDeque<Deferred>,
}

/// A request that has not begun.
#[derive(Debug)]
pub(crate) struct Deferred {
    pub request: u32,
    pub command: Command,
}

#[derive(Debug)]
struct Queued {
    /// Has a `cid`, so that a retry is the same message.
    send: Send,
    since: u64,
}

impl Backlog {
    pub fn push(&mut self, send: Send, now: u64) {
        self.messages.push_back(Queued { send, since: now });
    }

    /// The oldest message that is not with storage.
    pub fn next(&self) -> Option<&Send> {
        self.messages.get(self.with_storage).map(|queued| &queued.send)
    }

    pub fn stream(&self) -> Option<StreamId> {
        self.stream
    }

    /// Whether a failed append keeps later messages back.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// When the oldest message arrived, monotonic ms.
    pub fn oldest(&self) -> Option<u64> {
        self.messages.front().map(|queued| queued.since)
    }

    /// Notes that the next message was sent to storage in `stream`.
    pub fn sent(&mut self, stream: StreamId) {
        (self.with_storage, self.stream) = (self.with_storage + 1, Some(stream));
    }

    /// Drops the next message, which was refused for good.
    pub fn discard_next(&mut self) {
        self.messages.remove(self.with_storage);
    }

    /// Handles the outcome of a message. Returns `false` if it is no longer in the backlog.
    pub fn answered(&mut self, cid: &str, is_stored_or_refused: bool) -> bool {
        // Storage answers in order, so this is the first message unless an earlier append failed.
        let is_it = |queued: &Queued| queued.send.cid.as_deref() == Some(cid);
        let Some(at) = self.messages.iter().position(is_it) else { return false };
        self.with_storage -= 1;
        if self.with_storage == 0 {
            self.stream = None;
        }
        if is_stored_or_refused {
            self.messages.remove(at);
            if self.messages.is_empty() {
                self.messages.shrink_to(ROOM_KEPT);
            }
        } else {
            self.has_failed = true;
        }
        true
    }

    /// Notes that it is listed for a retry. Returns `false` if it already was.
    pub fn list(&mut self) -> bool {
        !std::mem::replace(&mut self.is_listed, true)
    }

    /// Notes that it is no longer listed. If storage has answered all appends of a failed round, a new round may begin.
    pub fn unlist(&mut self) {
        self.is_listed = false;
        self.has_failed &= self.with_storage > 0;
    }
}
