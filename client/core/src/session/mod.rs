//! The session: everything the client decides, as a pure state machine.
//!
//! # How to drive it
//!
//! A session does no I/O. Whoever drives it owns a clock (milliseconds that never go back) and at most one connection:
//!
//! 1. Call a `handle_*` method or a command.
//! 2. Then, until they have nothing more: do what [`Session::poll_link`] says, write what
//!    [`Session::poll_transmit`] gives to the open connection, and pass on [`Session::poll_event`].
//! 3. Sleep until bytes come or [`Session::next_timeout`], then call [`Session::handle_timeout`].
//!
//! On [`LinkAction::Connect`] open a connection and answer with [`Session::handle_connected`] or
//! [`Session::handle_disconnected`]. On [`LinkAction::Close`] drop the connection, also one that is still being made:
//! nothing about it may be reported any more. Bytes taken by `poll_transmit` belong to the connection that is open
//! then; they may be lost with it, the session sends again what matters.
//!
//! # What it holds
//!
//! ```text
//!   Idle --command--> Connecting --connected--> Open: Anonymous -> LoggingIn -> Online -> LoggingOut
//!    ^                 ^      |                   |
//!    |                 |      +------ lost -------+
//!    +--- nobody ------|--------------------------+
//!                   Waiting <-- an account logged in: backoff with jitter, then by token again
//! ```
//!
//! Conversations, the outbox and the token outlive connections; see [`crate::Snapshot`].
//!
//! # Memory
//!
//! A driver that [keeps a memory](Options::keeps_memory) writes down what [`Session::poll_changes`] gives, with the events of
//! the same turn, *before* it writes what `poll_transmit` gave: so no message is acknowledged that is not kept, and none is
//! sent whose `cid` is not. When another account logs in, [`Session::poll_recall`] asks for what is remembered of it,
//! and nothing that came after the login's reply is looked at until [`Session::handle_recalled`].

mod account;
mod inbound;
mod memory;
mod messages;
mod outbound;
mod sync;

use crate::backoff::Backoff;
use crate::cursors::Cursors;
use crate::event::{Event, Failure, LogoutReason, Lost};
use crate::outbox::{LocalId, Outbox};
use crate::random::Random;
use crate::requests::{Purpose, RequestId, Requests};
use crate::route::Route;
use crate::schedule::Schedule;
use crate::timeline::Timeline;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use wire::session::LoggedIn;
use wire::{Command, ConversationId, Credentials, Seq, UnixMillis, UserId};

/// How long a connection may take to be made, milliseconds.
pub const CONNECT_MS: u64 = 10_000;
/// The same for a node that the server told of, which may be out of reach from here.
pub const NODE_CONNECT_MS: u64 = 3_000;
/// How often the server is asked for its nodes, milliseconds.
pub const NODES_MS: u64 = 300_000;
/// How long a reply may take, milliseconds. The server answers or refuses within 2 s; the rest is the network.
pub const REPLY_MS: u64 = 15_000;
/// How long a logout waits for its reply, milliseconds: the user wants to be gone.
pub const LOGOUT_MS: u64 = 2_000;
/// A sign of life is sent this often, milliseconds.
pub const HEARTBEAT_MS: u64 = 30_000;
/// After this long without a byte the connection counts as dead, milliseconds: longer than the server's own 70 s.
pub const SILENCE_MS: u64 = 75_000;
/// How long the server may still answer after it said that it goes away, milliseconds.
pub const LEAVING_MS: u64 = 2_000;
/// A connection that was logged in this long ends the series of failures, milliseconds.
pub const STEADY_MS: u64 = 5_000;

/// What a session is made with.
#[derive(Clone, Debug)]
pub struct Options {
    /// All randomness follows from it. Must be new for every session that is ever made, restored ones included: the
    /// `cid`s of messages are made from it.
    pub seed: u64,
    /// What to call this device towards the server, at most 64 bytes.
    pub device: Option<Box<str>>,
    /// Messages in flight to one target at most. With 1, messages are stored in the order in which they were written
    /// whatever the server refuses; more are faster, and a refusal may then let later ones in flight overtake.
    pub per_target: usize,
    /// Messages in flight at most.
    pub window: usize,
    /// Whether the driver keeps a memory: it then answers [`Session::poll_recall`] and takes [`Session::poll_changes`].
    pub keeps_memory: bool,
}

impl Options {
    /// Order before speed; no device name, no memory.
    pub fn new(seed: u64) -> Options {
        Options { seed, device: None, per_target: 1, window: 64, keeps_memory: false }
    }
}

/// What to do with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkAction {
    Connect,
    Close,
}

