//! The notification and socket activation protocols, with the test in the place of systemd.

use crate::support::{Client, Event, PATIENCE, Server};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::Signal;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wire::Command;
use wire::node;

/// The notification socket that a unit of `Type=notify` gets.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    _folder: TempDir,
}

impl Manager {
    fn listen() -> Manager {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Manager { socket, path, _folder: folder }
    }

    /// Starts a server like a unit with this `WatchdogSec=`.
    fn start(&self, watchdog: Duration) -> Server {
        let socket = format!("NOTIFY_SOCKET={}", self.path.display());
        let watchdog = format!("WATCHDOG_USEC={}", watchdog.as_micros());
        Server::start_wrapped(&["env", &socket, &watchdog], 0, &["--threads", "3"])
    }

    /// The next notification; `None`: there was none in this time.
    fn next(&self, within: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(within)).unwrap();
        let mut buffer = [0; 1024];
        match self.socket.recv(&mut buffer) {
            Ok(length) => Some(String::from_utf8(buffer[..length].to_vec()).unwrap()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The next notification other than `WATCHDOG=1`.
    fn news(&self) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match self.next(left) {
                Some(said) if said == "WATCHDOG=1\n" => {}
                Some(said) => return said,
                None => panic!("the server says nothing more"),
            }
        }
    }
}

#[test]
fn the_journal_gets_a_priority_and_no_timestamp() {
    let own = "JOURNAL_STREAM=$(stat -Lc %d:%i /dev/stderr) exec \"$@\"";
    for (stream, is_journal) in [(own, true), ("JOURNAL_STREAM=8:12345 exec \"$@\"", false)] {
        let mut server = Server::start_wrapped(&["sh", "-c", stream, "sh"], 0, &[]);
        assert!(server.terminate().success());
        let said = server.stderr();
        let has_line = |begin: &str| said.lines().any(|line| line.starts_with(begin));
        assert_eq!(has_line("<6>logic: draining: "), is_journal, "{said}");
        assert_eq!(said.contains(" INFO  logic: draining: "), !is_journal, "{said}");
    }
}

#[test]
fn systemd_is_notified_of_readiness_reload_and_stop() {
    let manager = Manager::listen();
    let mut server = manager.start(Duration::from_secs(60));
    let ready = manager.news();
    assert_eq!(ready, format!("READY=1\nSTATUS=serving chat on {}\n", server.address));
    let (mut ann, _) = Client::join(server.address, "ann");

    server.signal(Signal::HUP);
    let reloading = manager.news();
    let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&reloading);
    assert!(time.trim().parse::<u64>().unwrap() > 0);
    assert_eq!(manager.news(), ready);
    ann.settle();

    server.signal(Signal::TERM);
    assert_eq!(manager.news(), "STOPPING=1\nSTATUS=draining\n");
    assert!(server.wait(PATIENCE).success());
}

#[test]
fn an_idle_server_feeds_the_watchdog_and_a_frozen_one_does_not() {
    const FEEDS: u32 = 8;
    let manager = Manager::listen();
    let watchdog = Duration::from_secs(2);
    let before_the_first = Instant::now();
    let server = manager.start(watchdog);
    manager.news();
    // No client is connected: every loop sleeps and wakes for the watchdog alone.
    for _ in 0..FEEDS {
        assert_eq!(manager.next(PATIENCE).as_deref(), Some("WATCHDOG=1\n"));
    }
    // This test may read them late, but never before they were sent.
    let took = before_the_first.elapsed();
    assert!(took > (FEEDS - 1) * watchdog / 8, "it feeds more often than it must: {FEEDS} times in {took:?}");
    server.freeze();
    while manager.next(watchdog).is_some() {}
    server.thaw();
    assert!(manager.next(PATIENCE).is_some());
}

/// A listening socket that outlives servers, as systemd holds one for a unit.
struct HeldSocket {
    listener: TcpListener,
}

impl HeldSocket {
    fn new() -> HeldSocket {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Programs started from here on inherit it.
        fcntl_setfd(&listener, FdFlags::empty()).unwrap();
        HeldSocket { listener }
    }

    fn start(&self) -> Server {
        let script = format!("LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\" 3<&{}", self.listener.as_raw_fd());
        Server::start_wrapped(&["bash", "-c", &script, "bash"], 0, &[])
    }
}

#[test]
fn connections_made_during_a_restart_are_served_afterwards() {
    let socket = HeldSocket::new();
    let mut server = socket.start();
    assert_eq!(server.address, socket.listener.local_addr().unwrap());
    let ann = Client::connect(server.address).register("ann");
    assert!(server.terminate().success());
    let mut early = Client::connect(server.address);
    server.restart();
    early.login(&ann);
}

#[test]
fn a_restart_under_socket_activation_refuses_no_connection() {
    let socket = HeldSocket::new();
    let mut server = socket.start();
    let address = server.address;
    let (over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let mut client = Client::try_connect(address).expect("no connection is ever refused");
                    // A draining server may close it; the next connection is served.
                    if is_served(&mut client) {
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        for _ in 0..3 {
            let before = served.load(Ordering::SeqCst);
            wait_for(|| served.load(Ordering::SeqCst) > before + 20);
            server.terminate();
            server.restart();
        }
        over.store(true, Ordering::SeqCst);
    });
    assert!(served.load(Ordering::SeqCst) > 60);
}

/// Whether a server answers on this connection.
fn is_served(client: &mut Client) -> bool {
    let Ok(request) = client.post(&Command::Node(node::Request::Nodes)) else { return false };
    loop {
        match client.event(PATIENCE) {
            Ok(Some(Event::Reply(number, _))) if number == request => return true,
            Ok(Some(_)) => {}
            Ok(None) => panic!("a connection is neither served nor closed"),
            Err(_) => return false,
        }
    }
}

fn wait_for(event: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !event() {
        assert!(Instant::now() < until, "it does not come");
        thread::yield_now();
    }
}

#[test]
fn sockets_passed_to_another_process_are_ignored() {
    let socket = HeldSocket::new();
    let script = format!("LISTEN_PID=1 LISTEN_FDS=1 exec \"$@\" 3<&{}", socket.listener.as_raw_fd());
    let server = Server::start_wrapped(&["bash", "-c", &script, "bash"], 0, &[]);
    assert_ne!(server.address, socket.listener.local_addr().unwrap());
}
