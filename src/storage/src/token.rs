//! Login tokens: 256 random bits as text for their owner, a hash for the database.

use crate::hex::Hex;
use crate::machine::Random;
use logic::contract::token::KNOWN_MS;
use logic::contract::{Client, Token, TokenHash};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use wire::UnixMillis;
use wire::session::ClientKind;

/// How long a token is valid after its last use.
pub const VALID_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// A token that was extended within this time is not extended again, so that a wave of reconnecting clients writes
/// nothing.
const FRESH_MS: u64 = 60 * 60 * 1000;

/// Creates a token.
pub fn make(random: &mut Random, now: UnixMillis) -> Token {
    let mut secret = [0; 32];
    random(&mut secret);
    with_text(Hex(&secret).to_string().into(), now)
}

/// A token with this text, valid from now on.
pub fn with_text(text: Box<str>, now: UnixMillis) -> Token {
    Token { hash: hash(&text), text, expires: UnixMillis(now.0 + VALID_MS) }
}

/// Whether a token was issued by REGISTER, as stored in `token.of_register`. Statements set 2: it belongs to the first
/// login, which was by password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfRegister {
    /// Another request issued it, or it was used.
    No = 0,
    /// It was not used yet.
    Unused = 1,
}

/// What is kept with a token of the client that logs in by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptClient {
    pub device: Option<Box<str>>,
    pub kind: ClientKind,
    /// Where the last login came from; `None`: not known, or there was none.
    pub address: Option<IpAddr>,
}

impl KeptClient {
    /// What is kept after a login: what the client does not say stays as it was.
    pub fn after(&self, client: &Client) -> KeptClient {
        KeptClient {
            device: client.device.clone().or_else(|| self.device.clone()),
            kind: client.kind.unwrap_or(self.kind),
            address: Some(client.address),
        }
    }

    /// The column `address`.
    pub fn address_text(&self) -> Option<String> {
        self.address.map(|address| address.to_string())
    }
}

/// Ended tokens kept of each account; further ones identify no client any more.
pub const ENDED_MAX: usize = 256;

/// Tokens that ended before this time no longer identify a client.
pub fn forgotten_before(now: UnixMillis) -> UnixMillis {
    UnixMillis(now.0.saturating_sub(KNOWN_MS))
}

/// Whether a token that expires then was extended recently.
pub fn is_fresh(expires: UnixMillis, now: UnixMillis) -> bool {
    expires.0 + FRESH_MS > now.0 + VALID_MS
}

pub fn hash(text: &str) -> TokenHash {
    Sha256::digest(text.as_bytes()).into()
}
