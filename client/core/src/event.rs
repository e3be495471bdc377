//! What a session tells its user.

use crate::outbox::LocalId;
use crate::requests::RequestId;
use crate::session::SILENCE_MS;
use std::sync::Arc;
use thiserror::Error;
use wire::contact::FriendChange;
use wire::presence::PresenceChange;
use wire::session::LoggedIn;
use wire::session::{Kicked, Listing};
use wire::timeline::ConversationSummary;
use wire::timeline::Receipt;
use wire::{ConversationId, Message, Refusal, Reply, Seq, UnixMillis};

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A connection stands; nobody is logged in on it yet.
    Connected,
    /// The connection is gone, or could not be made.
    Disconnected {
        why: Lost,
        /// After how many milliseconds the session tries again by itself; `None`: it does not, nobody is logged in.
        retry_in_ms: Option<u64>,
    },
    /// Logged in, for the first time or again after a lost connection.
    LoggedIn(Box<LoggedIn>),
    /// A password login did not succeed; it is not tried again.
    LoginFailed(Failure),
    /// The account is no longer logged in here, and the session does not log in again by itself.
    LoggedOut(LogoutReason),
    /// The next message of its conversation: each once, in order of `seq`, with nothing left out. Own messages that
    /// were sent from here come as [`Event::Sent`] instead.
    Message(Arc<Message>),
    /// An own message is stored: it has its place in the timeline. Once for each message.
    Sent {
        local: LocalId,
        conversation: ConversationId,
        seq: Seq,
        /// When it was stored.
        time: UnixMillis,
    },
    /// An own message was refused for now; it will be sent again by itself.
    SendDelayed { local: LocalId, refusal: Box<Refusal> },
    /// An own message will not be stored (by this session); it has left the outbox.
    SendFailed { local: LocalId, failure: SendFailure },
    /// The reply to a request; never [`Reply::Refused`].
    Reply {
        request: RequestId,
        /// What the server says.
        reply: Reply,
    },
    /// A request did not succeed.
    Failed { request: RequestId, failure: Failure },
    /// Conversations that the login reply had no room for, or that may have changed.
    Conversations(Vec<ConversationSummary>),
    /// A friend came or went.
    Presence(PresenceChange),
    /// Something happened to a friendship.
    Friend(Box<FriendChange>),
    /// The peer of a direct chat has received.
    Delivered(Receipt),
    /// The peer of a direct chat has read.
    Read(Receipt),
    /// Listings that may have changed.
    Changed(Vec<Listing>),
    /// The server drains; the session reconnects by itself.
    GoingAway {
        /// A sentence of the server.
        reason: Box<str>,
    },
    /// Nothing is kept on disk from now on; the sentence says why. Everything else goes on.
    NotKept(String),
    /// An error of the server that answers no request.
    ServerError(Box<Refusal>),
    /// Messages that the server numbered and has not given, though asked repeatedly. The promise of the server is that
    /// this never happens.
    Missing {
        conversation: ConversationId,
        /// The first one.
        from: Seq,
        /// The last one.
        to: Seq,
    },
}

/// Why a connection is gone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Lost {
    /// No connection could be made.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// The server closed it.
    #[error("the server closed the connection")]
    Closed,
    /// The network failed.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Nothing came for too long.
    #[error("the server has been silent for {} seconds", SILENCE_MS / 1000)]
    Silent,
    /// A request that must be answered was not.
    #[error("the server does not answer")]
    NoAnswer,
    /// What came is not the protocol.
    #[error("the server sent something that is not the chat protocol: {0}")]
    Malformed(String),
    /// The server no longer takes this connection as logged in.
    #[error("the server ended the session")]
    SessionEnded,
    /// The server announced that it would close.
    #[error("the server is going away")]
    GoingAway,
    /// The program ended it.
    #[error("the connection was closed here")]
    ByUser,
}

/// Why a request did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// The server refused.
    #[error("{}", .0.errmsg)]
    Refused(Box<Refusal>),
    /// No answer came in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The connection was lost before the answer, so it may or may not have been done; or there is none.
    #[error("{0}")]
    Lost(Lost),
    /// There is no connection at present.
    #[error("not connected")]
    Offline,
}

/// Why a message left the outbox without being stored.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendFailure {
    /// The server refused for good.
    #[error("{}", .0.errmsg)]
    Refused(Box<Refusal>),
    /// It could not be confirmed for so long that the server may have forgotten its `cid`: it may or may not be stored.
    #[error("it could not be confirmed for a day")]
    Expired,
    /// Somebody else has logged in.
    #[error("another account has logged in")]
    OtherAccount,
}

/// Why an account is no longer logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogoutReason {
    /// The user logged out.
    Asked,
    /// A newer login ended the session.
    Kicked(Box<Kicked>),
    /// The account is online elsewhere, and that session stays.
    AlreadyOnline(Box<Refusal>),
    /// The token expired or was revoked.
    TokenInvalid(Box<Refusal>),
    /// The server refused the login for another reason that waiting does not mend.
    Refused(Box<Refusal>),
}
