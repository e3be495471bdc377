//! Makes text from other users safe to print on a terminal.
//!
//! Messages, names and the server's error texts are chosen by others. A terminal would execute some characters (escape
//! sequences), reorder the text around others (bidirectional overrides), and hide others. Those are replaced by a
//! visible form; everything else stays, in every script.

use std::borrow::Cow;
use std::fmt::Write;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};
use wire::characters::{self, is_hidden};

/// The most combining marks on one character: more than any script needs, few enough to stay within the line.
pub const MARKS_MAX: usize = 8;

/// The Braille pattern without dots.
const BLANK_BRAILLE: char = '\u{2800}';

/// The text as one line without control, hidden or reordering characters.
///
/// * A line end becomes `⏎`, a tab four spaces, any other C0 control or DEL its picture (`␛`).
/// * C1 controls, bidirectional and line separators, and characters that show nothing are escaped: `\u{202e}`. Joiners
///   and variation selectors stay where they change what is seen: inside an emoji, and in the scripts that use them.
/// * After [`MARKS_MAX`] combining marks and joiners in a row further ones are dropped.
///
/// Takes linear time and is idempotent.
pub fn line(text: &str) -> Cow<'_, str> {
    shown(text, |_| false)
}

/// A name as one line. In a name with Latin letters, letters of the scripts that look like Latin are escaped too, so that
/// nobody is taken for somebody else: `\u{430}lice`.
pub fn name(name: &str) -> Cow<'_, str> {
    if name.is_ascii() {
        return line(name);
    }
    let is_latin = name.chars().any(|c| c.script() == Script::Latin);
    shown(name, |c| {
        is_latin
            && matches!(c.script(), Script::Cyrillic | Script::Greek | Script::Armenian | Script::Cherokee)
    })
}

fn shown(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let has_braille = text.chars().any(|c| matches!(c, '\u{2801}'..='\u{28FF}'));
    let mut safe = String::with_capacity(text.len() + 16);
    let (mut marks, mut base, mut rest) = (0, ' ', text);
    while let Some(c) = rest.chars().next() {
        let emoji = characters::emoji_sequence(rest);
        if emoji > c.len_utf8() {
            safe.push_str(&rest[..emoji]);
            (marks, base, rest) = (0, c, &rest[emoji..]);
            continue;
        }
        rest = &rest[c.len_utf8()..];
        if is_combining_mark(c) && !characters::is_ignorable(c) || is_joiner_after(base, c) {
            marks += 1;
            if marks <= MARKS_MAX {
                safe.push(c);
            }
            continue;
        }
        marks = 0;
        match c {
            '\r' if rest.starts_with('\n') => {}
            '\n' | '\r' => safe.push('⏎'),
            '\t' => safe.push_str("    "),
            '\0'..='\u{1F}' => safe.push(picture(c as u32)),
            '\u{7F}' => safe.push('␡'),
            BLANK_BRAILLE if has_braille => safe.push(c),
            _ if shows_nothing(c) && !is_variation_after(base, c) || is_escaped(c) => {
                write!(safe, "\\u{{{:x}}}", u32::from(c)).expect("writing to a String succeeds");
            }
            _ => safe.push(c),
        }
        base = c;
    }
    Cow::Owned(safe)
}

/// Whether a character must not reach a terminal unchanged, whatever stands beside it.
pub fn is_unsafe(c: char) -> bool {
    let depends = is_joiner(c) || characters::is_variation_selector(c) || c == BLANK_BRAILLE;
    shows_nothing(c) && !depends
}

/// Whether a character is hidden, or shown as nothing.
fn shows_nothing(c: char) -> bool {
    is_hidden(c) || characters::is_ignorable(c) || c == BLANK_BRAILLE
}

/// Unicode's picture of a C0 control.
fn picture(c0: u32) -> char {
    char::from_u32(0x2400 + c0).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Zero-width joiner and non-joiner.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}')
}

/// Whether a joiner changes how a character before it is written.
fn is_joiner_after(base: char, c: char) -> bool {
    use Script::{
        Arabic, Bengali, Devanagari, Gujarati, Gurmukhi, Kannada, Khmer, Malayalam, Mongolian, Myanmar, Nko,
        Oriya, Sinhala, Syriac, Tamil, Telugu,
    };
    is_joiner(c)
        && matches!(
            base.script(),
            Arabic
                | Syriac
                | Nko
                | Mongolian
                | Devanagari
                | Bengali
                | Gurmukhi
                | Gujarati
                | Oriya
                | Tamil
                | Telugu
                | Kannada
                | Malayalam
                | Sinhala
                | Khmer
                | Myanmar
        )
}

/// Whether a variation selector changes how a character before it is written.
fn is_variation_after(base: char, c: char) -> bool {
    match c {
        '\u{180B}'..='\u{180D}' | '\u{180F}' => base.script() == Script::Mongolian,
        _ => characters::is_variation_selector(c) && matches!(base.script(), Script::Han | Script::Myanmar),
    }
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
            "1\u{fe0f}\u{20e3} 👍🏽 🇩🇪",
            "葛\u{e0100}城",
            "⠓⠊\u{2800}⠽⠕⠥",
            "क\u{94d}\u{200d}ष",
        ] {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn what_a_reader_cannot_see_is_escaped() {
        for hidden in [
            0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0xAD, 0x34F, 0xE0001, 0xE0041, 0x3164, 0x2800, 0xFE0F,
            0x115F, 0x1160, 0xFFA0, 0x180B, 0xE0100, 0x180E, 0x17B4,
        ] {
            let c = char::from_u32(hidden).unwrap();
            assert_eq!(line(&format!("al{c}ice")), format!("al\\u{{{hidden:x}}}ice"));
            assert_eq!(line(&c.to_string()), format!("\\u{{{hidden:x}}}"));
        }
        assert_eq!(
            line("👩\u{200d}x 7\u{fe0f} ❤\u{fe0f}\u{fe0f}"),
            "👩\\u{200d}x 7\\u{fe0f} ❤\u{fe0f}\\u{fe0f}"
        );
    }

    #[test]
    fn letters_that_look_like_latin_are_escaped_beside_latin_ones() {
        assert_eq!(name("аlice"), "\\u{430}lice");
        assert_eq!(name("alicе"), "alic\\u{435}");
        for same in ["alice", "Иван", "Ελένη", "张san", "José", "ａｌｉｃｅ"] {
            assert_eq!(name(same), same);
        }
        assert_eq!(line("a letter: а"), "a letter: а");
    }

    #[test]
    fn combining_marks_are_limited() {
        let zalgo = format!("z{}o", "\u{301}".repeat(1000));
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
