//! The JSON stream of muduo cluster chat clients: objects in, typed requests out, and objects back, paced.
//!
//! ```text
//!              paced: one at a time                     the kernel takes it
//!   put --> queue ----------------> output --> kernel ----------------------> acknowledged, gap, next object
//!              not paced: directly --^
//! ```
//!
//! A legacy client never acknowledges messages, so its codec does: what the kernel took counts as delivered. The queue
//! is bounded, because logic sends no more than a window of messages ahead of the acknowledgements.

mod queue;

use super::{Codec, FanOut, Liveness};
use crate::channel::Channel;
use crate::close::CloseReason;
use crate::context::Context;
use crate::context::legacy::{LegacyContext, Mark, Unacknowledged};
use logic::limits::LEGACY_WINDOW;
use queue::{Object, ObjectQueue};
use std::sync::Arc;
use wire::kind::request;
use wire::legacy::answer::{put_login_refused, put_register_refused, put_registered};
use wire::legacy::request::Fault;
use wire::legacy::{Scan, Scanner, Welcome, message};
use wire::{Command, Dialect, Errno, Message, Push, Reply, account, session};

/// Bytes of unanswered requests above which a connection is not read.
const UNANSWERED_BYTES: usize = 16 * 1024;
/// Queued objects above which a connection is not read: a window of messages, and answers to as many requests.
const QUEUE_MAX: usize = 2 * LEGACY_WINDOW as usize;
/// Log lines about ignored requests of one connection.
const WARNINGS_MAX: u8 = 8;

/// Logs a problem that the protocol cannot report to the client, a few times for each connection. A macro, so that the
/// log limits each kind of problem on its own.
macro_rules! warn {
    ($legacy:expr, $channel:expr, $($what:tt)*) => {
        if let Some(end) = $legacy.next_warning() {
            log::warn!("legacy client {}: {}{end}", $channel.peer, format_args!($($what)*));
        }
    };
}

#[derive(Debug, Default)]
pub(crate) struct Legacy {
    pending: Vec<u8>,
    scanner: Scanner,
    /// Empty where pacing is disabled.
    queue: ObjectQueue,
    /// Messages in the output that the kernel has not taken.
    in_output: Unacknowledged,
    /// Bytes of the requests that logic has not answered.
    unanswered_bytes: usize,
    /// Log lines so far, up to [`WARNINGS_MAX`].
    warnings: u8,
    /// A LOGOUT is with logic.
    logging_out: bool,
}

impl Codec for Legacy {
    fn dialect(&self) -> Dialect {
        Dialect::Legacy
    }

    fn liveness(&self) -> Liveness {
        Liveness::KeepAlive
    }

    fn has_room(&self) -> bool {
        self.queue.len() < QUEUE_MAX && self.unanswered_bytes <= UNANSWERED_BYTES
    }

    fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Unknown: an object does not say how long it is.
    fn missing(&self) -> usize {
        usize::MAX
    }

    fn decode(
        &mut self,
        bytes: &[u8],
        channel: &mut Channel,
        context: &mut Context,
    ) -> Result<usize, CloseReason> {
        let mut used = 0;
        while used < bytes.len() && self.gate_is_open(channel, context) {
            match self.scanner.scan(&bytes[used..], channel.request_bytes(context)) {
                Ok(Scan::Object(object)) => {
                    let end = used + object.end;
                    self.handle_object(&bytes[used + object.start..end], channel, context)?;
                    used = end;
                }
                Ok(Scan::Incomplete(begin)) => return Ok(used + begin),
                Err(error) => {
                    warn!(self, channel, "closed: {error}");
                    return Err(CloseReason::BadObject);
                }
            }
        }
        Ok(used)
    }

    /// These clients know answers to REGISTER, and refusals of LOGIN. Nothing else is written.
    fn reply(
        &mut self,
        kind: u16,
        _request: u32,
        reply: &Reply,
        channel: &mut Channel,
        context: &mut Context,
    ) {
        match reply {
            Reply::Refused(refusal) => self.refuse(kind, refusal.errno, &refusal.errmsg, channel, context),
            Reply::Account(account::Reply::Registered(made)) => {
                let mut object = Vec::new();
                put_registered(&mut object, &context.legacy.style, made.id);
                self.put(&object, &[], channel, context);
            }
            _ => {}
        }
        if channel.flow.is_idle() {
            self.unanswered_bytes = 0;
        }
    }

    fn welcome(&mut self, welcome: &Welcome, channel: &mut Channel, context: &mut Context) {
        let LegacyContext { style, local_time, .. } = &mut context.legacy;
        let mut object = Vec::new();
        let included = welcome.put(&mut object, style, &mut |message| local_time.text(message.time).into());
        let (included, remaining) = welcome.missed.split_at(included);
        let marks: Vec<Mark> = included.iter().map(|message| Mark::of(message)).collect();
        self.put(&object, &marks, channel, context);
        for message in remaining {
            object.clear();
            self.forward(message, &mut object, channel, context);
        }
    }

    /// These clients understand no push but messages.
    fn push(&mut self, push: &Push, fan_out: &mut FanOut, channel: &mut Channel, context: &mut Context) {
        if let Push::Message(wire::message::Push::New(message)) = push {
            fan_out.object.clear();
            self.forward(message, &mut fan_out.object, channel, context);
        }
    }

    fn deliver(
        &mut self,
        message: &Arc<Message>,
        fan_out: &mut FanOut,
        channel: &mut Channel,
        context: &mut Context,
    ) {
        self.forward(message, &mut fan_out.object, channel, context);
    }

