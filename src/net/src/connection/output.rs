//! Writing: from the codec and the channel to the transport.

use super::{Connection, Phase};
use crate::close::CloseReason;
use crate::codec::Codec;
use crate::context::Context;
use crate::deadline::Tick;
use crate::token;
use logic::Input;
use mio::Interest;
use std::io;

impl Connection {
    /// Handles a writable event.
    pub(super) fn writable(&mut self, context: &mut Context) {
        self.blocked = false;
        if self.unwritten() > 0 || self.channel.unsent > 0 {
            self.channel.queue_flush(context);
        }
    }

    /// Ends the output: the peer reads end of stream after everything that was written.
    fn close_write(&mut self) -> io::Result<()> {
        self.transport.send_close_notify()?;
        self.transport.socket().close_write()
    }

    /// Bytes that the kernel has not taken.
    pub(super) fn unwritten(&self) -> usize {
        self.channel.output.len() + self.transport.unsent()
    }

    /// Writes all output with one write. An error: nothing more can be written, or nothing more has to be.
    pub fn flush(&mut self, context: &mut Context) -> Result<(), CloseReason> {
        self.channel.begin_flush();
        if let Some(codec) = &mut self.codec {
            codec.fill(&mut self.channel, context);
        }
        if self.unwritten() > 0 && !self.blocked {
            let before = self.channel.output.len();
            let written = self.channel.output.write_to(&mut self.transport, &mut context.pool);
            if written.is_err() {
                return Err(CloseReason::PeerReset);
            }
            context.counters.sent_bytes.add((before - self.channel.output.len()) as u64);
            if self.unwritten() > 0 {
                self.block(context)?;
            }
        }
        self.channel.unsent = self.transport.unsent() as u32;
        if self.unwritten() == 0 {
            self.flushed(context)?;
        } else if self.unwritten() > context.output_budget.connection_bytes() {
            return Err(CloseReason::SlowConsumer);
        }
        self.channel.update_charge(context);
        self.unchoke(context);
        Ok(())
    }

    /// A write fell short. Either the write before it took everything or an event came in between, so the peer read
    /// something just now.
    fn block(&mut self, context: &mut Context) -> Result<(), CloseReason> {
        self.blocked = true;
        self.blocked_since = context.now;
        if !self.watched {
            self.watched = true;
            let both = Interest::READABLE | Interest::WRITABLE;
            let token = token::of(self.channel.id);
            let watched = context.registry.reregister(self.transport.socket_mut(), token, both);
            watched.map_err(|_| CloseReason::PeerReset)?;
        }
        self.arm(context);
        Ok(())
    }

    fn flushed(&mut self, context: &mut Context) -> Result<(), CloseReason> {
        match self.phase {
            Phase::Open => {
                if let Some(codec) = &mut self.codec {
                    codec.flushed(&mut self.channel, context);
                }
                if self.notify_drained {
                    self.notify_drained = false;
                    context.inputs.push(Input::Drained { conn: self.channel.id });
                }
            }
            Phase::Flushing => {
                if self.ended || self.close_write().is_err() {
                    return Err(CloseReason::PeerClosed);
                }
                self.phase = Phase::Lingering;
                self.since = context.now;
                self.arm(context);
            }
            Phase::Lingering => {}
        }
        Ok(())
    }

    /// Continues with a request for a page that waited for memory, if there is some now beside `promised` other pages.
    /// Returns whether there is.
    pub fn end_budget_wait(&mut self, promised: usize, context: &mut Context) -> bool {
        let has_ended = self.channel.end_budget_wait(promised, context);
        self.unchoke(context);
        has_ended
    }

    /// Since when the client has read nothing of its output, if it has more than is free.
    pub fn unread_since(&self) -> Option<Tick> {
        (self.blocked && self.channel.is_charged()).then_some(self.blocked_since)
    }

    /// The gap between two paced objects is over.
    pub fn gap_elapsed(&mut self, context: &mut Context) {
        if let Some(codec) = &mut self.codec {
            codec.gap_elapsed(&mut self.channel, context);
        }
    }
}
