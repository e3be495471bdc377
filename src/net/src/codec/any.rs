//! [`AnyCodec`]: the codec of a connection, one variant for each protocol.

use super::legacy::Legacy;
use super::tlv::Tlv;
use super::websocket::WebSocket;
use super::{Codec, FanOut, Liveness};
use crate::channel::Channel;
use crate::close::CloseReason;
use crate::context::Context;
use std::sync::Arc;
use wire::legacy::Welcome;
use wire::session::CookieToken;
use wire::{Dialect, Message, Push, Reply};

/// Dispatched once for each read and order: the loops over requests are inside the codecs.
#[derive(Debug)]
pub(crate) enum AnyCodec {
    Tlv(Tlv),
    /// Boxed, because most connections are of the other kind.
    Legacy(Box<Legacy>),
    WebSocket(Box<WebSocket>),
}

impl AnyCodec {
    /// The codec of a connection that was upgraded to WebSocket.
    pub fn websocket(session: Option<CookieToken>) -> AnyCodec {
        AnyCodec::WebSocket(Box::new(WebSocket::new(session)))
    }

    /// The codec for a connection with this first byte; `None`: the byte belongs to no supported protocol.
    pub fn for_first_byte(byte: u8) -> Option<AnyCodec> {
        Some(match Dialect::from_first_byte(byte)? {
            Dialect::Tlv => AnyCodec::Tlv(Tlv::default()),
            Dialect::Legacy => AnyCodec::Legacy(Box::default()),
        })
    }
}

macro_rules! dispatch {
    ($any:expr, $codec:ident => $call:expr) => {
        match $any {
            AnyCodec::Tlv($codec) => $call,
            AnyCodec::Legacy($codec) => $call,
            AnyCodec::WebSocket($codec) => $call,
        }
    };
}

impl Codec for AnyCodec {
    fn dialect(&self) -> Dialect {
        dispatch!(self, codec => codec.dialect())
    }

    fn liveness(&self) -> Liveness {
        dispatch!(self, codec => codec.liveness())
    }

    fn has_room(&self) -> bool {
        dispatch!(self, codec => codec.has_room())
    }

    fn has_pending(&self) -> bool {
        dispatch!(self, codec => codec.has_pending())
    }

    fn pending(&mut self) -> &mut Vec<u8> {
        dispatch!(self, codec => codec.pending())
    }

    fn missing(&self) -> usize {
        dispatch!(self, codec => codec.missing())
    }

    fn decode(
        &mut self,
        bytes: &[u8],
        channel: &mut Channel,
        context: &mut Context,
    ) -> Result<usize, CloseReason> {
        dispatch!(self, codec => codec.decode(bytes, channel, context))
    }

    fn take_in(
        &mut self,
        bytes: &[u8],
        channel: &mut Channel,
        context: &mut Context,
    ) -> Result<(), CloseReason> {
        dispatch!(self, codec => codec.take_in(bytes, channel, context))
    }

    fn resume(&mut self, channel: &mut Channel, context: &mut Context) -> Result<(), CloseReason> {
        dispatch!(self, codec => codec.resume(channel, context))
    }

    fn reply(
        &mut self,
        kind: u16,
        request: u32,
        reply: &Reply,
        channel: &mut Channel,
        context: &mut Context,
    ) {
        dispatch!(self, codec => codec.reply(kind, request, reply, channel, context));
    }

    fn welcome(&mut self, welcome: &Welcome, channel: &mut Channel, context: &mut Context) {
        dispatch!(self, codec => codec.welcome(welcome, channel, context));
    }

    fn push(&mut self, push: &Push, fan_out: &mut FanOut, channel: &mut Channel, context: &mut Context) {
        dispatch!(self, codec => codec.push(push, fan_out, channel, context));
    }

    fn deliver(
        &mut self,
        message: &Arc<Message>,
        fan_out: &mut FanOut,
        channel: &mut Channel,
        context: &mut Context,
    ) {
        dispatch!(self, codec => codec.deliver(message, fan_out, channel, context));
    }

    fn fill(&mut self, channel: &mut Channel, context: &mut Context) {
        dispatch!(self, codec => codec.fill(channel, context));
    }

    fn flushed(&mut self, channel: &mut Channel, context: &mut Context) {
        dispatch!(self, codec => codec.flushed(channel, context));
    }

    fn gap_elapsed(&mut self, channel: &mut Channel, context: &mut Context) {
        dispatch!(self, codec => codec.gap_elapsed(channel, context));
    }

    fn say_goodbye(&mut self, reason: CloseReason, channel: &mut Channel, context: &mut Context) {
        dispatch!(self, codec => codec.say_goodbye(reason, channel, context));
    }

    fn log_out(&mut self, context: &mut Context) {
        dispatch!(self, codec => codec.log_out(context));
    }

    fn end(&mut self, context: &mut Context) {
        dispatch!(self, codec => codec.end(context));
    }
}
