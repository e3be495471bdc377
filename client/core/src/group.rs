//! Groups and their members.

use crate::reorder::ReorderBuffer;
use crate::requests::RequestId;
use crate::state::{Conversation, Session};
use wire::group::{Create, Join, Members, Reply, Request};
use wire::{ConversationId, Page, Seq, limits};

impl Session {
    pub fn create_group(&mut self, now: u64, name: &str, desc: &str) -> RequestId {
        self.ask(now, Request::Create(Create { name: name.into(), desc: desc.into() }))
    }

    pub fn join_group(&mut self, now: u64, group: ConversationId) -> RequestId {
        self.ask(now, Request::Join(Join { conversation: group }))
    }

    /// Asks for the groups whose id is above `after`.
    pub fn groups(&mut self, now: u64, after: u32) -> RequestId {
        self.ask(now, Request::Groups(Page { after, limit: limits::PAGE_MAX }))
    }

    /// Asks for the members of a group whose id is above `after`.
    pub fn members(&mut self, now: u64, group: ConversationId, after: u32) -> RequestId {
        let page = Page { after, limit: limits::PAGE_MAX };
        self.ask(now, Request::Members(Members { conversation: group, page }))
    }

    pub(crate) fn note_group_reply(&mut self, reply: &Reply) {
        if let Reply::Created(created) = reply {
            // This client sees the whole timeline, from its first message on.
            let buffer = ReorderBuffer::starting_after(Seq(0));
            let new = || Conversation { buffer, ..Default::default() };
            self.conversations.entry(created.conversation).or_insert_with(new);
            self.note_conversation(created.conversation);
        }
    }
}
