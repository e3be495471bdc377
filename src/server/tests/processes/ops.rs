//! What operators and browsers get over HTTP.

use crate::support::client::text;
use crate::support::service::Service;
use crate::support::system::find;
use crate::support::{Client, MariaDb, PATIENCE, Server, programs};
use mysql::prelude::Queryable;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use wire::{Errno, Target, UserId};

const LISTENING: [&str; 4] = ["--set", "http.listen=127.0.0.1:0", "--set", "ops.listen=127.0.0.1:0"];

const MISSING: &str = "these tests start prometheus: apt-get install prometheus";

/// The address behind this word in what the server has printed.
pub(crate) fn printed(server: &Server, word: &str) -> SocketAddr {
    let said = server.stdout();
    let line = said.lines().find_map(|line| line.strip_prefix(word)).expect(&said);
    let address = line.trim().strip_prefix("http://").unwrap();
    address.split('/').next().unwrap().parse().unwrap()
}

fn ops(server: &Server) -> SocketAddr {
    printed(server, "state:")
}

/// What is answered to these bytes until the server closes the connection.
pub(crate) fn answered(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The status line and the body of an answer.
fn asked(address: SocketAddr, method: &str, path: &str, fields: &str) -> (String, String) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{fields}Connection: close\r\n\r\n");
    let answer = answered(address, request.as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

fn get(address: SocketAddr, path: &str) -> (String, String) {
    asked(address, "GET", path, "")
}

/// The value of a series.
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {metrics}")).parse().unwrap()
}

/// Asks until this path is answered with this status.
#[track_caller]
fn wait_for(address: SocketAddr, path: &str, status: &str) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let (line, body) = get(address, path);
        if line.contains(status) {
            return body;
        }
        assert!(Instant::now() < until, "{path}: {line} {body}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_metrics_tell_what_happened() {
    let server = Server::start(&LISTENING);
    let address = ops(&server);
    let (mut ann, _) = Client::join(server.address, "ann");
    let (_bob, bobs) = Client::join(server.address, "bob");
    for text in ["one", "two", "three"] {
        ann.send(Target::User(bobs.id), text);
    }
    let refusal = ann.refusal(&text(Target::User(UserId(4_000_000)), "nobody", None));
    assert_eq!(refusal.errno, Errno::NotFound);
    let wanted = [
        ("chatserver_messages_delivered_total", 3.0),
        ("chatserver_messages_stored_total", 3.0),
        ("chatserver_delivery_seconds_count", 3.0),
        ("chatserver_logins_total", 2.0),
        ("chatserver_sessions", 2.0),
        ("chatserver_connections{dialect=\"tlv\",transport=\"tcp\"}", 2.0),
        ("chatserver_connections{dialect=\"none\",transport=\"tcp\"}", 0.0),
        ("chatserver_requests_total{errno=\"NOT_FOUND\"}", 1.0),
        ("chatserver_storage_up", 1.0),
        ("chatserver_ready", 1.0),
    ];
    // Each thread shows its numbers before it sleeps.
    let until = Instant::now() + PATIENCE;
    let metrics = loop {
        let (line, metrics) = get(address, "/metrics");
        assert_eq!(line, "HTTP/1.1 200 OK");
        let differs = wanted.iter().find(|(series, wanted)| value(&metrics, series) != *wanted);
        let Some(differs) = differs else { break metrics };
        assert!(Instant::now() < until, "{differs:?} in {metrics}");
        thread::sleep(Duration::from_millis(20));
    };
    assert!(value(&metrics, "chatserver_commit_seconds_count") >= 1.0);
    assert!(value(&metrics, "chatserver_received_bytes_total") > 100.0);
    assert!(value(&metrics, "process_resident_memory_bytes") > 1e6);
    assert!(metrics.ends_with("# EOF\n"));
    drop(ann);
    let until = Instant::now() + PATIENCE;
    while value(&get(address, "/metrics").1, "chatserver_connections_closed_total") < 1.0 {
        assert!(Instant::now() < until);
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn probes_and_the_status_page_are_answered_and_nothing_else() {
    let server = Server::start(&LISTENING);
    let (operators, public) = (ops(&server), printed(&server, "web:"));
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(operators, path), ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
        assert_eq!(asked(operators, "HEAD", path, "").1, "");
    }
    let (_, json) = asked(operators, "GET", "/status", "Accept: application/json\r\n");
    let status: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&status["ready"], &status["redis"]), (&true.into(), &serde_json::Value::Null));
    let (_, page) = get(operators, "/status");
    assert!(
        page.starts_with("<!doctype html>") && page.contains("ready") && page.contains("Running for"),
        "{page}"
    );
    assert!(get(operators, "/").1.contains("Running for"));

    assert!(get(public, "/").1.contains("chat server"));
    // Metrics are for operators.
    for path in ["/metrics", "/status", "/readyz", "/nothing"] {
        assert_eq!(get(public, path).0, "HTTP/1.1 404 Not Found");
    }
    assert_eq!(asked(public, "DELETE", "/nothing", "").0, "HTTP/1.1 404 Not Found");
    let request = "POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    let answer = answered(operators, request.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("\r\nAllow: GET, HEAD\r\n"), "{answer}");
}

