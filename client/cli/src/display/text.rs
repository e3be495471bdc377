//! The text of a message in rows.

use super::style::Style;
use chatclient_core::sanitize;

/// Rows of a message that are shown at once.
pub const SHOWN_ROWS: usize = 20;

/// The rows of a text, safe to print. Line ends at its end are left out.
pub fn rows(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.trim_end_matches('\n').split('\n').map(|row| sanitize::line(row).into_owned()).collect()
}

/// Rows below the line with the sender. The rule before each shows that they belong to it, whatever they contain.
pub fn below(rows: &[String], style: Style) -> String {
    rows.iter().map(|row| format!("\n   {} {row}", style.gutter())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_of_every_system_divide_rows() {
        assert_eq!(rows("a\r\nb\rc\n\nd\n\n"), ["a", "b", "c", "", "d"]);
        assert_eq!(rows("\u{1b}[2J\u{2028}x"), ["␛[2J\\u{2028}x"]);
        assert_eq!(rows("\n"), [""]);
    }
}
