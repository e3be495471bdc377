//! Where lines are shown. Everything that the program prints goes through here.
//!
//! ```text
//!   … what was said …
//!    ✓ [12:03] you → li si (2): hello      marks in the first two columns are painted over as they change
//!      [12:04] li si (2): hi
//!   ── zhang san (1) ── 2 unread: #7 devs 2 ───────   the status, which changes by itself
//!   li si> a line that is being ty█                   the editor's line
//! ```
//!
//! On a terminal nothing is written while a line is edited but by the editor: lines wait in the [`Pen`] and are drawn as part
//! of the prompt at its next repaint, which a [`Wake`] asks for. So the line that is typed is never broken, and
//! how many rows above the prompt a message stands is known exactly.

use super::style::{Mark, Style};
use super::{columns, echo};
use crossbeam_channel::Sender;
use parking_lot::Mutex;
use rustix::termios::tcgetwinsize;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A message whose mark may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LineId(pub u64);

/// Messages whose mark can be painted over: more than any screen has rows.
const MARKED_MAX: usize = 1_000;

/// Ends what the editor began: to have pasted text told from typed text.
const UNBRACKETED: &str = "\x1b[?2004l";

/// Where later rows of a line begin: below its text, beside its mark.
const INDENT: usize = 3;

/// The terminal, or whatever stdout is.
#[derive(Clone, Debug)]
pub enum Screen {
    /// A terminal with a line editor at its bottom.
    Live(Arc<Mutex<Pen>>, Wake),
    /// One line after another.
    Plain(Arc<Plain>),
}

/// Lines on a terminal that cannot move its cursor, or on no terminal.
#[derive(Debug, Default)]
pub struct Plain {
    /// Nobody reads them any more.
    gone: AtomicBool,
    /// What stands on the line that is being typed, with its prompt.
    typed: Mutex<String>,
}

impl Plain {
    fn print(&self, lines: &str) {
        let typed = self.typed.lock();
        let (before, after) = if typed.is_empty() { ("", "") } else { ("\n", &**typed) };
        let mut stdout = io::stdout().lock();
        if write!(stdout, "{before}{lines}\n{after}").and_then(|()| stdout.flush()).is_err() {
            self.gone.store(true, Ordering::Relaxed);
        }
    }

    /// Shows more of the line that is being typed.
    pub fn type_on(&self, more: &str) {
        self.typed.lock().push_str(more);
        echo::show(more);
    }

    /// Shows the line that is being typed anew.
    pub fn retype(&self, line: &str) {
        *self.typed.lock() = line.to_owned();
        echo::show(&format!("\n{line}"));
    }

    /// The line is entered.
    pub fn end_line(&self) {
        self.typed.lock().clear();
        echo::show("\n");
    }
}

/// Asks the editor to repaint.
pub type Wake = Sender<()>;

/// What is to be drawn, and what stands where.
#[derive(Debug)]
pub struct Pen {
    style: Style,
    /// While a line is edited, only the editor draws.
    editing: bool,
    waiting: Vec<Stroke>,
    status: String,
    /// Shown in place of the status for a moment.
    hint: Option<String>,
    /// Rows written above the prompt since the beginning.
    rows: u64,
    /// In which of them messages stand.
    marked: VecDeque<(LineId, u64)>,
    /// The prompt stands at least this far below the top of the screen.
    above: usize,
    /// Rows that the prompt and the line being typed take.
    edited: usize,
    height: usize,
    width: usize,
}

#[derive(Debug)]
enum Stroke {
    /// Lines without the last line end.
    Lines(String),
    /// A message, which has a mark before it.
    Message(LineId, Mark, String),
    Mark(LineId, Mark),
    Bell,
}

