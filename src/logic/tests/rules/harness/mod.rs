//! A harness for the rules: logic, a storage of plain vectors, and the orders for each connection.
//!
//! Nothing is answered by itself. [`Harness::settle`] answers everything that waits, so a test can look at what is
//! pending.

mod claims;
mod group;
mod storage;
mod token;
mod unread;

use logic::bus::{Channel, Hint};
use logic::contract::presence::Status;
use logic::contract::session::Ended;
use logic::contract::{Fence, Lane, Requester};
use logic::{
    Alert, BusInput, BusOrder, ConnId, Effects, Grant, Input, Logic, Network, Now, Order, PasswordJob,
    PasswordResult, Query, Read, Rules, Ticket, Write, Written,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use wire::account::Who;
use wire::legacy::Welcome;
use wire::message::Send;
use wire::session::{ClientKind, KickCode};
use wire::{
    Command, ConversationId, ConversationKind, Credentials, Dialect, Errno, Message, Push, Reply, Seq,
    Target, UnixMillis, UserId,
};
use wire::{message, session};

pub struct Harness {
    pub logic: Logic,
    pub now: Now,
    pub effects: Effects,
    pub writes: VecDeque<(Ticket, Write)>,
    pub reads: VecDeque<(Ticket, Read)>,
    /// On whose behalf each read was issued, and until when its answer is wanted.
    pub issued: Vec<(Lane, Requester, Option<u64>)>,
    /// The reads whose answers are not wanted any more.
    pub unwanted: Vec<(Requester, Ticket)>,
    pub revoked: Vec<[u8; 32]>,
    /// The name that is kept with tokens whose client does not say one.
    pub device: Option<Box<str>>,
    /// Jobs at the password thread.
    pub passwords: VecDeque<(Ticket, PasswordJob)>,
    /// Whether the password thread stands still; else its jobs are done at once.
    pub hashing_stands: bool,
    /// Where users logged in from.
    pub networks: Vec<(UserId, Network)>,
    /// What was published on the bus.
    pub published: Vec<(Channel, Hint)>,
    /// The channels that the node subscribes to.
    pub subscribed: BTreeSet<Channel>,
    unsubscribed: Vec<Channel>,
    pub alerts: Vec<Alert>,
    /// Searches that wait for the test to answer them.
    pub searches: Vec<logic::contract::search::Query>,
    /// Whether sockets take nothing; else `settle` writes everything out.
    pub stalled: bool,
    /// Whether storage cannot be reached.
    pub is_away: bool,
    /// Whether tokens were not extended for long.
    pub has_stale_tokens: bool,
    /// The epoch of the next claim.
    pub next_epoch: u32,
    /// The hash of every account's password: the password itself.
    pub password: Box<str>,
    /// Claimed sessions that the next revocations end.
    pub ended: Vec<Ended>,
    /// The claimed sessions in force, those of other nodes included.
    pub claimed: Vec<ClaimedSession>,
    /// Why claimed sessions have ended.
    pub ends: BTreeMap<Fence, KickCode>,
    /// Tokens whose sessions are connected to other nodes.
    pub online: Vec<u8>,
    /// The token by which the password was last changed.
    pub changed_by: Option<[u8; 32]>,
    /// Users who are online on another node.
    pub elsewhere: Vec<UserId>,
    /// What they show.
    pub elsewhere_shows: Status,
    undrained: Vec<ConnId>,
    orders: BTreeMap<ConnId, Vec<Seen>>,
    users: Vec<Arc<str>>,
    friends: Vec<(UserId, UserId)>,
    pub conversations: Vec<Conversation>,
    tokens: u8,
    next_slot: usize,
    next_request: u32,
}

/// A session as the database knows it.
#[derive(Clone, Debug)]
pub struct ClaimedSession {
    pub fence: Fence,
    pub node: Box<str>,
    pub token: [u8; 32],
    pub device: Option<Box<str>>,
    pub kind: ClientKind,
}

pub struct Conversation {
    pub kind: ConversationKind,
    pub members: Vec<UserId>,
    /// The seqs below the views of members who joined later.
    pub joined: BTreeMap<UserId, Seq>,
    /// The last seqs of those who are members no more.
    pub left: BTreeMap<UserId, Seq>,
    pub messages: Vec<Arc<Message>>,
    pub cursors: BTreeMap<UserId, (Seq, Seq)>,
}

/// What a connection was sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    Welcome(Box<Welcome>),
    Reply(u32, Reply),
    Push(Push),
    LoggedIn(UserId),
    Granted(Box<Grant>),
    LoggedOut,
    NotifyDrained,
    Close,
}

