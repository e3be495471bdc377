//! The program in a pseudo-terminal, driven and read as a user would.

use parking_lot::{Condvar, Mutex};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::fs::OFlags;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is checked that does not depend on the screen.
const CHECK_EVERY: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub rows: u16,
    pub columns: u16,
}

/// Killed when it is dropped.
pub struct Pty {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    master: Box<dyn MasterPty + Send>,
    screen: Arc<Screen>,
    /// The terminal's modes before the program was started.
    found: String,
}

struct Screen {
    shown: Mutex<Shown>,
    changed: Condvar,
}

struct Shown {
    emulator: vt100::Parser,
    bytes: Vec<u8>,
    ended: bool,
}

impl Pty {
    /// Starts the program with a server's port and its folder.
    pub fn start(
        size: Size,
        port: u16,
        home: &Path,
        environment: &[(&str, &str)],
        arguments: &[&str],
    ) -> Pty {
        let pty = native_pty_system().openpty(pty_size(size)).unwrap();
        keep_output_at_signals(&*pty.master);
        let found = modes(&*pty.master);
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_chatclient"));
        command.args(["127.0.0.1", &port.to_string()]);
        command.args(arguments);
        for variable in ["COLORTERM", "LC_ALL", "LC_CTYPE", "TERM_PROGRAM"] {
            command.env_remove(variable);
        }
        command.env("LANG", "C.UTF-8");
        command.env("TERM", "xterm");
        command.env("NO_COLOR", "1");
        command.env("TZ", "UTC");
        command.env("XDG_DATA_HOME", home);
        command.env("XDG_CONFIG_HOME", home);
        command.cwd(home);
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command).unwrap();
        let (keyboard, reader) = (pty.master.take_writer().unwrap(), pty.master.try_clone_reader().unwrap());
        let emulator = vt100::Parser::new(cells(size.rows), cells(size.columns), 0);
        let shown = Mutex::new(Shown { emulator, bytes: Vec::new(), ended: false });
        let screen = Arc::new(Screen { shown, changed: Condvar::new() });
        let reading = screen.clone();
        thread::spawn(move || reading.read(reader));
        Pty { child, keyboard, master: pty.master, screen, found }
    }

    pub fn type_keys(&mut self, keys: impl AsRef<[u8]>) {
        self.keyboard.write_all(keys.as_ref()).unwrap();
    }

    pub fn type_line(&mut self, line: &str) {
        self.type_keys(format!("{line}\r"));
    }

    pub fn resize(&self, size: Size) {
        self.screen.shown.lock().emulator.screen_mut().set_size(cells(size.rows), cells(size.columns));
        self.master.resize(pty_size(size)).unwrap();
    }

    /// Waits until the screen is as wanted; returns its rows.
    #[track_caller]
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut shown = self.screen.shown.lock();
        loop {
            let rows = shown.rows();
            if wanted(&rows) {
                return rows;
            }
            if shown.ended || Instant::now() >= deadline {
                panic!("{what} is not on the screen: {rows:#?}");
            }
            // What is wanted may also be something that the server has received.
            self.screen.changed.wait_for(&mut shown, CHECK_EVERY);
        }
    }

    /// Waits until a row contains a text.
    #[track_caller]
    pub fn expect(&self, text: &str) -> Vec<String> {
        self.wait_for(&format!("{text:?}"), |rows| rows.iter().any(|row| row.contains(text)))
    }

    /// Waits until the last row that is not empty is this one.
    #[track_caller]
    pub fn expect_last(&self, row: &str) -> Vec<String> {
        self.wait_for(&format!("{row:?} at the end"), |rows| {
            rows.iter().rfind(|row| !row.is_empty()).is_some_and(|last| last.trim_end() == row.trim_end())
        })
    }

    /// Closes the terminal as far as the program can tell (SIGHUP), and waits for its end.
    #[track_caller]
    pub fn hang_up(&mut self) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(pid).unwrap(),
            rustix::process::Signal::HUP,
        )
        .unwrap();
        self.wait();
    }

    /// Everything written to the terminal.
    pub fn bytes(&self) -> Vec<u8> {
        self.screen.shown.lock().bytes.clone()
    }

    /// Whether the terminal's modes are those that the program found.
    pub fn is_as_found(&self) -> bool {
        modes(&*self.master) == self.found
    }

    /// Waits for the end of the program; its exit code.
    #[track_caller]
    pub fn wait(&mut self) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        let mut shown = self.screen.shown.lock();
        while !shown.ended {
            let timed_out = self.screen.changed.wait_until(&mut shown, deadline).timed_out();
            assert!(!timed_out || shown.ended, "the program runs on: {:#?}", shown.rows());
        }
        self.child.wait().unwrap().exit_code()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Screen {
    fn read(&self, mut reader: impl Read) {
        let mut chunk = [0; 4096];
        loop {
            // A pty fails instead of ending when its other side is closed.
            let count = reader.read(&mut chunk).unwrap_or(0);
            let mut shown = self.shown.lock();
            shown.emulator.process(&chunk[..count]);
            shown.bytes.extend_from_slice(&chunk[..count]);
            shown.ended = count == 0;
            self.changed.notify_all();
            if count == 0 {
                return;
            }
        }
    }
}

impl Shown {
    fn rows(&self) -> Vec<String> {
        self.emulator.screen().rows(0, u16::MAX).collect()
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

fn pty_size(size: Size) -> PtySize {
    PtySize { rows: size.rows, cols: size.columns, ..PtySize::default() }
}

/// Once the program has ended, Ctrl-C and Ctrl-\ are signals again, for which the kernel would discard what the program
/// wrote and the test has not read yet.
fn keep_output_at_signals(master: &dyn MasterPty) {
    let path = master.tty_name().unwrap();
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NOCTTY.bits() as i32)
        .open(path)
        .unwrap();
    let mut modes = tcgetattr(&terminal).unwrap();
    modes.local_modes.insert(LocalModes::NOFLSH);
    tcsetattr(&terminal, OptionalActions::Now, &modes).unwrap();
}

fn modes(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().unwrap())
}
