//! One connection: a transport, a codec and a channel with the output between them.
//!
//! ```text
//!   Open ---- error reply, order, shutdown ----> Flushing ---- all written, FIN ----> Lingering ---- EOF, 2 s ----> gone
//!    |                                              |
//!    `--- reset, EOF, silence, stall, ... ----------+----> gone
//! ```
//!
//! A connection is read only while its *gate* is open, see [`Connection::gate_is_open`]. What arrives after the gate
//! closed stays pending in the codec and in the kernel, whose window pushes back on the peer.

mod deadlines;
mod handshake;
mod input;
mod output;

pub(crate) use input::Readiness;

use crate::channel::Channel;
use crate::close::CloseReason;
use crate::codec::{AnyCodec, Codec, FanOut};
use crate::context::Context;
use crate::counters::TransportKind;
use crate::deadline::Tick;
use crate::flow::{Flow, is_page};
use crate::peer::PeerAddress;
use crate::transport::Transport;
use crate::transport::proxy_handshake::ProxyHandshake;
use logic::{ConnId, Input};
use std::sync::Arc;
use wire::legacy::Welcome;
use wire::{Message, Push, Reply, UserId};

// There are many idle connections. A transport has 16 bytes; in debug builds mio adds the id of its selector.
const _: () = assert!(size_of::<Connection>() <= 160 + size_of::<Transport>());

/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// Output is still written, input is discarded.
    Flushing,
    /// FIN was sent; input is discarded until the peer closes its side too.
    Lingering,
}

#[derive(Debug)]
pub(crate) struct Connection {
    channel: Channel,
    transport: Transport,
    /// `None` until the first byte, which also announces the connection to logic.
    codec: Option<AnyCodec>,
    /// Only on connections from a trusted proxy, until the first bytes are decided.
    handshake: Option<Box<ProxyHandshake>>,
    /// Its TCP peer is this machine or a trusted proxy, so nobody else reads what it sends.
    is_near: bool,
    /// It is in [`Context::handshakes`].
    awaits_handshake: bool,
    phase: Phase,

    /// The kernel may have input.
    readable: bool,
    /// The end of the input was read.
    ended: bool,
    /// Input waits for the gate to open.
    choked: bool,

    /// The kernel takes no output until an event says so.
    blocked: bool,
    /// The socket is registered for writable events. This happens at the first write that would block and is never
    /// undone: most connections never need it, and a socket watched for both directions causes spurious wake-ups.
    watched: bool,
    /// Logic waits for [`Input::Drained`].
    notify_drained: bool,

    /// When it was accepted, its user logged out, or FIN was sent; whichever was last.
    since: Tick,
    /// When the last byte came or the probe was sent.
    heard: Tick,
    /// When the kernel last accepted a byte of output before it blocked.
    blocked_since: Tick,
    /// The time of its valid entry in [`Context::wheel`]; any other entry is outdated.
    due: Tick,
    /// A probe was sent because the client was silent.
    probed: bool,
}

impl Connection {
    /// A connection that was just accepted. The transport is registered with the reactor's poll under the token of
    /// `id`.
    pub fn new(id: ConnId, transport: Transport, peer: PeerAddress, context: &Context) -> Connection {
        let now = context.now;
        let is_proxy = context.is_proxy(peer.ip());
        Connection {
            channel: Channel::new(id, peer, context),
            transport,
            codec: None,
            handshake: is_proxy.then(Box::default),
            is_near: context.is_near(peer.ip()),
            awaits_handshake: false,
            phase: Phase::Open,
            readable: false,
            ended: false,
            choked: false,
            blocked: false,
            watched: false,
            notify_drained: false,
            since: now,
            heard: now,
            blocked_since: now,
            due: Tick(u32::MAX),
            probed: false,
        }
    }

    pub fn id(&self) -> ConnId {
        self.channel.id
    }

    pub fn is_logged_in(&self) -> bool {
        self.channel.user.is_some()
    }

    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether it has not logged in and logic has no request of it.
    pub fn is_pending_login(&self) -> bool {
        self.channel.is_pending_login()
    }

