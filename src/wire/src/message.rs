//! Messages: sending them, and their representation in a timeline.

use crate::change::{Change, Changes, Reaction};
use crate::cid::check_cid;
use crate::entry::{self, Event, System};
use crate::fields::{Value, fields, is_false, need, sized, sought_name};
use crate::json::{self, present, put, put_text};
use crate::references::{Mentions, References};
use crate::table::{Body, pushes, requests};
use crate::{ConversationId, Seq, UnixMillis, UserId, characters, flat, limits};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

pub use crate::cid::{is_server_cid, server_cid};
pub use crate::extra::Extra;

requests! {
    /// Stores a message and delivers it.
    6 SEND Send(Send) -> Sent(Sent),
}

pushes! {
    /// A message, for every member of its conversation but the connection that sent it.
    0x4001 MESSAGE New(Arc<Message>),
}

/// The kind of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConversationKind {
    /// A chat of two.
    Direct,
    Group,
}

/// The `type` of a message that names no other.
pub const TEXT: &str = "text";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    pub target: Target,
    /// 1 to 32,768 bytes.
    pub content: Box<str>,
    /// The type of `content`, 1 to 32 bytes without control characters; `None`: [`TEXT`].
    pub content_type: Option<Box<str>>,
    /// The sender's identifier for the message, 1 to 64 bytes: if it is sent again, the reply gives the place of the
    /// first message.
    pub cid: Option<Box<str>>,
    /// What it answers and whom it mentions. `None` in nearly all messages.
    pub references: Option<Box<References>>,
}

impl Send {
    /// A message of the type [`TEXT`] that refers to nothing, without a `cid`.
    pub fn text(target: Target, content: impl Into<Box<str>>) -> Send {
        Send { target, content: content.into(), content_type: None, cid: None, references: None }
    }

    /// The bytes of its content and of what it refers to.
    pub fn bytes(&self) -> usize {
        self.content.len() + self.references.as_deref().map_or(0, References::bytes)
    }
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The direct chat with this user, which is opened where there is none yet.
    User(UserId),
    /// The same, with the user's name.
    Name(Box<str>),
    /// A conversation that the sender is a member of.
    Conversation(ConversationId),
    /// The same, refused where it is not a group: the id of a group that is mistaken must not reach a direct chat.
    Group(ConversationId),
}

fields! {
    SendFields {
        to: UserId, to_name: Box<str>, conversation: ConversationId, kind: ConversationKind, content: Box<str>,
        content_type as "type": Box<str>, cid: Box<str>, reply_to: Seq, mentions: Box<[UserId]>, mention_all: bool,
    }
}

impl SendFields {
    /// Reads a plain object; `None`: the full decoder must read it.
    fn read_flat(value: &[u8]) -> Option<SendFields> {
        let mut f = SendFields::default();
        flat::read(value, |name, value| match name {
            "conversation" => flat::set(&mut f.conversation, ConversationId::of_scalar(value)?),
            "to" => flat::set(&mut f.to, UserId::of_scalar(value)?),
            "content" => flat::set(&mut f.content, value.text()?.into()),
            "cid" => flat::set(&mut f.cid, value.text()?.into()),
            "type" => flat::set(&mut f.content_type, value.text()?.to_owned().into()),
            _ => None,
        })?;
        Some(f)
    }
}

impl Value for Send {
    const FIELDS: &[&str] = SendFields::NAMES;

