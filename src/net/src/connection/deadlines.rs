//! The time limits of a connection.

use super::{Connection, Phase};
use crate::close::CloseReason;
use crate::codec::{Codec, FanOut, Liveness};
use crate::context::Context;
use crate::deadline::{Spans, Tick};
use wire::{Push, session};

impl Connection {
    /// Makes sure that the wheel has an entry at the deadline or before. Costs nothing if the deadline has only moved
    /// later.
    pub fn arm(&mut self, context: &mut Context) {
        let due = self.deadline(&context.limits.spans);
        if due < self.due {
            self.due = due;
            context.wheel.insert(self.channel.id, due);
        }
    }

    /// Checks the deadlines for the entry `due` of the wheel. An error: a time limit has passed.
    pub fn check_deadline(&mut self, due: Tick, context: &mut Context) -> Result<(), CloseReason> {
        if self.due != due {
            return Ok(());
        }
        self.due = Tick(u32::MAX);
        self.expire(context)?;
        self.arm(context);
        Ok(())
    }

    /// When to check next: not later than any time limit that applies now.
    fn deadline(&self, spans: &Spans) -> Tick {
        let stalled = self.blocked_since.after(spans.stall);
        let due = match (self.phase, self.channel.user) {
            (Phase::Open, _) if self.handshake.is_some() => self.since.after(spans.proxy_handshake),
            (Phase::Open, _) if self.transport.is_handshaking() => self.since.after(spans.tls_handshake),
            (Phase::Open, _) if self.is_kept_alive() => Tick(u32::MAX),
            (Phase::Open, None) => self.since.after(spans.login),
            (Phase::Open, Some(_)) if self.probed => self.heard.after(spans.probe),
            (Phase::Open, Some(_)) => self.heard.after(spans.silence),
            (Phase::Flushing, _) => stalled,
            (Phase::Lingering, _) => self.since.after(spans.linger),
        };
        if self.blocked { due.min(stalled) } else { due }
    }

    fn expire(&mut self, context: &mut Context) -> Result<(), CloseReason> {
        if self.deadline(&context.limits.spans) > context.now {
            return Ok(());
        }
        if self.blocked && self.blocked_since.after(context.limits.spans.stall) <= context.now {
            return Err(CloseReason::SlowConsumer);
        }
        match (self.phase, self.channel.user) {
            (Phase::Open, None) => match self.handshake.as_deref_mut() {
                Some(handshake) => {
                    let finished = handshake.expire().ok_or(CloseReason::ProxyTimeout)?;
                    self.finish_handshake(finished, context)
                }
                None if self.transport.is_handshaking() => Err(CloseReason::TlsTimeout),
                // Its login waits in logic, which answers.
                None if !self.channel.flow.is_idle() => {
                    self.since = context.now;
                    Ok(())
                }
                None => Err(CloseReason::LoginTimeout),
            },
            // The peer is not silent while it is not read.
            (Phase::Open, Some(_)) if self.readable || context.inbox_full || !self.gate_is_open(context) => {
                self.heard = context.now;
                Ok(())
            }
            (Phase::Open, Some(_)) if self.probed => Err(CloseReason::Silent),
            (Phase::Open, Some(_)) => {
                self.push(&Push::Session(session::Push::Probe), &mut FanOut::default(), context);
                self.probed = true;
                self.heard = context.now;
                Ok(())
            }
            (Phase::Flushing | Phase::Lingering, _) => Err(CloseReason::PeerClosed),
        }
    }

    fn is_kept_alive(&self) -> bool {
        self.codec.as_ref().is_some_and(|codec| codec.liveness() == Liveness::KeepAlive)
    }
}
