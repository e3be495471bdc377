//! The messages of a run: each carries who sent it, its number, and since when it counts, padded to the wanted size with
//! letters that follow from both. So whatever is changed, mixed up or invented on the way shows.
//!
//! ```text
//!   content:  channel  counter     time, ns          padding
//!             6 hex    10 hex      16 hex            the alphabet, from the letter of channel + counter on
//! ```

use crate::legacy;
use crate::scanner::{Scanner, hex, put_hex};
use std::borrow::Cow;
use wire::frame::MAGIC;
use wire::limits::HEADER_BYTES;
use wire::message::{self, Send};
use wire::{
    Command, ConversationId, ConversationKind, Dialect, Message, Push, Refusal, Reply, Target, UserId, kind,
};

const CHANNEL_BYTES: usize = 6;
const COUNTER_BYTES: usize = 10;
const TIME_BYTES: usize = 16;
/// Bytes before the padding: the least size of a message.
pub const STAMP_BYTES: usize = CHANNEL_BYTES + COUNTER_BYTES + TIME_BYTES;
/// Bytes of a `cid`: the channel, a number of the run, and the counter.
const CID_BYTES: usize = CHANNEL_BYTES + RUN_BYTES + COUNTER_BYTES;
const RUN_BYTES: usize = 8;
const LETTERS: usize = 26;

/// Who sends into a channel, and where to: what every message of it must say when it arrives.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The channel's number, below 2^24.
    pub channel: u32,
    /// The sending account.
    pub from: UserId,
    pub name: Box<str>,
    pub place: Place,
    /// The beginning of its `cid`s: the channel, and a number that sets this run apart from others by the same accounts.
    cid_head: [u8; CHANNEL_BYTES + RUN_BYTES],
}

impl Origin {
    /// What `from`, called `name`, sends to `place` as channel `channel` in run `run`.
    pub fn new(channel: u32, from: UserId, name: &str, place: Place, run: u32) -> Origin {
        let mut cid_head = [0; CHANNEL_BYTES + RUN_BYTES];
        put_hex(&mut cid_head[..CHANNEL_BYTES], u64::from(channel));
        put_hex(&mut cid_head[CHANNEL_BYTES..], u64::from(run));
        Origin { channel, from, name: name.into(), place, cid_head }
    }
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A conversation by its id, as TLV names direct chats and groups, and the legacy dialect groups.
    Conversation(ConversationId, ConversationKind),
    /// A user, as the legacy dialect names direct chats.
    User(UserId),
}

impl Place {
    /// The number that stands for it in a message, and whether it is a group.
    pub fn parts(self) -> (u32, bool) {
        match self {
            Place::Conversation(id, kind) => (id.0, kind == ConversationKind::Group),
            Place::User(id) => (id.0, false),
        }
    }
}

/// The letters that messages of one size are padded with.
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
    fn of(&self, channel: u32, counter: u64) -> &[u8] {
        let first = (u64::from(channel) + counter) as usize % LETTERS;
        &self.0[first..self.0.len() - LETTERS + first]
    }
}

/// An encoded message in which only numbers, time and padding change.
#[derive(Debug)]
pub struct MessageTemplate {
    bytes: Box<[u8]>,
    channel: u32,
    content_at: usize,
    /// Where the counter stands in the `cid`, in a dialect that has one.
    cid_counter_at: Option<usize>,
}

impl MessageTemplate {
    /// Encodes the template.
    pub fn new(origin: &Origin, dialect: Dialect, padding: &Padding) -> MessageTemplate {
        let mut content = vec![b'0'; STAMP_BYTES];
        put_hex(&mut content[..CHANNEL_BYTES], u64::from(origin.channel));
        content.extend_from_slice(padding.of(origin.channel, 0));
        let mut cid = vec![b'0'; CID_BYTES];
        cid[..origin.cid_head.len()].copy_from_slice(&origin.cid_head);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned().into_boxed_str();
        let mut bytes = Vec::new();
        match dialect {
            Dialect::Legacy => legacy::put_chat(&mut bytes, origin, &text(&content)),
            Dialect::Tlv => {
                let target = match origin.place {
                    Place::Conversation(id, _) => Target::Conversation(id),
                    Place::User(id) => Target::User(id),
                };
                let content_type = Cow::Borrowed(message::TEXT);
                let cid = Some(text(&cid));
                let send = Send { target, content: text(&content), content_type, cid };
                Command::Message(message::Request::Send(send)).encode(0, &mut bytes);
            }
        }
        let find = |what: &[u8]| bytes.windows(what.len()).position(|window| window == what);
        MessageTemplate {
            content_at: find(&content).expect("it was just encoded, without a character to escape"),
            cid_counter_at: find(&cid).map(|at| at + CID_BYTES - COUNTER_BYTES),
            channel: origin.channel,
            bytes: bytes.into_boxed_slice(),
        }
    }

