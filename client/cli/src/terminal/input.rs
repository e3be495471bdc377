//! Where lines come from: a line editor on a terminal, plain lines from anything else.
//!
//! A thread waits for the keyboard, so that the program never does. It reads a line when asked to, which is also what
//! keeps a script in step: the next line is taken when the program is ready for it.

use super::columns;
use super::complete::Names;
use super::echo::{self, NoEcho};
use super::helper::{Disturbing, Prompting, Suspending};
use super::screen::{Pen, Plain, Screen, write_out};
use super::style::Style;
use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;
use rustix::termios::{Termios, tcgetwinsize};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{ColorMode, CompletionType, Config, Editor, EventHandler, ExternalPrinter, KeyEvent};
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

/// A line to read.
#[derive(Clone, Debug)]
pub struct Ask {
    pub prompt: String,
    pub kind: Kind,
}

/// What becomes of the line that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is shown while it is typed.
    Answer,
    /// It is shown until it is entered, and can be called back.
    Command,
    /// It is not shown, nor remembered.
    Secret,
}

#[derive(Debug)]
pub enum Answer {
    Line(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the end of the file.
    End,
    Failed(io::Error),
}

#[derive(Debug)]
pub struct Input {
    asks: Sender<Ask>,
    pub answers: Receiver<Answer>,
    /// Held while the program runs: what is typed ahead is shown when its turn comes, or never if it is a password.
    _quiet: Option<NoEcho>,
}

impl Input {
    /// Starts reading from stdin; the screen is what fits to it. Typed lines are remembered in `history`.
    pub fn start(
        style: Style,
        names: Arc<Mutex<Names>>,
        history: Option<PathBuf>,
    ) -> io::Result<(Input, Screen)> {
        let quiet = NoEcho::begin();
        let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        let found = quiet.as_ref().filter(|_| terminal).map(NoEcho::found);
        match found.and_then(|found| editor(style, names, history.as_ref(), found)) {
            Some((mut editor, pen, screen)) => {
                let read = move |ask: &Ask| edit(&mut editor, &pen, ask, history.as_ref());
                Ok((spawn(read, quiet)?, screen))
            }
            None => {
                let plain = Arc::new(Plain::default());
                let screen = Screen::Plain(plain.clone());
                match &quiet {
                    Some(terminal) => {
                        terminal.by_the_key();
                        Ok((spawn(move |ask| echo::read_line(ask, &plain), quiet)?, screen))
                    }
                    None => {
                        let shown = screen.clone();
                        Ok((spawn(move |ask| read_piped(ask, &shown), quiet)?, screen))
                    }
                }
            }
        }
    }

    /// Asks for one line. One at a time.
    pub fn ask(&self, ask: Ask) {
        // The thread ends only with the program, or after it said why.
        let _ = self.asks.send(ask);
    }
}

fn spawn(mut read: impl FnMut(&Ask) -> Answer + Send + 'static, quiet: Option<NoEcho>) -> io::Result<Input> {
    let (asks, asked) = crossbeam_channel::unbounded();
    let (given, answers) = crossbeam_channel::unbounded();
    thread::Builder::new().name("input".to_owned()).spawn(move || {
        for ask in asked {
            if given.send(read(&ask)).is_err() {
                return;
            }
        }
    })?;
    Ok(Input { asks, answers, _quiet: quiet })
}

// ---- on a terminal -----------------------------------------------------------------------------------------------

type LineEditor = Editor<Prompting, FileHistory>;

/// An editor; `None` on a terminal that cannot move its cursor.
fn editor(
    style: Style,
    names: Arc<Mutex<Names>>,
    history: Option<&PathBuf>,
    found: &Termios,
) -> Option<(LineEditor, Arc<Mutex<Pen>>, Screen)> {
    let size = tcgetwinsize(rustix::stdio::stdout()).ok();
    let size = size.filter(|size| size.ws_row > 0 && size.ws_col > 0);
    let (height, width) = size.map_or((24, 80), |size| (size.ws_row.into(), size.ws_col.into()));
    let pen = Arc::new(Mutex::new(Pen::new(style, height, width)));
    // The prompt is drawn by the highlighter, so highlighting must not depend on colours being wanted.
    let config = Config::builder()
        .color_mode(ColorMode::Forced)
        .completion_type(CompletionType::Circular)
        .auto_add_history(false)
        .build();
    let mut editor = Editor::with_history(config, FileHistory::new()).ok()?;
    editor.set_helper(Some(Prompting::new(pen.clone(), names)));
    let disturbing = Disturbing(pen.clone());
    editor.bind_sequence(KeyEvent::ctrl('L'), EventHandler::Conditional(Box::new(disturbing)));
    let suspending = Suspending { pen: pen.clone(), found: found.clone() };
    editor.bind_sequence(KeyEvent::ctrl('Z'), EventHandler::Conditional(Box::new(suspending)));
    if let Some(history) = history {
        // There is none before the first line.
        let _ = editor.load_history(history);
    }
    let mut printer = editor.create_external_printer().ok()?;
    let (wake, wakes) = crossbeam_channel::bounded(1);
    // A thread of its own, because the printer may have to wait for the editor, and the program must not.
    let repaint = move || {
        for () in wakes {
            // The editor takes its prompt away, prints this, and paints the prompt: up and down again changes nothing.
            if printer.print("\x1b[A\n".to_owned()).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("screen".to_owned()).spawn(repaint).ok()?;
    Some((editor, pen.clone(), Screen::Live(pen, wake)))
}

fn edit(editor: &mut LineEditor, pen: &Mutex<Pen>, ask: &Ask, history: Option<&PathBuf>) -> Answer {
    let is_command = ask.kind == Kind::Command;
    if let Some(helper) = editor.helper_mut() {
        (helper.kind, helper.prompt_columns) = (ask.kind, columns::width(&ask.prompt));
    }
    pen.lock().begin_edit();
    let read = match is_command {
        true => editor.readline(&format!("\n{}", ask.prompt)),
        false => editor.readline(&ask.prompt),
    };
    {
        let mut pen = pen.lock();
        write_out(&pen.end_edit(!is_command));
    }
    match read {
        Ok(line) => {
            if is_command && editor.add_history_entry(&line).unwrap_or(false) {
                // A history that cannot be written is one of this run alone.
                let _ = history.map(|path| editor.append_history(path));
            }
            Answer::Line(line)
        }
        Err(ReadlineError::Eof) => Answer::End,
        Err(ReadlineError::Interrupted) => Answer::Interrupted,
        Err(ReadlineError::Io(error)) => Answer::Failed(error),
        Err(error) => Answer::Failed(io::Error::other(error)),
    }
}

// ---- anywhere else -----------------------------------------------------------------------------------------------

fn read_piped(ask: &Ask, screen: &Screen) -> Answer {
    if ask.kind != Kind::Command {
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
