//! The messages of a run: each carries who sent it, its number, and since when it counts, padded to the wanted size.
//!
//! ```text
//!   content:  sender  counter     time, ns          padding
//!             6 hex   10 hex      16 hex            letters, shifted by sender
//! ```

use crate::shape::{Shape, hex, put_hex};
use std::borrow::Cow;
use wire::command::Send;
use wire::frame::MAGIC;
use wire::limits::HEADER_BYTES;
use wire::{Command, ConversationId, Message, Push, Refusal, Reply, Target, UserId, kind};

const SENDER_BYTES: usize = 6;
const COUNTER_BYTES: usize = 10;
/// Bytes before the padding: the least size of a message.
pub const STAMP_BYTES: usize = SENDER_BYTES + COUNTER_BYTES + 16;
/// Bytes of a `cid`: a number of the run, and the counter.
const CID_BYTES: usize = 16;

/// Who has sent what in one pair: what a message that arrives must say.
#[derive(Clone, Debug)]
pub struct Direction {
    /// The pair's number, below 2^24.
    pub sender: u32,
    /// The sending account.
    pub from: UserId,
    /// Its name.
    pub name: Box<str>,
    /// Where they talk.
    pub conversation: ConversationId,
    /// Bytes of each content.
    pub size: usize,
    /// Sets the `cid`s of this run apart; only 24 bits are used.
    pub run: u32,
}

impl Direction {
    fn content(&self, counter: u64, at: u64) -> Vec<u8> {
        let mut content = Vec::with_capacity(self.size);
        content.resize(STAMP_BYTES, b'0');
        put_hex(&mut content[..SENDER_BYTES], u64::from(self.sender));
        put_hex(&mut content[SENDER_BYTES..SENDER_BYTES + COUNTER_BYTES], counter);
        put_hex(&mut content[SENDER_BYTES + COUNTER_BYTES..], at);
        let first = self.sender as usize % 26;
        content.extend((b'a'..=b'z').cycle().skip(first).take(self.size - STAMP_BYTES));
        content
    }

    fn cid(&self, counter: u64) -> [u8; CID_BYTES] {
        let mut cid = [0; CID_BYTES];
        put_hex(&mut cid[..CID_BYTES - COUNTER_BYTES], u64::from(self.run));
        put_hex(&mut cid[CID_BYTES - COUNTER_BYTES..], counter);
        cid
    }
}

/// An encoded SEND in which only the request number, the counter and the time change.
#[derive(Debug)]
pub struct Outgoing {
    frame: Vec<u8>,
    counter_at: usize,
    time_at: usize,
    cid_counter_at: usize,
}

impl Outgoing {
    /// Encodes the template.
    pub fn new(direction: &Direction) -> Outgoing {
        let ascii = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned().into_boxed_str();
        let (content, cid) = (direction.content(0, 0), direction.cid(0));
        let command = Command::Send(Send {
            target: Target::Conversation(direction.conversation),
            content: ascii(&content),
            content_type: Cow::Borrowed(wire::message::TEXT),
            cid: Some(ascii(&cid)),
        });
        let mut frame = Vec::new();
        command.encode(0, &mut frame);
        let find = |field: &str, value: &[u8]| {
            let needle = [b"\"", field.as_bytes(), b"\":\"", value].concat();
            let found = frame.windows(needle.len()).position(|window| window == needle);
            found.expect("the field was just encoded, without a character to escape") + field.len() + 4
        };
        let (content_at, cid_at) = (find("content", &content), find("cid", &cid));
        Outgoing {
            counter_at: content_at + SENDER_BYTES,
            time_at: content_at + SENDER_BYTES + COUNTER_BYTES,
            cid_counter_at: cid_at + CID_BYTES - COUNTER_BYTES,
            frame,
        }
    }

    /// Appends message `counter`, which counts from `at`, as request `request`.
    #[inline]
    pub fn encode(&self, request: u32, counter: u64, at: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.frame);
        let frame = &mut out[start..];
        frame[4..8].copy_from_slice(&request.to_be_bytes());
        put_hex(&mut frame[self.counter_at..self.counter_at + COUNTER_BYTES], counter);
        put_hex(&mut frame[self.time_at..self.time_at + 16], at);
        let (counter, cid) = frame.split_at_mut(self.cid_counter_at);
        cid[..COUNTER_BYTES].copy_from_slice(&counter[self.counter_at..self.counter_at + COUNTER_BYTES]);
    }
}

/// What a pushed message said, every other part of it being as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its place in the timeline.
    pub seq: u64,
    /// Which message of its direction.
    pub counter: u64,
    /// Since when it counts.
    pub at: u64,
}

