//! Which writes of a batch may share a commit.

use super::sent::CidHint;
use logic::contract::{Ticket, Write, account, group, presence, session, timeline};
use std::iter::Peekable;
use wire::ConversationId;

/// A write, and the result of looking up its cid in memory.
pub type HintedWrite = ((Ticket, Write), CidHint);

/// The writes that are committed together: the longest prefix of a batch whose parts may become durable in the order
/// tables, messages. An entry that is a row of a table takes the seq after a message only once that message is durable,
/// and a member's view begins after a message only once that is durable: such a write begins a new group after a message
/// of its conversation, and moves ahead of messages of others. Writes that concern no message are exempt, so that a wave
/// of logins does not split the messages between them into many commits. Cursors, which need no sync, form groups of
/// their own.
pub struct CommitGroup<'a, I: Iterator> {
    writes: &'a mut Peekable<I>,
    /// The highest part so far.
    highest: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Cursors,
    /// Independent of all messages.
    Independent,
    Tables,
    Messages,
}

impl Part {
    fn of(write: &Write) -> Part {
        match write {
            Write::Timeline(timeline::Write::MoveCursors(_)) => Part::Cursors,
            Write::Account(account::Write::Create { .. })
            | Write::Session(
                session::Write::CreateToken { .. }
                | session::Write::ExtendToken { .. }
                | session::Write::RevokeToken(_)
                | session::Write::Settle,
            )
            | Write::Contact(_)
            | Write::Presence(presence::Write::Seen(_))
            | Write::Group(group::Write::Create { .. }) => Part::Independent,
            Write::Message(_) => Part::Messages,
            Write::Session(
                session::Write::Claim(_)
                | session::Write::Abandon { .. }
                | session::Write::Lose { .. }
                | session::Write::End { .. }
                | session::Write::Touch(_)
                | session::Write::Revoke { .. },
            )
            | Write::Account(account::Write::ChangePassword(_))
            | Write::Group(group::Write::Join { .. } | group::Write::Change(_))
            | Write::Change(_)
            | Write::Timeline(timeline::Write::Set { .. } | timeline::Write::Clear { .. })
            | Write::Presence(presence::Write::Set { .. })
            | Write::Node(_) => Part::Tables,
            Write::Fenced(_, write) => Part::of(write),
        }
    }

    /// Whether a write of this part may join a group whose highest part so far is `highest`.
    fn may_join(self, highest: Option<Part>) -> bool {
        match highest {
            None => true,
            Some(Part::Cursors) => self == Part::Cursors,
            Some(highest) => self >= highest || self == Part::Independent,
        }
    }
}

/// The conversation of which a write to a table stores the end: in an entry that is a row, or for a member.
fn stores_end(write: &Write) -> Option<ConversationId> {
    match write {
        Write::Group(group::Write::Join { conversation, .. })
        | Write::Timeline(
            timeline::Write::Set { conversation, .. } | timeline::Write::Clear { conversation, .. },
        ) => Some(*conversation),
        Write::Change(change) => Some(change.conversation),
        Write::Group(group::Write::Change(change)) => Some(change.conversation),
        Write::Fenced(_, write) => stores_end(write),
        _ => None,
    }
}

impl<'a, I: Iterator<Item = HintedWrite>> CommitGroup<'a, I> {
    pub fn of(writes: &'a mut Peekable<I>) -> Self {
        CommitGroup { writes, highest: None }
    }

    /// The next write of the group. `has_message`: whether the group has stored a message in a conversation.
    pub fn next(&mut self, has_message: impl Fn(ConversationId) -> bool) -> Option<HintedWrite> {
        let highest = self.highest;
        let joins = |write: &Write| {
            let moves_ahead = || stores_end(write).is_some_and(|conversation| !has_message(conversation));
            Part::of(write).may_join(highest) || (highest == Some(Part::Messages) && moves_ahead())
        };
        let next = self.writes.next_if(|((_, write), _)| joins(write))?;
        self.highest = highest.max(Some(Part::of(&next.0.1)));
        Some(next)
    }
}
