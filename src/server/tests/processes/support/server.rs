//! A chatserver process in a folder of its own.

use super::ports::free_port;
use super::transcript::Transcript;
use super::{PATIENCE, process, programs};
use rustix::process::Signal;
use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Cheap password hashing, for tests about other things.
const CHEAP_PASSWORDS: [&str; 4] = ["--set", "password.memory_kib=8", "--set", "password.iterations=1"];
/// No rates: one test sender stands for many, and all clients come from one address.
const UNLIMITED: [&str; 6] = [
    "--set",
    "limits.messages_per_second=0",
    "--set",
    "limits.requests_per_second=0",
    "--set",
    "registration.per_address_hour=0",
];

/// No listeners besides the one for chat, as tests run at the same time.
const CHAT_ONLY: [&str; 4] = ["--set", "http.listen=", "--set", "ops.listen="];

/// The end of what the server prints when it is ready.
const READY: &str = "stop:  Ctrl-C\n";

/// A running server. Dropping it kills it; if it has ended by itself, that fails the test.
pub struct Server {
    launch: Launch,
    child: Child,
    stdout: Transcript,
    stderr: Transcript,
    pub address: SocketAddr,
    over: bool,
}

/// How a server is started.
#[derive(Clone)]
struct Launch {
    folder: Arc<TempDir>,
    /// A program and its arguments that executes the server.
    wrapper: Vec<String>,
    arguments: Vec<String>,
    port: u16,
}

impl Server {
    /// Starts a server with these arguments, cheap passwords and no rates.
    pub fn start(arguments: &[&str]) -> Server {
        Server::start_wrapped(&[], 0, arguments)
    }

    /// Starts a server that keeps its address when it is restarted.
    pub fn start_at_fixed_port(arguments: &[&str]) -> Server {
        Server::start_wrapped(&[], free_port(), arguments)
    }

    /// Starts a server through another program, which executes the words after its own arguments.
    pub fn start_wrapped(wrapper: &[&str], port: u16, arguments: &[&str]) -> Server {
        let arguments = [&CHEAP_PASSWORDS[..], &UNLIMITED, &CHAT_ONLY, arguments].concat();
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let (wrapper, arguments) = (words(wrapper), words(&arguments));
        Server::launch(Launch { folder: Arc::new(tempfile::tempdir().unwrap()), wrapper, arguments, port })
    }

    fn launch(launch: Launch) -> Server {
        let mut child = launch.spawn();
        let stdout = Transcript::of(child.stdout.take().unwrap());
        let stderr = Transcript::of(child.stderr.take().unwrap());
        if stdout.find(0, READY, PATIENCE).is_none() {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the server does not start: {}{}", stdout.text(), stderr.text());
        }
        let said = stdout.text();
        let (_, address) = said.split_once(" listens on ").expect("the server says where it listens");
        let (address, _) = address.split_once(" (chat)").expect("the address stands before what it is for");
        let address = address.parse().unwrap();
        Server { launch, child, stdout, stderr, address, over: false }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder in which it was started.
    pub fn folder(&self) -> &Path {
        self.launch.folder.path()
    }

    /// Everything it has printed.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Everything it has logged.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until it has logged this text.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        assert!(self.stderr.find(0, text, PATIENCE).is_some(), "no `{text}` in {}", self.stderr());
    }

    /// Kills it and waits for its end.
    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.over = true;
    }

    /// Sends a signal.
    pub fn signal(&self, which: Signal) {
        process::signal(self.pid(), which);
    }

    /// Stops it (SIGSTOP) and waits until it stands still.
    #[track_caller]
    pub fn freeze(&self) {
        process::freeze(self.pid());
    }

    /// Continues it after a freeze.
    pub fn thaw(&self) {
        process::thaw(self.pid());
    }

    /// Waits for its end after a signal.
    #[track_caller]
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        // Its output ends with the process.
        assert!(
            self.stdout.wait_for_end(within),
            "the server has not stopped within {within:?}: {}",
            self.stderr()
        );
        self.stderr.wait_for_end(PATIENCE);
        self.over = true;
        self.child.wait().unwrap()
    }

    /// Stops it by SIGTERM.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(PATIENCE)
    }

    /// Restarts it on the same data; it must have ended. Without a fixed port it gets another
    /// address.
    pub fn restart(&mut self) {
        assert!(self.over, "a server is restarted after its end");
        *self = Server::launch(self.launch.clone());
    }

    /// Restarts it on the same data and kills it as soon as it has the database's lock, while it recovers
    /// what the last process left.
    pub fn restart_and_kill9_before_it_listens(&self) {
        assert!(self.over, "a server is restarted after its end");
        let mut child = self.launch.spawn();
        let (lock, mine) = (self.folder().join("data/chat.db.lock"), format!("{}\n", child.id()));
        let deadline = Instant::now() + PATIENCE;
        while std::fs::read_to_string(&lock).unwrap() != mine && Instant::now() < deadline {
            thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// A path in the server's folder, as seen in its mount namespace.
    pub fn path_inside(&self, path: &str) -> PathBuf {
        let inside = self.folder().join(path);
        Path::new("/proc").join(self.pid().to_string()).join("root").join(inside.strip_prefix("/").unwrap())
    }
}

impl Launch {
    fn spawn(&self) -> Child {
        let server = programs::chatserver().as_os_str();
        let mut words: Vec<&OsStr> = self.wrapper.iter().map(OsStr::new).collect();
        words.push(server);
        Command::new(words[0])
            .args(&words[1..])
            .args(&self.arguments)
            .args([Ipv4Addr::LOCALHOST.to_string(), self.port.to_string()])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let ended = self.child.try_wait().unwrap();
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("---- the server said ----\n{}{}", self.stdout(), self.stderr());
        } else if let Some(status) = ended {
            panic!("the server has ended by itself, {status}: {}", self.stderr());
        }
    }
}
