//! Who is where, and what a relay makes of a frame. Accounts and conversations are rows of two vectors; ids count from 1.

use super::fault::{Fault, FaultKind};
use crate::connection::Connection;
use crate::scanner::{Scanner, put_integer};
use slab::Slab;
use std::collections::HashMap;
use wire::account::Registered;
use wire::frame::put_frame;
use wire::group::Created;
use wire::kind::{REPLY, push, request};
use wire::session::LoggedIn;
use wire::{
    Command, ConversationId, Credentials, Errno, Frame, Heartbeat, Refusal, Reply, Target, UnixMillis, UserId,
};
use wire::{account, group, message, session};

#[derive(Debug)]
struct User {
    name: Box<str>,
    /// Where it is logged in.
    connection: Option<usize>,
}

#[derive(Debug)]
struct Conversation {
    members: Vec<u32>,
    is_group: bool,
    last_seq: u64,
    /// A message that a fault holds back, as a frame, and for whom.
    held: Option<Vec<u8>>,
    held_for: u32,
}

/// A SEND, as far as a relay looks at it.
struct SendRequest<'a> {
    conversation: u32,
    content: &'a [u8],
    cid: Option<&'a [u8]>,
}

#[derive(Debug, Default)]
pub(super) struct Directory {
    users: Vec<User>,
    conversations: Vec<Conversation>,
    /// The conversation of two users, the lower id first.
    between: HashMap<[u32; 2], u32>,
    /// Who is logged in on a connection, by its key.
    logged_in: Vec<Option<u32>>,
    fault: Option<Fault>,
    relayed: u64,
    time: u64,
}

impl Directory {
    pub(super) fn new(fault: Option<Fault>) -> Directory {
        Directory { fault, ..Directory::default() }
    }

    /// The wall clock of this turn, ms.
    pub(super) fn set_time(&mut self, time: u64) {
        self.time = time;
    }

    /// A connection is closed.
    pub(super) fn forget(&mut self, key: usize) {
        if let Some(id) = self.logged_in.get_mut(key).and_then(Option::take)
            && self.users[id as usize - 1].connection == Some(key)
        {
            self.users[id as usize - 1].connection = None;
        }
    }

    /// Does what `frame` asks. Whether the connection `key` may go on.
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
            }
        }
        true
    }

    fn command(&mut self, key: usize, frame: Frame<'_>) -> Result<Reply, Refusal> {
        match Command::decode(frame.kind, frame.value)? {
            Command::Account(account::Request::Register(new)) => {
                let id = self.register(new.name);
                let token = id.to_string().into();
                Ok(Reply::Account(account::Reply::Registered(Box::new(Registered {
                    id: UserId(id),
                    token,
                    token_expires: UnixMillis(0),
                }))))
            }
            Command::Session(session::Request::Login(session::Login {
                credentials: Credentials::Token(token),
                ..
            })) => {
                let id: Option<u32> = token.parse().ok();
                let user = id.and_then(|id| Some((id, self.log_in(key, id)?)));
                let (id, name) = user.ok_or(Refusal::new(Errno::TokenInvalid, "no such token"))?;
                Ok(Reply::Session(session::Reply::LoggedIn(Box::new(LoggedIn {
                    id: UserId(id),
                    name,
                    token,
                    token_expires: UnixMillis(0),
                    node: "relay".into(),
                    resumed: false,
                    friends: Vec::new(),
                    groups: Vec::new(),
                    conversations: Vec::new(),
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
                    held: None,
                    held_for: 0,
                });
                let conversation = ConversationId(self.conversations.len() as u32);
                Ok(Reply::Group(group::Reply::Created(Created { conversation })))
            }
            Command::Group(group::Request::Join(group::Join { conversation })) => {
                let user = self.user_of(key).ok_or(Refusal::new(Errno::NotLoggedIn, "log in first"))?;
                let group = self.conversations.get_mut((conversation.0 as usize).wrapping_sub(1));
                let group = group.ok_or(Refusal::new(Errno::NotFound, "no such group"))?;
                group.members.push(user);
                Ok(Reply::Done)
            }
            _ => Err(Refusal::new(
                Errno::UnknownType,
                "a relay knows REGISTER, LOGIN by token, groups, SEND, ACK, HEARTBEAT",
            )),
        }
    }

    /// Makes an account.
    pub(super) fn register(&mut self, name: Box<str>) -> u32 {
        self.users.push(User { name, connection: None });
        self.users.len() as u32
    }

    /// User `id` is on connection `key` from here on: the user's name; `None` where there is no such user.
    pub(super) fn log_in(&mut self, key: usize, id: u32) -> Option<Box<str>> {
        let user = self.users.get_mut((id as usize).checked_sub(1)?)?;
        user.connection = Some(key);
        if self.logged_in.len() <= key {
            self.logged_in.resize(key + 1, None);
        }
        self.logged_in[key] = Some(id);
        Some(user.name.clone())
    }

    /// Who is logged in on connection `key`.
    pub(super) fn user_of(&self, key: usize) -> Option<u32> {
        self.logged_in.get(key).copied().flatten()
    }

    /// Where user `id` is logged in.
    pub(super) fn connection_of(&self, id: u32) -> Option<usize> {
        self.users.get((id as usize).checked_sub(1)?)?.connection
    }

    /// One more message is relayed: what is to be done wrong with it.
    pub(super) fn next_fault(&mut self) -> Option<FaultKind> {
        self.relayed += 1;
        self.fault.filter(|fault| fault.at == self.relayed).map(|fault| fault.wrong)
    }

    fn send(
        &mut self,
        key: usize,
        frame: Frame<'_>,
        connections: &mut Slab<Connection>,
        dirty: &mut Vec<usize>,
    ) -> bool {
        let Some(from) = self.user_of(key) else { return false };
        let opening;
        let request_sent = match scan_send(frame.value) {
            Some(request_sent) => request_sent,
            None => match Command::decode(frame.kind, frame.value) {
                Ok(Command::Message(message::Request::Send(send))) => {
                    opening = send;
                    let conversation = match opening.target {
                        Target::User(to) => self.open(from, to.0),
                        Target::Conversation(id) => id.0,
                        Target::Name(_) => return false,
                    };
                    let (content, cid) =
                        (opening.content.as_bytes(), opening.cid.as_deref().map(str::as_bytes));
                    SendRequest { conversation, content, cid }
                }
                _ => return false,
            },
        };
        let mut wrong = self.next_fault();
        match wrong {
            Some(FaultKind::Disconnect) => return false,
            Some(FaultKind::Refuse) => {
                let refusal = Refusal::later(Errno::RateLimited, "too fast", 1);
                Reply::from(refusal).encode(frame.kind, frame.request, connections[key].output());
                return true;
            }
            _ => {}
        }
        let time = self.time;
        let index = (request_sent.conversation as usize).wrapping_sub(1);
        let Some(conversation) = self.conversations.get_mut(index) else { return false };
        conversation.last_seq += 1;
        put_sent(connections[key].output(), frame.request, &request_sent, conversation.last_seq, time);
        let name = &self.users[from as usize - 1].name;
        for to in conversation.members.iter().filter(|to| **to != from) {
            let Some(peer) = self.users.get(*to as usize - 1).and_then(|user| user.connection) else {
                continue;
            };
            let out = connections[peer].output();
            let start = out.len();
            put_message(out, &request_sent, (conversation.last_seq, conversation.is_group), from, name, time);
            // In a group it is done wrong to one member.
            let wrong = wrong.take();
            if wrong.is_some() {
                conversation.held_for = *to;
            }
            if wrong.is_some() || (conversation.held.is_some() && conversation.held_for == *to) {
                inject(out, start, wrong, &mut conversation.held, b"\",\"time\":");
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
                held: None,
                held_for: 0,
            });
            self.conversations.len() as u32
        })
    }
}

