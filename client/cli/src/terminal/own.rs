//! Messages of this user: from the moment they are typed to the moment they are read.

use super::screen::{LineId, Screen};
use super::style::Mark;
use chatclient_core::LocalId;
use std::collections::{BTreeMap, VecDeque};
use wire::{ConversationId, Seq, Target};

/// Stored messages whose mark may still change on the screen.
const WATCHED_MAX: usize = 1_000;

/// The user's messages that are not done with.
#[derive(Debug, Default)]
pub struct OwnMessages {
    last_line: u64,
    /// Not yet stored.
    pub waiting: BTreeMap<LocalId, Waiting>,
    /// Stored, and not yet read by everybody.
    watched: VecDeque<Watched>,
    /// They will not be stored unless the user says so.
    pub failed: Vec<Failure>,
}

/// A message under way.
#[derive(Debug)]
pub struct Waiting {
    pub to: Target,
    pub text: String,
    pub line: LineId,
    /// The user knows that it takes longer.
    pub delayed: bool,
}

#[derive(Debug)]
struct Watched {
    conversation: ConversationId,
    seq: Seq,
    line: LineId,
    mark: Mark,
}

/// A message that failed.
#[derive(Debug)]
pub struct Failure {
    pub local: LocalId,
    pub to: Target,
    pub text: String,
}

impl OwnMessages {
    /// A name for one more line on the screen.
    pub fn new_line(&mut self) -> LineId {
        self.last_line += 1;
        LineId(self.last_line)
    }

    /// A message stands at its place in the timeline, and its line shows this mark.
    pub fn watch(&mut self, conversation: ConversationId, seq: Seq, line: LineId, mark: Mark) {
        if self.watched.len() == WATCHED_MAX {
            self.watched.pop_front();
        }
        if mark != Mark::Read {
            self.watched.push_back(Watched { conversation, seq, line, mark });
        }
    }

    /// Everything of a conversation up to `seq` has come this far. Whether that was news for anything watched.
    pub fn advance(&mut self, screen: &Screen, conversation: ConversationId, seq: Seq, mark: Mark) -> bool {
        let mut news = false;
        for own in &mut self.watched {
            if own.conversation == conversation && own.seq <= seq && own.mark < mark {
                own.mark = mark;
                screen.mark(own.line, mark);
                news = true;
            }
        }
        self.watched.retain(|own| own.mark != Mark::Read);
        news
    }

    /// Somebody else is here.
    pub fn clear(&mut self) {
        *self = OwnMessages { last_line: self.last_line, ..OwnMessages::default() };
    }
}
