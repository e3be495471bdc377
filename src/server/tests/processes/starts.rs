//! Starts that cannot succeed: what is wrong is said at once, nothing is touched, and signals are served meanwhile.

use crate::support::certificates::Authority;
use crate::support::redis::Redis;
use crate::support::transcript::Transcript;
use crate::support::{MariaDb, PATIENCE, Server, programs};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use std::fs::{self, Permissions};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A server that must end by itself, in a folder of its own.
struct Run {
    child: Child,
    /// Prepared by the test; nothing may be added to it.
    folder: tempfile::TempDir,
}

impl Run {
    fn of(folder: tempfile::TempDir, arguments: &[&str]) -> Run {
        let child = Command::new(programs::chatserver())
            .args(arguments)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Run { child, folder }
    }

    /// What it says and its exit code, unless it is killed for never ending.
    #[track_caller]
    fn end(mut self) -> (Option<i32>, String) {
        let until = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            if Instant::now() > until {
                self.child.kill().unwrap();
                let Output { stderr, .. } = self.child.wait_with_output().unwrap();
                panic!("it does not end: {}", String::from_utf8_lossy(&stderr));
            }
            thread::sleep(Duration::from_millis(5));
        }
        let Output { status, stderr, .. } = self.child.wait_with_output().unwrap();
        drop(self.folder);
        (status.code(), String::from_utf8(stderr).unwrap())
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A listener that accepts connections, as the kernel does for it, and never answers.
fn silent_peer() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub fn set(key: &str, value: &str) -> [String; 2] {
    ["--set".to_owned(), format!("{key}={value}")]
}

/// Runs a server with these settings until it ends by itself; returns what it says.
#[track_caller]
pub fn refused(settings: &[[String; 2]]) -> String {
    let (code, said) = run(&["127.0.0.1", "0"], settings);
    assert_eq!(code, Some(1), "{said}");
    said
}

#[track_caller]
pub fn run(arguments: &[&str], settings: &[[String; 2]]) -> (Option<i32>, String) {
    let settings = settings.iter().flatten().map(String::as_str);
    let arguments: Vec<&str> = arguments.iter().copied().chain(settings).collect();
    Run::of(tempfile::tempdir().unwrap(), &arguments).end()
}

#[test]
fn a_path_to_something_else_is_refused_at_once_and_nothing_is_added() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    fs::create_dir(at("folder")).unwrap();
    fs::write(at("letter"), "Dear Ann,\n").unwrap();
    rusqlite::Connection::open(at("shop.db"))
        .unwrap()
        .execute_batch("CREATE TABLE orders (id INTEGER)")
        .unwrap();
    let before = names(folder.path());
    for (path, sentence) in [
        ("fifo", "is a FIFO, not a regular file"),
        ("folder", "is a directory, not a regular file"),
        ("letter", "is not an SQLite database, and nothing in it was changed"),
        ("shop.db", "holds tables of another program (`orders`), and nothing in it was changed"),
        ("/dev/full", "is a device, not a regular file"),
    ] {
        let url = set("storage.url", &format!("sqlite:{}", at(path).display()));
        for arguments in [&["127.0.0.1", "0"][..], &["--check-config"]] {
            let (code, said) = run(arguments, std::slice::from_ref(&url));
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains(path) && said.contains(sentence), "{said}");
        }
    }
    let url = "storage.url=mysql://chat@127.0.0.1:1/chat";
    for arguments in [
        &["--config", at("fifo").to_str().unwrap()][..],
        &["--set", url, "--set", &format!("storage.password_file={}", at("fifo").display())],
    ] {
        let (code, said) = run(arguments, &[]);
        assert_eq!((code, said.contains("is a FIFO, not a regular file")), (Some(1), true), "{said}");
    }
    assert_eq!(names(folder.path()), before);
    assert_eq!(fs::read(at("letter")).unwrap(), b"Dear Ann,\n");
}

