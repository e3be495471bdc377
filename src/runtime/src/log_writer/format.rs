//! How a line looks. On a terminal or in a file it starts with its time and level. The journal knows the time of each
//! line itself and takes the level from a `<N>` prefix (sd-daemon(3)).

use jiff::Timestamp;
use log::Level;
use rustix::fs::fstat;
use std::env;
use std::fmt::{Display, Write};
use std::io;
use std::thread;

/// The longest line, bytes. The rest of a longer one is cut.
const LINE_BYTES: usize = 8 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Plain,
    Journal,
}

impl Format {
    /// The format for what stderr is connected to: `JOURNAL_STREAM` names the device and inode of the journal's own
    /// stream (systemd.exec(5)).
    pub fn of_stderr() -> Format {
        let Ok(stream) = env::var("JOURNAL_STREAM") else { return Format::Plain };
        let is_journal =
            fstat(io::stderr()).is_ok_and(|stderr| stream == format!("{}:{}", stderr.st_dev, stderr.st_ino));
        if is_journal { Format::Journal } else { Format::Plain }
    }

    /// A line of the calling thread, with its end of line.
    pub fn line(self, level: Level, text: &impl Display) -> String {
        self.line_of(thread::current().name().unwrap_or("?"), level, text)
    }

    /// A line of the thread `thread`, with its end of line.
    pub fn line_of(self, thread: &str, level: Level, text: &impl Display) -> String {
        let mut line = match self {
            Format::Journal => format!("<{}>{thread}: ", priority(level)),
            Format::Plain => format!("{:.0} {level:5} {thread}: ", Timestamp::now()),
        };
        // Only a broken `Display` fails, and what it wrote before is worth reading.
        let _ = write!(OneLine(&mut line), "{text}");
        line.push('\n');
        line
    }
}

/// Escapes control characters, so that no part of a text, wherever it came from, looks like a line of its own or
/// controls a terminal.
struct OneLine<'a>(&'a mut String);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = LINE_BYTES.saturating_sub(self.0.len());
        if text.len() <= room && !text.bytes().any(|byte| byte.is_ascii_control() || byte == 0xC2) {
            self.0.push_str(text);
            return Ok(());
        }
        for c in text.chars() {
            if self.0.len() >= LINE_BYTES {
                self.0.push('…');
                return Err(std::fmt::Error);
            }
            match c {
                '\t' => self.0.push(' '),
                c if c.is_control() => self.0.extend(c.escape_default()),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_whatever_its_text() {
        let text = "a\nb\r\u{1b}[31m\u{9b}31m\u{7f}宽";
        let line = Format::Journal.line_of("logic", Level::Warn, &text);
        assert_eq!(line, "<4>logic: a\\nb\\r\\u{1b}[31m\\u{9b}31m\\u{7f}宽\n");
    }

    #[test]
    fn a_plain_line_starts_with_its_time_and_level() {
        let line = Format::Plain.line_of("logic", Level::Info, &"hello");
        let (time, rest) = line.split_once(' ').unwrap();
        assert_eq!((time.len(), rest), ("2026-11-30T05:53:12Z".len(), "INFO  logic: hello\n"), "{line}");
    }

    #[test]
    fn a_long_text_is_cut() {
        for text in ["x".repeat(100_000), "宽".repeat(50_000), "\n".repeat(50_000)] {
            let line = Format::Journal.line_of("logic", Level::Warn, &text);
            assert!(line.len() < LINE_BYTES + 16 && line.ends_with("…\n"), "{}", line.len());
        }
    }
}