    /// Appends message `counter`, which counts from `at`, as request `request` in a dialect that has those.
    #[inline]
    pub fn encode(&self, request: u32, counter: u64, at: u64, padding: &Padding, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let bytes = &mut out[start..];
        let counter_at = self.content_at + CHANNEL_BYTES;
        let (time_at, padding_at) = (counter_at + COUNTER_BYTES, self.content_at + STAMP_BYTES);
        put_hex(&mut bytes[counter_at..time_at], counter);
        put_hex(&mut bytes[time_at..padding_at], at);
        let letters = padding.of(self.channel, counter);
        bytes[padding_at..padding_at + letters.len()].copy_from_slice(letters);
        if let Some(cid_counter_at) = self.cid_counter_at {
            bytes[4..8].copy_from_slice(&request.to_be_bytes());
            let (before, cid) = bytes.split_at_mut(cid_counter_at);
            cid[..COUNTER_BYTES].copy_from_slice(&before[counter_at..time_at]);
        }
    }
}

/// What a message said that arrived, in either dialect; nothing of it is believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// The conversation; the recipient in a direct chat of the legacy dialect.
    pub place: u32,
    /// Whether it came as a group's message.
    pub is_group: bool,
    /// Its place in the timeline; 0 in the legacy dialect.
    pub seq: u64,
    pub from: u32,
    /// The sender's name.
    pub name: &'a [u8],
    pub content: &'a [u8],
    /// The sender's number for it.
    pub cid: Option<&'a [u8]>,
}

/// What the content of a message of this program says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which channel it was sent into.
    pub channel: u32,
    /// Which message of that channel.
    pub counter: u64,
    /// Since when it counts.
    pub at: u64,
}

impl Received<'_> {
    /// Reads the content; `None` where no channel sends this.
    #[inline]
    pub fn stamp(&self, padding: &Padding) -> Option<Stamp> {
        let (stamp, letters) = self.content.split_at_checked(STAMP_BYTES)?;
        let (channel, rest) = stamp.split_at(CHANNEL_BYTES);
        let (counter, time) = rest.split_at(COUNTER_BYTES);
        let stamp = Stamp { channel: hex(channel)? as u32, counter: hex(counter)?, at: hex(time)? };
        (letters == padding.of(stamp.channel, stamp.counter)).then_some(stamp)
    }

    /// Whether everything around the content, which has a stamp, is as `origin` sent it.
    #[inline]
    pub fn is_from(&self, origin: &Origin) -> bool {
        let counter = &self.content[CHANNEL_BYTES..CHANNEL_BYTES + COUNTER_BYTES];
        let cid_is_right = self.cid.is_none_or(|cid| {
            cid.split_at_checked(CHANNEL_BYTES + RUN_BYTES)
                .is_some_and(|(head, rest)| *head == origin.cid_head && rest == counter)
        });
        let said = (self.place, self.is_group);
        said == origin.place.parts()
            && self.from == origin.from.0
            && *self.name == *origin.name.as_bytes()
            && cid_is_right
    }
}

