//! The fields of a command line.

use wire::account::Who;
use wire::{ConversationId, Seq, UserId};

/// The text, unless it is empty.
pub fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Digits are an id; everything else is a name.
pub fn who(text: &str) -> Option<Who> {
    let text = text.trim();
    match id(text) {
        Some(id) => Some(Who::Id(UserId(id))),
        None => some(text).map(|name| Who::Name(name.into())),
    }
}

/// A group's id, with or without the `#` that is printed before it.
pub fn group(text: &str) -> Option<ConversationId> {
    let text = text.trim();
    id(text.strip_prefix('#').unwrap_or(text)).map(ConversationId)
}

fn id(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && (1..=UserId::MAX.0).contains(id))
}

/// `NAME:DESC` of a group.
pub struct NameAndDesc {
    pub name: String,
    pub desc: String,
}

/// `NAME:DESC`; where the description may be missing, also `NAME`.
pub fn name_and_desc(text: &str, desc_is_optional: bool) -> Option<NameAndDesc> {
    let (name, desc) = match text.split_once(':') {
        Some(split) => split,
        None if desc_is_optional => (text, ""),
        None => return None,
    };
    Some(NameAndDesc { name: some(name.trim())?, desc: desc.trim().to_owned() })
}

/// A page of history: messages of `of` before a seq, the latest if there is none.
pub struct PageOf<'t> {
    pub of: &'t str,
    pub before: Option<Seq>,
}

/// `WHO` or `WHO:SEQ`.
pub fn page(text: &str) -> Option<PageOf<'_>> {
    match text.split_once(':') {
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

    #[test]
    fn digits_are_an_id_only_within_its_range() {
        assert_eq!(who("007"), Some(Who::Id(UserId(7))));
        for name in ["+7", "0", "2147483648", "7a"] {
            assert_eq!(who(name), Some(Who::Name(name.into())));
        }
        assert_eq!(who("  "), None);
    }
}
