//! LOGIN_MSG_ACK: the user who logged in, friends, groups with their users, and offline messages.
//!
//! Every list is an array of strings, each of which is JSON again: `"friends":["{\"id\":2,…}"]`. Rows that do not fit
//! are left out. Friends take their room first, then groups with one user each, then further users, then messages.

use super::style::Style;
use super::{escape, message};
use crate::contact::Friend;
use crate::group::{Group, Member, Role};
use crate::presence::Presence;
use crate::{Message, UserId};
use serde::Serialize;
use std::sync::Arc;

/// The answer to a login that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    pub id: UserId,
    pub name: Box<str>,
    /// Candidates; those that fit are sent.
    pub friends: Vec<Friend>,
    /// Candidates with their members; those that fit are sent.
    pub groups: Vec<(Group, Vec<Member>)>,
    /// The oldest unacknowledged messages, in order; those that fit are sent.
    pub missed: Vec<Arc<Message>>,
}

#[derive(Serialize)]
struct FriendFields<'a> {
    id: UserId,
    name: &'a str,
    state: Presence,
}

#[derive(Serialize)]
struct GroupFields<'a> {
    id: u32,
    groupname: &'a str,
    groupdesc: &'a str,
    users: &'a [String],
}

#[derive(Serialize)]
struct UserFields<'a> {
    id: UserId,
    name: &'a str,
    state: Presence,
    role: &'a str,
}

#[derive(Serialize)]
struct AnswerFields<'a> {
    msgid: i64,
    errno: u8,
    id: UserId,
    name: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    friends: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    groups: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    offlinemsg: &'a [String],
}

impl Welcome {
    /// Appends the object without its NUL. Returns how many of the missed messages it contains; the others follow as
    /// objects of their own. `time` formats the time of a message.
    pub fn put(&self, out: &mut Vec<u8>, style: &Style, time: &mut dyn FnMut(&Message) -> Box<str>) -> usize {
        let (friends, groups, offlinemsg) = (&[][..], &[][..], &[][..]);
        let mut answer = AnswerFields {
            msgid: style.msgids.login_answer,
            errno: 0,
            id: self.id,
            name: &self.name,
            friends,
            groups,
            offlinemsg,
        };
        let mut room = Room(style.room() - escape::object(&answer).len());

        let friends = room.fill(",\"friends\":[]", self.friends.iter().map(friend));
        let groups = self.groups(&mut room);
        let mut whole = Vec::new();
        let missed = self.missed.iter().map_while(|missed| {
            whole.clear();
            message::put(&mut whole, style, missed, self.id, &time(missed));
            String::from_utf8(whole.clone()).ok()
        });
        let missed = room.fill_in_order(",\"offlinemsg\":[]", missed);
        (answer.friends, answer.groups, answer.offlinemsg) = (&friends, &groups, &missed);
        crate::json::write(out, &answer);
        missed.len()
    }

    /// The groups that fit with one user each, then as many of their other users as fit.
    fn groups(&self, room: &mut Room) -> Vec<String> {
        let mut fitting: Vec<(&Group, Vec<String>, &[Member])> = Vec::new();
        room.open(",\"groups\":[]", |room| {
            for (group, members) in &self.groups {
                let Some((first, others)) = members.split_first() else { continue };
                let users = vec![user(first)];
                if room.take(&group_object(group, &users)) {
                    fitting.push((group, users, others));
                }
            }
        });
        for (_, users, others) in &mut fitting {
            for other in *others {
                let user = user(other);
                // A user is a string within `users`, with a comma, and its group is a string again.
                let quoted = format!(",{}", escape::object(&user));
                if !room.take_bytes(escape::length(&quoted)) {
                    break;
                }
                users.push(user);
            }
        }
        fitting.iter().map(|(group, users, _)| group_object(group, users)).collect()
    }
}

fn friend(friend: &Friend) -> String {
    let Friend { id, name, state, .. } = friend;
    escape::object(&FriendFields { id: *id, name, state: known(*state) })
}

fn user(member: &Member) -> String {
    let Member { id, name, state, role } = member;
    // The clients know `creator` and `normal`; they show any other word as it is.
    let role = match role {
        Role::Creator => "creator",
        Role::Admin => "admin",
        Role::Normal => "normal",
    };
    escape::object(&UserFields { id: *id, name, state: known(*state), role })
}

/// The clients know only `online` and `offline`.
fn known(state: Presence) -> Presence {
    match state {
        Presence::Online | Presence::Away => Presence::Online,
        Presence::Offline | Presence::Unknown => Presence::Offline,
    }
}

fn group_object(group: &Group, users: &[String]) -> String {
    let Group { conversation, name, desc, .. } = group;
    escape::object(&GroupFields { id: conversation.0, groupname: name, groupdesc: desc, users })
}

/// Bytes that are left for lists.
struct Room(usize);

impl Room {
    fn take_bytes(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }

    /// Takes what a string needs in a list: its quotes, and a comma, although the first string has none.
    fn take(&mut self, item: &str) -> bool {
        self.take_bytes(escape::length(item) + "\"\",".len())
    }

    /// Fills a list. Its name and brackets take room only where it is not empty.
    fn open(&mut self, list: &str, fill: impl FnOnce(&mut Room)) {
        let before = self.0;
        if self.take_bytes(list.len() - ",".len()) {
            let empty = self.0;
            fill(self);
            if self.0 < empty {
                return;
            }
        }
        self.0 = before;
    }

    /// The items that fit; an item that does not fit is skipped.
    fn fill(&mut self, list: &str, items: impl Iterator<Item = String>) -> Vec<String> {
        let mut fitting = Vec::new();
        self.open(list, |room| fitting.extend(items.filter(|item| room.take(item))));
        fitting
    }

    /// The items before the first one that does not fit.
    fn fill_in_order(&mut self, list: &str, items: impl Iterator<Item = String>) -> Vec<String> {
        let mut fitting = Vec::new();
        self.open(list, |room| fitting.extend(items.take_while(|item| room.take(item))));
        fitting
    }
}
