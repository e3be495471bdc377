//! The part of a connection that its codec works on: identity, flow control, output, and membership in the reactor's
//! work lists.

use crate::context::Context;
use crate::flow::{Flow, is_page};
use crate::output::Output;
use crate::output_budget::Claim;
use crate::peer::PeerAddress;
use crate::pending_logins::Age;
use logic::{ConnId, Input};
use websocket::{Kind, put_message};
use wire::limits::FRAME_BYTES_BEFORE_LOGIN;
use wire::{Command, UserId, timeline};

#[derive(Debug)]
pub(crate) struct Channel {
    pub id: ConnId,
    /// The client, which a PROXY header may have named.
    pub peer: PeerAddress,
    /// Decides which of too many connections without a login is closed.
    age: Age,
    /// It is in [`Context::pending_logins`].
    is_pending_login: bool,
    pub is_websocket: bool,
    /// The account that is logged in.
    pub user: Option<UserId>,
    pub flow: Flow,
    pub output: Output,
    /// Bytes of output that are encrypted and that the kernel has not taken.
    pub unsent: u32,
    /// What [`Context::output_budget`] has charged for it.
    charged: u32,
    /// It is in [`Context::awaiting_budget`].
    awaits_budget: bool,
    /// It is in [`Context::ready`].
    pub input_queued: bool,
    /// The peer has closed or reset its side, so the socket is read to its end.
    pub hung_up: bool,
    /// It is in [`Context::deliveries`] or [`Context::answers`].
    flush_queued: bool,
}

impl Channel {
    pub fn new(id: ConnId, peer: PeerAddress, context: &Context) -> Channel {
        Channel {
            id,
            peer,
            age: context.pending_logins.newest_age(),
            is_pending_login: false,
            is_websocket: false,
            user: None,
            flow: Flow::default(),
            output: Output::default(),
            unsent: 0,
            charged: 0,
            awaits_budget: false,
            input_queued: false,
            hung_up: false,
            flush_queued: false,
        }
    }

    /// Whether another request may be read from the peer: no LOGIN or LOGOUT is pending, not too many requests are
    /// unanswered, the peer reads its output, and no request waits for memory.
    pub fn gate_is_open(&self, context: &Context) -> bool {
        self.flow.is_open() && !self.awaits_budget && self.unwritten() <= context.limits.high_water
    }

    /// The maximum length of a request: it depends on whether the client is logged in.
    pub fn request_bytes(&self, context: &Context) -> usize {
        if self.user.is_some() { context.limits.frame_bytes } else { FRAME_BYTES_BEFORE_LOGIN }
    }

    /// Whether a request of this type may go to logic now. If not, the gate is closed until there is memory for the
    /// reply.
    pub fn admits(&mut self, kind: u16, context: &mut Context) -> bool {
        if !is_page(kind) || context.output_budget.admits_page(self.claim(), 0) {
            return true;
        }
        self.awaits_budget = true;
        context.awaiting_budget.push_back(self.id);
        false
    }

    /// Opens the gate if there is memory for the reply now, beside `promised` other pages. Returns whether there is.
    pub fn end_budget_wait(&mut self, promised: usize, context: &Context) -> bool {
        self.awaits_budget = !context.output_budget.admits_page(self.claim(), promised);
        !self.awaits_budget
    }

    fn unwritten(&self) -> usize {
        self.output.len() + self.unsent as usize
    }

    fn claim(&self) -> Claim {
        Claim { unwritten: self.unwritten(), pages: self.flow.pages() }
    }

    /// Charges the budget for output and pages.
    pub fn update_charge(&mut self, context: &Context) {
        let claim = self.claim();
        context.output_budget.update(&mut self.charged, claim);
    }

    pub fn is_charged(&self) -> bool {
        self.charged > 0
    }

    /// Passes a request to logic at the end of this turn.
    pub fn submit(&mut self, kind: u16, request: u32, command: Command, context: &mut Context) {
        self.flow.charge(kind, request);
        if is_page(kind) {
            self.update_charge(context);
        }
        // No client waits for the effect of a receipt.
        if !matches!(command, Command::Timeline(timeline::Request::Ack(_) | timeline::Request::Read(_))) {
            context.moderation.count(request != 0);
        }
        context.inputs.push(Input::Request { conn: self.id, request, command });
        self.update_pending_login(context);
    }

    /// Joins or leaves the list of connections without a login; call it when that may have changed.
    pub fn update_pending_login(&mut self, context: &Context) {
        let is_pending = self.user.is_none() && self.flow.is_idle();
        if self.is_pending_login != is_pending {
            self.is_pending_login = is_pending;
            match is_pending {
                true => context.pending_logins.join(self.id, self.peer, self.age),
                false => context.pending_logins.leave(self.peer, self.age),
            }
        }
    }

    pub fn is_pending_login(&self) -> bool {
        self.is_pending_login
    }

    /// Changes the client's address to that of a PROXY header.
    pub fn set_peer(&mut self, peer: PeerAddress, context: &Context) {
        self.leave_pending_logins(context);
        self.peer = peer;
        self.update_pending_login(context);
    }

    /// Leaves the list of connections without a login, because the connection is gone.
    pub fn leave_pending_logins(&mut self, context: &Context) {
        if std::mem::take(&mut self.is_pending_login) {
            context.pending_logins.leave(self.peer, self.age);
        }
    }

    pub fn log_out(&mut self, context: &Context) {
        self.user = None;
        self.age = context.pending_logins.newest_age();
        self.update_pending_login(context);
    }

    /// Appends what `encode` writes to the output, which is flushed at the end of this turn.
    pub fn write(&mut self, context: &mut Context, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(self.output.tail(&mut context.pool));
        self.queue_flush(context);
    }

    /// Like [`Channel::write`], for an answer. Answers are flushed after deliveries: the receiver of a message waits
    /// for it, its sender only for the confirmation.
    pub fn answer(&mut self, context: &mut Context, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(self.output.tail(&mut context.pool));
        if !self.flush_queued {
            self.flush_queued = true;
            context.answers.push(self.id);
        }
    }

    /// Appends one frame, which on a WebSocket is a message of its own.
    pub fn write_frame(&mut self, context: &mut Context, encode: impl FnOnce(&mut Vec<u8>)) {
        match self.is_websocket {
            false => self.write(context, encode),
            true => self.write(context, |out| put_message(out, Kind::Binary, None, encode)),
        }
    }

    /// Like [`Channel::write_frame`], for an answer.
    pub fn answer_frame(&mut self, context: &mut Context, encode: impl FnOnce(&mut Vec<u8>)) {
        match self.is_websocket {
            false => self.answer(context, encode),
            true => self.answer(context, |out| put_message(out, Kind::Binary, None, encode)),
        }
    }

    /// Queues the output for the flush at the end of this turn.
    pub fn queue_flush(&mut self, context: &mut Context) {
        if !self.flush_queued {
            self.flush_queued = true;
            context.deliveries.push(self.id);
        }
    }

    /// Notes that the queued flush is being carried out.
    pub fn begin_flush(&mut self) {
        self.flush_queued = false;
    }

    /// Queues the input for one of the next turns.
    pub fn queue_input(&mut self, context: &mut Context) {
        if !self.input_queued {
            self.input_queued = true;
            context.ready.push(self.id, self.user.is_some() && !self.hung_up);
        }
    }
}
