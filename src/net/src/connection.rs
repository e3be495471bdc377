//! One connection: its socket, the bytes that are half read or unwritten, and what holds it up.
//!
//! ```text
//!   Open ---- error reply, order, stop ----> Flushing ---- all written, FIN ----> Lingering ---- EOF, 2 s ----> gone
//!    |                                          |
//!    `--- reset, EOF, silence, stall, ... ------+----> gone
//! ```
//!
//! A connection is read only while its *gate* is open: see [`Connection::gate_is_open`]. What arrived after the gate
//! closed waits, some in `pending`, the rest in the kernel, where it pushes back on the peer.

use crate::close::CloseReason;
use crate::codec::legacy::{self, Legacy};
use crate::codec::tlv;
use crate::context::Context;
use crate::deadline::{Spans, Tick};
use crate::output::{Output, Progress};
use crate::transport::keep_alive::keep_alive;
use crate::transport::proxy_handshake::{self, ProxiedPeer};
use logic::{ConnId, Input};
use mio::net::TcpStream;
use mio::{Interest, Token};
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr};
use wire::kind::request;
use wire::session;
use wire::{Dialect, Push, UserId};

/// What the requests of one connection that are not answered yet may weigh together; at this it is not read.
const WEIGHT_MAX: u32 = 1024;
/// At this it is read again: well below, so that a deep pipeline goes on in strides.
const WEIGHT_LOW: u32 = WEIGHT_MAX / 2;
/// What a request that reads a page from storage weighs; any other weighs 1.
const WEIGHT_PAGE: u32 = 32;

// Idle connections are many. (In debug builds mio adds to a socket what finds misuse of it.)
const _: () = assert!(cfg!(debug_assertions) || size_of::<Connection>() <= 128);

/// How far the end of a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// What is unwritten is still written; what comes is thrown away.
    Flushing,
    /// The peer was told; what comes is thrown away until it ends.
    Lingering,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub id: ConnId,
    stream: TcpStream,
    /// Who is behind a connection that a proxy made, and has said so or may; for the others the socket knows.
    pub origin: Option<Box<ProxiedPeer>>,
    /// Chosen by the first byte; until then logic does not know of the connection.
    pub dialect: Option<Dialect>,
    /// What a connection of that dialect has beside the others.
    pub legacy: Option<Box<Legacy>>,
    pub phase: Phase,
    /// Who is logged in.
    user: Option<UserId>,

    /// Bytes that were read and not decoded: one incomplete frame, or everything after the gate closed.
    pending: Vec<u8>,
    /// What the requests weigh that logic has not answered.
    weight: u32,
    /// A LOGIN or LOGOUT is with logic: what follows it means something else after the answer.
    held: bool,
    /// `weight` came to its bound.
    throttled: bool,
    /// There is input to go on with as soon as the gate opens.
    choked: bool,
    /// The kernel may have bytes for us.
    pub readable: bool,
    /// The peer has said that it sends no more, so reading goes on to the end.
    pub hung_up: bool,
    /// The end was read.
    pub ended: bool,
    pub listed: bool,

    pub output: Output,
    /// In [`Context::dirty`] or [`Context::answered`].
    pub dirty: bool,
    /// The kernel takes nothing until it says that it does.
    blocked: bool,
    /// The kernel was asked to say so. Asked with the first write that would block and never taken back: most
    /// connections never ask, and a socket that is watched for both wakes the loop for nothing now and then.
    watched: bool,
    /// Logic wants to know when all is written.
    notify_drained: bool,

    /// When it was accepted, logged out, or said goodbye to.
    pub since: Tick,
    /// When the last byte came, or the probe went.
    heard: Tick,
    /// When the kernel last took a byte of the output that it does not take now.
    stalled: Tick,
    /// The time of its entry in the wheel that counts; any other entry is stale.
    pub due: Tick,
    /// Silence was answered with a PROBE.
    probed: bool,
}

impl Connection {
    /// A connection that was just accepted and is watched by the loop under its id.
    pub fn new(id: ConnId, stream: TcpStream, origin: Option<Box<ProxiedPeer>>, now: Tick) -> Connection {
        Connection {
            id,
            stream,
            origin,
            dialect: None,
            legacy: None,
            phase: Phase::Open,
            user: None,
            pending: Vec::new(),
            weight: 0,
            held: false,
            throttled: false,
            choked: false,
            readable: false,
            hung_up: false,
            ended: false,
            listed: false,
            output: Output::default(),
            dirty: false,
            blocked: false,
            watched: false,
            notify_drained: false,
            since: now,
            heard: now,
            stalled: now,
            due: Tick(u32::MAX),
            probed: false,
        }
    }