/// Milliseconds for which a session outlives its connection.
pub const GRACE: u64 = 300_000;

pub fn rules() -> Rules {
    Rules { grace: GRACE, node: "n1".into(), ..Rules::default() }
}

impl Harness {
    /// A server where `users` (ids from 1) have accounts with the password `secret`.
    pub fn new(rules: Rules, users: &[&str]) -> Harness {
        Harness {
            logic: Logic::new(rules, 7),
            now: Now { monotonic: 1_000, wall: UnixMillis(1_700_000_000_000) },
            effects: Effects::new(2),
            writes: VecDeque::new(),
            reads: VecDeque::new(),
            issued: Vec::new(),
            unwanted: Vec::new(),
            revoked: Vec::new(),
            device: None,
            passwords: VecDeque::new(),
            hashing_stands: false,
            networks: Vec::new(),
            published: Vec::new(),
            subscribed: BTreeSet::new(),
            unsubscribed: Vec::new(),
            searches: Vec::new(),
            alerts: Vec::new(),
            stalled: false,
            is_away: false,
            has_stale_tokens: false,
            next_epoch: 1,
            password: "secret".into(),
            ended: Vec::new(),
            claimed: Vec::new(),
            ends: BTreeMap::new(),
            online: Vec::new(),
            changed_by: None,
            elsewhere: Vec::new(),
            elsewhere_shows: Status::default(),
            undrained: Vec::new(),
            orders: BTreeMap::new(),
            users: users.iter().map(|&name| name.into()).collect(),
            friends: Vec::new(),
            conversations: Vec::new(),
            tokens: 0,
            next_slot: 0,
            next_request: 0,
        }
    }

    pub fn befriend(&mut self, a: u32, b: u32) {
        self.friends.extend([(UserId(a), UserId(b)), (UserId(b), UserId(a))]);
    }

    pub fn group(&mut self, members: &[u32]) -> ConversationId {
        self.conversation(ConversationKind::Group, members.iter().map(|&id| UserId(id)).collect())
    }

    fn conversation(&mut self, kind: ConversationKind, members: Vec<UserId>) -> ConversationId {
        let cursors = members.iter().map(|&member| (member, (Seq(0), Seq(0)))).collect();
        let (joined, left, messages) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        self.conversations.push(Conversation { kind, members, joined, left, messages, cursors });
        ConversationId(self.conversations.len() as u32)
    }

    /// The channels that the node stopped listening to since the last call.
    pub fn unsubscribed(&mut self) -> Vec<Channel> {
        std::mem::take(&mut self.unsubscribed)
    }

    pub fn open(&mut self) -> ConnId {
        self.open_as(Dialect::Tlv)
    }

    pub fn open_as(&mut self, dialect: Dialect) -> ConnId {
        self.open_from([127, 0, 0, 1].into(), dialect)
    }

    pub fn open_from(&mut self, peer: IpAddr, dialect: Dialect) -> ConnId {
        let conn = ConnId::new(self.next_slot % 2, self.next_slot, 1);
        self.next_slot += 1;
        self.input(Input::Opened { conn, peer, dialect });
        conn
    }

    pub fn input(&mut self, input: Input) {
        self.logic.handle_input(self.now, input, &mut self.effects);
        self.collect();
    }

