//! [`Event`]: what a session reports to its caller.

use crate::outbox::LocalId;
use crate::requests::RequestId;
use crate::timing::SILENCE_MS;
use std::sync::Arc;
use thiserror::Error;
use wire::session::{Kicked, LoggedIn};
use wire::timeline::{ConversationSummary, SettingsChange};
use wire::{ConversationId, Message, Push, Refusal, Reply, Seq, UnixMillis};

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A connection is established; no account is logged in on it yet.
    Connected,
    /// The connection is lost, or could not be established.
    Disconnected {
        why: Lost,
        /// The time until the session reconnects, milliseconds; `None`: it does not, because no account is logged in.
        retry_in_ms: Option<u64>,
    },
    /// Logged in, for the first time or again after a lost connection.
    LoggedIn(Box<LoggedIn>),
    /// A login by password failed. The session does not retry it.
    LoginFailed(Failure),
    /// The account is no longer logged in, and the session does not log in again by itself.
    LoggedOut(LogoutReason),
    /// The next entry of its conversation, nearly always a message: each entry once, in the order of `seq`, without gaps.
    /// For own messages sent from here there is [`Event::Sent`] instead.
    Message(Arc<Message>),
    /// An own message was stored. Reported once per message.
    Sent { local: LocalId, conversation: ConversationId, seq: Seq, time: UnixMillis },
    /// An own message was refused for now; the session sends it again.
    SendDelayed { local: LocalId, refusal: Box<Refusal> },
    /// An own message has left the outbox without being stored.
    SendFailed { local: LocalId, failure: SendFailure },
    /// The reply to a request of the caller; never [`Reply::Refused`].
    Reply { request: RequestId, reply: Reply },
    /// A request of the caller failed.
    Failed { request: RequestId, failure: Failure },
    /// Conversations that the login reply had no room for, or that may have changed.
    Conversations(Vec<ConversationSummary>),
    /// The user's settings of a conversation have changed: those that are given.
    SettingsChanged { conversation: ConversationId, change: SettingsChange },
    /// The user does not see a conversation up to `upto` any more.
    Cleared { conversation: ConversationId, upto: Seq },
    /// A push that the session passes on: of contacts, presence and receipts, and the notice of changed listings.
    Push(Push),
    /// The server is about to close the connection; the session reconnects by itself.
    GoingAway { reason: Box<str> },
    /// The store failed, so nothing is saved from now on. Everything else works.
    StoreFailed(String),
    /// The server's database was restored: messages after this seq that were shown, or own ones that were stored, are not
    /// there any more. Others may take their places.
    Forgotten { conversation: ConversationId, after: Seq },
    /// Messages that the server numbered but did not deliver when asked repeatedly. The server promises that this never
    /// happens.
    Missing {
        conversation: ConversationId,
        /// The first missing message.
        from: Seq,
        /// The last missing message.
        to: Seq,
    },
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Lost {
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// What TLS finds wrong with the server, as a sentence.
    #[error("{0}")]
    Insecure(String),
    #[error("the server closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the server has been silent for {} seconds", SILENCE_MS / 1000)]
    Silent,
    #[error("the server does not answer")]
    NoAnswer,
    /// The bytes received are not the chat protocol.
    #[error("the server does not speak the chat protocol: {0}")]
    Malformed(String),
    /// The server no longer accepts this connection as logged in.
    #[error("the server ended the session")]
    SessionEnded,
    /// The server had announced that it would close the connection.
    #[error("the server is shutting down")]
    GoingAway,
    /// The caller logged out or closed the session.
    #[error("the connection was closed by this client")]
    ByUser,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    #[error("{}", .0.errmsg)]
    Refused(Box<Refusal>),
    #[error("the server did not answer in time")]
    TimedOut,
    /// The connection was lost before the reply arrived: the request may or may not have been carried out.
    #[error("{0}")]
    Lost(Lost),
    #[error("not connected")]
    Offline,
}

/// Why a message left the outbox without being stored.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendFailure {
    /// The server refused it for good.
    #[error("{}", .0.errmsg)]
    Refused(Box<Refusal>),
    /// After this long the server may have forgotten the `cid`, so a retry could store the message twice. It may or may
    /// not have been stored.
    #[error("could not be confirmed for a day")]
    Expired,
    #[error("another account has logged in")]
    OtherAccount,
}

/// Why an account is no longer logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogoutReason {
    /// The caller logged out.
    Asked,
    /// The server ended the session, for a newer login or for another reason that the code tells.
    Kicked(Box<Kicked>),
    /// The account is online elsewhere, and that session stays.
    AlreadyOnline(Box<Refusal>),
    /// The token has expired or was revoked.
    TokenInvalid(Box<Refusal>),
    /// The server refused the login for another permanent reason.
    Refused(Box<Refusal>),
}
