//! WebSocket at `/ws`: the chat protocol by an independent client (tungstenite), what is refused, and hostile frames.

use crate::encryption::{NAMES, path, script, start, with};
use crate::starts::set;
use crate::support::certificates::Authority;
use crate::support::web_nginx::WebNginx;
use crate::support::{Client, PATIENCE, Server, programs};
use crate::web::{listening, web};
use rustix::process::Signal;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command as Process;
use std::thread;
use std::time::Duration;
use tungstenite::Message as Frame;
use tungstenite::protocol::{Role, WebSocket};
use wire::frame::put_frame;
use wire::kind::request;
use wire::{Push, Seq, Target, session, split_frame};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A server with WebSocket and these settings beside it.
pub(crate) fn server(settings: &[[String; 2]]) -> Server {
    start(&[settings, &[listening()]].concat())
}

/// A client whose frames pass through a WebSocket of tungstenite, each as a message of its own.
pub(crate) fn connect(address: SocketAddr) -> Client {
    connect_with(address, "")
}

/// The same, whose upgrade has these fields besides.
pub(crate) fn connect_with(address: SocketAddr, fields: &str) -> Client {
    let socket = open_with(address, fields);
    socket.set_read_timeout(None).unwrap();
    let mut reading = WebSocket::from_raw_socket(socket.try_clone().unwrap(), Role::Client, None);
    let mut writing = WebSocket::from_raw_socket(socket, Role::Client, None);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far = listener.accept().unwrap().0;
    let (mut from, mut to) = (far.try_clone().unwrap(), far);
    thread::spawn(move || {
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; 65_536]);
        while let Ok(length) = from.read(&mut buffer)
            && length > 0
        {
            bytes.extend_from_slice(&buffer[..length]);
            while let Some((_, used)) = split_frame(&bytes, usize::MAX).unwrap() {
                let frame: Vec<u8> = bytes.drain(..used).collect();
                if writing.send(Frame::binary(frame)).is_err() {
                    return;
                }
            }
        }
        let _ = writing.get_ref().shutdown(std::net::Shutdown::Both);
    });
    thread::spawn(move || {
        while let Ok(message) = reading.read() {
            match message {
                Frame::Binary(bytes) => {
                    let (_, length) = split_frame(&bytes, usize::MAX).unwrap().expect("a whole frame");
                    assert_eq!(length, bytes.len(), "a message is one frame");
                    if to.write_all(&bytes).is_err() {
                        break;
                    }
                }
                Frame::Close(_) => break,
                other => panic!("{other:?}"),
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    Client::over(near).unwrap()
}

/// The answer to an upgrade with these fields, and the connection behind it.
fn ask(address: SocketAddr, method: &str, fields: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{method} /ws HTTP/1.1\r\nHost: {address}\r\n{fields}\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    (String::from_utf8(head).unwrap(), stream)
}

/// The fields of a right upgrade.
fn right() -> String {
    format!(
        "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: {KEY}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: other, chat.1\r\n"
    )
}

fn open(address: SocketAddr) -> TcpStream {
    open_with(address, "")
}

/// The status of an upgrade that has these fields besides.
pub(crate) fn upgrade_status(address: SocketAddr, fields: &str) -> u16 {
    let (head, _) = ask(address, "GET", &(right() + fields));
    head[9..12].parse().unwrap()
}

fn open_with(address: SocketAddr, fields: &str) -> TcpStream {
    let (head, stream) = ask(address, "GET", &(right() + fields));
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    // RFC 6455, 1.3.
    assert!(head.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    assert!(head.contains("\r\nSec-WebSocket-Protocol: chat.1\r\n"), "{head}");
    stream
}

/// A frame with this first byte, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut bytes = vec![first];
    match payload.len() {
        length @ ..=125 => bytes.push(0x80 | length as u8),
        length => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The next frame of the server: its first byte and its payload.
fn next(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let length = match head[1] {
        126 => {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            u16::from_be_bytes(length).into()
        }
        length => usize::from(length),
    };
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).unwrap();
    (head[0], payload)
}

/// The code of the close that comes, after which the connection ends.
fn closed_with(stream: &mut TcpStream) -> u16 {
    loop {
        let (first, payload) = next(stream);
        if first == 0x88 {
            assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "nothing follows a close");
            return u16::from_be_bytes([payload[0], payload[1]]);
        }
    }
}

/// A request of a client that has not logged in.
fn nodes() -> Vec<u8> {
    let mut bytes = Vec::new();
    put_frame(&mut bytes, request::NODES, 7, |_| {});
    bytes
}

#[test]
fn a_chat_by_websocket_is_a_chat_by_tcp() {
    let server = server(&[]);
    let mut ann = connect(web(&server));
    let account = ann.register("ann");
    ann.login(&account);
    let (mut bob, bobs) = Client::join(server.address, "bob");
    ann.send(Target::User(bobs.id), "hello");
    assert_eq!(&*bob.message().content, "hello");
    let long = "x".repeat(32_000);
    bob.send(Target::User(account.id), &long);
    assert_eq!(&*ann.message().content, &*long);
    ann.heartbeat(account.id);
    let group = ann.create_group("all");
    for number in 0..200 {
        ann.send(Target::Conversation(group), &number.to_string());
    }
    let stored = ann.history(group, Seq(0));
    assert_eq!(stored.iter().filter(|entry| entry.is_message()).count(), 200);
    // A login elsewhere ends this one with a push, and a close.
    let mut other = connect(web(&server));
    other.login(&account);
    ann.push(PATIENCE, |push| matches!(push, Push::Session(session::Push::Kicked(_))).then_some(()));
    ann.wait_closed(PATIENCE);
}

#[test]
fn an_upgrade_is_refused_where_it_must_be() {
    let server = server(&[set("http.origins", r#"["https://intranet.example"]"#)]);
    let address = web(&server);
    let with = |field: &str| format!("{}{field}\r\n", right());
    let without = |name: &str| -> String {
        right().lines().filter(|line| !line.starts_with(name)).map(|line| format!("{line}\r\n")).collect()
    };
    let instead = |from: &str, to: &str| right().replace(from, to);
    for (method, fields, status) in [
        ("GET", right(), "101"),
        ("GET", with(&format!("Origin: http://{address}")), "101"),
        ("GET", with(&format!("Origin: https://{address}")), "101"),
        ("GET", with("Origin: https://intranet.example"), "101"),
        ("GET", with("Origin: http://intranet.example"), "403"),
        ("GET", with("Origin: http://evil.example"), "403"),
        ("GET", with("Origin: http://127.0.0.1"), "403"),
        ("GET", with("Origin: null"), "403"),
        ("GET", with("Origin: "), "403"),
        ("GET", with("Origin: http://evil.example\r\nOrigin: http://evil.example"), "400"),
        ("GET", without("Sec-WebSocket-Protocol"), "400"),
        ("GET", instead("chat.1", "chat.10"), "400"),
        ("GET", instead(KEY, "short"), "400"),
        ("GET", without("Sec-WebSocket-Key"), "400"),
        ("GET", instead("Version: 13", "Version: 8"), "426"),
        ("GET", without("Upgrade"), "426"),
        ("GET", without("Connection"), "426"),
        ("GET", instead("WebSocket\r\n", "h2c\r\n"), "426"),
        ("POST", with("Content-Length: 0"), "405"),
        ("HEAD", right(), "405"),
        ("GET", with("Content-Length: 5\r\n\r\nhello"), "400"),
    ] {
        let (head, _) = ask(address, method, &fields);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{fields}: {head}");
    }
}

#[test]
fn hostile_frames_end_their_own_connection_with_the_right_code() {
    let server = server(&[]);
    let address = web(&server);
    let mut unmasked = vec![0x82, nodes().len() as u8];
    unmasked.extend(nodes());
    let half = &nodes()[..11];
    let huge = [&[0x82, 0xff][..], &[0x7f; 8], &[0; 4]].concat();
    let endless = [frame(0x02, &[0; 5_000]), frame(0x00, &[0; 4_000])].concat();
    let long_ping = frame(0x89, &[0; 126]);
    for (bytes, code) in [
        (unmasked, 1002),
        (frame(0xc2, &nodes()), 1002),
        (frame(0x83, b""), 1002),
        (frame(0x09, b""), 1002),
        (long_ping, 1002),
        (frame(0x80, &nodes()), 1002),
        ([frame(0x02, half), frame(0x82, half)].concat(), 1002),
        (frame(0x88, b"x"), 1002),
        (frame(0x81, b"hello"), 1003),
        (frame(0x01, b""), 1003),
        (frame(0x82, b""), 1007),
        (frame(0x82, half), 1007),
        (frame(0x82, &[nodes(), nodes()].concat()), 1007),
        (frame(0x82, b"GET / HTTP/1.1"), 1007),
        (huge, 1009),
        (endless, 1009),
        (frame(0x82, &[0; 9_000]), 1009),
        (frame(0x88, &1000_u16.to_be_bytes()), 1000),
    ] {
        let mut stream = open(address);
        // Behind a right message.
        stream.write_all(&[frame(0x82, &nodes()), bytes.clone()].concat()).unwrap();
        assert_eq!(closed_with(&mut stream), code, "{bytes:?}");
    }
    // Bytes behind the upgrade are of the WebSocket, also in the same packet and one by one.
    let (_, mut eager) = {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("GET /ws HTTP/1.1\r\nHost: h\r\n{}\r\n", right());
        stream.write_all(&[head.as_bytes(), &frame(0x89, b"early")].concat()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        (head, stream)
    };
    assert_eq!(next(&mut eager), (0x8a, b"early".to_vec()));
    let fragments = [frame(0x02, &nodes()[..5]), frame(0x89, b"mid"), frame(0x80, &nodes()[5..])].concat();
    fragments.iter().for_each(|byte| eager.write_all(&[*byte]).unwrap());
    assert_eq!(next(&mut eager), (0x8a, b"mid".to_vec()));
    let (first, reply) = next(&mut eager);
    assert_eq!((first, &reply[..4]), (0x82, &[0x43, 0x01, 0x80, request::NODES as u8][..]));
    let mut ann = connect(address);
    ann.register("ann");
}

#[test]
fn a_client_that_does_not_read_is_not_read_either() {
    let server = server(&[]);
    let mut stream = open(web(&server));
    stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let pings = frame(0x89, &[0; 125]).repeat(500);
    let mut written = 0;
    let error = loop {
        match stream.write(&pings) {
            Ok(length) => written += length,
            Err(error) => break error,
        }
        assert!(written < 64 << 20, "the server reads on");
    };
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    // It reads on with what the client reads.
    thread::spawn(move || drop(std::io::copy(&mut stream, &mut std::io::sink())));
    let mut ann = connect(web(&server));
    ann.register("ann");
}

#[test]
fn a_server_that_stops_says_so_and_a_crash_loses_nothing() {
    let mut server = Server::start_at_fixed_port(&["--set", "http.listen=127.0.0.1:0"]);
    let mut ann = connect(web(&server));
    let account = ann.register("ann");
    ann.login(&account);
    let group = ann.create_group("kept");
    let sent = ann.send(Target::Conversation(group), "kept");
    server.kill9();
    ann.wait_closed(PATIENCE);
    server.restart();
    let mut again = connect(web(&server));
    again.login(&account);
    let stored = again.history(group, Seq(sent.seq.0 - 1));
    assert_eq!(&*stored[0].content, "kept");

    let mut idle = open(web(&server));
    server.signal(Signal::TERM);
    assert_eq!(closed_with(&mut idle), 1001);
    again.wait_closed(PATIENCE);
    assert!(server.wait(PATIENCE).success());
}

/// Runs chatbench against this address, which must account for every message.
fn bench(address: &str, ca: Option<&str>) {
    for options in [
        "pairs --pairs 4 --window 8 --size 12000 --seconds 1 --warmup 0.2",
        "group --groups 1 --members 20 --window 4 --size 64 --seconds 1 --warmup 0.2",
        "login --count 8 --window 4 --seconds 1 --warmup 0.2",
    ] {
        let mut bench = Process::new(programs::chatbench());
        bench.args(options.split(' ')).args(["--address", address]);
        let output = bench.args(ca.map(|file| ["--ca", file]).iter().flatten()).output().unwrap();
        assert!(output.status.success(), "{address} {options}: {output:?}");
    }
}

#[test]
fn the_programs_chat_by_websocket_over_tls_and_behind_nginx() {
    let authority = Authority::new();
    let identity = authority.issue(&NAMES);
    let mut settings = with(&identity);
    settings.push(set("http.proxies", r#"["127.0.0.1"]"#));
    settings.push(set("log.level", "debug"));
    let server = server(&settings);
    let (address, file) = (web(&server), authority.file());
    // The terminal client, as a script.
    let ca = ["--ca", path(&file)];
    for (scheme, options) in [("ws", &[][..]), ("wss", &ca[..])] {
        let there = format!("{scheme}://localhost:{}", address.port());
        let (code, said) = script(&there, &format!("user of {scheme}"), options);
        assert_eq!(code, Some(0), "{said}");
    }
    let (code, said) = script(&format!("wss://localhost:{}", address.port()), "nobody", &[]);
    assert_ne!(code, Some(0), "the authority is not trusted: {said}");
    bench(&format!("ws://127.0.0.1:{}", address.port()), None);
    bench(&format!("wss://localhost:{}", address.port()), Some(path(&file)));
    let nginx = WebNginx::start(address, &identity);
    bench(&format!("wss://localhost:{}", nginx.address.port()), Some(path(&file)));
}
