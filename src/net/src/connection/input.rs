//! Reading: from the transport through the PROXY handshake to the codec.

use super::{Connection, Phase};
use crate::close::CloseReason;
use crate::codec::{AnyCodec, Codec, Liveness};
use crate::context::Context;
use crate::transport::proxy_handshake::Finished;
use logic::Input;
use mio::event::Event;
use std::io::{self, ErrorKind, Read};
use wire::proxy_header;
use wire::session::CookieToken;

/// Bytes that a turn reads of an encrypted connection before its login: records without plaintext cost CPU, too.
const ENCRYPTED_BYTES_BEFORE_LOGIN: usize = 16 * 1024;

/// What to do with the input of a connection after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Nothing in this turn: there is none, or it is queued for a later turn.
    Idle,
    /// It can be read now.
    Readable,
    /// The connection was reset and cannot be read now, so it is closed.
    Reset,
}

impl Connection {
    /// Whether requests may be taken from the peer; see [`crate::channel::Channel::gate_is_open`].
    pub(super) fn gate_is_open(&self, context: &Context) -> bool {
        self.phase == Phase::Open
            && self.channel.gate_is_open(context)
            && self.codec.as_ref().is_none_or(Codec::has_room)
    }

    /// Notes an event of the poll.
    pub fn handle_event(&mut self, event: &Event, context: &mut Context) -> Readiness {
        let is_broken = event.is_error() || event.is_write_closed();
        let is_over = is_broken || event.is_read_closed();
        if event.is_writable() {
            self.writable(context);
        }
        self.channel.hung_up |= is_over;
        self.readable |= is_over || event.is_readable();
        // A peer that reset the connection may have sent requests before; they are read if the gate is open.
        if is_broken && !self.gate_is_open(context) {
            return Readiness::Reset;
        }
        if is_over {
            self.channel.queue_input(context);
        }
        if self.readable && !self.channel.input_queued { Readiness::Readable } else { Readiness::Idle }
    }

    /// Queues the input for one of the next turns.
    pub fn queue_input(&mut self, context: &mut Context) {
        self.channel.queue_input(context);
    }

    /// Notes that the connection was taken from [`Context::ready`].
    pub fn begin_turn(&mut self) {
        self.channel.input_queued = false;
    }

    /// Continues with the input: decodes what is pending, then reads at most one buffer. That is the connection's share
    /// of a turn; where there is more, it is queued for the next.
    ///
    /// A read that does not fill the buffer has emptied the transport, so there is no second read, except for the end
    /// of the stream.
    pub fn service(&mut self, context: &mut Context, buffer: &mut [u8]) -> Result<(), CloseReason> {
        if self.phase != Phase::Open {
            return self.discard(context, buffer);
        }
        if self.transport.is_handshaking() {
            self.await_handshake(context);
            return Ok(());
        }
        if context.inbox_full {
            self.channel.queue_input(context);
            return Ok(());
        }
        if self.has_pending() && self.gate_is_open(context) {
            self.resume(context)?;
        }
        while self.readable && self.gate_is_open(context) {
            let is_bounded = self.transport.is_encrypted() && self.channel.user.is_none();
            let space = if is_bounded { &mut buffer[..ENCRYPTED_BYTES_BEFORE_LOGIN] } else { &mut *buffer };
            debug_assert!(!self.transport.is_handshaking(), "handshakes go on in the order of their queue");
            let read = self.transport.read(space);
            if self.transport.unsent() > 0 {
                self.channel.queue_flush(context);
            }
            match read {
                Ok(0) => {
                    self.ended = true;
                    return Err(CloseReason::PeerClosed);
                }
                Ok(length) => {
                    let has_more = length == space.len() || self.transport.has_more();
                    self.readable = self.channel.hung_up || has_more;
                    self.heard = context.now;
                    self.probed = false;
                    context.counters.received_bytes.add(length as u64);
                    let received = &space[..length];
                    self.take_in(received, context)?;
                    // These were the first bytes of TLS: the queue of handshakes goes on with them.
                    if self.transport.is_handshaking() {
                        return Ok(());
                    }
                    if has_more {
                        self.channel.queue_input(context);
                        return Ok(());
                    }
                }
                Err(error) => {
                    self.read_failed(&error)?;
                    if self.transport.has_more() {
                        self.readable = true;
                        self.channel.queue_input(context);
                        return Ok(());
                    }
                }
            }
        }
        self.choked = !self.gate_is_open(context) && (self.readable || self.has_pending());
        Ok(())
    }

    /// Like [`Connection::service`], for input that the poll has not reported yet.
    pub fn service_unasked(&mut self, context: &mut Context, buffer: &mut [u8]) -> Result<(), CloseReason> {
        self.readable = true;
        self.service(context, buffer)
    }

