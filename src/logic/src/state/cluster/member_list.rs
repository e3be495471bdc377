//! Who is a member of a conversation at a seq.
//!
//! Members change only by entries of the timeline, so a list that is right at one seq is right at the next one once
//! that entry is applied to it, in whatever way the entry arrived.

use crate::contract::node::RosterMember;
use std::sync::Arc;
use wire::{Message, Seq, UserId};

/// The members at the seq up to which its delivery line is settled.
#[derive(Debug)]
pub(crate) struct MemberList {
    /// Sorted by id.
    members: Arc<[UserId]>,
    /// Those who become members above that seq: the seq below each one's view; the nearest last.
    later: Vec<(Seq, UserId)>,
}

impl MemberList {
    /// A list as of the latest entry.
    pub fn new(members: Arc<[UserId]>) -> MemberList {
        MemberList { members, later: Vec::new() }
    }

    /// The members at `seq`, from a roster that was read at this seq or later.
    pub fn at(seq: Seq, roster: &[RosterMember]) -> MemberList {
        let is_in = |member: &&RosterMember| member.joined <= seq;
        let members = roster.iter().filter(is_in).map(|member| member.user).collect();
        let later = roster.iter().filter(|member| !is_in(member)).map(|member| (member.joined, member.user));
        let mut later: Vec<(Seq, UserId)> = later.collect();
        later.sort_unstable_by(|a, b| b.cmp(a));
        MemberList { members, later }
    }

    /// Moves to the seq of the next entry. Returns the members there: those to whom the entry is delivered.
    pub fn pass(&mut self, entry: &Message) -> &Arc<[UserId]> {
        // Groups joined before joins were entries have members of whom no entry tells.
        while let Some((_, user)) = self.later.pop_if(|(joined, _)| *joined < entry.seq) {
            self.add(user);
        }
        if let Some(system) = entry.system().filter(|system| system.adds_members()) {
            system.who.iter().for_each(|user| self.add(*user));
        }
        &self.members
    }

    fn add(&mut self, user: UserId) {
        if let Err(at) = self.members.binary_search(&user) {
            let (below, above) = self.members.split_at(at);
            self.members = below.iter().chain([&user]).chain(above).copied().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::entry::Actor;
    use crate::contract::message::Stored;
    use wire::entry::Event;
    use wire::{ConversationId, ConversationKind, UnixMillis};

    fn entry(seq: u64, joined: Option<u32>) -> Arc<Message> {
        let stored = Stored { conversation: ConversationId(1), seq: Seq(seq), time: UnixMillis(1) };
        let actor = Actor { user: UserId(joined.unwrap_or(1)), name: "a".into(), cid: "".into() };
        let event = if joined.is_some() { Event::Joined } else { Event::Other("renamed".into()) };
        actor.entry(event, ConversationKind::Group, stored)
    }

    fn ids(list: &mut MemberList, seq: u64, joined: Option<u32>) -> Vec<u32> {
        list.pass(&entry(seq, joined)).iter().map(|user| user.0).collect()
    }

    #[test]
    fn a_list_follows_the_entries() {
        let mut list = MemberList::new([1, 5].map(UserId).into());
        assert_eq!(ids(&mut list, 8, None), [1, 5]);
        assert_eq!(ids(&mut list, 9, Some(3)), [1, 3, 5]);
        assert_eq!(ids(&mut list, 10, Some(3)), [1, 3, 5]);
        assert_eq!(ids(&mut list, 11, Some(7)), [1, 3, 5, 7]);
    }

    #[test]
    fn a_roster_that_is_newer_than_the_list_adds_each_member_at_its_seq() {
        let member =
            |user, joined| RosterMember { user: UserId(user), joined: Seq(joined), delivered: Seq(joined) };
        let roster = [member(1, 0), member(2, 6), member(3, 4), member(4, 9)];
        let mut list = MemberList::at(Seq(4), &roster);
        assert_eq!(ids(&mut list, 5, None), [1, 3]);
        assert_eq!(ids(&mut list, 6, None), [1, 3], "the view of 2 begins above 6");
        assert_eq!(ids(&mut list, 7, None), [1, 2, 3], "also without an entry");
        assert_eq!(ids(&mut list, 8, None), [1, 2, 3]);
        assert_eq!(ids(&mut list, 9, None), [1, 2, 3]);
        assert_eq!(ids(&mut list, 10, Some(4)), [1, 2, 3, 4]);
    }
}