/// Reads the value of a MESSAGE and hands it on; `None` where it is none.
#[inline]
pub fn read_message<R>(value: &[u8], size: usize, then: impl FnOnce(Received<'_>) -> R) -> Option<R> {
    match scan_message(value, size) {
        Some(received) => Some(then(received)),
        None => decode_message(value, then),
    }
}

#[inline]
fn scan_message(value: &[u8], size: usize) -> Option<Received<'_>> {
    let mut scanner = Scanner(value);
    scanner.literal(b"{\"conversation\":")?;
    let place = scanner.integer()? as u32;
    scanner.literal(b",\"kind\":\"")?;
    let is_group = match scanner.literal(b"direct\",\"seq\":") {
        Some(()) => false,
        None => scanner.literal(b"group\",\"seq\":").map(|()| true)?,
    };
    let seq = scanner.integer()?;
    scanner.literal(b",\"from\":")?;
    let from = scanner.integer()? as u32;
    scanner.literal(b",\"name\":\"")?;
    let name = scanner.text()?;
    scanner.literal(b",\"type\":\"text\",\"content\":\"")?;
    // What an escape would make of it is no message of this program: its letters tell.
    let content = scanner.take(size)?;
    scanner.literal(b"\",\"time\":")?;
    scanner.integer()?;
    let cid = match scanner.literal(b",\"cid\":\"") {
        Some(()) => {
            let cid = scanner.take(CID_BYTES)?;
            scanner.literal(b"\"")?;
            Some(cid)
        }
        None => None,
    };
    scanner.literal(b"}")?;
    scanner.end()?;
    Some(Received { place, is_group, seq, from, name, content, cid })
}

#[cold]
fn decode_message<R>(value: &[u8], then: impl FnOnce(Received<'_>) -> R) -> Option<R> {
    let Ok(Some(Push::Message(message::Push::New(message)))) = Push::decode(kind::push::MESSAGE, value)
    else {
        return None;
    };
    let Message { conversation, kind, seq, from, name, content_type, content, cid, .. } = &*message;
    (content_type == message::TEXT).then(|| {
        then(Received {
            place: conversation.0,
            is_group: *kind == ConversationKind::Group,
            seq: seq.0,
            from: from.0,
            name: name.as_bytes(),
            content: content.as_bytes(),
            cid: cid.as_deref().map(str::as_bytes),
        })
    })
}

/// What a SEND was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is stored there, at this seq.
    Stored(ConversationId, u64),
    /// It was not, or may not have been.
    Refused(Box<Refusal>),
    /// No reply to a SEND of this program says this.
    FaultKind,
}

/// Reads the reply to a SEND.
#[inline]
pub fn answer(value: &[u8]) -> Answer {
    match scan_send_reply(value) {
        Some((conversation, seq)) => Answer::Stored(conversation, seq),
        None => decode_send_reply(value),
    }
}

#[inline]
fn scan_send_reply(value: &[u8]) -> Option<(ConversationId, u64)> {
    let mut scanner = Scanner(value);
    scanner.literal(b"{\"errno\":0,\"conversation\":")?;
    let conversation = ConversationId(scanner.integer()? as u32);
    scanner.literal(b",\"seq\":")?;
    let seq = scanner.integer()?;
    scanner.literal(b",\"time\":")?;
    scanner.integer()?;
    scanner.literal(b"}")?;
    scanner.end()?;
    Some((conversation, seq))
}

#[cold]
fn decode_send_reply(value: &[u8]) -> Answer {
    match Reply::decode(kind::request::SEND, value) {
        // Each `cid` is sent once: one that "was stored before" is somebody else's message.
        Ok(Reply::Message(message::Reply::Sent(sent))) if !sent.duplicate => {
            Answer::Stored(sent.conversation, sent.seq.0)
        }
        Ok(Reply::Refused(refusal)) => Answer::Refused(refusal),
        _ => Answer::FaultKind,
    }
}

