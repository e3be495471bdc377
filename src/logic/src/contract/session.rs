//! Sessions: their tokens, their holders, and the data a client needs to begin one.

use super::contact::Friend;
use super::epoch::{Epoch, Fence};
use super::timeline::UnreadPage;
use super::token::{Client, Device, PasswordHash, Token, TokenHash, Tokens};
use std::sync::Arc;
use wire::group::Group;
use wire::session::ClientKind;
use wire::timeline::ConversationSummary;
use wire::{DeviceId, UserId};

#[derive(Clone, Debug)]
pub enum Write {
    /// Issues a token after a login by password, and remembers its network. Denied with `Conflict` if the password was
    /// changed since it was checked. The token of REGISTER belongs to the first
    /// such login: [`Write::RevokeToken`] of the issued token revokes it, too. A later login revokes it at once.
    /// Outcome: [`Written::TokenReady`].
    CreateToken {
        user: UserId,
        /// The hash that the password was checked against.
        password: PasswordHash,
        client: Client,
    },
    /// Looks a token up, extends it, and remembers the client and the network of the login. What the client does not say
    /// stays as it was. Outcome: [`Written::TokenReady`], or denied with `TokenInvalid`.
    ExtendToken {
        /// As the client sent it.
        token: Box<str>,
        client: Client,
    },
    /// Revokes a token: no login is possible with it any more. It still identifies a client that the account knows, as
    /// an expired token does, for [`super::token::KNOWN_MS`]. Outcome: done, also where there is none.
    RevokeToken(TokenHash),
    /// Revokes tokens of an account and ends the sessions that live by them: their fences no longer hold. A token that
    /// has ended already stays as it is. Outcome: [`Written::Revoked`], or denied with `NotFound`.
    Revoke { user: UserId, which: Which },
    /// Writes nothing. Outcome: done, once all writes that were issued before are decided: none of them takes effect
    /// later. Only one node without fences needs that; claimed sessions write nothing once their fences no longer hold.
    Settle,
    /// Takes over the account's session for a login: raises its epoch and records this node as its holder, connected.
    /// The token of the previous session, if that was still in force, is revoked, unless it is the same.
    /// Outcome: [`Written::Claimed`], denied with `TokenInvalid` if the token was revoked in the meantime, or with
    /// `unless_held` denied with `Conflict`.
    Claim {
        user: UserId,
        node: Arc<str>,
        /// The hash of the token that the login came with.
        token: TokenHash,
        /// How long a session outlives its connection or its node, milliseconds.
        grace: u64,
        /// Whether to refuse where a session with another token is connected to a node that was seen within
        /// [`super::node::SILENT_MS`].
        unless_held: bool,
    },
    /// Records that the session lost its connection, which starts its grace period. Outcome: done, or superseded.
    Release {
        fence: Fence,
        /// Whether the session is over at once.
        ended: bool,
    },
}

/// Which tokens of an account are revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    One(DeviceId),
    AllBut(TokenHash),
}

#[derive(Clone, Debug)]
pub enum Written {
    TokenReady(Box<TokenReady>),
    /// The session belongs to this node.
    Claimed {
        epoch: Epoch,
        /// The holder of the previous session, if that was still connected or within its grace period.
        before: Option<Holder>,
    },
    Revoked(Box<Revoked>),
}

/// A token that was issued or extended.
#[derive(Clone, Debug)]
pub struct TokenReady {
    pub user: UserId,
    pub name: Arc<str>,
    pub token: Token,
    /// The name of the client that logs in by it, as it said last.
    pub device: Option<Box<str>>,
    /// What the client is that logs in by it.
    pub kind: ClientKind,
}

/// What was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    pub tokens: Tokens,
    /// The claimed sessions that were ended. If the write had to be repeated, those that its first attempt ended are
    /// missing: their nodes find out by themselves.
    pub ended: Vec<Ended>,
}

/// A claimed session that was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The run of its node.
    pub node: Box<str>,
    /// Those with a lower epoch are ended.
    pub epoch: Epoch,
}

#[derive(Clone, Debug)]
pub enum Read {
    /// The data a client needs to begin a session. Answer: [`Found::LoginView`].
    LoginView {
        user: UserId,
        /// Whether the conversations show their last messages.
        with_last: bool,
    },
    /// The logins of an account that are in force, the one that was used last first, at most
    /// [`DEVICES_MAX`](super::token::DEVICES_MAX). Answer: [`Found::Devices`].
    Devices {
        user: UserId,
        /// Tokens that sessions of this node live by: these are listed even if they have expired in the meantime.
        live: Box<[TokenHash]>,
    },
}

#[derive(Clone, Debug)]
pub enum Found {
    LoginView(Box<LoginView>),
    Devices(Vec<Device>),
}

/// The holder of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub node: Box<str>,
    /// The hash of the token that the session began with.
    pub token: TokenHash,
}

/// Rows of each list of the reply to LOGIN.
pub const LOGIN_LIST_MAX: usize = 200;

/// The data a client needs to begin a session: the first page of each listing, and the conversations in which it is
/// behind.
#[derive(Clone, Debug, Default)]
pub struct LoginView {
    /// The first [`LOGIN_LIST_MAX`] friends by id.
    pub friends: Vec<Friend>,
    pub friends_more: bool,
    /// The ids of all friends, for presence.
    pub friend_ids: Vec<UserId>,
    /// The first [`LOGIN_LIST_MAX`] groups by id.
    pub groups: Vec<Group>,
    pub groups_more: bool,
    /// The latest [`LOGIN_LIST_MAX`] conversations.
    pub conversations: Vec<ConversationSummary>,
    pub conversations_more: bool,
    /// The first page of conversations with undelivered messages.
    pub unread: UnreadPage,
}
