//! Legacy objects in, requests out, and what these clients are told: an encoder beside the one of frames, and the queue
//! of objects that wait for their turn.
//!
//! ```text
//!              paced: one at a time                     the kernel takes it
//!   put --> queue ----------------> output --> kernel ----------------------> acknowledged, then rest, then the next
//!              not paced: straight ----^
//! ```
//!
//! A legacy client never acknowledges anything, so its connection does: what the kernel took has reached it. What waits
//! here is bounded, for logic sends no more than a window of messages ahead of that.

use crate::close::CloseReason;
use crate::connection::Connection;
use crate::context::Context;
use crate::context::legacy::synthetic_acks::{Mark, note};
use logic::limits::LEGACY_WINDOW;
use std::collections::VecDeque;
use wire::kind::request;
use wire::legacy::answer::{put_login_refused, put_register_refused, put_registered};
use wire::legacy::request::Fault;
use wire::legacy::{Scan, Scanner, Welcome, message};
use wire::limits::FRAME_BYTES_BEFORE_LOGIN;
use wire::{Command, Errno, Message, Push, Reply};
use wire::{account, session};

/// Bytes of requests that logic has not answered past which a connection is not read.
const AHEAD_BYTES: usize = 16 * 1024;
/// Objects that wait past which a connection is not read: a window of messages, and answers to as many requests.
const QUEUE_MAX: usize = 2 * LEGACY_WINDOW as usize;
/// Objects of one connection that are ignored aloud.
const COMPLAINTS_MAX: u8 = 8;

/// What a legacy connection has beside the others.
#[derive(Debug, Default)]
pub(crate) struct Legacy {
    scanner: Scanner,
    /// Objects that wait for their turn; none where there is no pace.
    queue: VecDeque<Object>,
    /// Messages in the output that the kernel has not taken, and how many they are.
    written: Vec<Mark>,
    count: u32,
    turn: Turn,
    /// Bytes of the requests that logic has not answered.
    ahead: usize,
    /// Objects that were ignored, up to [`COMPLAINTS_MAX`].
    complaints: u8,
    /// Its user has asked to be logged out.
    leaves: bool,
}

/// Whose turn it is, where there is a pace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    /// The next object's.
    #[default]
    Next,
    /// The kernel's, to take one.
    Kernel,
    /// The peer's, to read it.
    Peer,
}

/// An object without its NUL, and the messages in it.
#[derive(Debug)]
struct Object {
    text: Box<[u8]>,
    marks: Box<[Mark]>,
}

impl Legacy {
    /// Messages are in the output.
    fn note(&mut self, marks: &[Mark]) {
        self.count += marks.len() as u32;
        marks.iter().for_each(|&mark| note(&mut self.written, mark));
    }

    /// Whether its requests may be read: not too much of what came is unanswered, or waits to be written.
    pub fn gate_is_open(&self) -> bool {
        self.queue.len() < QUEUE_MAX && self.ahead <= AHEAD_BYTES
    }

    /// All its requests are answered.
    pub fn caught_up(&mut self) {
        self.ahead = 0;
    }

    /// Whoever logs out is sent no more messages from here on: logic would not hear any more that the kernel took them.
    fn begin_log_out(&mut self) {
        self.queue.retain(|object| object.marks.is_empty());
        self.leaves = true;
    }

    /// Whoever logged out has not received what the kernel has not taken.
    pub fn log_out(&mut self) {
        (self.written, self.count) = (Vec::new(), 0);
        self.leaves = false;
    }
}

// ---- input ----------------------------------------------------------------------------------------------------------

/// Decodes the objects at the beginning of `bytes`, as long as the connection's gate is open; how many bytes they took.
/// `Err`: the stream cannot be read any further.
pub(crate) fn decode(
    conn: &mut Connection,
    bytes: &[u8],
    context: &mut Context,
) -> Result<usize, CloseReason> {
    let mut used = 0;
    while used < bytes.len() && conn.gate_is_open(context) {
        let max = if conn.user().is_some() { context.limits.frame_bytes } else { FRAME_BYTES_BEFORE_LOGIN };
        let Some(legacy) = &mut conn.legacy else { break };
        match legacy.scanner.scan(&bytes[used..], max) {
            Ok(Scan::Object(object)) => {
                let end = used + object.end;
                handle_object(conn, &bytes[used + object.start..end], context)?;
                used = end;
            }
            Ok(Scan::Begun(begin)) => return Ok(used + begin),
            Err(error) => {
                complain(conn, &error.to_string());
                return Err(CloseReason::BadObject);
            }
        }
    }
    Ok(used)
}

fn handle_object(conn: &mut Connection, object: &[u8], context: &mut Context) -> Result<(), CloseReason> {
    match wire::legacy::request::decode(object, &context.style.msgids) {
        Ok(command) => {
            let begins = matches!(
                command,
                Command::Session(session::Request::Login(_))
                    | Command::Account(account::Request::Register(_))
            );
            if conn.user().is_none() && !begins {
                complain(conn, "it sent a request before login, which is ignored");
                return Ok(());
            }
            conn.charge(command.kind(), 0);
            if let Some(legacy) = &mut conn.legacy {
                legacy.ahead += object.len();
                if matches!(command, Command::Session(session::Request::Logout)) {
                    legacy.begin_log_out();
                    context.synthetic_acks.hurry();
                }
            }
            context.request(conn.id, 0, command);
        }
        Err(fault @ Fault::Broken(_)) => {
            complain(conn, &fault.to_string());
            return Err(CloseReason::BadObject);
        }
        Err(Fault::Login(sentence)) => refuse(conn, request::LOGIN, Errno::BadRequest, &sentence, context),
        Err(Fault::Register(sentence)) => {
            refuse(conn, request::REGISTER, Errno::BadRequest, &sentence, context);
        }
        Err(Fault::Ignored(sentence)) => complain(conn, &format!("it sent {sentence}; ignored")),
    }
    Ok(())
}