    /// Lists it as a connection that has not logged in.
    pub fn start(&mut self, context: &mut Context) {
        self.channel.update_pending_login(context);
        self.arm(context);
    }

    pub fn peer(&self) -> PeerAddress {
        self.channel.peer
    }

    /// What carries it, for the counters.
    pub fn transport_kind(&self) -> TransportKind {
        TransportKind::of(self.channel.is_websocket, self.transport.is_encrypted())
    }

    // ---- orders ---------------------------------------------------------------------------------------------------

    pub fn reply(&mut self, kind: u16, request: u32, reply: &Reply, context: &mut Context) {
        self.channel.flow.discharge(kind, request);
        self.channel.update_pending_login(context);
        if let Some(codec) = &mut self.codec {
            codec.reply(kind, request, reply, &mut self.channel, context);
        }
        if is_page(kind) {
            self.channel.update_charge(context);
        }
        self.unchoke(context);
    }

    pub fn welcome(&mut self, welcome: &Welcome, context: &mut Context) {
        if let Some(codec) = &mut self.codec {
            codec.welcome(welcome, &mut self.channel, context);
        }
    }

    pub fn push(&mut self, push: &Push, fan_out: &mut FanOut, context: &mut Context) {
        if let Some(codec) = &mut self.codec {
            codec.push(push, fan_out, &mut self.channel, context);
        }
    }

    pub fn deliver(&mut self, message: &Arc<Message>, fan_out: &mut FanOut, context: &mut Context) {
        if let Some(codec) = &mut self.codec {
            codec.deliver(message, fan_out, &mut self.channel, context);
        }
    }

    pub fn log_in(&mut self, user: UserId, context: &mut Context) {
        self.channel.user = Some(user);
        self.channel.update_pending_login(context);
        self.heard = context.now;
        self.probed = false;
        self.arm(context);
    }

    pub fn log_out(&mut self, context: &mut Context) {
        self.channel.log_out(context);
        if let Some(codec) = &mut self.codec {
            codec.log_out(context);
        }
        self.since = context.now;
        self.arm(context);
    }

    /// Sends [`Input::Drained`] to logic as soon as all output is written.
    pub fn notify_drained(&mut self, context: &mut Context) {
        self.notify_drained = true;
        self.channel.queue_flush(context);
    }

    // ---- the end --------------------------------------------------------------------------------------------------

    /// Ends the connection for logic: no input and no order follow.
    pub fn end(&mut self, context: &mut Context) {
        if let Some(codec) = &mut self.codec {
            codec.end(context);
            context.inputs.push(Input::Closed { conn: self.channel.id });
        }
    }

    /// Whether the peer has closed its side and was sent everything.
    pub fn is_finished(&self) -> bool {
        self.ended && self.unwritten() == 0
    }

    /// Begins to flush output before the transport is closed.
    pub fn begin_flush(&mut self, reason: CloseReason, context: &mut Context) {
        if let Some(codec) = &mut self.codec {
            codec.say_goodbye(reason, &mut self.channel, context);
        }
        self.phase = Phase::Flushing;
        // Its requests are not answered any more.
        self.channel.flow = Flow::default();
        self.channel.update_pending_login(context);
        if !self.blocked {
            self.blocked_since = context.now;
        }
        self.channel.queue_flush(context);
        self.channel.queue_input(context);
    }

    /// Returns what it holds of the reactor's.
    pub fn recycle(mut self, context: &mut Context) {
        // The peer may have gone already.
        let _ = self.transport.send_close_notify();
        let dialect = self.codec.as_ref().map(Codec::dialect);
        context.counters.closed(dialect, self.transport_kind());
        self.channel.leave_pending_logins(context);
        self.channel.output.recycle(&mut context.pool);
        self.channel.unsent = 0;
        self.channel.flow = Flow::default();
        self.channel.update_charge(context);
    }
}
