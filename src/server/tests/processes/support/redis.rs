//! Private Redis servers: each in a folder of its own, on a free port, never the system's.

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
    /// Starts one that keeps nothing.
    pub fn start() -> Redis {
        let folder = tempfile::tempdir().unwrap();
        let Service { address, process, .. } = Service::redis(folder.path());
        Redis { folder, address, process }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Ends it as a power cut would.
    pub fn kill9(&mut self) {
        process::signal(self.process.pid, Signal::KILL);
        self.process.end();
    }

    /// Starts it again, empty.
    pub fn restart(&mut self) {
        self.process = service::redis(self.folder.path(), self.address);
    }

    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Stops it where it stands. It has stopped when this returns.
    #[track_caller]
    pub fn freeze(&self) {
        process::freeze(self.process.pid);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        process::thaw(self.process.pid);
    }

    /// Sends a command; the first line of its answer.
    pub fn command(&self, command: &str) -> String {
        let [answer] = self.commands([command]);
        answer
    }

    /// Sends some on one connection, each when the one before is answered; the first line of each answer.
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
        // One that a test has stopped where it stands hears no other word.
        if is_running(self.process.pid) {
            self.kill9();
        }
    }
}
