//! Groups as the storage of the tests keeps them.

use super::Harness;
use logic::contract::entry::{Actor, Announcement, Entry};
use logic::contract::group::{Change, Written as GroupWritten};
use logic::contract::message::Stored;
use logic::contract::{Denial, Written};
use logic::rights;
use std::sync::Arc;
use wire::entry::Event;
use wire::group::Role;
use wire::{ConversationId, Seq, UserId};

impl Harness {
    /// The first member is the creator; roles are not kept.
    pub(super) fn change_group(&mut self, change: &Change) -> Written {
        let found = self.conversations.get_mut(change.conversation.0 as usize - 1);
        let Some(group) = found.filter(|found| found.members.contains(&change.by.user)) else {
            return Written::Denied(Denial::Forbidden);
        };
        let role = |user: UserId| if group.members[0] == user { Role::Creator } else { Role::Normal };
        let target = change.target().filter(|user| group.members.contains(user)).map(role);
        let (has_left, members) = (false, group.members.len());
        let asked = rights::group::Asked { role: role(change.by.user), target, has_left, members };
        if let Err(why) = rights::group::change(change, asked) {
            return Written::Group(GroupWritten::Refused(why));
        }
        let entry = self.append_told(change.conversation, &change.by, change.announcement("somebody"));
        if let Some(user) = change.removed() {
            let group = &mut self.conversations[change.conversation.0 as usize - 1];
            group.members.retain(|member| *member != user);
            group.left.insert(user, entry.message.seq);
        }
        Written::Group(GroupWritten::Changed(entry))
    }

    pub(super) fn append_entry(&mut self, conversation: ConversationId, by: &Actor, event: Event) -> Entry {
        self.append_told(conversation, by, by.announcement(event))
    }

    pub fn append_told(&mut self, conversation: ConversationId, by: &Actor, told: Announcement) -> Entry {
        let time = self.now.wall;
        let group = &mut self.conversations[conversation.0 as usize - 1];
        let seq = Seq(group.messages.len() as u64 + 1);
        let message = by.entry(told, Stored { conversation, seq, time });
        group.messages.push(Arc::clone(&message));
        Entry { message, members: group.members.as_slice().into() }
    }
}
