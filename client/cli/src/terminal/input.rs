//! [`InputThread`]: reads lines from a line editor on a terminal, plain lines from anything else.
//!
//! A thread waits for the keyboard, so that the program never does. It reads a line only when asked, which also paces
//! piped input: the next line is read when the program is ready for it.

use super::echo::{self, NoEcho};
use super::editor::LineEditor;
use super::plain::Plain;
use super::prompt::{Input, Prompt, PromptKind};
use super::screen::Screen;
use crate::command::complete::Names;
use crate::display::style::Style;
use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

#[derive(Debug)]
pub struct InputThread {
    prompts: Sender<Prompt>,
    pub lines: Receiver<Input>,
    /// Held while the program runs: input typed ahead is echoed when it is read, or never if it is a password.
    _no_echo: Option<NoEcho>,
}

impl InputThread {
    /// Starts reading from stdin. The screen has a line editor if stdin and stdout are a terminal that supports it.
    /// `history` is the file of typed lines.
    pub fn start(
        style: Style,
        names: Arc<Mutex<Names>>,
        history: Option<PathBuf>,
    ) -> io::Result<(InputThread, Screen)> {
        let no_echo = NoEcho::begin();
        let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        let original = no_echo.as_ref().filter(|_| is_terminal).map(NoEcho::original);
        if let Some((mut editor, screen)) =
            original.and_then(|original| LineEditor::open(style, names, history, original))
        {
            return Ok((spawn(move |prompt| editor.read_line(prompt), no_echo)?, screen));
        }
        let plain = Arc::new(Plain::default());
        let screen = Screen::Plain(plain.clone());
        let input = match &no_echo {
            Some(terminal) => {
                terminal.read_keys();
                spawn(move |prompt| echo::read_line(prompt, &plain), no_echo)?
            }
            None => spawn(move |prompt| read_piped(prompt, &plain), no_echo)?,
        };
        Ok((input, screen))
    }

    /// Asks for one line. The previous one must have arrived.
    pub fn ask(&self, prompt: Prompt) {
        // The thread ends only with the program, or after it has reported an error.
        let _ = self.prompts.send(prompt);
    }
}

fn spawn(
    mut read: impl FnMut(&Prompt) -> Input + Send + 'static,
    no_echo: Option<NoEcho>,
) -> io::Result<InputThread> {
    let (prompts, asked) = crossbeam_channel::unbounded();
    let (read_lines, lines) = crossbeam_channel::unbounded();
    thread::Builder::new().name("input".to_owned()).spawn(move || {
        for prompt in asked {
            if read_lines.send(read(&prompt)).is_err() {
                return;
            }
        }
    })?;
    Ok(InputThread { prompts, lines, _no_echo: no_echo })
}

fn read_piped(prompt: &Prompt, screen: &Plain) -> Input {
    if prompt.kind != PromptKind::Command {
        screen.print(prompt.text.trim_end());
    }
    let mut line = Vec::new();
    match io::stdin().lock().read_until(b'\n', &mut line) {
        Ok(0) => Input::End,
        Ok(_) => {
            let line = String::from_utf8_lossy(&line);
            Input::Line(line.trim_end_matches(['\n', '\r']).to_owned())
        }
        Err(error) => Input::Failed(error),
    }
}
