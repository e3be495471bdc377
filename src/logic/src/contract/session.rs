//! Sessions: their tokens, their holders, and the data a client needs to begin one.

use super::contact::Friend;
use super::epoch::{Epoch, Fence};
use super::presence::SetStatus;
use super::timeline::UnreadPage;
use super::token::{Client, Device, PasswordHash, Token, TokenHash, Tokens};
use crate::conflict::Policy;
use std::sync::Arc;
use wire::group::Group;
use wire::session::{ClientKind, KickCode};
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
    /// has ended already stays as it is. Outcome: [`Written::Revoked`], or denied with `NotFound` if there is no login
    /// of that id.
    Revoke { user: UserId, which: Which },
    /// Writes nothing. Outcome: done, once all writes that were issued before are decided: none of them takes effect
    /// later. Only one node without fences needs that; claimed sessions write nothing once their fences no longer hold.
    Settle,
    /// Begins a session of an account on this node, connected, and ends those that it may not stand beside
    /// ([`conflict::decide`](crate::conflict::decide)), with their tokens where no other session lives by them. To repeat it
    /// is the same as to do it once. Outcome: [`Written::Claimed`], denied with `TokenInvalid` if the token was revoked in
    /// the meantime, or denied with `Conflict`.
    Claim(Box<Claim>),
    /// Ends the session of a claim whose outcome is not known, if there is one. `grace` as in [`Write::End`]. Outcome:
    /// [`Written::Ended`].
    Abandon { user: UserId, node: Arc<str>, claim: ClaimId, grace: u64 },
    /// Records that a session lost its connection, which starts its grace period. Outcome: done, or superseded.
    Lose {
        fence: Fence,
        /// When it was last heard of, as milliseconds before now.
        silent: u64,
    },
    /// Ends a session at its own wish. What it sent before is still stored. Outcome: [`Written::Ended`], also if it has
    /// ended before.
    End {
        fence: Fence,
        /// How long other sessions outlive their connections and nodes, milliseconds.
        grace: u64,
        /// A token to revoke, unless another session lives by it.
        token: Option<TokenHash>,
    },
    /// Records when sessions were last heard of, each as milliseconds before now. Outcome: done.
    Touch(Vec<(Fence, u64)>),
}

/// Identifies a claim among those of its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimId(pub u64);

#[derive(Clone, Debug)]
pub struct Claim {
    pub user: UserId,
    /// The run of the claiming node.
    pub node: Arc<str>,
    pub id: ClaimId,
    /// The hash of the token that the login came with.
    pub token: TokenHash,
    /// What the client calls itself; with the token, what identifies a session.
    pub device: Option<Box<str>>,
    pub kind: ClientKind,
    /// How long a session outlives its connection or its node, milliseconds.
    pub grace: u64,
    pub policy: Policy,
}

/// Which tokens of an account are revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    One(DeviceId),
    Token(TokenHash),
    AllBut(TokenHash),
}

#[derive(Clone, Debug)]
pub enum Written {
    TokenReady(Box<TokenReady>),
    Claimed(Box<Claimed>),
    /// A session has ended.
    Ended {
        /// Whether it was the account's last one in force, and ended only now.
        was_last: bool,
        /// Whether the account shows something else than before by the sessions that it still has.
        changes_status: bool,
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

/// A session that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub epoch: Epoch,
    /// Whether it continues a session of the same client, which was still in force.
    pub resumed: bool,
    /// Whether the account had a session in force before.
    pub was_present: bool,
    /// What the session has set that it continues.
    pub status: Option<SetStatus>,
    /// Whether the account had sessions in force and shows something else than before.
    pub changes_status: bool,
    /// The sessions that it ended.
    pub ended: Vec<Ended>,
    /// Sessions of this node that ended before, and are not remembered any more.
    pub forgotten: Vec<Ended>,
    /// The runs of the nodes that hold the others.
    pub others: Vec<Box<str>>,
}

/// What was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    pub tokens: Tokens,
    /// The claimed sessions that were ended. If the write had to be repeated, those that its first attempt ended are
    /// missing: their nodes find out by themselves.
    pub ended: Vec<Ended>,
    /// Whether these were all sessions of the account.
    pub is_gone: bool,
    /// Whether the account shows something else than before by the sessions that it still has.
    pub changes_status: bool,
}

/// A claimed session that was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The run of its node.
    pub node: Box<str>,
    pub epoch: Epoch,
    pub why: KickCode,
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
    /// The account that a token logs in. Answer: [`Found::Holder`].
    Holder {
        /// As the client sent it.
        token: Box<str>,
    },
}

#[derive(Clone, Debug)]
pub enum Found {
    LoginView(Box<LoginView>),
    Devices(Vec<Device>),
    /// `None`: the token is unknown, expired or revoked.
    Holder(Option<Box<Holder>>),
}

/// The account that a token in force logs in.
#[derive(Clone, Debug)]
pub struct Holder {
    pub user: UserId,
    pub name: Arc<str>,
    pub token: TokenHash,
    /// Whether [`Write::ExtendToken`] would extend it.
    pub is_stale: bool,
}

/// Rows of each list of the reply to LOGIN.
pub const LOGIN_LIST_MAX: usize = 200;

/// The data a client needs to begin a session: the first page of each listing, and the conversations in which it is
/// behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginView {
    /// The first [`LOGIN_LIST_MAX`] friends by id.
    pub friends: Vec<Friend>,
    pub friends_more: bool,
    /// The ids of all friends, for presence.
    pub friend_ids: Vec<UserId>,
    /// The first [`LOGIN_LIST_MAX`] groups by id.
    pub groups: Vec<Group>,
    pub groups_more: bool,
    /// The latest [`LOGIN_LIST_MAX`] conversations, which storage may keep for the next login.
    pub conversations: Arc<Vec<ConversationSummary>>,
    pub conversations_more: bool,
    /// The first page of conversations with undelivered messages.
    pub unread: UnreadPage,
}
