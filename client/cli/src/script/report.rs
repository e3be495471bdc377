//! What a script reads: lines for people, or JSON, one object a line.

use super::Done;
use crate::terminal::{chat, clock, style::person};
use chatclient_core::{Event, Failure, LogoutReason, sanitize};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::io::{self, Write};
use wire::{ConversationId, ConversationKind, Message, Reply, Seq, UnixMillis};
use wire::{Push, contact, group, presence, timeline};

pub struct Report {
    json: bool,
}

/// What came of a command.
#[derive(Debug)]
pub enum Outcome {
    Help,
    Sent { conversation: ConversationId, seq: Seq, time: UnixMillis },
    Reply(Reply),
}

impl Report {
    pub fn new(json: bool) -> Report {
        Report { json }
    }

    /// Something that happened by itself.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        if self.json {
            return match object(event) {
                Some(object) => put(&object),
                None => Ok(()),
            };
        }
        match event {
            Event::Message(message) => line(&message_line(message)),
            Event::LoggedOut(LogoutReason::Kicked(kicked)) => {
                let device = kicked.device.as_deref().unwrap_or("unknown device");
                let (device, at) = (sanitize::line(device), clock::short(kicked.time));
                fault(&format!("logged out at {at} by a login from {device}"));
                Ok(())
            }
            Event::Disconnected { why, retry_in_ms: Some(_) } => {
                fault(&format!("{}; trying again", sanitize::line(&why.to_string())));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What came of a command.
    pub fn result(&mut self, command: &str, done: &Done) -> io::Result<()> {
        if self.json {
            let mut object = json!({ "event": "result", "command": command, "ok": done.is_ok() });
            match done {
                Ok(outcome) => extend(&mut object, fields(outcome)),
                Err(failure) => extend(&mut object, explain(failure)),
            }
            return put(&object);
        }
        match done {
            Ok(outcome) => lines(outcome).map_or(Ok(()), |lines| line(&lines)),
            Err(failure) => {
                fault(&format!("{}: {}", sanitize::line(command), crate::terminal::sentence(failure)));
                Ok(())
            }
        }
    }

    /// A line that is no command.
    pub fn wrong(&mut self, command: &str, sentence: &str) -> io::Result<()> {
        if self.json {
            return put(&json!({ "event": "result", "command": command, "ok": false, "error": sentence }));
        }
        fault(sentence);
        Ok(())
    }

    /// Nobody is logged in.
    pub fn login_failed(&mut self, failure: &Failure) -> io::Result<()> {
        if self.json {
            let mut object = json!({ "event": "login", "ok": false });
            extend(&mut object, explain(failure));
            return put(&object);
        }
        fault(&format!("login failed: {}", crate::terminal::sentence(failure)));
        Ok(())
    }
}

fn line(lines: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{lines}")
}

fn fault(sentence: &str) {
    eprintln!("chatclient: {sentence}");
}

/// Writes an object. What a terminal would obey is escaped, which JSON allows of every character.
fn put(object: &Value) -> io::Result<()> {
    let mut safe = String::new();
    for c in object.to_string().chars() {
        if sanitize::is_unsafe(c) {
            let escape = |unit: &u16| write!(safe, "\\u{unit:04x}").expect("a String takes everything");
            c.encode_utf16(&mut [0; 2]).iter().for_each(escape);
        } else {
            safe.push(c);
        }
    }
    line(&safe)
}

fn extend(object: &mut Value, fields: Value) {
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
        object.extend(fields);
    }
}

fn object(event: &Event) -> Option<Value> {
    let (name, fields) = match event {
        Event::LoggedIn(login) => ("login", json!({ "ok": true, "id": login.id, "name": login.name })),
        Event::Message(message) => ("message", json!(**message)),
        Event::Push(Push::Presence(presence::Push::Changed(change))) => ("presence", json!(change)),
        Event::Push(Push::Contact(contact::Push::Friend(change))) => ("friend", json!(change)),
        Event::Push(Push::Timeline(timeline::Push::Delivered(receipt))) => ("delivered", json!(receipt)),
        Event::Push(Push::Timeline(timeline::Push::ReadReceipt(receipt))) => ("read", json!(receipt)),
        Event::LoggedOut(LogoutReason::Kicked(kicked)) => ("kicked", json!(kicked)),
        Event::LoggedOut(LogoutReason::Asked) => ("logout", json!({})),
        Event::Disconnected { why, retry_in_ms } => {
            ("disconnected", json!({ "error": why.to_string(), "retry_in_ms": retry_in_ms }))
        }
        Event::Missing { conversation, from, to } => {
            ("missing", json!({ "conversation": conversation, "from": from, "to": to }))
        }
        _ => return None,
    };
    let mut object = Map::from_iter([("event".to_owned(), Value::from(name))]);
    if let Value::Object(fields) = fields {
        // A friend's change has an `event` of its own.
        object.extend(fields.into_iter().map(|(key, value)| match &*key {
            "event" => ("change".to_owned(), value),
            _ => (key, value),
        }));
    }
    Some(object.into())
}

fn fields(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Help => json!({ "help": chat::help() }),
        Outcome::Sent { conversation, seq, time } => {
            json!({ "conversation": conversation, "seq": seq, "time": time })
        }
        Outcome::Reply(Reply::Contact(contact::Reply::Added(added))) => json!(added),
        Outcome::Reply(Reply::Group(group::Reply::Created(created))) => json!(created),
        Outcome::Reply(Reply::Timeline(timeline::Reply::History(page))) => json!(page),
        Outcome::Reply(Reply::Contact(contact::Reply::Friends(page))) => {
            json!({ "friends": page.friends, "requests": page.requests })
        }
        Outcome::Reply(Reply::Group(group::Reply::Groups(page))) => json!({ "groups": page.groups }),
        Outcome::Reply(Reply::Group(group::Reply::Members(page))) => json!({ "members": page.members }),
        Outcome::Reply(_) => json!({}),
    }
}

fn explain(failure: &Failure) -> Value {
    match failure {
        Failure::Refused(refusal) => {
            json!({ "error": crate::terminal::sentence(failure), "errno": refusal.errno.number() })
        }
        _ => json!({ "error": failure.to_string() }),
    }
}

/// A result for people; sending says nothing, as a script expects.
fn lines(outcome: &Outcome) -> Option<String> {
    Some(match outcome {
        Outcome::Help => chat::help(),
        Outcome::Reply(Reply::Group(group::Reply::Created(created))) => created.conversation.to_string(),
        Outcome::Reply(Reply::Timeline(timeline::Reply::History(page))) if page.messages.is_empty() => {
            return None;
        }
        Outcome::Reply(Reply::Timeline(timeline::Reply::History(page))) => {
            page.messages.iter().map(|message| message_line(message)).collect::<Vec<_>>().join("\n")
        }
        Outcome::Reply(Reply::Contact(contact::Reply::Friends(page))) => {
            chat::friends(page.friends.iter(), &page.requests)
        }
        Outcome::Reply(Reply::Group(group::Reply::Groups(page))) => chat::groups(page.groups.iter()),
        Outcome::Reply(Reply::Group(group::Reply::Members(page))) => chat::members(&page.members),
        Outcome::Sent { .. } | Outcome::Reply(_) => return None,
    })
}

fn message_line(message: &Message) -> String {
    let (at, who) = (clock::short(message.time), person(&message.name, message.from));
    let text = sanitize::line(&message.content);
    match message.kind {
        ConversationKind::Group => format!("[{at}] #{} | {who}: {text}", message.conversation),
        ConversationKind::Direct => format!("[{at}] {who}: {text}"),
    }
}
