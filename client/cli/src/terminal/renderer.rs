//! [`Renderer`]: draws lines and marks on a terminal above the line being typed.
//!
//! ```text
//!   … earlier lines …
//!    ✓ [12:03] you → li si (2): hello      marks in the first two columns are repainted as they change
//!    ✓ 2/5 [12:03] #7 devs | you: hello    so is the row of a message whose readers are counted
//!      [12:04] li si (2): hi
//!   ── zhang san (1) ── 2 unread: #7 devs 2 ───────   the rows of the `View`
//!   li si> a line that is being ty█
//! ```
//!
//! A message that is changed is painted anew where it is shown. Everything that was printed lately is kept: a terminal
//! that changed its size has moved the rows in a way of its own, so the screen is then cleared and drawn anew, with the
//! marks as they are now.

use super::view::{Rows, View};
use crate::display::columns;
use crate::display::style::{Mark, Style, Tally};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt::{self, Write as _};
use wire::{ConversationId, Seq};

/// A printed message whose mark may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MarkId(pub u64);

/// A message as it was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown {
    pub conversation: ConversationId,
    pub seq: Seq,
    /// In a list of earlier messages.
    pub in_list: bool,
}

/// What a line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// An own message that is not known to be stored.
    Sending(MarkId),
    Message(Shown),
}

/// The most lines kept: more than any screen has rows.
const KEPT_MAX: usize = 1_000;
/// The size of a terminal that does not tell its own.
const DEFAULT_SIZE: Size = Size { height: 24, width: 80 };
/// The column in which the continuation rows of a line begin: right of where a message does, so that no text looks like
/// a message of its own.
const INDENT: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub height: usize,
    pub width: usize,
}

impl Size {
    /// A terminal that knows no size says 0.
    pub fn new(height: usize, width: usize) -> Size {
        if height == 0 || width == 0 { DEFAULT_SIZE } else { Size { height, width } }
    }
}

/// Draws lines above the view and knows in which row each message is.
#[derive(Debug)]
pub struct Renderer {
    style: Style,
    size: Size,
    queue: Vec<Draw>,
    /// What was printed lately, and in which row it begins.
    kept: VecDeque<Kept>,
    /// Rows written above the view so far.
    rows: u64,
    /// So many rows above the view are known.
    above: usize,
    /// What the screen shows below them.
    shown: Rows,
    /// The screen must be cleared and drawn anew.
    is_stale: bool,
}

/// Something to draw.
#[derive(Debug)]
pub enum Draw {
    /// Lines without the last line end.
    Lines(String),
    /// The lines of a message without a mark.
    Shown {
        of: Shown,
        text: String,
    },
    /// A message with a mark before it; `of`: once it is stored.
    Message {
        id: MarkId,
        mark: Mark,
        of: Option<Shown>,
        text: String,
    },
    /// The message with this mark is stored.
    Stored {
        id: MarkId,
        of: Shown,
    },
    /// A message that was printed has other lines now.
    Text {
        of: Shown,
        text: String,
    },
    Mark {
        id: MarkId,
        mark: Mark,
    },
    /// The readers of a message in a group, shown beside its mark until all have read it.
    Tally {
        id: MarkId,
        tally: Tally,
    },
    /// A control sequence that neither prints nor moves the cursor, for example the bell.
    Signal(String),
}

#[derive(Debug)]
struct Kept {
    text: String,
    mark: Option<Marked>,
    of: Option<Of>,
    /// `None`: it did not fit when the screen was drawn anew.
    row: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Marked {
    id: MarkId,
    mark: Mark,
    tally: Option<Tally>,
}

impl Marked {
    fn shown_tally(self) -> Option<Tally> {
        self.tally.filter(|_| self.mark == Mark::Stored)
    }
}

impl Renderer {
    /// A renderer for a screen that is not empty; the cursor is in the first column.
    pub fn new(style: Style, size: Size) -> Renderer {
        Renderer {
            style,
            size,
            queue: Vec::new(),
            kept: VecDeque::new(),
            rows: 0,
            above: 0,
            shown: Rows::default(),
            is_stale: false,
        }
    }

    pub fn size(&self) -> Size {
        self.size
    }

    /// Queues something to draw.
    pub fn push(&mut self, draw: Draw) {
        self.queue.push(draw);
    }

    /// The terminal has this size now. Everything is drawn anew even if it is the same: the terminal may have had
    /// another one in between.
    pub fn resize(&mut self, size: Size) {
        (self.size, self.is_stale) = (size, true);
    }

