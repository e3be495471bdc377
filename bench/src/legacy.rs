//! The JSON stream of the muduo chat servers, as far as the generator needs it: bare objects of the type `msgid`, each
//! terminated by one NUL, in both directions.

use crate::scanner::Scanner;
use crate::stamp::{Origin, Received};
use serde_json::{Value, json};

/// The values of `msgid`.
pub mod msgid {
    pub const LOGIN: u64 = 1;
    pub const LOGIN_ACK: u64 = 2;
    /// Ends the session but not the connection.
    pub const LOGOUT: u64 = 3;
    pub const REGISTER: u64 = 4;
    pub const REGISTER_ACK: u64 = 5;
    /// A message to a user.
    pub const ONE_CHAT: u64 = 6;
    /// A message to a group.
    pub const GROUP_CHAT: u64 = 10;
}

/// Appends an object and its NUL.
pub fn put(out: &mut Vec<u8>, value: &Value) {
    out.extend_from_slice(value.to_string().as_bytes());
    out.push(0);
}

/// Appends a chat message from `origin`.
pub fn put_chat(out: &mut Vec<u8>, origin: &Origin, content: &str) {
    let destination = origin.destination;
    let (msgid, to) =
        if destination.is_group() { (msgid::GROUP_CHAT, "groupid") } else { (msgid::ONE_CHAT, "toid") };
    let (id, name, time) = (origin.from.0, &*origin.name, "2000-01-01 00:00:00");
    put(
        out,
        &json!({"msgid": msgid, "id": id, "name": name, to: destination.id(), "msg": content, "time": time}),
    );
}

pub fn put_login(out: &mut Vec<u8>, id: u32, password: &str) {
    put(out, &json!({"msgid": msgid::LOGIN, "id": id, "password": password}));
}

pub fn logout(id: u32) -> Value {
    json!({"msgid": msgid::LOGOUT, "id": id})
}

/// The first object of `bytes` without its NUL, and how many bytes it occupies; `None` while it is incomplete.
#[inline]
pub fn split_object(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let mut start = 0;
    while let Some(length) = memchr::memchr(0, &bytes[start..]) {
        if length > 0 {
            return Some((&bytes[start..start + length], start + length + 1));
        }
        start += 1;
    }
    None
}

/// A parsed object from the server.
#[derive(Debug, PartialEq)]
pub enum Object<'a> {
    /// A chat message in the spelling of this server.
    Chat(Received<'a>),
    /// Any other object, or a chat message in another spelling.
    Other(Value),
    Malformed,
}

#[inline]
pub fn read(object: &[u8]) -> Object<'_> {
    match scan_chat(object) {
        Some(received) => Object::Chat(received),
        None => serde_json::from_slice(object).map_or(Object::Malformed, Object::Other),
    }
}

/// Scans a chat message without escapes and without spaces, its fields in any order.
#[inline]
fn scan_chat(object: &[u8]) -> Option<Received<'_>> {
    let mut scanner = Scanner(object);
    let (mut msgid, mut from, mut to, mut group) = (0, None, None, None);
    let (mut name, mut content) = (None, None);
    scanner.literal(b"{")?;
    loop {
        scanner.literal(b"\"")?;
        let key = scanner.text()?;
        scanner.literal(b":")?;
        if scanner.literal(b"\"").is_some() {
            let text = Some(scanner.text()?);
            match key {
                b"name" => name = text,
                b"msg" => content = text,
                _ => {}
            }
        } else {
            let number = scanner.integer()?;
            match key {
                b"msgid" => msgid = number,
                b"id" => from = Some(number),
                b"toid" => to = Some(number),
                b"groupid" => group = Some(number),
                _ => {}
            }
        }
        if scanner.literal(b",").is_none() {
            scanner.literal(b"}")?;
            scanner.end()?;
            break;
        }
    }
    let is_group = msgid == msgid::GROUP_CHAT;
    if !is_group && msgid != msgid::ONE_CHAT {
        return None;
    }
    Some(Received {
        destination: (if is_group { group } else { to })? as u32,
        is_group,
        seq: 0,
        from: from? as u32,
        name: name?,
        content: content?,
        cid: None,
    })
}

/// Decodes a chat message in any spelling.
pub fn decode_chat(object: &Value) -> Option<Received<'_>> {
    let number = |key: &str| object.get(key).and_then(Value::as_u64).map(|number| number as u32);
    let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::as_bytes);
    let is_group = match object.get("msgid").and_then(Value::as_u64)? {
        msgid::ONE_CHAT => false,
        msgid::GROUP_CHAT => true,
        _ => return None,
    };
    Some(Received {
        destination: number(if is_group { "groupid" } else { "toid" })?,
        is_group,
        seq: 0,
        from: number("id")?,
        name: text("name")?,
        content: text("msg")?,
        cid: None,
    })
}

/// The `errno` of an object of type `ack`; `None` for every other object.
pub fn errno(object: &Value, ack: u64) -> Option<u64> {
    (object.get("msgid").and_then(Value::as_u64) == Some(ack))
        .then(|| object.get("errno").and_then(Value::as_u64).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageTemplate;
    use crate::stamp::{Destination, Padding, Stamp};
    use wire::{ConversationId, ConversationKind, Dialect, UserId};

    #[test]
    fn objects_end_with_a_nul() {
        assert_eq!(split_object(b"{\"a\":1}"), None);
        assert_eq!(split_object(b"{\"a\":1}\0{"), Some((&b"{\"a\":1}"[..], 8)));
        assert_eq!(split_object(b"\0\0{}\0"), Some((&b"{}"[..], 5)));
        assert_eq!(split_object(b"\0\0"), None);
    }

    #[test]
    fn a_chat_is_decoded_as_it_was_sent_in_any_order_of_fields() {
        let padding = Padding::new(64);
        let group = Destination::Conversation(ConversationId(7), ConversationKind::Group);
        for destination in [Destination::User(UserId(9)), group] {
            let origin = Origin::new(3, UserId(8), "bench-a", destination, 1);
            let mut bytes = Vec::new();
            MessageTemplate::new(&origin, Dialect::Legacy, &padding).encode(0, 5, 600, &padding, &mut bytes);
            let (object, taken) = split_object(&bytes).unwrap();
            assert_eq!(taken, bytes.len());
            let want = Stamp { channel: 3, counter: 5, at: 600 };
            let check = |received: Received<'_>| {
                assert_eq!(received.stamp(&padding), Some(want));
                assert!(received.is_from(&origin, want.counter));
            };
            match read(object) {
                Object::Chat(received) => check(received),
                other => panic!("{other:?}"),
            }
            let value: Value = serde_json::from_slice(object).unwrap();
            let other_order = format!(" {{ \"time\" : {}, {}", value["time"], &value.to_string()[1..]);
            let Object::Other(value) = read(other_order.as_bytes()) else { panic!("{other_order}") };
            check(decode_chat(&value).unwrap());
            let moved = Origin::new(3, UserId(1), "bench-a", destination, 1);
            assert!(!decode_chat(&value).unwrap().is_from(&moved, want.counter));
        }
    }

    #[test]
    fn answers_and_malformed_objects_are_distinguished() {
        let Object::Other(value) = read(b"{\"msgid\":2,\"errno\":1,\"errmsg\":\"wrong\"}") else { panic!() };
        assert_eq!((errno(&value, msgid::LOGIN_ACK), errno(&value, msgid::REGISTER_ACK)), (Some(1), None));
        assert_eq!(read(b"{\"msgid\":2"), Object::Malformed);
        assert_eq!(decode_chat(&value), None);
    }
}
