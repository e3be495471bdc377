//! Connections that were upgraded to WebSocket, with a client of another implementation (tungstenite).

use super::*;
use crate::adopter::WebSocket as Adopted;
use crate::pending_logins::EXCESS;
use tungstenite::protocol::{Role, WebSocket};
use tungstenite::{Bytes, Message as Frame};
use wire::Dialect;
use wire::contact;
use wire::session::CookieToken;

type Socket = WebSocket<TcpStream>;

impl Harness {
    /// A client whose connection was just upgraded. `received` is what it has sent before the reactor has it, `output`
    /// what it was not sent.
    fn upgraded(&mut self, received: &[u8], output: &[u8]) -> (Socket, ConnId) {
        assert!(self.net.adopter().has_room());
        let (client, peer) = self.adopt(received, output);
        let conn = match self.next() {
            Input::Opened { conn, peer: address, dialect } => {
                assert_eq!((address, dialect), (peer.ip(), Dialect::Tlv));
                conn
            }
            other => panic!("expected Opened, got {other:?}"),
        };
        (WebSocket::from_raw_socket(client, Role::Client, None), conn)
    }

    /// The client's end of a connection that was handed over, whether or not there is room for it, and its address.
    fn adopt(&self, received: &[u8], output: &[u8]) -> (TcpStream, SocketAddr) {
        self.adopt_with(None, received, output)
    }

    fn adopt_with(
        &self,
        session: Option<CookieToken>,
        received: &[u8],
        output: &[u8],
    ) -> (TcpStream, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let (stream, peer) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let (received, output) = (received.to_vec(), output.to_vec());
        let stream = mio::net::TcpStream::from_std(stream);
        self.net.adopter().adopt(Adopted { stream, tls: None, peer, session, received, output });
        (client, peer)
    }
}

fn binary(bytes: Vec<u8>) -> Frame {
    Frame::Binary(Bytes::from(bytes))
}

fn received(socket: &mut Socket) -> Vec<u8> {
    match socket.read().unwrap() {
        Frame::Binary(bytes) => bytes.to_vec(),
        other => panic!("expected a message, got {other:?}"),
    }
}

/// The frame of a request as it is on the wire.
fn masked(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    ::websocket::put_message(&mut bytes, ::websocket::Kind::Binary, Some([1, 2, 3, 4]), |out| {
        out.extend_from_slice(message);
    });
    bytes
}

#[test]
fn what_was_sent_and_not_sent_before_the_upgrade_comes_first() {
    let mut harness = Harness::start(NetConfig::default());
    let begun = masked(&send(1, "hi"));
    let (mut socket, conn) = harness.upgraded(&begun[..9], b"HTTP/1.1 101\r\n\r\n");
    let mut head = [0; 16];
    socket.get_mut().read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 101\r\n\r\n");
    assert!(harness.next_within(Duration::from_millis(50)).is_none(), "the frame is not complete");
    socket.get_mut().write_all(&begun[9..]).unwrap();
    assert_eq!((harness.request().0, harness.net.connections()), (conn, 1));
    harness.order(conn, vec![done(conn, request::SEND, 1)]);
    let reply = received(&mut socket);
    assert_eq!(wire::frame::frame_length(&reply), Some(reply.len()), "a message is one frame");
    // Many in one write, and a push between.
    for number in 2..100 {
        socket.write(binary(send(number, "again"))).unwrap();
    }
    socket.flush().unwrap();
    (2..100).for_each(|number| assert_eq!(harness.request().1, number));
    harness.push(conn, Push::Session(session::Push::Probe));
    let push = received(&mut socket);
    assert_eq!(wire::frame::frame_length(&push), Some(push.len()));
    socket.close(None).unwrap();
    assert!(matches!(socket.read().unwrap(), Frame::Close(_)));
    assert_eq!(harness.closed(), conn);
    harness.stop();
}

