//! The users and conversations of a relay, and how it handles TLV frames. Ids are indices of two vectors, counted from
//! 1.

use super::fault::{Fault, FaultKind};
use crate::connection::Connection;
use crate::digits::put_integer;
use crate::scanner::Scanner;
use slab::Slab;
use std::collections::HashMap;
use std::sync::Arc;
use wire::entry::{Event, SYSTEM, System};
use wire::frame::put_frame;
use wire::kind::{REPLY, push, request};
use wire::{
    Command, ConversationId, ConversationKind, Credentials, Errno, Frame, Heartbeat, Message, Push, Refusal,
    Reply, Seq, Target, UnixMillis, UserId, account, group, message, session,
};

#[derive(Debug)]
struct User {
    name: Box<str>,
    /// The key of the connection on which it is logged in.
    connection: Option<usize>,
}

#[derive(Debug)]
struct Conversation {
    members: Vec<u32>,
    is_group: bool,
    last_seq: u64,
    /// A frame held back by a fault, and its receiver.
    held_back: Option<Vec<u8>>,
    held_for: u32,
}

/// The fields of a SEND that a relay uses.
struct SendRequest<'a> {
    conversation: u32,
    content: &'a [u8],
    cid: Option<&'a [u8]>,
}

#[derive(Debug, Default)]
pub(super) struct Directory {
    users: Vec<User>,
    conversations: Vec<Conversation>,
    /// Direct chats by their members, the lower id first.
    between: HashMap<[u32; 2], u32>,
    /// The user of each connection, by its key.
    logged_in: Vec<Option<u32>>,
    fault: Option<Fault>,
    relayed: u64,
    time: u64,
}

impl Directory {
    pub(super) fn new(fault: Option<Fault>) -> Directory {
        Directory { fault, ..Directory::default() }
    }

    /// Sets the wall clock time of this turn, ms.
    pub(super) fn set_time(&mut self, time: u64) {
        self.time = time;
    }

    /// Handles the end of connection `key`.
    pub(super) fn forget(&mut self, key: usize) {
        if let Some(id) = self.logged_in.get_mut(key).and_then(Option::take)
            && self.users[id as usize - 1].connection == Some(key)
        {
            self.users[id as usize - 1].connection = None;
        }
    }

    /// Handles `frame`. Returns whether the connection `key` may stay open.
    pub(super) fn handle(
        &mut self,
        key: usize,
        frame: Frame<'_>,
        connections: &mut Slab<Connection>,
        dirty: &mut Vec<usize>,
    ) -> bool {
        match frame.kind {
            request::SEND => return self.send(key, frame, connections, dirty),
            request::ACK => {}
            request::HEARTBEAT => {
                let beat = Heartbeat::decode(frame.value)
                    .map(|beat| Heartbeat { time: UnixMillis(self.time), ..beat });
                let Some(beat) = beat else { return false };
                let out = connections[key].output();
                put_frame(out, REPLY | frame.kind, frame.request, |out| {
                    out.extend_from_slice(&beat.encode());
                });
            }
            _ => {
                let reply = self.command(key, frame).unwrap_or_else(Into::into);
                reply.encode(frame.kind, frame.request, connections[key].output());
                self.tell(key, frame, &reply, connections, dirty);
            }
        }
        true
    }

    fn command(&mut self, key: usize, frame: Frame<'_>) -> Result<Reply, Refusal> {
        match Command::decode(frame.kind, frame.value)? {
            Command::Account(account::Request::Register(new)) => {
                let id = self.register(new.name);
                let token = id.to_string().into();
                let registered = account::Registered { id: UserId(id), token, token_expires: UnixMillis(0) };
                Ok(Reply::Account(account::Reply::Registered(Box::new(registered))))
            }
            Command::Session(session::Request::Login(session::Login {
                credentials: Credentials::Token(token),
                ..
            })) => {
                let id: Option<u32> = token.parse().ok();
                let user = id.and_then(|id| Some((id, self.log_in(key, id)?)));
                let (id, name) = user.ok_or(Refusal::new(Errno::TokenInvalid, "no such token"))?;
                Ok(Reply::Session(session::Reply::LoggedIn(Box::new(session::LoggedIn {
                    id: UserId(id),
                    name,
                    token: Some(token),
                    token_expires: UnixMillis(0),
                    node: "relay".into(),
                    server: None,
                    history: None,
                    http: None,
                    resumed: false,
                    friends: Vec::new(),
                    groups: Vec::new(),
                    conversations: Arc::default(),
                    friends_more: false,
                    groups_more: false,
                    conversations_more: false,
                }))))
            }
            Command::Group(group::Request::Create(_)) => {
                let owner = self.user_of(key).ok_or(Refusal::new(Errno::NotLoggedIn, "log in first"))?;
                self.conversations.push(Conversation {
                    members: vec![owner],
                    is_group: true,
                    last_seq: 0,
                    held_back: None,
                    held_for: 0,
                });
                let conversation = ConversationId(self.conversations.len() as u32);
                Ok(Reply::Group(group::Reply::Created(group::Created { conversation })))
            }
            Command::Group(group::Request::Join(group::Join { conversation })) => {
                let user = self.user_of(key).ok_or(Refusal::new(Errno::NotLoggedIn, "log in first"))?;
                let group = self.conversations.get_mut((conversation.0 as usize).wrapping_sub(1));
                let group = group.ok_or(Refusal::new(Errno::NotFound, "no such group"))?;
                group.members.push(user);
                let state = group::JoinState::Joined;
                Ok(Reply::Group(group::Reply::Joined(group::Joined { state })))
            }
            _ => Err(Refusal::new(
                Errno::UnknownType,
                "a relay handles only REGISTER, LOGIN by token, groups, SEND, ACK and HEARTBEAT",
            )),
        }
    }

