//! Encoding of messages and control frames.

use crate::mask;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control as Opcode, Data, OpCode};

/// What a message contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Binary,
}

/// A control frame that answers or asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    Ping,
    Pong,
}

/// The header of a payload that is longer than 125 and shorter than 65,536 bytes, without a mask.
const USUAL_HEADER: usize = 4;
const HEADER_MAX: usize = 14;

/// Appends a message in one frame, whose payload `encode` appends. A client needs a mask that nobody can predict.
pub fn put_message(out: &mut Vec<u8>, kind: Kind, mask: Option<[u8; 4]>, encode: impl FnOnce(&mut Vec<u8>)) {
    let opcode = match kind {
        Kind::Text => OpCode::Data(Data::Text),
        Kind::Binary => OpCode::Data(Data::Binary),
    };
    put(out, opcode, mask, encode);
}

/// Appends a ping or pong with at most 125 bytes; what is longer is cut off.
pub fn put_control(out: &mut Vec<u8>, control: Control, mask: Option<[u8; 4]>, payload: &[u8]) {
    let opcode = match control {
        Control::Ping => OpCode::Control(Opcode::Ping),
        Control::Pong => OpCode::Control(Opcode::Pong),
    };
    put(out, opcode, mask, |out| out.extend_from_slice(&payload[..payload.len().min(125)]));
}

/// Appends a close.
pub fn put_close(out: &mut Vec<u8>, code: Option<CloseCode>, mask: Option<[u8; 4]>) {
    put(out, OpCode::Control(Opcode::Close), mask, |out| {
        if let Some(code) = code {
            out.extend_from_slice(&u16::from(code).to_be_bytes());
        }
    });
}

fn put(out: &mut Vec<u8>, opcode: OpCode, mask: Option<[u8; 4]>, encode: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    // The length is known behind the payload, so room for the header is a guess that is mostly right.
    let guess = USUAL_HEADER + mask.map_or(0, |mask| mask.len());
    out.extend_from_slice(&[0; HEADER_MAX][..guess]);
    encode(out);
    let payload = out.len() - start - guess;
    let header = FrameHeader { opcode, mask, ..FrameHeader::default() };
    let length = header.len(payload as u64);
    if length > guess {
        out.resize(out.len() + length - guess, 0);
    }
    if length != guess {
        out.copy_within(start + guess..start + guess + payload, start + length);
        out.truncate(start + length + payload);
    }
    let (head, body) = out[start..].split_at_mut(length);
    header.format(payload as u64, &mut &mut *head).expect("the buffer has the length of the header");
    if let Some(mask) = mask {
        mask::apply(body, mask, 0);
    }
}
