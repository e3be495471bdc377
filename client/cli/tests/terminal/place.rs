//! A server, the folder of its client, and the client in a pseudo-terminal.

use crate::pty::{Pty, Size};
use crate::support::listening::Listening;
use crate::support::{ME, PASSWORD};
use tempfile::TempDir;
use wire::{Push, UserId};

pub const USUAL: Size = Size { rows: 24, columns: 80 };

/// A server and the folder of its client.
pub struct Place {
    pub listening: Listening,
    pub home: TempDir,
}

impl Place {
    /// With messages of the users 2 and 3.
    pub fn new() -> Place {
        let place = Place { listening: Listening::start(), home: tempfile::tempdir().unwrap() };
        place.write(2, "hello from two");
        place.write(3, "hello from three");
        place
    }

    /// A user writes while no client is online.
    pub fn write(&self, from: u32, text: &str) {
        self.listening.server.lock().unwrap().store(from, UserId(from), text, None);
    }

    pub fn texts(&self, to: u32) -> Vec<String> {
        self.listening.server.lock().unwrap().texts(to, ME)
    }

    pub fn open(&self, size: Size, environment: &[(&str, &str)]) -> Pty {
        Pty::start(size, self.listening.port, self.home.path(), environment, &[])
    }

    /// A client that opens the account which an earlier one left here.
    pub fn open_kept(&self, size: Size, environment: &[(&str, &str)]) -> Pty {
        let mut terminal = self.open(size, environment);
        terminal.expect_last("choice:");
        terminal.type_line("4");
        terminal
    }

    /// A client that has logged in at the menu and shows everything that waited.
    pub fn online(&self, size: Size, environment: &[(&str, &str)]) -> Pty {
        let mut terminal = self.open(size, environment);
        log_in(&mut terminal);
        terminal
    }
}

/// Answers the questions of the menu.
pub fn type_login(terminal: &mut Pty) {
    terminal.expect_last("choice:");
    terminal.type_line("1");
    terminal.expect_last("id or name:");
    terminal.type_line("1");
    terminal.expect_last("password:");
    terminal.type_line(PASSWORD);
}

pub fn log_in(terminal: &mut Pty) {
    type_login(terminal);
    terminal.expect("hello from two");
    terminal.expect("hello from three");
    terminal.wait_for("the prompt", |rows| rows.iter().any(|row| row.trim_end().ends_with(">")));
}

pub fn log_in_again(terminal: &mut Pty) {
    terminal.type_line("1");
    terminal.expect_last("id or name:");
    terminal.type_line("1");
    terminal.expect_last("password:");
    terminal.type_line(PASSWORD);
}

pub fn leave(terminal: &mut Pty) {
    terminal.type_line("quit");
    assert_eq!(terminal.wait(), 0);
}

pub fn row_of(rows: &[String], text: &str) -> Option<usize> {
    rows.iter().position(|row| row.contains(text))
}

/// A message that arrives while the client is online.
pub fn arrive(place: &Place, conversation: u32, from: u32, text: &str) {
    let message = {
        let mut server = place.listening.server.lock().unwrap();
        let sent = server.store(conversation, UserId(from), text, None);
        server.message(conversation, sent.seq)
    };
    place.listening.push(&Push::Message(wire::message::Push::New(message)));
}
