//! [`View`]: the rows at the bottom of the screen: the status, the prompt, and the line being typed.

use crate::display::columns;
use crate::display::style::Style;
use chatclient_core::sanitize;
use unicode_segmentation::UnicodeSegmentation;

/// A screen with fewer rows has no room for the status.
const STATUS_HEIGHT: usize = 3;

/// What is shown at the bottom of the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub status: Option<String>,
    pub prompt: String,
    /// As typed; it may contain anything.
    pub text: String,
    /// The byte of `text` at which the cursor is.
    pub cursor: usize,
}

/// Rows to be written one below the other, none wider than the screen, and where the cursor stands in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pub rows: Vec<String>,
    pub row: usize,
    pub column: usize,
}

impl View {
    /// Arranges the view for a screen; the rows around the cursor if not all fit.
    pub fn arrange(&self, style: Style, height: usize, width: usize) -> Rows {
        let status = self.status.as_ref().filter(|_| height >= STATUS_HEIGHT);
        let room = height.saturating_sub(1 + usize::from(status.is_some())).max(1);
        let mut rows = self.typed_rows(width);
        let first = rows.row.saturating_sub(room - 1).min(rows.rows.len().saturating_sub(room));
        rows.rows = rows.rows.into_iter().skip(first).take(room).collect();
        rows.row -= first;
        if let Some(status) = status {
            rows.rows.insert(0, status_row(status, style, width));
            rows.row += 1;
        }
        rows
    }

    /// The prompt and the text, without control characters.
    fn typed_rows(&self, width: usize) -> Rows {
        let mut rows = Rows::default();
        // At least half of a row is for the text.
        let mut row = columns::cut(&self.prompt, width / 2);
        let mut column = columns::width(&row);
        let mut at = 0;
        let mut put = |shown: &str, rows: &mut Rows, at: usize| {
            let wide = columns::width(shown);
            if column + wide > width {
                rows.rows.push(std::mem::take(&mut row));
                column = 0;
            }
            if at == self.cursor {
                (rows.row, rows.column) = (rows.rows.len(), column);
            }
            if shown == "\n" {
                rows.rows.push(std::mem::take(&mut row));
                column = 0;
            } else if wide <= width {
                row.push_str(shown);
                column += wide;
            }
        };
        for cluster in self.text.graphemes(true) {
            if cluster == "\n" {
                put("\n", &mut rows, at);
            } else {
                let shown = sanitize::line(cluster);
                // One cluster may be shown as several characters, such as an escaped one.
                let mut first = at;
                for part in shown.graphemes(true) {
                    put(part, &mut rows, first);
                    first = usize::MAX;
                }
            }
            at += cluster.len();
        }
        // The cursor needs a column behind the text.
        if self.cursor >= at {
            put(" ", &mut rows, self.cursor);
            row.pop();
        }
        rows.rows.push(row);
        rows
    }
}

fn status_row(text: &str, style: Style, width: usize) -> String {
    let room = width.saturating_sub(1);
    let rule = style.rule();
    let text = columns::cut(&format!("{rule}{rule} {text} "), room);
    let rest = rule.repeat(room.saturating_sub(columns::width(&text)));
    style.notice(&format!("{text}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::style::Colours;

    const STYLE: Style = Style { colours: Colours::None, unicode: true };

    fn view(text: &str, cursor: usize) -> View {
        View { status: Some("li si".to_owned()), prompt: "li> ".to_owned(), text: text.to_owned(), cursor }
    }

    #[test]
    fn a_line_is_broken_into_rows_and_the_cursor_stays_in_sight() {
        let rows = view("abcdefgh", 8).arrange(STYLE, 10, 8);
        assert_eq!(rows.rows, ["── li ~", "li> abcd", "efgh"]);
        assert_eq!((rows.row, rows.column), (2, 4));
        // A line that exactly fills a row leaves the cursor a row.
        let rows = view("abcd", 4).arrange(STYLE, 10, 8);
        assert_eq!((rows.rows.len(), rows.row, rows.column), (3, 2, 0));
        // A tall text is cut around the cursor.
        let text = (1..=50).map(|row| format!("row {row}")).collect::<Vec<_>>().join("\n");
        let rows = view(&text, text.find("row 30").unwrap()).arrange(STYLE, 10, 20);
        assert_eq!(rows.rows.len(), 9);
        assert!(rows.rows[rows.row].starts_with("row 30") && rows.column == 0, "{rows:?}");
    }

    #[test]
    fn what_controls_a_terminal_is_shown_and_the_cursor_is_right_of_it() {
        let rows = view("a\u{1b}[2J\u{202e}b", 8).arrange(STYLE, 10, 80);
        assert_eq!(rows.rows[1], "li> a␛[2J\\u{202e}b");
        assert_eq!(rows.column, "li> a␛[2J\\u{202e}".chars().count());
    }

    #[test]
    fn every_size_has_a_row_for_the_cursor() {
        for (height, width) in [(1, 1), (1, 80), (2, 2), (3, 1), (24, 1)] {
            let rows = view("wide 你好 text", 5).arrange(STYLE, height, width);
            assert!(rows.rows.len() <= height && rows.row < rows.rows.len(), "{rows:?}");
            assert!(rows.rows.iter().all(|row| columns::width(row) <= width), "{rows:?}");
        }
    }
}
