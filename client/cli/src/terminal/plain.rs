//! [`Plain`]: output line by line, for terminals that cannot move the cursor and for pipes.

use super::output;
use super::view::View;
use chatclient_core::sanitize;
use std::cell::{Cell, RefCell};
use std::io::{self, Write};

#[derive(Debug, Default)]
pub struct Plain {
    /// Stdout is closed.
    gone: Cell<bool>,
    /// The line being typed, with its prompt, as it stands on the screen.
    typed: RefCell<String>,
}

impl Plain {
    /// Prints above the line being typed, which is shown again below.
    pub fn print(&self, lines: &str) {
        let typed = self.typed.borrow();
        let (before, after) = if typed.is_empty() { ("", "") } else { ("\n", &**typed) };
        let mut stdout = io::stdout().lock();
        if write!(stdout, "{before}{lines}\n{after}").and_then(|()| stdout.flush()).is_err() {
            self.gone.set(true);
        }
    }

    /// Whether stdout is closed.
    pub fn is_gone(&self) -> bool {
        self.gone.get()
    }

    /// Echoes what was typed. The cursor cannot move, so after a correction the line is shown again.
    pub fn show(&self, view: &View) {
        let line = format!("{}{}", view.prompt, sanitize::line(&view.text));
        let mut typed = self.typed.borrow_mut();
        match line.strip_prefix(typed.as_str()) {
            Some("") => return,
            Some(more) => output::echo(more),
            None => output::echo(&format!("\n{line}")),
        }
        *typed = line;
    }

    /// The line was entered, or given up.
    pub fn end_line(&self) {
        if !self.typed.take().is_empty() {
            output::echo("\n");
        }
    }
}
