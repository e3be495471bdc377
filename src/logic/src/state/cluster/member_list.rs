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
    /// Those who cease to be members by the entry at that seq, which is still delivered to them.
    leaving: Box<[UserId]>,
}

impl MemberList {
    /// A list as of this entry, which was the latest one. `members`: those to whom it is delivered.
    pub fn new(members: Arc<[UserId]>, entry: &Message) -> MemberList {
        MemberList { members, later: Vec::new(), leaving: leaving(entry) }
    }

    /// The members at `seq`, from a roster that was read at this seq or later.
    pub fn at(seq: Seq, roster: &[RosterMember]) -> MemberList {
        let stays = |member: &&RosterMember| member.left.is_none_or(|left| left > seq);
        let is_in = |member: &&RosterMember| member.joined <= seq;
        let mut members: Vec<UserId> =
            roster.iter().filter(stays).filter(is_in).map(|member| member.user).collect();
        members.sort_unstable();
        let later = roster.iter().filter(|member| !is_in(member)).map(|member| (member.joined, member.user));
        let mut later: Vec<(Seq, UserId)> = later.collect();
        later.sort_unstable_by(|a, b| b.cmp(a));
        MemberList { members: members.into(), later, leaving: Box::default() }
    }

    /// Moves to the seq of the next entry. Returns the members there: those to whom the entry is delivered.
    pub fn pass(&mut self, entry: &Message) -> &Arc<[UserId]> {
        for user in std::mem::replace(&mut self.leaving, leaving(entry)) {
            self.remove(user);
        }
        // Groups joined before joins were entries have members of whom no entry tells.
        while let Some((_, user)) = self.later.pop_if(|(joined, _)| *joined < entry.seq) {
            self.add(user);
        }
        if let Some(system) = entry.system().filter(|system| system.adds_members()) {
            system.who.iter().for_each(|user| self.add(*user));
        }
        &self.members
    }

    /// Whether a user is a member, or becomes one above that seq without an entry.
    pub fn includes(&self, user: UserId) -> bool {
        self.members.binary_search(&user).is_ok() || self.later.iter().any(|(_, later)| *later == user)
    }

    fn add(&mut self, user: UserId) {
        if let Err(at) = self.members.binary_search(&user) {
            let (below, above) = self.members.split_at(at);
            self.members = below.iter().chain([&user]).chain(above).copied().collect();
        }
    }

    fn remove(&mut self, user: UserId) {
        if let Ok(at) = self.members.binary_search(&user) {
            self.members = self.members[..at].iter().chain(&self.members[at + 1..]).copied().collect();
        }
    }
}

/// Who ceases to be a member by an entry.
fn leaving(entry: &Message) -> Box<[UserId]> {
    let system = entry.system().filter(|system| system.removes_members());
    system.map_or_else(Box::default, |system| system.who.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::entry::{Actor, Announcement};
    use crate::contract::message::Stored;
    use wire::ConversationId;
    use wire::UnixMillis;
    use wire::entry::Event;

    fn entry(seq: u64, event: Event, user: u32) -> Arc<Message> {
        let stored = Stored { conversation: ConversationId(1), seq: Seq(seq), time: UnixMillis(1) };
        let actor = Actor { user: UserId(1), name: "a".into(), cid: "".into() };
        let told = Announcement { event, who: [UserId(user)].into(), value: None, content: "".into() };
        actor.entry(told, stored)
    }

    fn after(list: &mut MemberList, seq: u64, event: Event, user: u32) -> Vec<u32> {
        list.pass(&entry(seq, event, user)).iter().map(|user| user.0).collect()
    }

    fn ids(list: &mut MemberList, seq: u64, joined: Option<u32>) -> Vec<u32> {
        let event = if joined.is_some() { Event::Joined } else { Event::Role };
        after(list, seq, event, joined.unwrap_or(1))
    }

    fn list(members: &[u32]) -> MemberList {
        MemberList::new(members.iter().copied().map(UserId).collect(), &entry(7, Event::Role, 1))
    }

    #[test]
    fn a_list_follows_the_entries() {
        let mut list = list(&[1, 5]);
        assert_eq!(ids(&mut list, 8, None), [1, 5]);
        assert_eq!(ids(&mut list, 9, Some(3)), [1, 3, 5]);
        assert_eq!(ids(&mut list, 10, Some(3)), [1, 3, 5]);
        assert_eq!(ids(&mut list, 11, Some(7)), [1, 3, 5, 7]);
    }

    #[test]
    fn the_entry_of_a_removal_is_the_last_that_goes_to_whoever_was_removed() {
        let mut list = list(&[1, 3, 5]);
        assert_eq!(after(&mut list, 8, Event::Removed, 3), [1, 3, 5]);
        assert_eq!(after(&mut list, 9, Event::Left, 5), [1, 5]);
        assert_eq!(ids(&mut list, 10, Some(3)), [1, 3], "who has joined again sees that entry");
        assert_eq!(ids(&mut list, 11, None), [1, 3]);
        // The first entry of a list may itself be one.
        let members = [1, 3, 5].map(UserId).into();
        let mut list = MemberList::new(members, &entry(7, Event::Removed, 3));
        assert_eq!(ids(&mut list, 8, None), [1, 5]);
    }

    #[test]
    fn a_roster_that_is_newer_than_the_list_adds_and_removes_each_member_at_its_seq() {
        let member = |user, joined, left: Option<u64>| RosterMember {
            user: UserId(user),
            joined: Seq(joined),
            left: left.map(Seq),
            delivered: Seq(joined),
        };
        let roster = [
            member(1, 0, None),
            member(2, 6, None),
            member(3, 4, None),
            member(4, 9, None),
            member(6, 1, Some(4)),
            member(5, 1, Some(8)),
            member(0, 5, Some(7)),
        ];
        let mut list = MemberList::at(Seq(4), &roster);
        assert_eq!(ids(&mut list, 5, None), [1, 3, 5], "6 left before");
        assert_eq!(ids(&mut list, 6, None), [0, 1, 3, 5], "the view of 2 begins above 6");
        assert_eq!(after(&mut list, 7, Event::Left, 0), [0, 1, 2, 3, 5], "also without an entry");
        assert_eq!(after(&mut list, 8, Event::Removed, 5), [1, 2, 3, 5]);
        assert_eq!(ids(&mut list, 9, None), [1, 2, 3]);
        assert_eq!(ids(&mut list, 10, Some(4)), [1, 2, 3, 4]);
    }
}
