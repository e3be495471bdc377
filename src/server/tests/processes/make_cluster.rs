//! `make cluster`: it starts everything, and leaves nothing running.

use crate::support::process::signal;
use crate::support::programs::chatserver;
use crate::support::transcript::Transcript;
use crate::support::{Client, PATIENCE};
use rustix::process::Signal;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;
use tempfile::TempDir;
use wire::Target;

struct MakeCluster {
    folder: TempDir,
    child: Child,
    stdout: Transcript,
    stderr: Transcript,
}

impl MakeCluster {
    fn start() -> MakeCluster {
        let program = chatserver().with_file_name("examples").join("cluster");
        assert!(program.exists(), "run `cargo build --workspace --examples` first (make test does)");
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(program)
            .arg(folder.path().join("cluster"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Transcript::of(child.stdout.take().unwrap());
        let stderr = Transcript::of(child.stderr.take().unwrap());
        let cluster = MakeCluster { folder, child, stdout, stderr };
        let ready = cluster.stdout.find(0, "stop:  Ctrl-C\n", 6 * PATIENCE);
        assert!(ready.is_some(), "{}{}", cluster.stdout.text(), cluster.stderr.text());
        cluster
    }

    /// The address that is printed for this process.
    fn address(&self, part: &str) -> SocketAddr {
        let said = self.stdout.text();
        let line =
            said.lines().find(|line| line.starts_with(&format!("{part}:"))).expect("every part is named");
        let words: Vec<&str> = line.split_whitespace().collect();
        SocketAddr::new(words[2].parse::<IpAddr>().unwrap(), words[3].parse().unwrap())
    }

    /// Processes with its folder and this word among their arguments.
    fn processes(&self, word: &str) -> Vec<u32> {
        let folder = self.folder.path().to_str().unwrap();
        let pids =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let names = |pid: &u32| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let arguments = String::from_utf8_lossy(&arguments);
            arguments.contains(folder) && arguments.contains(word) && !arguments.starts_with("sh\0")
        };
        pids.filter(names).collect()
    }

    /// Waits for its end; returns whether it succeeded.
    fn wait(&mut self) -> bool {
        assert!(self.stdout.wait_for_end(3 * PATIENCE), "it does not end: {}", self.stderr.text());
        assert!(self.stderr.wait_for_end(PATIENCE), "something holds its standard error open");
        let success = self.child.wait().unwrap().success();
        let until = Instant::now() + PATIENCE;
        while !self.processes("").is_empty() {
            assert!(Instant::now() < until, "left running: {:?}", self.processes(""));
            thread::yield_now();
        }
        success
    }
}

#[test]
fn ctrl_c_ends_every_process_of_make_cluster() {
    let mut cluster = MakeCluster::start();
    assert!(!cluster.processes("").is_empty(), "what must be gone afterwards is there");
    let (mut ann, account) = Client::join(cluster.address("talk"), "ann");
    for node in ["n1", "n2", "n3"] {
        let (mut friend, _) = Client::join(cluster.address(node), &format!("friend at {node}"));
        friend.send(Target::User(account.id), node);
        assert_eq!(&*ann.message().content, node);
    }
    signal(cluster.child.id(), Signal::INT);
    assert!(cluster.wait(), "{}", cluster.stderr.text());
}

#[test]
fn make_cluster_ends_with_the_name_of_the_process_that_failed() {
    let mut cluster = MakeCluster::start();
    let node = cluster.processes("cluster.node=n2");
    assert_eq!(node.len(), 1);
    signal(node[0], Signal::KILL);
    assert!(!cluster.wait());
    assert!(cluster.stderr.text().contains("n2 exited unexpectedly"), "{}", cluster.stderr.text());
}
