//! [`Session`]: the state of the client, and the contract with the code that drives it.
//!
//! # How to drive it
//!
//! A session does no I/O. Its driver owns a clock (milliseconds that never go back) and at most one connection:
//!
//! 1. Call a `handle_*` method or a command.
//! 2. Then, until nothing is left: do what [`Session::poll_connection`] asks for, write the bytes of
//!    [`Session::poll_transmit`] to the open connection, and pass on the events of [`Session::poll_event`].
//! 3. Sleep until bytes arrive or until [`Session::next_timeout`], then call [`Session::handle_timeout`].
//!
//! On [`ConnectionAction::Connect`] open a connection and answer with [`Session::handle_connected`] or
//! [`Session::handle_disconnected`]. On [`ConnectionAction::Close`] drop the connection, even one that is still being
//! established, and report nothing more about it. Bytes taken from `poll_transmit` belong to the connection that is
//! open at that moment; if they are lost with it, the session sends again what matters.
//!
//! # States
//!
//! ```text
//!   Idle --command--> Connecting --connected--> Open: Anonymous -> LoggingIn -> Online -> LoggingOut
//!    ^                 ^      |                   |
//!    |                 |      +------ lost -------+
//!    +-- no login -----|--------------------------+
//!                   Waiting <-- logged in before: backoff with jitter, then login by token
//! ```
//!
//! Conversations, the outbox and the token outlive connections; see [`crate::Snapshot`].
//!
//! # Persistence
//!
//! A driver with a store sets [`Options::persistent`]. It writes the result of [`Session::poll_changes`] and the events
//! of the same turn to the store *before* it writes the bytes of `poll_transmit` to the socket. So no message is
//! acknowledged that is not stored, and no message is sent whose `cid` is not stored. When another account logs in,
//! [`Session::poll_load`] asks for its stored state; the session handles nothing that arrived after the login reply
//! until [`Session::handle_loaded`] is called. While the server's history is compared, [`Session::poll_look`] asks for
//! stored messages.

use crate::backoff::Backoff;
use crate::comparison::Comparisons;
use crate::cursors::Cursors;
use crate::event::{Event, Failure};
use crate::outbox::{LocalId, Outbox};
use crate::random::Random;
use crate::reorder::ReorderBuffer;
use crate::requests::{Purpose, RequestId, Requests};
use crate::route::Route;
use crate::schedule::Schedule;
use crate::snapshot::Kept;
use crate::timing::{LOGOUT_MS, REPLY_MS};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use wire::account::Who;
use wire::session::{ClientKind, LoggedIn};
use wire::timeline::ConversationView;
use wire::{Command, ConversationId, Credentials, Seq, UnixMillis, UserId};

/// How a session is configured.
#[derive(Clone, Debug)]
pub struct Options {
    /// The source of all randomness. It must differ for every session ever created, restored ones included: the `cid`s
    /// of messages are derived from it.
    pub seed: u64,
    /// The name of this device, shown to the server and to the user's other devices; at most 64 bytes.
    pub device: Option<Box<str>>,
    /// What the client is.
    pub kind: ClientKind,
    /// The most messages in flight to one target. With 1, messages are stored in the order in which they were written,
    /// even after refusals; with more, a refusal may let later messages overtake.
    pub per_target: usize,
    /// The most messages in flight.
    pub window: usize,
    /// Whether the driver has a store: it then answers [`Session::poll_load`] and takes [`Session::poll_changes`].
    pub persistent: bool,
    /// Whether listed conversations show their last messages.
    pub with_last: bool,
}

impl Options {
    /// One message in flight per target, no device name, no store, no last messages, of the kind `other`.
    pub fn new(seed: u64) -> Options {
        Options {
            seed,
            device: None,
            kind: ClientKind::Other,
            per_target: 1,
            window: 64,
            persistent: false,
            with_last: false,
        }
    }
}

/// An action of the driver on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionAction {
    Connect,
    Close,
}

