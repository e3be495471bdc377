//! Contacts: friendships and the requests for them.

use crate::account::Who;
use crate::fields::{Page, Value, fields, need, short_option};
use crate::json::{self, present};
use crate::presence::Presence;
use crate::table::{Body, pushes, requests};
use crate::{UnixMillis, UserId, limits};
use serde::{Deserialize, Serialize};

requests! {
    /// Makes a friendship, or asks for one.
    7 ADD_FRIEND Add(Add) -> Added(Added),
    /// Accepts or refuses a friend request.
    15 ANSWER_FRIEND Answer(Answer),
    /// Lists the user's friends.
    16 FRIENDS Friends(Page) -> Friends(Box<FriendsPage>),
    /// Ends a friendship.
    31 REMOVE_FRIEND Remove(Remove),
    /// Changes what the user notes about a friend, which nobody else sees.
    32 SET_FRIEND Set(Set),
}

pushes! {
    /// A friendship was asked for, made, refused or ended.
    0x4005 FRIEND Friend(Box<FriendChange>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Add {
    pub who: Who,
    /// Shown with the request, at most 200 characters.
    pub message: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub id: UserId,
    pub accept: bool,
    /// Shown with the answer, at most 200 characters.
    pub message: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remove {
    pub id: UserId,
}

/// Each of them at most 64 characters without control characters; empty: none; `None`: as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    pub id: UserId,
    /// What the user calls the friend.
    pub remark: Option<Box<str>>,
    /// A word under which the user sorts the friend.
    pub tag: Option<Box<str>>,
}

fields! {
    AddFields { id: UserId, name: Box<str>, message: Box<str>, }
    AnswerFields { id: UserId, accept: bool, message: Box<str>, }
    RemoveFields { id: UserId, }
    SetFields { id: UserId, remark: Box<str>, tag: Box<str>, }
}

impl Value for Add {
    const FIELDS: &[&str] = AddFields::NAMES;

    fn decode(value: &[u8]) -> Result<Add, String> {
        let f: AddFields = json::read(value)?;
        let who = Who::from_fields(f.id, f.name)?;
        Ok(Add { who, message: short_option("message", f.message, limits::FRIEND_MESSAGE_CHARS)? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (id, name) = self.who.to_fields();
        json::write(out, &AddFields { id, name, message: self.message.clone() });
    }
}

impl Value for Answer {
    const FIELDS: &[&str] = AnswerFields::NAMES;

    fn decode(value: &[u8]) -> Result<Answer, String> {
        let f: AnswerFields = json::read(value)?;
        let message = short_option("message", f.message, limits::FRIEND_MESSAGE_CHARS)?;
        Ok(Answer { id: need("id", f.id)?, accept: need("accept", f.accept)?, message })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (id, accept) = (Some(self.id), Some(self.accept));
        json::write(out, &AnswerFields { id, accept, message: self.message.clone() });
    }
}

fn note(field: &str, text: Option<Box<str>>) -> Result<Option<Box<str>>, String> {
    match text {
        Some(text) if text.contains(char::is_control) => {
            Err(format!("`{field}` must not contain control characters"))
        }
        text => short_option(field, text, limits::FRIEND_NOTE_CHARS),
    }
}

impl Value for Remove {
    const FIELDS: &[&str] = RemoveFields::NAMES;

    fn decode(value: &[u8]) -> Result<Remove, String> {
        let f: RemoveFields = json::read(value)?;
        Ok(Remove { id: need("id", f.id)? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        json::write(out, &RemoveFields { id: Some(self.id) });
    }
}

impl Value for Set {
    const FIELDS: &[&str] = SetFields::NAMES;

    fn decode(value: &[u8]) -> Result<Set, String> {
        let f: SetFields = json::read(value)?;
        if f.remark.is_none() && f.tag.is_none() {
            return Err("`remark` or `tag` is needed".to_owned());
        }
        Ok(Set { id: need("id", f.id)?, remark: note("remark", f.remark)?, tag: note("tag", f.tag)? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let Set { id, remark, tag } = self.clone();
        json::write(out, &SetFields { id: Some(id), remark, tag });
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    pub state: FriendState,
}

impl Body for Added {}

/// The result of ADD_FRIEND.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FriendState {
    /// The other user has yet to accept.
    Requested,
    Friends,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FriendsPage {
    /// In the order of ids.
    pub friends: Vec<Friend>,
    /// Requests from others that are not answered yet; only in the first page.
    pub requests: Vec<FriendRequest>,
    /// Whether there are friends after this page.
    pub more: bool,
}

impl Body for FriendsPage {}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Friend {
    pub id: UserId,
    pub name: Box<str>,
    pub state: Presence,
    /// As in [`PresenceChange`](crate::presence::PresenceChange).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub text: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub last_seen: Option<UnixMillis>,
    /// What the user notes about the friend; nobody else sees it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub remark: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub tag: Option<Box<str>>,
}

/// A request from another user that is not answered yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FriendRequest {
    pub id: UserId,
    pub name: Box<str>,
    pub message: Box<str>,
    pub time: UnixMillis,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FriendChange {
    pub id: UserId,
    pub name: Box<str>,
    pub event: FriendEvent,
    /// The text that the other user sent with the request.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub message: Option<Box<str>>,
}

impl Body for FriendChange {}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FriendEvent {
    /// The other user asks to be friends.
    Requested,
    /// The two are friends now.
    Accepted,
    /// The other user refused the request.
    Refused,
    /// The two are no longer friends.
    Removed,
}
