//! Which writes of a batch may share a commit.

use super::sent::CidHint;
use logic::contract::{Ticket, Write, session, timeline};
use std::iter::Peekable;

/// A write, and the result of looking up its cid in memory.
pub type HintedWrite = ((Ticket, Write), CidHint);

/// The writes that are committed together: the longest prefix of a batch whose parts may become durable in the order
/// tables, messages. The seq at which a user joins may refer to a message only once that message is durable, so a write
/// to tables begins a new group after a message. Account writes are exempt, so that a wave of logins does not split the
/// messages between them into many commits. Cursors, which need no sync, form groups of their own.
pub struct CommitGroup<'a, I: Iterator> {
    writes: &'a mut Peekable<I>,
    /// The highest part so far.
    highest: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Cursors,
    /// Independent of conversations, and so of messages.
    Accounts,
    Tables,
    Messages,
}

impl Part {
    fn of(write: &Write) -> Part {
        match write {
            Write::Timeline(timeline::Write::MoveCursors(_)) => Part::Cursors,
            Write::Account(_)
            | Write::Session(
                session::Write::CreateToken { .. }
                | session::Write::ExtendToken { .. }
                | session::Write::RevokeToken(_),
            ) => Part::Accounts,
            Write::Message(_) => Part::Messages,
            Write::Session(session::Write::Claim { .. } | session::Write::Release { .. })
            | Write::Contact(_)
            | Write::Group(_)
            | Write::Node(_)
            | Write::Fenced(..) => Part::Tables,
        }
    }

    /// Whether a write of this part may join a group whose highest part so far is `highest`.
    fn may_join(self, highest: Option<Part>) -> bool {
        match highest {
            None => true,
            Some(Part::Cursors) => self == Part::Cursors,
            Some(highest) => self >= highest || self == Part::Accounts,
        }
    }
}

impl<'a, I: Iterator<Item = HintedWrite>> CommitGroup<'a, I> {
    pub fn of(writes: &'a mut Peekable<I>) -> Self {
        CommitGroup { writes, highest: None }
    }
}

impl<I: Iterator<Item = HintedWrite>> Iterator for CommitGroup<'_, I> {
    type Item = HintedWrite;

    fn next(&mut self) -> Option<HintedWrite> {
        let highest = self.highest;
        let next = self.writes.next_if(|((_, write), _)| Part::of(write).may_join(highest))?;
        self.highest = highest.max(Some(Part::of(&next.0.1)));
        Some(next)
    }
}
