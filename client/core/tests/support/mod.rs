//! A chat server for one account, in memory and without I/O.
//!
//! It follows the protocol as far as [`Faults`] allows: every message gets a seq, a repeated `cid` returns the first
//! message, and messages that were not acknowledged are pushed again after the next login.

#![allow(dead_code)] // Each test uses its part.

pub mod changes;
mod conversations;
pub mod listening;
mod logins;
mod members;
mod names;
pub mod pair;
mod readers;
mod search;
pub mod settings;
mod summaries;

use chatclient_core::random::Random;
use logins::Logins;
use names::Names;
use settings::Settings;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use wire::account::Registered;
use wire::frame::split_frame;
use wire::kind::{REPLY, request};
use wire::message::Sent;
use wire::session::LoggedIn;
use wire::timeline::HistoryPage;
use wire::*;

/// The account that logs in.
pub const ME: UserId = UserId(1);
pub const PASSWORD: &str = "secret1";
/// The protocol's limit.
const UNACKED_MAX: usize = 500;

/// The percentage of cases in which the server misbehaves.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    /// SEND or HISTORY is refused temporarily.
    pub refuse: u64,
    /// A push is skipped, which the protocol forbids. The client must ask HISTORY.
    pub skip_push: u64,
    /// An ACK is ignored.
    pub forget_ack: u64,
    /// Pushes are delayed.
    pub hold_push: u64,
}

pub struct FakeServer {
    pub random: Random,
    pub faults: Faults,
    pub conversations: BTreeMap<u32, Conversation>,
    /// Those that the account has left.
    pub left: BTreeSet<u32>,
    by_cid: HashMap<String, (u32, u64)>,
    next_token: u32,
    /// The token that the last login showed beside its password.
    pub shown_token: Option<Box<str>>,
    /// Whether the last login asked for last messages.
    pub with_last: bool,
    pub token: Option<String>,
    /// The most conversations in the login reply and in a page.
    pub page: usize,
    pub nodes: Vec<node::Node>,
    /// Its identity and its history.
    pub server: Option<Box<str>>,
    pub history: Option<Box<str>>,
    /// Added to the time of messages; tells those of one history from those of another.
    pub epoch: u64,
    /// Conversations for which the client has a cursor.
    pub known: BTreeSet<u32>,
    /// Conversation and seq of every READ.
    pub reads: Vec<(u32, u64)>,
    /// The conversation of every TYPING.
    pub typing: Vec<u32>,
    pub logins: Logins,
    pub names: Names,
    /// How far the other members of each group have read.
    pub members: BTreeMap<u32, BTreeMap<u32, u64>>,
    /// Conversation and seq of every READERS.
    pub readers_asked: Vec<(u32, u64)>,
    /// The groups that the account owns.
    pub owned: BTreeSet<u32>,
}

pub struct Conversation {
    pub kind: ConversationKind,
    pub messages: Vec<Arc<Message>>,
    pub first: u64,
    pub delivered: u64,
    pub read: u64,
    pub settings: Settings,
}

/// The server's side of one connection.
#[derive(Default)]
pub struct FakeConnection {
    input: Vec<u8>,
    pub out: Vec<u8>,
    pub logged_in: bool,
    /// The highest seq written, per conversation.
    pushed: BTreeMap<u32, u64>,
    own: BTreeSet<(u32, u64)>,
    pub closed: bool,
    /// The types of all received requests.
    pub requests: Vec<u16>,
}

impl FakeServer {
    pub fn new(seed: u64, faults: Faults) -> FakeServer {
        FakeServer {
            random: Random::new(seed),
            faults,
            conversations: BTreeMap::new(),
            by_cid: HashMap::new(),
            next_token: 0,
            shown_token: None,
            with_last: false,
            token: None,
            page: 200,
            nodes: Vec::new(),
            server: None,
            history: None,
            epoch: 0,
            known: BTreeSet::new(),
            reads: Vec::new(),
            typing: Vec::new(),
            logins: Logins::default(),
            names: Names::default(),
            members: BTreeMap::new(),
            readers_asked: Vec::new(),
            owned: BTreeSet::new(),
            left: BTreeSet::new(),
        }
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random.up_to(99) < percent
    }

