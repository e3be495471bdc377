//! Text of others made safe to show on a terminal.
//!
//! A message, a name and an error sentence of the server are bytes that somebody else chose. On a terminal some of
//! them would be commands (escape sequences), some would reorder what stands beside them (bidirectional overrides),
//! some would hide. All of those are shown as what they are; everything else is left alone, in every script.

use std::borrow::Cow;
use std::fmt::Write;
use unicode_normalization::char::is_combining_mark;
use wire::name::is_hidden;

/// Marks on one character at most: more than any script needs, few enough to stay on their line.
pub const MARKS_MAX: usize = 8;

/// One line of text without anything that a terminal obeys or that hides or reorders.
///
/// * A line end becomes `⏎`, a tab four spaces, other C0 controls and DEL their pictures (`␛`).
/// * C1 controls, bidirectional and line separators, and invisible characters become `\u{202e}`.
/// * Of more than [`MARKS_MAX`] combining marks and joiners in a row the rest is dropped.
///
/// Takes linear time; sanitising twice changes nothing more.
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
                write!(safe, "\\u{{{:x}}}", u32::from(c)).expect("a String takes everything");
            }
            _ => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Whether a character may not reach a terminal as it is.
pub fn is_unsafe(c: char) -> bool {
    is_hidden(c) || is_invisible(c)
}

/// Unicode's pictures of the C0 controls.
fn picture(c0: u32) -> char {
    char::from_u32(0x2400 + c0).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Zero-width joiner and non-joiner: Persian, Indic scripts and emoji need them.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}')
}

/// Characters that take no room and could hide text or tell two equal-looking texts apart: the format characters
/// (Cf) that are no joiners and not bidirectional, and the tags.
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
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(line("\u{1b}[2J\u{7}\u{7f}"), "␛[2J␇␡");
        assert_eq!(line("a\u{9b}31m"), "a\\u{9b}31m");
        assert_eq!(line("one\r\ntwo\nthree\rfour\tfive"), "one⏎two⏎three⏎four    five");
        assert_eq!(line("ab\u{202e}cd\u{2066}e\u{200f}"), "ab\\u{202e}cd\\u{2066}e\\u{200f}");
        assert_eq!(line("a\u{2028}b\u{e0041}\u{200b}"), "a\\u{2028}b\\u{e0041}\\u{200b}");
    }

    #[test]
    fn ordinary_text_of_any_script_is_left_alone() {
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
    fn marks_do_not_pile_up() {
        let zalgo = format!("z{}o", "\u{301}\u{200d}".repeat(1000));
        assert_eq!(line(&zalgo).chars().count(), 2 + MARKS_MAX);
    }

    /// Any characters, with those that matter far above their share.
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
        fn nothing_unsafe_passes(text in hostile()) {
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