    /// Passes an input from the bus on.
    pub fn hear(&mut self, input: BusInput) {
        self.logic.handle_bus(self.now, input, &mut self.effects);
        self.collect();
    }

    /// Sends a request and returns its number.
    pub fn ask(&mut self, conn: ConnId, command: Command) -> u32 {
        self.next_request += 1;
        let request = self.next_request;
        self.input(Input::Request { conn, request, command });
        request
    }

    /// Sends a request, settles and returns its reply.
    pub fn get(&mut self, conn: ConnId, command: Command) -> Reply {
        let request = self.ask(conn, command);
        self.settle();
        self.reply(conn, request).expect("every request is answered")
    }

    pub fn reply(&self, conn: ConnId, request: u32) -> Option<Reply> {
        let mut replies = self.orders.get(&conn).into_iter().flatten().filter_map(|seen| match seen {
            Seen::Reply(number, reply) if *number == request => Some(reply.clone()),
            _ => None,
        });
        let reply = replies.next();
        assert!(replies.next().is_none(), "a request has one reply");
        reply
    }

    pub fn login_command(name: &str) -> Command {
        let credentials = Credentials::Password { who: Who::Name(name.into()), password: "secret".into() };
        Command::Session(session::Request::Login(session::Login {
            device: Some("phone".into()),
            ..session::Login::new(credentials)
        }))
    }

    /// Opens a connection and logs in on it.
    pub fn login(&mut self, name: &str) -> ConnId {
        let conn = self.open();
        assert!(matches!(
            self.get(conn, Harness::login_command(name)),
            Reply::Session(session::Reply::LoggedIn(_))
        ));
        conn
    }

    pub fn text(target: Target, content: &str) -> Command {
        Command::Message(message::Request::Send(Send::text(target, content)))
    }

    /// What `conn` was sent since the last call.
    pub fn take(&mut self, conn: ConnId) -> Vec<Seen> {
        self.orders.get_mut(&conn).map(std::mem::take).unwrap_or_default()
    }

    /// The texts of the messages that `conn` was sent since the last call.
    pub fn texts(&mut self, conn: ConnId) -> Vec<String> {
        let seen = self.take(conn).into_iter();
        seen.filter_map(|seen| match seen {
            Seen::Push(Push::Message(message::Push::New(message))) => Some(message.content.to_string()),
            _ => None,
        })
        .collect()
    }

    pub fn advance(&mut self, ms: u64) {
        self.now.monotonic += ms;
        self.now.wall.0 += ms;
        if self.logic.next_timeout().is_some_and(|due| due <= self.now.monotonic) {
            self.logic.handle_timeout(self.now, &mut self.effects);
        }
        self.collect();
    }

    /// Answers everything that waits for storage, passwords, sockets or the bus.
    pub fn settle(&mut self) {
        while self.step() {}
    }

    /// Answers one thing that waits; whether there was one.
    pub fn step(&mut self) -> bool {
        self.store_one() || self.find_one() || self.hear_one() || self.drain_one()
    }

    /// Takes steps until storage is asked for this.
    pub fn step_until(&mut self, is_sought: impl Fn(&Read) -> bool) {
        while !self.reads.iter().any(|(_, read)| is_sought(read)) {
            assert!(self.step(), "nothing is left to do, and it was not read");
        }
    }

    /// The bus is connected, and every lock is free.
    fn hear_one(&mut self) -> bool {
        if self.effects.bus.is_empty() {
            return false;
        }
        let input = match self.effects.bus.remove(0) {
            BusOrder::Subscribe { ticket, channels } => {
                self.subscribed.extend(channels);
                BusInput::Subscribed(ticket)
            }
            BusOrder::Unsubscribe(channels) => {
                self.subscribed.retain(|channel| !channels.contains(channel));
                self.unsubscribed.extend(channels);
                return true;
            }
            BusOrder::Publish { channel, hint } => {
                self.published.push((channel, hint));
                return true;
            }
            BusOrder::Lock { ticket, user } => BusInput::Locked { ticket, user, held: true },
            _ => return true,
        };
        self.logic.handle_bus(self.now, input, &mut self.effects);
        self.collect();
        true
    }