#[test]
fn a_start_that_waits_serves_signals_at_once() {
    let (silent, peer) = silent_peer();
    let database = set("storage.url", &format!("mysql://chat@{peer}/chat"));
    let shared = MariaDb::shared();
    let cluster = [
        set("storage.url", &shared.url(&shared.new_name())),
        set("cluster.redis", &format!("redis://{peer}")),
    ];
    let secure = [
        set("storage.url", "mysql://chat@127.0.0.1:1/chat"),
        set("cluster.redis", &format!("rediss://{peer}")),
    ];
    let authority = Authority::new();
    let secure = [&secure[..], &[authority.setting("cluster.ca_file")]].concat();
    for settings in [&[database][..], &cluster, &secure] {
        for signal in [Signal::TERM, Signal::INT] {
            let settings: Vec<&str> = settings.iter().flatten().map(String::as_str).collect();
            let run = Run::of(tempfile::tempdir().unwrap(), &settings);
            // It waits for this peer now.
            let _connection = silent.accept().unwrap();
            crate::support::process::signal(run.child.id(), signal);
            let signalled = Instant::now();
            let (code, said) = run.end();
            assert_eq!(code, Some(0), "{said}");
            assert!(signalled.elapsed() < PATIENCE / 2, "{said}");
        }
    }
}

#[test]
fn a_silent_database_ends_the_start() {
    let (_silent, peer) = silent_peer();
    let said = refused(&[set("storage.url", &format!("mysql://chat@{peer}/chat"))]);
    assert!(said.contains(&format!("cannot use mysql://chat@{peer}/chat: no answer within 5 s")), "{said}");
}

#[test]
fn a_silent_redis_is_an_outage() {
    let (_silent, peer) = silent_peer();
    let shared = MariaDb::shared();
    let [url, redis] =
        [format!("storage.url={}", shared.url(&shared.new_name())), format!("cluster.redis=redis://{peer}")];
    let server = Server::start(&["--set", &url, "--set", &redis]);
    server.wait_for_log("is not available yet");
}

#[test]
fn a_wrong_password_or_number_of_redis_is_no_outage() {
    let redis = Redis::start();
    let shared = MariaDb::shared();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redis");
    let settings =
        |url: String| [set("storage.url", &shared.url(&shared.new_name())), set("cluster.redis", &url)];
    let said = refused(&settings(format!("{}/99", redis.url())));
    assert!(said.contains("DB index is out of range; correct the database number"), "{said}");
    redis.command("CONFIG SET requirepass geheim");
    let said = refused(&settings(redis.url()));
    assert!(said.contains("put its password into the file that cluster.password_file names"), "{said}");
    fs::write(&file, "wrong\n").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let password = set("cluster.password_file", file.to_str().unwrap());
    let [url, address] = settings(redis.url());
    let said = refused(&[url, address, password]);
    assert!(said.contains("put its password into the file that cluster.password_file names"), "{said}");
    assert!(!said.contains("wrong"), "{said}");
}

/// How many connections a Redis has accepted.
fn received(connection: &mut redis::Connection) -> u64 {
    let stats: String = redis::cmd("INFO").arg("stats").query(connection).unwrap();
    let count = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:")).unwrap();
    count.parse().unwrap()
}

#[test]
fn a_redis_that_refuses_later_is_logged_once_and_counted() {
    let redis = Redis::start();
    let shared = MariaDb::shared();
    let url = format!("storage.url={}", shared.url(&shared.new_name()));
    let server = Server::start(&["--set", &url, "--set", &format!("cluster.redis={}", redis.url())]);
    server.wait_for_log("connected to Redis as");
    redis.command("CONFIG SET requirepass geheim");
    let client = redis::Client::open(redis.url().replace("redis://", "redis://:geheim@")).unwrap();
    let before = received(&mut client.get_connection().unwrap());
    redis.commands(["AUTH geheim", "CLIENT KILL TYPE pubsub"]);
    redis.commands(["AUTH geheim", "CLIENT KILL TYPE normal SKIPME yes"]);
    server.wait_for_log("put its password into the file that cluster.password_file names");
    let until = Instant::now() + PATIENCE;
    let mut admin = client.get_connection().unwrap();
    // Several attempts more.
    while received(&mut admin) < before + 12 {
        assert!(Instant::now() < until, "{}", server.stderr());
        thread::sleep(Duration::from_millis(50));
    }
    redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("").query::<()>(&mut admin).unwrap();
    server.wait_for_log("failed attempts");
    let said = server.stderr();
    assert_eq!(said.matches("the Redis subscriber is not connected").count(), 2, "{said}");
}

