//! Makes text from other users safe to print on a terminal.
//!
//! Messages, names and the server's error texts are chosen by others. A terminal would execute some characters (escape
//! sequences), reorder the text around others (bidirectional overrides), and hide others. Those are replaced by a
//! visible form; everything else stays, in every script.

use std::borrow::Cow;
use std::fmt::Write;
use unicode_normalization::char::is_combining_mark;
use wire::characters::is_hidden;

/// The most combining marks on one character: more than any script needs, few enough to stay within the line.
pub const MARKS_MAX: usize = 8;

/// The text as one line without control, hidden or reordering characters.
///
/// * A line end becomes `⏎`, a tab four spaces, any other C0 control or DEL its picture (`␛`).
/// * C1 controls, bidirectional and line separators, and invisible characters are escaped: `\u{202e}`.
/// * After [`MARKS_MAX`] combining marks and joiners in a row further ones are dropped.
///
/// Takes linear time and is idempotent.
pub fn line(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut marks = 0;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if is_combining_mark(c) || is_joiner(c) {
            marks += 1;
            if marks <= MARKS_MAX {
                safe.push(c);
            }
            continue;
        }
        marks = 0;
        match c {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' | '\r' => safe.push('⏎'),
            '\t' => safe.push_str("    "),
            '\0'..='\u{1F}' => safe.push(picture(c as u32)),
            '\u{7F}' => safe.push('␡'),
            _ if is_unsafe(c) => {
                write!(safe, "\\u{{{:x}}}", u32::from(c)).expect("writing to a String succeeds");
            }
            _ => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Whether a character must not reach a terminal unchanged.
pub fn is_unsafe(c: char) -> bool {
    is_hidden(c) || is_invisible(c)
}

/// Unicode's picture of a C0 control.
fn picture(c0: u32) -> char {
    char::from_u32(0x2400 + c0).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Zero-width joiner and non-joiner: Persian, Indic scripts and emoji need them.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}')
}

/// Characters without width that can hide text or make equal-looking texts differ: format characters (Cf) other than
/// joiners and bidirectional ones, and tags.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{180E}' | '\u{200B}' | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}' | '\u{FEFF}'
        | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E00FF}' | '\u{E01F0}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(line("\u{1b}[2J\u{7}\u{7f}"), "␛[2J␇␡");
        assert_eq!(line("a\u{9b}31m"), "a\\u{9b}31m");
        assert_eq!(line("one\r\ntwo\nthree\rfour\tfive"), "one⏎two⏎three⏎four    five");
        assert_eq!(line("ab\u{202e}cd\u{2066}e\u{200f}"), "ab\\u{202e}cd\\u{2066}e\\u{200f}");
        assert_eq!(line("a\u{2028}b\u{e0041}\u{200b}"), "a\\u{2028}b\\u{e0041}\\u{200b}");
    }

    #[test]
    fn ordinary_text_of_any_script_is_unchanged() {
        for text in [
            "hello, world",
            "你好，张三",
            "سلام",
            "می\u{200c}خواهم",
            "👩\u{200d}👩\u{200d}👧 ❤\u{fe0f}",
            "é e\u{301} ñ",
        ] {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn combining_marks_are_limited() {
        let zalgo = format!("z{}o", "\u{301}\u{200d}".repeat(1000));
        assert_eq!(line(&zalgo).chars().count(), 2 + MARKS_MAX);
    }

    /// Arbitrary characters, with unsafe ones overrepresented.
    fn hostile() -> impl Strategy<Value = String> {
        let special = prop_oneof![
            (0u32..0xA0).prop_map(|c| char::from_u32(c).unwrap_or('x')),
            (0x2000u32..0x2070).prop_map(|c| char::from_u32(c).unwrap_or('x')),
            (0x300u32..0x310).prop_map(|c| char::from_u32(c).unwrap_or('x')),
            (0xE0000u32..0xE0200).prop_map(|c| char::from_u32(c).unwrap_or('x')),
        ];
        let characters = prop_oneof![3 => special, 1 => any::<char>()];
        prop::collection::vec(characters, 0..200).prop_map(|all| all.into_iter().collect())
    }

    proptest! {
        #[test]
        fn no_unsafe_character_passes(text in hostile()) {
            let safe = line(&text).into_owned();
            prop_assert!(!safe.chars().any(|c| is_unsafe(c) || c.is_control()));
            let mut marks = 0;
            for c in safe.chars() {
                marks = if is_combining_mark(c) { marks + 1 } else { 0 };
                prop_assert!(marks <= MARKS_MAX);
            }
            prop_assert_eq!(line(&safe), safe.as_str());
            prop_assert!(safe.len() <= 10 * text.len());
        }
    }
}
