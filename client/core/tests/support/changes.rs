//! Changes of messages: REACT.

use super::{FakeServer, ME};
use std::sync::Arc;
use wire::change::{Changed, React, Reply as ChangeReply};
use wire::{Change, ChangeKind, ConversationId, Errno, Message, Refusal, Reply, Seq, UserId};

impl FakeServer {
    /// A user reacts to a message; returns the place of the entry that tells of it.
    pub fn react(&mut self, user: UserId, react: &React) -> Changed {
        let id = react.conversation.0;
        let sent = self.store(id, user, &react.reaction, None);
        let messages = &mut self.conversations.get_mut(&id).expect("it has a message").messages;
        let entry = Arc::make_mut(&mut messages[sent.seq.0 as usize - 1]);
        entry.content_type = wire::change::REACTION.into();
        let change = Change { of: react.seq, kind: ChangeKind::Reaction { on: react.on } };
        entry.extra = Some(change.into());
        let entry = Message::clone(entry);
        Arc::make_mut(&mut messages[react.seq.0 as usize - 1]).apply(&entry, ME);
        Changed { seq: sent.seq, time: sent.time }
    }

    pub(super) fn answer_react(&mut self, react: &React) -> Reply {
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
        ChangeReply::Changed(changed).into()
    }

    /// What a user's reaction to a message asks for.
    pub fn reaction(id: u32, seq: u64, reaction: &str, on: bool) -> React {
        React { conversation: ConversationId(id), seq: Seq(seq), reaction: reaction.into(), on, cid: None }
    }
}
