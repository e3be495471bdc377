//! The output of a script: plain lines, or JSON with one object per line.

use crate::command::help;
use crate::display::{clock, kick, list, sentence};
use chatclient_core::{Event, Failure, LogoutReason, sanitize};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::io::{self, Write};
use wire::timeline::{ConversationSummary, ReadersPage, SettingsChange};
use wire::{ConversationId, Push, Reply, Seq, UnixMillis, contact, group, presence, timeline};

pub struct Output {
    pub json: bool,
    /// Whether messages are printed only while the script listens.
    pub quiet: bool,
    /// Whether messages are a result, not something that comes between.
    pub listens: bool,
}

/// The result of a command.
#[derive(Debug)]
pub enum Outcome {
    Help,
    Sent {
        conversation: ConversationId,
        seq: Seq,
        time: UnixMillis,
    },
    /// All readers of a message.
    Readers {
        conversation: ConversationId,
        seq: Seq,
        all: ReadersPage,
    },
    Reply(Reply),
}

impl Output {
    /// An event that is not the result of a command.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        if self.quiet && !self.listens && matches!(event, Event::Message(_) | Event::Push(_)) {
            return Ok(());
        }
        if self.json {
            return match event_object(event) {
                Some(object) => put(&object),
                None => Ok(()),
            };
        }
        match event {
            Event::Message(message) if self.listens => line(&list::message(message)),
            Event::Message(message) => {
                eprintln!("{}", list::message(message));
                Ok(())
            }
            Event::LoggedOut(LogoutReason::Kicked(kicked)) => {
                let (at, why) = (clock::short(kicked.time), kick::why(kicked));
                let hint = match kick::is_by_login(kicked) {
                    true => ": the server allows one session per account",
                    false => "",
                };
                fault(&format!("logged out at {at} {why}{hint}"));
                Ok(())
            }
            Event::Push(Push::Error(refusal)) => {
                fault(&format!("the server reports: {}", sanitize::line(&refusal.errmsg)));
                Ok(())
            }
            Event::Disconnected { why, retry_in_ms: Some(_) } => {
                fault(&format!("{}; retrying", sanitize::line(&why.to_string())));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub fn result(&mut self, command: &str, done: &Result<Outcome, Failure>) -> io::Result<()> {
        if self.json {
            let mut object = json!({ "event": "result", "command": command, "ok": done.is_ok() });
            match done {
                Ok(outcome) => extend(&mut object, outcome_fields(outcome)),
                Err(failure) => extend(&mut object, failure_fields(failure)),
            }
            return put(&object);
        }
        match done {
            Ok(outcome) => outcome_lines(outcome).map_or(Ok(()), |lines| line(&lines)),
            Err(failure) => {
                fault(&format!("{}: {}", sanitize::line(command), sentence(failure)));
                Ok(())
            }
        }
    }

    /// A line that is not a command.
    pub fn mistake(&mut self, command: &str, sentence: &str) -> io::Result<()> {
        if self.json {
            return put(&json!({ "event": "result", "command": command, "ok": false, "error": sentence }));
        }
        fault(sentence);
        Ok(())
    }

    pub fn login_failed(&mut self, failure: &Failure) -> io::Result<()> {
        if self.json {
            let mut object = json!({ "event": "login", "ok": false });
            extend(&mut object, failure_fields(failure));
            return put(&object);
        }
        fault(&format!("login failed: {}", sentence(failure)));
        Ok(())
    }
}

fn line(lines: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{lines}")
}

fn fault(sentence: &str) {
    eprintln!("chatclient: {sentence}");
}

// ---- lines ---------------------------------------------------------------------------------------------------------

/// `None`: the result prints no line, for example that of a sent message.
fn outcome_lines(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Help => Some(help::overview(None)),
        Outcome::Sent { .. } => None,
        Outcome::Readers { all, .. } => Some(list::readers(all)),
        Outcome::Reply(reply) => list::reply(reply),
    }
}

// ---- JSON ----------------------------------------------------------------------------------------------------------

