//! MEMBERS of the fake server: the others of a group, and the account itself.

use super::{FakeServer, ME};
use wire::group::{Member, Members, MembersPage, Reply as GroupReply, Role};
use wire::presence::Presence;
use wire::{Reply, UserId};

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
            role: if is_owned && *id == ME.0 { Role::Owner } else { Role::Member },
        };
        let members = ids.iter().take(asked.page.limit as usize).map(member).collect();
        let more = ids.len() > asked.page.limit as usize;
        GroupReply::Members(Box::new(MembersPage { members, more })).into()
    }
}
