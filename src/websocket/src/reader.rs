//! [`Reader`]: the messages in what a peer sends.

use crate::mask;
use crate::writer::Kind;
use std::io::Cursor;
use thiserror::Error;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// The longest payload of a control frame (RFC 6455, 5.5).
const CONTROL_BYTES: u64 = 125;

/// Which end of the connection this is. A client masks what it sends, a server does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// What a peer has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message. A text is not checked to be UTF-8.
    Message(Kind, &'a [u8]),
    /// To be answered by a pong with the same payload.
    Ping(&'a [u8]),
    Pong,
    /// The peer sends no more. To be answered by a close with the same code.
    Close(Option<CloseCode>),
}

/// Why what a peer has sent cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    #[error("{0}")]
    Protocol(&'static str),
    #[error("the message is too long")]
    TooLong,
    #[error("text messages are not supported")]
    Text,
    #[error("the reason of the close is not UTF-8")]
    Reason,
}

impl Fault {
    /// What to close the connection with.
    pub fn code(self) -> CloseCode {
        match self {
            Fault::Protocol(_) => CloseCode::Protocol,
            Fault::TooLong => CloseCode::Size,
            Fault::Text => CloseCode::Unsupported,
            Fault::Reason => CloseCode::Invalid,
        }
    }
}

/// The incomplete frame at the end of what was read.
#[derive(Debug)]
struct Frame {
    opcode: OpCode,
    is_final: bool,
    mask: Option<[u8; 4]>,
    /// Bytes of the payload, and how many of them were taken.
    length: usize,
    taken: usize,
}

/// Takes what a peer sends.
#[derive(Debug)]
pub struct Reader {
    role: Role,
    takes_text: bool,
    /// The beginning of a frame's header, or of a control frame's payload.
    pending: Vec<u8>,
    frame: Option<Frame>,
    /// A message whose last frame has not come.
    begun: Option<Kind>,
    /// The payload of an incomplete message, or of the one that was returned last.
    message: Vec<u8>,
    is_returned: bool,
}

impl Reader {
    /// `takes_text`: whether text messages are no fault.
    pub fn new(role: Role, takes_text: bool) -> Reader {
        Reader {
            role,
            takes_text,
            pending: Vec::new(),
            frame: None,
            begun: None,
            message: Vec::new(),
            is_returned: false,
        }
    }

    /// Takes bytes from the front of `bytes` up to the end of the next event; `None`: all were taken. A message may have
    /// `limit` bytes. `scratch` is memory for messages that are in one piece.
    ///
    /// # Errors
    /// If the peer breaks the protocol. Nothing more may be read then.
    pub fn next<'a>(
        &'a mut self,
        bytes: &mut &[u8],
        limit: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Option<Event<'a>>, Fault> {
        self.release();
        loop {
            let frame = match &mut self.frame {
                Some(frame) => frame,
                None => match self.take_header(bytes, limit)? {
                    Some(frame) => self.frame.insert(frame),
                    None => return Ok(None),
                },
            };
            let part = bytes.len().min(frame.length - frame.taken);
            let (payload, rest) = bytes.split_at(part);
            *bytes = rest;
            let is_control = matches!(frame.opcode, OpCode::Control(_));
            let is_whole = part == frame.length && frame.is_final && self.message.is_empty();
            let target = match () {
                () if is_control => &mut self.pending,
                () if is_whole => {
                    scratch.clear();
                    &mut *scratch
                }
                () => &mut self.message,
            };
            let from = target.len();
            target.extend_from_slice(payload);
            if let Some(mask) = frame.mask {
                mask::apply(&mut target[from..], mask, frame.taken);
            }
            frame.taken += part;
            if frame.taken < frame.length {
                return Ok(None);
            }
            let (opcode, is_final) = (frame.opcode, frame.is_final);
            self.frame = None;
            if let OpCode::Control(control) = opcode {
                scratch.clear();
                scratch.append(&mut std::mem::take(&mut self.pending));
                return control_event(control, scratch).map(Some);
            }
            if !is_final {
                continue;
            }
            let kind = self.begun.take().unwrap_or(Kind::Binary);
            if is_whole {
                return Ok(Some(Event::Message(kind, scratch)));
            }
            self.is_returned = true;
            return Ok(Some(Event::Message(kind, &self.message)));
        }
    }

    /// Frees the memory of the message that was returned last.
    pub fn release(&mut self) {
        if std::mem::take(&mut self.is_returned) {
            self.message = Vec::new();
        }
    }

    /// Bytes of memory that it holds.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.pending.capacity() + self.message.capacity()
    }

    fn take_header(&mut self, bytes: &mut &[u8], limit: usize) -> Result<Option<Frame>, Fault> {
        let mut header = None;
        if self.pending.is_empty() {
            header = parse(bytes)?.inspect(|(.., used)| *bytes = &bytes[*used..]);
        }
        // Byte by byte where it is split, which is rare: nothing behind the header is kept.
        while header.is_none()
            && let Some((&first, rest)) = bytes.split_first()
        {
            self.pending.push(first);
            *bytes = rest;
            header = parse(&self.pending)?;
        }
        let Some((header, length, _)) = header else { return Ok(None) };
        self.pending = Vec::new();
        self.check(&header, length, limit).map(Some)
    }

    fn check(&mut self, header: &FrameHeader, length: u64, limit: usize) -> Result<Frame, Fault> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Fault::Protocol("reserved bits are set, but no extension was agreed on"));
        }
        match (self.role, header.mask) {
            (Role::Server, None) => return Err(Fault::Protocol("a client must mask its frames")),
            (Role::Client, Some(_)) => return Err(Fault::Protocol("a server must not mask its frames")),
            _ => {}
        }
        match header.opcode {
            OpCode::Control(_) if !header.is_final => {
                return Err(Fault::Protocol("a control frame must not be fragmented"));
            }
            OpCode::Control(_) if length > CONTROL_BYTES => {
                return Err(Fault::Protocol("a control frame must not be longer than 125 bytes"));
            }
            OpCode::Control(_) => {}
            OpCode::Data(Data::Continue) if self.begun.is_none() => {
                return Err(Fault::Protocol("there is no message to continue"));
            }
            OpCode::Data(Data::Continue) => {}
            OpCode::Data(_) if self.begun.is_some() => {
                return Err(Fault::Protocol("the message before is not complete"));
            }
            OpCode::Data(Data::Text) if !self.takes_text => return Err(Fault::Text),
            OpCode::Data(Data::Text) => self.begun = Some(Kind::Text),
            OpCode::Data(_) => self.begun = Some(Kind::Binary),
        }
        if let OpCode::Data(_) = header.opcode
            && length > limit.saturating_sub(self.message.len()) as u64
        {
            return Err(Fault::TooLong);
        }
        let FrameHeader { opcode, is_final, mask, .. } = *header;
        Ok(Frame { opcode, is_final, mask, length: length as usize, taken: 0 })
    }
}

