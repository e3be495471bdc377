//! Searches, and whether their answers have what they must and nothing that was recalled.

use super::view::{RecalledText, View};
use wire::limits::{SEARCH_BYTES, SEARCH_MAX};
use wire::search::{Search, SearchPage};
use wire::{Command, ConversationId, Message, Seq, UnixMillis, timeline};

/// A search for one message. No other has its words: every text has the number and the time of its message.
#[derive(Clone, Debug)]
pub struct Query {
    words: Box<str>,
    conversation: ConversationId,
    seq: Seq,
    expected: Expected,
    /// Whether only the message's conversation is searched.
    is_narrow: bool,
}

#[derive(Clone, Debug)]
enum Expected {
    /// The message has this text.
    Text {
        text: Box<str>,
        /// When it got it.
        since: UnixMillis,
        /// The last entry up to which the client had all when it searched: what follows may have changed the text.
        known_to: Seq,
    },
    /// The client knew that the message was recalled.
    Nothing,
}

/// What an answer shows.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has what was expected.
    Right,
    /// The index does not have the text yet, or the search was ended before it was found.
    TooEarly,
    /// The expected text is not there. Only a later change of it is an excuse.
    Missing(Missing),
    Wrong(String),
}

/// A text that was not found although it was indexed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub conversation: ConversationId,
    pub seq: Seq,
    pub known_to: Seq,
    pub words: Box<str>,
}

impl Query {
    /// For a message that `view` shows, or for the text of one that was recalled.
    pub fn for_text(view: &View, message: &Message, is_narrow: bool) -> Query {
        let edited = message.changes().and_then(|changes| changes.edited);
        let timeline = view.timeline(message.conversation);
        let expected = Expected::Text {
            text: message.content.clone(),
            since: edited.unwrap_or(message.time),
            known_to: timeline.map_or(message.seq, |timeline| timeline.complete_to),
        };
        let (conversation, seq, words) = (message.conversation, message.seq, words(&message.content));
        Query { words, conversation, seq, expected, is_narrow }
    }

    pub fn for_recalled(recalled: &RecalledText, is_narrow: bool) -> Query {
        let &RecalledText { conversation, seq, ref text } = recalled;
        Query { words: words(text), conversation, seq, expected: Expected::Nothing, is_narrow }
    }

    pub fn command(&self) -> Command {
        let conversation = self.is_narrow.then_some(self.conversation);
        let search = Search { conversation, ..Search::new(&self.words, SEARCH_MAX) };
        Command::Timeline(timeline::Request::Search(Box::new(search)))
    }

    /// Judges the answer of a node to its client.
    pub fn judge(&self, page: &SearchPage) -> Verdict {
        let Query { words, conversation, seq, .. } = self;
        let is_it = |found: &Message| found.conversation == *conversation && found.seq == *seq;
        if let Some(other) = page.messages.iter().find(|found| !is_it(found)) {
            return Verdict::Wrong(format!(
                "found entry {} of conversation {} (\"{}\"), which does not have these words",
                other.seq, other.conversation, other.content
            ));
        }
        let found = page.messages.first();
        match &self.expected {
            Expected::Nothing => match found {
                Some(found) => Verdict::Wrong(format!(
                    "found entry {seq} of conversation {conversation} (\"{}\"), which was recalled",
                    found.content
                )),
                None => Verdict::Right,
            },
            Expected::Text { text, since, known_to } => match found {
                Some(found) if found.content == *text => Verdict::Right,
                None if page.cursor.is_some() || page.indexed_to <= *since => Verdict::TooEarly,
                _ => Verdict::Missing(Missing {
                    conversation: *conversation,
                    seq: *seq,
                    known_to: *known_to,
                    words: words.clone(),
                }),
            },
        }
    }

    pub fn words(&self) -> &str {
        &self.words
    }
}

/// As much of a text as a search may have.
fn words(text: &str) -> Box<str> {
    // The texts of a run are ASCII.
    text[..text.len().min(SEARCH_BYTES)].into()
}

#[cfg(test)]
mod tests {
    use super::super::samples::text;
    use super::*;
    use std::sync::Arc;
    use wire::UserId;

    fn page(found: &[Message], indexed_to: u64) -> SearchPage {
        let messages = found.iter().cloned().map(Arc::new).collect();
        SearchPage { messages, cursor: None, indexed_to: UnixMillis(indexed_to) }
    }

    #[test]
    fn a_text_must_be_found_once_it_is_indexed() {
        let mut view = View::new(UserId(1), [(ConversationId(9), Seq(0))]);
        view.take(text(1, "r1 abc"), 0);
        let query = Query::for_text(&view, &text(1, "r1 abc"), false);
        let missing = Verdict::Missing(Missing {
            conversation: ConversationId(9),
            seq: Seq(1),
            known_to: Seq(1),
            words: "r1 abc".into(),
        });
        assert_eq!(query.judge(&page(&[text(1, "r1 abc")], 0)), Verdict::Right);
        assert_eq!(query.judge(&page(&[], 10)), Verdict::TooEarly, "it was stored at 10");
        assert_eq!(query.judge(&page(&[], 11)), missing);
        assert_eq!(query.judge(&page(&[text(1, "r2 abc")], 11)), missing, "an edit may explain it");
        let more = SearchPage { cursor: Some("1.2.3".into()), ..page(&[], 11) };
        assert_eq!(query.judge(&more), Verdict::TooEarly);
        assert!(matches!(query.judge(&page(&[text(2, "r1 abc")], 11)), Verdict::Wrong(_)));
    }

    #[test]
    fn a_recalled_text_must_not_be_found() {
        let recalled = RecalledText { conversation: ConversationId(9), seq: Seq(1), text: "abc".into() };
        let query = Query::for_recalled(&recalled, true);
        assert_eq!(query.judge(&page(&[], 0)), Verdict::Right);
        assert!(matches!(query.judge(&page(&[text(1, "")], 0)), Verdict::Wrong(_)));
    }
}
