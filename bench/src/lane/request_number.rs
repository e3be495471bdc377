//! A SEND's request number holds the channel and the message it belongs to, so that a reply needs no look-up.

use crate::ledger::REQUESTS;

/// The largest number of channels of one lane.
pub const CHANNELS_MAX: usize = 1 << CHANNEL_BITS;
const CHANNEL_BITS: u32 = 10;
// 0 asks for no reply, and the largest number must fit into 32 bits.
const _: () = assert!(REQUESTS << CHANNEL_BITS < 1 << 32);

#[inline]
pub fn encode(channel: usize, counter: u64) -> u32 {
    ((counter % REQUESTS) << CHANNEL_BITS | channel as u64) as u32 + 1
}

/// The channel, and the counter of the message modulo [`REQUESTS`].
#[inline]
pub fn decode(request: u32) -> (usize, u64) {
    let number = u64::from(request.wrapping_sub(1));
    ((number as usize) & (CHANNELS_MAX - 1), number >> CHANNEL_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_number_holds_channel_and_counter() {
        for (channel, counter) in [(0, 0), (1, 0), (CHANNELS_MAX - 1, REQUESTS - 1), (7, 3 * REQUESTS + 5)] {
            let request = encode(channel, counter);
            assert!(request != 0);
            assert_eq!(decode(request), (channel, counter % REQUESTS));
        }
    }
}