/// A client's session with the server. See the module's page for how to drive it.
pub struct Session {
    options: Options,
    random: Random,
    backoff: Backoff,
    intent: Intent,
    /// Whose conversations and outbox these are.
    account: Option<UserId>,
    token: Option<Box<str>>,
    conversations: BTreeMap<ConversationId, Conversation>,
    /// When to report cursors.
    reports: Schedule<ConversationId>,
    /// When to ask for what is missing.
    fills: Schedule<ConversationId>,
    fills_in_flight: usize,
    catalogue: Catalogue,
    outbox: Outbox,
    last_request: u64,
    /// Requests that need no login and wait for a connection.
    greetings: VecDeque<(RequestId, Command)>,
    link: Link,
    route: Route,
    /// Where the connection that was asked for goes, if not to the usual address.
    other_node: Option<Box<str>>,
    /// The node of the present login.
    node: Box<str>,
    /// When to ask for nodes.
    nodes_at: u64,
    requests: Requests,
    /// Not before this the login is tried (again) on an open connection.
    login_at: u64,
    beats: u32,
    /// The beginning of a frame whose end has not come.
    partial: Vec<u8>,
    out: Vec<u8>,
    actions: VecDeque<LinkAction>,
    events: VecDeque<Event>,
    memory: Memory,
}

// Passwords and tokens never reach a log, nor do bytes that may hold them.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("account", &self.account)
            .field("link", &self.link)
            .field("conversations", &self.conversations)
            .field("outbox", &self.outbox)
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}

/// What the session wants to be.
enum Intent {
    Nobody,
    /// Logged in by a password: one attempt.
    Password(Credentials),
    /// Logged in by this token, whenever there is a connection.
    Token(Box<str>),
}

#[derive(Debug)]
enum Link {
    Idle,
    /// Between two attempts.
    Waiting {
        until: u64,
    },
    Connecting {
        deadline: u64,
    },
    Open(Open),
}

#[derive(Debug)]
struct Open {
    phase: Phase,
    /// When the last byte came.
    heard: u64,
    next_beat: u64,
    /// The server goes away: when to close at the latest, and when to come back at the earliest.
    leaving: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Anonymous,
    LoggingIn,
    Online { since: u64 },
    LoggingOut,
}

#[derive(Debug, Default)]
struct Conversation {
    timeline: Timeline,
    cursors: Cursors,
    /// A HISTORY request for the gap is out.
    filling: bool,
    /// HISTORY answers in a row that brought nothing.
    empty_fills: u32,
    /// HISTORY is not asked before this.
    fill_not_before: u64,
}

/// What the driver's memory is to learn, where it keeps one.
#[derive(Default)]
struct Memory {
    /// A login of another account, which waits for what is remembered of that account.
    recalling: Option<Box<LoggedIn>>,
    /// The account, its token or the next number.
    account_changed: bool,
    conversations: BTreeSet<ConversationId>,
    unsent: BTreeSet<LocalId>,
}

/// Reading the conversations page by page.
#[derive(Debug, Default)]
enum Catalogue {
    #[default]
    Complete,
    /// The page below this is to be asked for at this time.
    Due(u64, Option<(UnixMillis, ConversationId)>),
    /// It has been.
    Asked(Option<(UnixMillis, ConversationId)>),
}

// ---- making one, and looking at it ---------------------------------------------------------------------------------

impl Session {
    /// A session of nobody, without a connection.
    pub fn new(options: Options) -> Session {
        let mut random = Random::new(options.seed);
        let outbox = Outbox::new(random.next_u64(), 1, options.per_target);
        Session {
            options,
            random,
            backoff: Backoff::default(),
            intent: Intent::Nobody,
            account: None,
            token: None,
            conversations: BTreeMap::new(),
            reports: Schedule::default(),
            fills: Schedule::default(),
            fills_in_flight: 0,
            catalogue: Catalogue::Complete,
            outbox,
            last_request: 0,
            greetings: VecDeque::new(),
            link: Link::Idle,
            route: Route::default(),
            other_node: None,
            node: Box::default(),
            nodes_at: 0,
            requests: Requests::default(),
            login_at: 0,
            beats: 0,
            partial: Vec::new(),
            out: Vec::new(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
            memory: Memory::default(),
        }
    }

    /// The account whose conversations and outbox the session holds; it stays after a logout.
    pub fn account(&self) -> Option<UserId> {
        self.account
    }

    /// The token of the present login, to log in by in another life of the client.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Whether the server takes requests of the account now.
    pub fn is_online(&self) -> bool {
        self.online_since().is_some()
    }

    /// Whether the session wants a connection that it does not have.
    pub fn wants_connection(&self) -> bool {
        matches!(self.link, Link::Waiting { .. } | Link::Connecting { .. })
    }

    /// When the session will ask for a connection again.
    pub fn reconnect_at(&self) -> Option<u64> {
        match self.link {
            Link::Waiting { until } => Some(until),
            _ => None,
        }
    }

    /// Own messages that are not yet known to be stored.
    pub fn unsent(&self) -> usize {
        self.outbox.len()
    }

    /// Whether everything that the user asked for is done: no message waits, no request is unanswered.
    pub fn is_settled(&self) -> bool {
        self.outbox.is_empty() && self.greetings.is_empty() && self.requests.asked() == 0
    }

    /// The highest seq up to which a conversation was shown without a gap.
    pub fn cursor(&self, conversation: ConversationId) -> Option<Seq> {
        self.conversations.get(&conversation)?.timeline.cursor()
    }

    /// Whether somebody is logged in, logs in, or will again.
    fn has_login(&self) -> bool {
        !matches!(self.intent, Intent::Nobody)
    }

    fn online_since(&self) -> Option<u64> {
        match &self.link {
            Link::Open(Open { phase: Phase::Online { since }, .. }) => Some(*since),
            _ => None,
        }
    }

    /// Online, and the server still takes work.
    fn may_work(&self) -> bool {
        matches!(&self.link, Link::Open(Open { phase: Phase::Online { .. }, leaving: None, .. }))
    }
}

// ---- what happens to it --------------------------------------------------------------------------------------------

impl Session {
    /// The connection that was asked for stands.
    pub fn handle_connected(&mut self, now: u64) {
        if matches!(self.link, Link::Connecting { .. }) {
            let next_beat = now + HEARTBEAT_MS;
            self.link = Link::Open(Open { phase: Phase::Anonymous, heard: now, next_beat, leaving: None });
            self.events.push_back(Event::Connected);
            self.pump(now);
        }
    }