#[test]
fn a_page_waits_for_memory_and_what_follows_waits_behind_it() {
    let limit = 3 * wire::limits::HISTORY_BYTES;
    let mut harness = Harness::start(NetConfig { output_total_bytes: limit, ..NetConfig::default() });
    let (mut socket, conn) = harness.upgraded(b"", b"");
    harness.order(conn, vec![Order::LoggedIn { conn, user: UserId(1) }]);
    let page = |number| {
        let page = wire::Page { after: 0, limit: 50 };
        encoded(number, &Command::Contact(contact::Request::Friends(page)))
    };
    for number in 1..=3 {
        socket.write(binary(page(number))).unwrap();
    }
    socket.write(binary(send(4, "behind"))).unwrap();
    socket.write(Frame::Ping(Bytes::from_static(b"?"))).unwrap();
    socket.flush().unwrap();
    for number in 1..=3 {
        assert_eq!(harness.request().1, number);
        let next = if number < 3 { harness.next_within(Duration::from_millis(50)) } else { None };
        assert!(next.is_none(), "one page at a time");
        harness.order(conn, vec![done(conn, request::FRIENDS, number)]);
    }
    assert_eq!(harness.request().1, 4);
    // The pong need not wait for the last reply.
    let said: Vec<Frame> = (0..4).map(|_| socket.read().unwrap()).collect();
    assert_eq!(said.iter().filter(|frame| frame.is_binary()).count(), 3);
    assert!(said.contains(&Frame::Pong(Bytes::from_static(b"?"))), "{said:?}");
    harness.stop();
}

#[test]
fn a_drain_says_goodbye_and_takes_no_further_connection() {
    let mut harness = Harness::start(NetConfig::default());
    let (mut socket, conn) = harness.upgraded(b"", b"");
    harness.push(conn, Push::Session(session::Push::Probe));
    received(&mut socket);
    let adopter = harness.net.adopter();
    harness.net.drain(PATIENCE);
    assert!(!adopter.has_room());
    match socket.read().unwrap() {
        Frame::Close(Some(close)) => assert_eq!(u16::from(close.code), 1001),
        other => panic!("{other:?}"),
    }
    drop(socket);
    harness.net.join();
}

#[test]
fn a_full_server_takes_no_more_connections_than_the_reactors_can_close() {
    // Nobody takes what the reactor has for logic, so it reads nothing and closes nothing.
    let limit = 4;
    let config = NetConfig { threads: 1, connections: limit, ..NetConfig::default() };
    let mut harness = Harness::with_inbox(config, 1);
    let adopter = harness.net.adopter();
    let mut clients = Vec::new();
    for open in 0..limit + EXCESS {
        assert!(adopter.has_room(), "{open}");
        clients.push(harness.adopt(b"", b""));
    }
    assert!(!adopter.has_room());
    // Once it is taken, all above half of the limit are closed.
    let survivors = limit / 2;
    let mut closed = 0;
    while closed < limit + EXCESS - survivors {
        closed += usize::from(matches!(harness.next(), Input::Closed { .. }));
    }
    harness.wait_for_connections(survivors);
    assert!(adopter.has_room());
    harness.stop();
}

#[test]
fn a_login_without_credentials_gets_those_of_the_upgrade() {
    let mut harness = Harness::start(NetConfig::default());
    let login = |by_cookie, token: &str| {
        let login = session::Login::new(Credentials::Token(token.into()));
        let login = session::Login { by_cookie, ..login };
        masked(&encoded(1, &Command::Session(session::Request::Login(login))))
    };
    let cookie = || Some(CookieToken("of the page".into()));
    for (session, by_cookie, token, expected) in
        [(cookie(), true, "", "of the page"), (None, true, "", ""), (cookie(), false, "own", "own")]
    {
        let (client, _) = harness.adopt_with(session, &login(by_cookie, token), b"");
        assert!(matches!(harness.next(), Input::Opened { .. }));
        let (conn, _, command) = harness.request();
        let Command::Session(session::Request::Login(login)) = command else { panic!("{command:?}") };
        assert_eq!(login.credentials, Credentials::Token(expected.into()));
        harness.order(conn, vec![done(conn, request::LOGIN, 1)]);
        drop(client);
        harness.closed();
    }
    harness.stop();
}
