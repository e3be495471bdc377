//! MEMBERS of the fake server: the others of a group, and the account itself; and the entries of joins and leaves.

use super::{FakeServer, ME};
use std::sync::Arc;
use wire::group::{Member, Members, MembersPage, Reply as GroupReply, Role};
use wire::message::Sent;
use wire::presence::Presence;
use wire::{Reply, Seq, System, UserId, entry};

impl FakeServer {
    pub(super) fn member_page(&self, asked: &Members) -> Reply {
        let others = self.members.get(&asked.conversation.0).into_iter().flatten().map(|(id, _)| *id);
        let mut ids: Vec<u32> = others.chain([ME.0]).filter(|id| *id > asked.page.after).collect();
        ids.sort_unstable();
        let is_owned = self.owned.contains(&asked.conversation.0);
        let member = |id: &u32| Member {
            id: UserId(*id),
            name: self.names.user(*id),
            state: Presence::Offline,
            role: if is_owned && *id == ME.0 { Role::Creator } else { Role::Normal },
        };
        let members = ids.iter().take(asked.page.limit as usize).map(member).collect();
        let more = ids.len() > asked.page.limit as usize;
        GroupReply::Members(Box::new(MembersPage { members, more })).into()
    }

    /// A user joins a group, of which an entry of its timeline tells.
    pub fn store_join(&mut self, id: u32, user: UserId) -> Seq {
        self.store_told(id, user, entry::Event::Joined)
    }

    /// A user leaves a group, of which an entry of its timeline tells.
    pub fn store_leave(&mut self, id: u32, user: UserId) -> Seq {
        self.store_told(id, user, entry::Event::Left)
    }

    fn store_told(&mut self, id: u32, user: UserId, event: entry::Event) -> Seq {
        let told = format!("{} {}", self.names.user(user.0), event.as_str());
        let Sent { seq, .. } = self.store(id, user, &told, None);
        self.make_group(id);
        let conversation = self.conversations.get_mut(&id).expect("it was just stored in");
        let told = Arc::make_mut(&mut conversation.messages[seq.0 as usize - 1]);
        told.content_type = entry::SYSTEM.into();
        let system = System { event, who: [user].into(), by: user, value: None };
        told.extra = Some(system.into());
        seq
    }
}