    /// The connection is lost, or could not be made.
    pub fn handle_disconnected(&mut self, now: u64, why: Lost) {
        if matches!(self.link, Link::Connecting { .. } | Link::Open(_)) {
            self.lose(now, why);
        }
    }

    /// Time has passed; to be called at [`Session::next_timeout`] or whenever it suits.
    pub fn handle_timeout(&mut self, now: u64) {
        match &self.link {
            Link::Idle => {}
            Link::Waiting { until } => {
                if *until <= now {
                    self.connect_now(now);
                }
            }
            Link::Connecting { deadline } => {
                if *deadline <= now {
                    let patience = if self.route.is_away() { NODE_CONNECT_MS } else { CONNECT_MS };
                    let sentence = format!("no answer within {} seconds", patience / 1000);
                    self.drop_link(now, Lost::Unreachable(sentence));
                }
            }
            Link::Open(open) => self.handle_open_timeout(now, open.heard, open.leaving),
        }
    }

    fn handle_open_timeout(&mut self, now: u64, heard: u64, leaving: Option<(u64, u64)>) {
        if now >= heard + SILENCE_MS {
            return self.drop_link(now, Lost::Silent);
        }
        if leaving.is_some_and(|(close_at, _)| close_at <= now) {
            return self.drop_link(now, Lost::GoingAway);
        }
        while let Some(purpose) = self.requests.pop_overdue(now) {
            self.handle_no_reply(now, purpose);
            if !matches!(self.link, Link::Open(_)) {
                return;
            }
        }
        if let Link::Open(open) = &self.link
            && open.next_beat <= now
        {
            self.beat(now);
        }
        self.outbox.handle_timeout(now);
        self.pump(now);
    }

    fn handle_no_reply(&mut self, now: u64, purpose: Purpose) {
        match purpose {
            Purpose::Asked(request) => {
                self.events.push_back(Event::Failed { request, failure: Failure::TimedOut });
            }
            // A connection that leaves these unanswered is of no use, whatever else comes through it.
            Purpose::Login | Purpose::Send(_) => self.drop_link(now, Lost::NoAnswer),
            Purpose::Logout => self.end(LogoutReason::Asked),
            Purpose::Fill(conversation) => self.fill_failed(now, conversation, 0),
            Purpose::Catalogue => self.catalogue_failed(now, 0),
            // Silence as such is judged by every byte, not by this one.
            Purpose::Heartbeat => {}
            // What was known goes on being tried.
            Purpose::Nodes => {}
        }
    }

    /// When [`Session::handle_timeout`] is to be called next, milliseconds; `None`: only something new changes anything.
    pub fn next_timeout(&self) -> Option<u64> {
        let open = match &self.link {
            Link::Idle => return None,
            Link::Waiting { until } => return Some(*until),
            Link::Connecting { deadline } => return Some(*deadline),
            Link::Open(open) => open,
        };
        let will_login = open.phase == Phase::Anonymous && open.leaving.is_none();
        let login_at = (will_login && !matches!(self.intent, Intent::Nobody)).then_some(self.login_at);
        let working = self.may_work();
        let of_work = |at: Option<u64>| at.filter(|_| working);
        [
            Some(open.heard + SILENCE_MS),
            Some(open.next_beat),
            open.leaving.map(|(close_at, _)| close_at),
            login_at,
            self.requests.next_deadline(),
            of_work(self.reports.next()),
            of_work(self.fills.next().filter(|_| self.fills_in_flight < sync::FILLS_MAX)),
            of_work(self.catalogue_due()),
            of_work(self.outbox.next_retry()),
            of_work(Some(self.nodes_at)),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

// ---- what it wants -------------------------------------------------------------------------------------------------

impl Session {
    /// Where the connection that was asked for shall go, `host:port`; `None`: to the usual address.
    pub fn take_other_node(&mut self) -> Option<Box<str>> {
        self.other_node.take()
    }

    /// What to do with the connection next.
    pub fn poll_link(&mut self) -> Option<LinkAction> {
        self.actions.pop_front()
    }

    /// Appends to `out` what is to be written to the open connection; `false` where there is nothing.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        let some = !self.out.is_empty();
        out.append(&mut self.out);
        some
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