#[test]
fn prometheus_scrapes_the_server_and_accepts_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let rules = root.join("conf/prometheus/chatserver.rules.yml").canonicalize().unwrap();
    let check =
        Command::new(find("promtool", MISSING)).args(["check", "rules"]).arg(&rules).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));

    let server = Server::start(&LISTENING);
    let _ann = Client::join(server.address, "ann");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s}}\nrule_files: [\"{}\"]\nscrape_configs:\n\
         - {{job_name: chatserver, static_configs: [{{targets: [\"{}\"]}}]}}\n",
        rules.display(),
        ops(&server)
    );
    fs::write(&config, text).unwrap();
    let prometheus = Service::start("prometheus", &find("prometheus", MISSING), folder.path(), |address| {
        [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", folder.path().join("data").display()),
            format!("--web.listen-address={address}"),
        ]
        .into()
    });
    let ask = |query: &str| {
        let (_, body) = get(prometheus.address, &format!("/api/v1/query?query={query}"));
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    let until = Instant::now() + PATIENCE;
    for (query, wanted) in [
        ("up", "1"),
        ("chatserver_ready", "1"),
        ("chatserver_sessions", "1"),
        ("chatserver_requests_total%7Berrno=%22INTERNAL%22%7D", "0"),
        ("chatserver_commit_seconds_bucket%7Ble=%22%2BInf%22%7D%20%3E%20bool%200", "1"),
    ] {
        while ask(query).as_deref() != Some(wanted) {
            assert!(Instant::now() < until, "{query}: {:?}", ask(query));
            thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn a_server_is_not_ready_while_its_database_is_away() {
    let mut database = MariaDb::start(&[]);
    let url = format!("storage.url={}", database.url(&database.new_name()));
    let server = Server::start(&[&LISTENING[..], &["--set", &url]].concat());
    let address = ops(&server);
    wait_for(address, "/readyz", "200");
    database.kill9();
    // Nobody asks for anything: the server finds out by itself.
    let why = wait_for(address, "/readyz", "503");
    assert_eq!(why, "the database is unreachable or refuses writes\n");
    assert_eq!(get(address, "/healthz").0, "HTTP/1.1 200 OK", "a restart would not help");
    assert_eq!(value(&get(address, "/metrics").1, "chatserver_storage_up"), 0.0);
    database.restart();
    wait_for(address, "/readyz", "200");
}

#[test]
fn a_lost_connection_to_the_database_is_not_an_outage() {
    let database = MariaDb::start(&[]);
    let url = format!("storage.url={}", database.url(&database.new_name()));
    let server = Server::start(&[&LISTENING[..], &["--set", &url]].concat());
    let address = ops(&server);
    wait_for(address, "/readyz", "200");
    let mut killer = database.connect().unwrap();
    for _ in 0..20 {
        let own: u64 = killer.query_first("SELECT CONNECTION_ID()").unwrap().unwrap();
        let all: Vec<u64> = killer.query("SELECT id FROM information_schema.processlist").unwrap();
        for id in all.into_iter().filter(|&id| id != own) {
            // It may have ended by itself.
            let _ = killer.query_drop(format!("KILL {id}"));
        }
        assert_eq!(get(address, "/readyz").0, "HTTP/1.1 200 OK");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_pause_of_the_process_is_no_hanging_thread() {
    let server =
        Server::start_wrapped(&["env", "NOTIFY_SOCKET=/nonexistent", "WATCHDOG_USEC=2000000"], 0, &LISTENING);
    let address = ops(&server);
    assert_eq!(get(address, "/healthz").0, "HTTP/1.1 200 OK");
    server.freeze();
    thread::sleep(Duration::from_secs(3));
    let asking = thread::spawn(move || get(address, "/healthz").0);
    server.thaw();
    assert_eq!(asking.join().unwrap(), "HTTP/1.1 200 OK");
}

#[test]
fn hostile_requests_cost_nobody_else_anything() {
    let server = Server::start(&LISTENING);
    let address = printed(&server, "web:");
    // One byte at a time would keep each of these for 10 s.
    let slow: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: h").unwrap();
            stream
        })
        .collect();
    for (head, status) in [
        (
            &b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                [..],
            "400",
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "400"),
        (b"GET http://other/ HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        (&[b'x'; 20_000], "400"),
        (&b"\r\n".repeat(9_000), "400"),
    ] {
        let answer = answered(address, head);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
    // Operators are answered meanwhile, and so is a client that stops sending after its requests.
    assert_eq!(get(ops(&server), "/healthz").0, "HTTP/1.1 200 OK");
    let mut pipelined = TcpStream::connect(address).unwrap();
    pipelined.write_all(&b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(200)).unwrap();
    pipelined.shutdown(std::net::Shutdown::Write).unwrap();
    let mut all = String::new();
    pipelined.read_to_string(&mut all).unwrap();
    assert_eq!(all.matches("HTTP/1.1 200 OK").count(), 200);
    // They are refused after 10 s, with a reason.
    let mut patient = slow;
    let mut first = patient.swap_remove(0);
    first.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let (mut ann, anns) = Client::join(server.address, "ann");
    ann.send(Target::User(anns.id), "hello");
}

#[test]
fn a_default_address_that_is_taken_is_warned_of_and_any_other_is_an_error() {
    // Either this test has them now, or another program.
    let _taken: Vec<_> = [6080, 6081].map(|port| TcpListener::bind(("127.0.0.1", port))).into();
    let defaults = ["--set", "http.listen=127.0.0.1:6080", "--set", "ops.listen=127.0.0.1:6081"];
    let server = Server::start(&defaults);
    server.wait_for_log("http.listen: 127.0.0.1:6080 is already in use");
    server.wait_for_log("ops.listen: 127.0.0.1:6081 is already in use");
    assert!(!server.stdout().contains("http://"), "{}", server.stdout());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let setting = format!("ops.listen={}", taken.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--set", "http.listen=", "--set", &setting, "127.0.0.1", "0"];
    let output = Command::new(programs::chatserver()).args(arguments).current_dir(&folder).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("chatserver: ops.listen: ") && said.contains(" is already in use"), "{said}");
}
