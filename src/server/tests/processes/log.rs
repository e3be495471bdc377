//! The log: whoever reads it, or does not, and whoever fills it, affects no user.

use crate::support::{Account, Client, PATIENCE, Server};
use rustix::io::ioctl_fionbio;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wire::Target;

/// Strangers, and malformed objects from each.
const STRANGERS: usize = 30;
const OBJECTS: usize = 50;
/// Lines that the server logs about one legacy connection at most.
const LINES_A_STRANGER: usize = 8;

/// A stderr that is full and that nobody reads.
struct StuckLog {
    folder: TempDir,
    fifo: File,
}

impl StuckLog {
    fn new() -> StuckLog {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let fifo = OpenOptions::new().read(true).write(true).open(path).unwrap();
        ioctl_fionbio(&fifo, true).unwrap();
        let mut log = StuckLog { folder, fifo };
        log.fill();
        log
    }

    fn path(&self) -> String {
        Path::new(self.folder.path()).join("log").display().to_string()
    }

    /// Fills it up to the last byte.
    fn fill(&mut self) {
        for chunk in [4096, 1] {
            let line = vec![b'\n'; chunk];
            loop {
                match self.fifo.write(&line) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("cannot fill the log: {error}"),
                }
            }
        }
    }

    /// Reads until `is_enough`.
    fn read_until(&mut self, is_enough: impl Fn(&str) -> bool) -> String {
        let (deadline, mut said, mut chunk) = (Instant::now() + PATIENCE, Vec::new(), [0; 4096]);
        loop {
            match self.fifo.read(&mut chunk) {
                Ok(count) => said.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let text = String::from_utf8_lossy(&said);
                    if is_enough(&text) {
                        return text.into_owned();
                    }
                    assert!(Instant::now() < deadline, "the log says only {text}");
                    thread::sleep(Duration::from_millis(10));
                }
                Err(error) => panic!("cannot read the log: {error}"),
            }
        }
    }
}

/// Lines about a malformed object.
fn ignored(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| line.contains("ignored a request"))
}

/// The numbers in reports of suppressed lines.
fn suppressed(log: &str) -> usize {
    let reports = log.lines().filter_map(|line| line.split_once(" WARN  log: suppressed "));
    reports.map(|(_, rest)| rest.split(' ').next().unwrap().parse::<usize>().unwrap()).sum()
}

/// Connects and sends objects with an unknown `msgid`.
fn send_malformed_objects(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all("{\"msgid\":11}".repeat(OBJECTS).as_bytes()).unwrap();
    stream
}

/// Logs in, and sends one message.
fn chat(address: SocketAddr, ann: &Account, bob: &mut Client, bobs_account: &Account) {
    let mut client = Client::connect(address);
    client.login(ann);
    client.send(Target::User(bobs_account.id), "hello");
    assert_eq!(&*bob.message().content, "hello");
}

#[test]
fn a_log_that_nobody_reads_stops_nobody_and_no_stranger_fills_it() {
    let mut log = StuckLog::new();
    let redirected = format!("exec \"$@\" 2>{}", log.path());
    let mut server = Server::start_wrapped(&["sh", "-c", &redirected, "sh"], 0, &[]);
    let (_, ann) = Client::join(server.address, "ann");
    let (mut bob, bobs_account) = Client::join(server.address, "bob");
    let started = Instant::now();
    let strangers: Vec<TcpStream> = (0..STRANGERS).map(|_| send_malformed_objects(server.address)).collect();
    chat(server.address, &ann, &mut bob, &bobs_account);

    // Every line is written or counted, few are written, and each says where the object came from.
    let all = STRANGERS * LINES_A_STRANGER;
    let said = log.read_until(|log| ignored(log).count() + suppressed(log) >= all);
    let (written, seconds) = (ignored(&said).count(), started.elapsed().as_secs() as usize + 1);
    assert_eq!(written + suppressed(&said), all, "{said}");
    assert!(written <= 10 * seconds, "{written} lines in {seconds} s: {said}");
    let addresses: Vec<_> = strangers.iter().map(|stream| stream.local_addr().unwrap().to_string()).collect();
    for line in ignored(&said) {
        assert!(addresses.iter().any(|address| line.contains(address.as_str())), "{line}");
    }

    // It also ends while nobody reads.
    log.fill();
    assert!(server.terminate().success());
}
