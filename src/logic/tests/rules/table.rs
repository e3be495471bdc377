//! A table to try the rules on: logic, a storage of plain vectors, and everything that was ordered, per connection.
//!
//! Nothing is answered by itself: [`Table::settle`] answers all that waits, so a test can look in between.

use logic::contract::message::Stored;
use logic::contract::session::LoginView;
use logic::contract::timeline::{Standing, Unread, UnreadPage};
use logic::contract::{self, Denial, Epoch, Token};
use logic::{
    BusInput, BusOrder, ConnId, Effects, Found, Input, Logic, Now, Order, PasswordJob, PasswordResult, Read,
    Rules, Ticket, Write, Written,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use wire::account::Who;
use wire::group::{Group, Role};
use wire::legacy::Welcome;
use wire::message::Send;
use wire::{
    Command, ConversationId, ConversationKind, Credentials, Dialect, Errno, Message, Push, Reply, Seq,
    Target, UnixMillis, UserId,
};
use wire::{message, session};

pub struct Table {
    pub logic: Logic,
    pub now: Now,
    pub fx: Effects,
    pub writes: VecDeque<(Ticket, Write)>,
    pub reads: VecDeque<(Ticket, Read)>,
    pub revoked: Vec<[u8; 32]>,
    /// Whether the sockets take nothing; else `settle` writes everything out.
    pub stalled: bool,
    /// Whether storage cannot be reached.
    pub is_away: bool,
    /// The number of the session that is claimed next, where there are several nodes.
    pub next_epoch: u32,
    /// Who is online at another node.
    pub elsewhere: Vec<UserId>,
    undrained: Vec<ConnId>,
    orders: BTreeMap<ConnId, Vec<Seen>>,
    users: Vec<Arc<str>>,
    friends: Vec<(UserId, UserId)>,
    pub conversations: Vec<Conversation>,
    tokens: u8,
    next_slot: usize,
    next_request: u32,
}

pub struct Conversation {
    pub kind: ConversationKind,
    pub members: Vec<UserId>,
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
    LoggedOut,
    NotifyDrained,
    Close,
}

/// Milliseconds for which a session outlives its connection.
pub const GRACE: u64 = 300_000;

pub fn rules() -> Rules {
    Rules { grace: GRACE, node: "n1".into(), ..Rules::default() }
}

impl Table {
    /// A server where `users` (ids from 1) have accounts with the password `secret`.
    pub fn new(rules: Rules, users: &[&str]) -> Table {
        Table {
            logic: Logic::new(rules, 7),
            now: Now { monotonic: 1_000, wall: UnixMillis(1_700_000_000_000) },
            fx: Effects::new(2),
            writes: VecDeque::new(),
            reads: VecDeque::new(),
            revoked: Vec::new(),
            stalled: false,
            is_away: false,
            next_epoch: 1,
            elsewhere: Vec::new(),
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
        self.conversations.push(Conversation { kind, members, messages: Vec::new(), cursors });
        ConversationId(self.conversations.len() as u32)
    }

    pub fn open(&mut self) -> ConnId {
        self.open_as(Dialect::Tlv)
    }

    pub fn open_as(&mut self, dialect: Dialect) -> ConnId {
        let conn = ConnId::new(self.next_slot % 2, self.next_slot, 1);
        self.next_slot += 1;
        self.input(Input::Opened { conn, peer: [127, 0, 0, 1].into(), dialect });
        conn
    }

    pub fn input(&mut self, input: Input) {
        self.logic.handle_input(self.now, input, &mut self.fx);
        self.collect();
    }

    /// Sends a request, and gives its number.
    pub fn ask(&mut self, conn: ConnId, command: Command) -> u32 {
        self.next_request += 1;
        let request = self.next_request;
        self.input(Input::Request { conn, request, command });
        request
    }

    /// Sends a request, settles, and gives its reply.
    pub fn get(&mut self, conn: ConnId, command: Command) -> Reply {
        let request = self.ask(conn, command);
        self.settle();
        self.reply(conn, request).expect("every request is answered")
    }

    pub fn reply(&self, conn: ConnId, request: u32) -> Option<Reply> {
        let mut replies = self.orders[&conn].iter().filter_map(|seen| match seen {
            Seen::Reply(number, reply) if *number == request => Some(reply.clone()),
            _ => None,
        });
        let reply = replies.next();
        assert!(replies.next().is_none(), "one reply a request");
        reply
    }

    pub fn login_command(name: &str) -> Command {
        let credentials = Credentials::Password { who: Who::Name(name.into()), password: "secret".into() };
        Command::Session(session::Request::Login(session::Login {
            credentials,
            device: Some("phone".into()),
        }))
    }

    /// Opens a connection and logs in on it.
    pub fn login(&mut self, name: &str) -> ConnId {
        let conn = self.open();
        assert!(matches!(
            self.get(conn, Table::login_command(name)),
            Reply::Session(session::Reply::LoggedIn(_))
        ));
        conn
    }

    pub fn text(target: Target, content: &str) -> Command {
        Command::Message(message::Request::Send(Send {
            target,
            content: content.into(),
            content_type: "text".into(),
            cid: None,
        }))
    }

    /// All that `conn` was sent since this was asked before.
    pub fn take(&mut self, conn: ConnId) -> Vec<Seen> {
        self.orders.get_mut(&conn).map(std::mem::take).unwrap_or_default()
    }

    /// The texts of the messages among them.
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
            self.logic.handle_timeout(self.now, &mut self.fx);
        }
        self.collect();
    }

    /// Answers everything that waits for storage, passwords, sockets or the bus.
    pub fn settle(&mut self) {
        while self.step() {}
    }

    /// Answers one of these; whether there was one.
    pub fn step(&mut self) -> bool {
        self.store_one() || self.find_one() || self.hear_one() || self.drain_one()
    }

    /// The bus is there, and lets everybody in.
    fn hear_one(&mut self) -> bool {
        if self.fx.bus.is_empty() {
            return false;
        }
        let input = match self.fx.bus.remove(0) {
            BusOrder::Subscribe { ticket, .. } => BusInput::Subscribed(ticket),
            BusOrder::Lock { ticket, user } => BusInput::Locked { ticket, user, held: true },
            _ => return true,
        };
        self.logic.handle_bus(self.now, input, &mut self.fx);
        self.collect();
        true
    }

    fn drain_one(&mut self) -> bool {
        let Some(conn) = self.undrained.pop().filter(|_| !self.stalled) else { return false };
        self.input(Input::Drained { conn });
        true
    }

    /// Carries out the next write, if one waits.
    pub fn store_one(&mut self) -> bool {
        let Some((ticket, write)) = self.writes.pop_front() else { return false };
        let written = if self.is_away { Written::Unavailable } else { self.write(write) };
        self.logic.handle_written(self.now, ticket, written, &mut self.fx);
        self.collect();
        true
    }

    /// Answers the next read, if one waits.
    pub fn find_one(&mut self) -> bool {
        let Some((ticket, read)) = self.reads.pop_front() else { return false };
        let found = self.find(read);
        self.logic.handle_found(self.now, ticket, found, &mut self.fx);
        self.collect();
        true
    }

    fn collect(&mut self) {
        for (index, orders) in self.fx.reactors.iter_mut().enumerate() {
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
        self.writes.extend(self.fx.writes.drain(..));
        self.reads.extend(self.fx.reads.drain(..));
        for (ticket, job) in std::mem::take(&mut self.fx.passwords) {
            let result = match job {
                PasswordJob::Verify { hash, password } => {
                    PasswordResult::Verified(hash.is_some_and(|hash| hash == password))
                }
                PasswordJob::Hash { password } => PasswordResult::Hashed(password),
            };
            self.logic.handle_password(self.now, ticket, result, &mut self.fx);
            self.collect();
        }
    }

    fn token(&mut self, user: UserId) -> Written {
        self.tokens += 1;
        let text = format!("{}:{}", user.0, self.tokens).into();
        let token = Token { text, hash: [self.tokens; 32], expires: UnixMillis(0) };
        Written::Session(contract::session::Written::TokenReady {
            user,
            name: Arc::clone(&self.users[user.0 as usize - 1]),
            token,
        })
    }

    fn write(&mut self, write: Write) -> Written {
        match write {
            Write::Message(contract::message::Write::Append(append)) => {
                let at = match append.target {
                    Target::Conversation(id) => id.0 as usize - 1,
                    Target::User(peer) => {
                        if peer.0 as usize > self.users.len() {
                            return Written::Denied(Denial::NotFound);
                        }
                        let pair = [append.sender.min(peer), append.sender.max(peer)];
                        let direct =
                            |c: &Conversation| c.kind == ConversationKind::Direct && c.members == pair;
                        match self.conversations.iter().position(direct) {
                            Some(at) => at,
                            None => self.conversation(ConversationKind::Direct, pair.to_vec()).0 as usize - 1,
                        }
                    }
                    Target::Name(_) => return Written::Denied(Denial::NotFound),
                };
                let conversation = &mut self.conversations[at];
                if !conversation.members.contains(&append.sender) {
                    return Written::Denied(Denial::Forbidden);
                }
                let stored =
                    |m: &&Arc<Message>| m.from == append.sender && m.cid.as_ref() == Some(&append.cid);
                if let Some(first) = conversation.messages.iter().find(stored) {
                    let (conversation, seq, time) = (first.conversation, first.seq, first.time);
                    let first = Stored { conversation, seq, time };
                    return Written::Message(contract::message::Written::Duplicate(first));
                }
                let (id, seq) = (ConversationId(at as u32 + 1), Seq(conversation.messages.len() as u64 + 1));
                let message = append
                    .into_message(conversation.kind, Stored { conversation: id, seq, time: self.now.wall });
                conversation.messages.push(Arc::clone(&message));
                let members = conversation.members.as_slice().into();
                Written::Message(contract::message::Written::Appended { message, members, member_version: 1 })
            }
            Write::Timeline(contract::timeline::Write::MoveCursors(moves)) => {
                for m in moves {
                    let cursors = &mut self.conversations[m.conversation.0 as usize - 1].cursors;
                    let cursor = cursors.get_mut(&m.user).expect("a member");
                    *cursor = m.step.apply(*cursor);
                }
                Written::Timeline(contract::timeline::Written::CursorsMoved { left_out: Vec::new() })
            }
            Write::Session(contract::session::Write::CreateToken { user, .. }) => self.token(user),
            Write::Session(contract::session::Write::Claim { .. }) => {
                self.next_epoch += 1;
                Written::Session(contract::session::Written::Claimed {
                    epoch: Epoch(self.next_epoch - 1),
                    before: None,
                })
            }
            Write::Session(contract::session::Write::ExtendToken { token }) => match token.split_once(':') {
                Some((user, number)) => {
                    let user = UserId(user.parse().expect("a number"));
                    let hash = [number.parse().expect("a number"); 32];
                    let name = Arc::clone(&self.users[user.0 as usize - 1]);
                    Written::Session(contract::session::Written::TokenReady {
                        user,
                        name,
                        token: Token { text: token, hash, expires: UnixMillis(0) },
                    })
                }
                None => Written::Denied(Denial::TokenInvalid),
            },
            Write::Session(contract::session::Write::RevokeToken(hash)) => {
                self.revoked.push(hash);
                Written::Done
            }
            Write::Account(contract::account::Write::Create { name, .. }) => {
                self.users.push((&*name).into());
                let user = UserId(self.users.len() as u32);
                let Written::Session(contract::session::Written::TokenReady { token, .. }) = self.token(user)
                else {
                    unreachable!()
                };
                Written::Account(contract::account::Written::Created { user, token })
            }
            _ => Written::Done,
        }
    }

    fn find(&mut self, read: Read) -> Found {
        match read {
            Read::Account(contract::account::Read::Password(who)) => {
                Found::Account(contract::account::Found::Password(
                    self.users
                        .iter()
                        .zip(1..)
                        .find(|(name, id)| match &who {
                            Who::Id(user) => user.0 == *id,
                            Who::Name(text) => **text == ***name,
                        })
                        .map(|(_, id)| contract::account::Password {
                            user: UserId(id),
                            hash: "secret".into(),
                        }),
                ))
            }
            Read::Session(contract::session::Read::LoginView { user }) => {
                let unread = UnreadPage { rows: self.unread(user), more: false };
                let friend_ids = self.friend_ids(user);
                let groups = self.groups(user);
                Found::Session(contract::session::Found::LoginView(Box::new(LoginView {
                    friend_ids,
                    groups,
                    unread,
                    ..LoginView::default()
                })))
            }
            Read::Timeline(contract::timeline::Read::Unread { user, after }) => {
                let rows = self.unread(user).into_iter().filter(|row| row.conversation > after).collect();
                Found::Timeline(contract::timeline::Found::Unread(UnreadPage { rows, more: false }))
            }
            Read::Contact(contract::contact::Read::FriendIds { user }) => {
                Found::Contact(contract::contact::Found::FriendIds(self.friend_ids(user)))
            }
            Read::Timeline(contract::timeline::Read::Standing { user, conversation }) => {
                let id = conversation.0 as usize - 1;
                Found::Timeline(contract::timeline::Found::Standing(
                    self.conversations.get(id).filter(|c| c.members.contains(&user)).map(|c| Standing {
                        kind: c.kind,
                        peer: peer(c, user),
                        last: Seq(c.messages.len() as u64),
                        delivered: c.cursors[&user].0,
                        read: c.cursors[&user].1,
                    }),
                ))
            }
            Read::Timeline(contract::timeline::Read::Feed { conversation, after, limit, .. }) => {
                let all = &self.conversations[conversation.0 as usize - 1].messages[after.0 as usize..];
                let messages: Vec<_> = all.iter().take(limit as usize).cloned().collect();
                let more = messages.len() < all.len();
                Found::Timeline(contract::timeline::Found::Feed { messages, more })
            }
            Read::Group(contract::group::Read::Members { conversation, .. }) => {
                let members = &self.conversations[conversation.0 as usize - 1].members;
                let row = |&user: &UserId| contract::group::Member {
                    user,
                    name: (&*self.users[user.0 as usize - 1]).into(),
                    role: Role::Member,
                };
                Found::Group(contract::group::Found::Members {
                    members: members.iter().map(row).collect(),
                    more: false,
                })
            }
            Read::Group(contract::group::Read::GroupIds { user }) => {
                Found::Group(contract::group::Found::GroupIds(
                    self.groups(user).into_iter().map(|group| group.conversation).collect(),
                ))
            }
            Read::Presence(contract::presence::Read::Online { users, .. }) => {
                Found::Presence(contract::presence::Found::Online(
                    users.into_iter().filter(|user| self.elsewhere.contains(user)).collect(),
                ))
            }
            _ => Found::Unavailable,
        }
    }

    fn groups(&self, user: UserId) -> Vec<Group> {
        let is_theirs = |c: &Conversation| c.kind == ConversationKind::Group && c.members.contains(&user);
        let groups = self.conversations.iter().zip(1..).filter(|(c, _)| is_theirs(c));
        let (name, desc, role) = (Box::<str>::from("group"), Box::<str>::from(""), Role::Member);
        let group =
            |id| Group { conversation: ConversationId(id), name: name.clone(), desc: desc.clone(), role };
        groups.map(|(_, id)| group(id)).collect()
    }

    fn friend_ids(&self, user: UserId) -> Vec<UserId> {
        self.friends.iter().filter(|(a, _)| *a == user).map(|(_, b)| *b).collect()
    }

    fn unread(&self, user: UserId) -> Vec<Unread> {
        let rows = self.conversations.iter().zip(1..).filter_map(|(c, id)| {
            let (delivered, last) = (c.cursors.get(&user)?.0, Seq(c.messages.len() as u64));
            let conversation = ConversationId(id);
            (delivered < last).then(|| Unread { conversation, peer: peer(c, user), delivered, last })
        });
        rows.collect()
    }
}

fn peer(conversation: &Conversation, user: UserId) -> Option<UserId> {
    match conversation.kind {
        ConversationKind::Direct => conversation.members.iter().copied().find(|&member| member != user),
        ConversationKind::Group => None,
    }
}

/// The error of a reply.
pub fn errno(reply: &Reply) -> Errno {
    match reply {
        Reply::Refused(refusal) => refusal.errno,
        _ => Errno::Ok,
    }
}
