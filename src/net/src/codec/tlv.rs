//! The server's own protocol: frames in, typed requests out. Heartbeats and malformed requests are answered here,
//! without logic.

use super::{Codec, FanOut, Liveness};
use crate::channel::Channel;
use crate::close::CloseReason;
use crate::context::Context;
use logic::Input;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use wire::frame::put_frame;
use wire::kind::{REPLY, request};
use wire::legacy::Welcome;
use wire::limits::HEADER_BYTES;
use wire::session::{self, CookieToken};
use wire::{
    Command, Credentials, Dialect, Errno, Frame, FrameError, Heartbeat, Message, Push, Refusal, Reply,
    UnixMillis, UserId, message,
};

#[derive(Debug, Default)]
pub(crate) struct Tlv {
    pending: Vec<u8>,
}

impl Codec for Tlv {
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
        !self.pending.is_empty()
    }

    fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// The rest of the frame's header, or of its value.
    fn missing(&self) -> usize {
        let whole = match self.pending.first_chunk::<HEADER_BYTES>() {
            None => HEADER_BYTES,
            Some(header) => {
                HEADER_BYTES + u32::from_be_bytes([header[8], header[9], header[10], header[11]]) as usize
            }
        };
        debug_assert!(self.pending.len() < whole, "a complete frame was decoded");
        whole.saturating_sub(self.pending.len())
    }

    fn decode(
        &mut self,
        bytes: &[u8],
        channel: &mut Channel,
        context: &mut Context,
    ) -> Result<usize, CloseReason> {
        let mut used = 0;
        while used < bytes.len() && channel.gate_is_open(context) {
            match wire::split_frame(&bytes[used..], channel.request_bytes(context)) {
                Ok(Some((frame, _))) if !channel.admits(frame.kind, context) => break,
                Ok(Some((frame, length))) => {
                    used += length;
                    handle_frame(frame, None, channel, context);
                }
                Ok(None) => break,
                Err(error) => {
                    refuse_stream(error, channel, context);
                    return Err(CloseReason::BadFrame);
                }
            }
        }
        Ok(used)
    }

    fn reply(
        &mut self,
        kind: u16,
        request: u32,
        reply: &Reply,
        channel: &mut Channel,
        context: &mut Context,
    ) {
        if request != 0 {
            channel.answer_frame(context, |out| reply.encode(kind, request, out));
        }
    }

    /// Nothing: logic sends a welcome to legacy clients only.
    fn welcome(&mut self, _welcome: &Welcome, _channel: &mut Channel, _context: &mut Context) {}

    fn push(&mut self, push: &Push, _fan_out: &mut FanOut, channel: &mut Channel, context: &mut Context) {
        channel.write_frame(context, |out| push.encode(out));
    }

    fn deliver(
        &mut self,
        message: &Arc<Message>,
        FanOut { frame, .. }: &mut FanOut,
        channel: &mut Channel,
        context: &mut Context,
    ) {
        if frame.is_empty() {
            Push::Message(message::Push::New(Arc::clone(message))).encode(frame);
        }
        channel.write_frame(context, |out| out.extend_from_slice(frame));
    }

    fn fill(&mut self, _channel: &mut Channel, _context: &mut Context) {}

    fn flushed(&mut self, _channel: &mut Channel, _context: &mut Context) {}

    fn gap_elapsed(&mut self, _channel: &mut Channel, _context: &mut Context) {}

    fn log_out(&mut self, _context: &mut Context) {}

    fn end(&mut self, _context: &mut Context) {
        self.pending = Vec::new();
    }
}

/// Handles a frame. LOGIN without credentials logs in by `session`.
pub(super) fn handle_frame(
    frame: Frame<'_>,
    session: Option<&CookieToken>,
    channel: &mut Channel,
    context: &mut Context,
) {
    let Frame { kind, request, value } = frame;
    if kind == request::HEARTBEAT {
        return answer_heartbeat(frame, channel, context);
    }
    match Command::decode(kind, value) {
        Ok(mut command) => {
            if let (Some(CookieToken(token)), Command::Session(session::Request::Login(login))) =
                (session, &mut command)
                && login.by_cookie
            {
                login.credentials = Credentials::Token(token.clone());
            }
            channel.submit(kind, request, command, context);
        }
        Err(bad) => refuse(kind, request, bad.into(), channel, context),
    }
}

fn answer_heartbeat(frame: Frame<'_>, channel: &mut Channel, context: &mut Context) {
    let Frame { kind, request, value } = frame;
    let user = channel.user.unwrap_or(UserId(0));
    match Heartbeat::decode(value) {
        Some(beat) if beat.user == user => {
            if channel.user.is_some() {
                context.inputs.push(Input::Heartbeat { conn: channel.id });
            }
            if request != 0 {
                let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let answer = Heartbeat { time: UnixMillis(time.as_millis() as u64), ..beat };
                channel.write_frame(context, |out| {
                    put_frame(out, REPLY | kind, request, |out| out.extend_from_slice(&answer.encode()));
                });
            }
        }
        Some(_) => {
            let errmsg = "the heartbeat's user id is not the account that is logged in (0 before login)";
            refuse(kind, request, Refusal::new(Errno::BadRequest, errmsg), channel, context);
        }
        None => {
            let errmsg = "the heartbeat has a wrong length, magic, digest or user id";
            refuse(kind, request, Refusal::new(Errno::BadRequest, errmsg), channel, context);
        }
    }
}

fn refuse(kind: u16, request: u32, refusal: Refusal, channel: &mut Channel, context: &mut Context) {
    if request != 0 {
        channel.write_frame(context, |out| Reply::from(refusal).encode(kind, request, out));
    }
}

/// Tells the peer why its stream is not read any further.
fn refuse_stream(error: FrameError, channel: &mut Channel, context: &mut Context) {
    match error {
        FrameError::TooLarge { kind, request, .. } if request != 0 => {
            refuse(kind, request, Refusal::new(Errno::TooLarge, error.to_string()), channel, context);
        }
        FrameError::TooLarge { .. } => {
            let refusal = Refusal::new(Errno::TooLarge, error.to_string());
            channel.write_frame(context, |out| Push::Error(Box::new(refusal)).encode(out));
        }
        FrameError::Magic => {
            let refusal = Refusal::new(Errno::BadRequest, error.to_string());
            channel.write_frame(context, |out| Push::Error(Box::new(refusal)).encode(out));
        }
    }
}
