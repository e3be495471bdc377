//! The log writer: one line a record, to stderr.
//!
//! On a terminal or in a file a line starts with its time and level. The journal knows the time of each line itself
//! and takes the level from a `<N>` prefix (sd-daemon(3)).

use log::{Level, LevelFilter};
use rustix::fs::fstat;
use std::env;
use std::io::{self, Write};
use std::thread;

/// Installs the process's logger. [`log::set_max_level`] changes the level later.
///
/// # Panics
/// If a logger is already installed.
pub fn start(level: LevelFilter) {
    let is_journal = stderr_is_journal();
    env_logger::Builder::new()
        // `log::max_level` alone decides what is written, because a reload can change it.
        .filter_level(LevelFilter::Trace)
        .format(move |buffer, record| {
            let thread = thread::current();
            let (level, name, text) = (record.level(), thread.name().unwrap_or("?"), record.args());
            match is_journal {
                true => writeln!(buffer, "<{}>{name}: {text}", priority(level)),
                false => writeln!(buffer, "{} {level:5} {name}: {text}", buffer.timestamp()),
            }
        })
        .init();
    log::set_max_level(level);
}

/// Whether stderr is the journal's own stream: `JOURNAL_STREAM` names its device and inode (systemd.exec(5)).
fn stderr_is_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else { return false };
    fstat(io::stderr()).is_ok_and(|stderr| stream == format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

/// The priority of syslog(3) for a level.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}
