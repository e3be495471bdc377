//! Timelines: the messages of a conversation in order, and how far its members have received and read them.

use crate::fields::{Page, Value, fields, is_false, need, rows, rows_field};
use crate::json::{self, present};
use crate::message::{ConversationKind, Message};
use crate::search::{Search, SearchPage};
use crate::table::{Body, pushes, requests};
use crate::{ConversationId, Seq, UnixMillis, UserId, flat, shared};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub use crate::last_message::LastMessage;

requests! {
    /// Every message up to a seq has reached this client.
    11 ACK Ack(Cursor) [Receipt],
    /// Every message up to a seq has been read; implies ACK.
    12 READ Read(Cursor) [Receipt],
    /// Reads a page of a timeline.
    13 HISTORY History(History) -> History(Box<HistoryPage>),
    /// Lists the user's conversations, latest first.
    18 CONVERSATIONS Conversations(Conversations) -> Conversations(Box<ConversationsPage>),
    /// The user is typing in a conversation.
    63 TYPING Typing(Typing) [Receipt],
    /// Lists who has read an own message in a group.
    64 READERS Readers(Readers) -> Readers(Box<ReadersPage>),
    /// Finds messages by their words.
    65 SEARCH Search(Box<Search>) -> Results(Box<SearchPage>),
    /// Changes how the user's own list shows a conversation.
    66 SET_CONVERSATION Set(Set),
    /// Ends the user's own view of the timeline up to a seq, for good.
    67 CLEAR Clear(Clear),
}

pushes! {
    /// The peer of a direct chat has read up to a seq.
    0x4004 READ_RECEIPT ReadReceipt(Receipt),
    /// The peer of a direct chat has received up to a seq.
    0x4008 DELIVERED Delivered(Receipt),
    /// Another member is typing.
    0x400A TYPING Typing(Typist),
    /// Another session of the account has changed how it sees a conversation.
    0x400B CONVERSATION Conversation(Box<ConversationView>),
}

/// A position in a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub conversation: ConversationId,
    pub seq: Seq,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    pub conversation: ConversationId,
    pub direction: Direction,
    /// At most this many messages, 1 to 200.
    pub limit: u32,
    /// Whether the entries that tell of changes are wanted, too.
    pub with_changes: bool,
}

/// Which messages of a timeline to read. The bound itself is excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The nearest ones after this seq.
    After(Seq),
    /// The nearest ones before this seq.
    Before(Seq),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversations {
    /// Only conversations that stand after this `(time, id)` in the list; `None` for the first page.
    pub before: Option<(UnixMillis, ConversationId)>,
    /// At most this many rows, 1 to 200.
    pub limit: u32,
    /// Whether each row shows its last message.
    pub with_last: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readers {
    pub conversation: ConversationId,
    /// An own message.
    pub seq: Seq,
    pub page: Page,
}

/// The settings that are given are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set {
    pub conversation: ConversationId,
    pub change: SettingsChange,
}

