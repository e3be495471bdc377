//! A message as it stands in a timeline.

use crate::json::{self, present};
use crate::{ConversationId, Seq, UnixMillis, UserId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// What a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConversationKind {
    /// A chat of two.
    Direct,
    Group,
}

/// The `type` of a message that does not say another.
pub const TEXT: &str = "text";

/// A message: one row `(conversation, seq)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub conversation: ConversationId,
    /// What that conversation is.
    pub kind: ConversationKind,
    pub seq: Seq,
    pub from: UserId,
    /// The sender's name.
    pub name: Arc<str>,
    /// What `content` is.
    #[serde(rename = "type")]
    pub content_type: Cow<'static, str>,
    /// The text, 1 to 32,768 bytes.
    pub content: Box<str>,
    /// When it was stored.
    pub time: UnixMillis,
    /// The sender's own number for it; absent where the sender gave none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub cid: Option<Box<str>>,
}

impl Message {
    /// Appends it as JSON: what its `Serialize` gives, in half the instructions for a text of 64 bytes.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Message { conversation, kind, seq, from, name, content_type, content, time, cid } = self;
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
        out.push(b'}');
    }
}

fn put<T: Serialize>(out: &mut Vec<u8>, key: &[u8], value: &T) {
    out.extend_from_slice(key);
    json::write(out, value);
}

fn put_text(out: &mut Vec<u8>, key: &[u8], text: &str) {
    out.extend_from_slice(key);
    json::write_string(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Texts of all lengths around a chunk's, some with what must be escaped somewhere.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[a-z]{0,200}", "[a-z]{0,130}[\\x00-\\x1f\"\\\\][a-zß汉]{0,130}"]
    }

    proptest! {
        #[test]
        fn is_written_as_serde_writes_it(
            (conversation, seq, from, time) in any::<(u32, u64, u32, u64)>(),
            is_group in any::<bool>(),
            (name, content_type, content) in (text(), text(), text()),
            cid in proptest::option::of(text()),
        ) {
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
            };
            let mut written = Vec::new();
            message.write(&mut written);
            prop_assert_eq!(String::from_utf8(written).unwrap(), serde_json::to_string(&message).unwrap());
        }
    }
}