/// Prints an object. Characters that control a terminal are escaped, which JSON allows for every character.
fn put(object: &Value) -> io::Result<()> {
    let mut safe = String::new();
    for c in object.to_string().chars() {
        if sanitize::is_unsafe(c) {
            let escape = |unit: &u16| write!(safe, "\\u{unit:04x}").expect("writing to a String succeeds");
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

fn event_object(event: &Event) -> Option<Value> {
    let (name, fields) = match event {
        Event::LoggedIn(login) => {
            let unread: Vec<Value> = login.conversations.iter().filter_map(unread).collect();
            ("login", json!({ "ok": true, "id": login.id, "name": login.name, "unread": unread }))
        }
        Event::Message(message) if message.is_message() => ("message", json!(**message)),
        Event::Message(entry) => ("entry", json!(**entry)),
        Event::SettingsChanged { conversation, change } => ("conversation", settings(*conversation, *change)),
        Event::Cleared { conversation, upto } => {
            ("cleared", json!({ "conversation": conversation, "upto": upto }))
        }
        Event::Push(push) => push_fields(push)?,
        Event::LoggedOut(LogoutReason::Kicked(kicked)) => ("kicked", json!(kicked)),
        Event::LoggedOut(LogoutReason::Asked) => ("logout", json!({})),
        Event::Disconnected { why, retry_in_ms } => {
            ("disconnected", json!({ "error": why.to_string(), "retry_in_ms": retry_in_ms }))
        }
        Event::Missing { conversation, from, to } => {
            ("missing", json!({ "conversation": conversation, "from": from, "to": to }))
        }
        Event::Forgotten { conversation, after } => {
            ("forgotten", json!({ "conversation": conversation, "after": after }))
        }
        _ => return None,
    };
    let mut object = Map::from_iter([("event".to_owned(), Value::from(name))]);
    if let Value::Object(fields) = fields {
        // The change of a friendship and an entry have a field `event` of their own.
        object.extend(fields.into_iter().map(|(key, value)| match &*key {
            "event" => ("change".to_owned(), value),
            _ => (key, value),
        }));
    }
    Some(object.into())
}

/// What is unread in a conversation; `None`: nothing.
fn unread(row: &ConversationSummary) -> Option<Value> {
    let ConversationSummary { conversation, unread, mentions, unread_more, .. } = row;
    let mut object = json!({ "conversation": conversation, "unread": unread, "mentions": mentions });
    if *unread_more {
        extend(&mut object, json!({ "unread_more": true }));
    }
    (*unread > 0 || *unread_more).then_some(object)
}

/// The settings that have changed.
fn settings(conversation: ConversationId, change: SettingsChange) -> Value {
    let SettingsChange { pinned, muted, hidden } = change;
    let mut object = json!({ "conversation": conversation });
    for (name, value) in [("pinned", pinned), ("muted", muted), ("hidden", hidden)] {
        if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
            object.insert(name.to_owned(), value.into());
        }
    }
    object
}

fn push_fields(push: &Push) -> Option<(&'static str, Value)> {
    Some(match push {
        Push::Presence(presence::Push::Changed(change)) => ("presence", json!(change)),
        Push::Contact(contact::Push::Friend(change)) => ("friend", json!(change)),
        Push::Timeline(timeline::Push::Delivered(receipt)) => ("delivered", json!(receipt)),
        Push::Timeline(timeline::Push::ReadReceipt(receipt)) => ("read", json!(receipt)),
        Push::Timeline(timeline::Push::Typing(typist)) => ("typing", json!(typist)),
        Push::Timeline(timeline::Push::Conversation(view)) => ("conversation", json!(view)),
        Push::Session(_) | Push::Message(_) | Push::Error(_) => return None,
    })
}

fn outcome_fields(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Help => json!({ "help": help::overview(None) }),
        Outcome::Sent { conversation, seq, time } => {
            json!({ "conversation": conversation, "seq": seq, "time": time })
        }
        Outcome::Readers { conversation, seq, all } => json!({
            "conversation": conversation, "seq": seq, "readers": all.readers, "count": all.count, "of": all.of
        }),
        Outcome::Reply(reply) => reply_fields(reply),
    }
}

fn reply_fields(reply: &Reply) -> Value {
    match reply {
        Reply::Done | Reply::Refused(_) => json!({}),
        // All pages are joined, so that `more` has no meaning.
        Reply::Contact(contact::Reply::Friends(page)) => {
            json!({ "friends": page.friends, "requests": page.requests })
        }
        Reply::Group(group::Reply::Groups(page)) => json!({ "groups": page.groups }),
        Reply::Group(group::Reply::Members(page)) => json!({ "members": page.members }),
        Reply::Session(reply) => without_token(json!(reply)),
        Reply::Account(reply) => without_token(json!(reply)),
        Reply::Contact(reply) => json!(reply),
        Reply::Group(reply) => json!(reply),
        Reply::Message(reply) => json!(reply),
        Reply::Change(reply) => json!(reply),
        Reply::Timeline(reply) => json!(reply),
        Reply::Presence(reply) => json!(reply),
        Reply::Node(reply) => json!(reply),
    }
}

/// A token must not reach the output.
fn without_token(mut fields: Value) -> Value {
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|name, _| !name.starts_with("token"));
    }
    fields
}

fn failure_fields(failure: &Failure) -> Value {
    match failure {
        Failure::Refused(refusal) => {
            json!({ "error": sentence(failure), "errno": refusal.errno.number() })
        }
        _ => json!({ "error": failure.to_string() }),
    }
}