/// Does something wrong to the message that `out` holds from `start` on, whose text ends before `text_end`. `held` is a
/// message that was held back.
pub(super) fn inject(
    out: &mut Vec<u8>,
    start: usize,
    wrong: Option<FaultKind>,
    held: &mut Option<Vec<u8>>,
    text_end: &[u8],
) {
    match wrong {
        Some(FaultKind::Drop) => out.truncate(start),
        Some(FaultKind::Duplicate) => out.extend_from_within(start..),
        Some(FaultKind::Corrupt) => {
            if let Some(at) = out[start..].windows(text_end.len()).rposition(|window| window == text_end) {
                out[start + at - 1] ^= 1;
            }
        }
        Some(FaultKind::Reorder) => *held = Some(out.split_off(start)),
        Some(FaultKind::Refuse | FaultKind::Disconnect) => {}
        None => out.extend(held.take().unwrap_or_default()),
    }
}

/// A SEND to a conversation, as this program and the project's client write it.
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

fn put_sent(out: &mut Vec<u8>, request_number: u32, request_sent: &SendRequest<'_>, seq: u64, time: u64) {
    put_frame(out, REPLY | request::SEND, request_number, |out| {
        out.extend_from_slice(b"{\"errno\":0,\"conversation\":");
        put_integer(out, u64::from(request_sent.conversation));
        out.extend_from_slice(b",\"seq\":");
        put_integer(out, seq);
        out.extend_from_slice(b",\"time\":");
        put_integer(out, time);
        out.push(b'}');
    });
}

fn put_message(
    out: &mut Vec<u8>,
    request_sent: &SendRequest<'_>,
    (seq, is_group): (u64, bool),
    from: u32,
    name: &str,
    time: u64,
) {
    put_frame(out, push::MESSAGE, 0, |out| {
        out.extend_from_slice(b"{\"conversation\":");
        put_integer(out, u64::from(request_sent.conversation));
        let kind: &[u8] =
            if is_group { b",\"kind\":\"group\",\"seq\":" } else { b",\"kind\":\"direct\",\"seq\":" };
        out.extend_from_slice(kind);
        put_integer(out, seq);
        out.extend_from_slice(b",\"from\":");
        put_integer(out, u64::from(from));
        out.extend_from_slice(b",\"name\":\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\",\"type\":\"text\",\"content\":\"");
        out.extend_from_slice(request_sent.content);
        out.extend_from_slice(b"\",\"time\":");
        put_integer(out, time);
        if let Some(cid) = request_sent.cid {
            out.extend_from_slice(b",\"cid\":\"");
            out.extend_from_slice(cid);
            out.push(b'"');
        }
        out.push(b'}');
    });
}
