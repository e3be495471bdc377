//! Changes of messages: EDIT, RECALL and REACT.

use super::{FakeServer, ME};
use std::sync::Arc;
use wire::change::{Changed, Edit, React, Recall, Reply as ChangeReply, Request};
use wire::{Change, ChangeKind, ConversationId, Errno, Message, Refusal, Reply, Seq, UserId};

impl FakeServer {
    /// A user reacts to a message; returns the place of the entry that tells of it.
    pub fn react(&mut self, user: UserId, react: &React) -> Changed {
        let change = Change { of: react.seq, kind: ChangeKind::Reaction { on: react.on } };
        self.change(user, react.conversation.0, change, &react.reaction)
    }

    /// A user changes a message; returns the place of the entry that tells of it.
    pub fn change(&mut self, user: UserId, id: u32, change: Change, content: &str) -> Changed {
        let sent = self.store(id, user, content, None);
        let messages = &mut self.conversations.get_mut(&id).expect("it has a message").messages;
        let entry = Arc::make_mut(&mut messages[sent.seq.0 as usize - 1]);
        entry.content_type = change.content_type().into();
        entry.extra = Some(change.into());
        let entry = Message::clone(entry);
        Arc::make_mut(&mut messages[change.of.0 as usize - 1]).apply(&entry, ME);
        Changed { seq: sent.seq, time: sent.time }
    }

    pub(super) fn answer_change(&mut self, request: &Request) -> Reply {
        match request {
            Request::React(react) => self.answer_react(react),
            Request::Edit(Edit { conversation, seq, content, .. }) => {
                self.answer_own(*conversation, Change { of: *seq, kind: ChangeKind::Edit }, content)
            }
            Request::Recall(Recall { conversation, seq, .. }) => {
                self.answer_own(*conversation, Change { of: *seq, kind: ChangeKind::Recall }, "")
            }
        }
    }

    /// The user changes an own message.
    fn answer_own(&mut self, of: ConversationId, change: Change, content: &str) -> Reply {
        let message = self.conversations.get(&of.0).map(|found| &found.messages);
        let message = message.and_then(|messages| messages.get((change.of.0 as usize).checked_sub(1)?));
        match message {
            None => Refusal::new(Errno::NotFound, "there is no such message").into(),
            Some(message) if message.from != ME => {
                Refusal::new(Errno::Forbidden, "the message is somebody else's").into()
            }
            Some(_) => {
                let changed = Box::new(self.change(ME, of.0, change, content));
                match change.kind {
                    ChangeKind::Edit => ChangeReply::Edited(changed).into(),
                    _ => ChangeReply::Recalled(changed).into(),
                }
            }
        }
    }

    fn answer_react(&mut self, react: &React) -> Reply {
        let message = self.conversations.get(&react.conversation.0).map(|found| &found.messages);
        let message = message.and_then(|messages| messages.get((react.seq.0 as usize).checked_sub(1)?));
        let Some(message) = message else {
            return Refusal::new(Errno::NotFound, "there is no such message").into();
        };
        let reactions = message.changes().map_or(&[][..], |changes| &changes.reactions);
        let is_there = reactions.iter().any(|of| of.mine && of.reaction == react.reaction);
        let changed = match is_there == react.on {
            true => Changed { seq: Seq(0), time: message.time },
            false => self.react(ME, react),
        };
        ChangeReply::Reacted(Box::new(changed)).into()
    }

    /// What a user's reaction to a message asks for.
    pub fn reaction(id: u32, seq: u64, reaction: &str, on: bool) -> React {
        React { conversation: ConversationId(id), seq: Seq(seq), reaction: reaction.into(), on, cid: None }
    }
}
