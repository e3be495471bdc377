//! Login tokens.

use crate::network::Network;
use std::fmt;
use std::net::IpAddr;
use wire::session::ClientKind;
use wire::{DeviceId, UnixMillis};

/// How long an expired or revoked token identifies a client that the account knows, milliseconds.
pub const KNOWN_MS: u64 = 90 * 24 * 60 * 60 * 1000;

/// The SHA-256 of a token, the only part of it that storage keeps.
pub type TokenHash = [u8; 32];

/// The client of a login, which is kept with its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub device: Option<Box<str>>,
    /// `None`: that of the login before by the same token, or else [`ClientKind::Other`].
    pub kind: Option<ClientKind>,
    /// Where the login comes from.
    pub address: IpAddr,
}

impl Client {
    #[must_use]
    pub fn network(&self) -> Network {
        Network::of(self.address)
    }
}

/// A selection of the tokens of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    One(TokenHash),
    AllBut(TokenHash),
}

impl Tokens {
    #[must_use]
    pub fn include(&self, token: &TokenHash) -> bool {
        match self {
            Tokens::One(one) => one == token,
            Tokens::AllBut(kept) => kept != token,
        }
    }
}

/// A login that is in force: its token, and the client that uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub id: DeviceId,
    pub token: TokenHash,
    pub device: Option<Box<str>>,
    pub kind: ClientKind,
    /// Of the last login; `None`: not known.
    pub address: Option<IpAddr>,
    pub created: UnixMillis,
    /// When a client last logged in by it, within an hour.
    pub last_used: UnixMillis,
    /// Whether a claimed session that lives by it is connected. A store that claims none does not know.
    pub online: bool,
}

/// How many logins are listed at most: those that were used last.
pub const DEVICES_MAX: usize = 100;

/// A token as its owner receives it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The secret: 256 random bits as text.
    pub text: Box<str>,
    pub hash: TokenHash,
    pub expires: UnixMillis,
}

/// Omits the secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(expires {})", self.expires)
    }
}

/// The hash of a password, a PHC string. It must not reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub Box<str>);

impl From<&str> for PasswordHash {
    fn from(hash: &str) -> PasswordHash {
        PasswordHash(hash.into())
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PasswordHash").finish_non_exhaustive()
    }
}
