//! Connections with TLS: a client of another implementation of the protocol's machine (rustls's buffered one), good and
//! hostile.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, StreamOwned};
use rustls::{SupportedProtocolVersion, version};
use socket2::{Domain, Socket, Type};
use std::net::Shutdown;
use tls::{Acceptor, Identity};
use wire::Dialect;

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 6000\r\n";
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0f\xc0\x00\x02\x07\xc6\x33\x64\x01\xdc\x04\x17\x70\x04\x00\x00";
/// An alert record of TLS 1.2 and 1.3 that is not encrypted.
const ALERT: u8 = 0x15;

/// An authority, and what trusts it.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    roots: RootCertStore,
}

impl Authority {
    pub(super) fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
        Authority { issuer: Issuer::new(params, key), roots }
    }

    pub(super) fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        Identity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let mut config = builder.with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(8);
        Arc::new(config)
    }
}

/// A server with a certificate for `chat.example`, and its authority.
pub(super) fn secure(
    required: TlsRequired,
    change: impl FnOnce(&mut NetConfig),
) -> (Harness, Authority, Acceptor) {
    let authority = Authority::new();
    let acceptor = Acceptor::new(authority.issue("chat.example")).unwrap();
    let tls = TlsConfig { acceptor: acceptor.clone(), required, legacy_plain: true };
    let mut config = NetConfig { tls: Some(tls), ..NetConfig::default() };
    change(&mut config);
    (Harness::start(config), authority, acceptor)
}

fn both_versions() -> [&'static SupportedProtocolVersion; 2] {
    [&version::TLS13, &version::TLS12]
}

/// A client on a blocking socket.
struct SecureClient {
    stream: StreamOwned<ClientConnection, TcpStream>,
    bytes: Vec<u8>,
}

impl SecureClient {
    fn connect(address: SocketAddr, config: &Arc<ClientConfig>, name: &'static str) -> SecureClient {
        SecureClient::after(address, b"", config, name)
    }

    /// With this before TLS.
    fn after(
        address: SocketAddr,
        before: &[u8],
        config: &Arc<ClientConfig>,
        name: &'static str,
    ) -> SecureClient {
        let mut socket = Client::connect(address).stream;
        socket.write_all(before).unwrap();
        SecureClient::over(socket, config, name)
    }

    fn over(socket: TcpStream, config: &Arc<ClientConfig>, name: &'static str) -> SecureClient {
        let name = ServerName::try_from(name).unwrap();
        let session = ClientConnection::new(Arc::clone(config), name).unwrap();
        SecureClient { stream: StreamOwned::new(session, socket), bytes: Vec::new() }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
        self.stream.flush().unwrap();
    }

    /// The type, number and value of the next frame.
    fn frame(&mut self) -> (u16, u32, Vec<u8>) {
        next_frame(&mut self.bytes, |buffer| self.stream.read(buffer))
    }

    /// Expects the announced end of the output (close_notify); an end without it is an error of the library.
    fn end(&mut self) {
        assert_eq!(self.stream.read(&mut [0; 64]).unwrap(), 0);
    }

    /// Exchanges bytes until the handshake is over.
    fn shake_hands(&mut self) {
        let StreamOwned { conn, sock } = &mut self.stream;
        conn.complete_io(sock).unwrap();
    }
}

impl Harness {
    fn secure_login(&mut self, mut client: SecureClient, user: u32) -> (SecureClient, ConnId) {
        client.send(&login(1));
        let conn = self.opened();
        assert_eq!(self.request().0, conn);
        self.order(conn, vec![Order::LoggedIn { conn, user: UserId(user) }, done(conn, request::LOGIN, 1)]);
        assert_eq!(client.frame().1, 1);
        (client, conn)
    }
}

#[test]
fn requests_replies_and_pushes_are_the_same_over_tls() {
    for version in both_versions() {
        let (mut harness, authority, _) = secure(TlsRequired::Always, |_| {});
        let config = authority.client(&[version]);
        let client = SecureClient::connect(harness.address, &config, "chat.example");
        let (mut client, conn) = harness.secure_login(client, 3);
        client.send(&[send(2, "one"), send(3, "two")].concat());
        assert_eq!([harness.request().1, harness.request().1], [2, 3]);
        harness.order(conn, vec![done(conn, request::SEND, 2), done(conn, request::SEND, 3)]);
        assert_eq!([client.frame().1, client.frame().1], [2, 3]);
        harness.push(conn, Push::Message(message::Push::New(message("hi"))));
        assert_eq!(client.frame().1, 0);
        // The server ends it.
        harness.order(conn, vec![Order::Close { conn, reason: logic::DisconnectReason::Kicked }]);
        client.end();
        drop(client);
        assert_eq!(harness.closed(), conn);
        harness.wait_for_connections(0);
        harness.stop();
    }
}

