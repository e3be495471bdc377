//! Rows of listings: which of the users are online, how far the user has read, and how many rows fit a frame.

use crate::contract::contact::{self, Notes};
use crate::contract::group;
use crate::contract::presence::{Online, Status};
use crate::contract::timeline::{Counted, CountedRange, UnreadCount};
use crate::presence::state_of;
use crate::state::State;
use std::sync::Arc;
use wire::UserId;
use wire::contact::Friend;
use wire::group::{Group, Member};
use wire::presence::Presence;
use wire::timeline::ConversationSummary;

/// Friends with their presence as this node knows it.
pub(crate) fn friends(state: &State, rows: Vec<contact::Friend>) -> Vec<Friend> {
    let friend = |row: contact::Friend| {
        let contact::Friend { user, name, last_seen, notes: Notes { remark, tag } } = row;
        let friend = Friend { id: user, name, state: Presence::Offline, text: None, last_seen, remark, tag };
        match state.status(user) {
            Some(status) => showing(friend, status),
            None => friend,
        }
    };
    rows.into_iter().map(friend).collect()
}

/// Members with their presence as this node knows it.
pub(crate) fn members(state: &State, rows: Vec<group::Member>) -> Vec<Member> {
    let member = |row: group::Member| {
        let group::Member { user, name, role } = row;
        let state = state.status(user).map_or(Presence::Offline, |status| state_of(&status));
        Member { id: user, name, state, role }
    };
    rows.into_iter().map(member).collect()
}

fn showing(friend: Friend, status: Status) -> Friend {
    Friend { state: state_of(&status), text: status.text, last_seen: None, ..friend }
}

/// Marks the friends who are in `online`, which is sorted.
pub(crate) fn mark_friends_online(friends: &mut [Friend], online: &[Online]) {
    for friend in friends {
        if let Some(status) = status_in(online, friend.id) {
            (friend.state, friend.text, friend.last_seen) = (state_of(status), status.text.clone(), None);
        }
    }
}

/// Marks the members who are in `online`, which is sorted.
pub(crate) fn mark_members_online(members: &mut [Member], online: &[Online]) {
    for member in members {
        if let Some(status) = status_in(online, member.id) {
            member.state = state_of(status);
        }
    }
}

