//! Writing to the terminal at once.

use std::io::{self, IsTerminal, Write};

/// Writes to stdout. Errors of a closed terminal are ignored here; the reading side detects them.
pub fn write_out(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes an echo to stdout, or to stderr if stdout is not a terminal.
pub fn echo(text: &str) {
    let write = |out: &mut dyn Write| out.write_all(text.as_bytes()).and_then(|()| out.flush());
    let stdout = io::stdout();
    let _ = if stdout.is_terminal() { write(&mut stdout.lock()) } else { write(&mut io::stderr().lock()) };
}
