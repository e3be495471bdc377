//! Sending: the outbox, and the requests of the user.

use super::{Link, Open, Phase, Session};
use crate::event::{Event, Failure, SendFailure};
use crate::outbox::{LocalId, SendError};
use crate::requests::{Purpose, RequestId};
use wire::account::Who;
use wire::message::Sent;
use wire::{Command, ConversationId, Direction, Errno, Page, Refusal, Seq, Target, UserId, limits};
use wire::{contact, group, message, timeline};

/// The longest wait that a refusal can ask for, milliseconds: as long as the server's own longest.
pub const WAIT_MAX_MS: u64 = 300_000;
/// How often a message is sent again that makes the server fail.
const INTERNAL_RETRIES: u32 = 3;

impl Session {
    /// Writes a message. [`Event::Sent`] or [`Event::SendFailed`] follows, however long it takes and however often
    /// the connection is lost.
    pub fn send(&mut self, now: u64, target: Target, text: &str) -> Result<LocalId, SendError> {
        if self.account.is_none() {
            return Err(SendError::NotLoggedIn);
        }
        let local = self.outbox.add(target, text)?;
        self.note_unsent(local);
        self.pump(now);
        Ok(local)
    }

    /// The reader has read a conversation up to `seq`.
    pub fn read(&mut self, now: u64, conversation: ConversationId, seq: Seq) {
        if let Some(state) = self.conversations.get_mut(&conversation) {
            state.cursors.read_up_to(now, seq.min(state.timeline.cursor().unwrap_or_default()));
            self.reports.set(conversation, state.cursors.due());
            self.note_conversation(conversation);
        }
    }

    /// Asks anything that needs a login. [`Event::Reply`] or [`Event::Failed`] follows, once.
    pub fn ask(&mut self, now: u64, command: &Command) -> RequestId {
        let request = self.next_request();
        if self.may_work() {
            self.transmit(now, command, Purpose::Asked(request));
        } else {
            self.events.push_back(Event::Failed { request, failure: Failure::Offline });
        }
        request
    }

    /// Asks for messages of a timeline, at most 200.
    pub fn history(&mut self, now: u64, of: ConversationId, direction: Direction, limit: u32) -> RequestId {
        self.ask(
            now,
            &Command::Timeline(timeline::Request::History(timeline::History {
                conversation: of,
                direction,
                limit: limit.clamp(1, limits::PAGE_MAX),
            })),
        )
    }

    /// Asks for the friends whose id is above `after`, and the requests that wait.
    pub fn friends(&mut self, now: u64, after: u32) -> RequestId {
        self.ask(now, &Command::Contact(contact::Request::Friends(Page { after, limit: limits::PAGE_MAX })))
    }

    /// Asks for the groups whose id is above `after`.
    pub fn groups(&mut self, now: u64, after: u32) -> RequestId {
        self.ask(now, &Command::Group(group::Request::Groups(Page { after, limit: limits::PAGE_MAX })))
    }

    /// Asks to be friends.
    pub fn add_friend(&mut self, now: u64, who: Who) -> RequestId {
        self.ask(now, &Command::Contact(contact::Request::Add(contact::Add { who, message: None })))
    }

    /// Accepts or refuses a friend request.
    pub fn answer_friend(&mut self, now: u64, id: UserId, accept: bool) -> RequestId {
        self.ask(
            now,
            &Command::Contact(contact::Request::Answer(contact::Answer { id, accept, message: None })),
        )
    }

    /// Makes a group.
    pub fn create_group(&mut self, now: u64, name: &str, desc: &str) -> RequestId {
        self.ask(
            now,
            &Command::Group(group::Request::Create(group::Create { name: name.into(), desc: desc.into() })),
        )
    }

    /// Joins a group.
    pub fn join_group(&mut self, now: u64, group: ConversationId) -> RequestId {
        self.ask(now, &Command::Group(group::Request::Join(group::Join { conversation: group })))
    }

    pub(super) fn pump_outbox(&mut self, now: u64) {
        while self.outbox.has_ready() && self.outbox.in_flight() < self.options.window {
            let Some((local, send)) = self.outbox.take_ready(now) else { return };
            let number = self.requests.begin(Purpose::Send(local), now + super::REPLY_MS);
            Command::Message(message::Request::Send(send.clone())).encode(number, &mut self.out);
            self.note_unsent(local);
        }
    }

    pub(super) fn handle_sent(&mut self, now: u64, local: LocalId, sent: &Sent) {
        // One that is no longer there was recognised by its cid in a push, and has its place already.
        if self.outbox.remove(local, true) {
            let Sent { conversation, seq, time, .. } = *sent;
            self.events.push_back(Event::Sent { local, conversation, seq, time });
            self.take_own(now, conversation, seq);
        }
    }

    pub(super) fn handle_send_refused(&mut self, now: u64, local: LocalId, refusal: Box<Refusal>) {
        let attempts = self.outbox.attempts(local);
        let again = match refusal.errno {
            Errno::Unavailable | Errno::Busy | Errno::RateLimited => true,
            Errno::Internal => attempts <= INTERNAL_RETRIES,
            _ => false,
        };
        if again {
            let asked = refusal.retry_after_ms.unwrap_or(0).min(WAIT_MAX_MS);
            let jitter = self.random.up_to(crate::backoff::bound(attempts.saturating_sub(1)));
            self.outbox.retry(local, now + asked + jitter);
            self.events.push_back(Event::SendDelayed { local, refusal });
        } else if self.outbox.remove(local, false) {
            self.events.push_back(Event::SendFailed { local, failure: SendFailure::Refused(refusal) });
        }
    }

    /// Reports every cursor that waits, at once: before leaving.
    pub fn report_all(&mut self) {
        if let Link::Open(Open { phase: Phase::Online { .. } | Phase::LoggingOut, .. }) = &self.link {
            self.pump_reports(u64::MAX);
        }
    }
}
