//! TLS on a connection: its handshake, and what is refused without it.

use super::Connection;
use crate::close::CloseReason;
use crate::context::Context;
use crate::counters::TransportKind;
use logic::Network;
use std::io::{Error, ErrorKind};
use wire::{Dialect, Errno, Push, Refusal};

const PLAIN_REFUSED: &str = "this server accepts only connections with TLS: connect with --tls";

impl Connection {
    /// Begins the handshake; `bytes` are the first that the client has sent.
    pub(super) fn start_tls(&mut self, bytes: &[u8], context: &mut Context) -> Result<(), CloseReason> {
        let Some(settings) = &context.tls else { return Err(CloseReason::UnknownDialect) };
        if let Err(error) = self.transport.start_tls(&settings.acceptor, bytes) {
            return Err(self.bad_tls(&error));
        }
        context.counters.became(None, TransportKind::Tls, TransportKind::Tcp);
        self.since = context.now;
        self.arm(context);
        self.await_handshake(context);
        Ok(())
    }

    /// Queues the handshake for one of the next turns.
    pub(super) fn await_handshake(&mut self, context: &mut Context) {
        if !self.awaits_handshake {
            self.awaits_handshake = true;
            context.handshakes.push(Network::of(self.channel.peer.ip()), self.channel.id);
        }
    }

    /// Continues the handshake with what the client has sent.
    pub fn continue_handshake(&mut self, context: &mut Context) -> Result<(), CloseReason> {
        self.awaits_handshake = false;
        if !self.is_open() {
            return Ok(());
        }
        match self.transport.continue_handshake() {
            Ok(false) => self.readable = false,
            Ok(true) => {
                context.counters.handshakes.add(1);
                // The time for the login begins.
                self.since = context.now;
                self.arm(context);
                self.readable = true;
                self.channel.queue_input(context);
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                self.ended = true;
                return Err(CloseReason::PeerClosed);
            }
            Err(error) if tls::is_session_error(&error) => return Err(self.bad_tls(&error)),
            Err(_) => return Err(CloseReason::PeerReset),
        }
        if self.transport.unsent() > 0 {
            self.channel.queue_flush(context);
        }
        Ok(())
    }

    pub(super) fn bad_tls(&self, error: &Error) -> CloseReason {
        log::debug!("TLS with {}: {error}", self.channel.peer);
        CloseReason::BadTls
    }

    /// Refuses a connection that is not encrypted but must be. A legacy client cannot be told.
    pub(super) fn check_encryption(
        &mut self,
        dialect: Dialect,
        context: &mut Context,
    ) -> Result<(), CloseReason> {
        if self.transport.is_encrypted() || !context.refuses_plain(dialect, self.is_near) {
            return Ok(());
        }
        log::warn!(
            "refused a connection without TLS from {}: see tls.required and legacy.plain",
            self.channel.peer.ip()
        );
        if dialect == Dialect::Tlv {
            let refusal = Refusal::new(Errno::Forbidden, PLAIN_REFUSED);
            self.channel.write(context, |out| Push::Error(Box::new(refusal)).encode(out));
        }
        Err(CloseReason::PlainRefused)
    }
}
