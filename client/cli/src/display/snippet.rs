//! The part of a text that a search found.

use super::columns;
use chatclient_core::sanitize;
use wire::words::Sought;

/// Characters before the first word that was found.
const BEFORE: usize = 20;

/// One row of a text, of at most `columns`, in which the first word that was sought is seen.
pub fn around(text: &str, sought: &Sought, columns: usize, ellipsis: &str) -> String {
    let at = sought.position(text).unwrap_or_default();
    let before = text[..at].char_indices().rev();
    let begin = before.take(BEFORE).last().map_or(at, |(begin, _)| begin);
    let shown = sanitize::line(&text[begin..]);
    let cut = |most| columns::cut(&shown, most);
    match begin {
        0 => cut(columns),
        _ => format!("{ellipsis}{}", cut(columns.saturating_sub(columns::width(ellipsis)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_was_sought_is_seen() {
        let snippet = |text: &str, words: &str| around(text, &Sought::parse(words).unwrap(), 30, "…");
        assert_eq!(snippet("short text", "text"), "short text");
        let long = format!("{} needle in it", "hay ".repeat(50));
        let shown = snippet(&long, "needle");
        assert!(
            shown.starts_with('…') && shown.contains("needle") && columns::width(&shown) <= 30,
            "{shown}"
        );
        assert!(snippet(&"北京大学".repeat(30), "大学").contains("大学"));
        assert!(!snippet("a\u{1b}[31m needle", "needle").contains('\u{1b}'));
    }
}