/// New values of some of a member's settings of a conversation; `None`: as before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SettingsChange {
    pub pinned: Option<bool>,
    pub muted: Option<bool>,
    pub hidden: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clear {
    pub conversation: ConversationId,
    /// The last entry that the user does not see any more.
    pub upto: Seq,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Typing {
    pub conversation: ConversationId,
}

fields! {
    TypingFields { conversation: ConversationId, }
    CursorFields { conversation: ConversationId, seq: Seq, }
    HistoryFields { conversation: ConversationId, after: Seq, before: Seq, limit: Seq, changes: bool, }
    ConversationsFields { before: UnixMillis, before_id: ConversationId, limit: Seq, last: bool, }
    ReadersFields { conversation: ConversationId, seq: Seq, after: UserId, limit: Seq, }
    SetFields { conversation: ConversationId, pinned: bool, muted: bool, hidden: bool, }
    ClearFields { conversation: ConversationId, upto: Seq, }
}

impl CursorFields {
    /// Reads a plain object; `None`: the full decoder must read it.
    fn read_flat(value: &[u8]) -> Option<CursorFields> {
        let mut f = CursorFields::default();
        flat::read(value, |name, value| match name {
            "conversation" => flat::set(&mut f.conversation, ConversationId::of_scalar(value)?),
            "seq" => flat::set(&mut f.seq, Seq::of_scalar(value)?),
            _ => None,
        })?;
        Some(f)
    }
}

impl Value for Cursor {
    const FIELDS: &[&str] = CursorFields::NAMES;

    fn decode(value: &[u8]) -> Result<Cursor, String> {
        let f = match CursorFields::read_flat(value) {
            Some(fields) => fields,
            None => json::read(value)?,
        };
        Ok(Cursor { conversation: need("conversation", f.conversation)?, seq: need("seq", f.seq)? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        json::write(out, &CursorFields { conversation: Some(self.conversation), seq: Some(self.seq) });
    }
}

impl Value for Typing {
    const FIELDS: &[&str] = TypingFields::NAMES;

    fn decode(value: &[u8]) -> Result<Typing, String> {
        let f: TypingFields = json::read(value)?;
        Ok(Typing { conversation: need("conversation", f.conversation)? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        json::write(out, &TypingFields { conversation: Some(self.conversation) });
    }
}

impl Value for History {
    const FIELDS: &[&str] = HistoryFields::NAMES;

    fn decode(value: &[u8]) -> Result<History, String> {
        let f: HistoryFields = json::read(value)?;
        let direction = match (f.after, f.before) {
            (Some(seq), None) => Direction::After(seq),
            (None, Some(seq)) => Direction::Before(seq),
            _ => return Err("exactly one of `after` and `before` is needed".to_owned()),
        };
        let conversation = need("conversation", f.conversation)?;
        let with_changes = f.changes.unwrap_or(true);
        Ok(History { conversation, direction, limit: rows(f.limit)?, with_changes })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (after, before) = match self.direction {
            Direction::After(seq) => (Some(seq), None),
            Direction::Before(seq) => (None, Some(seq)),
        };
        let conversation = Some(self.conversation);
        let changes = (!self.with_changes).then_some(false);
        json::write(
            out,
            &HistoryFields { conversation, after, before, limit: rows_field(self.limit), changes },
        );
    }
}

impl Value for Conversations {
    const FIELDS: &[&str] = ConversationsFields::NAMES;

    fn decode(value: &[u8]) -> Result<Conversations, String> {
        let f: ConversationsFields = json::read(value)?;
        let before = match (f.before, f.before_id) {
            (Some(time), Some(id)) => Some((time, id)),
            (None, None) => None,
            _ => return Err("`before` and `before_id` come together".to_owned()),
        };
        Ok(Conversations { before, limit: rows(f.limit)?, with_last: f.last.unwrap_or(false) })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (before, before_id) = self.before.unzip();
        let last = self.with_last.then_some(true);
        json::write(out, &ConversationsFields { before, before_id, limit: rows_field(self.limit), last });
    }
}

impl Value for Readers {
    const FIELDS: &[&str] = ReadersFields::NAMES;

    fn decode(value: &[u8]) -> Result<Readers, String> {
        let f: ReadersFields = json::read(value)?;
        let (conversation, seq) = (need("conversation", f.conversation)?, need("seq", f.seq)?);
        Ok(Readers { conversation, seq, page: Page::from_fields(f.after, f.limit)? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (conversation, seq) = (Some(self.conversation), Some(self.seq));
        let (after, limit) = self.page.to_fields();
        json::write(out, &ReadersFields { conversation, seq, after, limit });
    }
}

impl Value for Set {
    const FIELDS: &[&str] = SetFields::NAMES;

    fn decode(value: &[u8]) -> Result<Set, String> {
        let SetFields { conversation, pinned, muted, hidden } = json::read(value)?;
        let change = SettingsChange { pinned, muted, hidden };
        Ok(Set { conversation: need("conversation", conversation)?, change })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let SettingsChange { pinned, muted, hidden } = self.change;
        json::write(out, &SetFields { conversation: Some(self.conversation), pinned, muted, hidden });
    }
}

impl Value for Clear {
    const FIELDS: &[&str] = ClearFields::NAMES;

    fn decode(value: &[u8]) -> Result<Clear, String> {
        let f: ClearFields = json::read(value)?;
        Ok(Clear { conversation: need("conversation", f.conversation)?, upto: need("upto", f.upto)? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        json::write(out, &ClearFields { conversation: Some(self.conversation), upto: Some(self.upto) });
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryPage {
    /// In the order of their seqs.
    #[serde(with = "shared")]
    pub messages: Vec<Arc<Message>>,
    /// Whether there are more in the direction asked for.
    pub more: bool,
    /// The first message that this member can see.
    pub first_seq: Seq,
}

impl Body for HistoryPage {}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationsPage {
    pub conversations: Vec<ConversationSummary>,
    /// Whether there are conversations after this page.
    pub more: bool,
}

/// A conversation as one of its members sees it, without its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationSummary {
    pub conversation: ConversationId,
    pub kind: ConversationKind,
    /// The other user of a direct chat.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub peer: Option<UserId>,
    /// The peer's name or the group's.
    pub name: Box<str>,
    /// The latest message; 0 where there is none.
    pub last_seq: Seq,
    /// The first message that this member can see.
    pub first_seq: Seq,
    pub delivered_seq: Seq,
    pub read_seq: Seq,
    /// When the conversation last changed.
    pub time: UnixMillis,
    /// In a direct chat, up to which message the peer has received.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub peer_delivered_seq: Option<Seq>,
    /// In a direct chat, up to which message the peer has read.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub peer_read_seq: Option<Seq>,
    /// Whether the user wants it at the top of the list. Like `muted`, absent from older servers.
    #[serde(default)]
    pub pinned: bool,
    /// Whether its messages draw no attention.
    #[serde(default)]
    pub muted: bool,
    /// Whether the user does not want to see it until its next message.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// How many messages of others above `read_seq` the user has not read, up to `last_seq`. Like what follows, absent
    /// from older servers.
    #[serde(default)]
    pub unread: u64,
    /// Whether `unread` and `mentions` are lower bounds. Only in groups.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unread_more: bool,
    /// How many of them mention the user.
    #[serde(default)]
    pub mentions: u64,
    /// The last message that the user can see, where the request asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub last: Option<Box<LastMessage>>,
}

impl ConversationSummary {
    /// An empty conversation, which the user sees from its beginning and has not changed.
    pub fn new(conversation: ConversationId, kind: ConversationKind) -> ConversationSummary {
        ConversationSummary {
            conversation,
            kind,
            peer: None,
            name: "".into(),
            last_seq: Seq(0),
            first_seq: Seq(1),
            delivered_seq: Seq(0),
            read_seq: Seq(0),
            time: UnixMillis(0),
            peer_delivered_seq: None,
            peer_read_seq: None,
            pinned: false,
            muted: false,
            hidden: false,
            unread: 0,
            unread_more: false,
            mentions: 0,
            last: None,
        }
    }
}

/// How the user sees a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationView {
    pub conversation: ConversationId,
    pub read_seq: Seq,
    /// The first message that the user can see.
    pub first_seq: Seq,
    /// The last entry when this was counted: what is pushed above it is not among `unread`.
    pub last_seq: Seq,
    /// As in [`ConversationSummary`].
    pub unread: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    pub unread_more: bool,
    pub mentions: u64,
    pub pinned: bool,
    pub muted: bool,
    pub hidden: bool,
}

impl Body for ConversationView {}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadersPage {
    /// In the order of ids.
    pub readers: Vec<Reader>,
    /// How many members have read the message.
    pub count: u32,
    /// How many members there are now who were members when it was sent, without its sender.
    pub of: u32,
    /// Whether there are readers after this page.
    pub more: bool,
}

impl Body for ReadersPage {}

/// A member who has read a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    pub id: UserId,
    pub name: Box<str>,
}

/// How far the peer of a direct chat has received or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub conversation: ConversationId,
    /// The peer's id.
    pub id: UserId,
    pub seq: Seq,
}

impl Body for Receipt {}

/// Who is typing, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typist {
    pub conversation: ConversationId,
    pub id: UserId,
}

impl Body for Typist {}