    /// Who is logged in.
    pub fn user(&self) -> Option<UserId> {
        self.user
    }

    /// Who is behind it. An error: the kernel has forgotten, for the connection is gone.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        match self.origin.as_deref() {
            Some(ProxiedPeer::Known(source)) => Ok(*source),
            _ => self.stream.peer_addr(),
        }
    }

    /// Whether what comes from the peer may be taken: nothing changes the meaning of what follows, not too much of
    /// what came is unanswered, not too much of the answers unread.
    pub fn gate_is_open(&self, context: &Context) -> bool {
        self.phase == Phase::Open
            && !self.held
            && !self.throttled
            && self.output.len() <= context.limits.high_water
            && self.legacy.as_ref().is_none_or(|legacy| legacy.gate_is_open())
    }

    // ---- input ------------------------------------------------------------------------------------------------

    /// Goes on with the input: decodes what waits, then reads at most one buffer. That is the connection's share of
    /// the turn; where there is more it is listed for the next.
    ///
    /// A read that does not fill the buffer has emptied the socket, so no second read asks: with edge triggers
    /// whatever comes later is a new event (epoll(7)). Only the end of the stream has to be read for.
    pub fn service(&mut self, context: &mut Context, buffer: &mut [u8]) -> Result<(), CloseReason> {
        if self.phase != Phase::Open {
            return self.discard(context, buffer);
        }
        if context.stalled {
            context.list(self);
            return Ok(());
        }
        if !self.pending.is_empty() && self.gate_is_open(context) {
            self.decode_pending(context)?;
        }
        while self.readable && self.gate_is_open(context) {
            match self.stream.read(buffer) {
                Ok(0) => {
                    self.ended = true;
                    return Err(CloseReason::PeerClosed);
                }
                Ok(length) => {
                    self.readable = self.hung_up || length == buffer.len();
                    self.heard = context.now;
                    self.probed = false;
                    proxy_handshake::take_in(self, &buffer[..length], context)?;
                    if length == buffer.len() {
                        context.list(self);
                        return Ok(());
                    }
                }
                Err(error) => self.read_failed(&error)?,
            }
        }
        self.choked = !self.gate_is_open(context) && (self.readable || !self.pending.is_empty());
        Ok(())
    }

    /// Reads and throws away, a buffer a turn: unread bytes would make the kernel reset the connection when it is
    /// closed, and the reset would destroy what the peer has not read yet (RFC 1122, 4.2.2.13).
    fn discard(&mut self, context: &mut Context, buffer: &mut [u8]) -> Result<(), CloseReason> {
        while self.readable {
            match self.stream.read(buffer) {
                Ok(0) => {
                    self.readable = false;
                    self.ended = true;
                    if self.phase == Phase::Lingering {
                        return Err(CloseReason::PeerClosed);
                    }
                }
                Ok(length) if length == buffer.len() => {
                    context.list(self);
                    break;
                }
                Ok(_) => self.readable = self.hung_up,
                Err(error) => self.read_failed(&error)?,
            }
        }
        Ok(())
    }

    fn read_failed(&mut self, error: &io::Error) -> Result<(), CloseReason> {
        match error.kind() {
            ErrorKind::WouldBlock => self.readable = false,
            ErrorKind::Interrupted => {}
            _ => return Err(CloseReason::PeerReset),
        }
        Ok(())
    }

    /// Decodes what was read. What is left over of it is kept.
    pub fn take_in(&mut self, mut bytes: &[u8], context: &mut Context) -> Result<(), CloseReason> {
        if self.dialect.is_none() {
            self.choose_dialect(bytes[0], context)?;
        }
        // A frame that was begun earlier is completed apart; everything behind it is decoded where it was read to.
        while !self.pending.is_empty() && !bytes.is_empty() && self.gate_is_open(context) {
            let missing = match self.legacy {
                None => tlv::missing(&self.pending).min(bytes.len()),
                Some(_) => bytes.len(),
            };
            let (head, rest) = bytes.split_at(missing);
            self.pending.extend_from_slice(head);
            bytes = rest;
            self.decode_pending(context)?;
        }
        if self.pending.is_empty() {
            let used = self.decode(bytes, context)?;
            bytes = &bytes[used..];
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    fn decode_pending(&mut self, context: &mut Context) -> Result<(), CloseReason> {
        let mut pending = std::mem::take(&mut self.pending);
        let used = self.decode(&pending, context)?;
        if used < pending.len() {
            pending.drain(..used);
            self.pending = pending;
        }
        Ok(())
    }

    fn decode(&mut self, bytes: &[u8], context: &mut Context) -> Result<usize, CloseReason> {
        match self.legacy {
            None => tlv::decode(self, bytes, context),
            Some(_) => legacy::decode(self, bytes, context),
        }
    }

    fn choose_dialect(&mut self, first: u8, context: &mut Context) -> Result<(), CloseReason> {
        let dialect = Dialect::from_first_byte(first).ok_or(CloseReason::UnknownDialect)?;
        // The kernel keeps it for us: of idle connections each byte counts.
        let peer = self.peer().map_err(|_| CloseReason::PeerReset)?.ip().to_canonical();
        self.dialect = Some(dialect);
        match dialect {
            Dialect::Legacy => {
                self.legacy = Some(Box::default());
                // Its client may be silent for as long as it likes: the kernel finds out when the peer is gone.
                keep_alive(&self.stream).map_err(|_| CloseReason::PeerReset)?;
            }
            Dialect::Tlv => {}
        }
        context.inputs.push(Input::Opened { conn: self.id, peer, dialect });
        Ok(())
    }

    /// Counts a request that goes to logic.
    pub fn charge(&mut self, kind: u16, request: u32) {
        self.held = matches!(kind, request::LOGIN | request::LOGOUT);
        self.weight += weight(kind, request);
        self.throttled = self.weight >= WEIGHT_MAX;
    }

    /// Counts the answer to a request.
    pub fn discharge(&mut self, kind: u16, request: u32, context: &mut Context) {
        if matches!(kind, request::LOGIN | request::LOGOUT) {
            self.held = false;
        }
        self.weight = self.weight.saturating_sub(weight(kind, request));
        self.throttled &= self.weight > WEIGHT_LOW;
        if let (0, Some(legacy)) = (self.weight, &mut self.legacy) {
            legacy.caught_up();
        }
        self.unchoke(context);
    }

    fn unchoke(&mut self, context: &mut Context) {
        if self.choked && self.gate_is_open(context) {
            self.choked = false;
            context.list(self);
        }
    }

    // ---- output -----------------------------------------------------------------------------------------------

    /// Appends what `encode` writes to the output, to be flushed at the end of the turn.
    pub fn write(&mut self, context: &mut Context, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(self.output.tail(&mut context.pool));
        context.mark(self);
    }

    /// The same with an answer, which is flushed after what others wait for.
    pub fn answer(&mut self, context: &mut Context, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(self.output.tail(&mut context.pool));
        context.mark_answered(self);
    }

    /// The kernel takes bytes again.
    pub fn writable(&mut self, context: &mut Context) {
        self.blocked = false;
        if !self.output.is_empty() {
            context.mark(self);
        }
    }

    /// Asks for [`Input::Drained`] as soon as nothing is left to be written.
    pub fn notify_drained(&mut self, context: &mut Context) {
        self.notify_drained = true;
        context.mark(self);
    }

    /// Writes what is unwritten, with one write. `Err`: nothing more can or need be written.
    pub fn flush(&mut self, context: &mut Context) -> Result<(), CloseReason> {
        self.dirty = false;
        legacy::load(self, context);
        if !self.output.is_empty() && !self.blocked {
            match self.output.write_to(&mut self.stream, &mut context.pool) {
                Ok(Progress::Done) => {}
                Ok(progress) => self.block(progress, context)?,
                Err(_) => return Err(CloseReason::PeerReset),
            }
        }
        if self.output.is_empty() {
            self.flushed(context)?;
        } else if self.output.len() > context.limits.output_bytes {
            return Err(CloseReason::SlowConsumer);
        }
        self.unchoke(context);
        Ok(())
    }

    fn block(&mut self, progress: Progress, context: &mut Context) -> Result<(), CloseReason> {
        // A write that was tried follows either a write that took all or news from the kernel that it takes bytes;
        // the peer has moved in both.
        debug_assert!(progress != Progress::Done);
        self.blocked = true;
        self.stalled = context.now;
        if !self.watched {
            self.watched = true;
            let both = Interest::READABLE | Interest::WRITABLE;
            let token = token(self.id);
            context.registry.reregister(&mut self.stream, token, both).map_err(|_| CloseReason::PeerReset)?;
        }
        context.arm(self);
        Ok(())
    }

    fn flushed(&mut self, context: &mut Context) -> Result<(), CloseReason> {
        if self.phase == Phase::Open {
            legacy::taken(self, context);
        }
        match self.phase {
            Phase::Open if self.notify_drained => {
                self.notify_drained = false;
                context.inputs.push(Input::Drained { conn: self.id });
            }
            Phase::Flushing => {
                if self.ended || self.stream.shutdown(Shutdown::Write).is_err() {
                    return Err(CloseReason::PeerClosed);
                }
                self.phase = Phase::Lingering;
                self.since = context.now;
                context.arm(self);
            }
            Phase::Open | Phase::Lingering => {}
        }
        Ok(())
    }

    // ---- life -------------------------------------------------------------------------------------------------

    /// The connection is this user's from here on.
    pub fn log_in(&mut self, user: UserId, context: &mut Context) {
        self.user = Some(user);
        self.heard = context.now;
        self.probed = false;
        context.arm(self);
    }

    /// The connection is nobody's again.
    pub fn log_out(&mut self, context: &mut Context) {
        self.user = None;
        // What was delivered was this user's, not the next one's.
        context.synthetic_acks.hurry();
        if let Some(legacy) = &mut self.legacy {
            legacy.log_out();
        }
        self.since = context.now;
        context.arm(self);
    }

    /// Begins an end that delivers what was written: nothing more is taken from the peer, or written.
    pub fn begin_end(&mut self, context: &mut Context) {
        self.phase = Phase::Flushing;
        self.pending = Vec::new();
        if !self.blocked {
            self.stalled = context.now;
        }
        context.mark(self);
        context.list(self);
    }

    /// When to look at it again. Never later than any time limit that applies now.
    pub fn deadline(&self, spans: &Spans) -> Tick {
        let stalled = self.stalled.after(spans.stall);
        let due = match (self.phase, self.user) {
            (Phase::Open, _) if proxy_handshake::is_awaited(self) => self.since.after(spans.proxy_handshake),
            (Phase::Open, _) if self.legacy.is_some() => Tick(u32::MAX),
            (Phase::Open, None) => self.since.after(spans.login),
            (Phase::Open, Some(_)) if self.probed => self.heard.after(spans.probe),
            (Phase::Open, Some(_)) => self.heard.after(spans.silence),
            (Phase::Flushing, _) => stalled,
            (Phase::Lingering, _) => self.since.after(spans.linger),
        };
        if self.blocked { due.min(stalled) } else { due }
    }

    /// Looks at it: `Err` where a time limit has passed.
    pub fn expire(&mut self, context: &mut Context) -> Result<(), CloseReason> {
        if self.deadline(&context.limits.spans) > context.now {
            return Ok(());
        }
        if self.blocked && self.stalled.after(context.limits.spans.stall) <= context.now {
            return Err(CloseReason::SlowConsumer);
        }
        match (self.phase, self.user) {
            (Phase::Open, None) if proxy_handshake::is_awaited(self) => {
                proxy_handshake::expire(self, context)
            }
            (Phase::Open, None) => Err(CloseReason::LoginTimeout),
            // What we do not read is not the peer's silence.
            (Phase::Open, Some(_)) if self.readable || context.stalled || !self.gate_is_open(context) => {
                self.heard = context.now;
                Ok(())
            }
            (Phase::Open, Some(_)) if self.probed => Err(CloseReason::Silent),
            (Phase::Open, Some(_)) => {
                self.write(context, |out| Push::Session(session::Push::Probe).encode(out));
                self.probed = true;
                self.heard = context.now;
                Ok(())
            }
            (Phase::Flushing | Phase::Lingering, _) => Err(CloseReason::PeerClosed),
        }
    }
}

/// What a request weighs until it is answered. ACK and READ with number 0 never are.
fn weight(kind: u16, request: u32) -> u32 {
    match kind {
        request::ACK | request::READ if request == 0 => 0,
        request::HISTORY | request::FRIENDS | request::MEMBERS | request::CONVERSATIONS | request::GROUPS => {
            WEIGHT_PAGE
        }
        _ => 1,
    }
}

/// The connection's name in its loop's poll: its slot there and the generation, like in its id.
pub(crate) fn token(id: ConnId) -> Token {
    Token(id.slot() << 32 | id.generation() as usize)
}

/// The other way.
pub(crate) fn id(reactor: usize, token: Token) -> ConnId {
    ConnId::new(reactor, token.0 >> 32, token.0 as u32)
}