    /// Tells the members of a group of who has created or joined it, by an entry of its timeline.
    fn tell(
        &mut self,
        key: usize,
        frame: Frame<'_>,
        reply: &Reply,
        connections: &mut Slab<Connection>,
        dirty: &mut Vec<usize>,
    ) {
        let (id, event) = match (reply, Command::decode(frame.kind, frame.value)) {
            (Reply::Group(group::Reply::Created(created)), _) => (created.conversation, Event::Created),
            (
                Reply::Group(group::Reply::Joined(_)),
                Ok(Command::Group(group::Request::Join(group::Join { conversation }))),
            ) => (conversation, Event::Joined),
            _ => return,
        };
        let Some(from) = self.user_of(key) else { return };
        let Some(group) = self.conversations.get_mut(id.0 as usize - 1) else { return };
        group.last_seq += 1;
        let system = System { event, who: [UserId(from)].into(), by: UserId(from), value: None };
        let entry = Push::Message(message::Push::New(Arc::new(Message {
            conversation: id,
            kind: ConversationKind::Group,
            seq: Seq(group.last_seq),
            from: UserId(from),
            name: (&*self.users[from as usize - 1].name).into(),
            content_type: SYSTEM.into(),
            content: "joined".into(),
            time: UnixMillis(self.time),
            cid: None,
            extra: Some(system.into()),
        })));
        for to in &group.members {
            if let Some(peer) = self.users[*to as usize - 1].connection {
                entry.encode(connections[peer].output());
                dirty.push(peer);
            }
        }
    }

    /// Creates an account.
    pub(super) fn register(&mut self, name: Box<str>) -> u32 {
        self.users.push(User { name, connection: None });
        self.users.len() as u32
    }

    /// Logs user `id` in on connection `key`; returns the user's name, or `None` if there is no such user.
    pub(super) fn log_in(&mut self, key: usize, id: u32) -> Option<Box<str>> {
        let user = self.users.get_mut((id as usize).checked_sub(1)?)?;
        user.connection = Some(key);
        if self.logged_in.len() <= key {
            self.logged_in.resize(key + 1, None);
        }
        self.logged_in[key] = Some(id);
        Some(user.name.clone())
    }

    /// The user who is logged in on connection `key`.
    pub(super) fn user_of(&self, key: usize) -> Option<u32> {
        self.logged_in.get(key).copied().flatten()
    }

    /// The connection on which user `id` is logged in.
    pub(super) fn connection_of(&self, id: u32) -> Option<usize> {
        self.users.get((id as usize).checked_sub(1)?)?.connection
    }

    /// Counts a relayed message; returns the fault to inject.
    pub(super) fn next_fault(&mut self) -> Option<FaultKind> {
        self.relayed += 1;
        self.fault.filter(|fault| fault.at == self.relayed).map(|fault| fault.kind)
    }