    fn decode(value: &[u8]) -> Result<Send, String> {
        let f = match SendFields::read_flat(value) {
            Some(fields) => fields,
            None => json::read(value)?,
        };
        let target = match (f.to, f.to_name, f.conversation, f.kind) {
            (Some(id), None, None, None) => Target::User(id),
            (None, Some(name), None, None) => Target::Name(sought_name("to_name", name)?),
            (None, None, Some(id), None) => Target::Conversation(id),
            (None, None, Some(id), Some(ConversationKind::Group)) => Target::Group(id),
            (.., Some(_)) => return Err("`kind` must be \"group\", beside a `conversation`".to_owned()),
            _ => return Err("exactly one of `to`, `to_name` and `conversation` is needed".to_owned()),
        };
        let content = sized("content", need("content", f.content)?, 1, limits::CONTENT_BYTES)?;
        let content_type = match f.content_type {
            None => None,
            Some(t) if &*t == TEXT => None,
            Some(t) if t.is_empty() || t.len() > limits::TYPE_BYTES => {
                return Err(format!("`type` must be 1 to {} bytes long", limits::TYPE_BYTES));
            }
            Some(t) if t.chars().any(characters::is_hidden) => {
                return Err("`type` must not contain control characters".to_owned());
            }
            Some(t) if entry::is_reserved(&t) => {
                return Err(format!("`type` must not be `{t}`: only the server makes entries of this type"));
            }
            Some(t) => Some(t),
        };
        let references = References::from_fields(f.reply_to, f.mentions, f.mention_all)?;
        Ok(Send { target, content, content_type, cid: check_cid(f.cid)?, references })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (content, content_type) = (Some(self.content.clone()), self.content_type.clone());
        let mut f = SendFields { content, content_type, cid: self.cid.clone(), ..Default::default() };
        if let Some(References { reply_to, mentions }) = self.references.as_deref() {
            f.reply_to = *reply_to;
            match mentions {
                Mentions::Nobody => {}
                Mentions::Users(users) => f.mentions = Some(users.clone()),
                Mentions::All => f.mention_all = Some(true),
            }
        }
        match &self.target {
            Target::User(id) => f.to = Some(*id),
            Target::Name(name) => f.to_name = Some(name.clone()),
            Target::Conversation(id) => f.conversation = Some(*id),
            Target::Group(id) => (f.conversation, f.kind) = (Some(*id), Some(ConversationKind::Group)),
        }
        json::write(out, &f);
    }
}

/// The reply to SEND: the message is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub conversation: ConversationId,
    pub seq: Seq,
    /// When the message was stored.
    pub time: UnixMillis,
    /// Whether a message with this `cid` had been stored before; the reply gives the place of that one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub duplicate: bool,
}

impl Body for Sent {}

/// An entry of a timeline: one row `(conversation, seq)`. Nearly always a message; see [`Message::is_message`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "MessageFields")]
pub struct Message {
    pub conversation: ConversationId,
    pub kind: ConversationKind,
    pub seq: Seq,
    pub from: UserId,
    /// The sender's name.
    pub name: Arc<str>,
    #[serde(rename = "type")]
    pub content_type: Cow<'static, str>,
    /// 1 to 32,768 bytes; empty where it was recalled, and in some entries that tell of changes.
    pub content: Box<str>,
    /// When the message was stored.
    pub time: UnixMillis,
    /// The sender's identifier for the message; absent where the sender gave none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cid: Option<Box<str>>,
    /// What few entries have. Boxed, because nearly all entries are plain messages.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Box<Extra>>,
}

/// An entry as it stands in JSON.
#[derive(Deserialize)]
struct MessageFields {
    conversation: ConversationId,
    kind: ConversationKind,
    seq: Seq,
    from: UserId,
    name: Arc<str>,
    #[serde(rename = "type")]
    content_type: Cow<'static, str>,
    content: Box<str>,
    time: UnixMillis,
    #[serde(default, deserialize_with = "present")]
    cid: Option<Box<str>>,
    #[serde(default, deserialize_with = "present")]
    event: Option<Event>,
    #[serde(default)]
    who: Box<[UserId]>,
    #[serde(default, deserialize_with = "present")]
    by: Option<UserId>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Box<str>>,
    #[serde(default, deserialize_with = "present")]
    reply_to: Option<Seq>,
    #[serde(default)]
    mentions: Box<[UserId]>,
    #[serde(default)]
    mention_all: bool,
    #[serde(default, rename = "ref", deserialize_with = "present")]
    of: Option<Seq>,
    #[serde(default, deserialize_with = "present")]
    on: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    changed: Option<Seq>,
    #[serde(default, deserialize_with = "present")]
    edited: Option<UnixMillis>,
    #[serde(default, deserialize_with = "present")]
    recalled: Option<UnixMillis>,
    #[serde(default)]
    reactions: Vec<Reaction>,
}

