//! Encoding of the messages of a run, and decoding of what the server sends back for them, over TLV and the legacy
//! dialect.
//!
//! Both have a fast path that patches or scans bytes in place, as the generator must cost far less than the server.

use crate::digits::put_hex;
use crate::legacy;
use crate::scanner::Scanner;
use crate::stamp::{
    CHANNEL_BYTES, CID_BYTES, COUNTER_BYTES, Destination, Origin, Padding, Received, STAMP_BYTES,
};
use wire::frame::MAGIC;
use wire::limits::HEADER_BYTES;
use wire::message::{self, Send};
use wire::{Command, ConversationId, ConversationKind, Dialect, Message, Push, Refusal, Reply, Target, kind};

/// The encoded message of a channel, in which only counter, time, padding and request number change.
#[derive(Debug)]
pub struct MessageTemplate {
    bytes: Box<[u8]>,
    channel: u32,
    content_at: usize,
    /// The offset of the counter within the `cid`; `None` over the legacy dialect.
    cid_counter_at: Option<usize>,
}

impl MessageTemplate {
    pub fn new(origin: &Origin, dialect: Dialect, padding: &Padding) -> MessageTemplate {
        let mut content = vec![b'0'; STAMP_BYTES];
        put_hex(&mut content[..CHANNEL_BYTES], u64::from(origin.channel));
        content.extend_from_slice(padding.of(origin.channel, 0));
        let cid = origin.cid();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned().into_boxed_str();
        let mut bytes = Vec::new();
        match dialect {
            Dialect::Legacy => legacy::put_chat(&mut bytes, origin, &text(&content)),
            Dialect::Tlv => {
                let target = match origin.destination {
                    Destination::Conversation(id, _) => Target::Conversation(id),
                    Destination::User(id) => Target::User(id),
                };
                let send = Send { cid: Some(text(&cid)), ..Send::text(target, text(&content)) };
                Command::Message(message::Request::Send(send)).encode(0, &mut bytes);
            }
        }
        let find = |what: &[u8]| bytes.windows(what.len()).position(|window| window == what);
        MessageTemplate {
            content_at: find(&content).expect("the content was just encoded and needs no escapes"),
            cid_counter_at: find(&cid).map(|at| at + CID_BYTES - COUNTER_BYTES),
            channel: origin.channel,
            bytes: bytes.into_boxed_slice(),
        }
    }

    /// Appends message `counter`, whose latency counts from `at`. The legacy dialect has no request numbers.
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

/// Decodes the value of a MESSAGE with contents of `size` bytes and passes it to `then`; `None` where it is malformed.
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
    let destination = scanner.integer()? as u32;
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
    // An escape within the content shows as wrong padding.
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
    Some(Received { destination, is_group, seq, from, name, content, cid })
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
            destination: conversation.0,
            is_group: *kind == ConversationKind::Group,
            seq: seq.0,
            from: from.0,
            name: name.as_bytes(),
            content: content.as_bytes(),
            cid: cid.as_deref().map(str::as_bytes),
        })
    })
}

/// The place of an entry that is not a message; `None` where the value is a message or malformed.
#[cold]
pub fn read_entry(value: &[u8]) -> Option<(ConversationId, u64)> {
    let Ok(Some(Push::Message(message::Push::New(entry)))) = Push::decode(kind::push::MESSAGE, value) else {
        return None;
    };
    (!entry.is_message()).then_some((entry.conversation, entry.seq.0))
}

/// The server's answer to a SEND.
#[derive(Clone, Debug, PartialEq)]
pub enum SendReply {
    /// Stored in this conversation at this seq.
    Stored(ConversationId, u64),
    /// Refused; with UNAVAILABLE it may be stored nevertheless.
    Refused(Box<Refusal>),
    /// Not a valid reply to a SEND of this program.
    Malformed,
}