/// A client's session with the server. The documentation of the module [`crate::state`] says how to drive it.
pub struct Session {
    pub(crate) options: Options,
    pub(crate) random: Random,
    pub(crate) backoff: Backoff,
    pub(crate) intent: Intent,
    /// The account that the conversations and the outbox belong to.
    pub(crate) account: Option<UserId>,
    /// The server that the account is of, as far as it says so.
    pub(crate) server: Option<Box<str>>,
    /// The history that the conversations agree with.
    pub(crate) history: Option<Box<str>>,
    /// The conversations that are being compared with another history.
    pub(crate) comparisons: Comparisons,
    pub(crate) token: Option<Box<str>>,
    pub(crate) known: Option<KnownToken>,
    pub(crate) conversations: BTreeMap<ConversationId, Conversation>,
    /// When to send ACK or READ for a conversation.
    pub(crate) cursor_updates: Schedule<ConversationId>,
    /// When to ask for the missing messages of a conversation.
    pub(crate) backfills: Schedule<ConversationId>,
    pub(crate) backfills_in_flight: usize,
    /// The last TYPING.
    pub(crate) typed: Option<Typed>,
    pub(crate) listing: ListingState,
    pub(crate) outbox: Outbox,
    pub(crate) last_request: u64,
    /// Requests that need no login and wait for a connection.
    pub(crate) before_login: VecDeque<(RequestId, Command)>,
    pub(crate) connection: Connection,
    pub(crate) route: Route,
    /// The node that the requested connection goes to; `None`: the configured address.
    pub(crate) other_node: Option<Box<str>>,
    /// The name of the node of the present login.
    pub(crate) node: Box<str>,
    /// When to ask for the list of nodes.
    pub(crate) nodes_at: u64,
    pub(crate) requests: Requests,
    /// The earliest time of the next login on an open connection.
    pub(crate) login_at: u64,
    pub(crate) heartbeats: u32,
    /// The received part of an incomplete frame.
    pub(crate) partial: Vec<u8>,
    pub(crate) out: Vec<u8>,
    pub(crate) actions: VecDeque<ConnectionAction>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) unsaved: Unsaved,
}

// Passwords, tokens and bytes that may contain them must not reach a log.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("account", &self.account)
            .field("connection", &self.connection)
            .field("conversations", &self.conversations)
            .field("outbox", &self.outbox)
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}

/// The login that the session tries to establish or keep.
pub(crate) enum Intent {
    /// There is none.
    Nobody,
    /// A login by password: one attempt. `known`: an old token of the account.
    Password { credentials: Credentials, known: Option<Box<str>> },
    /// A login by this token on every connection.
    Token(Box<str>),
}

/// Where and when the server was told that the user is typing.
#[derive(Clone, Copy)]
pub(crate) struct Typed {
    pub(crate) conversation: ConversationId,
    pub(crate) at: u64,
}

/// The token of the last login, kept after a logout.
pub(crate) struct KnownToken {
    pub(crate) account: UserId,
    pub(crate) name: Box<str>,
    pub(crate) token: Box<str>,
}