    /// Stores a message; a known `cid` returns the first one.
    pub fn store(&mut self, id: u32, from: UserId, text: &str, cid: Option<&str>) -> Sent {
        let place = cid.and_then(|cid| self.by_cid.get(cid).copied());
        let duplicate = place.is_some();
        let name = self.names.user(from.0);
        let (id, seq) = place.unwrap_or_else(|| {
            let conversation = self.conversations.entry(id).or_insert_with(|| Conversation {
                kind: ConversationKind::Direct,
                messages: Vec::new(),
                first: 1,
                delivered: 0,
                read: 0,
                settings: Settings::default(),
            });
            conversation.settings.hidden = false;
            let seq = conversation.messages.len() as u64 + 1;
            conversation.messages.push(Arc::new(Message {
                conversation: ConversationId(id),
                kind: conversation.kind,
                seq: Seq(seq),
                from,
                name: name.into(),
                content_type: "text".into(),
                content: text.into(),
                time: UnixMillis(self.epoch + seq),
                cid: cid.map(Into::into),
                extra: None,
            }));
            (id, seq)
        });
        if let (Some(cid), false) = (cid, duplicate) {
            self.by_cid.insert(cid.to_owned(), (id, seq));
        }
        Sent {
            conversation: ConversationId(id),
            seq: Seq(seq),
            time: UnixMillis(self.epoch + seq),
            duplicate,
        }
    }

    /// Restores a backup from when the conversation had so many messages, and begins a new history.
    pub fn restore(&mut self, id: u32, messages: usize) {
        let conversation = self.conversations.get_mut(&id).expect("there is one");
        conversation.messages.truncate(messages);
        conversation.delivered = conversation.delivered.min(messages as u64);
        conversation.read = conversation.read.min(messages as u64);
        self.by_cid.retain(|_, (of, seq)| *of != id || *seq <= messages as u64);
        self.begin_history();
    }

    /// Begins a new history.
    pub fn begin_history(&mut self) {
        self.epoch += 1_000_000;
        self.history = Some(format!("history {}", self.epoch).into());
    }

    pub fn message(&self, id: u32, seq: Seq) -> Arc<Message> {
        self.conversations[&id].messages[seq.0 as usize - 1].clone()
    }

    /// Makes the conversation `id` a group, which is called `group ID`.
    pub fn make_group(&mut self, id: u32) {
        let conversation = self.conversations.get_mut(&id).expect("it has a message");
        conversation.kind = ConversationKind::Group;
        for message in &mut conversation.messages {
            Arc::make_mut(message).kind = ConversationKind::Group;
        }
    }

    pub fn texts(&self, id: u32, from: UserId) -> Vec<String> {
        let messages = self.conversations.get(&id).map_or(&[][..], |conversation| &conversation.messages);
        messages.iter().filter(|m| m.from == from).map(|m| m.content.to_string()).collect()
    }

    /// Another device of the account has received a conversation up to `delivered` and read it up to `read`.
    pub fn set_cursors(&mut self, id: u32, delivered: u64, read: u64) {
        let conversation = self.conversations.get_mut(&id).expect("the conversation exists");
        (conversation.delivered, conversation.read) = (delivered, read);
    }

