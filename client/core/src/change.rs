//! Changes of messages.

use crate::requests::RequestId;
use crate::state::Session;
use wire::change::{Edit, React, Recall, Request};
use wire::{ConversationId, Seq};

impl Session {
    /// Gives an own message another text. The entry that tells of it arrives like that of anybody else.
    pub fn edit(&mut self, now: u64, conversation: ConversationId, seq: Seq, content: &str) -> RequestId {
        self.ask(now, Request::Edit(Edit { conversation, seq, content: content.into(), cid: None }))
    }

    /// Takes a message back.
    pub fn recall(&mut self, now: u64, conversation: ConversationId, seq: Seq) -> RequestId {
        self.ask(now, Request::Recall(Recall { conversation, seq, cid: None }))
    }

    /// Adds the user's reaction to a message, or takes it back. The entry that tells of it arrives like that of anybody
    /// else; if the same is asked again, nothing changes.
    pub fn react(
        &mut self,
        now: u64,
        conversation: ConversationId,
        seq: Seq,
        reaction: &str,
        on: bool,
    ) -> RequestId {
        self.ask(now, Request::React(React { conversation, seq, reaction: reaction.into(), on, cid: None }))
    }
}
