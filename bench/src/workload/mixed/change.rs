//! Changes that a user asks for, and what was answered.

use wire::change::{self, Edit, React, Recall, Request};
use wire::limits::CONTENT_BYTES;
use wire::{ChangeKind, Command, ConversationId, Errno, Message, Reply, Seq, UserId};

/// Reactions that users choose from.
const REACTIONS: [&str; 5] = ["👍", "🎉", "❤\u{FE0F}", "赞", "a"];

/// A change of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub conversation: ConversationId,
    pub seq: Seq,
    pub change: WantedChange,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedChange {
    Edit { text: Box<str> },
    Recall,
    React { reaction: &'static str, on: bool },
}

/// The answers to a user's changes; they are compared with the timelines after the load.
#[derive(Debug, Default)]
pub struct Answered {
    /// Done, with the entry that tells of it.
    pub done: Vec<(Wanted, Seq)>,
    /// Refused because the message is not there, which only a recall excuses.
    pub not_found: Vec<Wanted>,
}

impl Wanted {
    /// Gives `message` a text that no other message had: the number of the edit, then its first text, so that it is
    /// found by the words of both.
    pub fn edit(message: &Message, number: u64) -> Wanted {
        let first = message.content.rsplit(' ').next().unwrap_or_default();
        let mut text = format!("edited r{number} {first}");
        // The stamps and the letters after them are ASCII.
        text.truncate(CONTENT_BYTES);
        Wanted::of(message, WantedChange::Edit { text: text.into() })
    }

    pub fn recall(message: &Message) -> Wanted {
        Wanted::of(message, WantedChange::Recall)
    }

    /// Adds a reaction that `pick` decides, or takes it back where the reader of `message` reacts so.
    pub fn react(message: &Message, pick: u64) -> Wanted {
        let reaction = REACTIONS[(pick % REACTIONS.len() as u64) as usize];
        let mut known = message.changes().into_iter().flat_map(|changes| &changes.reactions);
        let on = !known.any(|known| known.mine && *known.reaction == *reaction);
        Wanted::of(message, WantedChange::React { reaction, on })
    }

    fn of(message: &Message, change: WantedChange) -> Wanted {
        Wanted { conversation: message.conversation, seq: message.seq, change }
    }

    pub fn command(&self) -> Command {
        let &Wanted { conversation, seq, .. } = self;
        Command::Change(match &self.change {
            WantedChange::Edit { text } => {
                Request::Edit(Edit { conversation, seq, content: text.clone(), cid: None })
            }
            WantedChange::Recall => Request::Recall(Recall { conversation, seq, cid: None }),
            WantedChange::React { reaction, on } => {
                let (reaction, on) = ((*reaction).into(), *on);
                Request::React(React { conversation, seq, reaction, on, cid: None })
            }
        })
    }

    /// Whether `entry` tells of this change. An edit that was replaced later has no text. A recall may be that of
    /// another user, who was faster.
    pub fn is_told_by(&self, entry: &Message, from: UserId) -> bool {
        let Some(told) = entry.change().filter(|told| told.of == self.seq) else { return false };
        let is_own = entry.from == from;
        match (&self.change, told.kind) {
            (WantedChange::Edit { text }, ChangeKind::Edit) => {
                is_own && (entry.content.is_empty() || entry.content == *text)
            }
            (WantedChange::Recall, ChangeKind::Recall) => true,
            (WantedChange::React { reaction, on }, ChangeKind::Reaction { on: told }) => {
                is_own && *entry.content == **reaction && *on == told
            }
            _ => false,
        }
    }
}

impl Answered {
    /// Notes the reply to a change. Returns whether it is one that there may be.
    pub fn handle(&mut self, wanted: Wanted, reply: &Reply) -> bool {
        match (reply, &wanted.change) {
            (Reply::Change(change::Reply::Edited(changed)), WantedChange::Edit { .. })
            | (Reply::Change(change::Reply::Recalled(changed)), WantedChange::Recall)
            | (Reply::Change(change::Reply::Reacted(changed)), WantedChange::React { .. }) => {
                // 0: a reaction that is not there was taken back.
                if changed.seq > Seq(0) {
                    self.done.push((wanted, changed.seq));
                }
                true
            }
            (Reply::Refused(refusal), _) if refusal.errno == Errno::NotFound => {
                self.not_found.push(wanted);
                true
            }
            _ => false,
        }
    }
}
