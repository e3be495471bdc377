//! The content of every message of a run and its verification: the channel, the number of the message, and the time
//! from which its latency counts. Letters determined by channel and number pad it to the chosen size, so that any
//! corrupted, misdirected or spurious message is detected.
//!
//! ```text
//!   content:  channel  counter     time, ns          padding
//!             6 hex    10 hex      16 hex            the alphabet, from letter (channel + counter) % 26 on
//! ```

use crate::digits::{hex, put_hex};
use wire::{ConversationId, ConversationKind, UserId};

pub const CHANNEL_BYTES: usize = 6;
pub const COUNTER_BYTES: usize = 10;
const TIME_BYTES: usize = 16;
/// Bytes before the padding: the smallest size of a message.
pub const STAMP_BYTES: usize = CHANNEL_BYTES + COUNTER_BYTES + TIME_BYTES;
/// Bytes of a `cid`: the channel, the number of the run, and the counter.
pub const CID_BYTES: usize = CHANNEL_BYTES + RUN_BYTES + COUNTER_BYTES;
const RUN_BYTES: usize = 8;
const LETTERS: usize = 26;

/// The sender and the destination of a channel, which every message of it must name when it arrives.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The channel's number, below 2^24.
    pub channel: u32,
    pub from: UserId,
    pub name: Box<str>,
    pub destination: Destination,
    /// The beginning of every `cid`: the channel, and a number that separates this run from others by the same
    /// accounts.
    cid_head: [u8; CHANNEL_BYTES + RUN_BYTES],
}

impl Origin {
    pub fn new(channel: u32, from: UserId, name: &str, destination: Destination, run: u32) -> Origin {
        let mut cid_head = [0; CHANNEL_BYTES + RUN_BYTES];
        put_hex(&mut cid_head[..CHANNEL_BYTES], u64::from(channel));
        put_hex(&mut cid_head[CHANNEL_BYTES..], u64::from(run));
        Origin { channel, from, name: name.into(), destination, cid_head }
    }

    /// A `cid` with counter 0.
    pub fn cid(&self) -> Vec<u8> {
        let mut cid = vec![b'0'; CID_BYTES];
        cid[..self.cid_head.len()].copy_from_slice(&self.cid_head);
        cid
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A conversation by its id: direct chats and groups over TLV, groups over the legacy dialect.
    Conversation(ConversationId, ConversationKind),
    /// A user: direct chats over the legacy dialect.
    User(UserId),
}

impl Destination {
    /// The number that names it in a message.
    #[inline]
    pub fn id(self) -> u32 {
        match self {
            Destination::Conversation(id, _) => id.0,
            Destination::User(id) => id.0,
        }
    }

    #[inline]
    pub fn is_group(self) -> bool {
        matches!(self, Destination::Conversation(_, ConversationKind::Group))
    }
}

/// The letters that pad messages of one size.
#[derive(Clone, Debug)]
pub struct Padding(Box<[u8]>);

impl Padding {
    /// For messages of `size` bytes, at least [`STAMP_BYTES`].
    pub fn new(size: usize) -> Padding {
        Padding((b'a'..=b'z').cycle().take(size - STAMP_BYTES + LETTERS).collect())
    }

    /// Bytes of a message.
    pub fn size(&self) -> usize {
        self.0.len() - LETTERS + STAMP_BYTES
    }

    #[inline]
    pub fn of(&self, channel: u32, counter: u64) -> &[u8] {
        let first = (u64::from(channel) + counter) as usize % LETTERS;
        &self.0[first..self.0.len() - LETTERS + first]
    }
}

/// The parsed content of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub channel: u32,
    /// The number of the message within its channel.
    pub counter: u64,
    /// The time from which its latency counts, ns.
    pub at: u64,
}

/// A received message, borrowed from the read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// The conversation, or over the legacy dialect the receiver of a direct chat.
    pub destination: u32,
    pub is_group: bool,
    /// 0 over the legacy dialect, which numbers nothing.
    pub seq: u64,
    pub from: u32,
    pub name: &'a [u8],
    pub content: &'a [u8],
    pub cid: Option<&'a [u8]>,
}

impl Received<'_> {
    /// Parses the content; `None` where no channel sends such content.
    #[inline]
    pub fn stamp(&self, padding: &Padding) -> Option<Stamp> {
        let (stamp, letters) = self.content.split_at_checked(STAMP_BYTES)?;
        let (channel, rest) = stamp.split_at(CHANNEL_BYTES);
        let (counter, time) = rest.split_at(COUNTER_BYTES);
        let stamp = Stamp { channel: hex(channel)? as u32, counter: hex(counter)?, at: hex(time)? };
        (letters == padding.of(stamp.channel, stamp.counter)).then_some(stamp)
    }

    /// Whether everything around the content is as `origin` sent it with its message `counter`.
    #[inline]
    pub fn is_from(&self, origin: &Origin, counter: u64) -> bool {
        let cid_is_right = self.cid.is_none_or(|cid| {
            cid.split_at_checked(CHANNEL_BYTES + RUN_BYTES)
                .is_some_and(|(head, rest)| *head == origin.cid_head && hex(rest) == Some(counter))
        });
        self.destination == origin.destination.id()
            && self.is_group == origin.destination.is_group()
            && self.from == origin.from.0
            && *self.name == *origin.name.as_bytes()
            && cid_is_right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_follows_from_channel_and_number() {
        let padding = Padding::new(STAMP_BYTES + 3);
        assert_eq!(
            (padding.of(1, 1), padding.of(0, 25), padding.size()),
            (&b"cde"[..], &b"zab"[..], STAMP_BYTES + 3)
        );
        assert_eq!(Padding::new(STAMP_BYTES).of(7, 7), b"");
    }
}
