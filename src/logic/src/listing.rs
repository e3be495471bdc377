//! Rows of listings: which of the users are online, and how many rows fit a frame.

use crate::contract::{contact, group};
use crate::state::State;
use wire::UserId;
use wire::contact::Friend;
use wire::group::{Group, Member};
use wire::presence::Presence;

/// Friends with their presence as this node knows it.
pub(crate) fn friends(state: &State, rows: Vec<contact::Friend>) -> Vec<Friend> {
    let friend =
        |row: contact::Friend| Friend { id: row.user, name: row.name, state: state.presence(row.user) };
    rows.into_iter().map(friend).collect()
}

/// Members with their presence as this node knows it.
pub(crate) fn members(state: &State, rows: Vec<group::Member>) -> Vec<Member> {
    let member = |row: group::Member| {
        let group::Member { user, name, role } = row;
        Member { id: user, name, state: state.presence(user), role }
    };
    rows.into_iter().map(member).collect()
}

/// Marks the friends who are in `online`, which is sorted.
pub(crate) fn mark_friends_online(friends: &mut [Friend], online: &[UserId]) {
    let found = friends.iter_mut().filter(|friend| online.binary_search(&friend.id).is_ok());
    found.for_each(|friend| friend.state = Presence::Online);
}

/// Marks the members who are in `online`, which is sorted.
pub(crate) fn mark_members_online(members: &mut [Member], online: &[UserId]) {
    let found = members.iter_mut().filter(|member| online.binary_search(&member.id).is_ok());
    found.for_each(|member| member.state = Presence::Online);
}

/// Truncates the list to the groups that fit into `bytes` of JSON. Returns whether any were dropped. Descriptions are
/// the only column that can make 200 rows exceed a frame.
pub(crate) fn cut_groups(groups: &mut Vec<Group>, bytes: usize) -> bool {
    let escaped = |text: &str| {
        text.bytes().map(|b| if b < b' ' { 6 } else { 1 + usize::from(b"\"\\".contains(&b)) }).sum()
    };
    let mut left = bytes;
    let fit = groups.iter().position(|group| {
        let size: usize = [&*group.name, &*group.desc].map(escaped).iter().sum::<usize>() + 80;
        left = left.saturating_sub(size);
        left == 0
    });
    groups.truncate(fit.unwrap_or(groups.len()));
    fit.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::GROUPS_BYTES;
    use wire::ConversationId;
    use wire::group::{GroupsPage, Reply, Role};
    use wire::limits::{FRAME_BYTES, GROUP_DESC_CHARS, GROUP_NAME_CHARS, PAGE_MAX};

    #[test]
    fn a_page_of_the_longest_groups_fits_a_frame() {
        for fill in ["\u{1}", "\"", "\u{1F642}", "a"] {
            let (name, desc) = ("\"".repeat(GROUP_NAME_CHARS).into(), fill.repeat(GROUP_DESC_CHARS).into());
            let group = Group { conversation: ConversationId(u32::MAX >> 1), name, desc, role: Role::Member };
            let mut groups = vec![group; PAGE_MAX as usize];
            let more = cut_groups(&mut groups, GROUPS_BYTES);
            assert!(groups.len() > 100 && more == (groups.len() < PAGE_MAX as usize));
            let mut bytes = Vec::new();
            wire::Reply::from(Reply::Groups(Box::new(GroupsPage { groups, more }))).encode(19, 1, &mut bytes);
            assert!(bytes.len() < FRAME_BYTES, "{}", bytes.len());
        }
    }
}
