//! [`Plain`]: output line by line, for terminals that cannot move the cursor and for pipes.

use super::output;
use parking_lot::Mutex;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Default)]
pub struct Plain {
    /// Stdout is closed.
    gone: AtomicBool,
    /// The line being typed, with its prompt.
    typed: Mutex<String>,
}

impl Plain {
    /// Prints above the line being typed, which is shown again below.
    pub fn print(&self, lines: &str) {
        let typed = self.typed.lock();
        let (before, after) = if typed.is_empty() { ("", "") } else { ("\n", &**typed) };
        let mut stdout = io::stdout().lock();
        if write!(stdout, "{before}{lines}\n{after}").and_then(|()| stdout.flush()).is_err() {
            self.gone.store(true, Ordering::Relaxed);
        }
    }

    /// Whether stdout is closed.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Echoes more of the line being typed.
    pub fn echo(&self, more: &str) {
        self.typed.lock().push_str(more);
        output::echo(more);
    }

    /// Shows the line being typed again after a correction.
    pub fn replace_line(&self, line: &str) {
        *self.typed.lock() = line.to_owned();
        output::echo(&format!("\n{line}"));
    }

    /// The line was entered.
    pub fn end_line(&self) {
        self.typed.lock().clear();
        output::echo("\n");
    }
}