// The template's request number lies behind the magic and the type.
const _: () = assert!(MAGIC.len() + 2 == 4 && HEADER_BYTES == 12);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use wire::{Seq, UnixMillis, split_frame};

    const SIZE: usize = 70;

    fn origin() -> Origin {
        let place = Place::Conversation(ConversationId(12), ConversationKind::Direct);
        Origin::new(5, UserId(31), "bench-a", place, 0xabcdef)
    }

    fn sent(counter: u64, at: u64) -> Send {
        let (mut bytes, padding) = (Vec::new(), Padding::new(SIZE));
        MessageTemplate::new(&origin(), Dialect::Tlv, &padding).encode(9, counter, at, &padding, &mut bytes);
        let (frame, taken) = split_frame(&bytes, 1 << 16).unwrap().unwrap();
        assert_eq!((frame.request, taken), (9, bytes.len()));
        match Command::decode(frame.kind, frame.value).unwrap() {
            Command::Message(message::Request::Send(send)) => send,
            other => panic!("{other:?}"),
        }
    }

    fn pushed(send: &Send) -> Message {
        Message {
            conversation: ConversationId(12),
            kind: ConversationKind::Direct,
            seq: Seq(3),
            from: UserId(31),
            name: "bench-a".into(),
            content_type: "text".into(),
            content: send.content.clone(),
            time: UnixMillis(1_700_000_000_000),
            cid: send.cid.clone(),
        }
    }

    fn value(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        Push::Message(message::Push::New(Arc::new(message.clone()))).encode(&mut bytes);
        bytes.split_off(HEADER_BYTES)
    }

    /// The stamp and the seq of a message that is as it was sent.
    fn arrival(value: &[u8]) -> Option<(Stamp, u64)> {
        let padding = Padding::new(SIZE);
        let check = |received: Received<'_>| {
            let stamp = received.stamp(&padding)?;
            received.is_from(&origin()).then_some((stamp, received.seq))
        };
        read_message(value, SIZE, check).flatten()
    }

    #[test]
    fn a_message_comes_back_as_it_was_sent_by_either_path() {
        let send = sent(77, 123_456_789);
        assert_eq!((send.content.len(), send.cid.as_deref()), (SIZE, Some("00000500abcdef000000004d")));
        let want = Some((Stamp { channel: 5, counter: 77, at: 123_456_789 }, 3));
        let value = value(&pushed(&send));
        assert!(scan_message(&value, SIZE).is_some(), "the server's own spelling takes the fast path");
        assert_eq!(arrival(&value), want);
        let spaced = String::from_utf8(value).unwrap().replace("\":", "\" : ");
        assert!(scan_message(spaced.as_bytes(), SIZE).is_none());
        assert_eq!(arrival(spaced.as_bytes()), want);
    }

    #[test]
    fn anything_changed_on_the_way_is_noticed() {
        let right = pushed(&sent(77, 1));
        let wrong: [fn(&mut Message); 11] = [
            |m| m.content = m.content.replace('z', "y").into(),
            |m| m.content = m.content[..69].into(),
            |m| m.content = format!("{}a", m.content).into(),
            |m| m.content = format!("000006{}", &m.content[6..]).into(),
            |m| m.content = m.content.replace("000000004d", "000000004e").into(),
            |m| m.cid = Some("00000500abcdef000000004e".into()),
            |m| m.cid = Some("short".into()),
            |m| m.from = UserId(32),
            |m| m.name = "bench-b".into(),
            |m| m.conversation = ConversationId(13),
            |m| m.kind = ConversationKind::Group,
        ];
        for (number, change) in wrong.iter().enumerate() {
            let mut message = right.clone();
            change(&mut message);
            assert_eq!(arrival(&value(&message)), None, "change {number}");
        }
        assert!(arrival(&value(&Message { cid: None, ..right })).is_some());
    }

    #[test]
    fn padding_follows_from_channel_and_number() {
        let padding = Padding::new(STAMP_BYTES + 3);
        assert_eq!(
            (padding.of(1, 1), padding.of(0, 25), padding.size()),
            (&b"cde"[..], &b"zab"[..], STAMP_BYTES + 3)
        );
        assert_eq!(Padding::new(STAMP_BYTES).of(7, 7), b"");
    }

    #[test]
    fn a_reply_is_a_seq_or_a_refusal() {
        let stored = Answer::Stored(ConversationId(12), 8);
        let fast = br#"{"errno":0,"conversation":12,"seq":8,"time":1700000000000}"#;
        assert_eq!(scan_send_reply(fast), Some((ConversationId(12), 8)));
        let (conversation, seq, time) = (ConversationId(12), Seq(8), UnixMillis(1_700_000_000_000));
        let mut reply = Vec::new();
        Reply::Message(message::Reply::Sent(message::Sent { conversation, seq, time, duplicate: false }))
            .encode(6, 1, &mut reply);
        assert_eq!(&reply[HEADER_BYTES..], fast, "the server's own spelling takes the fast path");
        assert_eq!(answer(br#"{"seq":8,"errno":0,"conversation":12,"time":1}"#), stored);
        let again = br#"{"errno":0,"conversation":12,"seq":8,"time":1,"duplicate":true}"#;
        assert_eq!(answer(again), Answer::FaultKind);
        let busy = br#"{"errno":8,"errmsg":"later","retry_after_ms":20}"#;
        assert!(matches!(answer(busy), Answer::Refused(r) if r.retry_after_ms == Some(20)));
    }
}