impl From<MessageFields> for Message {
    fn from(fields: MessageFields) -> Message {
        let MessageFields { conversation, kind, seq, from, name, content_type, content, time, cid, .. } =
            fields;
        let (who, by) = (fields.who, fields.by.unwrap_or(from));
        let system = match fields.event {
            Some(event) if content_type == entry::SYSTEM => {
                Some(System { event, who, by, value: fields.value })
            }
            _ => None,
        };
        let references = References {
            reply_to: fields.reply_to,
            mentions: Mentions::of(fields.mentions, fields.mention_all),
        };
        let change = Change::of_fields(&content_type, fields.of, fields.on);
        let (edited, recalled, reactions) = (fields.edited, fields.recalled, fields.reactions);
        let changes = fields.changed.map(|changed| Changes { changed, edited, recalled, reactions });
        let is_plain = system.is_none() && references.is_empty() && change.is_none() && changes.is_none();
        let extra = (!is_plain).then(|| Box::new(Extra { system, references, change, changes }));
        Message { conversation, kind, seq, from, name, content_type, content, time, cid, extra }
    }
}

impl Message {
    /// Whether it is a message that a user sent. Any other entry tells what happened in the conversation: it does not
    /// count as unread, and it is also pushed on the connection that caused it.
    #[inline]
    #[must_use]
    pub fn is_message(&self) -> bool {
        self.extra.as_deref().is_none_or(|extra| extra.system.is_none() && extra.change.is_none())
    }

    /// What it tells, if it is a system entry.
    #[inline]
    #[must_use]
    pub fn system(&self) -> Option<&System> {
        self.extra.as_deref()?.system.as_ref()
    }

    /// The entry that it answers.
    #[must_use]
    pub fn reply_to(&self) -> Option<Seq> {
        self.extra.as_deref()?.references.reply_to
    }

    /// Whether it mentions a user by the user's id, or all members. The sender is not mentioned by an own message.
    #[must_use]
    pub fn mentions(&self, user: UserId) -> bool {
        let mentions = |extra: &Extra| extra.references.mentions.contain(user);
        self.from != user && self.extra.as_deref().is_some_and(mentions)
    }

    /// The change that it tells of, if it tells of one.
    #[inline]
    #[must_use]
    pub fn change(&self) -> Option<Change> {
        self.extra.as_deref()?.change
    }

    /// What changes have made of it, if it was changed.
    #[inline]
    #[must_use]
    pub fn changes(&self) -> Option<&Changes> {
        self.extra.as_deref()?.changes.as_ref()
    }

    /// When it was recalled, if it was.
    #[inline]
    #[must_use]
    pub fn recalled(&self) -> Option<UnixMillis> {
        self.changes()?.recalled
    }

    /// Whether it is the entry by which a user became a member. Everything up to it counts as read.
    #[must_use]
    pub fn begins_view_of(&self, user: UserId) -> bool {
        self.system().is_some_and(|system| system.adds_members() && system.who.contains(&user))
    }

    /// Whether it is the last entry that a user sees, because the user is no member any more.
    #[must_use]
    pub fn ends_view_of(&self, user: UserId) -> bool {
        self.system().is_some_and(|system| system.removes_members() && system.who.contains(&user))
    }
}

impl Body for Message {
    /// Writes the same bytes as `Serialize`, in half the instructions for a text of 64 bytes.
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        let Message { conversation, kind, seq, from, name, content_type, content, time, cid, extra } = self;
        put(out, b"{\"conversation\":", conversation);
        put(out, b",\"kind\":", kind);
        put(out, b",\"seq\":", seq);
        put(out, b",\"from\":", from);
        put_text(out, b",\"name\":", name);
        put_text(out, b",\"type\":", content_type);
        put_text(out, b",\"content\":", content);
        put(out, b",\"time\":", time);
        if let Some(cid) = cid {
            put_text(out, b",\"cid\":", cid);
        }
        if let Some(extra) = extra {
            extra.put(out);
        }
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::ChangeKind;
    use proptest::prelude::*;

