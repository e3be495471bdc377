//! Properties of characters that decide what a reader sees: hidden and blank ones, and sequences that form one emoji.

use icu_properties::props::{DefaultIgnorableCodePoint, Emoji, EmojiModifier};
use icu_properties::{CodePointSetData, CodePointSetDataBorrowed};

const IGNORABLE: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<DefaultIgnorableCodePoint>();
const EMOJI: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<Emoji>();
const MODIFIERS: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<EmojiModifier>();

const ZERO_WIDTH_JOINER: char = '\u{200D}';
const KEYCAP: char = '\u{20E3}';

/// Whether a character is invisible but alters how text is shown: controls, line separators, bidirectional marks.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{061C}' | '\u{200E}' | '\u{200F}')
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character is shown as nothing: the Unicode property Default_Ignorable_Code_Point, which includes
/// zero-width characters, variation selectors, fillers and tags; and interlinear annotation marks.
pub fn is_ignorable(c: char) -> bool {
    !c.is_ascii() && (IGNORABLE.contains(c) || matches!(c, '\u{FFF9}'..='\u{FFFB}'))
}

/// Whether a character is shown as an empty area but is not the ordinary space.
pub fn is_blank(c: char) -> bool {
    // The Braille pattern without dots, and a musical symbol without a shape, are no white space to Unicode.
    c != ' ' && (c.is_whitespace() || matches!(c, '\u{2800}' | '\u{1D159}'))
}

/// Whether a character selects among the forms of the character before it.
pub fn is_variation_selector(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' | '\u{180B}'..='\u{180D}' | '\u{180F}')
}

/// The first character of a text that a reader cannot see, outside of sequences that form one emoji.
pub fn first_unseen(text: &str) -> Option<char> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let emoji = emoji_sequence(rest);
        if emoji == 0 && (is_hidden(c) || is_ignorable(c) || is_blank(c)) {
            return Some(c);
        }
        rest = &rest[emoji.max(c.len_utf8())..];
    }
    None
}

/// Bytes of the emoji sequence at the beginning of a text (UTS #51, section 1.4.9, without tags); 0: there is none.
///
/// A digit, `#` or `*` is an emoji only as a keycap.
pub fn emoji_sequence(text: &str) -> usize {
    let mut end = emoji_element(text);
    while end > 0 && text[end..].starts_with(ZERO_WIDTH_JOINER) {
        let begin = end + ZERO_WIDTH_JOINER.len_utf8();
        match emoji_element(&text[begin..]) {
            0 => break,
            element => end = begin + element,
        }
    }
    end
}

/// Bytes of one emoji with its modifier or variation selector.
fn emoji_element(text: &str) -> usize {
    let mut characters = text.chars();
    let Some(base) = characters.next().filter(|c| EMOJI.contains(*c)) else { return 0 };
    let mut end = base.len_utf8();
    let mut next = characters.next();
    let selector = next.filter(|c| matches!(c, '\u{FE0E}' | '\u{FE0F}'));
    if let Some(selector) = selector {
        end += selector.len_utf8();
        next = characters.next();
    } else if let Some(modifier) = next.filter(|c| MODIFIERS.contains(*c)) {
        return end + modifier.len_utf8();
    }
    match next {
        Some(KEYCAP) => end + KEYCAP.len_utf8(),
        _ if base.is_ascii() => 0,
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unseen_characters_are_found() {
        for unseen in [
            '\u{200B}',
            '\u{200C}',
            '\u{2060}',
            '\u{FEFF}',
            '\u{AD}',
            '\u{34F}',
            '\u{E0001}',
            '\u{E0041}',
            '\u{3164}',
            '\u{2800}',
            '\u{FE0F}',
            '\u{115F}',
            '\u{1160}',
            '\u{FFA0}',
            '\u{17B4}',
            '\u{180B}',
            '\u{E0100}',
            '\u{FFF9}',
            '\u{200D}',
            '\u{202E}',
            '\u{A0}',
            '\u{3000}',
            '\u{1D159}',
            '\u{2065}',
            '\n',
            '\u{7F}',
            '\u{9B}',
        ] {
            for text in
                [format!("al{unseen}ice"), unseen.to_string(), format!("7{unseen}"), format!("张{unseen}")]
            {
                assert_eq!(first_unseen(&text), Some(unseen), "{text:?}");
            }
        }
    }

    #[test]
    fn emoji_sequences_are_seen_as_a_whole() {
        for text in [
            "🙂",
            "👩\u{200D}👩\u{200D}👧",
            "❤\u{FE0F}",
            "❤\u{FE0F}\u{200D}🔥",
            "👍🏽",
            "👩🏽\u{200D}🚀",
            "1\u{FE0F}\u{20E3}",
            "🇩🇪",
            "🏳\u{FE0F}\u{200D}🌈",
            "🏃\u{200D}♀\u{FE0F}",
            "☺\u{FE0E}",
        ] {
            assert!(emoji_sequence(&format!("{text}x")) > 0, "{text:?}");
            assert_eq!(first_unseen(&format!("a {text} b")), None, "{text:?}");
        }
        for (text, unseen) in [
            ("👩\u{200D}", '\u{200D}'),
            ("👩\u{200D}a", '\u{200D}'),
            ("\u{200D}👩", '\u{200D}'),
            ("1\u{FE0F}", '\u{FE0F}'),
            ("❤\u{FE0F}\u{FE0F}", '\u{FE0F}'),
            ("a\u{FE0F}", '\u{FE0F}'),
        ] {
            assert_eq!(first_unseen(text), Some(unseen), "{text:?}");
        }
        assert_eq!((emoji_sequence("7"), emoji_sequence("a"), emoji_sequence("")), (0, 0, 0));
    }
}
