//! Messages that the kernel took on connections whose clients acknowledge nothing: logic is told as if they had.
//!
//! Nobody waits for it, so it goes with what is told anyway, and alone only where there is much of it or it is a tick old.

use super::deadline::Tick;
use logic::limits::LEGACY_WINDOW;
use logic::{ConnId, Input};
use wire::{Command, ConversationId, Seq};

/// Messages of one loop that are enough to tell logic of nothing else: a reader that is fed must not run dry.
const MUCH: u32 = LEGACY_WINDOW / 4;

/// What logic has not been told yet.
#[derive(Debug, Default)]
pub(super) struct Taken {
    acks: Vec<Input>,
    messages: u32,
    since: Tick,
}

impl Taken {
    /// The kernel has all bytes of this message.
    pub fn report(&mut self, conn: ConnId, (conversation, seq): (ConversationId, Seq), now: Tick) {
        if self.messages == 0 {
            self.since = now;
        }
        self.messages += 1;
        self.acks.push(Input::Request { conn, request: 0, command: Command::Ack { conversation, seq } });
    }

    /// When it must be told at the latest.
    pub fn next(&self) -> Option<Tick> {
        (self.messages > 0).then_some(Tick(self.since.0 + 1))
    }

    /// Puts it before `inputs`, if there are any or it is time: what was delivered before a connection logged out or
    /// ended must be known first.
    pub fn join(&mut self, inputs: &mut Vec<Input>, now: Tick) {
        let due = self.messages >= MUCH || self.next().is_some_and(|tick| tick <= now);
        if self.messages > 0 && (due || !inputs.is_empty()) {
            self.messages = 0;
            self.acks.append(inputs);
            std::mem::swap(&mut self.acks, inputs);
        }
    }
}