/// The header at the front of `bytes`, the length of the payload, and that of the header; `None`: it is incomplete.
fn parse(bytes: &[u8]) -> Result<Option<(FrameHeader, u64, usize)>, Fault> {
    let mut cursor = Cursor::new(bytes);
    match FrameHeader::parse(&mut cursor) {
        Ok(None) => Ok(None),
        Ok(Some((header, length))) => {
            let used = cursor.position() as usize;
            if length >> 63 != 0 || header.len(length) != used {
                return Err(Fault::Protocol(
                    "the length of a frame is not in its shortest form, or above 63 bits",
                ));
            }
            Ok(Some((header, length, used)))
        }
        Err(_) => Err(Fault::Protocol("the opcode of a frame is reserved")),
    }
}

fn control_event(control: Control, payload: &[u8]) -> Result<Event<'_>, Fault> {
    match control {
        Control::Ping => Ok(Event::Ping(payload)),
        Control::Pong => Ok(Event::Pong),
        Control::Close => match payload.split_first_chunk() {
            None if payload.is_empty() => Ok(Event::Close(None)),
            None => Err(Fault::Protocol("a close with one byte has no code")),
            Some((code, reason)) => {
                let code = CloseCode::from(u16::from_be_bytes(*code));
                if !code.is_allowed() {
                    return Err(Fault::Protocol("the code of a close is reserved"));
                }
                match std::str::from_utf8(reason) {
                    Ok(_) => Ok(Event::Close(Some(code))),
                    Err(_) => Err(Fault::Reason),
                }
            }
        },
        Control::Reserved(_) => Err(Fault::Protocol("the opcode of a frame is reserved")),
    }
}
