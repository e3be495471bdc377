//! Heartbeats, and the pushes that are not messages.

use crate::error_counts::ErrorCounts;
use crate::event_loop::EventLoop;
use std::time::SystemTime;
use wire::frame::put_frame;
use wire::kind::{push, request};
use wire::{Frame, Heartbeat, Push, UnixMillis, UserId};

/// Appends a heartbeat that asks for a reply.
pub fn put_heartbeat(out: &mut Vec<u8>, user: UserId, sequence: u32) {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let beat = Heartbeat { sequence, time: UnixMillis(since_epoch.as_millis() as u64), user };
    put_frame(out, request::HEARTBEAT, sequence.max(1), |out| out.extend_from_slice(&beat.encode()));
}

/// Answers a PROBE on `user`'s connection, and counts pushes that a healthy run does not see.
pub fn handle_push(event_loop: &mut EventLoop, number: usize, user: UserId, frame: Frame<'_>) {
    let errors = &mut event_loop.meter.errors;
    match frame.kind {
        push::PROBE => put_heartbeat(event_loop.output(number), user, 1),
        push::KICKED => errors.note("kicked"),
        push::GOING_AWAY => errors.note("going_away"),
        push::ERROR => match Push::decode(frame.kind, frame.value) {
            Ok(Some(Push::Error(refusal))) => errors.note_refusal(&refusal),
            _ => errors.note(ErrorCounts::UNEXPECTED),
        },
        // Receipts, presence and CHANGED need no answer; the ledgers know whether a message is missing.
        kind if (push::FIRST..push::ERROR).contains(&kind) && kind != push::MESSAGE => {}
        _ => errors.note(ErrorCounts::UNEXPECTED),
    }
}