fn status_in(online: &[Online], user: UserId) -> Option<&Status> {
    let at = online.binary_search_by_key(&user, |online| online.user).ok()?;
    online.get(at).map(|online| &online.status)
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

/// The same for rows that may be shared with storage, which stay so if no cursor has moved.
pub(crate) fn lay_cursors_over_shared(
    state: &State,
    user: UserId,
    rows: &mut Arc<Vec<ConversationSummary>>,
) -> Vec<CountedRange> {
    match rows.iter().any(|row| state.cursors.concern(user, row)) {
        true => lay_cursors_over(state, user, Arc::<Vec<_>>::make_mut(rows)),
        false => Vec::new(),
    }
}

/// Takes what was counted again. The membership may have changed since the rows were read: rows of conversations that
/// the user is no longer a member of are left out, and what a member does not see any more is not in its rows.
pub(crate) fn recount(
    rows: &mut Vec<ConversationSummary>,
    ranges: &[CountedRange],
    counts: &[Option<Counted>],
) {
    let mut counts = ranges.iter().zip(counts).peekable();
    rows.retain_mut(|row| {
        // The ranges are in the order of the rows.
        match counts.next_if(|(range, _)| range.conversation == row.conversation) {
            None => true,
            Some((_, None)) => false,
            Some((_, Some(again))) => {
                row.first_seq = row.first_seq.max(again.first);
                count(row, again.count);
                true
            }
        }
    });
}

fn count(row: &mut ConversationSummary, UnreadCount { unread, mentions, more }: UnreadCount) {
    (row.unread, row.mentions, row.unread_more) = (unread, mentions, more);
}

/// Truncates the list to the friends that fit into `bytes` of JSON. Returns whether any were dropped.
pub(crate) fn cut_friends(friends: &mut Vec<Friend>, bytes: usize) -> bool {
    let cut = fitting(friends, bytes, friend_bytes);
    cut.inspect(|fit| friends.truncate(*fit)).is_some()
}

/// Truncates the list to the groups that fit into `bytes` of JSON. Returns whether any were dropped. Descriptions are
/// the only column that can make 200 rows exceed a frame.
pub(crate) fn cut_groups(groups: &mut Vec<Group>, bytes: usize) -> bool {
    let cut = fitting(groups, bytes, group_bytes);
    cut.inspect(|fit| groups.truncate(*fit)).is_some()
}

/// Truncates a list of conversations with their last messages to those that fit into `bytes` of JSON. Returns whether
/// any were dropped. Without last messages all of them fit.
pub(crate) fn cut_conversations(rows: &mut Vec<ConversationSummary>, bytes: usize) -> bool {
    let cut = fitting_conversations(rows, bytes);
    cut.inspect(|fit| rows.truncate(*fit)).is_some()
}

/// The same for rows that may be shared with storage.
pub(crate) fn cut_shared_conversations(rows: &mut Arc<Vec<ConversationSummary>>, bytes: usize) -> bool {
    let cut = fitting_conversations(rows, bytes);
    cut.inspect(|fit| Arc::make_mut(rows).truncate(*fit)).is_some()
}

fn fitting_conversations(rows: &[ConversationSummary], bytes: usize) -> Option<usize> {
    let have_last = rows.iter().any(|row| row.last.is_some());
    have_last.then(|| fitting(rows, bytes, conversation_bytes)).flatten()
}

/// About how many bytes of JSON these lists take.
pub(crate) fn bytes_of(friends: &[Friend], groups: &[Group]) -> usize {
    let of_friends = friends.iter().map(friend_bytes);
    of_friends.chain(groups.iter().map(group_bytes)).sum()
}

/// How many rows fit; `None`: all.
fn fitting<T>(rows: &[T], bytes: usize, size: impl Fn(&T) -> usize) -> Option<usize> {
    let mut left = bytes;
    rows.iter().position(|row| {
        left = left.saturating_sub(size(row));
        left == 0
    })
}

fn friend_bytes(friend: &Friend) -> usize {
    let texts = [&friend.text, &friend.remark, &friend.tag].into_iter().flatten();
    escaped(&friend.name) + texts.map(|text| escaped(text) + 12).sum::<usize>() + 95
}

fn group_bytes(group: &Group) -> usize {
    [&*group.name, &*group.desc].map(escaped).iter().sum::<usize>() + 80
}

fn conversation_bytes(row: &ConversationSummary) -> usize {
    let last = row.last.as_deref().map_or(0, |last| {
        [&*last.name, &*last.content_type, &*last.content].map(escaped).iter().sum::<usize>() + 130
    });
    escaped(&row.name) + last + 430
}

/// The bytes of a text in JSON.
fn escaped(text: &str) -> usize {
    text.bytes().map(|b| if b < b' ' { 6 } else { 1 + usize::from(b"\"\\".contains(&b)) }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{
        FRIENDS_BYTES, GROUPS_BYTES, LISTINGS_BYTES, LOGIN_FRIENDS_BYTES, LOGIN_GROUPS_BYTES,
    };
    use wire::contact::{FriendsPage, Reply as ContactReply};
    use wire::group::{GroupsPage, Reply, Role};
    use wire::limits::{
        FRAME_BYTES, FRIEND_NOTE_CHARS, GROUP_DESC_CHARS, GROUP_NAME_CHARS, INTEGER_MAX, LAST_CHARS,
        PAGE_MAX, PRESENCE_TEXT_CHARS,
    };
    use wire::session::{LoggedIn, Reply as SessionReply};
    use wire::timeline::{ConversationsPage, LastMessage, Reply as TimelineReply};
    use wire::{ConversationId, ConversationKind, Seq, UnixMillis};

    #[test]
    fn a_page_of_the_longest_groups_fits_a_frame() {
        for fill in ["\u{1}", "\"", "\u{1F642}", "a"] {
            let (name, desc) = ("\"".repeat(GROUP_NAME_CHARS).into(), fill.repeat(GROUP_DESC_CHARS).into());
            let group = Group { conversation: ConversationId(u32::MAX >> 1), name, desc, role: Role::Normal };
            let mut groups = vec![group; PAGE_MAX as usize];
            let more = cut_groups(&mut groups, GROUPS_BYTES);
            assert!(groups.len() > 100 && more == (groups.len() < PAGE_MAX as usize));
            let mut bytes = Vec::new();
            wire::Reply::from(Reply::Groups(Box::new(GroupsPage { groups, more }))).encode(19, 1, &mut bytes);
            assert!(bytes.len() < FRAME_BYTES, "{}", bytes.len());
        }
    }

    /// The longest row, with a last message that is full of one character.
    fn longest_row(fill: &str) -> ConversationSummary {
        let (most, seq) = (UnixMillis(INTEGER_MAX), Seq(INTEGER_MAX));
        let name = "🙂".repeat(50);
        let last = LastMessage {
            seq,
            from: UserId(u32::MAX >> 1),
            name: name.as_str().into(),
            content_type: "\"".repeat(32).into(),
            content: fill.repeat(LAST_CHARS).into(),
            time: most,
        };
        ConversationSummary {
            conversation: ConversationId(u32::MAX >> 1),
            kind: ConversationKind::Direct,
            peer: Some(UserId(u32::MAX >> 1)),
            name: name.into(),
            last_seq: seq,
            first_seq: seq,
            delivered_seq: seq,
            read_seq: seq,
            time: most,
            peer_delivered_seq: Some(seq),
            peer_read_seq: Some(seq),
            pinned: false,
            muted: false,
            hidden: true,
            unread: INTEGER_MAX,
            unread_more: true,
            mentions: INTEGER_MAX,
            last: Some(Box::new(last)),
        }
    }

    #[test]
    fn the_longest_last_messages_fit_a_frame() {
        for (fill, least) in [("\u{1}", 100), ("\"", 170), ("🙂", 120), ("a", 190)] {
            let mut conversations = vec![longest_row(fill); PAGE_MAX as usize];
            let more = cut_conversations(&mut conversations, LISTINGS_BYTES);
            let count = conversations.len();
            assert!(count >= least && more == (count < PAGE_MAX as usize), "{fill:?}: {count}");
            let page = ConversationsPage { conversations, more };
            let mut bytes = Vec::new();
            let reply = wire::Reply::from(TimelineReply::Conversations(Box::new(page)));
            reply.encode(18, 1, &mut bytes);
            assert!(bytes.len() < FRAME_BYTES, "{fill:?}: {}", bytes.len());
        }
    }

    #[test]
    fn a_login_with_the_longest_lists_fits_a_frame() {
        let name: Box<str> = "🙂".repeat(50).into();
        let id = UserId(u32::MAX >> 1);
        let (state, text) = (Presence::Offline, Some("\u{1}".repeat(PRESENCE_TEXT_CHARS).into()));
        let (last_seen, note) =
            (Some(UnixMillis(INTEGER_MAX)), "🙂".repeat(FRIEND_NOTE_CHARS).into_boxed_str());
        let (remark, tag) = (Some(note.clone()), Some(note));
        let friend = Friend { id, name: name.clone(), state, text, last_seen, remark, tag };
        let mut friends = vec![friend; PAGE_MAX as usize];
        let mut page = FriendsPage { friends: friends.clone(), requests: Vec::new(), more: false };
        assert!(cut_friends(&mut page.friends, FRIENDS_BYTES) && page.friends.len() >= 150);
        let mut bytes = Vec::new();
        wire::Reply::from(ContactReply::Friends(Box::new(page))).encode(16, 1, &mut bytes);
        assert!(bytes.len() < FRAME_BYTES, "{}", bytes.len());
        assert!(cut_friends(&mut friends, LOGIN_FRIENDS_BYTES) && friends.len() >= 50);
        let desc = "\u{1}".repeat(GROUP_DESC_CHARS).into();
        let group =
            Group { conversation: ConversationId(id.0), name: name.clone(), desc, role: Role::Normal };
        let mut groups = vec![group; PAGE_MAX as usize];
        cut_groups(&mut groups, LOGIN_GROUPS_BYTES);
        let mut conversations = vec![longest_row("\u{1}"); PAGE_MAX as usize];
        let left = LISTINGS_BYTES - bytes_of(&friends, &groups);
        assert!(cut_conversations(&mut conversations, left) && conversations.len() >= 20);
        let reply = LoggedIn {
            id,
            name: name.clone(),
            token: Some("t".repeat(128).into()),
            token_expires: UnixMillis(INTEGER_MAX),
            node: name.clone(),
            server: Some(name.clone()),
            history: Some(name.clone()),
            http: Some(name),
            resumed: false,
            friends,
            groups,
            conversations: conversations.into(),
            friends_more: true,
            groups_more: true,
            conversations_more: true,
        };
        let mut bytes = Vec::new();
        wire::Reply::from(SessionReply::LoggedIn(Box::new(reply))).encode(1, 1, &mut bytes);
        assert!(bytes.len() < FRAME_BYTES, "{}", bytes.len());
    }
}
