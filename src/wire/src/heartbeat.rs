//! HEARTBEAT: the only binary value of the protocol, 40 bytes in either direction, big-endian.
//!
//! ```text
//! 0            4            8                16               24              40
//! +------------+------------+----------------+----------------+---------------+
//! | "HBEA"     | sequence   | time, ms       | user id        | MD5 of 0..24  |
//! +------------+------------+----------------+----------------+---------------+
//! ```

use crate::{UnixMillis, UserId};
use md5::{Digest, Md5};

/// The type of a heartbeat's frame.
pub const HEARTBEAT: u16 = 14;
/// Bytes of a heartbeat.
pub const HEARTBEAT_BYTES: usize = 40;
const MAGIC: [u8; 4] = *b"HBEA";
const DIGESTED: usize = 24;

/// A heartbeat or its reply. The digest detects corruption; it provides no authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The client's counter, which the reply repeats.
    pub sequence: u32,
    /// The sender's clock.
    pub time: UnixMillis,
    /// The user who is logged in; 0 before login.
    pub user: UserId,
}

impl Heartbeat {
    pub fn encode(self) -> [u8; HEARTBEAT_BYTES] {
        let mut bytes = [0; HEARTBEAT_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.time.0.to_be_bytes());
        bytes[16..24].copy_from_slice(&u64::from(self.user.0).to_be_bytes());
        let digest = Md5::digest(&bytes[..DIGESTED]);
        bytes[DIGESTED..].copy_from_slice(&digest);
        bytes
    }

    /// Reads a frame's value; `None` for a wrong length, magic or digest, or a user id of 2^31 or more.
    pub fn decode(value: &[u8]) -> Option<Heartbeat> {
        let bytes: &[u8; HEARTBEAT_BYTES] = value.try_into().ok()?;
        if bytes[..4] != MAGIC || Md5::digest(&bytes[..DIGESTED])[..] != bytes[DIGESTED..] {
            return None;
        }
        let word = |at: usize| bytes[at..at + 8].try_into().map(u64::from_be_bytes).ok();
        let user = word(16)?;
        Some(Heartbeat {
            sequence: bytes[4..8].try_into().map(u32::from_be_bytes).ok()?,
            time: UnixMillis(word(8)?),
            user: (user <= u64::from(UserId::MAX.0)).then_some(UserId(user as u32))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_detected() {
        let beat = Heartbeat { sequence: 7, time: UnixMillis(1_700_000_000_000), user: UserId(42) };
        let bytes = beat.encode();
        assert_eq!(Heartbeat::decode(&bytes), Some(beat));
        for bit in 0..HEARTBEAT_BYTES * 8 {
            let mut bent = bytes;
            bent[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Heartbeat::decode(&bent), None, "bit {bit}");
        }
        assert_eq!(Heartbeat::decode(&bytes[..39]), None);
    }
}
