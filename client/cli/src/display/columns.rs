//! How many columns and rows a text takes on a terminal, and fitting text into them.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthChar;

/// Columns of a character; 0 for one that combines with the character before.
fn columns(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Columns of a text without control sequences.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// The beginning of a text that fits into `most` columns, with `~` if something was cut off.
pub fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    if most == 0 {
        return String::new();
    }
    let mut cut = String::new();
    let mut used = 1;
    for cluster in text.graphemes(true) {
        used += width(cluster);
        if used > most {
            break;
        }
        cut.push_str(cluster);
    }
    cut + "~"
}

/// Rows of lines that begin in the first column; colours take no room. A line that exactly fills its row takes one row.
pub fn rows(text: &str, of: usize) -> usize {
    text.split('\n').map(|line| 1 + wraps(line, 0, of.max(1))).sum()
}

/// Wraps a line between words and between wide characters and indents the rows after the first. A word longer than a
/// row, such as a URL, is not broken, so that it can be copied.
pub fn wrap(line: &str, of: usize, indent: usize) -> String {
    let mut out = String::with_capacity(line.len() + 16);
    let (mut column, mut spaces) = (0, 0);
    let mut put = |word: &str, spaces: usize| {
        let wide = visible(word);
        if column + spaces + wide > of && column > indent && wide <= of.saturating_sub(indent) {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            out.push_str(&" ".repeat(spaces));
            column += spaces;
        }
        out.push_str(word);
        column += wide;
    };
    let mut word = String::new();
    for cluster in line.graphemes(true) {
        let alone = width(cluster) > 1;
        if cluster == " " || alone {
            if !word.is_empty() {
                put(&std::mem::take(&mut word), std::mem::take(&mut spaces));
            }
            match alone {
                true => put(cluster, std::mem::take(&mut spaces)),
                false => spaces += 1,
            }
        } else {
            word.push_str(cluster);
        }
    }
    put(&word, spaces);
    out
}

/// Columns of a text with colours.
fn visible(text: &str) -> usize {
    let mut characters = text.chars();
    let mut wide = 0;
    while let Some(c) = characters.next() {
        if c == '\x1b' {
            characters.by_ref().find(|c| *c == 'm');
        } else {
            wide += columns(c);
        }
    }
    wide
}

fn wraps(line: &str, mut column: usize, of: usize) -> usize {
    let mut wraps = 0;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        if c == '\x1b' {
            // The only sequences in a line are colours: ESC [ … m.
            characters.by_ref().find(|c| *c == 'm');
            continue;
        }
        column += columns(c);
        if column > of {
            (wraps, column) = (wraps + 1, columns(c));
        }
    }
    wraps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_are_not_split_over_two_rows() {
        assert_eq!((width("你好 a"), width("e\u{301}"), width("🙂")), (6, 1, 2));
        assert_eq!((rows("12345", 5), rows("123456", 5)), (1, 2));
        assert_eq!((rows("你好", 5), rows("你好吗", 5), rows("1你好", 5)), (1, 2, 1));
        assert_eq!(rows("\x1b[31m12345\x1b[39m", 5), 1);
        assert_eq!(rows("a\n123456\n", 5), 4);
    }

    #[test]
    fn lines_are_wrapped_between_words_and_wide_characters() {
        assert_eq!(wrap("one two three", 8, 2), "one two\n  three");
        assert_eq!(wrap("one 你好吗 two", 8, 2), "one 你好\n  吗 two");
        assert_eq!(
            wrap("see http://a.very.long/address here", 12, 2),
            "see http://a.very.long/address\n  here"
        );
        assert_eq!(wrap("\x1b[31mone\x1b[39m two", 7, 2), "\x1b[31mone\x1b[39m two");
        assert_eq!((wrap("", 8, 2), wrap("   indented", 20, 2)), (String::new(), "   indented".to_owned()));
    }

    #[test]
    fn cut_text_fits_and_ends_in_a_tilde() {
        assert_eq!(cut("hello", 5), "hello");
        assert_eq!(cut("hello!", 5), "hell~");
        assert_eq!((cut("hello", 1), cut("hello", 0)), ("~".to_owned(), String::new()));
        assert_eq!((cut("你好吗", 5), cut("你好吗", 4)), ("你好~".to_owned(), "你~".to_owned()));
    }
}
