//! The fields of a command line.
//!
//! Digits are an id, what stands in quotes is a name, and so is everything else: `7` is an id, `"7"` a name.

use wire::account::Who;
use wire::{ConversationId, Seq, UserId};

/// What divides the fields of a command: the colon, and that of a Chinese keyboard.
pub const DIVIDERS: [char; 2] = [':', '：'];

/// The text, unless it is empty.
pub fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Splits the first field from what follows its divider. What stands in quotes is not divided.
pub fn split_field(text: &str) -> Option<(&str, &str)> {
    let quoted = quoted(text).map_or(0, |quoted| quoted.end);
    let at = quoted + text[quoted..].find(DIVIDERS)?;
    let divider = text[at..].chars().next()?;
    Some((&text[..at], &text[at + divider.len_utf8()..]))
}

/// The number of a message, with or without the `#` in front that is printed before it.
pub fn seq(text: &str) -> Option<Seq> {
    let seq = Seq(text.strip_prefix('#').unwrap_or(text).parse().ok()?);
    (seq <= Seq::MAX).then_some(seq)
}

/// A text that begins with a name in quotes.
pub struct Quoted<'t> {
    pub name: &'t str,
    /// The byte after the closing quote.
    pub end: usize,
}

/// The name in quotes at the beginning of a text. A quote inside the name is not followed by a divider or a space.
pub fn quoted(text: &str) -> Option<Quoted<'_>> {
    let begin = text.len() - text.trim_start().len();
    let (open, close) = match text[begin..].chars().next()? {
        '"' => ('"', '"'),
        '“' => ('“', '”'),
        _ => return None,
    };
    let begin = begin + open.len_utf8();
    let ends_field =
        |rest: &str| rest.is_empty() || rest.starts_with(char::is_whitespace) || rest.starts_with(DIVIDERS);
    let mut closing = text[begin..].match_indices(close);
    let (length, _) = closing.find(|(at, _)| ends_field(&text[begin + at + close.len_utf8()..]))?;
    let name = &text[begin..begin + length];
    Some(Quoted { name, end: begin + length + close.len_utf8() }).filter(|quoted| !quoted.name.is_empty())
}

/// The name, if all of the text stands in quotes.
fn all_quoted(text: &str) -> Option<&str> {
    quoted(text).filter(|quoted| text[quoted.end..].trim().is_empty()).map(|quoted| quoted.name)
}

pub fn who(text: &str) -> Option<Who> {
    let text = text.trim();
    match (all_quoted(text), id(text)) {
        (Some(name), _) => Some(Who::Name(name.into())),
        (None, Some(id)) => Some(Who::Id(UserId(id))),
        (None, None) => some(text).map(|name| Who::Name(name.into())),
    }
}

/// A group, by id or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhichGroup {
    Id(ConversationId),
    Name(String),
}

/// An id may have the `#` in front that is printed before it.
pub fn group(text: &str) -> Option<WhichGroup> {
    let text = text.trim();
    match (all_quoted(text), group_id(text)) {
        (Some(name), _) => Some(WhichGroup::Name(name.to_owned())),
        (None, Some(id)) => Some(WhichGroup::Id(id)),
        (None, None) => some(text.strip_prefix('#').unwrap_or(text)).map(WhichGroup::Name),
    }
}

/// A group's id, with or without the `#` that is printed before it.
pub fn group_id(text: &str) -> Option<ConversationId> {
    let text = text.trim();
    id(text.strip_prefix('#').unwrap_or(text)).map(ConversationId)
}

/// Digits, also those of a Chinese keyboard.
fn id(text: &str) -> Option<u32> {
    let digit = |c: char| match c {
        '0'..='9' => Some(c),
        '０'..='９' => char::from_digit(u32::from(c) - u32::from('０'), 10),
        _ => None,
    };
    let digits: String = text.chars().map(digit).collect::<Option<_>>()?;
    digits.parse().ok().filter(|id| (1..=UserId::MAX.0).contains(id))
}

/// `NAME:DESC` of a group.
pub struct NameAndDesc {
    pub name: String,
    pub desc: String,
}

/// `NAME:DESC`; where the description may be missing, also `NAME`.
pub fn name_and_desc(text: &str, desc_is_optional: bool) -> Option<NameAndDesc> {
    let (name, desc) = match split_field(text) {
        Some(split) => split,
        None if desc_is_optional => (text, ""),
        None => return None,
    };
    let name = all_quoted(name).unwrap_or(name);
    Some(NameAndDesc { name: some(name.trim())?, desc: desc.trim().to_owned() })
}

/// A page of history: messages of `of` before a seq, the latest if there is none.
pub struct PageOf<'t> {
    pub of: &'t str,
    pub before: Option<Seq>,
}

/// `WHO` or `WHO:SEQ`.
pub fn page(text: &str) -> Option<PageOf<'_>> {
    match split_field(text) {
        None => Some(PageOf { of: text, before: None }),
        Some((of, seq)) => {
            let seq = Seq(seq.trim().parse().ok()?);
            (seq <= Seq::MAX).then_some(PageOf { of, before: Some(seq) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Option<Who> {
        Some(Who::Name(name.into()))
    }

    #[test]
    fn digits_are_an_id_only_within_its_range() {
        for text in ["007", "7", "７", "００７"] {
            assert_eq!(who(text), Some(Who::Id(UserId(7))));
        }
        for text in ["+7", "0", "2147483648", "7a"] {
            assert_eq!(who(text), name(text));
        }
        assert_eq!(who("  "), None);
    }

    #[test]
    fn what_stands_in_quotes_is_a_name() {
        for (text, inside) in [
            ("\"1\"", "1"),
            ("“1”", "1"),
            (" \"a:b\" ", "a:b"),
            ("\"li si\"", "li si"),
            ("\"say \"x\"\"", "say \"x\""),
        ] {
            assert_eq!(who(text), name(inside), "{text}");
        }
        for text in ["\"", "\"a", "a\"", "\"a\"b", "\"\""] {
            assert_eq!(who(text), name(text), "{text}");
        }
        assert_eq!(group("\"7\""), Some(WhichGroup::Name("7".to_owned())));
        assert_eq!((group("#7"), group("７")), (Some(WhichGroup::Id(ConversationId(7))), group("7")));
    }

    #[test]
    fn fields_are_divided_outside_of_quotes() {
        for (text, field, rest) in [
            ("2:a:b", "2", "a:b"),
            ("2：a:b", "2", "a:b"),
            ("张：你好", "张", "你好"),
            ("\"a:b\":c", "\"a:b\"", "c"),
            ("“a：b”：c", "“a：b”", "c"),
            ("\"a:b", "\"a", "b"),
        ] {
            assert_eq!(split_field(text), Some((field, rest)), "{text}");
        }
        assert_eq!(split_field("\"a:b\""), None);
    }
}