impl Pen {
    /// A pen of a screen on which something stands already.
    pub fn new(style: Style, height: usize, width: usize) -> Pen {
        Pen {
            style,
            editing: false,
            waiting: Vec::new(),
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

    /// What to write where the prompt begins: all that waits. The cursor is in the first column of what was the prompt's
    /// first row, and is there again after it.
    fn draw(&mut self) -> String {
        let mut out = String::new();
        for stroke in std::mem::take(&mut self.waiting) {
            match stroke {
                Stroke::Lines(lines) => self.put(&mut out, &lines),
                Stroke::Message(line, mark, text) => {
                    self.marked.push_back((line, self.rows));
                    if self.marked.len() > MARKED_MAX {
                        self.marked.pop_front();
                    }
                    let text = format!("{} {text}", self.style.mark(mark));
                    self.put(&mut out, &text);
                }
                Stroke::Mark(line, mark) => self.repaint(&mut out, line, mark),
                Stroke::Bell => out.push('\x07'),
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

    /// Writes over the mark of a message that can still be seen.
    fn repaint(&mut self, out: &mut String, line: LineId, mark: Mark) {
        let Some((_, row)) = self.marked.iter().find(|(id, _)| *id == line) else { return };
        let up = self.rows - row;
        if up <= self.above as u64 {
            let mark = self.style.mark(mark);
            write!(out, "\x1b[{up}A\r{mark}\r\x1b[{up}B").expect("a String takes everything");
        }
    }

    /// Takes notice of the size of the terminal: after a change nobody knows what stands where.
    fn measure(&mut self) {
        let Ok(size) = tcgetwinsize(rustix::stdio::stdout()) else { return };
        let (height, width) = (usize::from(size.ws_row), usize::from(size.ws_col));
        if height > 0 && width > 0 && (height, width) != (self.height, self.width) {
            (self.height, self.width) = (height, width);
            self.forget();
        }
    }

    /// Something else has written on the screen, or cleared it.
    pub fn forget(&mut self) {
        self.marked.clear();
        self.above = 0;
    }

    // ---- for the editor ------------------------------------------------------------------------------------------------

    /// Something to show in place of the status, until it is taken away.
    pub fn set_hint(&mut self, hint: Option<String>) {
        self.hint = hint;
    }

    /// The editor begins to edit; it draws from now on.
    pub fn begin_edit(&mut self) {
        self.editing = true;
    }

    /// What the editor is to write before its prompt: all that waits, and the status where it is wanted.
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

    /// The editor shows a line after `prompt` columns; the status stands above it.
    pub fn edited(&mut self, line: &str, prompt: usize) {
        self.edited = 1 + columns::rows_with_cursor(line, prompt, self.width);
        self.above = self.above.min(self.height.saturating_sub(self.edited));
    }

    /// The line was entered, and the cursor stands below it: takes line and status away, and draws what waits.
    pub fn end_edit(&mut self, keep_line: bool) -> String {
        self.editing = false;
        self.hint = None;
        let taken = std::mem::take(&mut self.edited);
        if keep_line || taken == 0 {
            self.moved(1);
            self.forget();
            return self.draw();
        }
        // The line end that entered it may have scrolled the screen.
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

impl Screen {
    /// Whether lines appear above what is being typed.
    pub fn is_live(&self) -> bool {
        matches!(self, Screen::Live(..))
    }

    /// Prints one or more lines. What others wrote must have been sanitised.
    pub fn print(&self, lines: &str) {
        match self {
            Screen::Live(..) => self.stroke(Stroke::Lines(lines.to_owned())),
            Screen::Plain(plain) => plain.print(lines),
        }
    }

    /// Prints an own message with a mark that will change. Where it cannot be changed, whoever has typed it sees it.
    pub fn print_marked(&self, line: LineId, mark: Mark, text: String) {
        self.stroke(Stroke::Message(line, mark, text));
    }

    /// Changes the mark of a message, if it can still be seen.
    pub fn mark(&self, line: LineId, mark: Mark) {
        self.stroke(Stroke::Mark(line, mark));
    }

    /// Calls the user.
    pub fn bell(&self) {
        self.stroke(Stroke::Bell);
    }

    /// Shows another status.
    pub fn set_status(&self, status: String) {
        if let Screen::Live(pen, wake) = self {
            let mut pen = pen.lock();
            if pen.status != status {
                pen.status = status;
                if pen.editing {
                    let _ = wake.try_send(());
                }
            }
        }
    }

    fn stroke(&self, stroke: Stroke) {
        let Screen::Live(pen, wake) = self else { return };
        let mut pen = pen.lock();
        pen.waiting.push(stroke);
        if pen.editing {
            // One that stands in the queue already will do.
            let _ = wake.try_send(());
        } else {
            pen.measure();
            write_out(&pen.draw());
        }
    }

    /// Whether nobody can see what is printed: stdout is closed.
    pub fn is_gone(&self) -> bool {
        matches!(self, Screen::Plain(plain) if plain.gone.load(Ordering::Relaxed))
    }

    /// Draws what waits although a line is being edited: the program ends.
    pub fn finish(&self) {
        if let Screen::Live(pen, _) = self {
            let mut pen = pen.lock();
            if pen.editing {
                let rest = pen.draw();
                write_out(&format!("{UNBRACKETED}\n{rest}"));
            }
        }
    }
}

/// Writes to the terminal. One that has gone is noticed by whoever reads from it.
pub fn write_out(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests;