impl KnownToken {
    pub(crate) fn is_of(&self, who: &Who) -> bool {
        match who {
            Who::Id(id) => *id == self.account,
            Who::Name(text) => wire::name::key(text) == wire::name::key(&self.name),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Connection {
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
pub(crate) struct Open {
    pub(crate) phase: Phase,
    /// When the last byte arrived.
    pub(crate) last_heard: u64,
    pub(crate) next_heartbeat: u64,
    /// Set once the server has announced that it will close the connection.
    pub(crate) leaving: Option<Leaving>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving {
    /// When to close at the latest.
    pub(crate) close_at: u64,
    /// When to reconnect at the earliest.
    pub(crate) return_at: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Anonymous,
    LoggingIn,
    Online { since: u64 },
    LoggingOut,
}

#[derive(Debug, Default)]
pub(crate) struct Conversation {
    pub(crate) buffer: ReorderBuffer,
    pub(crate) cursors: Cursors,
    /// Whether a HISTORY request for missing messages is in flight.
    pub(crate) backfilling: bool,
    /// Consecutive HISTORY replies without a new message.
    pub(crate) empty_backfills: u32,
    pub(crate) backfill_not_before: u64,
    /// The latest message that was shown; with a store, which has it, only where it ends the account's view.
    pub(crate) last: Option<Kept>,
    /// How the user sees it, as the server told last.
    pub(crate) view: Option<Box<ConversationView>>,
}

/// Changes that the store does not have yet. Stays empty unless [`Options::persistent`] is set.
#[derive(Default)]
pub(crate) struct Unsaved {
    /// The login of another account, on hold until that account's stored state is loaded.
    pub(crate) loading: Option<Box<LoggedIn>>,
    /// The account, its token or the next message number.
    pub(crate) account_changed: bool,
    pub(crate) conversations: BTreeSet<ConversationId>,
    pub(crate) unsent: BTreeSet<LocalId>,
}

/// The row after which the next page of the conversation list begins; `None`: the first page.
pub(crate) type PageStart = Option<(UnixMillis, ConversationId)>;

/// Progress of reading the conversation list page by page.
#[derive(Debug, Default)]
pub(crate) enum ListingState {
    #[default]
    Complete,
    Due {
        at: u64,
        page: PageStart,
    },
    Requested(PageStart),
}

impl Session {
    /// A session without a login or a connection.
    pub fn new(options: Options) -> Session {
        let mut random = Random::new(options.seed);
        let outbox = Outbox::new(random.next_u64(), 1, options.per_target);
        Session {
            options,
            random,
            backoff: Backoff::default(),
            intent: Intent::Nobody,
            account: None,
            server: None,
            history: None,
            comparisons: Comparisons::default(),
            typed: None,
            token: None,
            known: None,
            conversations: BTreeMap::new(),
            cursor_updates: Schedule::default(),
            backfills: Schedule::default(),
            backfills_in_flight: 0,
            listing: ListingState::Complete,
            outbox,
            last_request: 0,
            before_login: VecDeque::new(),
            connection: Connection::Idle,
            route: Route::default(),
            other_node: None,
            node: Box::default(),
            nodes_at: 0,
            requests: Requests::default(),
            login_at: 0,
            heartbeats: 0,
            partial: Vec::new(),
            out: Vec::new(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
            unsaved: Unsaved::default(),
        }
    }

    // ---- getters ---------------------------------------------------------------------------------------------------

    /// The account that the conversations and the outbox belong to. A logout does not change it.
    pub fn account(&self) -> Option<UserId> {
        self.account
    }

    /// The token of the present login.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Whether the account is logged in on an open connection.
    pub fn is_online(&self) -> bool {
        matches!(&self.connection, Connection::Open(Open { phase: Phase::Online { .. }, .. }))
    }

    /// Whether the session wants a connection that it does not have.
    pub fn wants_connection(&self) -> bool {
        matches!(self.connection, Connection::Waiting { .. } | Connection::Connecting { .. })
    }

    /// When the session will try to connect again.
    pub fn reconnect_at(&self) -> Option<u64> {
        match self.connection {
            Connection::Waiting { until } => Some(until),
            _ => None,
        }
    }

    /// Outgoing messages that are not known to be stored.
    pub fn unsent(&self) -> usize {
        self.outbox.len()
    }

    /// Whether no message waits in the outbox and no request of the caller is unanswered.
    pub fn is_settled(&self) -> bool {
        self.outbox.is_empty() && self.before_login.is_empty() && self.requests.from_caller() == 0
    }

    /// The seq up to which a conversation was shown without a gap.
    pub fn cursor(&self, conversation: ConversationId) -> Option<Seq> {
        self.conversations.get(&conversation)?.buffer.cursor()
    }

    /// Whether an account is logged in, or will be once there is a connection.
    pub(crate) fn has_login(&self) -> bool {
        !matches!(self.intent, Intent::Nobody)
    }

    /// Whether the account is online and the server still accepts requests on this connection.
    pub(crate) fn may_request(&self) -> bool {
        matches!(&self.connection, Connection::Open(Open { phase: Phase::Online { .. }, leaving: None, .. }))
    }

    pub(crate) fn set_phase(&mut self, to: Phase) {
        if let Connection::Open(open) = &mut self.connection {
            open.phase = to;
        }
    }

    // ---- requests --------------------------------------------------------------------------------------------------

    /// Sends any request that needs a login. [`Event::Reply`] or [`Event::Failed`] follows, once.
    pub fn ask(&mut self, now: u64, command: impl Into<Command>) -> RequestId {
        let request = self.next_request();
        if self.may_request() {
            self.transmit(now, &command.into(), Purpose::Caller(request));
        } else {
            self.events.push_back(Event::Failed { request, failure: Failure::Offline });
        }
        request
    }

    pub(crate) fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    /// Appends a request that expects a reply to the output.
    pub(crate) fn transmit(&mut self, now: u64, command: &Command, purpose: Purpose) {
        let patience = if purpose == Purpose::Logout { LOGOUT_MS } else { REPLY_MS };
        let number = self.requests.begin(purpose, now + patience);
        command.encode(number, &mut self.out);
    }

    // ---- changes for the store -------------------------------------------------------------------------------------

    pub(crate) fn set_token(&mut self, token: Option<Box<str>>) {
        self.unsaved.account_changed |= self.options.persistent && self.token != token;
        self.token = token;
    }

    pub(crate) fn note_conversation(&mut self, conversation: ConversationId) {
        if self.options.persistent {
            self.unsaved.conversations.insert(conversation);
        }
    }

    pub(crate) fn note_unsent(&mut self, local: LocalId) {
        if self.options.persistent {
            self.unsaved.unsent.insert(local);
        }
    }
}
