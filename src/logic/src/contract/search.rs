//! SEARCH: what the index reads of the timelines, and how a query is answered.
//!
//! The index is kept and asked by threads of its own, outside storage. They read timelines like any other reader.

use super::ticket::Ticket;
use wire::search::{Search, SearchPage};
use wire::{ConversationId, Seq, UnixMillis, UserId};

/// A search as it is issued. Every one is answered with [`Found::Results`] or [`Found::Busy`], `Denied` with `Forbidden`
/// where its conversation is not the user's, or `Unavailable`.
#[derive(Clone, Debug)]
pub struct Query {
    pub ticket: Ticket,
    pub user: UserId,
    /// When the user stops waiting, on the monotonic clock of the rules, ms.
    pub due: u64,
    pub search: Box<Search>,
}

#[derive(Clone, Debug)]
pub enum Read {
    /// The ends of all conversations with ids above `after`, by id, at most `limit`. Answer: [`Found::Ends`].
    Ends { after: ConversationId, limit: u32 },
    /// The ends of the conversations that received entries since a mark. Only one reader at a time may ask. Answer:
    /// [`Found::Appended`].
    Appended { since: Mark },
}

/// A moment, as an answer named it; [`Mark::default`] is before all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(pub u64);

#[derive(Clone, Debug)]
pub enum Found {
    Ends(Vec<End>),
    Appended(Box<Appended>),
    Results(Box<SearchPage>),
    /// The query took too long, or too many wait.
    Busy,
}

/// The timeline of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub conversation: ConversationId,
    /// The first entry that is kept.
    pub first: Seq,
    pub last: Seq,
}

#[derive(Clone, Debug)]
pub struct Appended {
    pub ends: Vec<End>,
    pub extent: Extent,
    /// Where the next answer continues.
    pub mark: Mark,
    /// How often months have been dropped so far. Where it rises, `first` of any conversation may have risen.
    pub dropped: u64,
    /// Entries of an earlier time are told by now: what is being committed, or will be, has no earlier one.
    pub settled: UnixMillis,
}

/// How much of what happened since a mark an answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All; some conversations may be told again by the next answer.
    All,
    /// A part; the next answer continues at once.
    Part,
    /// It is not known any more: the ends of all conversations must be read.
    Unknown,
}
