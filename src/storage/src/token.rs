//! Login tokens: 256 random bits as text for their owner, a hash for the database.

use crate::machine::Random;
use logic::contract::{Token, TokenHash};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use wire::UnixMillis;

/// How long a token is valid after its last use.
pub const VALID_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// A token that was extended so short a time ago is not extended again: clients that reconnect all at once write nothing.
const FRESH_MS: u64 = 60 * 60 * 1000;

/// A new token.
pub fn make(random: &mut Random, now: UnixMillis) -> Token {
    let mut secret = [0; 32];
    random(&mut secret);
    let mut text = String::with_capacity(64);
    for byte in secret {
        write!(text, "{byte:02x}").expect("a String takes every character");
    }
    with_text(text.into_boxed_str(), now)
}

/// A token of this text, valid from now on.
pub fn with_text(text: Box<str>, now: UnixMillis) -> Token {
    Token { hash: hash(&text), text, expires: UnixMillis(now.0 + VALID_MS) }
}

/// Whether a token that is valid until `expires` was extended a short time ago.
pub fn is_fresh(expires: UnixMillis, now: UnixMillis) -> bool {
    expires.0 + FRESH_MS > now.0 + VALID_MS
}

/// What storage knows a token by.
pub fn hash(text: &str) -> TokenHash {
    Sha256::digest(text.as_bytes()).into()
}