    /// Texts of lengths around a chunk of the encoder, some with a character that must be escaped.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[a-z]{0,200}", "[a-z]{0,130}[\\x00-\\x1f\"\\\\][a-zß汉]{0,130}"]
    }

    proptest! {
        #[test]
        fn the_fast_encoder_writes_what_serde_writes(
            (conversation, seq, from, time) in any::<(u32, u64, u32, u64)>(),
            is_group in any::<bool>(),
            (name, content_type, content) in (text(), text(), text()),
            cid in proptest::option::of(text()),
            system in proptest::option::of((
                text(), proptest::collection::vec(any::<u32>(), 0..3), any::<u32>(), proptest::option::of(text()),
            )),
            reply_to in proptest::option::of(any::<u64>()),
            (mentions, mention_all) in (proptest::collection::vec(any::<u32>(), 0..3), any::<bool>()),
            change in proptest::option::of(any::<(u64, Option<bool>)>()),
            changes in proptest::option::of((
                any::<(u64, Option<u64>, Option<u64>)>(),
                proptest::option::of((text(), any::<u32>())),
            )),
        ) {
            let system = system.map(|(event, who, by, value)| {
                let who = who.into_iter().map(UserId).collect();
                System { event: Event::from(&*event), who, by: UserId(by), value: value.map(Into::into) }
            });
            let kind = |on: Option<bool>| on.map_or(ChangeKind::Edit, |on| ChangeKind::Reaction { on });
            let change = change.map(|(of, on)| Change { of: Seq(of), kind: kind(on) });
            let reaction = |(text, count): (String, u32)| {
                let (reaction, ids) = (text.into(), vec![UserId(count)]);
                Reaction { reaction, count, mine: count.is_multiple_of(2), ids }
            };
            let changes = changes.map(|((changed, edited, recalled), reactions)| Changes {
                changed: Seq(changed),
                edited: edited.map(UnixMillis),
                recalled: recalled.map(UnixMillis),
                reactions: reactions.map(reaction).into_iter().collect(),
            });
            let references = References {
                reply_to: reply_to.map(Seq),
                mentions: Mentions::of(mentions.into_iter().map(UserId).collect(), mention_all),
            };
            let extra = Extra { system, references, change, changes };
            let message = Message {
                conversation: ConversationId(conversation),
                kind: if is_group { ConversationKind::Group } else { ConversationKind::Direct },
                seq: Seq(seq),
                from: UserId(from),
                name: name.into(),
                content_type: content_type.into(),
                content: content.into(),
                time: UnixMillis(time),
                cid: cid.map(Into::into),
                extra: Some(Box::new(extra)),
            };
            let mut written = Vec::new();
            message.encode(&mut written);
            prop_assert_eq!(String::from_utf8(written).unwrap(), serde_json::to_string(&message).unwrap());
        }
    }

    #[test]
    fn a_system_entry_is_read_as_it_was_written() {
        let mut entry = Message {
            conversation: ConversationId(1),
            kind: ConversationKind::Group,
            seq: Seq(2),
            from: UserId(3),
            name: "ann".into(),
            content_type: entry::SYSTEM.into(),
            content: "ann joined".into(),
            time: UnixMillis(4),
            cid: None,
            extra: None,
        };
        for event in [Event::Joined, Event::Created, Event::Other("dissolved".into())] {
            entry.extra = Some(System { event, who: [UserId(3)].into(), by: UserId(3), value: None }.into());
            let mut written = Vec::new();
            entry.encode(&mut written);
            assert_eq!(json::read::<Message>(&written).unwrap(), entry);
        }
        entry.encode(&mut Vec::new());
        let text = serde_json::to_string(&entry).unwrap();
        assert!(text.ends_with(r#""time":4,"event":"dissolved","who":[3],"by":3}"#), "{text}");
        entry.content_type = "reaction".into();
        entry.extra = Some(Change { of: Seq(1), kind: ChangeKind::Reaction { on: false } }.into());
        let told = serde_json::to_string(&entry).unwrap();
        assert!(told.ends_with(r#""time":4,"ref":1,"on":false}"#), "{told}");
        assert_eq!(json::read::<Message>(told.as_bytes()).unwrap(), entry);
        let message = text.replace("system", "text");
        assert!(json::read::<Message>(message.as_bytes()).unwrap().is_message(), "the type decides");
    }
}
