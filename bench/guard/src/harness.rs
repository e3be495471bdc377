//! The rules of `logic` with all users logged in, and a storage that accepts every write at once.

use logic::contract::message::Stored;
use logic::contract::timeline::Standing;
use logic::contract::{self, Denial, Token};
use logic::{ConnId, Effects, Found, Input, Logic, Now, Query, Read, Rules, Write, Written};
use std::sync::Arc;
use wire::message::Send;
use wire::{
    Command, ConversationId, ConversationKind, Credentials, Dialect, Seq, Target, UnixMillis, UserId,
};
use wire::{message, session, timeline};

/// A receiver acknowledges every this many messages.
const ACK_EVERY: u64 = 64;
/// The content of every message, 64 bytes.
const CONTENT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Users who are all logged in: user `n + 1` on connection `n`.
pub struct Harness {
    logic: Logic,
    fx: Effects,
    now: Now,
    connections: Vec<ConnId>,
    /// Indexed by id - 1.
    conversations: Vec<Conversation>,
    /// Inputs and outcomes handled so far.
    pub events: u64,
}

struct Conversation {
    members: Arc<[UserId]>,
    last_seq: u64,
}

impl Harness {
    /// Logs `users` in, `members` to a conversation.
    pub fn new(users: u32, members: u32) -> Harness {
        let conversation = |first: u32| {
            let members = (first..first + members).map(UserId).collect::<Vec<_>>().into();
            Conversation { members, last_seq: 0 }
        };
        let mut harness = Harness {
            logic: Logic::new(Rules::default(), 7),
            fx: Effects::new(1),
            now: Now { monotonic: 1_000, wall: UnixMillis(1_700_000_000_000) },
            connections: Vec::with_capacity(users as usize),
            conversations: (1..=users).step_by(members as usize).map(conversation).collect(),
            events: 0,
        };
        for number in 0..users {
            harness.log_in(number);
        }
        harness
    }

    /// The number of logged-in sessions.
    pub fn sessions(&self) -> usize {
        self.logic.sessions()
    }

    fn log_in(&mut self, number: u32) {
        let conn = ConnId::new(0, number as usize, 1);
        self.connections.push(conn);
        self.handle(Input::Opened { conn, peer: [127, 0, 0, 1].into(), dialect: Dialect::Tlv });
        let credentials = Credentials::Token((number + 1).to_string().into());
        self.handle(Input::Request {
            conn,
            request: 1,
            command: Command::Session(session::Request::Login(session::Login::new(credentials))),
        });
        self.settle();
    }

    /// Sends a message of the first member; the other members acknowledge every [`ACK_EVERY`] messages.
    pub fn send_message(&mut self, conversation: usize) {
        let members = Arc::clone(&self.conversations[conversation].members);
        let id = ConversationId(conversation as u32 + 1);
        let cid = Some(self.conversations[conversation].last_seq.to_string().into());
        let send = Send { cid, ..Send::text(Target::Conversation(id), CONTENT) };
        let conn = self.connections[members[0].0 as usize - 1];
        self.handle(Input::Request {
            conn,
            request: 2,
            command: Command::Message(message::Request::Send(send)),
        });
        self.settle();
        let last = self.conversations[conversation].last_seq;
        if last.is_multiple_of(ACK_EVERY) {
            for member in &members[1..] {
                let (conn, seq) = (self.connections[member.0 as usize - 1], Seq(last));
                let command =
                    Command::Timeline(timeline::Request::Ack(timeline::Cursor { conversation: id, seq }));
                self.handle(Input::Request { conn, request: 0, command });
            }
            self.settle();
        }
    }

    fn handle(&mut self, input: Input) {
        self.events += 1;
        self.logic.handle_input(self.now, input, &mut self.fx);
    }

    /// Answers all reads and writes, and drops the orders to the reactors.
    fn settle(&mut self) {
        while !self.fx.is_empty() {
            self.fx.reactors.iter_mut().for_each(Vec::clear);
            self.fx.unwanted.clear();
            for (ticket, write) in std::mem::take(&mut self.fx.writes) {
                self.events += 1;
                let written = self.write(write);
                self.logic.handle_written(self.now, ticket, written, &mut self.fx);
            }
            for Query { ticket, read, .. } in std::mem::take(&mut self.fx.reads) {
                self.events += 1;
                let found = self.read(&read);
                self.logic.handle_found(self.now, ticket, found, &mut self.fx);
            }
        }
    }

    fn write(&mut self, write: Write) -> Written {
        match write {
            Write::Session(contract::session::Write::ExtendToken { token: text, client }) => {
                let user = UserId(text.parse().expect("tokens are user ids here"));
                let token = Token { text, hash: [0; 32], expires: UnixMillis(0) };
                let (name, kind) = ("user".into(), client.kind.unwrap_or_default());
                let ready = contract::session::TokenReady { user, name, token, device: client.device, kind };
                Written::Session(contract::session::Written::TokenReady(Box::new(ready)))
            }
            Write::Message(contract::message::Write::Append(append)) => {
                let Target::Conversation(conversation) = append.target else {
                    return Written::Denied(Denial::NotFound);
                };
                let Conversation { members, last_seq } = &mut self.conversations[conversation.0 as usize - 1];
                *last_seq += 1;
                let kind =
                    if members.len() == 2 { ConversationKind::Direct } else { ConversationKind::Group };
                let message = append
                    .into_message(kind, Stored { conversation, seq: Seq(*last_seq), time: self.now.wall });
                Written::Message(contract::message::Written::Appended {
                    message,
                    members: Arc::clone(members),
                })
            }
            _ => Written::Done,
        }
    }

    fn read(&self, read: &Read) -> Found {
        match read {
            Read::Session(contract::session::Read::LoginView { .. }) => {
                Found::Session(contract::session::Found::LoginView(Box::default()))
            }
            Read::Timeline(contract::timeline::Read::Standing { conversation, .. }) => {
                let last = Seq(self.conversations[conversation.0 as usize - 1].last_seq);
                let kind = ConversationKind::Group;
                Found::Timeline(contract::timeline::Found::Standing(Some(Standing {
                    kind,
                    peer: None,
                    last,
                    has_left: false,
                    delivered: Seq(0),
                    read: Seq(0),
                })))
            }
            _ => Found::Unavailable,
        }
    }
}
