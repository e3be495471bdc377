//! The line editor: how it draws the prompt, what Tab completes, and which keys need care.

use super::output::write_out;
use super::prompt::{Input, Prompt, PromptKind};
use super::renderer::Renderer;
use super::screen::Screen;
use super::signals;
use crate::command::complete::{self, Completion, Names};
use crate::display::columns;
use crate::display::style::Style;
use parking_lot::Mutex;
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Context, Editor, Event, EventContext,
    EventHandler, ExternalPrinter, Helper, KeyEvent, RepeatCount,
};
use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use unicode_width::UnicodeWidthStr;

/// An editor and the screen above it.
pub struct LineEditor {
    editor: Editor<Hooks, FileHistory>,
    renderer: Arc<Mutex<Renderer>>,
    history: Option<PathBuf>,
}

impl LineEditor {
    /// `None` on a terminal that cannot move its cursor. `original` are the terminal's modes before the program
    /// started.
    pub fn open(
        style: Style,
        names: Arc<Mutex<Names>>,
        history: Option<PathBuf>,
        original: &Termios,
    ) -> Option<(LineEditor, Screen)> {
        let size = tcgetwinsize(stdout()).ok();
        let size = size.filter(|size| size.ws_row > 0 && size.ws_col > 0);
        let (height, width) = size.map_or((24, 80), |size| (size.ws_row.into(), size.ws_col.into()));
        let renderer = Arc::new(Mutex::new(Renderer::new(style, height, width)));
        // The highlighter draws the prompt, so it must run even without colours.
        let config = Config::builder()
            .color_mode(ColorMode::Forced)
            .completion_type(CompletionType::Circular)
            .auto_add_history(false)
            .build();
        let mut editor = Editor::with_history(config, FileHistory::new()).ok()?;
        editor.set_helper(Some(Hooks::new(renderer.clone(), names)));
        let clear = ClearScreen(renderer.clone());
        editor.bind_sequence(KeyEvent::ctrl('L'), EventHandler::Conditional(Box::new(clear)));
        let suspend = Suspend { renderer: renderer.clone(), original: original.clone() };
        editor.bind_sequence(KeyEvent::ctrl('Z'), EventHandler::Conditional(Box::new(suspend)));
        if let Some(history) = &history {
            // The file does not exist before the first line.
            let _ = editor.load_history(history);
        }
        let mut printer = editor.create_external_printer().ok()?;
        let (repaint, repaints) = crossbeam_channel::bounded(1);
        // The printer may have to wait for the editor, and the program must not: so it has a thread of its own.
        let repainting = move || {
            for () in repaints {
                // The editor erases its prompt, prints this, and paints the prompt. Up and down again prints nothing.
                if printer.print("\x1b[A\n".to_owned()).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("screen".to_owned()).spawn(repainting).ok()?;
        let screen = Screen::Interactive { renderer: renderer.clone(), repaint };
        Some((LineEditor { editor, renderer, history }, screen))
    }

    pub fn read_line(&mut self, prompt: &Prompt) -> Input {
        let is_command = prompt.kind == PromptKind::Command;
        if let Some(hooks) = self.editor.helper_mut() {
            (hooks.kind, hooks.prompt_columns) = (prompt.kind, columns::width(&prompt.text));
        }
        self.renderer.lock().begin_edit();
        let read = match is_command {
            true => self.editor.readline(&format!("\n{}", prompt.text)),
            false => self.editor.readline(&prompt.text),
        };
        {
            let mut renderer = self.renderer.lock();
            write_out(&renderer.end_edit(!is_command));
        }
        match read {
            Ok(line) => {
                if is_command && self.editor.add_history_entry(&line).unwrap_or(false) {
                    self.save_history();
                }
                Input::Line(line)
            }
            Err(ReadlineError::Eof) => Input::End,
            Err(ReadlineError::Interrupted) => Input::Interrupted,
            Err(ReadlineError::Io(error)) => Input::Failed(error),
            Err(error) => Input::Failed(io::Error::other(error)),
        }
    }

    fn save_history(&mut self) {
        if let Some(history) = self.history.as_deref().map(Path::to_owned) {
            // A history that cannot be written lasts only for this run.
            let _ = self.editor.append_history(&history);
        }
    }
}

/// The callbacks of rustyline.
struct Hooks {
    renderer: Arc<Mutex<Renderer>>,
    names: Arc<Mutex<Names>>,
    kind: PromptKind,
    /// Columns of the prompt's last line.
    prompt_columns: usize,
    /// The candidates of the last completion.
    offered: Mutex<Vec<String>>,
    files: FilenameCompleter,
}

impl Hooks {
    fn new(renderer: Arc<Mutex<Renderer>>, names: Arc<Mutex<Names>>) -> Hooks {
        let (offered, files) = (Mutex::default(), FilenameCompleter::new());
        Hooks { renderer, names, kind: PromptKind::Answer, prompt_columns: 0, offered, files }
    }
}

impl Highlighter for Hooks {
    /// Called at every repaint: the lines that wait are drawn above the prompt.
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, default: bool) -> Cow<'b, str> {
        // The prompt of a command begins with an empty row for the status.
        let with_status = default && self.kind == PromptKind::Command;
        let before = self.renderer.lock().before_prompt(with_status);
        let prompt = if with_status { prompt.trim_start_matches('\n') } else { prompt };
        Cow::Owned(format!("{before}{prompt}"))
    }

