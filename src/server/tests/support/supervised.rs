//! Programs that end with this process, however that ends: a shell beside each waits for the end of standard input.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take to start on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the arguments as a program, prints its pid, and sends it SIGTERM when standard input ends.
const SHELL: &str = r#"
    "$@" </dev/null >&2 &
    echo $!
    read -r _
    kill -TERM $! 2>/dev/null
    wait $!
"#;

/// A program and the shell beside it. Dropping it ends both.
pub struct Supervised {
    /// The program's process.
    pub pid: u32,
    shell: Child,
    name: String,
    log: PathBuf,
}

impl Supervised {
    /// Starts a program with its output in this file.
    pub fn start(program: &Path, arguments: &[String], log: &Path) -> Supervised {
        let name = program.display().to_string();
        let file = File::options().create(true).append(true).open(log).unwrap();
        let mut shell = Command::new("sh")
            .args(["-c", SHELL, "sh"])
            .arg(program)
            .args(arguments)
            // Signals of the terminal are for this process; the program is ended by the shell.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut pid = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        Supervised { pid: pid.trim().parse().unwrap(), shell, name, log: log.to_owned() }
    }

    /// Waits until the program listens there.
    pub fn wait_for(&self, address: SocketAddr) {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            let starts = Instant::now() < until && is_running(self.pid);
            assert!(starts, "{} does not start: {}", self.name, self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The program's output so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Tells the shell to end the program.
    pub fn tell_to_end(&mut self) {
        drop(self.shell.stdin.take());
    }

    /// Ends the program and the shell.
    pub fn end(&mut self) {
        self.tell_to_end();
        let _ = self.shell.wait();
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether the process has not ended yet.
pub fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The program's name, in parentheses, may hold anything; the state follows it (proc(5)).
    stat.rsplit(") ").next().is_some_and(|fields| !fields.is_empty() && !fields.starts_with('Z'))
}
