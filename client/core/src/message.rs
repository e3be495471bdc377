//! Sending messages from the outbox, and receiving messages.

use crate::backoff;
use crate::event::{Event, SendFailure};
use crate::outbox::{LocalId, SendError};
use crate::requests::Purpose;
use crate::state::Session;
use crate::timing::{REPLY_MS, WAIT_MAX_MS};
use std::sync::Arc;
use wire::message::{Push, Reply, Request, Sent};
use wire::{Command, Errno, Message, References, Refusal, Target};

/// How often a message is retried that the server answers with INTERNAL.
const INTERNAL_RETRIES: u32 = 3;

impl Session {
    /// Adds a message to the outbox. [`Event::Sent`] or [`Event::SendFailed`] follows, however long it takes and
    /// however often the connection is lost.
    pub fn send(&mut self, now: u64, target: Target, text: &str) -> Result<LocalId, SendError> {
        self.send_referring(now, target, text, None)
    }

    /// The same with a message that refers to others or to members.
    pub fn send_referring(
        &mut self,
        now: u64,
        target: Target,
        text: &str,
        references: Option<Box<References>>,
    ) -> Result<LocalId, SendError> {
        if self.account.is_none() {
            return Err(SendError::NotLoggedIn);
        }
        let local = self.outbox.add(target, text, references)?;
        self.note_unsent(local);
        self.pump(now);
        Ok(local)
    }

    pub(crate) fn pump_outbox(&mut self, now: u64) {
        while self.outbox.has_ready() && self.outbox.in_flight() < self.options.window {
            let Some((local, send)) = self.outbox.take_ready(now) else { return };
            let number = self.requests.begin(Purpose::Send(local), now + REPLY_MS);
            Command::Message(Request::Send(send.clone())).encode(number, &mut self.out);
            self.note_unsent(local);
        }
    }

    pub(crate) fn handle_message_reply(&mut self, now: u64, local: LocalId, reply: wire::Reply) -> bool {
        match reply {
            wire::Reply::Message(Reply::Sent(sent)) => self.handle_sent(now, local, &sent),
            wire::Reply::Refused(refusal) => self.handle_send_refused(now, local, refusal),
            _ => return false,
        }
        true
    }

    fn handle_sent(&mut self, now: u64, local: LocalId, sent: &Sent) {
        // A message that has left the outbox was recognised in a push by its cid.
        if self.outbox.remove(local, true) {
            let Sent { conversation, seq, time, .. } = *sent;
            self.events.push_back(Event::Sent { local, conversation, seq, time });
            self.take_own(now, conversation, seq, time);
        }
    }

    fn handle_send_refused(&mut self, now: u64, local: LocalId, refusal: Box<Refusal>) {
        let attempts = self.outbox.attempts(local);
        let is_temporary = match refusal.errno {
            Errno::Unavailable | Errno::Busy | Errno::RateLimited => true,
            Errno::Internal => attempts <= INTERNAL_RETRIES,
            _ => false,
        };
        if is_temporary {
            let asked = refusal.retry_after_ms.unwrap_or(0).min(WAIT_MAX_MS);
            let jitter = self.random.up_to(backoff::bound(attempts.saturating_sub(1)));
            self.outbox.retry(local, now + asked + jitter);
            self.events.push_back(Event::SendDelayed { local, refusal });
        } else if self.outbox.remove(local, false) {
            self.events.push_back(Event::SendFailed { local, failure: SendFailure::Refused(refusal) });
        }
    }

    pub(crate) fn handle_message_push(&mut self, now: u64, push: Push) {
        match push {
            Push::New(message) if self.is_online() => {
                if let Some(message) = self.hold_push(message) {
                    let id = message.conversation;
                    self.take_push(now, message);
                    self.advance(now, id);
                }
            }
            // Without a login there is no account that could receive it.
            Push::New(_) => {}
        }
    }

    /// Takes a pushed message into its place.
    pub(crate) fn take_push(&mut self, now: u64, message: Arc<Message>) {
        let (id, seq) = (message.conversation, message.seq);
        self.forget_former(id, seq, message.time);
        let begins_view = self.account.is_some_and(|account| message.begins_view_of(account));
        let state = self.conversations.entry(id).or_default();
        if begins_view {
            // What was pushed before it was all of an earlier view; what lies between is seen by others.
            state.buffer.learn_first(seq);
        }
        if !state.buffer.accept(message) && state.buffer.cursor().is_some_and(|cursor| seq <= cursor) {
            state.cursors.repeated(now, seq);
        }
    }
}
