//! Accounts: registration and passwords.

use super::token::Token;
use wire::UserId;
use wire::account::Who;

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
}

#[derive(Clone, Debug)]
pub enum Found {
    /// `None`: there is no such account.
    Password(Option<Password>),
}

/// The password of an account.
#[derive(Clone, Debug)]
pub struct Password {
    pub user: UserId,
    /// A PHC string.
    pub hash: Box<str>,
}
