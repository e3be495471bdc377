//! Words: what SEARCH finds in texts.
//!
//! A text is folded first: compatibility forms, case, and the accents of Latin, Greek and Cyrillic letters make no
//! difference. A *word* is then a run of letters, marks and digits, or one emoji. Chinese, Japanese and Korean have no
//! spaces between words, or endings at them: of these a *run* is found by any part of it.

use crate::{characters, limits};
use caseless::default_case_fold_str;
use icu_properties::props::{ExtendedPictographic, RegionalIndicator};
use icu_properties::{CodePointSetData, CodePointSetDataBorrowed};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};

const PICTOGRAPHS: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<ExtendedPictographic>();
const REGIONS: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<RegionalIndicator>();

/// Characters in which [`Sought::position`] looks for a word at one place.
const HEAD_CHARS: usize = 64;

/// A word of a text, folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Found as a whole, or by its beginning if it is the last word sought.
    Whole(Box<str>),
    /// Consecutive Chinese, Japanese or Korean characters, found by any part.
    Run(Box<str>),
}

/// The words of a text, in their order.
pub fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let (mut word, mut is_run) = (String::new(), false);
    let mut end = |word: &mut String, is_run: bool| {
        if !word.is_empty() {
            let text = std::mem::take(word).into_boxed_str();
            words.push(if is_run { Word::Run(text) } else { Word::Whole(text) });
        }
    };
    for c in folded(text).chars() {
        match class_of(c) {
            Class::Ignored => {}
            Class::Separator => end(&mut word, is_run),
            Class::Emoji => {
                end(&mut word, is_run);
                word.push(c);
                end(&mut word, false);
            }
            class => {
                if is_run != (class == Class::Run) {
                    end(&mut word, is_run);
                    is_run = class == Class::Run;
                }
                word.push(c);
            }
        }
    }
    end(&mut word, is_run);
    words
}

/// The words that a text must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought(Vec<Word>);

impl Sought {
    /// Reads the text of a query.
    ///
    /// # Errors
    /// It has no words, or more than [`limits::SEARCH_WORDS`].
    pub fn parse(text: &str) -> Result<Sought, String> {
        match words(text) {
            none if none.is_empty() => Err("`text` must have a word, an emoji, or a part of one".to_owned()),
            many if many.len() > limits::SEARCH_WORDS => {
                Err(format!("`text` must have at most {} words", limits::SEARCH_WORDS))
            }
            words => Ok(Sought(words)),
        }
    }

    /// In the order of the query. The last one may be the beginning of a word.
    pub fn words(&self) -> &[Word] {
        &self.0
    }

    /// Where in a text the first of the words begins, as far as that can be told: a byte, for what a reader is shown.
    pub fn position(&self, text: &str) -> Option<usize> {
        let mut is_inside = false;
        let mut begins = text.char_indices().filter(|(_, c)| {
            let class = class_of(*c);
            let begins = match class {
                Class::Letter => !is_inside,
                Class::Run | Class::Emoji => true,
                Class::Ignored | Class::Separator => false,
            };
            is_inside = class == Class::Letter;
            begins
        });
        let found = begins.find(|(at, _)| {
            let rest = &text[*at..];
            let head = rest.char_indices().nth(HEAD_CHARS).map_or(rest, |(end, _)| &rest[..end]);
            words(head).first().is_some_and(|word| {
                self.0.iter().any(|sought| match (sought, word) {
                    (Word::Whole(sought), Word::Whole(word)) | (Word::Run(sought), Word::Run(word)) => {
                        word.starts_with(&**sought)
                    }
                    _ => false,
                })
            })
        });
        found.map(|(at, _)| at)
    }

    /// Whether a text has all the words.
    pub fn is_in(&self, text: &str) -> bool {
        let had = words(text);
        let last = self.0.len() - 1;
        self.0.iter().enumerate().all(|(at, sought)| {
            had.iter().any(|word| match (sought, word) {
                (Word::Whole(sought), Word::Whole(word)) if at == last => word.starts_with(&**sought),
                (Word::Whole(sought), Word::Whole(word)) => sought == word,
                (Word::Run(part), Word::Run(run)) => run.contains(&**part),
                _ => false,
            })
        })
    }
}

/// The text in the form in which words are compared.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let compatible: String = text.nfkc().collect();
    let folded = default_case_fold_str(&compatible);
    // Only these marks: others are vowels, or tell Japanese syllables apart.
    folded.nfd().filter(|c| !matches!(c, '\u{300}'..='\u{36F}')).nfc().collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Run,
    Emoji,
    /// It is not seen and separates nothing.
    Ignored,
    Separator,
}