    /// Clears the screen for good: what was printed before is not drawn again.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.is_stale = true;
    }

    /// The bytes that bring the screen up to date; empty if it is. `None`: no line is being typed.
    pub fn draw(&mut self, view: Option<&View>) -> String {
        let next = view.map(|view| view.arrange(self.style, self.size.height, self.size.width));
        let next = next.unwrap_or_default();
        let mut out = String::new();
        self.draw_anew_if_stale(&mut out, next.rows.len());
        if !self.queue.is_empty() {
            self.erase(&mut out, 0);
            self.draw_queue(&mut out);
            self.draw_anew_if_stale(&mut out, next.rows.len());
        }
        self.draw_rows(&mut out, next);
        out
    }

    /// The bytes that leave the terminal to another program: the cursor below everything.
    pub fn leave(&mut self) -> String {
        let mut out = String::new();
        if !self.queue.is_empty() {
            self.erase(&mut out, 0);
            self.draw_queue(&mut out);
        }
        let below = self.shown.rows.len().saturating_sub(1 + self.shown.row);
        if below > 0 {
            write!(out, "\x1b[{below}B").expect("writing to a String succeeds");
        }
        if !self.shown.rows.is_empty() {
            out.push('\n');
        }
        self.shown = Rows::default();
        out
    }

    /// The messages whose marks are on the screen, as it was drawn last.
    pub fn visible(&self) -> HashSet<MarkId> {
        let visible = self.kept.iter().rev().take_while(|kept| self.is_visible(kept));
        visible.filter_map(|kept| kept.mark).map(|marked| marked.id).collect()
    }

    fn is_visible(&self, kept: &Kept) -> bool {
        kept.row.is_some_and(|row| self.rows - row <= self.above as u64)
    }

    /// The messages of a conversation that were printed lately, and whether each is on the screen.
    pub fn shown(&self, conversation: ConversationId) -> BTreeMap<Shown, bool> {
        let mut shown = BTreeMap::new();
        let mut note = |of: &Shown, is_visible| *shown.entry(*of).or_insert(false) |= is_visible;
        for kept in &self.kept {
            if let Some(Of::Message(of)) = &kept.of {
                note(of, self.is_visible(kept));
            }
        }
        for draw in &self.queue {
            match draw {
                Draw::Shown { of, .. } | Draw::Message { of: Some(of), .. } => note(of, true),
                // It was printed a moment ago, as an own message that is being sent.
                Draw::Stored { of, id } => note(of, self.is_sending_visible(*id)),
                _ => {}
            }
        }
        shown.retain(|of, _| of.conversation == conversation);
        shown
    }

    fn is_sending_visible(&self, id: MarkId) -> bool {
        let is_queued = |draw: &Draw| matches!(draw, Draw::Message { id: queued, .. } if *queued == id);
        let mut lines = self.kept.iter().filter(|kept| kept.of == Some(Of::Sending(id)));
        lines.any(|kept| self.is_visible(kept)) || self.queue.iter().any(is_queued)
    }

    // ---- lines -----------------------------------------------------------------------------------------------------

    fn draw_anew_if_stale(&mut self, out: &mut String, below: usize) {
        if self.is_stale {
            out.push_str("\x1b[H\x1b[J");
            self.shown = Rows::default();
            self.draw_kept(out, below);
        }
    }

    /// Draws what was printed before a change of the size, as much as fits above `below` rows.
    fn draw_kept(&mut self, out: &mut String, below: usize) {
        let room = self.size.height.saturating_sub(below.max(1));
        let lines: Vec<String> = self.kept.iter().map(|kept| self.wrapped(&kept.text, kept.mark)).collect();
        let mut taken = 0;
        // A line that alone is too tall is drawn too, and scrolls.
        let fitting = lines.iter().rev().take_while(|line| {
            let is_first = taken == 0;
            taken += columns::rows(line, self.size.width);
            taken <= room || is_first
        });
        let hidden = lines.len() - fitting.count();
        (self.rows, self.is_stale) = (0, false);
        for (number, (kept, line)) in self.kept.iter_mut().zip(&lines).enumerate() {
            kept.row = (number >= hidden).then_some(self.rows);
            if kept.row.is_some() {
                self.rows += columns::rows(line, self.size.width) as u64;
                out.push_str(line);
                out.push('\n');
            }
        }
        self.above = (self.rows as usize).min(room);
    }

