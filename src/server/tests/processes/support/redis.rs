//! Private Redis servers, each in a folder of its own and on a free port.

use super::PATIENCE;
use super::process;
use super::service::{self, Service};
use super::supervised::{Supervised, is_running};
use rustix::process::Signal;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use tempfile::TempDir;

/// A running server. Dropping it kills it.
pub struct Redis {
    folder: TempDir,
    address: SocketAddr,
    process: Supervised,
}

impl Redis {
    /// Starts a Redis without persistence.
    pub fn start() -> Redis {
        let folder = tempfile::tempdir().unwrap();
        let Service { address, process, .. } = Service::redis(folder.path());
        Redis { folder, address, process }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it and waits for its end.
    pub fn kill9(&mut self) {
        process::signal(self.process.pid, Signal::KILL);
        self.process.end();
    }

    /// Restarts it, empty.
    pub fn restart(&mut self) {
        self.process = service::redis(self.folder.path(), self.address);
    }

    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Stops it (SIGSTOP) and waits until it stands still.
    #[track_caller]
    pub fn freeze(&self) {
        process::freeze(self.process.pid);
    }

    /// Continues it after a freeze.
    pub fn thaw(&self) {
        process::thaw(self.process.pid);
    }

    /// Sends a command; returns the first line of its answer.
    pub fn command(&self, command: &str) -> String {
        let [answer] = self.commands([command]);
        answer
    }

    /// Sends commands on one connection, one after the other; returns the first line of each answer.
    pub fn commands<const N: usize>(&self, commands: [&str; N]) -> [String; N] {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = BufReader::new(stream);
        commands.map(|command| {
            stream.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_line(&mut answer).unwrap();
            assert!(answer.ends_with("\r\n") && !answer.starts_with('-'), "{command}: {answer:?}");
            answer.trim_end().to_owned()
        })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // A frozen process handles no other signal.
        if is_running(self.process.pid) {
            self.kill9();
        }
    }
}