/// Says what was ignored, for there is nobody else to tell; of one connection a few times only.
fn complain(conn: &mut Connection, sentence: &str) {
    let id = conn.id;
    let Some(legacy) = &mut conn.legacy else { return };
    if legacy.complaints < COMPLAINTS_MAX {
        legacy.complaints += 1;
        let last =
            if legacy.complaints == COMPLAINTS_MAX { " (the last time that this is said of it)" } else { "" };
        log::warn!("legacy connection {id:?}: {sentence}{last}");
    }
}

// ---- output ---------------------------------------------------------------------------------------------------------

/// Tells the client what became of its request, where it expects to hear.
pub(crate) fn answer(conn: &mut Connection, kind: u16, reply: &Reply, context: &mut Context) {
    match reply {
        Reply::Refused(refusal) => refuse(conn, kind, refusal.errno, &refusal.errmsg, context),
        Reply::Account(account::Reply::Registered(made)) => {
            let mut object = Vec::new();
            put_registered(&mut object, &context.style, made.id);
            put(conn, &object, &[], context);
        }
        _ => {}
    }
}

fn refuse(conn: &mut Connection, kind: u16, errno: Errno, errmsg: &str, context: &mut Context) {
    let mut object = Vec::new();
    match kind {
        request::LOGIN => put_login_refused(&mut object, &context.style, errno, errmsg),
        request::REGISTER => put_register_refused(&mut object, &context.style, errmsg),
        _ => return complain(conn, &format!("a request of it was refused: {errmsg}")),
    }
    put(conn, &object, &[], context);
}

/// Tells the client that it is logged in, and what it has missed.
pub(crate) fn welcome(conn: &mut Connection, welcome: &Welcome, context: &mut Context) {
    let Context { style, local_time, .. } = context;
    let mut object = Vec::new();
    let told = welcome.put(&mut object, style, &mut |message| local_time.text(message.time).into());
    let (told, untold) = welcome.missed.split_at(told);
    let marks: Vec<Mark> = told.iter().map(|message| (message.conversation, message.seq)).collect();
    put(conn, &object, &marks, context);
    for message in untold {
        object.clear();
        deliver(conn, message, &mut object, context);
    }
}

/// Pushes what these clients understand: messages. `object` is for use in between.
pub(crate) fn push(conn: &mut Connection, push: &Push, object: &mut Vec<u8>, context: &mut Context) {
    if let Push::Message(wire::message::Push::New(message)) = push {
        object.clear();
        deliver(conn, message, object, context);
    }
}

/// Sends a message, encoded into `object` unless it is there already.
pub(crate) fn deliver(conn: &mut Connection, message: &Message, object: &mut Vec<u8>, context: &mut Context) {
    let Some(user) = conn.user() else { return };
    if conn.legacy.as_ref().is_some_and(|legacy| legacy.leaves) {
        return;
    }
    if object.is_empty() {
        message::put(object, &context.style, message, user, context.local_time.text(message.time));
    }
    put(conn, object, &[(message.conversation, message.seq)], context);
}

/// Has an object written: now, or when its turn has come.
fn put(conn: &mut Connection, text: &[u8], marks: &[Mark], context: &mut Context) {
    let Some(legacy) = &mut conn.legacy else { return };
    if context.pace.is_on() {
        legacy.queue.push_back(Object { text: text.into(), marks: marks.into() });
        context.mark(conn);
    } else {
        legacy.note(marks);
        conn.write(context, |out| {
            out.extend_from_slice(text);
            out.push(0);
        });
    }
}

/// Moves the next object to the output, if its turn has come.
///
/// These clients take up to `object_bytes` from their socket and read them as one object. Every object is filled up to that
/// length with space, so that even one that comes late, and finds two, takes one.
pub(crate) fn load(conn: &mut Connection, context: &mut Context) {
    let Some(legacy) = &mut conn.legacy else { return };
    if legacy.turn != Turn::Next {
        return;
    }
    let Some(object) = legacy.queue.pop_front() else { return };
    legacy.turn = Turn::Kernel;
    legacy.note(&object.marks);
    let out = conn.output.tail(&mut context.pool);
    out.extend_from_slice(&object.text);
    let space = (context.style.object_bytes - 1).saturating_sub(object.text.len());
    out.resize(out.len() + space, b' ');
    out.push(0);
    if legacy.queue.is_empty() {
        legacy.queue = VecDeque::new();
    }
}

/// The kernel has taken the output: the messages in it count as delivered, and the peer gets its time to read.
pub(crate) fn taken(conn: &mut Connection, context: &mut Context) {
    let Some(legacy) = &mut conn.legacy else { return };
    let count = std::mem::take(&mut legacy.count);
    context.synthetic_acks.report(conn.id, legacy.written.drain(..), count, context.now);
    legacy.written.shrink_to(1);
    if legacy.turn == Turn::Kernel {
        legacy.turn = Turn::Peer;
        context.pace.rest(conn.id);
    }
}

/// The peer has had its time.
pub(crate) fn rested(conn: &mut Connection, context: &mut Context) {
    let Some(legacy) = &mut conn.legacy else { return };
    legacy.turn = Turn::Next;
    if !legacy.queue.is_empty() {
        context.mark(conn);
    }
}
