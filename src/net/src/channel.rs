//! The part of a connection that its codec works on: identity, flow control, output, and places in the work lists of
//! the current turn.

use crate::context::Context;
use crate::flow::Flow;
use crate::output::Output;
use logic::{ConnId, Input};
use wire::limits::FRAME_BYTES_BEFORE_LOGIN;
use wire::{Command, UserId, timeline};

#[derive(Debug)]
pub(crate) struct Channel {
    pub id: ConnId,
    /// The account that is logged in.
    pub user: Option<UserId>,
    pub flow: Flow,
    pub output: Output,
    /// In [`Context::ready`].
    pub listed: bool,
    /// The peer has closed or reset its side, so the socket is read to its end.
    pub hung_up: bool,
    /// In [`Context::deliveries`] or [`Context::answers`].
    dirty: bool,
}

impl Channel {
    pub fn new(id: ConnId) -> Channel {
        Channel {
            id,
            user: None,
            flow: Flow::default(),
            output: Output::default(),
            listed: false,
            hung_up: false,
            dirty: false,
        }
    }

    /// Whether another request may be taken from the peer: the meaning of what follows is settled, not too many
    /// requests are unanswered, and the peer reads its output.
    pub fn gate_is_open(&self, context: &Context) -> bool {
        self.flow.is_open() && self.output.len() <= context.limits.high_water
    }

    /// Bytes that a request may have now.
    pub fn request_bytes(&self, context: &Context) -> usize {
        if self.user.is_some() { context.limits.frame_bytes } else { FRAME_BYTES_BEFORE_LOGIN }
    }

    /// Passes a request to logic at the end of this turn.
    pub fn submit(&mut self, kind: u16, request: u32, command: Command, context: &mut Context) {
        self.flow.charge(kind, request);
        // Nobody waits for the effects of a receipt.
        if !matches!(command, Command::Timeline(timeline::Request::Ack(_) | timeline::Request::Read(_))) {
            context.moderation.count(request != 0);
        }
        context.inputs.push(Input::Request { conn: self.id, request, command });
    }

    /// Appends what `encode` writes to the output, which is flushed at the end of this turn.
    pub fn write(&mut self, context: &mut Context, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(self.output.tail(&mut context.pool));
        self.mark(context);
    }

    /// Like [`Channel::write`], for an answer: answers are flushed after deliveries, because the sender of a message
    /// already knows it and its receiver waits for it.
    pub fn answer(&mut self, context: &mut Context, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(self.output.tail(&mut context.pool));
        if !self.dirty {
            self.dirty = true;
            context.answers.push(self.id);
        }
    }

    /// Has the output flushed at the end of this turn.
    pub fn mark(&mut self, context: &mut Context) {
        if !self.dirty {
            self.dirty = true;
            context.deliveries.push(self.id);
        }
    }

    /// The flush that a mark asked for begins.
    pub fn unmark(&mut self) {
        self.dirty = false;
    }

    /// Has the input continued in the next turn.
    pub fn list(&mut self, context: &mut Context) {
        if !self.listed {
            self.listed = true;
            context.ready.push(self.id, self.user.is_some() && !self.hung_up);
        }
    }
}