    fn drain_one(&mut self) -> bool {
        let Some(conn) = self.undrained.pop().filter(|_| !self.stalled) else { return false };
        self.input(Input::Drained { conn });
        true
    }

    /// Answers the next write, if one waits.
    pub fn store_one(&mut self) -> bool {
        let Some((ticket, write)) = self.writes.pop_front() else { return false };
        let written = if self.is_away { Written::Unavailable } else { self.write(write) };
        self.logic.handle_written(self.now, ticket, written, &mut self.effects);
        self.collect();
        true
    }

    /// Answers the next read, if one waits.
    pub fn find_one(&mut self) -> bool {
        let Some((ticket, read)) = self.reads.pop_front() else { return false };
        let found = self.find(read);
        self.logic.handle_found(self.now, ticket, found, &mut self.effects);
        self.collect();
        true
    }

    /// Answers a search.
    pub fn answer_search(&mut self, ticket: Ticket, found: logic::Found) {
        self.logic.handle_found(self.now, ticket, found, &mut self.effects);
        self.collect();
    }

    fn collect(&mut self) {
        for (index, orders) in self.effects.reactors.iter_mut().enumerate() {
            for order in orders.drain(..) {
                let mut see = |conn: ConnId, seen| {
                    assert_eq!(
                        conn.reactor(),
                        index,
                        "an order goes to the reactor that owns the connection"
                    );
                    self.orders.entry(conn).or_default().push(seen);
                };
                match order {
                    Order::Reply { conn, request, reply, .. } => see(conn, Seen::Reply(request, reply)),
                    Order::Welcome { conn, welcome } => see(conn, Seen::Welcome(welcome)),
                    Order::Granted { conn, grant } => see(conn, Seen::Granted(grant)),
                    Order::Push { conn, push } => see(conn, Seen::Push(push)),
                    Order::Deliver { message, to } => {
                        to.into_iter().for_each(|conn| {
                            see(conn, Seen::Push(Push::Message(message::Push::New(Arc::clone(&message)))));
                        });
                    }
                    Order::LoggedIn { conn, user } => see(conn, Seen::LoggedIn(user)),
                    Order::LoggedOut { conn } => see(conn, Seen::LoggedOut),
                    Order::NotifyDrained { conn } => {
                        see(conn, Seen::NotifyDrained);
                        self.undrained.push(conn);
                    }
                    Order::Close { conn, .. } => see(conn, Seen::Close),
                }
            }
        }
        self.writes.extend(self.effects.writes.drain(..));
        for Query { ticket, lane, requester, due, read } in self.effects.reads.drain(..) {
            self.issued.push((lane, requester, due));
            self.reads.push_back((ticket, read));
        }
        self.unwanted.append(&mut self.effects.unwanted);
        self.searches.append(&mut self.effects.searches);
        self.alerts.append(&mut self.effects.alerts);
        self.passwords.extend(self.effects.passwords.drain(..));
        assert!(self.passwords.len() <= 1, "the password thread has one job at a time");
        while !self.hashing_stands && self.hash_one() {}
    }

    /// Does the job of the password thread, if it has one.
    pub fn hash_one(&mut self) -> bool {
        let Some((ticket, job)) = self.passwords.pop_front() else { return false };
        let result = match job {
            PasswordJob::Verify { hash, password } => {
                PasswordResult::Verified(hash.is_some_and(|hash| hash == password))
            }
            PasswordJob::Hash { password } => PasswordResult::Hashed(password),
        };
        self.logic.handle_password(self.now, ticket, result, &mut self.effects);
        self.collect();
        true
    }
}

/// The error of a reply.
pub fn errno(reply: &Reply) -> Errno {
    match reply {
        Reply::Refused(refusal) => refusal.errno,
        _ => Errno::Ok,
    }
}
