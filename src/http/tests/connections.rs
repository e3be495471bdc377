//! A listener over real sockets: whom it counts connections against, and clients that are slow or hostile in TLS.

#![allow(clippy::unwrap_used, reason = "test support")]

use http::{Encryption, Http, Limits, LogicLink, Service, Settings, Upgraded, WebSockets};
use rcgen::{CertificateParams, KeyPair};
use runtime::queue::{Bell, queue};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;
use tls::{Acceptor, Client, Identity, Layer, TlsRequired, Trust};

/// How long a test waits for anything before it fails.
const PATIENCE: Duration = Duration::from_secs(60);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Takes over connections, or is full.
struct Adopted(Option<Sender<Upgraded>>);

impl WebSockets for Adopted {
    fn has_room(&self) -> bool {
        self.0.is_some()
    }

    fn adopt(&self, upgraded: Upgraded) {
        self.0.as_ref().unwrap().send(upgraded).unwrap();
    }
}

fn limits(per_address: usize) -> Limits {
    Limits { connections: 100, per_address }
}

fn start(settings: Settings) -> (Http, SocketAddr) {
    start_with(settings, None)
}

fn start_with(settings: Settings, adopts: Option<Sender<Upgraded>>) -> (Http, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (to_logic, _) = queue(1, &Arc::new(Bell::new()));
    let service = Service::Site(LogicLink { number: 1, to_logic }, Box::new(Adopted(adopts)));
    (http::start("http", listener, settings, service).unwrap(), address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A certificate of its own, and what trusts it.
fn secure(required: TlsRequired) -> (Settings, Trust) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let identity = Identity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, certificate.pem()).unwrap();
    let acceptor = Acceptor::new(identity).unwrap();
    let encryption = Some(Encryption { acceptor, required });
    (Settings { encryption, ..Settings::plain(limits(100)) }, Trust::of_file("ca", &file).unwrap())
}