    fn draw_queue(&mut self, out: &mut String) {
        for draw in std::mem::take(&mut self.queue) {
            match draw {
                Draw::Lines(lines) => self.put_all(out, &lines, None, None),
                Draw::Shown { of, text } => self.put_all(out, &text, None, Some(Of::Message(of))),
                Draw::Message { id, mark, of, text } => {
                    let of = of.map_or(Of::Sending(id), Of::Message);
                    self.put_all(out, &text, Some(Marked { id, mark, tally: None }), Some(of));
                }
                Draw::Stored { id, of } => {
                    let lines = self.kept.iter_mut().filter(|kept| kept.of == Some(Of::Sending(id)));
                    lines.for_each(|kept| kept.of = Some(Of::Message(of)));
                }
                Draw::Text { of, text } => self.replace(out, of, &text),
                Draw::Mark { id, mark } => self.repaint(out, id, |marked| marked.mark = mark),
                Draw::Tally { id, tally } => self.repaint(out, id, |marked| marked.tally = Some(tally)),
                Draw::Signal(bytes) => out.push_str(&bytes),
            }
        }
    }

    /// Prints the lines of `text`, the first one with the mark.
    fn put_all(&mut self, out: &mut String, text: &str, mut mark: Option<Marked>, of: Option<Of>) {
        text.split('\n').for_each(|line| self.put(out, line.to_owned(), mark.take(), of));
    }

    fn put(&mut self, out: &mut String, text: String, mark: Option<Marked>, of: Option<Of>) {
        let line = self.wrapped(&text, mark);
        while self.kept.len() >= KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(Kept { text, mark, of, row: Some(self.rows) });
        out.push_str(&line);
        out.push('\n');
        let rows = columns::rows(&line, self.size.width);
        self.rows += rows as u64;
        self.above = (self.above + rows).min(self.size.height.saturating_sub(1));
    }

    fn wrapped(&self, text: &str, mark: Option<Marked>) -> String {
        let indent = INDENT.min(self.size.width / 4);
        let Some(marked) = mark else { return columns::wrap(text, self.size.width, indent) };
        let mark = self.style.mark(marked.mark);
        let line = match marked.shown_tally() {
            Some(Tally { count, of }) => format!("{mark} {count}/{of} {text}"),
            None => format!("{mark} {text}"),
        };
        columns::wrap(&line, self.size.width, indent)
    }

    /// Repaints what stands before a message that is still visible. The cursor is where the view begins.
    fn repaint(&mut self, out: &mut String, id: MarkId, change: impl FnOnce(&mut Marked)) {
        let is_wanted = |kept: &&mut Kept| kept.mark.is_some_and(|marked| marked.id == id);
        let Some(kept) = self.kept.iter_mut().rev().find(is_wanted) else { return };
        let Some(before) = kept.mark else { return };
        let mut marked = before;
        change(&mut marked);
        kept.mark = Some(marked);
        let Some(up) = kept.row.map(|row| self.rows - row).filter(|up| *up <= self.above as u64) else {
            return;
        };
        if marked.shown_tally() == before.shown_tally() {
            // A narrower row has no room for the two columns.
            if self.size.width > 2 {
                let mark = self.style.mark(marked.mark);
                write!(out, "\x1b[{up}A\r{mark}\r\x1b[{up}B").expect("writing to a String succeeds");
            }
            return;
        }
        let text = std::mem::take(&mut kept.text);
        let (old, new) = (self.wrapped(&text, Some(before)), self.wrapped(&text, Some(marked)));
        if let Some(kept) = self.kept.iter_mut().rev().find(is_wanted) {
            kept.text = text;
        }
        let rows = columns::rows(&new, self.size.width);
        if rows != columns::rows(&old, self.size.width) {
            self.is_stale = true;
            return;
        }
        self.rewrite(out, &new, rows as u64, up);
    }

