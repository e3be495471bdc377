//! Codecs: decode received bytes into inputs of logic, and encode orders of logic into bytes to send.
//!
//! ```text
//!   bytes --> take_in --> pending, decode --> Channel::submit --> logic
//!   bytes <-- Channel::output <-- reply, welcome, push, deliver <-- orders
//! ```
//!
//! [`tlv`] is the server's own protocol, [`legacy`] the JSON stream of muduo cluster chat clients. The first byte of a
//! connection chooses, once. [`websocket`] is the own protocol on connections that HTTP hands over. State that only one
//! protocol needs belongs to its codec.

mod any;
mod legacy;
mod tlv;
mod websocket;

pub(crate) use any::AnyCodec;

use crate::channel::Channel;
use crate::close::CloseReason;
use crate::context::Context;
use std::sync::Arc;
use wire::legacy::Welcome;
use wire::{Dialect, Message, Push, Reply};

/// How a dead peer is detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// By deadlines for login and silence; a silent client is probed first.
    Deadlines,
    /// By the kernel: the client may be silent for as long as it likes.
    KeepAlive,
}

/// One message on its way to many connections: each codec encodes it at most once.
#[derive(Debug, Default)]
pub(crate) struct FanOut {
    frame: Vec<u8>,
    object: Vec<u8>,
}

impl FanOut {
    /// Prepares for another message.
    pub fn clear(&mut self) {
        self.frame.clear();
        self.object.clear();
    }
}

pub(crate) trait Codec {
    fn dialect(&self) -> Dialect;

    fn liveness(&self) -> Liveness;

    // ---- input ----------------------------------------------------------------------------------------------------

    /// Whether another request may be decoded, as far as the codec's own state is concerned.
    fn has_room(&self) -> bool;

    /// Whether a request may wait that [`Codec::resume`] continues with.
    fn has_pending(&self) -> bool;

    /// Bytes that were read and not decoded: an incomplete request, or everything since the gate closed.
    fn pending(&mut self) -> &mut Vec<u8>;

    /// Bytes that the incomplete request at the start of [`Codec::pending`] lacks at least.
    fn missing(&self) -> usize;

    /// Decodes the requests at the start of `bytes` while the gate is open and returns how many bytes they took. An
    /// error: the stream cannot be read any further, and the peer was notified if its protocol allows.
    fn decode(
        &mut self,
        bytes: &[u8],
        channel: &mut Channel,
        context: &mut Context,
    ) -> Result<usize, CloseReason>;

    /// Decodes bytes that were just read; the rest is kept.
    fn take_in(
        &mut self,
        mut bytes: &[u8],
        channel: &mut Channel,
        context: &mut Context,
    ) -> Result<(), CloseReason> {
        // A request that was begun earlier is completed in `pending`; all behind it is decoded in the read buffer.
        while !self.pending().is_empty() && !bytes.is_empty() && self.gate_is_open(channel, context) {
            let (head, rest) = bytes.split_at(self.missing().min(bytes.len()));
            self.pending().extend_from_slice(head);
            bytes = rest;
            self.resume(channel, context)?;
        }
        if self.pending().is_empty() {
            let used = self.decode(bytes, channel, context)?;
            bytes = &bytes[used..];
        }
        self.pending().extend_from_slice(bytes);
        Ok(())
    }

    /// Decodes what is pending.
    fn resume(&mut self, channel: &mut Channel, context: &mut Context) -> Result<(), CloseReason> {
        let mut pending = std::mem::take(self.pending());
        let used = self.decode(&pending, channel, context)?;
        if used < pending.len() {
            pending.drain(..used);
            *self.pending() = pending;
        }
        Ok(())
    }

    fn gate_is_open(&self, channel: &Channel, context: &Context) -> bool {
        channel.gate_is_open(context) && self.has_room()
    }

    // ---- output ---------------------------------------------------------------------------------------------------

    /// Writes the reply to a request, where the peer expects one. The request is discharged already.
    fn reply(&mut self, kind: u16, request: u32, reply: &Reply, channel: &mut Channel, context: &mut Context);

    /// Writes the answer to a legacy login.
    fn welcome(&mut self, welcome: &Welcome, channel: &mut Channel, context: &mut Context);

    /// Writes a push, if the peer understands it. `fan_out` serves as scratch memory.
    fn push(&mut self, push: &Push, fan_out: &mut FanOut, channel: &mut Channel, context: &mut Context);

    /// Writes a message. `fan_out` holds its encodings for earlier receivers.
    fn deliver(
        &mut self,
        message: &Arc<Message>,
        fan_out: &mut FanOut,
        channel: &mut Channel,
        context: &mut Context,
    );

    /// Moves output that waits in the codec to the channel, if it is time; called before each flush.
    fn fill(&mut self, channel: &mut Channel, context: &mut Context);

    /// The kernel has taken all output of an open connection.
    fn flushed(&mut self, channel: &mut Channel, context: &mut Context);

    /// The gap that the codec began in [`crate::context::legacy::Pacer`] is over.
    fn gap_elapsed(&mut self, channel: &mut Channel, context: &mut Context);

    /// Tells the peer that the connection ends, if its protocol has something for that.
    fn say_goodbye(&mut self, _reason: CloseReason, _channel: &mut Channel, _context: &mut Context) {}

    // ---- life -----------------------------------------------------------------------------------------------------

    fn log_out(&mut self, context: &mut Context);

    /// Nothing more is decoded; output may still be flushed.
    fn end(&mut self, context: &mut Context);
}