/// What a SEND was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is stored, at this seq.
    Stored(u64),
    /// It was not, or may not have been.
    Refused(Box<Refusal>),
    /// No reply to a SEND of this direction says this.
    Wrong,
}

/// The parts of a MESSAGE that differ from one to the next.
struct Parts<'a> {
    seq: u64,
    content: &'a [u8],
    cid: Option<&'a [u8]>,
}

/// Reads what comes back to one pair and compares it with what was sent.
#[derive(Debug)]
pub struct Incoming {
    direction: Direction,
    padding: Vec<u8>,
    /// The value of a MESSAGE up to its seq, and from behind it to its content.
    head: Vec<u8>,
    middle: Vec<u8>,
    /// The value of a reply to a SEND up to its seq.
    reply_head: Vec<u8>,
}

impl Incoming {
    /// Prepares to read what `direction` brings.
    pub fn new(direction: &Direction) -> Incoming {
        let Direction { from, name, conversation, .. } = direction;
        Incoming {
            padding: direction.content(0, 0).split_off(STAMP_BYTES),
            head: format!("{{\"conversation\":{conversation},\"kind\":\"direct\",\"seq\":").into_bytes(),
            middle: format!(",\"from\":{from},\"name\":\"{name}\",\"type\":\"text\",\"content\":\"")
                .into_bytes(),
            reply_head: format!("{{\"errno\":0,\"conversation\":{conversation},\"seq\":").into_bytes(),
            direction: direction.clone(),
        }
    }

    /// Reads a MESSAGE; `None` where anything in it is not as it was sent.
    pub fn message(&self, value: &[u8]) -> Option<Arrival> {
        match self.message_by_shape(value) {
            Some(parts) => self.verified(parts),
            None => self.message_by_type(value),
        }
    }

    #[inline]
    fn message_by_shape<'a>(&self, value: &'a [u8]) -> Option<Parts<'a>> {
        let mut shape = Shape(value);
        shape.literal(&self.head)?;
        let seq = shape.integer()?;
        shape.literal(&self.middle)?;
        let content = shape.take(self.direction.size)?;
        shape.literal(b"\",\"time\":")?;
        shape.integer()?;
        let cid = match shape.literal(b",\"cid\":\"") {
            Some(()) => {
                let cid = shape.take(CID_BYTES)?;
                shape.literal(b"\"")?;
                Some(cid)
            }
            None => None,
        };
        shape.literal(b"}")?;
        shape.end()?;
        Some(Parts { seq, content, cid })
    }

    #[cold]
    fn message_by_type(&self, value: &[u8]) -> Option<Arrival> {
        let Ok(Some(Push::Message(message))) = Push::decode(kind::push::MESSAGE, value) else { return None };
        let Message { conversation, seq, from, name, content_type, content, cid, .. } = &*message;
        let as_sent = *conversation == self.direction.conversation
            && *from == self.direction.from
            && *name == self.direction.name
            && content_type == wire::message::TEXT;
        if !as_sent {
            return None;
        }
        let (content, cid) = (content.as_bytes(), cid.as_deref().map(str::as_bytes));
        self.verified(Parts { seq: seq.0, content, cid })
    }

    #[inline]
    fn verified(&self, Parts { seq, content, cid }: Parts<'_>) -> Option<Arrival> {
        let (sender, rest) = content.split_at_checked(SENDER_BYTES)?;
        let (counter, rest) = rest.split_at_checked(COUNTER_BYTES)?;
        let (time, padding) = rest.split_at_checked(16)?;
        let cid_is_right = cid.is_none_or(|cid| {
            let (run, cid_counter) = cid.split_at(CID_BYTES.saturating_sub(COUNTER_BYTES).min(cid.len()));
            cid_counter == counter && hex(run) == Some(u64::from(self.direction.run & 0xff_ffff))
        });
        let as_sent =
            hex(sender)? == u64::from(self.direction.sender) && padding == self.padding && cid_is_right;
        as_sent.then_some(Arrival { seq, counter: hex(counter)?, at: hex(time)? })
    }

    /// Reads the reply to a SEND.
    pub fn reply(&self, value: &[u8]) -> Answer {
        match self.reply_by_shape(value) {
            Some(seq) => Answer::Stored(seq),
            None => self.reply_by_type(value),
        }
    }

    #[inline]
    fn reply_by_shape(&self, value: &[u8]) -> Option<u64> {
        let mut shape = Shape(value);
        shape.literal(&self.reply_head)?;
        let seq = shape.integer()?;
        shape.literal(b",\"time\":")?;
        shape.integer()?;
        shape.literal(b"}")?;
        shape.end()?;
        Some(seq)
    }

    #[cold]
    fn reply_by_type(&self, value: &[u8]) -> Answer {
        match Reply::decode(kind::request::SEND, value) {
            // Each `cid` is sent once: one that "was stored before" is somebody else's message.
            Ok(Reply::Sent(sent)) if sent.conversation == self.direction.conversation && !sent.duplicate => {
                Answer::Stored(sent.seq.0)
            }
            Ok(Reply::Refused(refusal)) => Answer::Refused(refusal),
            _ => Answer::Wrong,
        }
    }
}

