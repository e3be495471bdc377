//! A private server, and clients that are typed to like by a person.

use crate::{COLUMNS, ROWS};
use anyhow::{Context, Result, bail};
use parking_lot::{Condvar, Mutex};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often the server's port is tried.
const CONNECT_EVERY: Duration = Duration::from_millis(20);
const PASSWORD: &str = "a secret";

/// A program of this workspace, beside the folder of this one.
fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(std::path::Path::parent).context("no folder above this program")?;
    let path = folder.join(name);
    if !path.exists() {
        bail!("{} is missing: cargo build --package chatserver --package chatclient", path.display());
    }
    Ok(path)
}

/// Stopped when it is dropped.
pub struct Server {
    process: std::process::Child,
    port: u16,
    folder: TempDir,
}

impl Server {
    pub fn start() -> Result<Server> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new(program("chatserver")?)
            .args(["127.0.0.1", &port.to_string()])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Server { process, port, folder };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                bail!("the server does not accept connections");
            }
            thread::sleep(CONNECT_EVERY);
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client in a terminal, with the screen that a person sees. Killed when it is dropped.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    screen: Arc<Screen>,
    _pty: Box<dyn MasterPty + Send>,
}

struct Screen {
    emulator: Mutex<vt100::Parser>,
    changed: Condvar,
}

impl Terminal {
    /// Starts a client and registers an account.
    pub fn open(server: &Server, name: &str) -> Result<Terminal> {
        let size = PtySize { rows: ROWS, cols: COLUMNS, ..PtySize::default() };
        let pty = native_pty_system().openpty(size)?;
        let mut command = CommandBuilder::new(program("chatclient")?);
        command.args(["127.0.0.1", &server.port.to_string()]);
        for variable in ["NO_COLOR", "COLORTERM", "LC_ALL", "LC_CTYPE"] {
            command.env_remove(variable);
        }
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.env("XDG_DATA_HOME", server.folder.path().join(name));
        command.cwd(server.folder.path());
        let child = pty.slave.spawn_command(command)?;
        let (keyboard, reader) = (pty.master.take_writer()?, pty.master.try_clone_reader()?);
        let size = |cells| NonZeroU16::new(cells).expect("not 0");
        let emulator = Mutex::new(vt100::Parser::new(size(ROWS), size(COLUMNS), 0));
        let screen = Arc::new(Screen { emulator, changed: Condvar::new() });
        let shown = screen.clone();
        thread::spawn(move || shown.follow(reader));
        let mut terminal = Terminal { child, keyboard, screen, _pty: pty.master };
        for (question, answer) in
            [("choice: ", "2"), ("name: ", name), ("password: ", PASSWORD), ("password again: ", PASSWORD)]
        {
            terminal.wait_for(question.trim_end())?;
            terminal.enter(answer)?;
        }
        terminal.wait_for("help lists the commands")?;
        Ok(terminal)
    }

    pub fn enter(&mut self, line: &str) -> Result<()> {
        self.type_keys(&format!("{line}\r"))
    }

    pub fn type_keys(&mut self, keys: &str) -> Result<()> {
        Ok(self.keyboard.write_all(keys.as_bytes())?)
    }

    /// Waits until a text is on the screen.
    pub fn wait_for(&self, text: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut emulator = self.screen.emulator.lock();
        loop {
            let contents = emulator.screen().contents();
            if contents.contains(text) {
                return Ok(());
            }
            if self.screen.changed.wait_until(&mut emulator, deadline).timed_out() {
                bail!("{text:?} does not appear on the screen:\n{contents}");
            }
        }
    }

    pub fn with_screen<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.screen.emulator.lock().screen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Screen {
    /// Shows what the client writes until its terminal is closed.
    fn follow(&self, mut reader: Box<dyn Read + Send>) {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            self.emulator.lock().process(&buffer[..length]);
            self.changed.notify_all();
        }
    }
}
