//! [`Line`]: the text being typed, its cursor, and what was deleted from it.

use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// The most bytes that a line takes; a message is shorter.
pub const LINE_MAX: usize = 1 << 20;
/// The most steps that can be undone.
const UNDO_MAX: usize = 100;
/// Of a longer text no earlier states are kept.
const UNDO_BYTES: usize = 64 * 1024;

/// A text and a byte in it where a character begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    text: String,
    cursor: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Typing,
    Killing,
    Other,
}

#[derive(Debug)]
pub struct Line {
    now: State,
    /// Earlier states, the latest last.
    undo: Vec<State>,
    /// The last deleted piece of more than a character.
    killed: String,
    last: Step,
}

impl Default for Line {
    fn default() -> Line {
        Line { now: State::default(), undo: Vec::new(), killed: String::new(), last: Step::Other }
    }
}

impl Line {
    pub fn text(&self) -> &str {
        &self.now.text
    }

    pub fn cursor(&self) -> usize {
        self.now.cursor
    }

    pub fn before_cursor(&self) -> &str {
        &self.now.text[..self.now.cursor]
    }

    /// Takes the text; the line is empty then, and nothing can be undone.
    pub fn take(&mut self) -> String {
        (self.undo, self.last) = (Vec::new(), Step::Other);
        std::mem::take(&mut self.now).text
    }

    /// Replaces the text, and puts the cursor at its end.
    pub fn set(&mut self, text: String) {
        if text != self.now.text {
            self.remember(Step::Other);
        }
        self.now = State { cursor: text.len(), text };
    }

    /// Inserts at the cursor; `false`: the line would be too long.
    pub fn insert(&mut self, text: &str) -> bool {
        if self.now.text.len() + text.len() > LINE_MAX {
            return false;
        }
        self.remember(Step::Typing);
        self.now.text.insert_str(self.now.cursor, text);
        self.now.cursor += text.len();
        true
    }

    /// Replaces the text from `start` to the cursor.
    pub fn complete(&mut self, start: usize, with: &str) {
        self.remember(Step::Other);
        self.now.text.replace_range(start..self.now.cursor, with);
        self.now.cursor = start + with.len();
    }

    // ---- moving ----------------------------------------------------------------------------------------------------

    pub fn move_to(&mut self, cursor: usize) {
        self.last = Step::Other;
        self.now.cursor = cursor;
    }

