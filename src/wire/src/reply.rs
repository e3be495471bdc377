//! Replies: what a request with a non-zero number gets, exactly once.

use crate::json::{self, count, present};
use crate::kind::{REPLY, request};
use crate::{ConversationId, ConversationKind, Errno, Message, Seq, UnixMillis, UserId, frame};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `errno` 0 and nothing else.
    Done,
    LoggedIn(Box<LoggedIn>),
    Registered(Box<Registered>),
    /// To SEND: the message is durable.
    Sent(Sent),
    FriendAdded(FriendAdded),
    GroupCreated(GroupCreated),
    History(Box<HistoryPage>),
    Friends(Box<FriendsPage>),
    Members(Box<MembersPage>),
    Conversations(Box<ConversationsPage>),
    Groups(Box<GroupsPage>),
    Nodes(Box<NodesPage>),
    /// To any: it was not done, and why.
    Refused(Box<Refusal>),
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of refusal; never `Ok`.
    pub errno: Errno,
    /// A sentence that names the field or the limit.
    pub errmsg: Cow<'static, str>,
    /// When to try again, where waiting helps.
    pub retry_after_ms: Option<u64>,
    /// The `cid` to retry with, where the message may be stored.
    pub cid: Option<Box<str>>,
}

impl Refusal {
    /// A refusal that waiting does not mend.
    pub fn new(errno: Errno, errmsg: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { errno, errmsg: errmsg.into(), retry_after_ms: None, cid: None }
    }

    /// A refusal that may be over after `retry_after_ms`.
    pub fn later(errno: Errno, errmsg: impl Into<Cow<'static, str>>, retry_after_ms: u64) -> Refusal {
        Refusal { retry_after_ms: Some(retry_after_ms), ..Refusal::new(errno, errmsg) }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        Reply::Refused(Box::new(refusal))
    }
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// The reply to LOGIN. The three lists hold at most 200 rows each; `*_more` says there are others.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedIn {
    pub id: UserId,
    /// The account's name.
    pub name: Box<str>,
    /// To log in by next time.
    pub token: Box<str>,
    /// Until when, unless it is used.
    pub token_expires: UnixMillis,
    /// The node that serves the connection.
    pub node: Box<str>,
    /// Whether an interrupted session goes on.
    pub resumed: bool,
    /// Friends by id.
    pub friends: Vec<Friend>,
    /// Groups by id.
    pub groups: Vec<Group>,
    /// Conversations, latest first.
    pub conversations: Vec<Entry>,
    /// Ask FRIENDS for the others.
    #[serde(default, skip_serializing_if = "is_false")]
    pub friends_more: bool,
    /// Ask GROUPS for the others.
    #[serde(default, skip_serializing_if = "is_false")]
    pub groups_more: bool,
    /// Ask CONVERSATIONS for the others.
    #[serde(default, skip_serializing_if = "is_false")]
    pub conversations_more: bool,
}

/// Whether a user is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    Online,
    Offline,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Friend {
    pub id: UserId,
    /// The account's name.
    pub name: Box<str>,
    pub state: Presence,
}

/// A group that one is a member of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub conversation: ConversationId,
    pub name: Box<str>,
    /// Its description, maybe empty.
    pub desc: Box<str>,
    /// One's own role there.
    pub role: Role,
}

/// What a member may do in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Made the group.
    Owner,
    /// Helps the owner.
    Admin,
    Member,
}

/// A member of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub id: UserId,
    /// The account's name.
    pub name: Box<str>,
    pub state: Presence,
    /// What they may do.
    pub role: Role,
}

/// A member's view of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub conversation: ConversationId,
    /// Direct or group.
    pub kind: ConversationKind,
    /// The other one of a direct chat.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub peer: Option<UserId>,
    /// The peer's name or the group's.
    pub name: Box<str>,
    /// The latest message; 0 where there is none.
    pub last_seq: Seq,
    /// The first message that this member can see.
    pub first_seq: Seq,
    /// Up to where it has reached this member.
    pub delivered_seq: Seq,
    /// Up to where this member has read.
    pub read_seq: Seq,
    /// When it last changed.
    pub time: UnixMillis,
    /// Up to where it has reached the peer of a direct chat.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub peer_delivered_seq: Option<Seq>,
    /// Up to where the peer of a direct chat has read.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub peer_read_seq: Option<Seq>,
}

/// The reply to REGISTER.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The new account.
    pub id: UserId,
    /// To log in by.
    pub token: Box<str>,
    /// Until when, unless it is used.
    pub token_expires: UnixMillis,
}

/// The reply to SEND.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Where the message is.
    pub conversation: ConversationId,
    pub seq: Seq,
    /// When it was stored.
    pub time: UnixMillis,
    /// Whether its `cid` was stored before: this is the first message's place.
    #[serde(default, skip_serializing_if = "is_false")]
    pub duplicate: bool,
}

/// The reply to ADD_FRIEND.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FriendAdded {
    /// Whether they are friends now.
    pub state: FriendState,
}

/// What ADD_FRIEND led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FriendState {
    /// The other one was asked.
    Requested,
    /// They are friends.
    Friends,
}

/// The reply to CREATE_GROUP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupCreated {
    /// The new group.
    pub conversation: ConversationId,
}

/// The reply to HISTORY.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryPage {
    /// In seq order, those nearest to the bound.
    #[serde(with = "shared")]
    pub messages: Vec<Arc<Message>>,
    /// Whether there are others in the direction asked.
    pub more: bool,
    /// The first message that this member can see.
    pub first_seq: Seq,
}

/// The reply to FRIENDS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FriendsPage {
    pub friends: Vec<Friend>,
    /// Requests that wait for an answer, with the first page.
    pub requests: Vec<FriendRequest>,
    /// Whether there are other friends.
    pub more: bool,
}

