//! The encoding of hints: the kind, and for a push the same frame that clients receive.
//!
//! ```text
//!   0: push | member version u32 | TLV frame
//!   1: kick | user u32 | epoch u32 | device name, if there is one
//! ```

use logic::bus::Hint;
use logic::contract::Epoch;
use wire::limits::FRAME_BYTES;
use wire::{Push, UserId, split_frame};

const PUSH: u8 = 0;
const KICK: u8 = 1;

/// Appends a hint.
pub fn encode(hint: &Hint, out: &mut Vec<u8>) {
    match hint {
        Hint::Push { push, member_version } => {
            out.push(PUSH);
            out.extend_from_slice(&member_version.to_be_bytes());
            push.encode(out);
        }
        Hint::Kick { user, epoch, device } => {
            out.push(KICK);
            out.extend_from_slice(&user.0.to_be_bytes());
            out.extend_from_slice(&epoch.0.to_be_bytes());
            out.extend_from_slice(device.as_deref().unwrap_or_default().as_bytes());
        }
    }
}

/// Decodes a hint; `None` if it is malformed or of a kind this version does not know.
pub fn decode(bytes: &[u8]) -> Option<Hint> {
    let (kind, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first_chunk()?;
    let first = u32::from_be_bytes(*first);
    match *kind {
        PUSH => {
            let (frame, length) = split_frame(rest, FRAME_BYTES).ok()??;
            let push = Push::decode(frame.kind, frame.value).ok()??;
            (length == rest.len()).then_some(Hint::Push { push, member_version: first })
        }
        KICK => {
            let (epoch, device) = rest.split_first_chunk()?;
            let device = std::str::from_utf8(device).ok()?;
            let (user, epoch) = (UserId(first), Epoch(u32::from_be_bytes(*epoch)));
            Some(Hint::Kick { user, epoch, device: (!device.is_empty()).then(|| device.into()) })
        }
        _ => None,
    }
}
