//! Where lines come from: a line editor on a terminal, plain lines from anything else.
//!
//! A thread waits for the keyboard, so that the program never does. It reads a line when asked to, which is also what
//! keeps a script in step: the next line is taken when the program is ready for it.

use super::screen::Screen;
use crossbeam_channel::{Receiver, Sender};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, Config, Editor, Helper};
use std::borrow::Cow;
use std::io::{self, BufRead, IsTerminal};
use std::thread;
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

/// How long a prompt waits for lines that are still being printed.
const PRINTED: Duration = Duration::from_millis(200);

/// A line to read.
#[derive(Clone, Debug)]
pub struct Ask {
    pub prompt: &'static str,
    pub kind: Kind,
}

/// What becomes of the line that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is shown while it is typed.
    Answer,
    /// It is shown, and can be called back by arrow up.
    Command,
    /// It is not shown, nor remembered.
    Secret,
}

/// What came.
#[derive(Debug)]
pub enum Answer {
    Line(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the end of the file.
    End,
    Failed(io::Error),
}

/// The keyboard.
#[derive(Debug)]
pub struct Input {
    asks: Sender<Ask>,
    pub answers: Receiver<Answer>,
}

impl Input {
    /// Starts reading from stdin; the screen is what fits to it.
    pub fn start() -> io::Result<(Input, Screen)> {
        let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        match terminal.then(editor).flatten() {
            Some((mut editor, screen)) => {
                Ok((spawn(screen.clone(), move |ask, screen| edit(&mut editor, ask, screen))?, screen))
            }
            None => {
                let screen = Screen::plain();
                Ok((spawn(screen.clone(), read_plain)?, screen))
            }
        }
    }

    /// Asks for one line. One at a time.
    pub fn ask(&self, ask: Ask) {
        // The thread ends only with the program, or after it said why.
        let _ = self.asks.send(ask);
    }
}

fn spawn(
    screen: Screen,
    mut read: impl FnMut(&Ask, &Screen) -> Answer + Send + 'static,
) -> io::Result<Input> {
    let (asks, asked) = crossbeam_channel::unbounded();
    let (given, answers) = crossbeam_channel::unbounded();
    thread::Builder::new().name("input".to_owned()).spawn(move || {
        for ask in asked {
            if given.send(read(&ask, &screen)).is_err() {
                return;
            }
        }
    })?;
    Ok(Input { asks, answers })
}

// ---- on a terminal -----------------------------------------------------------------------------------------------

type LineEditor = Editor<Mask, MemHistory>;

/// An editor; `None` on a terminal that cannot move its cursor.
fn editor() -> Option<(LineEditor, Screen)> {
    // The mask is a highlighter, so highlighting must not depend on colours being wanted.
    let config = Config::builder().color_mode(ColorMode::Forced).auto_add_history(false).build();
    let mut editor = Editor::with_history(config, MemHistory::new()).ok()?;
    editor.set_helper(Some(Mask { on: false }));
    let screen = Screen::above(editor.create_external_printer().ok()?).ok()?;
    Some((editor, screen))
}

fn edit(editor: &mut LineEditor, ask: &Ask, screen: &Screen) -> Answer {
    // The prompt comes after what was said before it.
    screen.finish(PRINTED);
    if let Some(mask) = editor.helper_mut() {
        mask.on = ask.kind == Kind::Secret;
    }
    editor.set_auto_add_history(ask.kind == Kind::Command);
    match editor.readline(ask.prompt) {
        Ok(line) => Answer::Line(line),
        Err(ReadlineError::Eof) => Answer::End,
        Err(ReadlineError::Interrupted) => Answer::Interrupted,
        Err(ReadlineError::Io(error)) => Answer::Failed(error),
        Err(error) => Answer::Failed(io::Error::other(error)),
    }
}

/// Shows blanks for a secret.
struct Mask {
    on: bool,
}

impl Highlighter for Mask {
    fn highlight<'l>(&self, line: &'l str, _pos: usize) -> Cow<'l, str> {
        if self.on { Cow::Owned(" ".repeat(line.width())) } else { Cow::Borrowed(line) }
    }

    // Without this a character typed at the end would be written as it is.
    fn highlight_char(&self, _line: &str, _pos: usize, _kind: CmdKind) -> bool {
        self.on
    }
}

impl Completer for Mask {
    type Candidate = String;
}

impl Hinter for Mask {
    type Hint = String;
}

impl Validator for Mask {}
impl Helper for Mask {}

// ---- anywhere else -----------------------------------------------------------------------------------------------

fn read_plain(ask: &Ask, screen: &Screen) -> Answer {
    // Before the prompt: whoever sees it may type.
    let _quiet = (ask.kind == Kind::Secret).then(NoEcho::begin).flatten();
    if !ask.prompt.trim_end_matches("> ").is_empty() {
        screen.print(ask.prompt.trim_end());
    }
    let mut line = Vec::new();
    match io::stdin().lock().read_until(b'\n', &mut line) {
        Ok(0) => Answer::End,
        Ok(_) => {
            let line = String::from_utf8_lossy(&line);
            Answer::Line(line.trim_end_matches(['\n', '\r']).to_owned())
        }
        Err(error) => Answer::Failed(error),
    }
}

/// A terminal that does not echo until this is dropped.
struct NoEcho(rustix::termios::Termios);

impl NoEcho {
    /// `None` where stdin is no terminal: there is no echo to begin with.
    fn begin() -> Option<NoEcho> {
        let before = tcgetattr(rustix::stdio::stdin()).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        // The end of the line shows, and Ctrl-C does not end the program while nothing is shown.
        quiet.local_modes.insert(LocalModes::ECHONL);
        quiet.special_codes[SpecialCodeIndex::VINTR] = 0;
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &quiet).ok()?;
        Some(NoEcho(before))
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that has gone.
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &self.0);
    }
}
