//! The TLV frame. All integers big-endian.
//!
//! ```text
//! 0        2        4              8              12
//! +--------+--------+--------------+--------------+-------------------+
//! | magic  | type   | request      | length       | value             |
//! | 0x4301 | u16    | u32          | u32          | `length` bytes    |
//! +--------+--------+--------------+--------------+-------------------+
//! ```

use crate::limits::HEADER_BYTES;
use thiserror::Error;

/// The first two bytes of every frame: `C` and the protocol version.
pub const MAGIC: [u8; 2] = [0x43, 0x01];
/// The type of a reply is this bit and the type of its request.
pub const REPLY: u16 = 0x8000;

/// One complete frame, borrowed from the bytes it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The frame's type (see [`crate::kind`]).
    pub kind: u16,
    /// The client's number for the request; 0 asks for no reply, and pushes carry 0.
    pub request: u32,
    /// UTF-8 JSON, except in heartbeats.
    pub value: &'a [u8],
}

/// Why a stream can no longer be read as frames. Each of these closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A frame does not begin with [`MAGIC`].
    #[error("the connection does not send frames of protocol version 1")]
    Magic,
    /// The header announces a value that is longer than allowed. Nothing of the value was stored.
    #[error("the frame's value of {length} bytes is longer than the limit of {max} bytes")]
    TooLarge {
        /// For the error reply.
        kind: u16,
        /// For the error reply.
        request: u32,
        /// The announced length, bytes.
        length: u32,
        /// The longest length allowed, bytes.
        max: usize,
    },
}

/// Splits the first frame off `bytes`. Returns the frame and its length in bytes, or `None` while it is incomplete.
///
/// An incomplete frame costs constant work, so that a stream that arrives byte by byte costs linear time. `max` bounds
/// the value's length; it is checked as soon as the header is complete.
pub fn split_frame(bytes: &[u8], max: usize) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let seen = bytes.len().min(MAGIC.len());
    if bytes[..seen] != MAGIC[..seen] {
        return Err(FrameError::Magic);
    }
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let kind = u16::from_be_bytes([header[2], header[3]]);
    let request = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    let length = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    if length as usize > max {
        return Err(FrameError::TooLarge { kind, request, length, max });
    }
    Ok(rest.get(..length as usize).map(|value| (Frame { kind, request, value }, HEADER_BYTES + value.len())))
}

/// The length of the first frame in `bytes`, whatever it is; `None`: it is incomplete.
pub fn frame_length(bytes: &[u8]) -> Option<usize> {
    let header = bytes.first_chunk::<HEADER_BYTES>()?;
    let [.., a, b, c, d] = *header;
    let length = HEADER_BYTES + u32::from_be_bytes([a, b, c, d]) as usize;
    (bytes.len() >= length).then_some(length)
}

/// Appends one frame to `out`; `value` appends the frame's value.
pub fn put_frame(out: &mut Vec<u8>, kind: u16, request: u32, value: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&request.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    value(out);
    let length = u32::try_from(out.len() - start - HEADER_BYTES).expect("a value is far below 4 GiB");
    out[start + 8..start + 12].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::FRAME_BYTES;

    #[test]
    fn an_excessive_length_is_refused_before_the_value_arrives() {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, 6, 9, |out| out.extend_from_slice(&[b'x'; 101]));
        assert_eq!(
            split_frame(&bytes[..HEADER_BYTES], 100),
            Err(FrameError::TooLarge { kind: 6, request: 9, length: 101, max: 100 })
        );
        assert_eq!(split_frame(&bytes[..HEADER_BYTES], 101), Ok(None));
    }

    #[test]
    fn a_wrong_magic_is_refused_at_its_first_wrong_byte() {
        assert_eq!(split_frame(b"G", FRAME_BYTES), Err(FrameError::Magic));
        assert_eq!(split_frame(&[0x43], FRAME_BYTES), Ok(None));
        assert_eq!(split_frame(&[0x43, 0x02], FRAME_BYTES), Err(FrameError::Magic));
        assert_eq!(split_frame(&[], FRAME_BYTES), Ok(None));
    }
}