/// A friend request that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FriendRequest {
    pub id: UserId,
    /// The account's name.
    pub name: Box<str>,
    pub message: Box<str>,
    pub time: UnixMillis,
}

/// The reply to MEMBERS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersPage {
    pub members: Vec<Member>,
    /// Whether there are others.
    pub more: bool,
}

/// The reply to CONVERSATIONS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationsPage {
    pub conversations: Vec<Entry>,
    /// Whether there are others.
    pub more: bool,
}

/// The reply to GROUPS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupsPage {
    pub groups: Vec<Group>,
    /// Whether there are others.
    pub more: bool,
}

/// The reply to NODES.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodesPage {
    /// Where to connect, `host:port`.
    pub best: Box<str>,
    /// All that are known.
    pub nodes: Vec<Node>,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub node: Box<str>,
    /// Where its clients connect, `host:port`.
    pub address: Box<str>,
    /// How many are connected.
    #[serde(deserialize_with = "count")]
    pub connections: u64,
    /// Processor time, percent of all its processors.
    #[serde(default, deserialize_with = "count")]
    pub cpu: u64,
    /// Messages that it stores each second.
    #[serde(default, deserialize_with = "count")]
    pub messages_per_second: u64,
    /// How busy it is: the lower, the better a place to go.
    #[serde(default, deserialize_with = "count")]
    pub score: u64,
    pub alive: bool,
}

/// `errno` and what comes with a refusal; every reply's value begins with these.
#[derive(Serialize, Deserialize)]
struct Envelope {
    errno: u8,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    errmsg: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    retry_after_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    cid: Option<Box<str>>,
}

impl Refusal {
    /// Appends the refusal as a JSON object.
    pub(crate) fn encode_value(&self, out: &mut Vec<u8>) {
        let Refusal { errno, errmsg, retry_after_ms, cid } = self;
        let (errno, errmsg) = (errno.number(), errmsg.as_ref().into());
        json::write(out, &Envelope { errno, errmsg, retry_after_ms: *retry_after_ms, cid: cid.clone() });
    }

    /// Reads a refusal; `None` where `errno` is 0.
    pub(crate) fn decode_value(value: &[u8]) -> Result<Option<Refusal>, String> {
        let Envelope { errno, errmsg, retry_after_ms, cid } = json::read(value)?;
        match Errno::from_number(errno) {
            Some(Errno::Ok) => Ok(None),
            // A newer server may know errors that this client does not.
            known => Ok(Some(Refusal {
                errno: known.unwrap_or(Errno::Internal),
                errmsg: Cow::Owned(errmsg.into_string()),
                retry_after_ms,
                cid,
            })),
        }
    }
}

impl Reply {
    /// Appends the reply to request `request` of type `kind` as one frame to `out`.
    pub fn encode(&self, kind: u16, request: u32, out: &mut Vec<u8>) {
        frame::put_frame(out, REPLY | kind, request, |out| match self {
            Reply::Done => out.extend_from_slice(b"{\"errno\":0}"),
            Reply::LoggedIn(body) => success(out, body),
            Reply::Registered(body) => success(out, body),
            Reply::Sent(body) => success(out, body),
            Reply::FriendAdded(body) => success(out, body),
            Reply::GroupCreated(body) => success(out, body),
            Reply::History(body) => success(out, body),
            Reply::Friends(body) => success(out, body),
            Reply::Members(body) => success(out, body),
            Reply::Conversations(body) => success(out, body),
            Reply::Groups(body) => success(out, body),
            Reply::Nodes(body) => success(out, body),
            Reply::Refused(refusal) => refusal.encode_value(out),
        });
    }

    /// Reads the value of a reply whose frame has type `kind` (with or without the reply bit).
    pub fn decode(kind: u16, value: &[u8]) -> Result<Reply, String> {
        if let Some(refusal) = Refusal::decode_value(value)? {
            return Ok(refusal.into());
        }
        Ok(match kind & !REPLY {
            request::LOGIN => Reply::LoggedIn(json::read(value)?),
            request::REGISTER => Reply::Registered(json::read(value)?),
            request::SEND => Reply::Sent(json::read(value)?),
            request::ADD_FRIEND => Reply::FriendAdded(json::read(value)?),
            request::CREATE_GROUP => Reply::GroupCreated(json::read(value)?),
            request::HISTORY => Reply::History(json::read(value)?),
            request::FRIENDS => Reply::Friends(json::read(value)?),
            request::MEMBERS => Reply::Members(json::read(value)?),
            request::CONVERSATIONS => Reply::Conversations(json::read(value)?),
            request::GROUPS => Reply::Groups(json::read(value)?),
            request::NODES => Reply::Nodes(json::read(value)?),
            _ => Reply::Done,
        })
    }
}

/// Appends `{"errno":0,…the fields of body…}`.
fn success<T: Serialize>(out: &mut Vec<u8>, body: &T) {
    out.extend_from_slice(b"{\"errno\":0");
    let brace = out.len();
    json::write(out, body);
    debug_assert!(out[brace] == b'{' && out[brace + 1] != b'}', "every body has fields");
    out[brace] = b',';
}

// Tokens never reach a log.
impl fmt::Debug for LoggedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = (self.friends.len(), self.groups.len(), self.conversations.len());
        f.debug_struct("LoggedIn").field("id", &self.id).field("lists", &lists).finish_non_exhaustive()
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Messages are shared with the timeline that they come from.
mod shared {
    use super::{Arc, Message};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(messages: &[Arc<Message>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(messages.iter().map(|message| &**message))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Arc<Message>>, D::Error> {
        Vec::<Message>::deserialize(deserializer).map(|messages| messages.into_iter().map(Arc::new).collect())
    }
}
