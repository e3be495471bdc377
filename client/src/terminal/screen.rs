//! Where lines are shown. Every line that the program prints goes through here.

use crossbeam_channel::Sender;
use rustyline::ExternalPrinter;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// The terminal, or whatever stdout is.
#[derive(Clone, Debug)]
pub enum Screen {
    /// Above the line that is being typed. A thread of its own prints, because a printer may have to wait for the
    /// editor, and the program must not.
    Above(Sender<Print>),
    /// One line after another; the flag says that nobody reads them any more.
    Plain(Arc<AtomicBool>),
}

/// What the printing thread is told.
#[derive(Debug)]
pub enum Print {
    /// To print this, which ends with a line end.
    Lines(String),
    /// To say that all before is printed.
    Done(Sender<()>),
}

impl Screen {
    /// Prints above an editor's line.
    pub fn above(mut printer: impl ExternalPrinter + Send + 'static) -> io::Result<Screen> {
        let (lines, waiting) = crossbeam_channel::unbounded();
        thread::Builder::new().name("screen".to_owned()).spawn(move || {
            for print in waiting {
                match print {
                    // When the editor is gone its printer refuses; what is left goes straight out.
                    Print::Lines(lines) => {
                        if printer.print(lines.clone()).is_err() {
                            let _ = io::stdout().write_all(lines.as_bytes());
                        }
                    }
                    Print::Done(done) => drop(done),
                }
            }
        })?;
        Ok(Screen::Above(lines))
    }

    /// Prints one line after another.
    pub fn plain() -> Screen {
        Screen::Plain(Arc::default())
    }

    /// Whether lines appear above what is being typed.
    pub fn is_interactive(&self) -> bool {
        matches!(self, Screen::Above(_))
    }

    /// Prints one or more lines. What others wrote must have been sanitised.
    pub fn print(&self, lines: &str) {
        match self {
            Screen::Above(printer) => {
                let _ = printer.send(Print::Lines(format!("{lines}\n")));
            }
            Screen::Plain(gone) => {
                let mut stdout = io::stdout().lock();
                if writeln!(stdout, "{lines}").and_then(|()| stdout.flush()).is_err() {
                    gone.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// Whether nobody can see what is printed: stdout is closed.
    pub fn is_gone(&self) -> bool {
        matches!(self, Screen::Plain(gone) if gone.load(Ordering::Relaxed))
    }

    /// Waits until all is printed, at most `within`.
    pub fn finish(&self, within: Duration) {
        if let Screen::Above(printer) = self {
            let (done, finished) = crossbeam_channel::bounded(0);
            let _ = printer.send(Print::Done(done));
            let _ = finished.recv_timeout(within);
        }
    }
}
