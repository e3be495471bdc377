//! A terminal that cannot move its cursor, and the echo of any.
//!
//! The kernel shows what is typed the moment it is typed, also a password whose prompt has not come yet. So its echo is
//! off while the program runs, and what is typed is shown here when it is read: then it is known what it is.

use super::input::{Answer, Ask, Kind};
use super::screen::Plain;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, ErrorKind, IsTerminal, Read, Write};

/// A terminal that shows nothing by itself until this is dropped, and to which Ctrl-C is a key like others.
#[derive(Debug)]
pub struct NoEcho(Termios);

impl NoEcho {
    /// `None` where stdin is no terminal: there is no echo to begin with.
    pub fn begin() -> Option<NoEcho> {
        let before = tcgetattr(rustix::stdio::stdin()).ok()?;
        set(&before, LocalModes::ECHO | LocalModes::ISIG);
        Some(NoEcho(before))
    }

    /// The terminal's modes as they were.
    pub fn found(&self) -> &Termios {
        &self.0
    }

    /// Also gives every key at once, not line by line.
    pub fn by_the_key(&self) {
        set(&self.0, LocalModes::ECHO | LocalModes::ISIG | LocalModes::ICANON);
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        set(&self.0, LocalModes::empty());
    }
}

/// Nothing can be done about a terminal that has gone.
fn set(before: &Termios, without: LocalModes) {
    let mut modes = before.clone();
    modes.local_modes.remove(without);
    let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &modes);
}

/// Reads a line by the key: shows it unless it is secret, and lets it be corrected at its end.
pub fn read_line(ask: &Ask, screen: &Plain) -> Answer {
    screen.type_on(&ask.prompt);
    let secret = ask.kind == Kind::Secret;
    let mut line = Vec::new();
    let answer = loop {
        let mut key = [0];
        match io::stdin().lock().read(&mut key) {
            Ok(0) => break Answer::End,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => break Answer::Failed(error),
        }
        match key[0] {
            b'\r' | b'\n' => break Answer::Line(String::from_utf8_lossy(&line).into_owned()),
            0x03 => break Answer::Interrupted,
            0x04 if line.is_empty() => break Answer::End,
            // Backspace and DEL take a character, Ctrl-U the line. Paper has no backspace: the line is shown anew.
            erase @ (0x08 | 0x7F | 0x15) => {
                let kept = if erase == 0x15 { 0 } else { last_character(&line) };
                line.truncate(kept);
                if !secret {
                    screen.retype(&format!("{}{}", ask.prompt, String::from_utf8_lossy(&line)));
                }
            }
            0..=0x1F => {}
            byte => {
                line.push(byte);
                // A character is shown when it is whole.
                if !secret && let Ok(text) = str::from_utf8(&line[last_character(&line)..]) {
                    screen.type_on(text);
                }
            }
        }
    };
    screen.end_line();
    answer
}

/// Where the last character begins.
fn last_character(line: &[u8]) -> usize {
    line.iter().rposition(|byte| byte & 0xC0 != 0x80).unwrap_or(0)
}

/// Shows something at once, on whatever of the terminal can be seen.
pub fn show(text: &str) {
    let write = |out: &mut dyn Write| out.write_all(text.as_bytes()).and_then(|()| out.flush());
    let stdout = io::stdout();
    let _ = if stdout.is_terminal() { write(&mut stdout.lock()) } else { write(&mut io::stderr().lock()) };
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_character_is_taken_whole() {
        assert_eq!(super::last_character("a你".as_bytes()), 1);
        assert_eq!(super::last_character("ab".as_bytes()), 1);
        assert_eq!(super::last_character(b""), 0);
    }
}