    fn send(
        &mut self,
        key: usize,
        frame: Frame<'_>,
        connections: &mut Slab<Connection>,
        dirty: &mut Vec<usize>,
    ) -> bool {
        let Some(from) = self.user_of(key) else { return false };
        let decoded;
        let sent = match scan_send(frame.value) {
            Some(sent) => sent,
            None => match Command::decode(frame.kind, frame.value) {
                Ok(Command::Message(message::Request::Send(send))) => {
                    decoded = send;
                    let conversation = match decoded.target {
                        Target::User(to) => self.open(from, to.0),
                        Target::Conversation(id) | Target::Group(id) => id.0,
                        Target::Name(_) => return false,
                    };
                    let (content, cid) =
                        (decoded.content.as_bytes(), decoded.cid.as_deref().map(str::as_bytes));
                    SendRequest { conversation, content, cid }
                }
                _ => return false,
            },
        };
        let mut fault = self.next_fault();
        match fault {
            Some(FaultKind::Disconnect) => return false,
            Some(FaultKind::Refuse) => {
                let refusal = Refusal::later(Errno::RateLimited, "too fast", 1);
                Reply::from(refusal).encode(frame.kind, frame.request, connections[key].output());
                return true;
            }
            _ => {}
        }
        let time = self.time;
        let index = (sent.conversation as usize).wrapping_sub(1);
        let Some(conversation) = self.conversations.get_mut(index) else { return false };
        conversation.last_seq += 1;
        put_sent(connections[key].output(), frame.request, &sent, conversation.last_seq, time);
        let name = &self.users[from as usize - 1].name;
        for to in conversation.members.iter().filter(|to| **to != from) {
            let Some(peer) = self.users.get(*to as usize - 1).and_then(|user| user.connection) else {
                continue;
            };
            let out = connections[peer].output();
            let start = out.len();
            put_message(out, &sent, conversation.last_seq, conversation.is_group, from, name, time);
            // In a group only one member sees the fault.
            let fault = fault.take();
            if fault.is_some() {
                conversation.held_for = *to;
            }
            if fault.is_some() || (conversation.held_back.is_some() && conversation.held_for == *to) {
                inject(out, start, fault, &mut conversation.held_back, b"\",\"time\":");
            }
            dirty.push(peer);
        }
        true
    }

    fn open(&mut self, one: u32, other: u32) -> u32 {
        let members = [one.min(other), one.max(other)];
        *self.between.entry(members).or_insert_with(|| {
            let members = members.to_vec();
            self.conversations.push(Conversation {
                members,
                is_group: false,
                last_seq: 0,
                held_back: None,
                held_for: 0,
            });
            self.conversations.len() as u32
        })
    }
}

/// Applies `fault` to the message that starts at `start` of `out` and whose text ends before `text_end`. Without a
/// fault, appends the message that was held back.
pub(super) fn inject(
    out: &mut Vec<u8>,
    start: usize,
    fault: Option<FaultKind>,
    held_back: &mut Option<Vec<u8>>,
    text_end: &[u8],
) {
    match fault {
        Some(FaultKind::Drop) => out.truncate(start),
        Some(FaultKind::Duplicate) => out.extend_from_within(start..),
        Some(FaultKind::Corrupt) => {
            if let Some(at) = out[start..].windows(text_end.len()).rposition(|window| window == text_end) {
                out[start + at - 1] ^= 1;
            }
        }
        Some(FaultKind::Reorder) => *held_back = Some(out.split_off(start)),
        Some(FaultKind::Refuse | FaultKind::Disconnect) => {}
        None => out.extend(held_back.take().unwrap_or_default()),
    }
}

/// Scans a SEND to a conversation in the spelling of this program and the project's client.
fn scan_send(value: &[u8]) -> Option<SendRequest<'_>> {
    let mut scanner = Scanner(value);
    scanner.literal(b"{\"conversation\":")?;
    let conversation = u32::try_from(scanner.integer()?).ok()?;
    scanner.literal(b",\"content\":\"")?;
    let content = scanner.text()?;
    scanner.literal(b",\"cid\":\"")?;
    let cid = Some(scanner.text()?);
    scanner.literal(b"}")?;
    scanner.end()?;
    Some(SendRequest { conversation, content, cid })
}

fn put_sent(out: &mut Vec<u8>, request_number: u32, sent: &SendRequest<'_>, seq: u64, time: u64) {
    put_frame(out, REPLY | request::SEND, request_number, |out| {
        out.extend_from_slice(b"{\"errno\":0,\"conversation\":");
        put_integer(out, u64::from(sent.conversation));
        out.extend_from_slice(b",\"seq\":");
        put_integer(out, seq);
        out.extend_from_slice(b",\"time\":");
        put_integer(out, time);
        out.push(b'}');
    });
}

fn put_message(
    out: &mut Vec<u8>,
    sent: &SendRequest<'_>,
    seq: u64,
    is_group: bool,
    from: u32,
    name: &str,
    time: u64,
) {
    put_frame(out, push::MESSAGE, 0, |out| {
        out.extend_from_slice(b"{\"conversation\":");
        put_integer(out, u64::from(sent.conversation));
        let kind: &[u8] =
            if is_group { b",\"kind\":\"group\",\"seq\":" } else { b",\"kind\":\"direct\",\"seq\":" };
        out.extend_from_slice(kind);
        put_integer(out, seq);
        out.extend_from_slice(b",\"from\":");
        put_integer(out, u64::from(from));
        out.extend_from_slice(b",\"name\":\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\",\"type\":\"text\",\"content\":\"");
        out.extend_from_slice(sent.content);
        out.extend_from_slice(b"\",\"time\":");
        put_integer(out, time);
        if let Some(cid) = sent.cid {
            out.extend_from_slice(b",\"cid\":\"");
            out.extend_from_slice(cid);
            out.push(b'"');
        }
        out.push(b'}');
    });
}