#[test]
fn records_of_the_greatest_length_and_output_of_megabytes_arrive_whole() {
    let (mut harness, authority, _) = secure(TlsRequired::Always, |_| {});
    let client =
        SecureClient::connect(harness.address, &authority.client(&[&version::TLS13]), "chat.example");
    let (mut client, conn) = harness.secure_login(client, 3);
    // Several records of 16,384 bytes in one write, and requests across their borders.
    let long = "x".repeat(16_000);
    let requests: Vec<u8> = (2..42).flat_map(|number| send(number, &long)).collect();
    client.send(&requests);
    for number in 2..42 {
        assert_eq!(harness.request().1, number);
        harness.order(conn, vec![done(conn, request::SEND, number)]);
    }
    // More than the kernel's buffers hold, for a client that does not read at first.
    let content = "y".repeat(100_000);
    harness.order(
        conn,
        (0..60)
            .map(|_| Order::Push { conn, push: Push::Message(message::Push::New(message(&content))) })
            .collect(),
    );
    (2..42).for_each(|number| assert_eq!(client.frame().1, number));
    for _ in 0..60 {
        let (kind, _, value) = client.frame();
        let Some(Push::Message(message::Push::New(push))) = Push::decode(kind, &value).unwrap() else {
            panic!("not a message");
        };
        assert!(*push.content == *content);
    }
    harness.order(conn, vec![Order::NotifyDrained { conn }]);
    assert!(matches!(harness.next(), Input::Drained { .. }));
    harness.stop();
}

#[test]
fn a_handshake_may_come_byte_by_byte_and_behind_a_proxy_header() {
    let trust = |config: &mut NetConfig| config.proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let (mut harness, authority, _) = secure(TlsRequired::Always, trust);
    let config = authority.client(&both_versions());
    for header in [&b""[..], V1, V2] {
        let mut client = SecureClient::connect(harness.address, &config, "chat.example");
        let StreamOwned { conn: session, sock: socket } = &mut client.stream;
        let mut first = header.to_vec();
        session.write_tls(&mut first).unwrap();
        first.iter().for_each(|byte| socket.write_all(&[*byte]).unwrap());
        while session.is_handshaking() {
            session.read_tls(socket).unwrap();
            session.process_new_packets().unwrap();
            let mut flight = Vec::new();
            while session.wants_write() {
                session.write_tls(&mut flight).unwrap();
            }
            flight.iter().for_each(|byte| socket.write_all(&[*byte]).unwrap());
        }
        let mut records = Vec::new();
        session.writer().write_all(&send(7, "hi")).unwrap();
        session.write_tls(&mut records).unwrap();
        records.iter().for_each(|byte| socket.write_all(&[*byte]).unwrap());
        match harness.next() {
            Input::Opened { peer, dialect, .. } => {
                let expected = if header.is_empty() { "127.0.0.1" } else { "192.0.2.7" };
                assert_eq!((peer.to_string().as_str(), dialect), (expected, Dialect::Tlv));
            }
            other => panic!("expected Opened, got {other:?}"),
        }
        assert_eq!(harness.request().1, 7);
        drop(client);
        harness.closed();
    }
    harness.stop();
}

#[test]
fn a_client_that_has_ended_its_output_still_gets_all_of_its_own() {
    let (mut harness, authority, _) = secure(TlsRequired::Always, |_| {});
    // From what the kernel takes to more than that: with some of these lengths, TLS has taken all that is left.
    for pieces in 1..=20 {
        let version = both_versions()[pieces % 2];
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        socket.connect(&harness.address.into()).unwrap();
        let client = SecureClient::over(socket.into(), &authority.client(&[version]), "chat.example");
        let (mut client, conn) = harness.secure_login(client, 3);
        let content = "z".repeat(20_000);
        let push = || Order::Push { conn, push: Push::Message(message::Push::New(message(&content))) };
        harness.order(conn, (0..pieces).map(|_| push()).collect());
        // The reactor has written what it could.
        client.stream.sock.peek(&mut [0; 1]).unwrap();
        client.stream.conn.send_close_notify();
        let StreamOwned { conn: session, sock: socket } = &mut client.stream;
        session.write_tls(socket).unwrap();
        for _ in 0..pieces {
            assert!(client.frame().2.len() > content.len());
        }
        client.end();
        assert_eq!(harness.closed(), conn);
    }
    harness.stop();
}

