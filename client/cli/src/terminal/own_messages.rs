//! [`OwnMessages`]: the user's messages, from the moment they are typed until they are read.

use super::renderer::MarkId;
use super::screen::Screen;
use crate::display::style::{Mark, Tally};
use chatclient_core::LocalId;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use wire::{ConversationId, References, Seq, Target, name};

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
    pub references: Option<Box<References>>,
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
    /// In a group, as far as it was asked for.
    tally: Option<Tally>,
}

#[derive(Debug)]
pub struct Failed {
    pub local: LocalId,
    pub to: Target,
    pub text: String,
    pub references: Option<Box<References>>,
}

impl OwnMessages {
    pub fn new_mark_id(&mut self) -> MarkId {
        self.last_id += 1;
        MarkId(self.last_id)
    }

    /// Whether a message to a user of this name is being sent.
    pub fn is_for_user_named(&self, wanted: &str) -> bool {
        let wanted = name::key(wanted);
        let is_it = |to: &Target| matches!(to, Target::Name(name) if name::key(name) == wanted);
        self.waiting.values().any(|waiting| is_it(&waiting.to))
    }

    /// Watches a stored message whose line shows `mark`.
    pub fn watch(&mut self, conversation: ConversationId, seq: Seq, mark_id: MarkId, mark: Mark) {
        if self.watched.len() == WATCHED_MAX {
            self.watched.pop_front();
        }
        if mark != Mark::Read {
            self.watched.push_back(Watched { conversation, seq, mark_id, mark, tally: None });
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

    /// The last `most` stored messages of a conversation that are among the visible ones and whose mark may change.
    pub fn watched(&self, of: ConversationId, visible: &HashSet<MarkId>, most: usize) -> Vec<Seq> {
        let own = self.watched.iter().filter(|own| own.conversation == of && visible.contains(&own.mark_id));
        let seqs: BTreeSet<Seq> = own.map(|own| own.seq).collect();
        seqs.into_iter().rev().take(most).collect()
    }

    /// The last own message of a conversation that is watched.
    pub fn last_watched(&self, of: ConversationId) -> Option<Seq> {
        self.watched.iter().filter(|own| own.conversation == of).map(|own| own.seq).max()
    }

    /// Shows how many have read a message in a group; returns whether that has changed.
    pub fn count(&mut self, screen: &Screen, conversation: ConversationId, seq: Seq, tally: Tally) -> bool {
        let mut changed = false;
        for own in self.watched.iter_mut().filter(|own| own.conversation == conversation && own.seq == seq) {
            if own.tally.replace(tally) != Some(tally) {
                screen.tally(own.mark_id, tally);
                changed = true;
            }
        }
        changed
    }

    /// The mark of a message will not change.
    pub fn stop_watching(&mut self, conversation: ConversationId, seq: Seq) {
        self.watched.retain(|own| own.conversation != conversation || own.seq != seq);
    }

    /// Forgets everything: the account has changed.
    pub fn clear(&mut self) {
        *self = OwnMessages { last_id: self.last_id, ..OwnMessages::default() };
    }
}
