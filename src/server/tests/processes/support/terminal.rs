//! The terminal client under a pty, driven and read as a user would.

use super::transcript::Transcript;
use super::{PATIENCE, process, programs};
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::Signal;
use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;

const ROWS: u16 = 40;
const COLUMNS: u16 = 160;
/// The environment of a common terminal without colours.
const PLAIN: [(&str, &str); 2] = [("TERM", "xterm"), ("NO_COLOR", "1")];

/// A terminal with the client in it. Dropping it kills the client.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    screen: Transcript,
    /// How many bytes of the screen were read.
    read: usize,
    over: bool,
    /// The client's arguments.
    arguments: Vec<String>,
    /// Where the client keeps its store.
    home: Arc<TempDir>,
    pty: Box<dyn MasterPty + Send>,
    /// The terminal's modes before the client was started.
    found: String,
}

impl Terminal {
    /// Starts the client in a common terminal without colours.
    pub fn open(server: SocketAddr) -> Terminal {
        Terminal::open_as(&PLAIN, server)
    }

    /// Starts the client with these environment variables.
    pub fn open_as(environment: &[(&str, &str)], server: SocketAddr) -> Terminal {
        let arguments = vec![server.ip().to_string(), server.port().to_string()];
        Terminal::open_at(environment, arguments, Arc::new(tempfile::tempdir().unwrap()))
    }

    /// Starts the client with these arguments.
    pub fn open_with(arguments: &[&str]) -> Terminal {
        let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
        Terminal::open_at(&PLAIN, arguments, Arc::new(tempfile::tempdir().unwrap()))
    }

    fn open_at(environment: &[(&str, &str)], arguments: Vec<String>, home: Arc<TempDir>) -> Terminal {
        let size = PtySize { rows: ROWS, cols: COLUMNS, ..PtySize::default() };
        let pty = native_pty_system().openpty(size).unwrap();
        let found = modes(&*pty.master);
        let mut command = CommandBuilder::new(programs::chatclient());
        command.args(&arguments);
        for variable in ["NO_COLOR", "COLORTERM", "LC_ALL", "LC_CTYPE", "TERM_PROGRAM"] {
            command.env_remove(variable);
        }
        command.env("LANG", "C.UTF-8");
        command.env("XDG_DATA_HOME", home.path());
        command.cwd(home.path());
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command).unwrap();
        let (keyboard, reader) = (pty.master.take_writer().unwrap(), pty.master.try_clone_reader().unwrap());
        let screen = Transcript::of(reader);
        Terminal { child, keyboard, screen, read: 0, over: false, arguments, home, pty: pty.master, found }
    }

    /// Sends the client a signal.
    pub fn signal(&self, which: Signal) {
        process::signal(self.pid(), which);
    }

    /// Stops the client (SIGSTOP) and waits until it stands still.
    #[track_caller]
    pub fn freeze(&self) {
        process::freeze(self.pid());
    }

    /// Continues the client.
    pub fn thaw(&self) {
        process::thaw(self.pid());
    }

    fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Whether the terminal's modes are those that the client found.
    pub fn is_as_found(&self) -> bool {
        modes(&*self.pty) == self.found
    }

    /// Kills the client.
    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.over = true;
    }

    /// Restarts the client on its store, in a new terminal; it must have ended.
    pub fn reopen(&self) -> Terminal {
        assert!(self.over, "a client is opened again after its end");
        Terminal::open_at(&PLAIN, self.arguments.clone(), self.home.clone())
    }

    /// The same with other arguments.
    pub fn reopen_with(&self, arguments: &[&str]) -> Terminal {
        assert!(self.over, "a client is opened again after its end");
        let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
        Terminal::open_at(&PLAIN, arguments, self.home.clone())
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        self.type_keys(&format!("{line}\r"));
    }

    pub fn type_keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until a text is written after what was read so far.
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

    /// The screen as a user sees it, row by row.
    pub fn rows(&self) -> Vec<String> {
        let size = |cells| NonZeroU16::new(cells).unwrap();
        let mut emulator = vt100::Parser::new(size(ROWS), size(COLUMNS), 0);
        emulator.process(&self.screen.bytes());
        emulator.screen().rows(0, COLUMNS).collect()
    }

    /// Waits until the screen is as `wanted`.
    #[track_caller]
    pub fn expect_to_see(&self, what: &str, wanted: impl Fn(&[String]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let length = self.screen.bytes().len();
            let rows = self.rows();
            if wanted(&rows) {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.screen.wait_for_more(length, left) {
                panic!("{what} is not to be seen in {rows:#?}");
            }
        }
    }

    /// Every byte written to the screen so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.screen.bytes()
    }

    /// Everything written to the screen so far, with its control sequences.
    pub fn text(&self) -> String {
        self.screen.text()
    }

    /// Waits for the client's end, which must not be by a signal; returns its exit code.
    #[track_caller]
    pub fn wait(&mut self) -> u32 {
        let status = self.wait_status();
        assert_eq!(status.signal(), None, "{:?}", self.screen.text());
        status.exit_code()
    }

    /// Waits for the client's end.
    #[track_caller]
    pub fn wait_status(&mut self) -> ExitStatus {
        assert!(self.screen.wait_for_end(PATIENCE), "the client runs on: {:?}", self.screen.text());
        self.over = true;
        self.child.wait().unwrap()
    }
}

fn modes(pty: &dyn MasterPty) -> String {
    format!("{:?}", pty.get_termios().unwrap())
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !self.over {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
