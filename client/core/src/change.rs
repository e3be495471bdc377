//! Changes of messages.

use crate::requests::RequestId;
use crate::state::Session;
use wire::change::{React, Request};
use wire::{ConversationId, Seq};

impl Session {
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
