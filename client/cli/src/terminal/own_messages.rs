//! [`OwnMessages`]: the user's messages, from the moment they are typed until they are read.

use super::renderer::MarkId;
use super::screen::Screen;
use crate::display::style::Mark;
use chatclient_core::LocalId;
use std::collections::{BTreeMap, VecDeque};
use wire::{ConversationId, Seq, Target};

/// The most stored messages whose mark may still change.
const WATCHED_MAX: usize = 1_000;

#[derive(Debug, Default)]
pub struct OwnMessages {
    last_id: u64,
    /// Not yet stored.
    pub waiting: BTreeMap<LocalId, Waiting>,
    /// Stored, not yet read.
    watched: VecDeque<Watched>,
    /// Sent again only if the user asks for it.
    pub failed: Vec<Failed>,
}

/// A message that is being sent.
#[derive(Debug)]
pub struct Waiting {
    pub to: Target,
    pub text: String,
    pub mark_id: MarkId,
    /// Whether the user was notified of the delay.
    pub delayed: bool,
}

#[derive(Debug)]
struct Watched {
    conversation: ConversationId,
    seq: Seq,
    mark_id: MarkId,
    mark: Mark,
}

#[derive(Debug)]
pub struct Failed {
    pub local: LocalId,
    pub to: Target,
    pub text: String,
}

impl OwnMessages {
    pub fn new_mark_id(&mut self) -> MarkId {
        self.last_id += 1;
        MarkId(self.last_id)
    }

    /// Watches a stored message whose line shows `mark`.
    pub fn watch(&mut self, conversation: ConversationId, seq: Seq, mark_id: MarkId, mark: Mark) {
        if self.watched.len() == WATCHED_MAX {
            self.watched.pop_front();
        }
        if mark != Mark::Read {
            self.watched.push_back(Watched { conversation, seq, mark_id, mark });
        }
    }

    /// Raises the mark of every watched message up to `seq`; returns whether any changed.
    pub fn advance(&mut self, screen: &Screen, conversation: ConversationId, seq: Seq, mark: Mark) -> bool {
        let mut changed = false;
        for own in &mut self.watched {
            if own.conversation == conversation && own.seq <= seq && own.mark < mark {
                own.mark = mark;
                screen.mark(own.mark_id, mark);
                changed = true;
            }
        }
        self.watched.retain(|own| own.mark != Mark::Read);
        changed
    }

    /// Forgets everything: the account has changed.
    pub fn clear(&mut self) {
        *self = OwnMessages { last_id: self.last_id, ..OwnMessages::default() };
    }
}
