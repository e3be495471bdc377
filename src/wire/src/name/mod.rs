//! Names of users and groups: which characters they may hold, when two names are equal, and when they look alike.

mod alike;
mod new;

pub use alike::{SKELETON_BYTES, fold, skeletons};
pub use new::check_new_user;

use crate::characters;
use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// Checks a displayed name of at most `max` characters. The error is a sentence about `field`.
pub fn check(field: &str, name: &str, max: usize) -> Result<(), String> {
    let characters = name.chars().take(max + 1).count();
    if characters == 0 || characters > max {
        return Err(format!("`{field}` must be 1 to {max} characters long"));
    }
    if name.starts_with(char::is_whitespace) || name.ends_with(char::is_whitespace) {
        return Err(format!("`{field}` must not begin or end with a space"));
    }
    match characters::first_unseen(name) {
        None => Ok(()),
        Some(c) => Err(format!("`{field}` must not contain the invisible character U+{:04X}", u32::from(c))),
    }
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
    fn hidden_and_blank_characters_and_surrounding_spaces_are_refused() {
        for bad in ["", " a", "a\u{3000}", "a\nb", "a\u{202e}b", "a\u{0}b", "a\u{9b}b", &"x".repeat(51)] {
            assert!(check("name", bad, 50).is_err(), "{bad:?}");
        }
        for bad in ["\u{3164}", "\u{2800}", "\u{fe0f}", "\u{115f}", "a\u{200b}b", "a\u{a0}b", "7\u{fe0f}"] {
            assert!(check("name", bad, 50).is_err(), "{bad:?}");
        }
        for good in ["a", "张三", "a b", &"宽".repeat(50), "🙂", "7", "ops: #1", "👩\u{200d}🚀 crew"]
        {
            assert_eq!(check("name", good, 50), Ok(()));
        }
    }
}