    /// Handles bytes from the client; the answers are appended to `connection.out`.
    pub fn receive(&mut self, connection: &mut FakeConnection, bytes: &[u8]) {
        connection.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut connection.input);
        let mut used = 0;
        while let Ok(Some((frame, length))) = split_frame(&input[used..], limits::FRAME_BYTES) {
            used += length;
            connection.requests.push(frame.kind);
            if frame.kind == request::HEARTBEAT {
                let beat = Heartbeat::decode(frame.value).expect("a valid heartbeat");
                assert!(beat.user == if connection.logged_in { ME } else { UserId(0) });
                frame::put_frame(&mut connection.out, REPLY | frame.kind, frame.request, |out| {
                    out.extend_from_slice(frame.value);
                });
                continue;
            }
            let command = Command::decode(frame.kind, frame.value).expect("the client sends valid requests");
            let reply = self.answer(connection, command);
            if frame.request != 0 {
                reply.encode(frame.kind, frame.request, &mut connection.out);
            }
        }
        connection.input = input[used..].to_vec();
        self.push(connection);
    }

    fn answer(&mut self, connection: &mut FakeConnection, command: Command) -> Reply {
        match command {
            Command::Session(session::Request::Login(session::Login {
                credentials,
                known,
                with_last,
                ..
            })) => {
                (self.shown_token, self.with_last) = (known, with_last);
                self.login(connection, credentials)
            }
            Command::Account(account::Request::Register(new)) if self.names.taken.contains(&*new.name) => {
                Refusal::new(Errno::NameTaken, "another user has this name").into()
            }
            Command::Account(account::Request::Register(_)) => {
                Reply::Account(account::Reply::Registered(Box::new(Registered {
                    id: UserId(7),
                    token: "registered".into(),
                    token_expires: UnixMillis(0),
                })))
            }
            _ if !connection.logged_in => Refusal::new(Errno::NotLoggedIn, "log in first").into(),
            Command::Session(session::Request::Devices) => Logins::list(),
            Command::Session(session::Request::Revoke(revoke)) => self.logins.revoke(revoke),
            Command::Account(account::Request::ChangePassword(change)) => self.logins.change(*change),
            Command::Session(session::Request::Logout) => {
                self.token = None;
                connection.logged_in = false;
                Reply::Done
            }
            Command::Message(message::Request::Send(send)) => self.send(connection, &send),
            Command::Group(group::Request::Create(_)) => {
                let is_free = |id: &u32| !self.conversations.contains_key(id);
                let id = (10..).find(is_free).expect("there is a free id");
                self.store(id, ME, "created", None);
                self.make_group(id);
                let created = group::Created { conversation: ConversationId(id) };
                Reply::Group(group::Reply::Created(created))
            }
            Command::Change(request) => self.answer_change(&request),
            Command::Timeline(timeline::Request::Ack(timeline::Cursor { conversation, seq })) => {
                self.acknowledge(conversation, seq)
            }
            Command::Timeline(timeline::Request::Read(timeline::Cursor { conversation, seq })) => {
                self.reads.push((conversation.0, seq.0));
                self.acknowledge(conversation, seq)
            }
            Command::Timeline(timeline::Request::Typing(timeline::Typing { conversation })) => {
                self.typing.push(conversation.0);
                Reply::Done
            }
            Command::Timeline(timeline::Request::History(timeline::History {
                conversation,
                direction,
                limit,
                ..
            })) => self.history(conversation.0, direction, limit as usize),
            Command::Timeline(timeline::Request::Conversations(asked)) => {
                self.conversation_page(asked.before)
            }
            Command::Timeline(timeline::Request::Readers(asked)) => self.readers(&asked),
            Command::Timeline(timeline::Request::Search(asked)) => self.search(&asked),
            Command::Timeline(timeline::Request::Set(set)) => self.set(&set),
            Command::Timeline(timeline::Request::Clear(clear)) => self.clear(connection, &clear),
            Command::Node(node::Request::Nodes) => {
                Reply::Node(node::Reply::Nodes(Box::new(node::NodesPage {
                    best: "fake:1".into(),
                    nodes: self.nodes.clone(),
                })))
            }
            Command::Account(account::Request::Profile(who)) => Names::profile(who.as_ref()),
            Command::Group(group::Request::Join(_)) => {
                Refusal::new(Errno::NotFound, "there is no such group").into()
            }
            Command::Group(group::Request::Members(asked)) => self.member_page(&asked),
            Command::Group(group::Request::Groups(_)) => {
                group::Reply::Groups(Box::new(group::GroupsPage { groups: self.groups(), more: false }))
                    .into()
            }
            Command::Contact(contact::Request::Friends(_)) => {
                Reply::Contact(contact::Reply::Friends(Box::new(contact::FriendsPage {
                    friends: vec![],
                    requests: vec![],
                    more: false,
                })))
            }
            _ => Reply::Done,
        }
    }

    fn acknowledge(&mut self, conversation: ConversationId, seq: Seq) -> Reply {
        if !self.conversations.contains_key(&conversation.0) && !self.left.contains(&conversation.0) {
            return Refusal::new(Errno::Forbidden, "not a member").into();
        }
        if !self.chance(self.faults.forget_ack)
            && let Some(conversation) = self.conversations.get_mut(&conversation.0)
        {
            assert!(seq.0 <= conversation.messages.len() as u64, "acknowledged what does not exist");
            conversation.delivered = conversation.delivered.max(seq.0);
        }
        Reply::Done
    }

    fn groups(&self) -> Vec<group::Group> {
        let groups = self.conversations.iter().filter(|(_, c)| c.kind == ConversationKind::Group);
        let group = |id: u32| group::Group {
            conversation: ConversationId(id),
            name: self.names.group(id),
            desc: "".into(),
            role: if self.owned.contains(&id) { group::Role::Creator } else { group::Role::Normal },
        };
        groups.map(|(id, _)| group(*id)).collect()
    }

    fn login(&mut self, connection: &mut FakeConnection, credentials: Credentials) -> Reply {
        match credentials {
            Credentials::Password { password, .. } if *password == *PASSWORD => {
                self.next_token += 1;
                self.token = Some(format!("{:064x}", self.next_token));
            }
            Credentials::Password { .. } => {
                return Refusal::new(Errno::BadCredentials, "id, name or password is wrong").into();
            }
            Credentials::Token(token) if self.token.as_deref() == Some(&token) => {}
            Credentials::Token(_) => {
                return Refusal::new(Errno::TokenInvalid, "the token is not valid").into();
            }
        }
        connection.logged_in = true;
        let mut conversations: Vec<_> = self.entries().into_iter().rev().collect();
        let conversations_more = conversations.len() > self.page;
        conversations.truncate(self.page);
        connection.pushed = self.conversations.iter().map(|(id, c)| (*id, c.delivered)).collect();
        Reply::Session(session::Reply::LoggedIn(Box::new(LoggedIn {
            id: ME,
            name: "me".into(),
            token: Some(self.token.clone().unwrap_or_default().into()),
            token_expires: UnixMillis(0),
            node: "fake".into(),
            server: self.server.clone(),
            history: self.history.clone(),
            http: None,
            resumed: false,
            friends: vec![],
            groups: self.groups(),
            conversations: conversations.into(),
            friends_more: false,
            groups_more: false,
            conversations_more,
        })))
    }

    fn send(&mut self, connection: &mut FakeConnection, send: &message::Send) -> Reply {
        let id = match &send.target {
            Target::User(id) => id.0,
            Target::Conversation(id) | Target::Group(id) => id.0,
            Target::Name(_) => return Refusal::new(Errno::NotFound, "there is no such user").into(),
        };
        let refuse = self.chance(self.faults.refuse);
        if refuse && self.chance(50) {
            let errno = if self.chance(50) { Errno::Busy } else { Errno::RateLimited };
            return Refusal::later(errno, "later", self.random.up_to(300)).into();
        }
        let sent = self.store(id, ME, &send.content, send.cid.as_deref());
        if refuse {
            return Refusal {
                cid: send.cid.clone(),
                ..Refusal::later(Errno::Unavailable, "storage is away", 50)
            }
            .into();
        }
        let conversation = self.conversations.get_mut(&id).expect("just stored");
        if !sent.duplicate {
            if let (Some(references), Some(last)) = (&send.references, conversation.messages.last_mut()) {
                Arc::make_mut(last).extra = Some((**references).clone().into());
            }
            connection.own.insert((id, sent.seq.0));
            if conversation.delivered == sent.seq.0 - 1 {
                conversation.delivered = sent.seq.0;
            }
        }
        Reply::Message(message::Reply::Sent(sent))
    }

    fn history(&mut self, id: u32, direction: Direction, limit: usize) -> Reply {
        if self.chance(self.faults.refuse) {
            return Refusal::later(Errno::Busy, "later", 20).into();
        }
        let Some(conversation) = self.conversations.get(&id) else {
            return Refusal::new(Errno::Forbidden, "not a member").into();
        };
        let seen = conversation.messages.iter().filter(|m| m.seq.0 >= conversation.first);
        let (messages, more): (Vec<_>, bool) = match direction {
            Direction::After(seq) => {
                let all: Vec<_> = seen.filter(|m| m.seq > seq).cloned().collect();
                (all.iter().take(limit).cloned().collect(), all.len() > limit)
            }
            Direction::Before(seq) => {
                let all: Vec<_> = seen.filter(|m| m.seq < seq).cloned().collect();
                (all[all.len().saturating_sub(limit)..].to_vec(), all.len() > limit)
            }
        };
        Reply::Timeline(timeline::Reply::History(Box::new(HistoryPage {
            messages,
            more,
            first_seq: Seq(conversation.first),
        })))
    }

    /// Pushes the messages that the connection has not received, oldest first.
    pub fn push(&mut self, connection: &mut FakeConnection) {
        if !connection.logged_in || self.chance(self.faults.hold_push) {
            return;
        }
        let faults = self.faults;
        let mut unacked: usize = self
            .conversations
            .iter()
            .map(|(id, c)| {
                connection.pushed.get(id).copied().unwrap_or(0).saturating_sub(c.delivered) as usize
            })
            .sum();
        for (id, conversation) in &self.conversations {
            let pushed = connection.pushed.entry(*id).or_insert(0);
            while *pushed < conversation.messages.len() as u64 && unacked < UNACKED_MAX {
                let message = &conversation.messages[*pushed as usize];
                *pushed += 1;
                let own = connection.own.contains(&(*id, message.seq.0));
                // A client without a cursor cannot notice that the first push was skipped.
                let skip = self.known.contains(id) && self.random.up_to(99) < faults.skip_push;
                if message.seq.0 >= conversation.first && !own && !skip {
                    unacked += 1;
                    Push::Message(message::Push::New(message.clone())).encode(&mut connection.out);
                }
            }
        }
    }
}
