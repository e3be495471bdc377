//! What the line editor asks: how the prompt looks, what completes a word, which keys disturb the screen.

use super::complete::{self, Names};
use super::input::Kind;
use super::screen::{Pen, write_out};
use super::signals;
use parking_lot::Mutex;
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Cmd, ConditionalEventHandler, Context, Event, EventContext, Helper, RepeatCount};
use std::borrow::Cow;
use std::sync::Arc;
use unicode_width::UnicodeWidthStr;

/// The editor's helper.
pub struct Prompting {
    pub pen: Arc<Mutex<Pen>>,
    pub names: Arc<Mutex<Names>>,
    pub kind: Kind,
    /// Columns of the prompt's last line.
    pub prompt_columns: usize,
    /// What was offered for the word that ends the line.
    offered: Mutex<Vec<String>>,
    files: FilenameCompleter,
}

impl Prompting {
    pub fn new(pen: Arc<Mutex<Pen>>, names: Arc<Mutex<Names>>) -> Prompting {
        let files = FilenameCompleter::new();
        Prompting { pen, names, kind: Kind::Answer, prompt_columns: 0, offered: Mutex::default(), files }
    }
}

impl Highlighter for Prompting {
    /// The prompt is drawn at every repaint, and with it what waits to be shown above it.
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, default: bool) -> Cow<'b, str> {
        // The prompt of a command begins with an empty row, in which the status is written.
        let with_status = default && self.kind == Kind::Command;
        let before = self.pen.lock().before_prompt(with_status);
        let prompt = if with_status { prompt.trim_start_matches('\n') } else { prompt };
        Cow::Owned(format!("{before}{prompt}"))
    }

    fn highlight<'l>(&self, line: &'l str, _pos: usize) -> Cow<'l, str> {
        match self.kind {
            Kind::Secret => return Cow::Owned(" ".repeat(line.width())),
            Kind::Answer => {}
            Kind::Command => {
                let mut pen = self.pen.lock();
                pen.edited(line, self.prompt_columns);
                if !self.offered.lock().iter().any(|offer| line.ends_with(offer.as_str())) {
                    pen.set_hint(None);
                }
            }
        }
        Cow::Borrowed(line)
    }

    // Without this a character typed at the end would be written as it is.
    fn highlight_char(&self, _line: &str, _pos: usize, _kind: CmdKind) -> bool {
        self.kind == Kind::Secret || !self.offered.lock().is_empty()
    }
}

impl Completer for Prompting {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        if self.kind != Kind::Command {
            return Ok((pos, Vec::new()));
        }
        let typed = &line[..pos];
        let (start, found) = match complete::path_begins(typed) {
            Some(at) => {
                let (from, found) = self.files.complete(&line[at..], pos - at, context)?;
                (at + from, found)
            }
            None => {
                let (start, found) = complete::complete(typed, &self.names.lock());
                let pair = |text: String| Pair { display: text.trim().to_owned(), replacement: text };
                (start, found.into_iter().map(pair).collect())
            }
        };
        let hint = match found.len() {
            0 | 1 => None,
            _ => Some(found.iter().map(|pair| &*pair.display).collect::<Vec<_>>().join("  ")),
        };
        *self.offered.lock() = found.iter().map(|pair| pair.replacement.clone()).collect();
        self.pen.lock().set_hint(hint);
        Ok((start, found))
    }
}

impl Hinter for Prompting {
    type Hint = String;
}

impl Validator for Prompting {}
impl Helper for Prompting {}

/// Ctrl-L, after which nobody knows what stands on the screen.
pub struct Disturbing(pub Arc<Mutex<Pen>>);

/// Ctrl-Z, which lends the terminal to the shell. The editor's own way takes the terminal back before a process of several
/// threads has stopped, and the shell then has the last word about its modes.
pub struct Suspending {
    pub pen: Arc<Mutex<Pen>>,
    /// The terminal's modes before the program.
    pub found: Termios,
}

impl ConditionalEventHandler for Suspending {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        self.pen.lock().forget();
        if let Ok(own) = tcgetattr(stdin()) {
            write_out("\x1b[?2004l\r\n");
            // What cannot be set or stopped is gone, and the next read says so.
            let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.found);
            let _ = signals::stop_until_continued();
            let _ = tcsetattr(stdin(), OptionalActions::Drain, &own);
            write_out("\x1b[?2004h");
        }
        Some(Cmd::Repaint)
    }
}

impl ConditionalEventHandler for Disturbing {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        self.0.lock().forget();
        None
    }
}
