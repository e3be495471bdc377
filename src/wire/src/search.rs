//! SEARCH: messages by their words, over all conversations of a user.

use crate::fields::{Value, fields, need, sized};
use crate::json::{self, present};
use crate::message::Message;
use crate::table::Body;
use crate::words::Sought;
use crate::{ConversationId, Seq, UnixMillis, UserId, limits, shared};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// 1 to 512 bytes, with 1 to 16 words.
    pub text: Box<str>,
    /// Only messages of this conversation.
    pub conversation: Option<ConversationId>,
    /// Only messages of this sender.
    pub from: Option<UserId>,
    /// Only messages of this time or later.
    pub since: Option<UnixMillis>,
    /// Only messages of this time or earlier.
    pub until: Option<UnixMillis>,
    /// Only messages that stand after this place in the order of the results; `None` for the first page.
    pub cursor: Option<Place>,
    /// At most this many messages, 1 to 50.
    pub limit: u32,
}

/// The place of a message among the results: by time, then by conversation and seq, the highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub time: UnixMillis,
    pub conversation: ConversationId,
    pub seq: Seq,
}

impl Place {
    pub fn of(message: &Message) -> Place {
        Place { time: message.time, conversation: message.conversation, seq: message.seq }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.time, self.conversation, self.seq)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        let part = |text: &str, max: u64| {
            let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u64>().ok().filter(|number| is_decimal && *number <= max)
        };
        let read = || {
            let (time, rest) = text.split_once('.')?;
            let (conversation, seq) = rest.split_once('.')?;
            Some(Place {
                time: UnixMillis(part(time, limits::INTEGER_MAX)?),
                conversation: ConversationId(part(conversation, limits::ID_MAX)? as u32),
                seq: Seq(part(seq, limits::INTEGER_MAX)?),
            })
        };
        read().ok_or_else(|| "`cursor` must be one that a reply of SEARCH had".to_owned())
    }
}

fields! {
    SearchFields {
        text: Box<str>, conversation: ConversationId, from: UserId, since: UnixMillis, until: UnixMillis,
        cursor: Box<str>, limit: Seq,
    }
}

impl Search {
    /// The first page of what has these words, wherever it is.
    pub fn new(text: &str, limit: u32) -> Search {
        let text = text.into();
        Search { text, conversation: None, from: None, since: None, until: None, cursor: None, limit }
    }
}

impl Value for Search {
    const FIELDS: &[&str] = SearchFields::NAMES;

    fn decode(value: &[u8]) -> Result<Search, String> {
        let f: SearchFields = json::read(value)?;
        let text = sized("text", need("text", f.text)?, 1, limits::SEARCH_BYTES)?;
        Sought::parse(&text)?;
        let limit = match f.limit {
            None => limits::SEARCH_MAX,
            Some(Seq(limit)) if (1..=u64::from(limits::SEARCH_MAX)).contains(&limit) => limit as u32,
            Some(_) => return Err(format!("`limit` must be from 1 to {}", limits::SEARCH_MAX)),
        };
        Ok(Search {
            text,
            conversation: f.conversation,
            from: f.from,
            since: f.since,
            until: f.until,
            cursor: f.cursor.map(|cursor| cursor.parse()).transpose()?,
            limit,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let Search { text, conversation, from, since, until, cursor, limit } = self.clone();
        let (text, cursor) = (Some(text), cursor.map(|cursor| cursor.to_string().into()));
        let limit = Some(Seq(limit.into()));
        json::write(out, &SearchFields { text, conversation, from, since, until, cursor, limit });
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchPage {
    /// As they are now, the latest first.
    #[serde(with = "shared")]
    pub messages: Vec<Arc<Message>>,
    /// Where the next page begins; `None`: there are no further results.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub cursor: Option<Box<str>>,
    /// Messages that were stored before this time can be found, later ones perhaps not yet; 0: the node is still
    /// reading what it has.
    pub indexed_to: UnixMillis,
}

impl Body for SearchPage {}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(value: &str) -> Result<Search, String> {
        Search::decode(value.as_bytes())
    }

    #[test]
    fn a_text_is_bounded_before_anything_looks_at_it() {
        assert_eq!(decode(r#"{"text":"a"}"#).unwrap().limit, 50);
        assert!(decode(&format!(r#"{{"text":"{}"}}"#, "x".repeat(512))).is_ok());
        for text in
            ["x".repeat(513), r#"\""#.repeat(10_000), "x ".repeat(17), "\\u0000".to_owned(), "  ".to_owned()]
        {
            let error = decode(&format!(r#"{{"text":"{text}"}}"#)).unwrap_err();
            assert!(error.starts_with("`text`"), "{error}");
        }
    }

    #[test]
    fn a_cursor_is_a_place() {
        let place =
            Place { time: UnixMillis(1_700_000_000_000), conversation: ConversationId(7), seq: Seq(3) };
        assert_eq!(place.to_string().parse(), Ok(place));
        for text in ["", "1", "1.2", "1.2.3.4", "+1.2.3", "1.-2.3", "1.99999999999.3", "1.2.", "a.b.c"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
