//! A read as it is issued: what to read, on whose behalf, and until when the answer is wanted.

use super::{Read, Ticket};
use crate::network::Network;
use wire::{ConversationId, UserId};

/// A read and what the scheduler in front of the database needs to know about it. Every query is answered.
#[derive(Clone, Debug)]
pub struct Query {
    pub ticket: Ticket,
    pub lane: Lane,
    pub requester: Requester,
    /// When its requester stops waiting, on the monotonic clock of the rules, ms. From then on it is answered
    /// [`super::Found::Unavailable`] without being run. `None`: the answer is wanted whenever it comes.
    pub due: Option<u64>,
    pub read: Read,
}

/// The class of a query. Queries of one class are served before those of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// What delivery depends on: claims, rosters, delivery lines, missed messages, presence.
    System,
    /// Steps of a login, and what a new session has missed.
    Login,
    /// Everything else that clients request.
    Request,
}

/// On whose behalf a query is run. The requesters of a lane share it equally.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Requester {
    /// The node itself.
    Node,
    /// The delivery of a conversation.
    Conversation(ConversationId),
    Account(UserId),
    /// A client that is not logged in.
    Network(Network),
}

// Queries pass through queues by value.
const _: () = assert!(size_of::<Query>() <= 96);