    /// Where the character before the cursor begins.
    pub fn left(&self) -> usize {
        self.before_cursor().grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    /// The end of the character at the cursor.
    pub fn right(&self) -> usize {
        let next = self.now.text[self.now.cursor..].graphemes(true).next();
        self.now.cursor + next.map_or(0, str::len)
    }

    /// Where the word before the cursor begins.
    pub fn word_left(&self) -> usize {
        let mut words = self.before_cursor().unicode_word_indices();
        words.next_back().map_or(0, |(at, _)| at)
    }

    /// The end of the word after the cursor.
    pub fn word_right(&self) -> usize {
        let rest = &self.now.text[self.now.cursor..];
        let word = rest.unicode_word_indices().next();
        self.now.cursor + word.map_or(rest.len(), |(at, word)| at + word.len())
    }

    /// The beginning of the row of the text that has the cursor.
    pub fn home(&self) -> usize {
        self.before_cursor().rfind('\n').map_or(0, |at| at + 1)
    }

    /// The end of the row of the text that has the cursor.
    pub fn end(&self) -> usize {
        let rest = &self.now.text[self.now.cursor..];
        self.now.cursor + rest.find('\n').unwrap_or(rest.len())
    }

    /// The same column in the row of the text above; `None` in the first one.
    pub fn row_up(&self) -> Option<usize> {
        let home = self.home();
        let above = self.now.text[..home].strip_suffix('\n')?;
        let start = above.rfind('\n').map_or(0, |at| at + 1);
        Some(start + column(&above[start..], self.column()))
    }

    /// The same column in the row of the text below; `None` in the last one.
    pub fn row_down(&self) -> Option<usize> {
        let end = self.end();
        let below = self.now.text[end..].strip_prefix('\n')?;
        let row = below.split('\n').next().unwrap_or_default();
        Some(end + 1 + column(row, self.column()))
    }

    /// Characters between the beginning of the row and the cursor.
    fn column(&self) -> usize {
        self.now.text[self.home()..self.now.cursor].graphemes(true).count()
    }

    // ---- deleting --------------------------------------------------------------------------------------------------

    /// Deletes what is between the cursor and `to`.
    pub fn delete_to(&mut self, to: usize) {
        self.remember(Step::Other);
        self.remove(to);
    }

    /// Deletes what is between the cursor and `to`, to be inserted again by [`Line::yank`].
    pub fn kill_to(&mut self, to: usize) {
        let continues = self.last == Step::Killing;
        self.remember(Step::Killing);
        let is_before = to < self.now.cursor;
        let removed = self.remove(to);
        match (continues, is_before) {
            (false, _) => self.killed = removed,
            (true, true) => self.killed.insert_str(0, &removed),
            (true, false) => self.killed.push_str(&removed),
        }
    }

    /// Inserts what was deleted last.
    pub fn yank(&mut self) {
        let killed = self.killed.clone();
        self.last = Step::Other;
        self.insert(&killed);
    }

    /// Exchanges the characters around the cursor.
    pub fn transpose(&mut self) {
        let at = if self.now.cursor == self.now.text.len() { self.left() } else { self.now.cursor };
        if at == 0 {
            return;
        }
        self.remember(Step::Other);
        self.now.cursor = at;
        let (first, end) = (self.left(), self.right());
        let swapped = format!("{}{}", &self.now.text[at..end], &self.now.text[first..at]);
        self.now.text.replace_range(first..end, &swapped);
        self.now.cursor = end;
    }

    pub fn undo(&mut self) {
        if let Some(before) = self.undo.pop() {
            (self.now, self.last) = (before, Step::Other);
        }
    }

    fn remove(&mut self, to: usize) -> String {
        let range: Range<usize> = to.min(self.now.cursor)..to.max(self.now.cursor);
        self.now.cursor = range.start;
        self.now.text.drain(range).collect()
    }

    /// Keeps the state before a step. Typing in a row is one step.
    fn remember(&mut self, step: Step) {
        if !(step == Step::Typing && self.last == Step::Typing) {
            if self.undo.len() == UNDO_MAX {
                self.undo.remove(0);
            }
            if self.now.text.len() <= UNDO_BYTES {
                self.undo.push(self.now.clone());
            }
        }
        self.last = step;
    }
}

/// The byte of the character at this column, or the end.
fn column(row: &str, at: usize) -> usize {
    row.grapheme_indices(true).nth(at).map_or(row.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        let mut line = Line::default();
        assert!(line.insert(text));
        line
    }

    #[test]
    fn characters_and_words_are_whole() {
        let mut edited = line("héllo 👩\u{200d}👧 wörld");
        edited.delete_to(edited.word_left());
        assert_eq!(edited.text(), "héllo 👩\u{200d}👧 ");
        edited.move_to(edited.left());
        edited.delete_to(edited.left());
        assert_eq!(edited.text(), "héllo  ");
        edited.undo();
        assert_eq!(edited.text(), "héllo 👩\u{200d}👧 ");
    }

    #[test]
    fn what_was_killed_in_a_row_is_inserted_again_in_order() {
        let mut edited = line("one two three");
        edited.kill_to(edited.word_left());
        edited.kill_to(edited.word_left());
        assert_eq!(edited.text(), "one ");
        edited.yank();
        assert_eq!((edited.text(), edited.cursor()), ("one two three", 13));
        edited.move_to(1);
        edited.transpose();
        assert_eq!(edited.text(), "noe two three");
    }

    #[test]
    fn the_cursor_moves_between_the_rows_of_a_pasted_text() {
        let mut edited = line("first row\nab\nthird row");
        assert_eq!(edited.row_up(), Some("first row\nab".len()));
        edited.move_to(edited.row_up().unwrap());
        assert_eq!((edited.home(), edited.end()), (10, 12));
        assert_eq!(edited.row_up(), Some(2));
        assert_eq!(edited.row_down(), Some(15));
        edited.move_to(0);
        assert_eq!(edited.row_up(), None);
    }

    #[test]
    fn a_line_has_a_bound() {
        let mut edited = line(&"x".repeat(LINE_MAX));
        assert!(!edited.insert("y"));
        assert_eq!(edited.take().len(), LINE_MAX);
        assert!(edited.insert("y"));
    }
}
