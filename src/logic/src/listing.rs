//! HISTORY, FRIENDS, MEMBERS, CONVERSATIONS, GROUPS, NODES: questions, answered from storage and from who is online.

use crate::Now;
use crate::cluster::place;
use crate::contract::{self, Denial, Found, Read};
use crate::cursor::Cursors;
use crate::effect::Effects;
use crate::limits::GROUPS_BYTES;
use crate::parked::{Asked, Stage};
use crate::state::State;
use wire::contact::{Friend, FriendsPage};
use wire::group::{Group, GroupsPage, Member, MembersPage};
use wire::presence::Presence;
use wire::timeline::{ConversationSummary, ConversationsPage, HistoryPage};
use wire::{Command, Errno, Reply, UserId};
use wire::{contact, group, node, timeline};

pub(crate) fn begin(
    state: &mut State,
    now: Now,
    asked: Asked,
    user: UserId,
    command: Command,
    fx: &mut Effects,
) {
    let read = match command {
        Command::Timeline(timeline::Request::History(timeline::History {
            conversation,
            direction,
            limit,
        })) => Read::Timeline(contract::timeline::Read::History { user, conversation, direction, limit }),
        Command::Contact(contact::Request::Friends(page)) => {
            Read::Contact(contract::contact::Read::Friends { user, page })
        }
        Command::Group(group::Request::Members(group::Members { conversation, page })) => {
            Read::Group(contract::group::Read::Members { user, conversation, page })
        }
        Command::Timeline(timeline::Request::Conversations(timeline::Conversations { before, limit })) => {
            Read::Timeline(contract::timeline::Read::Conversations { user, before, limit })
        }
        Command::Group(group::Request::Groups(page)) => {
            Read::Group(contract::group::Read::Groups { user, page })
        }
        _ => unreachable!("only listings come here"),
    };
    state.read(now, Some(asked), Stage::Listing { user }, read, fx);
}

pub(crate) fn found(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    user: UserId,
    found: Found,
    fx: &mut Effects,
) {
    let Some(asked) = asked else { return };
    let reply = match found {
        Found::Timeline(contract::timeline::Found::History { messages, more, first_seq }) => {
            Reply::Timeline(timeline::Reply::History(Box::new(HistoryPage { messages, more, first_seq })))
        }
        Found::Contact(contract::contact::Found::Friends { friends: rows, more }) => {
            Reply::Contact(contact::Reply::Friends(Box::new(FriendsPage {
                friends: friends(state, rows),
                requests: Vec::new(),
                more,
            })))
        }
        Found::Group(contract::group::Found::Members { members, more }) => {
            let member = |row: contract::group::Member| Member {
                id: row.user,
                name: row.name,
                state: state.presence(row.user),
                role: row.role,
            };
            Reply::Group(group::Reply::Members(Box::new(MembersPage {
                members: members.into_iter().map(member).collect(),
                more,
            })))
        }
        Found::Timeline(contract::timeline::Found::Conversations { mut entries, more }) => {
            for entry in &mut entries {
                lay_over(&state.cursors, user, entry);
            }
            Reply::Timeline(timeline::Reply::Conversations(Box::new(ConversationsPage {
                conversations: entries,
                more,
            })))
        }
        Found::Group(contract::group::Found::Groups { mut groups, more }) => {
            let more = more | cut_groups(&mut groups, GROUPS_BYTES);
            Reply::Group(group::Reply::Groups(Box::new(GroupsPage { groups, more })))
        }
        Found::Denied(Denial::Forbidden) => {
            return state.refuse(now, asked, Errno::Forbidden, "only members may see a conversation", fx);
        }
        _ => return state.unavailable(now, Some(asked), fx),
    };
    let absent = match &reply {
        Reply::Contact(contact::Reply::Friends(page)) => {
            page.friends.iter().filter(|f| f.state == Presence::Offline).map(|f| f.id).collect()
        }
        Reply::Group(group::Reply::Members(page)) => {
            page.members.iter().filter(|m| m.state == Presence::Offline).map(|m| m.id).collect()
        }
        _ => Vec::new(),
    };
    if state.cluster.is_none() || absent.is_empty() {
        return state.answer(now, asked, reply, fx);
    }
    // Of users elsewhere the database knows.
    let read = Read::Presence(contract::presence::Read::Online { users: absent, grace: state.rules.grace });
    state.read(now, Some(asked), Stage::ListingOnline(Box::new(reply)), read, fx);
}

/// Which users of a listing are online elsewhere is known.
pub(crate) fn online_known(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    mut reply: Reply,
    online: &[UserId],
    fx: &mut Effects,
) {
    match &mut reply {
        Reply::Contact(contact::Reply::Friends(page)) => mark_online(&mut page.friends, online),
        Reply::Group(group::Reply::Members(page)) => mark_members_online(&mut page.members, online),
        _ => {}
    }
    if let Some(asked) = asked {
        state.answer(now, asked, reply, fx);
    }
}

/// Marks those of `online`, which is sorted.
pub(crate) fn mark_online(friends: &mut [Friend], online: &[UserId]) {
    let here = friends.iter_mut().filter(|friend| online.binary_search(&friend.id).is_ok());
    here.for_each(|friend| friend.state = Presence::Online);
}

/// The same of members.
pub(crate) fn mark_members_online(members: &mut [Member], online: &[UserId]) {
    let here = members.iter_mut().filter(|member| online.binary_search(&member.id).is_ok());
    here.for_each(|member| member.state = Presence::Online);
}

/// Leaves as many groups as fit `bytes` of JSON; whether some did not. Their descriptions are the one thing in a listing
/// that could make 200 rows longer than a frame.
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

/// Friends with their state.
pub(crate) fn friends(state: &State, rows: Vec<contract::contact::Friend>) -> Vec<Friend> {
    let friend = |row: contract::contact::Friend| Friend {
        id: row.user,
        name: row.name,
        state: state.presence(row.user),
    };
    rows.into_iter().map(friend).collect()
}

/// Lays cursors that are not written yet over an entry that was read.
pub(crate) fn lay_over(cursors: &Cursors, user: UserId, entry: &mut ConversationSummary) {
    let stored = (entry.delivered_seq, entry.read_seq);
    (entry.delivered_seq, entry.read_seq) = cursors.lay_over(entry.conversation, user, stored);
    if let (Some(peer), Some(delivered), Some(read)) =
        (entry.peer, entry.peer_delivered_seq, entry.peer_read_seq)
    {
        let (delivered, read) = cursors.lay_over(entry.conversation, peer, (delivered, read));
        (entry.peer_delivered_seq, entry.peer_read_seq) = (Some(delivered), Some(read));
    }
}

/// NODES: all nodes that are known, and the best to go to.
pub(crate) fn nodes(state: &mut State, now: Now, asked: Asked, fx: &mut Effects) {
    let page = place::page(state);
    state.answer(now, asked, Reply::Node(node::Reply::Nodes(Box::new(page))), fx);
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ConversationId;
    use wire::group::Role;
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
            Reply::Group(group::Reply::Groups(Box::new(GroupsPage { groups, more })))
                .encode(19, 1, &mut bytes);
            assert!(bytes.len() < FRAME_BYTES, "{}", bytes.len());
        }
    }
}
