//! The last message of a conversation, as listings show it.

use crate::limits::LAST_CHARS;
use crate::message::Message;
use crate::{Seq, UnixMillis, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The beginning of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastMessage {
    pub seq: Seq,
    pub from: UserId,
    /// The sender's name.
    pub name: Arc<str>,
    #[serde(rename = "type")]
    pub content_type: Box<str>,
    /// At most [`LAST_CHARS`] characters; empty where it was recalled.
    pub content: Box<str>,
    pub time: UnixMillis,
}

impl From<&Message> for LastMessage {
    fn from(message: &Message) -> LastMessage {
        let Message { seq, from, ref name, ref content_type, ref content, time, .. } = *message;
        let content_type = (&**content_type).into();
        LastMessage { seq, from, name: Arc::clone(name), content_type, content: beginning(content), time }
    }
}

impl LastMessage {
    /// Replaces the text, as an edit or (empty) a recall does.
    pub fn set_content(&mut self, content: &str) {
        self.content = beginning(content);
    }
}

/// The first [`LAST_CHARS`] characters.
fn beginning(content: &str) -> Box<str> {
    let end = content.char_indices().nth(LAST_CHARS).map_or(content.len(), |(end, _)| end);
    content[..end].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(&*beginning("short"), "short");
        assert_eq!(*beginning(&"é🙂".repeat(100)), *"é🙂".repeat(100));
        assert_eq!(*beginning(&"é🙂".repeat(101)), *"é🙂".repeat(100));
    }
}
