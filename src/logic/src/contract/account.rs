//! Accounts: registration, passwords and profiles.

use super::token::Token;
use wire::account::Who;
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
}

#[derive(Clone, Debug)]
pub enum Written {
    Created { user: UserId, token: Token },
}

#[derive(Clone, Debug)]
pub enum Read {
    /// The password of an account. Answer: [`Found::Password`].
    Password(Who),
    /// The profile of `who`, as `user` may see it. Answer: [`Found::Profile`].
    Profile { user: UserId, who: Who },
}

#[derive(Clone, Debug)]
pub enum Found {
    /// `None`: there is no such account.
    Password(Option<Password>),
    /// `None`: there is no such account.
    Profile(Option<Box<Profile>>),
}

/// The password of an account.
#[derive(Clone, Debug)]
pub struct Password {
    pub user: UserId,
    /// A PHC string.
    pub hash: Box<str>,
}

/// The profile of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub user: UserId,
    pub name: Box<str>,
    pub nick: Option<Box<str>>,
    pub created: UnixMillis,
    /// Whether the account is a friend of the asking user.
    pub is_friend: bool,
}