#[test]
fn a_hello_of_a_client_that_has_ended_its_output_costs_nothing() {
    let (mut harness, authority, _) = secure(TlsRequired::Always, |_| {});
    let config = authority.client(&both_versions());
    for _ in 0..60 {
        let mut client = SecureClient::connect(harness.address, &config, "chat.example");
        let mut hello = Vec::new();
        client.stream.conn.write_tls(&mut hello).unwrap();
        client.stream.sock.write_all(&hello).unwrap();
        client.stream.sock.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = client.stream.sock.read_to_end(&mut answer);
    }
    harness.wait_for_connections(0);
    assert!(harness.next_within(Duration::ZERO).is_none());
    // The reactor still serves; it would have ended if a handshake had gone on beside the queue.
    let client = SecureClient::connect(harness.address, &config, "chat.example");
    harness.secure_login(client, 3);
    harness.stop();
}

#[test]
fn one_address_with_many_handshakes_does_not_hold_up_another() {
    let trust = |config: &mut NetConfig| config.proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let (harness, authority, _) = secure(TlsRequired::Always, trust);
    let config = authority.client(&both_versions());
    let hello = |address: &str| {
        let header = format!("PROXY TCP4 {address} 198.51.100.1 56324 6000\r\n");
        let mut client = SecureClient::after(harness.address, header.as_bytes(), &config, "chat.example");
        let mut hello = Vec::new();
        client.stream.conn.write_tls(&mut hello).unwrap();
        (client, hello)
    };
    let mut many: Vec<_> = (0..300).map(|_| hello("192.0.2.7")).collect();
    let (mut one, first) = hello("192.0.2.8");
    for (client, hello) in &mut many {
        client.stream.sock.write_all(hello).unwrap();
    }
    one.stream.sock.write_all(&first).unwrap();
    one.stream.sock.peek(&mut [0; 1]).unwrap();
    let is_answered = |client: &SecureClient| {
        client.stream.sock.set_nonblocking(true).unwrap();
        client.stream.sock.peek(&mut [0; 1]).is_ok()
    };
    let answered = many.iter().filter(|(client, _)| is_answered(client)).count();
    assert!(answered < 280, "{answered} of 300 came before the one of the other address");
    harness.stop();
}

#[test]
fn a_connection_that_is_cut_without_an_announcement_is_closed() {
    let (mut harness, authority, _) = secure(TlsRequired::Always, |_| {});
    let config = authority.client(&both_versions());
    let client = SecureClient::connect(harness.address, &config, "chat.example");
    let (client, conn) = harness.secure_login(client, 3);
    client.stream.sock.shutdown(Shutdown::Both).unwrap();
    assert_eq!(harness.closed(), conn);
    // In the handshake, of which logic does not learn.
    let mut cut = harness.client();
    cut.send(&[tls::FIRST_BYTE, 3, 1, 0, 200, 1]);
    cut.stream.shutdown(Shutdown::Write).unwrap();
    cut.gone();
    harness.wait_for_connections(0);
    assert!(harness.next_within(Duration::ZERO).is_none());
    harness.stop();
}

#[test]
fn garbage_is_answered_by_an_alert_and_ends_only_its_connection() {
    let (mut harness, authority, _) = secure(TlsRequired::Always, |_| {});
    let config = authority.client(&both_versions());
    let bystander = SecureClient::connect(harness.address, &config, "chat.example");
    let (mut bystander, conn) = harness.secure_login(bystander, 3);

    let long_hello = [&[tls::FIRST_BYTE, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff][..], &[0; 40_000]].concat();
    let mut alerts = 0;
    for hello in [
        &b"\x16\x03\x01\x00\x05hello"[..],
        b"\x16\x03\x01\x00\x00\x16\x03\x01\x00\x00",
        b"\x16\x00\x00\xff\xff\xff\xff",
        b"\x16GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut client = harness.client();
        client.send(hello);
        let mut answer = Vec::new();
        client.stream.read_to_end(&mut answer).expect("the end is orderly");
        assert!(answer.first().is_none_or(|first| *first == ALERT), "{hello:x?}: {answer:x?}");
        alerts += usize::from(!answer.is_empty());
    }
    assert!(alerts >= 2, "{alerts} alerts");
    // Nothing is said to what cannot be the beginning of TLS, nor to more than a first message can have.
    let mut client = harness.client();
    client.send(&long_hello);
    client.gone();
    // After the handshake: bytes that are no records, a record that nobody has encrypted, one that was changed.
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x17\x03\x03\x00\x20", &[0x17, 3, 3, 0xff, 0xff]] {
        let mut client = SecureClient::connect(harness.address, &config, "chat.example");
        client.shake_hands();
        let mut garbage = garbage.to_vec();
        garbage.resize(200, b'x');
        client.stream.sock.write_all(&garbage).unwrap();
        let error = client.stream.read(&mut [0; 64]).unwrap_err();
        assert!(error.to_string().contains("alert"), "{error}");
    }
    // What follows the announced end is not looked at.
    let mut client = SecureClient::connect(harness.address, &config, "chat.example");
    client.shake_hands();
    client.stream.conn.send_close_notify();
    let mut ending = Vec::new();
    client.stream.conn.write_tls(&mut ending).unwrap();
    ending.extend_from_slice(b"CHAT garbage");
    client.stream.sock.write_all(&ending).unwrap();
    client.end();
    drop(client);

    // A PROXY header or another handshake inside of TLS is no protocol of this server.
    for inside in [V1, &[tls::FIRST_BYTE, 3, 1][..]] {
        let mut client = SecureClient::connect(harness.address, &config, "chat.example");
        client.send(inside);
        client.end();
    }
    harness.wait_for_connections(1);
    assert!(harness.next_within(Duration::ZERO).is_none(), "logic does not learn of them");
    bystander.send(&send(2, "still here"));
    assert_eq!(harness.request(), (conn, 2, send_command("still here".to_owned())));
    harness.stop();
}

