//! The terminal's echo, and reading lines from a terminal that cannot move the cursor.
//!
//! The kernel echoes keys when they are typed, even a password typed before its prompt appears. So its echo is off
//! while the program runs, and input is echoed here when it is read, because only then is its kind known.

use super::plain::Plain;
use super::prompt::{Input, Prompt, PromptKind};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, ErrorKind, Read};

/// Keeps the terminal's echo off until it is dropped, and makes Ctrl-C an ordinary key.
#[derive(Debug)]
pub struct NoEcho(Termios);

impl NoEcho {
    /// `None` if stdin is not a terminal.
    pub fn begin() -> Option<NoEcho> {
        let before = tcgetattr(rustix::stdio::stdin()).ok()?;
        set(&before, LocalModes::ECHO | LocalModes::ISIG);
        Some(NoEcho(before))
    }

    /// The terminal's modes before the program started.
    pub fn original(&self) -> &Termios {
        &self.0
    }

    /// Also turns line buffering off.
    pub fn read_keys(&self) {
        set(&self.0, LocalModes::ECHO | LocalModes::ISIG | LocalModes::ICANON);
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        set(&self.0, LocalModes::empty());
    }
}

/// Sets the original modes without some of them. A terminal that is gone is ignored.
fn set(before: &Termios, without: LocalModes) {
    let mut modes = before.clone();
    modes.local_modes.remove(without);
    let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &modes);
}

/// Reads a line key by key, echoes it unless it is secret, and handles corrections at its end.
pub fn read_line(prompt: &Prompt, screen: &Plain) -> Input {
    screen.echo(&prompt.text);
    let secret = prompt.kind == PromptKind::Secret;
    let mut line = Vec::new();
    let answer = loop {
        let mut key = [0];
        match io::stdin().lock().read(&mut key) {
            Ok(0) => break Input::End,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => break Input::Failed(error),
        }
        match key[0] {
            b'\r' | b'\n' => break Input::Line(String::from_utf8_lossy(&line).into_owned()),
            0x03 => break Input::Interrupted,
            0x04 if line.is_empty() => break Input::End,
            // Backspace and DEL delete a character, Ctrl-U the line. The cursor cannot move, so the line is shown
            // again.
            erase @ (0x08 | 0x7F | 0x15) => {
                let kept = if erase == 0x15 { 0 } else { last_character(&line) };
                line.truncate(kept);
                if !secret {
                    screen.replace_line(&format!("{}{}", prompt.text, String::from_utf8_lossy(&line)));
                }
            }
            0..=0x1F => {}
            byte => {
                line.push(byte);
                // A character is echoed when it is complete.
                if !secret && let Ok(text) = str::from_utf8(&line[last_character(&line)..]) {
                    screen.echo(text);
                }
            }
        }
    };
    screen.end_line();
    answer
}

/// The byte at which the last character begins.
fn last_character(line: &[u8]) -> usize {
    line.iter().rposition(|byte| byte & 0xC0 != 0x80).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_character_is_found_by_its_first_byte() {
        assert_eq!(super::last_character("a你".as_bytes()), 1);
        assert_eq!(super::last_character("ab".as_bytes()), 1);
        assert_eq!(super::last_character(b""), 0);
    }
}
