//! What logic asks of storage, and what storage answers: plain data, no SQL.
//!
//! **Writes** are carried out many in one transaction, their outcomes come back after the commit: those of one
//! conversation in the order in which they were issued, and so those that are about no conversation; between these
//! there may be no order. **Reads** run beside them, in any order, and see everything whose outcome was
//! delivered before the read was issued.
//!
//! One more promise holds the delivery rules together: outcomes and read results come back through *one* queue, and a
//! read can never show a message that this node wrote whose own outcome is not already in that queue before it.
//!
//! **Several nodes** may share a database. It is then the truth of who is logged in where: a login *claims* the
//! account's session and raises its [`Epoch`], and a write that carries a lower one is refused in the transaction itself
//! ([`Written::Superseded`]). All times in these questions and answers are the database's own.

mod read;
mod write;

pub use read::{
    Account, CHANGES_MAX, End, Found, LOGIN_LIST_MAX, LoginView, Read, Roster, Standing, UNREAD_MAX, Unread,
    UnreadPage,
};
pub use write::{Append, CursorMove, CursorStep, Flight, Write, Written};

use wire::UnixMillis;

/// Ties an answer of the outside (storage, passwords) to the request that is parked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// SHA-256 of a token: all that is kept of one.
pub type TokenHash = [u8; 32];

/// The number of a session in its account's life: each claim raises it. [`Epoch::NONE`] fences nothing: what a node
/// that is alone with its database sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u32);

impl Epoch {
    /// Below that of every session.
    pub const NONE: Epoch = Epoch(0);
}

/// A node that was not seen for so long is not connected to anybody.
pub const NODE_SILENT_MS: u64 = 30_000;

/// How long the sessions of a node that is not seen any more go on: they are within their grace, but a node says only now
/// and then that it lives.
#[must_use]
pub fn node_grace(grace: u64) -> u64 {
    grace.max(NODE_SILENT_MS)
}

/// Who held a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub node: Box<str>,
    /// Of the token that it began with.
    pub token: TokenHash,
}

/// A token as its owner gets it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The secret: 256 random bits as text.
    pub text: Box<str>,
    /// What storage knows it by.
    pub hash: TokenHash,
    /// Until when it is valid.
    pub expires: UnixMillis,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token(until {})", self.expires)
    }
}