/// Decodes the reply to a SEND.
#[inline]
pub fn read_send_reply(value: &[u8]) -> SendReply {
    match scan_send_reply(value) {
        Some((conversation, seq)) => SendReply::Stored(conversation, seq),
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
fn decode_send_reply(value: &[u8]) -> SendReply {
    match Reply::decode(kind::request::SEND, value) {
        // Every `cid` is sent once, so a duplicate is another message under the same `cid`.
        Ok(Reply::Message(message::Reply::Sent(sent))) if !sent.duplicate => {
            SendReply::Stored(sent.conversation, sent.seq.0)
        }
        Ok(Reply::Refused(refusal)) => SendReply::Refused(refusal),
        _ => SendReply::Malformed,
    }
}

// The request number follows the magic and the type: bytes 4 to 8.
const _: () = assert!(MAGIC.len() + 2 == 4 && HEADER_BYTES == 12);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::Stamp;
    use std::sync::Arc;
    use wire::{Seq, UnixMillis, UserId, split_frame};

    const SIZE: usize = 70;

    fn origin() -> Origin {
        let destination = Destination::Conversation(ConversationId(12), ConversationKind::Direct);
        Origin::new(5, UserId(31), "bench-a", destination, 0xabcdef)
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
            extra: None,
        }
    }

    fn value(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        Push::Message(message::Push::New(Arc::new(message.clone()))).encode(&mut bytes);
        bytes.split_off(HEADER_BYTES)
    }

    /// The stamp and the seq of a message that arrived as it was sent.
    fn arrival(value: &[u8]) -> Option<(Stamp, u64)> {
        let padding = Padding::new(SIZE);
        let check = |received: Received<'_>| {
            let stamp = received.stamp(&padding)?;
            received.is_from(&origin(), stamp.counter).then_some((stamp, received.seq))
        };
        read_message(value, SIZE, check).flatten()
    }

    #[test]
    fn both_paths_decode_a_message_as_it_was_sent() {
        let send = sent(77, 123_456_789);
        assert_eq!((send.content.len(), send.cid.as_deref()), (SIZE, Some("00000500abcdef000000004d")));
        let want = Some((Stamp { channel: 5, counter: 77, at: 123_456_789 }, 3));
        let value = value(&pushed(&send));
        assert!(scan_message(&value, SIZE).is_some(), "the server's own spelling must take the fast path");
        assert_eq!(arrival(&value), want);
        let spaced = String::from_utf8(value).unwrap().replace("\":", "\" : ");
        assert!(scan_message(spaced.as_bytes(), SIZE).is_none());
        assert_eq!(arrival(spaced.as_bytes()), want);
    }

    #[test]
    fn an_entry_that_is_no_message_is_told_apart() {
        let right = pushed(&sent(77, 1));
        assert_eq!(read_entry(&value(&right)), None);
        let event = wire::entry::Event::Joined;
        let system = wire::System { event, who: [UserId(31)].into(), by: UserId(31), value: None };
        let entry = Message { content_type: "system".into(), extra: Some(system.into()), ..right };
        assert_eq!(arrival(&value(&entry)), None);
        assert_eq!(read_entry(&value(&entry)), Some((ConversationId(12), 3)));
    }

    #[test]
    fn any_change_on_the_way_is_noticed() {
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
    fn a_reply_is_a_seq_a_refusal_or_malformed() {
        let stored = SendReply::Stored(ConversationId(12), 8);
        let fast = br#"{"errno":0,"conversation":12,"seq":8,"time":1700000000000}"#;
        assert_eq!(scan_send_reply(fast), Some((ConversationId(12), 8)));
        let (conversation, seq, time) = (ConversationId(12), Seq(8), UnixMillis(1_700_000_000_000));
        let mut reply = Vec::new();
        Reply::Message(message::Reply::Sent(message::Sent { conversation, seq, time, duplicate: false }))
            .encode(6, 1, &mut reply);
        assert_eq!(&reply[HEADER_BYTES..], fast, "the server's own spelling must take the fast path");
        assert_eq!(read_send_reply(br#"{"seq":8,"errno":0,"conversation":12,"time":1}"#), stored);
        let again = br#"{"errno":0,"conversation":12,"seq":8,"time":1,"duplicate":true}"#;
        assert_eq!(read_send_reply(again), SendReply::Malformed);
        let busy = br#"{"errno":8,"errmsg":"later","retry_after_ms":20}"#;
        assert!(matches!(read_send_reply(busy), SendReply::Refused(r) if r.retry_after_ms == Some(20)));
    }
}
