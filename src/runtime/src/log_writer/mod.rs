//! The log writer: one line a record, written to stderr by a thread of its own.
//!
//! ```text
//!   log::warn!(..) --> call-site limit --> format --> bounded queue --> thread "log" --> stderr
//!                       10 lines/s                     1 MiB, more for errors
//! ```
//!
//! Whoever reads stderr may be slow or may have stopped reading. No thread waits for it: a line that finds the queue
//! full is dropped and counted, and the count is logged as soon as lines are written again. Lines of level error have
//! room that no other line can take, and lines about the end of the process have room beyond that.
//!
//! Clients must not be able to fill the log either, so each call site writes at most 10 lines a second and then one
//! line with the number of lines that were suppressed.

mod call_sites;
mod format;
mod queue;

use crate::queue::Bell;
use crate::watchdog::Role;
use crate::worker::{Control, Worker};
use call_sites::{CallSites, Suppressed};
use format::Format;
use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;
use queue::{Importance, LogQueue};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, ErrorKind, Write};
use std::panic::{self, PanicHookInfo};
use std::process;
use std::sync::{Arc, OnceLock};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// How long the end of the process may wait for stderr to take the lines that are queued.
pub const FLUSH_TIME: Duration = Duration::from_secs(1);

/// The name of the writing thread.
const THREAD: &str = "log";
/// Pause before a non-blocking stderr that took nothing is tried again.
const RETRY: Duration = Duration::from_millis(10);

/// One per process, because there is one stderr.
static WRITER: OnceLock<LogWriter> = OnceLock::new();

struct LogWriter {
    format: Format,
    call_sites: Mutex<CallSites>,
    queue: LogQueue,
    /// Wakes the writing thread.
    bell: Arc<Bell>,
    /// The writing thread, once it runs.
    thread: OnceLock<ThreadId>,
}

/// Installs the process's logger and starts its thread. [`log::set_max_level`] changes the level later.
///
/// # Errors
/// If the system cannot start another thread.
///
/// # Panics
/// If a logger is already installed.
pub fn start(level: LevelFilter) -> io::Result<()> {
    let writer = WRITER.get_or_init(|| LogWriter {
        format: Format::of_stderr(),
        call_sites: Mutex::default(),
        queue: LogQueue::default(),
        bell: Arc::new(Bell::new()),
        thread: OnceLock::new(),
    });
    // It runs until the process ends, because the last lines are about the end of the other threads.
    Worker::spawn(Role::Log, THREAD, Arc::clone(&writer.bell), |control| writer.run(control))?;
    log::set_logger(writer).expect("the logger is installed once");
    log::set_max_level(level);
    Ok(())
}

/// Waits until everything that was logged before is written, for at most `within`. Returns whether it is.
pub fn flush(within: Duration) -> bool {
    WRITER.get().is_none_or(|writer| writer.flush(within))
}

/// Writes a line that is no log record, such as the sentence with which the process ends.
pub fn print(line: &str) {
    match WRITER.get() {
        Some(writer) => writer.push(format!("{line}\n"), Importance::Fatal),
        // A closed stderr is not an error.
        None => drop(writeln!(io::stderr(), "{line}")),
    }
}

/// Makes a panic in any thread abort the process, so that it is restarted: a server without one of its threads would
/// appear alive but not work. The panic is logged before, as far as stderr takes it within [`FLUSH_TIME`].
pub fn abort_on_panic() {
    panic::set_hook(Box::new(|panic| {
        match WRITER.get() {
            // The writing thread cannot wait for itself.
            Some(writer) if writer.thread.get() == Some(&thread::current().id()) => {}
            Some(writer) => writer.report_panic(panic),
            None => drop(writeln!(io::stderr(), "{panic}")),
        }
        process::abort();
    }));
}

impl LogWriter {
    fn push(&self, line: String, importance: Importance) {
        self.queue.push(line, importance);
        self.bell.ring();
    }

    fn report_panic(&self, panic: &PanicHookInfo<'_>) {
        self.push(self.format.line(Level::Error, &format_args!("{panic}")), Importance::Fatal);
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            for line in backtrace.to_string().lines() {
                self.push(self.format.line(Level::Error, &line), Importance::Fatal);
            }
        }
        self.flush(FLUSH_TIME);
    }

    fn flush(&self, within: Duration) -> bool {
        let suppressed = self.call_sites.lock().take_all();
        self.report_suppressed(suppressed);
        self.bell.ring();
        self.queue.wait_until_written(within)
    }

    fn report_suppressed(&self, suppressed: impl IntoIterator<Item = Suppressed>) {
        for suppressed in suppressed {
            let line = self.format.line_of(THREAD, suppressed.level, &suppressed);
            self.queue.push(line, Importance::of(suppressed.level));
        }
    }

    /// The loop of the writing thread.
    fn run(&self, mut control: Control) {
        // The only call of `set`.
        let _ = self.thread.set(thread::current().id());
        loop {
            control.beat();
            let (expired, due) = self.call_sites.lock().take_expired(Instant::now());
            self.report_suppressed(expired);
            let batch = self.queue.take();
            if batch.text.is_empty() {
                let timeout = due.map(|due| due.saturating_duration_since(Instant::now()));
                control
                    .wait(timeout, || !self.queue.is_empty() || self.call_sites.lock().next_report() != due);
                continue;
            }
            write(&batch.text);
            self.queue.wrote(&batch);
            if let Some(dropped) = batch.dropped {
                let warning = format_args!("dropped {dropped} log lines because stderr was not read");
                write(self.format.line_of(THREAD, Level::Warn, &warning).as_bytes());
            }
        }
    }
}

impl Log for LogWriter {
    /// Always: `log::max_level`, which the macros check, decides alone, because a reload can change it.
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let admission = self.call_sites.lock().admit(record, Instant::now());
        self.report_suppressed(admission.suppressed);
        if admission.is_admitted {
            let line = self.format.line(record.level(), record.args());
            self.queue.push(line, Importance::of(record.level()));
        }
        // Also for a suppressed line, which the thread must report later.
        self.bell.ring();
    }

    fn flush(&self) {
        self.flush(FLUSH_TIME);
    }
}

/// Writes everything to stderr, unless it is closed or broken, which cannot be reported anywhere.
fn write(mut text: &[u8]) {
    let mut stderr = io::stderr().lock();
    while !text.is_empty() {
        match stderr.write(text) {
            Ok(0) => return,
            Ok(written) => text = &text[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY),
            Err(_) => return,
        }
    }
}
