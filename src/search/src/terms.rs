//! Terms: texts and queries as FTS5 sees them.
//!
//! A word is a term, and of a run of Chinese, Japanese or Korean characters each pair of neighbours is one, and its last
//! character. The tokenizer of the table only splits at spaces: every character of a term is a letter or digit in ASCII,
//! or none of ASCII, so that nothing that a client writes is syntax of a query.
//!
//! The first term of a document is its conversation. FTS5 walks the lists of a query's terms together, and ends with the
//! shortest: with this term, where the conversation ends.

use wire::ConversationId;
use wire::words::{Sought, Word, words};

/// Characters of a term. Longer words are found by these, and then compared as a whole.
const TERM_CHARS: usize = 64;
/// The lengths of beginnings that the index lists, characters.
pub const PREFIXES: &[usize] = &[1, 2, 3, 4, 6];

/// The document of a message; `None`: it has no words.
pub fn document(conversation: ConversationId, text: &str) -> Option<String> {
    let words = words(text);
    if words.is_empty() {
        return None;
    }
    let mut document = term_of(conversation);
    for word in &words {
        match word {
            Word::Whole(word) => push(&mut document, head(word, TERM_CHARS)),
            Word::Run(run) => pairs(run).chain(last(run)).for_each(|term| push(&mut document, term)),
        }
    }
    Some(document)
}

/// What to ask the index in one conversation.
#[derive(Debug)]
pub struct Expression {
    /// In the syntax of FTS5.
    pub text: String,
    /// The beginning that a term of the document must have, where the index lists only a shorter one.
    pub beginning: Option<Box<str>>,
}

impl Expression {
    pub fn of(sought: &Sought) -> Expression {
        let (mut text, mut beginning) = (String::new(), None);
        let last_word = sought.words().len() - 1;
        for (at, word) in sought.words().iter().enumerate() {
            text += " AND ";
            match word {
                Word::Whole(word) if at == last_word => {
                    let word = head(word, TERM_CHARS);
                    let length = word.chars().count();
                    let listed = PREFIXES.iter().rev().find(|listed| **listed <= length);
                    let listed = *listed.expect("a beginning of one character is listed");
                    quote(&mut text, head(word, listed));
                    text += " *";
                    beginning = (listed < length).then(|| word.into());
                }
                Word::Whole(word) => quote(&mut text, head(word, TERM_CHARS)),
                Word::Run(run) if run.chars().nth(1).is_none() => {
                    quote(&mut text, run);
                    text += " *";
                }
                Word::Run(run) => {
                    let mut phrase = String::new();
                    pairs(run).for_each(|pair| push(&mut phrase, pair));
                    quote(&mut text, &phrase);
                }
            }
        }
        Expression { text, beginning }
    }

    /// In a conversation.
    pub fn within(&self, conversation: ConversationId) -> String {
        format!("\"{}\"{}", term_of(conversation), self.text)
    }

    /// Whether a document that the index found may be one.
    pub fn admits(&self, document: &str) -> bool {
        self.beginning
            .as_deref()
            .is_none_or(|beginning| document.split(' ').skip(1).any(|term| term.starts_with(beginning)))
    }
}

/// Two characters of private use, which no word contains.
fn term_of(conversation: ConversationId) -> String {
    let character = |from: u32, bits: u32| char::from_u32(from + bits).expect("both planes are characters");
    let id = conversation.0;
    [character(0xF_0000, id >> 16 & 0x7FFF), character(0x10_0000, id & 0xFFFF)].iter().collect()
}

fn push(document: &mut String, term: &str) {
    if !document.is_empty() {
        document.push(' ');
    }
    document.push_str(term);
}

fn quote(text: &mut String, terms: &str) {
    debug_assert!(!terms.contains('"'), "no word has a quote");
    text.push('"');
    text.push_str(terms);
    text.push('"');
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
    fn a_document_begins_with_its_conversation() {
        let document = document(HERE, "Hello, 世界人! x").unwrap();
        assert_eq!(document.split(' ').skip(1).collect::<Vec<_>>(), ["hello", "世界", "界人", "人", "x"]);
        assert_eq!(document.split(' ').next(), Some(&*term_of(HERE)));
        assert_eq!(super::document(HERE, "… \0"), None);
        assert_ne!(term_of(ConversationId(1)), term_of(ConversationId(1 << 16)));
        assert_eq!(term_of(ConversationId::MAX).chars().count(), 2);
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

    #[test]
    fn a_long_beginning_is_compared_with_the_document() {
        let sought = |text: &str| Expression::of(&Sought::parse(text).unwrap());
        assert_eq!(sought("abcdef").beginning, None);
        let long = sought("international");
        assert!(long.text.ends_with("\"intern\" *"), "{}", long.text);
        assert!(long.admits("c internationally") && !long.admits("c internal"));
    }
}
