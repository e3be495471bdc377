//! The terminal client under a pty: typed to and read like a person would.

use super::transcript::Transcript;
use super::{PATIENCE, programs};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::Write;
use std::net::SocketAddr;

/// A terminal with the client in it. Dropping it kills the client.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    screen: Transcript,
    /// Up to where the screen was read.
    read: usize,
    over: bool,
    _pty: Box<dyn MasterPty + Send>,
}

impl Terminal {
    /// Starts the client in a terminal as everybody has one.
    pub fn open(server: SocketAddr) -> Terminal {
        Terminal::open_as("xterm", server)
    }

    /// Starts the client in a terminal of this kind (`TERM`).
    pub fn open_as(kind: &str, server: SocketAddr) -> Terminal {
        let size = PtySize { rows: 40, cols: 160, ..PtySize::default() };
        let pty = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(programs::chatclient());
        command.args([server.ip().to_string(), server.port().to_string()]);
        command.env("TERM", kind);
        let child = pty.slave.spawn_command(command).unwrap();
        let (keyboard, reader) = (pty.master.take_writer().unwrap(), pty.master.try_clone_reader().unwrap());
        let screen = Transcript::of(reader);
        Terminal { child, keyboard, screen, read: 0, over: false, _pty: pty.master }
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\r").as_bytes()).unwrap();
    }

    /// Waits until a text appears after what was read so far.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        match self.screen.find(self.read, text, PATIENCE) {
            Some(end) => self.read = end,
            None => {
                let all = self.screen.text();
                let rest = String::from_utf8_lossy(&self.screen.bytes()[self.read..]).into_owned();
                panic!("{text:?} does not appear; after what was read came {rest:?}, in all {all:?}");
            }
        }
    }

    /// Every byte that was ever written to the screen.
    pub fn bytes(&self) -> Vec<u8> {
        self.screen.bytes()
    }

    /// Every text that was ever written to the screen, with its control sequences.
    pub fn text(&self) -> String {
        self.screen.text()
    }

    /// Waits for the end of the client; its exit code.
    #[track_caller]
    pub fn wait(&mut self) -> u32 {
        assert!(self.screen.wait_for_end(PATIENCE), "the client runs on: {:?}", self.screen.text());
        self.over = true;
        self.child.wait().unwrap().exit_code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !self.over {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