    fn highlight<'l>(&self, line: &'l str, _pos: usize) -> Cow<'l, str> {
        match self.kind {
            PromptKind::Secret => return Cow::Owned(" ".repeat(line.width())),
            PromptKind::Answer => {}
            PromptKind::Command => {
                let mut renderer = self.renderer.lock();
                renderer.edited(line, self.prompt_columns);
                if !self.offered.lock().iter().any(|offer| line.ends_with(offer.as_str())) {
                    renderer.set_hint(None);
                }
            }
        }
        Cow::Borrowed(line)
    }

    // Otherwise the editor writes a character typed at the end without a repaint.
    fn highlight_char(&self, _line: &str, _pos: usize, _kind: CmdKind) -> bool {
        self.kind == PromptKind::Secret || !self.offered.lock().is_empty()
    }
}

impl Completer for Hooks {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        if self.kind != PromptKind::Command {
            return Ok((pos, Vec::new()));
        }
        let typed = &line[..pos];
        let (start, found) = match complete::path_start(typed) {
            Some(at) => {
                let (from, found) = self.files.complete(&line[at..], pos - at, context)?;
                (at + from, found)
            }
            None => {
                let Completion { start, candidates } = complete::complete(typed, &self.names.lock());
                let pair = |text: String| Pair { display: text.trim().to_owned(), replacement: text };
                (start, candidates.into_iter().map(pair).collect())
            }
        };
        let hint = match found.len() {
            0 | 1 => None,
            _ => Some(found.iter().map(|pair| &*pair.display).collect::<Vec<_>>().join("  ")),
        };
        *self.offered.lock() = found.iter().map(|pair| pair.replacement.clone()).collect();
        self.renderer.lock().set_hint(hint);
        Ok((start, found))
    }
}

impl Hinter for Hooks {
    type Hint = String;
}

impl Validator for Hooks {}
impl Helper for Hooks {}

/// Ctrl-L: the editor clears the screen.
struct ClearScreen(Arc<Mutex<Renderer>>);

impl ConditionalEventHandler for ClearScreen {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        self.0.lock().forget();
        None
    }
}

/// Ctrl-Z. The editor's own handling sets the terminal's modes again before a process with several threads has stopped,
/// so the shell's modes would win.
struct Suspend {
    renderer: Arc<Mutex<Renderer>>,
    /// The terminal's modes before the program started.
    original: Termios,
}

impl ConditionalEventHandler for Suspend {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        self.renderer.lock().forget();
        if let Ok(own) = tcgetattr(stdin()) {
            write_out("\x1b[?2004l\r\n");
            // If any of this fails, the terminal is gone, which the next read reports.
            let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.original);
            let _ = signals::stop_until_continued();
            let _ = tcsetattr(stdin(), OptionalActions::Drain, &own);
            write_out("\x1b[?2004h");
        }
        Some(Cmd::Repaint)
    }
}