/// What the server answers over TLS until it ends the connection.
fn rest(layer: &mut Layer<Client>, stream: &mut TcpStream) -> String {
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match layer.read(stream, &mut buffer) {
            Ok(0) => return String::from_utf8(answer).unwrap(),
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A stream that passes on a byte at a time.
struct Dribble(TcpStream);

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Dribble {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_connection_counts_against_the_client_that_a_proxy_names() {
    let proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let (http, address) = start(Settings { proxies, ..Settings::plain(limits(2)) });
    let open = |client: &str| {
        let mut stream = connect(address);
        stream.write_all(format!("PROXY TCP4 {client} 10.0.0.1 1 2\r\n").as_bytes()).unwrap();
        stream
    };
    let is_served = |stream: &mut TcpStream| {
        // The server may have closed it already.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        let mut first = [0; 12];
        match stream.read_exact(&mut first) {
            Ok(()) => first == *b"HTTP/1.1 200",
            Err(_) => false,
        }
    };
    let mut of_one: Vec<TcpStream> = (0..2).map(|_| open("192.0.2.7")).collect();
    assert!(of_one.iter_mut().all(is_served));
    assert!(!is_served(&mut open("192.0.2.7")), "a third connection of the same client");
    assert!(is_served(&mut open("192.0.2.8")));
    // Room that is given back can be used again.
    drop(of_one.pop());
    let until = std::time::Instant::now() + PATIENCE;
    while !is_served(&mut open("192.0.2.7")) {
        assert!(std::time::Instant::now() < until, "the connection that ended still counts");
    }
    // The proxy's own connections do not count, with or without a header.
    let mut own: Vec<TcpStream> = (0..5).map(|_| connect(address)).collect();
    assert!(own.iter_mut().all(is_served));
    let mut posts = connect(address);
    posts.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n").unwrap();
    let mut first = [0; 12];
    posts.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 405", "it begins like a header");
    let mut bad = connect(address);
    bad.write_all(b"PROXY TCP9 \r\n").unwrap();
    assert_eq!(bad.read(&mut [0; 16]).unwrap_or(0), 0);
    http.stop();
}

#[test]
fn tls_may_come_byte_by_byte_and_behind_a_proxy_header() {
    let (mut settings, trust) = secure(TlsRequired::Always);
    settings.proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let (http, address) = start(settings);
    for header in [&b""[..], b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n"] {
        let mut stream = Dribble(connect(address));
        header.iter().for_each(|byte| stream.write_all(&[*byte]).unwrap());
        let mut layer = Layer::connect(&trust, "localhost").unwrap();
        while !layer.continue_handshake(&mut stream).unwrap() {}
        let mut sent = 0;
        while sent < GET.len() || layer.unsent() > 0 {
            sent += layer.write(&mut stream, &GET[sent..]).unwrap();
        }
        let answer = rest(&mut layer, &mut stream.0);
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("</html>\n"), "{answer}");
    }
    http.stop();
}

#[test]
fn what_is_no_tls_is_answered_with_an_alert_and_the_server_serves_on() {
    let (settings, trust) = secure(TlsRequired::Never);
    let (http, address) = start(settings);
    for bytes in [
        b"\x16\x03\x01\x00\x05hello".to_vec(),
        [b"\x16\x03\x01\x40\x00".to_vec(), vec![0; 16_384]].concat(),
        vec![0x16; 100_000],
    ] {
        let mut hostile = connect(address);
        // The server may end the connection before it has everything.
        let _ = hostile.write_all(&bytes);
        let mut said = Vec::new();
        let _ = hostile.read_to_end(&mut said);
        assert!(!said.starts_with(b"HTTP"), "{said:?}");
    }
    // Inside TLS, nothing else is TLS.
    let mut stream = connect(address);
    let mut layer = Layer::connect(&trust, "localhost").unwrap();
    while !layer.continue_handshake(&mut stream).unwrap() {}
    layer.write(&mut stream, b"\x16\x03\x01\r\n\r\n").unwrap();
    assert!(rest(&mut layer, &mut stream).starts_with("HTTP/1.1 400 Bad Request"));
    let mut plain = connect(address);
    plain.write_all(GET).unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    http.stop();
}

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat.1\r\n\r\n";

#[test]
fn an_upgraded_connection_is_handed_over_with_what_came_behind_and_what_was_not_sent() {
    let (sender, adopted) = mpsc::channel();
    let (http, address) = start_with(Settings::plain(limits(2)), Some(sender));
    for piece in [1, 7, usize::MAX] {
        let mut stream = connect(address);
        let bytes = [b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", UPGRADE, b"behind"].concat();
        for piece in bytes.chunks(piece.min(bytes.len())) {
            stream.write_all(piece).unwrap();
        }
        let Upgraded { client, session, received, output, stream: mut adopted_stream, tls } =
            adopted.recv_timeout(PATIENCE).unwrap();
        assert_eq!((client, tls.is_none(), session), (stream.local_addr().unwrap(), true, None));
        // What is not in `received` is still in the socket.
        let mut rest = received;
        while rest.len() < b"behind".len() {
            let mut buffer = [0; 16];
            match adopted_stream.read(&mut buffer) {
                Ok(length) => rest.extend_from_slice(&buffer[..length]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        assert_eq!(rest, b"behind");
        drop(adopted_stream);
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        said.extend_from_slice(&output);
        let said = String::from_utf8(said).unwrap();
        let (page, switched) = said.split_once("</html>\n").expect(&said);
        assert!(page.starts_with("HTTP/1.1 200 OK"), "{said}");
        assert!(switched.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{said}");
        assert!(switched.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{said}");
        assert!(switched.ends_with("\r\n\r\n"), "{said}");
    }
    http.stop();
    let (http, address) = start(Settings::plain(limits(2)));
    let mut stream = connect(address);
    stream.write_all(UPGRADE).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 503");
    http.stop();
}

#[test]
fn an_upgrade_that_is_not_websocket_is_told_what_is() {
    let (http, address) = start(Settings::plain(limits(2)));
    let old = String::from_utf8(UPGRADE.to_vec()).unwrap().replace("Version: 13", "Version: 8");
    for request in ["GET /ws HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", &old] {
        let mut stream = connect(address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
        for field in ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"] {
            assert!(answer.contains(&format!("\r\n{field}\r\n")), "{field}: {answer}");
        }
    }
    http.stop();
}
