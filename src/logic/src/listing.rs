//! Rows of listings: which of the users are online, how far the user has read, and how many rows fit a frame.

use crate::contract::timeline::{CountedRange, UnreadCount};
use crate::contract::{contact, group};
use crate::state::State;
use wire::UserId;
use wire::contact::Friend;
use wire::group::{Group, Member};
use wire::presence::Presence;
use wire::timeline::ConversationSummary;

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

/// Lays cursors that are not written yet over conversations as they were read from storage. Returns the ranges whose
/// unread messages must be counted again, because the user has read a part of what storage counted.
pub(crate) fn lay_cursors_over(
    state: &State,
    user: UserId,
    rows: &mut [ConversationSummary],
) -> Vec<CountedRange> {
    let mut ranges = Vec::new();
    for row in rows {
        let stored = row.read_seq;
        state.cursors.lay_over_summary(user, row);
        let has_unread = row.unread > 0 || row.unread_more;
        if row.read_seq == stored || !has_unread {
            continue;
        }
        let (conversation, last) = (row.conversation, row.last_seq);
        let after = row.read_seq.max(row.first_seq.prev());
        if after < last {
            ranges.push(CountedRange { conversation, after, last });
        } else {
            count(row, UnreadCount::default());
        }
    }
    ranges
}

/// Takes what was counted again.
pub(crate) fn recount(rows: &mut [ConversationSummary], ranges: &[CountedRange], counts: &[UnreadCount]) {
    let mut rows = rows.iter_mut();
    for (range, again) in ranges.iter().zip(counts) {
        // The ranges are in the order of the rows.
        if let Some(row) = rows.find(|row| row.conversation == range.conversation) {
            count(row, *again);
        }
    }
}

fn count(row: &mut ConversationSummary, UnreadCount { unread, mentions, more }: UnreadCount) {
    (row.unread, row.mentions, row.unread_more) = (unread, mentions, more);
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
