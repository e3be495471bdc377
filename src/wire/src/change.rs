//! Changes of entries: edits, recalls and reactions. Each change is an entry of the same timeline, which names the entry
//! that it changes; that entry is read as the changes have left it.

use crate::cid::check_cid;
use crate::fields::{Value, fields, need, sized};
use crate::json;
use crate::table::{Body, requests};
use crate::{ConversationId, Seq, UnixMillis, UserId, characters, limits};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use unicode_segmentation::UnicodeSegmentation;

requests! {
    /// Gives an own message another text.
    60 EDIT Edit(Edit) -> Edited(Box<Changed>),
    /// Takes a message back: nobody reads its text any more.
    61 RECALL Recall(Recall) -> Recalled(Box<Changed>),
    /// Adds the user's reaction to a message, or takes it back.
    62 REACT React(React) -> Reacted(Box<Changed>),
}

/// The `type` of an entry that tells of an edit. Its content is the new text, and is empty once a later edit or a recall
/// has replaced that.
pub const EDIT: &str = "edit";

/// The `type` of an entry that tells of a recall. It has no content.
pub const RECALL: &str = "recall";

/// The `type` of an entry that tells of a reaction. Its content is the reaction.
pub const REACTION: &str = "reaction";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub conversation: ConversationId,
    pub seq: Seq,
    /// The new text, 1 to 32,768 bytes.
    pub content: Box<str>,
    /// As in [`React`].
    pub cid: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recall {
    pub conversation: ConversationId,
    pub seq: Seq,
    /// As in [`React`].
    pub cid: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct React {
    pub conversation: ConversationId,
    pub seq: Seq,
    /// What a reader sees as one character, 1 to 64 bytes.
    pub reaction: Box<str>,
    /// Whether the user reacts so from now on.
    pub on: bool,
    /// The user's identifier for the change, in one space with those of messages.
    pub cid: Option<Box<str>>,
}

fields! {
    EditFields { conversation: ConversationId, seq: Seq, content: Box<str>, cid: Box<str>, }
    RecallFields { conversation: ConversationId, seq: Seq, cid: Box<str>, }
    ReactFields { conversation: ConversationId, seq: Seq, reaction: Box<str>, on: bool, cid: Box<str>, }
}

impl Value for Edit {
    const FIELDS: &[&str] = EditFields::NAMES;

    fn decode(value: &[u8]) -> Result<Edit, String> {
        let f: EditFields = json::read(value)?;
        Ok(Edit {
            conversation: need("conversation", f.conversation)?,
            seq: need("seq", f.seq)?,
            content: sized("content", need("content", f.content)?, 1, limits::CONTENT_BYTES)?,
            cid: check_cid(f.cid)?,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let Edit { conversation, seq, content, cid } = self.clone();
        let (conversation, seq, content) = (Some(conversation), Some(seq), Some(content));
        json::write(out, &EditFields { conversation, seq, content, cid });
    }
}

impl Value for Recall {
    const FIELDS: &[&str] = RecallFields::NAMES;

    fn decode(value: &[u8]) -> Result<Recall, String> {
        let f: RecallFields = json::read(value)?;
        let (conversation, seq) = (need("conversation", f.conversation)?, need("seq", f.seq)?);
        Ok(Recall { conversation, seq, cid: check_cid(f.cid)? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let Recall { conversation, seq, cid } = self.clone();
        json::write(out, &RecallFields { conversation: Some(conversation), seq: Some(seq), cid });
    }
}

impl Value for React {
    const FIELDS: &[&str] = ReactFields::NAMES;

    fn decode(value: &[u8]) -> Result<React, String> {
        let f: ReactFields = json::read(value)?;
        Ok(React {
            conversation: need("conversation", f.conversation)?,
            seq: need("seq", f.seq)?,
            reaction: check_reaction(need("reaction", f.reaction)?)?,
            on: need("on", f.on)?,
            cid: check_cid(f.cid)?,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let React { conversation, seq, reaction, on, cid } = self.clone();
        let (conversation, seq, reaction) = (Some(conversation), Some(seq), Some(reaction));
        json::write(out, &ReactFields { conversation, seq, reaction, on: Some(on), cid });
    }
}

fn check_reaction(text: Box<str>) -> Result<Box<str>, String> {
    let text = sized("reaction", text, 1, limits::REACTION_BYTES)?;
    let is_one = text.graphemes(true).nth(1).is_none();
    let is_seen = |c: char| !characters::is_ignorable(c) && !characters::is_blank(c);
    // A character that belongs to the next one makes even a space part of it.
    let is_text = |c: char| !c.is_whitespace() && !characters::is_hidden(c);
    if is_one && text.starts_with(is_seen) && text.chars().all(is_text) {
        Ok(text)
    } else {
        Err("`reaction` must be one visible character or emoji".to_owned())
    }
}

/// The reply to a change: where the entry is that tells of it. Where nothing had to be changed, it is the entry that told
/// of it earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// 0: there is no such entry.
    pub seq: Seq,
    pub time: UnixMillis,
}

impl Body for Changed {}

/// The fields of an entry that tells of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The entry that is changed.
    pub of: Seq,
    pub kind: ChangeKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Edit,
    Recall,
    Reaction {
        /// Whether the sender of the entry reacts so from now on.
        on: bool,
    },
}

impl Change {
    /// The change that an entry of this type tells of; `None`: it is another entry.
    pub fn of_fields(content_type: &str, of: Option<Seq>, on: Option<bool>) -> Option<Change> {
        let kind = match (content_type, on) {
            (EDIT, _) => ChangeKind::Edit,
            (RECALL, _) => ChangeKind::Recall,
            (REACTION, Some(on)) => ChangeKind::Reaction { on },
            _ => return None,
        };
        Some(Change { of: of?, kind })
    }

    /// The `type` of an entry that tells of it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self.kind {
            ChangeKind::Edit => EDIT,
            ChangeKind::Recall => RECALL,
            ChangeKind::Reaction { .. } => REACTION,
        }
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("ref", &self.of)?;
        if let ChangeKind::Reaction { on } = self.kind {
            map.serialize_entry("on", &on)?;
        }
        map.end()
    }
}

/// What changes have made of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The last change that is contained.
    pub changed: Seq,
    /// When the text was last edited; `None`: it is the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<UnixMillis>,
    /// When the message was recalled. It then has no text, and no further change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalled: Option<UnixMillis>,
    /// In the order in which they were first made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
}

/// One kind of reaction to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    pub reaction: Box<str>,
    /// How many users react so.
    pub count: u32,
    /// Whether the reader does.
    pub mine: bool,
    /// The first [`limits::REACTION_IDS`] of them.
    pub ids: Vec<UserId>,
}

impl Changes {
    /// Applies the change of a reaction by `user`, read by `me`.
    pub fn react(&mut self, reaction: &str, user: UserId, on: bool, me: UserId) {
        let at = self.reactions.iter().position(|of_kind| *of_kind.reaction == *reaction);
        match (at, on) {
            (None, false) => {}
            (None, true) => self.reactions.push(Reaction {
                reaction: reaction.into(),
                count: 1,
                mine: user == me,
                ids: vec![user],
            }),
            (Some(at), true) => {
                let of_kind = &mut self.reactions[at];
                of_kind.count += 1;
                of_kind.mine |= user == me;
                // Only while all are listed: of others it is not known who came next.
                let is_listed = of_kind.ids.len() + 1 == of_kind.count as usize;
                if is_listed && of_kind.ids.len() < limits::REACTION_IDS {
                    of_kind.ids.push(user);
                }
            }
            (Some(at), false) => {
                let of_kind = &mut self.reactions[at];
                of_kind.count = of_kind.count.saturating_sub(1);
                of_kind.mine &= user != me;
                of_kind.ids.retain(|id| *id != user);
                if of_kind.count == 0 {
                    self.reactions.remove(at);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaction_is_one_visible_character() {
        for good in [
            "👍",
            "❤\u{FE0F}",
            "👩\u{200D}👩\u{200D}👧",
            "👍🏽",
            "🇩🇪",
            "a",
            "赞",
            "e\u{301}",
            "1\u{FE0F}\u{20E3}",
        ] {
            assert_eq!(check_reaction(good.into()).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "ab",
            "👍👍",
            " ",
            "\u{200B}",
            "\r\n",
            "\n",
            "\u{3000}",
            "\u{FE0F}",
            "a\u{202E}",
            "\u{2800}",
            "\u{600} ",
            "\u{D4E} ",
            "\u{6DD}\u{3000}",
        ] {
            assert!(check_reaction(bad.into()).is_err(), "{bad:?}");
        }
        assert!(check_reaction(format!("a{}", "\u{301}".repeat(32)).into()).is_err(), "too long");
    }

    #[test]
    fn reactions_are_counted_and_listed_in_order() {
        let mut changes = Changes::default();
        for id in 1..=12 {
            changes.react("👍", UserId(id), true, UserId(12));
        }
        changes.react("🎉", UserId(3), true, UserId(12));
        changes.react("👍", UserId(2), false, UserId(12));
        changes.react("👀", UserId(2), false, UserId(12));
        let [thumbs, party] = &changes.reactions[..] else { panic!("{changes:?}") };
        assert_eq!((thumbs.count, thumbs.mine, thumbs.ids.len()), (11, true, 9));
        assert_eq!((party.count, party.mine, &party.ids[..]), (1, false, &[UserId(3)][..]));
        changes.react("🎉", UserId(3), false, UserId(12));
        changes.react("👍", UserId(12), false, UserId(12));
        assert_eq!((changes.reactions.len(), changes.reactions[0].mine), (1, false));
    }
}