    /// Reads and discards, a buffer a turn: unread bytes would make the kernel reset the connection when it is closed,
    /// and the reset would destroy what the peer has not read yet (RFC 1122, 4.2.2.13).
    fn discard(&mut self, context: &mut Context, buffer: &mut [u8]) -> Result<(), CloseReason> {
        while self.readable {
            match self.transport.socket_mut().read(buffer) {
                Ok(0) => {
                    self.readable = false;
                    self.ended = true;
                    if self.phase == Phase::Lingering {
                        return Err(CloseReason::PeerClosed);
                    }
                }
                Ok(length) if length == buffer.len() => {
                    self.channel.queue_input(context);
                    break;
                }
                Ok(_) => self.readable = self.channel.hung_up,
                Err(error) => self.read_failed(&error)?,
            }
        }
        Ok(())
    }

    fn read_failed(&mut self, error: &io::Error) -> Result<(), CloseReason> {
        match error.kind() {
            ErrorKind::WouldBlock => self.readable = false,
            ErrorKind::Interrupted => {}
            _ if tls::is_session_error(error) => return Err(self.bad_tls(error)),
            _ => return Err(CloseReason::PeerReset),
        }
        Ok(())
    }

    fn has_pending(&self) -> bool {
        self.codec.as_ref().is_some_and(Codec::has_pending)
    }

    fn resume(&mut self, context: &mut Context) -> Result<(), CloseReason> {
        match &mut self.codec {
            Some(codec) => codec.resume(&mut self.channel, context),
            None => Ok(()),
        }
    }

    fn take_in(&mut self, bytes: &[u8], context: &mut Context) -> Result<(), CloseReason> {
        match &mut self.codec {
            Some(codec) => codec.take_in(bytes, &mut self.channel, context),
            None => self.begin(bytes, context),
        }
    }

    /// Handles bytes that arrive before there is a codec.
    fn begin(&mut self, bytes: &[u8], context: &mut Context) -> Result<(), CloseReason> {
        let Some(handshake) = self.handshake.as_deref_mut() else {
            return self.choose_codec(bytes, context);
        };
        match handshake.take_in(bytes).map_err(|_malformed| CloseReason::BadProxyHeader)? {
            Some(finished) => self.finish_handshake(finished, context),
            None => Ok(()),
        }
    }

    pub(super) fn finish_handshake(
        &mut self,
        Finished { source, rest }: Finished,
        context: &mut Context,
    ) -> Result<(), CloseReason> {
        self.handshake = None;
        if let Some(source) = source {
            self.channel.set_peer(source.into(), context);
        }
        self.arm(context);
        if rest.is_empty() { Ok(()) } else { self.choose_codec(&rest, context) }
    }

    /// Handles the first bytes of the client, which TLS may have decrypted.
    fn choose_codec(&mut self, bytes: &[u8], context: &mut Context) -> Result<(), CloseReason> {
        if bytes[0] == tls::FIRST_BYTE && !self.transport.is_encrypted() && context.tls.is_some() {
            return self.start_tls(bytes, context);
        }
        if proxy_header::begins(bytes) {
            log::warn!(
                "closed a connection from {peer}, which sent a PROXY header: if it is a proxy of yours, add \"{peer}\" to \
                 chat.proxies",
                peer = self.channel.peer.ip()
            );
            return Err(CloseReason::UnnamedProxy);
        }
        let codec = AnyCodec::for_first_byte(bytes[0]).ok_or(CloseReason::UnknownDialect)?;
        self.check_encryption(codec.dialect(), context)?;
        if codec.liveness() == Liveness::KeepAlive {
            self.transport.socket().keep_alive().map_err(|_| CloseReason::PeerReset)?;
        }
        let kind = self.transport_kind();
        context.counters.became(Some(codec.dialect()), kind, kind);
        self.announce(&codec, context);
        self.codec.insert(codec).take_in(bytes, &mut self.channel, context)
    }

    fn announce(&self, codec: &AnyCodec, context: &mut Context) {
        let (conn, peer, dialect) = (self.channel.id, self.channel.peer.ip(), codec.dialect());
        context.inputs.push(Input::Opened { conn, peer, dialect });
    }

    /// Makes a connection that was just taken in a WebSocket, as which it goes on in the next turn.
    pub fn upgrade(
        &mut self,
        session: Option<CookieToken>,
        received: Vec<u8>,
        output: Vec<u8>,
        context: &mut Context,
    ) {
        self.handshake = None;
        let before = self.transport_kind();
        self.channel.is_websocket = true;
        let mut codec = AnyCodec::websocket(session);
        context.counters.became(Some(codec.dialect()), self.transport_kind(), before);
        self.announce(&codec, context);
        *codec.pending() = received;
        self.codec = Some(codec);
        self.channel.write(context, |out| out.extend_from_slice(&output));
        // TLS may have decrypted more.
        self.readable = true;
        self.channel.queue_input(context);
    }

    /// Queues waiting input, if the gate has opened.
    pub(super) fn unchoke(&mut self, context: &mut Context) {
        if self.choked && self.gate_is_open(context) {
            self.choked = false;
            self.channel.queue_input(context);
        }
    }
}