// The template's request number lies behind the magic and the type.
const _: () = assert!(MAGIC.len() + 2 == 4 && HEADER_BYTES == 12);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use wire::{ConversationKind, Seq, UnixMillis, split_frame};

    fn direction() -> Direction {
        let (from, conversation) = (UserId(31), ConversationId(12));
        Direction { sender: 5, from, name: "bench-a".into(), conversation, size: 70, run: 0xabcdef }
    }

    fn sent(counter: u64, at: u64) -> Send {
        let mut bytes = Vec::new();
        Outgoing::new(&direction()).encode(9, counter, at, &mut bytes);
        let (frame, taken) = split_frame(&bytes, 1 << 16).unwrap().unwrap();
        assert_eq!((frame.request, taken), (9, bytes.len()));
        match Command::decode(frame.kind, frame.value).unwrap() {
            Command::Send(send) => send,
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
        Push::Message(Arc::new(message.clone())).encode(&mut bytes);
        bytes.split_off(HEADER_BYTES)
    }

    #[test]
    fn a_message_comes_back_as_it_was_sent_by_either_path() {
        let incoming = Incoming::new(&direction());
        let send = sent(77, 123_456_789);
        assert_eq!((send.content.len(), send.cid.as_deref()), (70, Some("abcdef000000004d")));
        let want = Some(Arrival { seq: 3, counter: 77, at: 123_456_789 });
        let value = value(&pushed(&send));
        assert!(incoming.message_by_shape(&value).is_some(), "the server's own spelling takes the fast path");
        assert_eq!(incoming.message(&value), want);
        let spaced = String::from_utf8(value).unwrap().replace("\":", "\" : ");
        assert!(incoming.message_by_shape(spaced.as_bytes()).is_none());
        assert_eq!(incoming.message(spaced.as_bytes()), want);
    }

    #[test]
    fn anything_changed_on_the_way_is_noticed() {
        let incoming = Incoming::new(&direction());
        let right = pushed(&sent(77, 1));
        let wrong: [fn(&mut Message); 8] = [
            |m| m.content = m.content.replace('z', "y").into(),
            |m| m.content = m.content[..69].into(),
            |m| m.content = format!("{}a", m.content).into(),
            |m| m.content = format!("000006{}", &m.content[6..]).into(),
            |m| m.cid = Some("abcdef000000004e".into()),
            |m| m.from = UserId(32),
            |m| m.name = "bench-b".into(),
            |m| m.conversation = ConversationId(13),
        ];
        for (number, change) in wrong.iter().enumerate() {
            let mut message = right.clone();
            change(&mut message);
            assert_eq!(incoming.message(&value(&message)), None, "change {number}");
        }
        assert!(incoming.message(&value(&Message { cid: None, ..right })).is_some());
    }

    #[test]
    fn a_reply_is_a_seq_or_a_refusal() {
        let incoming = Incoming::new(&direction());
        let fast = br#"{"errno":0,"conversation":12,"seq":8,"time":1700000000000}"#;
        assert_eq!(incoming.reply_by_shape(fast), Some(8));
        let (conversation, seq, time) = (ConversationId(12), Seq(8), UnixMillis(1_700_000_000_000));
        let mut reply = Vec::new();
        Reply::Sent(wire::reply::Sent { conversation, seq, time, duplicate: false }).encode(6, 1, &mut reply);
        assert_eq!(&reply[HEADER_BYTES..], fast, "the server's own spelling takes the fast path");
        assert_eq!(incoming.reply(br#"{"seq":8,"errno":0,"conversation":12,"time":1}"#), Answer::Stored(8));
        assert_eq!(incoming.reply(br#"{"errno":0,"conversation":13,"seq":8,"time":1}"#), Answer::Wrong);
        let again = br#"{"errno":0,"conversation":12,"seq":8,"time":1,"duplicate":true}"#;
        assert_eq!(incoming.reply(again), Answer::Wrong);
        let busy = br#"{"errno":8,"errmsg":"later","retry_after_ms":20}"#;
        assert!(matches!(incoming.reply(busy), Answer::Refused(r) if r.retry_after_ms == Some(20)));
    }
}
