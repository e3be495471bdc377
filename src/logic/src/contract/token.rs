//! Login tokens.

use wire::UnixMillis;

/// How long an expired or revoked token identifies a client that the account knows, milliseconds.
pub const KNOWN_MS: u64 = 90 * 24 * 60 * 60 * 1000;

/// The SHA-256 of a token, the only part of it that storage keeps.
pub type TokenHash = [u8; 32];

/// A token as its owner receives it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The secret: 256 random bits as text.
    pub text: Box<str>,
    pub hash: TokenHash,
    pub expires: UnixMillis,
}

/// Omits the secret.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token(expires {})", self.expires)
    }
}