fn class_of(c: char) -> Class {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() { Class::Letter } else { Class::Separator };
    }
    // The prolonged sound mark is common to both Japanese syllabaries.
    let is_in_runs = |script| {
        matches!(
            script,
            Script::Han | Script::Hiragana | Script::Katakana | Script::Hangul | Script::Bopomofo
        )
    };
    match c {
        _ if characters::is_ignorable(c) => Class::Ignored,
        _ if is_in_runs(c.script()) || c == 'ー' => Class::Run,
        _ if c.is_alphanumeric() || is_combining_mark(c) => Class::Letter,
        '\u{E000}'..='\u{F8FF}' => Class::Letter,
        // Of private use, which the index makes of them.
        '\u{F0000}'..='\u{10FFFF}' => Class::Separator,
        _ if PICTOGRAPHS.contains(c) || REGIONS.contains(c) => Class::Emoji,
        _ => Class::Separator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_found(query: &str, text: &str) -> bool {
        Sought::parse(query).unwrap().is_in(text)
    }

    #[test]
    fn all_words_must_be_there_and_the_last_may_be_a_beginning() {
        assert!(is_found("brown fox", "The quick brown fox"));
        assert!(is_found("QUICK bro", "The quick brown fox"));
        assert!(!is_found("bro quick", "The quick brown fox"), "only the last");
        assert!(!is_found("quick cat", "The quick brown fox"));
        assert!(!is_found("rown", "The quick brown fox"));
    }

    #[test]
    fn forms_of_one_text_are_found_by_each_other() {
        for (query, text) in [
            ("cafe", "CAFÉ"),
            ("Café", "cafe\u{301}"),
            ("strasse", "Straße"),
            ("ΣΊΣΥΦΟΣ", "σισυφος"),
            ("istanbul", "İSTANBUL"),
            ("ＡＢＣ", "abc"),
            ("ﬁnd", "find"),
            ("елка", "ёлка"),
            ("soft", "so\u{AD}ft"),
            ("हिन्दी", "हिन्दी में"),
        ] {
            assert!(
                is_found(query, text) && is_found(text.split(' ').next().unwrap(), query),
                "{query} {text}"
            );
        }
        assert!(!is_found("हद", "हिन्दी"));
    }

    #[test]
    fn any_part_of_a_chinese_japanese_or_korean_run_is_found() {
        let text = "我们明天在北京大学见面iPhone15手机，カタカナとひらがな。서울특별시에서";
        for part in [
            "北京",
            "京大",
            "北京大学",
            "明天 手机",
            "iphone15",
            "カナ",
            "ｶﾅ",
            "とひ",
            "특별",
            "서울특별시",
            "学",
        ] {
            assert!(is_found(part, text), "{part}");
        }
        for part in ["京北", "机カ", "大學", "北学"] {
            assert!(!is_found(part, text), "{part}");
        }
        assert!(!is_found("か", "が"), "another syllable");
        assert!(is_found("スーパー", "スーパーマーケット"));
    }

    #[test]
    fn the_first_word_is_found_in_the_text_as_it_was_written() {
        let position = |query: &str, text: &str| Sought::parse(query).unwrap().position(text);
        assert_eq!(position("uber", "Wir gehen ÜBER den Berg"), Some(10));
        assert_eq!(position("berg den", "Wir gehen über den Berg"), Some(16));
        assert_eq!(position("大学", "去北京大学"), Some(9));
        assert_eq!(position("erg", "Berg"), None);
    }

    #[test]
    fn an_emoji_is_a_word() {
        assert!(is_found("🎉", "party🎉time"));
        assert!(is_found("❤", "I ❤\u{FE0F} it"));
        assert!(!is_found("🎉", "🎊"));
        assert!(is_found("🇩🇪", "🇩🇪🇫🇷"));
    }

    #[test]
    fn what_has_no_word_cannot_be_sought() {
        for text in ["", " ", "\"\"", "*", "\0", "…", "\u{200B}", "-_-"] {
            assert!(Sought::parse(text).is_err(), "{text:?}");
        }
        assert!(Sought::parse(&"a ".repeat(limits::SEARCH_WORDS + 1)).is_err());
        assert_eq!(words("a\0b"), words("a b"));
    }
}
