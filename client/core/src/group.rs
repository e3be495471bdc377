//! Groups and their members.

use crate::reorder::ReorderBuffer;
use crate::requests::RequestId;
use crate::state::{Conversation, Session};
use wire::group::{Create, Join, Leave, Members, Remove, Reply, Request, Role, SetRole, Transfer};
use wire::{ConversationId, Page, Seq, UnixMillis, UserId, limits};

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

    pub fn leave_group(&mut self, now: u64, group: ConversationId) -> RequestId {
        self.ask(now, Request::Leave(Leave { conversation: group }))
    }

    /// Asks to remove a member from a group; `bar`: it may not join again.
    pub fn remove_member(&mut self, now: u64, group: ConversationId, id: UserId, bar: bool) -> RequestId {
        self.ask(now, Request::Remove(Remove { conversation: group, id, bar }))
    }

    /// Asks to make a member an admin, or a normal member.
    pub fn set_role(&mut self, now: u64, group: ConversationId, id: UserId, role: Role) -> RequestId {
        self.ask(now, Request::SetRole(SetRole { conversation: group, id, role }))
    }

    /// Asks to make another member the creator of a group.
    pub fn transfer_group(&mut self, now: u64, group: ConversationId, id: UserId) -> RequestId {
        self.ask(now, Request::Transfer(Transfer { conversation: group, id }))
    }

    pub(crate) fn note_group_reply(&mut self, reply: &Reply) {
        if let Reply::Created(created) = reply {
            // A group that this client has left and that had the same id before a restore.
            self.forget_former(created.conversation, Seq(0), UnixMillis(u64::MAX));
            // This client sees the whole timeline, from its first message on.
            let buffer = ReorderBuffer::starting_after(Seq(0));
            let new = || Conversation { buffer, ..Default::default() };
            self.conversations.entry(created.conversation).or_insert_with(new);
            self.note_conversation(created.conversation);
        }
    }
}
