//! The server's own protocol on a WebSocket: each binary message is one frame. What frames mean is [`super::tlv`]'s.

use super::tlv::{self, Tlv};
use super::{Codec, FanOut, Liveness};
use crate::channel::Channel;
use crate::close::CloseReason;
use crate::context::Context;
use std::mem;
use std::sync::Arc;
use websocket::{CloseCode, Control, Event, Fault, Reader, Role, put_close, put_control};
use wire::legacy::Welcome;
use wire::limits::HEADER_BYTES;
use wire::session::CookieToken;
use wire::{Dialect, Frame, Message, Push, Reply};

// An idle one holds nothing else.
const _: () = assert!(size_of::<WebSocket>() <= 192);

#[derive(Debug)]
pub(crate) struct WebSocket {
    reader: Reader,
    /// Bytes since the gate closed.
    pending: Vec<u8>,
    /// A message that waits for memory for its reply; empty: none.
    held: Vec<u8>,
    /// Nothing may follow it.
    has_sent_close: bool,
    /// What LOGIN without credentials logs in by.
    session: Option<CookieToken>,
}

impl WebSocket {
    pub fn new(session: Option<CookieToken>) -> WebSocket {
        let reader = Reader::new(Role::Server, false);
        WebSocket { reader, pending: Vec::new(), held: Vec::new(), has_sent_close: false, session }
    }
}

/// Why a message or a stream of them is not read any further.
enum Refused {
    Fault(Fault),
    /// A message is not exactly one frame.
    NotOneFrame,
    /// The client has closed the connection.
    Closed(Option<CloseCode>),
}

impl WebSocket {
    /// Handles the message that was held, then those in `bytes`, while the gate is open. Returns how many bytes were
    /// taken.
    fn decode_messages(
        &mut self,
        bytes: &[u8],
        scratch: &mut Vec<u8>,
        channel: &mut Channel,
        context: &mut Context,
    ) -> Result<usize, Refused> {
        if !self.held.is_empty() && channel.gate_is_open(context) {
            let held = mem::take(&mut self.held);
            if !handle_message(&held, self.session.as_ref(), channel, context)? {
                self.held = held;
                return Ok(0);
            }
        }
        let mut rest = bytes;
        while !rest.is_empty() && channel.gate_is_open(context) {
            let limit = HEADER_BYTES + channel.request_bytes(context);
            match self.reader.next(&mut rest, limit, scratch).map_err(Refused::Fault)? {
                None | Some(Event::Pong) => {}
                Some(Event::Message(_, message)) => {
                    if !handle_message(message, self.session.as_ref(), channel, context)? {
                        self.held = message.to_vec();
                    }
                }
                Some(Event::Ping(payload)) => {
                    channel.write(context, |out| put_control(out, Control::Pong, None, payload));
                }
                Some(Event::Close(code)) => return Err(Refused::Closed(code)),
            }
        }
        self.reader.release();
        Ok(bytes.len() - rest.len())
    }

    fn send_close(&mut self, code: Option<CloseCode>, channel: &mut Channel, context: &mut Context) {
        if !mem::replace(&mut self.has_sent_close, true) {
            channel.write(context, |out| put_close(out, code, None));
        }
    }
}

/// Handles one message. Returns whether it was; if not, it waits for memory for its reply.
fn handle_message(
    message: &[u8],
    session: Option<&CookieToken>,
    channel: &mut Channel,
    context: &mut Context,
) -> Result<bool, Refused> {
    match wire::split_frame(message, channel.request_bytes(context)) {
        Ok(Some((frame, length))) if length == message.len() => {
            let Frame { kind, .. } = frame;
            let is_admitted = channel.admits(kind, context);
            if is_admitted {
                tlv::handle_frame(frame, session, channel, context);
            }
            Ok(is_admitted)
        }
        _ => Err(Refused::NotOneFrame),
    }
}

impl Codec for WebSocket {
    fn dialect(&self) -> Dialect {
        Dialect::Tlv
    }

    fn liveness(&self) -> Liveness {
        Liveness::Deadlines
    }

    fn has_room(&self) -> bool {
        true
    }

    fn has_pending(&self) -> bool {
        !self.pending.is_empty() || !self.held.is_empty()
    }

    fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Any byte may be the end of a message.
    fn missing(&self) -> usize {
        usize::MAX
    }

    fn decode(
        &mut self,
        bytes: &[u8],
        channel: &mut Channel,
        context: &mut Context,
    ) -> Result<usize, CloseReason> {
        let mut scratch = mem::take(&mut context.message);
        let decoded = self.decode_messages(bytes, &mut scratch, channel, context);
        context.message = scratch;
        let (code, reason) = match decoded {
            Ok(used) => return Ok(used),
            Err(Refused::Fault(fault)) => (Some(fault.code()), CloseReason::BadWebSocket(fault)),
            Err(Refused::NotOneFrame) => (Some(CloseCode::Invalid), CloseReason::NotOneFrame),
            Err(Refused::Closed(code)) => (code, CloseReason::PeerClosed),
        };
        self.send_close(code, channel, context);
        Err(reason)
    }

    fn reply(
        &mut self,
        kind: u16,
        request: u32,
        reply: &Reply,
        channel: &mut Channel,
        context: &mut Context,
    ) {
        Tlv::default().reply(kind, request, reply, channel, context);
    }

    /// Nothing: logic sends a welcome to legacy clients only.
    fn welcome(&mut self, _welcome: &Welcome, _channel: &mut Channel, _context: &mut Context) {}

    fn push(&mut self, push: &Push, fan_out: &mut FanOut, channel: &mut Channel, context: &mut Context) {
        Tlv::default().push(push, fan_out, channel, context);
    }

    fn deliver(
        &mut self,
        message: &Arc<Message>,
        fan_out: &mut FanOut,
        channel: &mut Channel,
        context: &mut Context,
    ) {
        Tlv::default().deliver(message, fan_out, channel, context);
    }

    fn fill(&mut self, _channel: &mut Channel, _context: &mut Context) {}

    fn flushed(&mut self, _channel: &mut Channel, _context: &mut Context) {}

    fn gap_elapsed(&mut self, _channel: &mut Channel, _context: &mut Context) {}

    fn say_goodbye(&mut self, reason: CloseReason, channel: &mut Channel, context: &mut Context) {
        let code = match reason {
            CloseReason::Shutdown => CloseCode::Away,
            _ => CloseCode::Normal,
        };
        self.send_close(Some(code), channel, context);
    }

    fn log_out(&mut self, _context: &mut Context) {}

    fn end(&mut self, _context: &mut Context) {
        self.reader = Reader::new(Role::Server, false);
        (self.pending, self.held) = (Vec::new(), Vec::new());
    }
}
