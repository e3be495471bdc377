//! The contract between logic and storage: plain data, no SQL. One file a noun, each with its verbs and outcomes.
//!
//! **Writes** are executed many in one transaction. Their outcomes arrive after the commit: those of one conversation
//! in the order in which the writes were issued, and likewise those that concern no conversation; between the two
//! groups there is no order. **Reads** run concurrently, in any order, and observe every write whose outcome
//! was delivered before the read was issued. Each is issued as a [`Query`], which says on whose behalf it is run, so
//! that the reads of one requester delay only its own.
//!
//! The delivery rules rely on one more guarantee: outcomes and read results arrive through *one* queue, and a read
//! never returns a message written by this node whose outcome does not precede it in that queue.
//!
//! **Several nodes** may share a database, which is then the authority on who is logged in where. A login *claims* a
//! session, whose [`Epoch`] no other of the account has had; a write of a session that has ended is rejected inside its own
//! transaction ([`Written::Superseded`]). All times in reads and results are the database's own.

pub mod account;
pub mod change;
pub mod contact;
pub mod entry;
mod epoch;
pub mod group;
pub mod message;
pub mod node;
pub mod presence;
mod query;
mod quota;
pub mod search;
pub mod session;
mod ticket;
pub mod timeline;
pub mod token;

pub use epoch::{Epoch, Fence};
pub use query::{Lane, Query, Requester};
pub use quota::{Quota, Quotas};
pub use ticket::Ticket;
pub use token::{Client, Token, TokenHash, Tokens};

/// A change to storage. The outcome is the noun's own, or one of the common outcomes of [`Written`].
#[derive(Clone, Debug)]
pub enum Write {
    Account(account::Write),
    Session(session::Write),
    Contact(contact::Write),
    Group(group::Write),
    Message(message::Write),
    Change(change::Write),
    Timeline(timeline::Write),
    Presence(presence::Write),
    Node(node::Write),
    /// Executes the inner write on behalf of a session, unless that has ended: then nothing is done.
    Fenced(Fence, Box<Write>),
}

/// The outcome of a [`Write`].
#[derive(Clone, Debug)]
pub enum Written {
    /// Success, for verbs that return nothing.
    Done,
    Account(account::Written),
    Session(session::Written),
    Contact(contact::Written),
    Group(group::Written),
    Message(message::Written),
    Change(change::Written),
    Timeline(timeline::Written),
    Presence(presence::Written),
    /// The session has ended; nothing was done.
    Superseded,
    /// The write is not allowed or not possible; nothing was done.
    Denied(Denial),
    /// Storage is unreachable or full. The write may still turn out to have been executed.
    Unavailable,
    /// A fault that does not pass: data that the write needs is damaged, or the database refuses the statement. Nothing
    /// was done, and the log says why.
    Failed,
}

/// A read from storage. The answer is the noun's own, or one of the common answers of [`Found`].
#[derive(Clone, Debug)]
pub enum Read {
    Account(account::Read),
    Session(session::Read),
    Contact(contact::Read),
    Group(group::Read),
    Timeline(timeline::Read),
    Presence(presence::Read),
    Node(node::Read),
    Search(search::Read),
}

/// The answer to a [`Read`].
#[derive(Clone, Debug)]
pub enum Found {
    Account(account::Found),
    Session(session::Found),
    Contact(contact::Found),
    Group(group::Found),
    Timeline(timeline::Found),
    Presence(presence::Found),
    Node(node::Found),
    Search(search::Found),
    Denied(Denial),
    /// Storage could not answer; its log says why.
    Unavailable,
    /// A fault that does not pass: data that the read needs is damaged, or the database refuses the statement. The log
    /// says why.
    Failed,
}

/// Why storage rejects a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// There is no such user or conversation.
    NotFound,
    /// The user is not a member of the conversation.
    Forbidden,
    /// The requested state exists already, or another session holds the account.
    Conflict,
    /// The target is the user itself.
    Oneself,
    NameTaken,
    /// A quota is used up.
    Quota(Quota),
    /// The message refers to what it may not refer to.
    Reference(message::BadReference),
    /// The token is unknown, expired or revoked.
    TokenInvalid,
}

// These pass through queues by value, in large numbers.
const _: () = {
    assert!(size_of::<Write>() <= 120);
    assert!(size_of::<Written>() <= 80);
    assert!(size_of::<Read>() <= 40);
    assert!(size_of::<Found>() <= 48);
};

macro_rules! of_nouns {
    ($($Sum:ident { $($Noun:ident($noun:ident),)* })*) => {
        $($(
            impl From<$noun::$Sum> for $Sum {
                fn from(of_noun: $noun::$Sum) -> $Sum {
                    $Sum::$Noun(of_noun)
                }
            }
        )*)*
    };
}

of_nouns! {
    Write {
        Account(account), Session(session), Contact(contact), Group(group), Message(message), Change(change),
        Timeline(timeline), Presence(presence), Node(node),
    }
    Read {
        Account(account), Session(session), Contact(contact), Group(group), Timeline(timeline), Presence(presence),
        Node(node), Search(search),
    }
}