#[test]
fn a_handshake_must_be_completed_in_time_and_then_the_login() {
    let timeouts = Timeouts {
        tls_handshake: Duration::from_millis(300),
        login: Duration::from_millis(900),
        ..Timeouts::default()
    };
    let (mut harness, authority, _) = secure(TlsRequired::Always, |config| config.timeouts = timeouts);
    let config = authority.client(&both_versions());
    let begun = Instant::now();
    // One that has begun its first message, and one that does not go on after the server's.
    let mut early = harness.client();
    early.send(&[tls::FIRST_BYTE, 3, 1, 0, 200, 1]);
    let mut late = SecureClient::connect(harness.address, &config, "chat.example");
    let mut hello = Vec::new();
    late.stream.conn.write_tls(&mut hello).unwrap();
    late.stream.sock.write_all(&hello).unwrap();
    early.gone();
    let ended = late.stream.sock.read_to_end(&mut hello);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(ended.is_ok_and(|length| length > 0), "the server's part of the handshake came");
    let mut idle = SecureClient::connect(harness.address, &config, "chat.example");
    idle.shake_hands();
    let shaken = Instant::now();
    let _ = idle.stream.read(&mut [0; 64]);
    assert!(shaken.elapsed() >= Duration::from_millis(900));
    harness.wait_for_connections(0);
    assert!(harness.next_within(Duration::ZERO).is_none());
    harness.stop();
}

#[test]
fn a_session_is_resumed_and_a_new_certificate_serves_the_next_connection() {
    for version in both_versions() {
        let (mut harness, authority, acceptor) = secure(TlsRequired::Always, |_| {});
        let config = authority.client(&[version]);
        let kinds = [HandshakeKind::Full, HandshakeKind::Resumed];
        for (kind, number) in kinds.into_iter().zip(1..) {
            let client = SecureClient::connect(harness.address, &config, "chat.example");
            let (client, _) = harness.secure_login(client, number);
            assert_eq!(client.stream.conn.handshake_kind(), Some(kind));
            let expected = if version.version == ProtocolVersion::TLSv1_3 { 0x0304 } else { 0x0303 };
            assert_eq!(client.stream.conn.protocol_version().map(u16::from), Some(expected));
            drop(client);
            harness.closed();
        }
        let client = SecureClient::connect(harness.address, &config, "chat.example");
        let (mut client, conn) = harness.secure_login(client, 3);
        acceptor.replace(authority.issue("new.example"));
        // A connection that is open goes on.
        client.send(&send(2, "hi"));
        assert_eq!(harness.request().0, conn);
        let other = authority.client(&[version]);
        let renamed = SecureClient::connect(harness.address, &other, "new.example");
        harness.secure_login(renamed, 4);
        let mut stale = SecureClient::connect(harness.address, &other, "chat.example");
        assert!(stale.stream.write_all(&login(1)).is_err(), "the old certificate is not served any more");
        harness.stop();
    }
}

#[test]
fn many_handshakes_at_once_all_come_through() {
    let (mut harness, authority, _) = secure(TlsRequired::Always, |_| {});
    let config = authority.client(&both_versions());
    let address = harness.address;
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let config = Arc::clone(&config);
            thread::spawn(move || {
                let mut open = Vec::new();
                for _ in 0..25 {
                    let mut client = SecureClient::connect(address, &config, "chat.example");
                    client.send(&login(1));
                    open.push(client);
                }
                open
            })
        })
        .collect();
    let (mut opened, mut asked) = (0, 0);
    while asked < 100 {
        match harness.next() {
            Input::Opened { .. } => opened += 1,
            Input::Request { .. } => asked += 1,
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(opened, 100);
    clients.into_iter().for_each(|client| drop(client.join().unwrap()));
    harness.stop();
}
