//! Which writes of a batch one commit may hold.

use super::sent::Met;
use logic::contract::{Ticket, Write, session, timeline};
use std::iter::Peekable;

/// A write, and what was known of its cid when it was met.
pub type WriteMet = ((Ticket, Write), Met);

/// The writes that are committed together: the longest beginning of a batch of which all parts may become durable in
/// the order tables, messages. Where somebody joined may point at a message only once that is promised, so what is
/// written to tables begins a new group after a message, unless it is about accounts: a storm of logins does not take
/// the messages between them apart. Cursors, which need no sync, make groups of their own.
pub struct CommitGroup<'a, I: Iterator> {
    writes: &'a mut Peekable<I>,
    /// The highest part in it.
    highest: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Cursors,
    /// About no conversation, so about no message.
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

    /// Whether it may stand in a group of which `highest` is the highest part so far.
    fn may_join(self, highest: Option<Part>) -> bool {
        match highest {
            None => true,
            Some(Part::Cursors) => self == Part::Cursors,
            Some(highest) => self >= highest || self == Part::Accounts,
        }
    }
}

impl<'a, I: Iterator<Item = WriteMet>> CommitGroup<'a, I> {
    pub fn of(writes: &'a mut Peekable<I>) -> Self {
        CommitGroup { writes, highest: None }
    }
}

impl<I: Iterator<Item = WriteMet>> Iterator for CommitGroup<'_, I> {
    type Item = WriteMet;

    fn next(&mut self) -> Option<WriteMet> {
        let highest = self.highest;
        let next = self.writes.next_if(|((_, write), _)| Part::of(write).may_join(highest))?;
        self.highest = highest.max(Some(Part::of(&next.0.1)));
        Some(next)
    }
}
