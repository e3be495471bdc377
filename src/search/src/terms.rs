//! Terms: texts and queries as FTS5 sees them.
//!
//! A word is a term, and of a run of Chinese, Japanese or Korean characters each pair of neighbours is one, and its last
//! character. The tokenizer of the table only splits at spaces: every character of a term is a letter or digit in ASCII,
//! or none of ASCII, so that nothing that a client writes is syntax of a query.
//!
//! Every term begins with its conversation, so that the list of a term has only that conversation's messages: the cost of
//! a query does not grow with what others wrote.

use wire::ConversationId;
use wire::words::{Sought, Word, words};

/// Characters of a term. Longer words are found by these, and then compared as a whole.
const TERM_CHARS: usize = 64;
/// The lengths of beginnings of words that the index lists, characters. Of a longer beginning the index puts the lists of
/// its words together for each query, which costs as much as it has hits in the conversation.
const BEGINNINGS: &[usize] = &[1, 2, 3];
/// Characters of [`mark_of`].
const MARK_CHARS: usize = 2;

/// The lengths of beginnings of terms that the index lists.
pub fn prefixes() -> impl Iterator<Item = usize> {
    BEGINNINGS.iter().map(|length| MARK_CHARS + length)
}

/// The document of a message; `None`: it has no words.
pub fn document(conversation: ConversationId, text: &str) -> Option<String> {
    let (mark, mut document) = (mark_of(conversation), String::new());
    for word in &words(text) {
        match word {
            Word::Whole(word) => push(&mut document, &mark, head(word, TERM_CHARS)),
            Word::Run(run) => pairs(run).chain(last(run)).for_each(|term| push(&mut document, &mark, term)),
        }
    }
    (!document.is_empty()).then_some(document)
}

/// What to ask the index.
#[derive(Debug)]
pub struct Expression(Vec<Phrase>);

/// Terms that follow each other.
#[derive(Debug)]
struct Phrase {
    terms: Vec<Box<str>>,
    /// Whether the last one is the beginning of a term.
    is_open: bool,
}

impl Expression {
    pub fn of(sought: &Sought) -> Expression {
        let last = sought.words().len() - 1;
        let phrase = |(at, word): (usize, &Word)| match word {
            Word::Whole(word) => Phrase { terms: vec![head(word, TERM_CHARS).into()], is_open: at == last },
            Word::Run(run) if run.chars().nth(1).is_none() => {
                Phrase { terms: vec![run.clone()], is_open: true }
            }
            Word::Run(run) => Phrase { terms: pairs(run).map(Box::from).collect(), is_open: false },
        };
        Expression(sought.words().iter().enumerate().map(phrase).collect())
    }

    /// In a conversation, in the syntax of FTS5.
    pub fn within(&self, conversation: ConversationId) -> String {
        let (mark, mut text) = (mark_of(conversation), String::new());
        for Phrase { terms, is_open } in &self.0 {
            let mut phrase = String::new();
            terms.iter().for_each(|term| push(&mut phrase, &mark, term));
            debug_assert!(!phrase.contains('"'), "no word has a quote");
            text += if text.is_empty() { "" } else { " AND " };
            text += &format!("\"{phrase}\"{}", if *is_open { " *" } else { "" });
        }
        text
    }
}

/// Two characters of private use, which no word contains: they stand for a conversation.
fn mark_of(conversation: ConversationId) -> String {
    let character = |from: u32, bits: u32| char::from_u32(from + bits).expect("both planes are characters");
    let id = conversation.0;
    [character(0xF_0000, id >> 16 & 0x7FFF), character(0x10_0000, id & 0xFFFF)].iter().collect()
}

fn push(document: &mut String, mark: &str, term: &str) {
    if !document.is_empty() {
        document.push(' ');
    }
    document.push_str(mark);
    document.push_str(term);
}

/// The first characters of a word.
fn head(word: &str, characters: usize) -> &str {
    word.char_indices().nth(characters).map_or(word, |(end, _)| &word[..end])
}

fn pairs(run: &str) -> impl Iterator<Item = &str> {
    let ends = run.char_indices().skip(1).map(|(at, c)| at + c.len_utf8());
    run.char_indices().zip(ends).map(|((begin, _), end)| &run[begin..end])
}

fn last(run: &str) -> Option<&str> {
    run.char_indices().next_back().map(|(at, _)| &run[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: ConversationId = ConversationId(7);

    #[test]
    fn every_term_begins_with_its_conversation() {
        let document = document(HERE, "Hello, 世界人! x").unwrap();
        let terms: Vec<_> =
            document.split(' ').map(|term| term.strip_prefix(&mark_of(HERE)).unwrap()).collect();
        assert_eq!(terms, ["hello", "世界", "界人", "人", "x"]);
        assert_eq!(super::document(HERE, "… \0"), None);
        assert_ne!(mark_of(ConversationId(1)), mark_of(ConversationId(1 << 16)));
        assert_eq!(mark_of(ConversationId::MAX).chars().count(), MARK_CHARS);
    }

    #[test]
    fn nothing_that_is_sought_is_syntax() {
        for text in [
            "\" OR \"x",
            "a NEAR(b c)",
            "text:x",
            "x* ^y -z",
            "NOT AND OR",
            "{a b}:c",
            "\u{F0007}\u{100001}x",
        ] {
            let expression = Expression::of(&Sought::parse(text).unwrap());
            let outside: String = expression.within(HERE).split('"').step_by(2).collect();
            let outside = outside.replace(" AND ", "");
            assert!(outside.is_empty() || outside == " *", "{text}: {outside:?}");
        }
    }
}