#[test]
fn check_config_finds_what_fails_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let exposed = folder.path().join("exposed");
    fs::write(&exposed, "geheim\n").unwrap();
    fs::set_permissions(&exposed, Permissions::from_mode(0o644)).unwrap();
    let exposed = exposed.to_str().unwrap();
    let mysql = || set("storage.url", "mysql://chat@127.0.0.1:1/chat");
    let redis = || set("cluster.redis", "redis://127.0.0.1:1");
    for (settings, sentence) in [
        (
            vec![mysql(), set("storage.password_file", "/no/such/file")],
            "`storage.password_file` names /no/such/file: No such file",
        ),
        (
            vec![mysql(), set("storage.password_file", exposed)],
            "every user of this machine can read it; run chmod o-rwx",
        ),
        (
            vec![mysql(), redis(), set("cluster.password_file", "/no/such")],
            "`cluster.password_file` names /no/such: No such",
        ),
        (vec![redis()], "cluster.redis needs a database that nodes can share"),
        (vec![set("cluster.redis", "redis://one:6379,two:6379")], "with one host"),
        (vec![set("storage.url", "mysql://chat@one,two/chat")], "must name one host"),
        (
            vec![set("storage.url", "mysql://chat@/run/mysqld/mysqld.sock/chat")],
            "through a socket file are not supported",
        ),
        (
            vec![mysql(), redis(), set("chat.listen", "0.0.0.0:6000")],
            "set cluster.advertise to the host and port",
        ),
        (
            vec![mysql(), redis(), set("cluster.advertise", "0.0.0.0:6000")],
            "must be an address that clients can reach",
        ),
        (vec![set("storage.url", "sqlite:/dev/null/chat.db")], "/dev/null"),
    ] {
        let (code, said) = run(&["--check-config"], &settings);
        assert_eq!((code, said.contains(sentence)), (Some(1), true), "{said}");
        let ports = if said.contains("0.0.0.0") { &[][..] } else { &["127.0.0.1", "0"] };
        let (code, said) = run(ports, &settings);
        assert_eq!((code, said.contains(sentence)), (Some(1), true), "{said}");
    }
    // All of them at once.
    let (_, said) = run(
        &["--check-config"],
        &[redis(), set("storage.url", "sqlite:/dev/full"), set("chat.listen", "[::]:6000")],
    );
    assert_eq!(said.lines().count(), 3, "{said}");
    // A password that others can see.
    let (code, said) = run(&["--check-config"], &[set("storage.url", "mysql://chat:geheim@127.0.0.1/chat")]);
    assert!(
        code == Some(0) && said.contains("warning: every user of this machine can see the password"),
        "{said}"
    );
    // What a running server uses is in order.
    let server = Server::start(&[]);
    let data = server.folder().join("data/chat.db");
    let (code, said) = run(&["--check-config"], &[set("storage.url", &format!("sqlite:{}", data.display()))]);
    assert_eq!((code, &*said), (Some(0), ""));
}

#[test]
fn a_proxy_header_from_an_unnamed_peer_is_logged_with_what_to_change() {
    let server = Server::start(&[]);
    let mut proxy = TcpStream::connect(server.address).unwrap();
    proxy.write_all(b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 6000\r\n").unwrap();
    server.wait_for_log("from 127.0.0.1, which sent a PROXY header: if it is a proxy of yours, add \"127.0.0.1\" to chat.proxies");
}

#[test]
fn a_server_on_all_addresses_names_one_that_clients_can_use() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(programs::chatserver())
        .args(["0.0.0.0", "0"])
        .current_dir(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = Transcript::of(child.stdout.take().unwrap());
    assert!(stdout.find(0, "stop:  Ctrl-C\n", PATIENCE).is_some());
    let said = stdout.text();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!said.contains("chatclient 0.0.0.0"), "{said}");
}
