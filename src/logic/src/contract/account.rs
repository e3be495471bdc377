//! Accounts: registration, passwords and profiles.

use super::contact::Notes;
use super::session::Revoked;
use super::token::{Token, TokenHash};
use crate::network::Network;
use std::fmt;
use wire::account::{Find, FoundUsers, Who};
use wire::{UnixMillis, UserId};

#[derive(Clone, Debug)]
pub enum Write {
    /// Creates an account with a first token. Outcome: [`Written::Created`], or denied with `NameTaken`.
    Create {
        /// The name as displayed; unique by [`wire::name::key`].
        name: Box<str>,
        /// The password's hash, a PHC string.
        password: Box<str>,
        nick: Option<Box<str>>,
    },
    /// Changes the password, revokes all tokens of the account but one, and ends the sessions that live by them.
    /// Outcome: [`Written::PasswordChanged`], or denied with `Conflict` if the password is neither the old nor the new
    /// one.
    ChangePassword(Box<PasswordChange>),
}

#[derive(Clone)]
pub struct PasswordChange {
    pub user: UserId,
    /// The password's hash until now, a PHC string.
    pub old: Box<str>,
    /// The new password's hash. Another attempt to make the same change has the same.
    pub new: Box<str>,
    /// The token that stays.
    pub token: TokenHash,
}

// Hashes of passwords must not reach a log.
impl fmt::Debug for PasswordChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordChange").field("user", &self.user).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub enum Written {
    Created { user: UserId, token: Token },
    PasswordChanged(Box<Revoked>),
}

#[derive(Clone, Debug)]
pub enum Read {
    /// The id of an account. Answer: [`Found::Id`].
    Id(Who),
    /// What a login by password is checked against. Answer: [`Found::Credentials`].
    Credentials(Box<Login>),
    /// The profile of `who`, as `user` may see it. Answer: [`Found::Profile`].
    Profile { user: UserId, who: Who },
    /// Users by id or by the beginning of their names. Answer: [`Found::Users`].
    Find(Find),
}

#[derive(Clone, Debug)]
pub enum Found {
    /// `None`: there is no such account.
    Id(Option<UserId>),
    /// `None`: there is no such account.
    Credentials(Option<Box<Credentials>>),
    /// `None`: there is no such account.
    Profile(Option<Box<Profile>>),
    Users(FoundUsers),
}

/// A login by password.
#[derive(Clone)]
pub struct Login {
    pub who: Who,
    pub network: Network,
    /// The text of an old token that the client showed.
    pub known: Option<Box<str>>,
}

// The token must not reach a log.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("who", &self.who)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

/// What a login by password is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub user: UserId,
    /// The password's hash, a PHC string.
    pub hash: Box<str>,
    /// Whether the account has logged in from the network before; the last [`NETWORKS_MAX`] are remembered.
    pub is_familiar: bool,
    /// The hash of the shown token, if that is or was one of the account.
    pub known: Option<TokenHash>,
    /// The token by which the password was last changed.
    pub changed_by: Option<TokenHash>,
}

/// How many networks are remembered for each account.
pub const NETWORKS_MAX: usize = 8;

/// The profile of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub user: UserId,
    pub name: Box<str>,
    pub nick: Option<Box<str>>,
    pub created: UnixMillis,
    /// Of a friend of the asking user: what that notes about it.
    pub friend: Option<Notes>,
}