    /// Replaces the lines of a message wherever it was printed. The cursor is where the view begins.
    fn replace(&mut self, out: &mut String, of: Shown, text: &str) {
        let is_of = |kept: &Kept| kept.of == Some(Of::Message(of));
        let mut from = 0;
        while let Some(first) = (from..self.kept.len()).find(|at| is_of(&self.kept[*at])) {
            let count = self.kept.range(first..).take_while(|kept| is_of(kept)).count();
            let old = &self.kept[first];
            let (mark, row) = (old.mark, old.row);
            let mut lines = text.split('\n').map(str::to_owned);
            let line = lines.next().unwrap_or_default();
            let (before, after) = (self.wrapped(&old.text, mark), self.wrapped(&line, mark));
            let rows = columns::rows(&after, self.size.width);
            let is_one =
                count == 1 && !text.contains('\n') && rows == columns::rows(&before, self.size.width);
            let is_visible = self.kept.range(first..first + count).any(|kept| self.is_visible(kept));
            match row.map(|row| self.rows - row).filter(|up| is_one && *up <= self.above as u64) {
                Some(up) => self.rewrite(out, &after, rows as u64, up),
                None => self.is_stale |= is_visible,
            }
            let rest = self.kept.split_off(first + count);
            self.kept.truncate(first);
            self.kept.push_back(Kept { text: line, mark, of: Some(Of::Message(of)), row });
            self.kept.extend(lines.map(|text| Kept { text, mark: None, of: Some(Of::Message(of)), row }));
            from = self.kept.len();
            self.kept.extend(rest);
        }
    }

    /// Replaces a line of as many rows that begins `up` rows above the cursor.
    fn rewrite(&self, out: &mut String, line: &str, rows: u64, up: u64) {
        let mut put = |sequence: fmt::Arguments<'_>| {
            out.write_fmt(sequence).expect("writing to a String succeeds");
        };
        put(format_args!("\x1b[{up}A\r\x1b[2K"));
        (1..rows).for_each(|_| put(format_args!("\x1b[1B\x1b[2K")));
        if rows > 1 {
            put(format_args!("\x1b[{}A", rows - 1));
        }
        put(format_args!("{line}\r\x1b[{}B", up + 1 - rows));
    }

    // ---- the view --------------------------------------------------------------------------------------------------

    /// Erases the view from its row `from` on and leaves the cursor there.
    fn erase(&mut self, out: &mut String, from: usize) {
        if self.shown.rows.is_empty() {
            return;
        }
        let up = self.shown.row as isize - from as isize;
        match up {
            1.. => write!(out, "\x1b[{up}A"),
            0 => Ok(()),
            _ => write!(out, "\x1b[{}B", -up),
        }
        .expect("writing to a String succeeds");
        out.push_str("\r\x1b[J");
        self.shown.rows.truncate(from);
        (self.shown.row, self.shown.column) = (from, 0);
    }

    fn draw_rows(&mut self, out: &mut String, next: Rows) {
        if self.shown == next {
            return;
        }
        if let Some(typed) = appended(&self.shown, &next) {
            out.push_str(typed);
            self.shown = next;
            return;
        }
        let before = self.shown.rows.len();
        let same = self.shown.rows.iter().zip(&next.rows).take_while(|(old, new)| old == new).count();
        if same < before {
            self.erase(out, same);
        } else if same > 0 {
            // Rows are added below the last one.
            let down = same - 1 - self.shown.row;
            if down > 0 {
                write!(out, "\x1b[{down}B").expect("writing to a String succeeds");
            }
            if next.rows.len() > same {
                out.push('\n');
            }
        }
        let from = same.min(self.shown.rows.len());
        for (number, row) in next.rows.iter().enumerate().skip(from) {
            if number > from {
                out.push('\n');
            }
            out.push_str(row);
        }
        if let Some(last) = next.rows.len().checked_sub(1) {
            // Without a new row the cursor stands below the last one.
            let at = if from == next.rows.len() && same < before { from } else { last };
            let up = at - next.row;
            if up > 0 {
                write!(out, "\x1b[{up}A").expect("writing to a String succeeds");
            }
            let is_there =
                up == 0 && from < next.rows.len() && next.column == columns::width(&next.rows[last]);
            if !is_there || next.column >= self.size.width {
                out.push('\r');
                if next.column > 0 {
                    write!(out, "\x1b[{}C", next.column).expect("writing to a String succeeds");
                }
            }
        }
        self.above = self.above.min(self.size.height.saturating_sub(next.rows.len().max(1)));
        self.shown = next;
    }
}

/// What was typed at the end of the last row, if nothing else has changed.
fn appended<'n>(old: &Rows, new: &'n Rows) -> Option<&'n str> {
    let (before, old_row) = old.rows.split_at_checked(old.rows.len().checked_sub(1)?)?;
    let (same, new_row) = new.rows.split_at_checked(before.len())?;
    let ([old_row], [new_row]) = (old_row, new_row) else { return None };
    let was_at_end = old.row == before.len() && old.column == columns::width(old_row);
    let is_at_end = new.row == before.len() && new.column == columns::width(new_row);
    new_row.strip_prefix(old_row.as_str()).filter(|_| before == same && was_at_end && is_at_end)
}

#[cfg(test)]
mod tests;
