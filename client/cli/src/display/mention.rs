//! Whether a text mentions a name.

/// A shorter name of plain letters counts only after an `@`: it is too often a word.
const BARE_MIN: usize = 3;

/// Whether a text contains a name as a word, in any case of its letters, or after an `@`.
pub fn mentions(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.trim().to_lowercase());
    if name.is_empty() {
        return false;
    }
    let needs_at = name.is_ascii() && name.len() < BARE_MIN;
    let found = text.match_indices(&name);
    found.into_iter().any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let is_addressed = before.ends_with('@');
        let begins = is_addressed || !continues(name.chars().next(), before.chars().next_back());
        begins && !continues(name.chars().next_back(), after.chars().next()) && (is_addressed || !needs_at)
    })
}

/// Whether a word goes on between two characters. Scripts that write no spaces have no such places.
fn continues(inside: Option<char>, outside: Option<char>) -> bool {
    let spaced = |c: char| {
        c.is_alphanumeric() && !matches!(c, '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{20000}'..)
    };
    inside.is_some_and(spaced) && outside.is_some_and(spaced)
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn a_name_is_mentioned_as_a_word() {
        for text in ["Li Si, are you there?", "ask @li si", "LI SI", "(li si)", "thanks li si!"] {
            assert!(mentions(text, "li si"), "{text}");
        }
        for text in ["lisi", "li single", "ali si", "", "li  si"] {
            assert!(!mentions(text, "li si"), "{text}");
        }
        assert!(mentions("请张三看一下", "张三") && mentions("@bo: hi", "bo"));
        assert!(!mentions("bo is a word here", "bo") && !mentions("anything", ""));
    }
}
