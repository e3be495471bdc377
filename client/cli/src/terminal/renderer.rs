//! [`Renderer`]: draws lines and marks on a terminal while a line is being edited.
//!
//! ```text
//!   … earlier lines …
//!    ✓ [12:03] you → li si (2): hello      marks in the first two columns are repainted as they change
//!      [12:04] li si (2): hi
//!   ── zhang san (1) ── 2 unread: #7 devs 2 ───────   the status
//!   li si> a line that is being ty█                   the editor's line
//! ```
//!
//! While a line is being edited, only the editor writes to the terminal. Lines wait in the renderer's queue and are
//! drawn as part of the prompt at its next repaint. So the line being typed is never broken, and the distance between a
//! message and the prompt is known exactly.

use crate::display::columns;
use crate::display::style::{Mark, Style};
use rustix::termios::tcgetwinsize;
use std::collections::VecDeque;
use std::fmt::Write as _;

/// A printed message whose mark may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MarkId(pub u64);

/// The most messages whose mark can be repainted: more than any screen has rows.
const MARKED_MAX: usize = 1_000;

/// Turns off the bracketed paste that the editor turned on.
pub const UNBRACKETED: &str = "\x1b[?2004l";

/// The column in which the continuation rows of a line begin: below its text, beside its mark.
const INDENT: usize = 3;

/// Draws lines above the prompt and knows in which row each message is.
#[derive(Debug)]
pub struct Renderer {
    style: Style,
    /// While a line is being edited, only the editor writes to the terminal.
    editing: bool,
    queue: Vec<Draw>,
    status: String,
    /// Replaces the status, for example by completions.
    hint: Option<String>,
    /// Rows written above the prompt so far.
    rows: u64,
    /// The first row of each message.
    marked: VecDeque<(MarkId, u64)>,
    /// The prompt is at least this many rows below the top of the screen.
    above: usize,
    /// Rows of the status, the prompt and the line being typed.
    edited: usize,
    height: usize,
    width: usize,
}

/// Something to draw.
#[derive(Debug)]
pub enum Draw {
    /// Lines without the last line end.
    Lines(String),
    /// A message with a mark before it.
    Message {
        id: MarkId,
        mark: Mark,
        text: String,
    },
    Mark {
        id: MarkId,
        mark: Mark,
    },
    Bell,
}

impl Renderer {
    /// A renderer for a screen that is not empty.
    pub fn new(style: Style, height: usize, width: usize) -> Renderer {
        Renderer {
            style,
            editing: false,
            queue: Vec::new(),
            status: String::new(),
            hint: None,
            rows: 0,
            marked: VecDeque::new(),
            above: 0,
            edited: 0,
            height,
            width,
        }
    }

    /// Takes the queue as text to be written where the prompt begins: at the first column of its first row. Writing it
    /// leaves the cursor in the first column of the row below.
    pub fn draw(&mut self) -> String {
        let mut out = String::new();
        for draw in std::mem::take(&mut self.queue) {
            match draw {
                Draw::Lines(lines) => self.put(&mut out, &lines),
                Draw::Message { id, mark, text } => {
                    self.marked.push_back((id, self.rows));
                    if self.marked.len() > MARKED_MAX {
                        self.marked.pop_front();
                    }
                    let text = format!("{} {text}", self.style.mark(mark));
                    self.put(&mut out, &text);
                }
                Draw::Mark { id, mark } => self.repaint(&mut out, id, mark),
                Draw::Bell => out.push('\x07'),
            }
        }
        out
    }

    fn put(&mut self, out: &mut String, lines: &str) {
        for line in lines.split('\n') {
            let line = columns::wrap(line, self.width, INDENT);
            out.push_str(&line);
            out.push('\n');
            self.moved(columns::rows(&line, self.width));
        }
    }

    fn moved(&mut self, rows: usize) {
        self.rows += rows as u64;
        self.above = (self.above + rows).min(self.height.saturating_sub(1));
    }

    /// Repaints the mark of a message that is still visible.
    fn repaint(&mut self, out: &mut String, id: MarkId, mark: Mark) {
        let Some((_, row)) = self.marked.iter().find(|(marked, _)| *marked == id) else { return };
        let up = self.rows - row;
        if up <= self.above as u64 {
            let mark = self.style.mark(mark);
            write!(out, "\x1b[{up}A\r{mark}\r\x1b[{up}B").expect("writing to a String succeeds");
        }
    }

    /// Reads the size of the terminal. After a change the positions of messages are unknown.
    pub fn measure(&mut self) {
        let Ok(size) = tcgetwinsize(rustix::stdio::stdout()) else { return };
        let (height, width) = (usize::from(size.ws_row), usize::from(size.ws_col));
        if height > 0 && width > 0 && (height, width) != (self.height, self.width) {
            (self.height, self.width) = (height, width);
            self.forget();
        }
    }

    /// Forgets the positions of messages: something else has written to the screen or cleared it.
    pub fn forget(&mut self) {
        self.marked.clear();
        self.above = 0;
    }

    /// Queues something to draw; returns whether the editor must repaint for it to appear.
    pub fn push(&mut self, draw: Draw) -> bool {
        self.queue.push(draw);
        self.editing
    }

    /// Sets the status; returns whether the editor must repaint.
    pub fn set_status(&mut self, status: String) -> bool {
        let changed = self.status != status;
        self.status = status;
        changed && self.editing
    }

    pub fn is_editing(&self) -> bool {
        self.editing
    }

    // ---- for the editor
    // ------------------------------------------------------------------------------------------------

    /// Replaces the status until the hint is removed.
    pub fn set_hint(&mut self, hint: Option<String>) {
        self.hint = hint;
    }

    /// The editor starts a line; from now on only it writes to the terminal.
    pub fn begin_edit(&mut self) {
        self.editing = true;
    }

    /// The text that the editor must write before its prompt: the queue, and the status if it is enabled.
    pub fn before_prompt(&mut self, with_status: bool) -> String {
        self.measure();
        self.draw_prompt(with_status)
    }

    fn draw_prompt(&mut self, with_status: bool) -> String {
        let mut out = self.draw();
        if with_status {
            out.push_str(&self.status_line());
            out.push('\n');
        }
        out
    }

    /// The editor shows `line` after a prompt of `prompt` columns, below the status.
    pub fn edited(&mut self, line: &str, prompt: usize) {
        self.edited = 1 + columns::rows_with_cursor(line, prompt, self.width);
        self.above = self.above.min(self.height.saturating_sub(self.edited));
    }

    /// The line was entered, and the cursor is below it: removes line and status, and draws the queue.
    pub fn end_edit(&mut self, keep_line: bool) -> String {
        self.editing = false;
        self.hint = None;
        let taken = std::mem::take(&mut self.edited);
        if keep_line || taken == 0 {
            self.moved(1);
            self.forget();
            return self.draw();
        }
        // Entering the line may have scrolled the screen.
        self.above = self.above.min(self.height.saturating_sub(taken + 1));
        format!("\x1b[{taken}A\r\x1b[J{}", self.draw())
    }

    fn status_line(&self) -> String {
        let room = self.width.saturating_sub(1);
        let rule = self.style.rule();
        let text = self.hint.as_ref().unwrap_or(&self.status);
        let text = columns::cut(&format!("{rule}{rule} {text} "), room);
        let rest = rule.repeat(room - columns::width(&text));
        self.style.notice(&format!("{text}{rest}"))
    }
}

#[cfg(test)]
mod tests;
