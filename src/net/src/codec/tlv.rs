//! Frames in, requests out. What needs no rule of the chat server is answered right here: heartbeats, and requests
//! that are wrong in themselves.

use crate::close::CloseReason;
use crate::connection::Connection;
use crate::context::Context;
use std::time::{SystemTime, UNIX_EPOCH};
use wire::frame::put_frame;
use wire::kind::{REPLY, request};
use wire::limits::{FRAME_BYTES_BEFORE_LOGIN, HEADER_BYTES};
use wire::{Command, Errno, Frame, FrameError, Heartbeat, Push, Refusal, Reply, UnixMillis, UserId};

/// Decodes the frames at the beginning of `bytes`, as long as the connection's gate is open; how many bytes they
/// took. `Err`: the stream cannot be read any further, which the peer has been told.
pub(crate) fn decode(
    conn: &mut Connection,
    bytes: &[u8],
    context: &mut Context,
) -> Result<usize, CloseReason> {
    let mut used = 0;
    while used < bytes.len() && conn.gate_is_open(context) {
        let max = if conn.user().is_some() { context.limits.frame_bytes } else { FRAME_BYTES_BEFORE_LOGIN };
        match wire::split_frame(&bytes[used..], max) {
            Ok(Some((frame, length))) => {
                used += length;
                handle_frame(conn, frame, context);
            }
            Ok(None) => break,
            Err(error) => {
                refuse_stream(conn, error, context);
                return Err(CloseReason::BadFrame);
            }
        }
    }
    Ok(used)
}

/// How many bytes the incomplete frame `begun` lacks at least: the rest of its header, or of its value.
pub(crate) fn missing(begun: &[u8]) -> usize {
    let whole = match begun.first_chunk::<HEADER_BYTES>() {
        None => HEADER_BYTES,
        Some(header) => {
            HEADER_BYTES + u32::from_be_bytes([header[8], header[9], header[10], header[11]]) as usize
        }
    };
    debug_assert!(begun.len() < whole, "a frame that is complete was decoded");
    whole.saturating_sub(begun.len())
}

fn handle_frame(conn: &mut Connection, frame: Frame<'_>, context: &mut Context) {
    let Frame { kind, request, value } = frame;
    if kind == request::HEARTBEAT {
        return answer_heartbeat(conn, frame, context);
    }
    match Command::decode(kind, value) {
        Ok(command) => {
            conn.charge(kind, request);
            context.request(conn.id, request, command);
        }
        Err(bad) => refuse(conn, kind, request, bad.into(), context),
    }
}

fn answer_heartbeat(conn: &mut Connection, frame: Frame<'_>, context: &mut Context) {
    let Frame { kind, request, value } = frame;
    let user = conn.user().unwrap_or(UserId(0));
    match Heartbeat::decode(value) {
        Some(beat) if beat.user == user => {
            if request != 0 {
                let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let answer = Heartbeat { time: UnixMillis(time.as_millis() as u64), ..beat };
                conn.write(context, |out| {
                    put_frame(out, REPLY | kind, request, |out| out.extend_from_slice(&answer.encode()));
                });
            }
        }
        Some(_) => {
            let sentence = "the heartbeat's user id is not the one that is logged in (0 before login)";
            refuse(conn, kind, request, Refusal::new(Errno::BadRequest, sentence), context);
        }
        None => {
            let sentence = "the heartbeat's length, magic, digest or user id is wrong";
            refuse(conn, kind, request, Refusal::new(Errno::BadRequest, sentence), context);
        }
    }
}

fn refuse(conn: &mut Connection, kind: u16, request: u32, refusal: Refusal, context: &mut Context) {
    if request != 0 {
        conn.write(context, |out| Reply::from(refusal).encode(kind, request, out));
    }
}

/// Tells the peer why nothing more is read from it.
fn refuse_stream(conn: &mut Connection, error: FrameError, context: &mut Context) {
    match error {
        FrameError::TooLarge { kind, request, .. } if request != 0 => {
            refuse(conn, kind, request, Refusal::new(Errno::TooLarge, error.to_string()), context);
        }
        FrameError::TooLarge { .. } => {
            let refusal = Refusal::new(Errno::TooLarge, error.to_string());
            conn.write(context, |out| Push::Error(Box::new(refusal)).encode(out));
        }
        FrameError::Magic => {
            let refusal = Refusal::new(Errno::BadRequest, error.to_string());
            conn.write(context, |out| Push::Error(Box::new(refusal)).encode(out));
        }
    }
}
