//! Steps of LOGIN and LOGOUT that wait.

use crate::attempt::Attempt;
use crate::contract::presence::Online;
use crate::contract::session::{ClaimId, LoginView};
use crate::contract::timeline::CountedRange;
use crate::contract::{Client, Fence, Ticket, Token, TokenHash};
use crate::state::sessions::SessionRef;
use std::collections::VecDeque;
use std::sync::Arc;
use wire::account::Who;
use wire::group::{Group, Member};
use wire::presence::Presence;
use wire::session::ClientKind;
use wire::{UnixMillis, UserId};

#[derive(Debug)]
pub(crate) enum Pending {
    /// LOGIN by password: the account is looked up.
    Account(Box<PasswordLogin>),
    /// LOGIN by password: the password is being checked.
    Password(Box<PasswordCheck>),
    /// LOGIN: the token is being made or extended.
    Token(TokenRequest),
    /// LOGIN on a node of a cluster: the session is being claimed.
    Takeover(Box<Takeover>),
    /// LOGIN on a node of a cluster: the groups to listen to are being read.
    Groups(NewSessionRead),
    /// LOGIN: friends, groups, conversations and unread messages are being read.
    View(NewSessionRead),
    /// LOGIN on a node of a cluster: which friends are online on other nodes is being read.
    Friends(NewSessionRead, Box<LoginView>),
    /// LOGIN: what the user has read in part is being counted again.
    Recount(NewSessionRead, Box<ViewRecount>),
    /// LOGIN of a client that needs a welcome: what the welcome holds is being read.
    Welcome(Box<PendingWelcome>),
    /// LOGOUT: the token is being revoked.
    Logout(SessionRef),
    /// DEVICES: the logins are being read.
    Devices(SessionRef),
    /// REVOKE: tokens are being revoked.
    Revocation(Revoker),
    /// REVOKE or CHANGE_PASSWORD: what ended sessions had sent is being stored or refused.
    Settled,
    /// LOGIN: what the sessions that it ended had sent is being stored or refused.
    EndedOthers(NewSessionRead),
    /// What follows from the end of a session is being stored.
    Ending(Box<Ending>),
}

/// What follows from the end of a session and must be stored, however often it is tried.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// A token of a user is revoked.
    Token(UserId, TokenHash),
    /// A claimed session is over, and its token unless another session lives by it. Its client was last heard of at
    /// `heard`, monotonic ms.
    Session { fence: Fence, token: Option<TokenHash>, heard: u64 },
    /// The session of a claim whose outcome is not known is over, if there is one.
    Claim(UserId, ClaimId),
}

/// The session whose request revokes tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Revoker {
    pub user: UserId,
    pub session: SessionRef,
}

/// What to do about a step of a login that has waited too long.
#[derive(Debug)]
pub(crate) enum Overdue {
    /// End its session.
    Login(SessionRef),
}

impl Pending {
    /// The session whose login this is a step of.
    pub fn login_session(&self) -> Option<SessionRef> {
        match self {
            Pending::Groups(read)
            | Pending::View(read)
            | Pending::Friends(read, _)
            | Pending::Recount(read, _)
            | Pending::EndedOthers(read) => Some(read.session),
            Pending::Welcome(welcome) => Some(welcome.session),
            _ => None,
        }
    }

    /// The attempt to guess a password that it may be.
    pub fn attempt(&self) -> Option<&Attempt> {
        match self {
            Pending::Password(check) => Some(&check.attempt),
            _ => None,
        }
    }

    pub fn hashes_password(&self) -> bool {
        matches!(self, Pending::Password(_))
    }
}

#[derive(Debug)]
pub(crate) struct PasswordLogin {
    pub who: Who,
    pub password: Box<str>,
    pub client: Client,
    pub purpose: Purpose,
}

/// What a login is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A session on its connection.
    Session {
        /// Whether the reply shows last messages.
        with_last: bool,
        /// The browser keeps the token, and its page is not told it.
        by_cookie: bool,
    },
    /// Nothing but a token, for requests without a session.
    Token,
}

#[derive(Debug)]
pub(crate) struct PasswordCheck {
    /// `None` if there is no such account: every password is wrong.
    pub account: Option<CheckedAccount>,
    pub attempt: Attempt,
    pub client: Client,
    pub purpose: Purpose,
}

/// An account whose password is being checked.
#[derive(Debug)]
pub(crate) struct CheckedAccount {
    pub user: UserId,
    /// The password's hash.
    pub password: Box<str>,
}

#[derive(Debug)]
pub(crate) struct TokenRequest {
    pub device: Option<Box<str>>,
    /// Whether the token was issued for this login, and must be revoked if the login fails.
    pub is_new: bool,
    pub purpose: Purpose,
}

/// A login whose token is valid.
#[derive(Debug)]
pub(crate) struct TokenReady {
    pub request: TokenRequest,
    pub user: UserId,
    pub name: Arc<str>,
    pub token: Token,
    pub kind: ClientKind,
}

/// A login between its token and its session, on a node of a cluster.
#[derive(Debug)]
pub(crate) struct Takeover {
    pub ready: TokenReady,
    pub step: TakeoverStep,
    pub lock: Option<Ticket>,
    /// When to stop waiting for the lock, monotonic ms; `None` until it is requested.
    pub lock_until: Option<u64>,
    /// Its claim, once that is issued.
    pub claim: Option<ClaimId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakeoverStep {
    /// Waits for its subscription, or for the outcome of its claim.
    Claiming,
    /// Has requested the lock.
    Locking,
    /// Waits to request the lock again.
    LockedOut,
}

/// A read that a new session waits for.
#[derive(Debug)]
pub(crate) struct NewSessionRead {
    pub session: SessionRef,
    pub reply: Box<ReplyParts>,
}

/// The contents of a reply to LOGIN, and the ranges of its conversations that are being counted again.
#[derive(Debug)]
pub(crate) struct ViewRecount {
    pub view: LoginView,
    /// Friends who are online on other nodes.
    pub online: Vec<Online>,
    pub ranges: Vec<CountedRange>,
}

/// What the reply to LOGIN needs besides what is read.
#[derive(Debug)]
pub(crate) struct ReplyParts {
    /// The token as it is sent, if it is.
    pub token: Option<Box<str>>,
    pub token_expires: UnixMillis,
    /// Whether it shows last messages.
    pub with_last: bool,
}

/// A welcome whose parts are being read.
#[derive(Debug)]
pub(crate) struct PendingWelcome {
    pub session: SessionRef,
    pub view: LoginView,
    /// Friends who are online on other nodes.
    pub online: Vec<Online>,
    /// Groups whose members have not been read yet; those of the first are being read.
    pub unread: VecDeque<Group>,
    pub groups: Vec<(Group, Vec<Member>)>,
    /// Whether the members who are online on other nodes are known.
    pub knows_members_online: bool,
}

impl PendingWelcome {
    pub fn new(session: SessionRef, mut view: LoginView, online: Vec<Online>) -> PendingWelcome {
        let unread = std::mem::take(&mut view.groups).into();
        PendingWelcome { session, view, online, unread, groups: Vec::new(), knows_members_online: false }
    }

    /// The distinct members who are offline on this node.
    pub fn absent_members(&self) -> Vec<UserId> {
        let members = self.groups.iter().flat_map(|(_, members)| members);
        let absent = members.filter(|member| member.state == Presence::Offline);
        let mut absent: Vec<UserId> = absent.map(|member| member.id).collect();
        absent.sort_unstable();
        absent.dedup();
        absent
    }
}