    /// Moves the next object to the output.
    ///
    /// These clients take up to `object_bytes` from their socket and read them as one object. Each object is padded to
    /// that length with spaces, so that a client which is late and finds two of them still takes one.
    fn fill(&mut self, channel: &mut Channel, context: &mut Context) {
        let Some(object) = self.queue.pop() else { return };
        self.in_output.add_all(&object.marks);
        let out = channel.output.tail(&mut context.pool);
        out.extend_from_slice(&object.text);
        let padding = (context.legacy.style.object_bytes - 1).saturating_sub(object.text.len());
        out.resize(out.len() + padding, b' ');
        out.push(0);
    }

    fn flushed(&mut self, channel: &mut Channel, context: &mut Context) {
        context.legacy.synthetic_acks.record(channel.id, &mut self.in_output, context.now);
        if self.queue.written() {
            context.legacy.pacer.begin_gap(channel.id);
        }
    }

    fn gap_elapsed(&mut self, channel: &mut Channel, context: &mut Context) {
        self.queue.gap_elapsed();
        if !self.queue.is_empty() {
            channel.queue_flush(context);
        }
    }

    fn log_out(&mut self, context: &mut Context) {
        // Messages delivered so far belong to this account, not to the next one that logs in.
        context.legacy.synthetic_acks.expedite();
        // Messages that the kernel has not accepted were not delivered.
        self.in_output = Unacknowledged::default();
        self.logging_out = false;
    }

    fn end(&mut self, context: &mut Context) {
        context.legacy.synthetic_acks.expedite();
        self.pending = Vec::new();
    }
}

// ---- input ----------------------------------------------------------------------------------------------------------

impl Legacy {
    fn handle_object(
        &mut self,
        object: &[u8],
        channel: &mut Channel,
        context: &mut Context,
    ) -> Result<(), CloseReason> {
        match wire::legacy::request::decode(object, &context.legacy.style.msgids) {
            Ok(command) => self.handle_command(command, object.len(), channel, context),
            Err(fault @ Fault::Broken(_)) => {
                warn!(self, channel, "closed: {fault}");
                return Err(CloseReason::BadObject);
            }
            Err(Fault::Login(errmsg)) => {
                self.refuse(request::LOGIN, Errno::BadRequest, &errmsg, channel, context);
            }
            Err(Fault::Register(errmsg)) => {
                self.refuse(request::REGISTER, Errno::BadRequest, &errmsg, channel, context);
            }
            Err(Fault::Ignored(what)) => warn!(self, channel, "ignored a request: {what}"),
        }
        Ok(())
    }

    fn handle_command(
        &mut self,
        command: Command,
        bytes: usize,
        channel: &mut Channel,
        context: &mut Context,
    ) {
        let is_entry = matches!(
            command,
            Command::Session(session::Request::Login(_)) | Command::Account(account::Request::Register(_))
        );
        if channel.user.is_none() && !is_entry {
            warn!(self, channel, "ignored a request before login");
            return;
        }
        self.unanswered_bytes += bytes;
        if matches!(command, Command::Session(session::Request::Logout)) {
            // Logic no longer accepts acknowledgements after a LOGOUT, so no message may be written that needs one.
            self.queue.drop_messages();
            self.logging_out = true;
            context.legacy.synthetic_acks.expedite();
        }
        channel.submit(command.kind(), 0, command, context);
    }

    /// Counts a log line about this client. `Some`: to be written, with this end.
    fn next_warning(&mut self) -> Option<&'static str> {
        let end = match WARNINGS_MAX.checked_sub(self.warnings)? {
            0 => return None,
            1 => " (further warnings about it are suppressed)",
            _ => "",
        };
        self.warnings += 1;
        Some(end)
    }
}

// ---- output ---------------------------------------------------------------------------------------------------------

impl Legacy {
    fn refuse(
        &mut self,
        kind: u16,
        errno: Errno,
        errmsg: &str,
        channel: &mut Channel,
        context: &mut Context,
    ) {
        let mut object = Vec::new();
        match kind {
            request::LOGIN => put_login_refused(&mut object, &context.legacy.style, errno, errmsg),
            request::REGISTER => put_register_refused(&mut object, &context.legacy.style, errmsg),
            _ => {
                warn!(self, channel, "refused a request: {errmsg}");
                return;
            }
        }
        self.put(&object, &[], channel, context);
    }

    /// Writes a message, encoded into `object` unless that was done already.
    fn forward(
        &mut self,
        message: &Message,
        object: &mut Vec<u8>,
        channel: &mut Channel,
        context: &mut Context,
    ) {
        let Some(user) = channel.user else { return };
        if self.logging_out {
            return;
        }
        if object.is_empty() {
            let LegacyContext { style, local_time, .. } = &mut context.legacy;
            message::put(object, style, message, user, local_time.text(message.time));
        }
        self.put(object, &[Mark::of(message)], channel, context);
    }

    /// Writes an object: at once, or paced.
    fn put(&mut self, text: &[u8], marks: &[Mark], channel: &mut Channel, context: &mut Context) {
        if context.legacy.pacer.is_enabled() {
            self.queue.push(Object { text: text.into(), marks: marks.into() });
            channel.queue_flush(context);
        } else {
            self.in_output.add_all(marks);
            channel.write(context, |out| {
                out.extend_from_slice(text);
                out.push(0);
            });
        }
    }
}
