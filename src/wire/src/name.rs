//! Names of users and groups: which characters they may hold, and when two names are equal.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// Checks a name of at most `max` characters. The error is a sentence about `field`.
pub fn check(field: &str, name: &str, max: usize) -> Result<(), String> {
    let characters = name.chars().take(max + 1).count();
    if characters == 0 || characters > max {
        return Err(format!("`{field}` must be 1 to {max} characters long"));
    }
    if name.chars().any(is_hidden) {
        return Err(format!("`{field}` must not contain control or bidirectional characters"));
    }
    if name.starts_with(char::is_whitespace) || name.ends_with(char::is_whitespace) {
        return Err(format!("`{field}` must not begin or end with a space"));
    }
    Ok(())
}

/// The key of a name; two names are equal where their keys are, byte for byte.
///
/// NFC, full case folding, NFC (Unicode standard, section 3.13, D145 with NFC for NFD).
pub fn key(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.nfc().default_case_fold().nfc().collect()
}

/// Whether a character is invisible but alters how text is shown: controls, line separators, bidirectional marks.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{061C}' | '\u{200E}' | '\u{200F}')
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_or_composition_share_a_key() {
        assert_eq!(key("ZHANG San"), key("zhang san"));
        assert_eq!(key("Straße"), key("STRASSE"));
        assert_eq!(key("e\u{301}"), key("\u{c9}"));
        assert_ne!(key("zhang"), key("zhang1"));
    }

    #[test]
    fn hidden_characters_and_surrounding_spaces_are_refused() {
        for bad in ["", " a", "a\u{3000}", "a\nb", "a\u{202e}b", "a\u{0}b", "a\u{9b}b", &"x".repeat(51)] {
            assert!(check("name", bad, 50).is_err(), "{bad:?}");
        }
        for good in ["a", "张三", "a b", &"宽".repeat(50), "🙂"] {
            assert_eq!(check("name", good, 50), Ok(()));
        }
    }
}
