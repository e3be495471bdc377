//! The net over real sockets, with the test in place of logic.

mod deadlines;
mod encryption;
mod frames;
mod legacy;
mod life;
mod plain_refused;
mod pressure;
mod proxy;
mod websocket;

use super::*;
use runtime::queue::{Bell, Inbox};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;
use tls::TlsRequired;
use wire::kind::request;
use wire::{Command, Credentials, Errno, Message, Push, Reply, Target, UserId};
use wire::{message, session};

/// How long a test waits for anything before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The type, number and value of the next frame in `bytes`, which `read` adds to.
fn next_frame(
    bytes: &mut Vec<u8>,
    mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> (u16, u32, Vec<u8>) {
    loop {
        if let Some((frame, used)) = wire::split_frame(bytes, usize::MAX).unwrap() {
            let frame = (frame.kind, frame.request, frame.value.to_vec());
            bytes.drain(..used);
            return frame;
        }
        let mut buffer = [0; 65_536];
        let length = read(&mut buffer).unwrap();
        assert_ne!(length, 0, "the server closed the connection");
        bytes.extend_from_slice(&buffer[..length]);
    }
}

/// Deadlines that no test reaches by accident.
fn patient() -> NetConfig {
    NetConfig::default()
}

/// A net on a free port, and the test's ends of its queues.
struct Harness {
    net: Net,
    orders: Vec<Outbox<Vec<Order>>>,
    inbox: Inbox<Vec<Input>>,
    bell: Arc<Bell>,
    seen: VecDeque<Input>,
    address: SocketAddr,
}

impl Harness {
    fn start(config: NetConfig) -> Harness {
        Harness::with_inbox(config, 1024)
    }

    /// With an inbox of logic that holds `batches` batches.
    fn with_inbox(config: NetConfig, batches: usize) -> Harness {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let bell = Arc::new(Bell::new());
        let (to_logic, inbox) = queue(batches, &bell);
        let net = start(vec![listener], config, to_logic).unwrap();
        let orders = net.orders();
        Harness { net, orders, inbox, bell, seen: VecDeque::new(), address }
    }

    /// The next input; `None` if none comes within `patience`.
    fn next_within(&mut self, patience: Duration) -> Option<Input> {
        let until = Instant::now() + patience;
        loop {
            if let Some(input) = self.seen.pop_front() {
                return Some(input);
            }
            match self.inbox.try_recv().unwrap() {
                Some(batch) => self.seen.extend(batch),
                None => {
                    let left = until.checked_duration_since(Instant::now())?;
                    self.bell.wait(Some(left), || !self.inbox.is_empty());
                }
            }
        }
    }

    fn next(&mut self) -> Input {
        self.next_within(PATIENCE).expect("no input came in time")
    }

    fn opened(&mut self) -> ConnId {
        match self.next() {
            Input::Opened { conn, peer, .. } => {
                assert!(peer.is_loopback());
                conn
            }
            other => panic!("expected Opened, got {other:?}"),
        }
    }

    fn request(&mut self) -> (ConnId, u32, Command) {
        match self.next() {
            Input::Request { conn, request, command } => (conn, request, command),
            other => panic!("expected a request, got {other:?}"),
        }
    }

    fn heartbeat(&mut self) -> ConnId {
        match self.next() {
            Input::Heartbeat { conn } => conn,
            other => panic!("expected Heartbeat, got {other:?}"),
        }
    }

    fn closed(&mut self) -> ConnId {
        match self.next() {
            Input::Closed { conn } => conn,
            other => panic!("expected Closed, got {other:?}"),
        }
    }

    fn order(&self, conn: ConnId, orders: Vec<Order>) {
        self.orders[conn.reactor()].send(orders).unwrap();
    }

    fn push(&self, conn: ConnId, push: Push) {
        self.order(conn, vec![Order::Push { conn, push }]);
    }

    /// A connection on which `user` is logged in; the reply to LOGIN was read.
    fn logged_in(&mut self, user: u32) -> (Client, ConnId) {
        let mut client = self.client();
        client.send(&login(1));
        let conn = self.opened();
        assert_eq!(self.request().0, conn);
        self.order(conn, vec![Order::LoggedIn { conn, user: UserId(user) }, done(conn, request::LOGIN, 1)]);
        client.answered(1);
        (client, conn)
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Waits until `count` connections are open.
    fn wait_for_connections(&self, count: usize) {
        let until = Instant::now() + PATIENCE;
        while self.net.connections() != count {
            assert!(Instant::now() < until, "{} connections, not {count}", self.net.connections());
            thread::yield_now();
        }
    }

    fn stop(mut self) {
        self.net.drain(Duration::ZERO);
        self.net.join();
    }
}

/// A client on a blocking socket.
struct Client {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream, bytes: Vec::new() }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Reads, again after a signal: the kernel does not restart a read that has a timeout.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// The type, number and value of the next frame.
    fn frame(&mut self) -> (u16, u32, Vec<u8>) {
        let mut bytes = std::mem::take(&mut self.bytes);
        let frame = next_frame(&mut bytes, |buffer| self.read(buffer));
        self.bytes = bytes;
        frame
    }

    fn reply(&mut self, number: u32) -> Reply {
        let (kind, request, value) = self.frame();
        assert_eq!((kind & wire::kind::REPLY, request), (wire::kind::REPLY, number));
        Reply::decode(kind, &value).unwrap()
    }

    /// Expects the reply that [`done`] orders for this request.
    fn answered(&mut self, number: u32) {
        let (kind, request, value) = self.frame();
        assert_eq!((kind & wire::kind::REPLY, request), (wire::kind::REPLY, number));
        assert_eq!(value, br#"{"errno":0}"#);
    }

    fn push(&mut self) -> Push {
        let (kind, request, value) = self.frame();
        assert_eq!(request, 0);
        Push::decode(kind, &value).unwrap().unwrap()
    }

    fn refusal(&mut self, number: u32) -> Errno {
        match self.reply(number) {
            Reply::Refused(refusal) => refusal.errno,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    /// Expects an orderly end with nothing before it.
    fn end(&mut self) {
        assert!(self.bytes.is_empty());
        assert_eq!(
            self.read(&mut [0; 64]).expect("the end is orderly"),
            0,
            "there was output before the end"
        );
    }

    /// Waits for the end, orderly or not.
    fn gone(&mut self) {
        let mut buffer = [0; 65_536];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    assert!(
                        !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                        "still open"
                    );
                    return;
                }
            }
        }
    }
}

fn encoded(number: u32, command: &Command) -> Vec<u8> {
    let mut bytes = Vec::new();
    command.encode(number, &mut bytes);
    bytes
}

fn login(number: u32) -> Vec<u8> {
    encoded(
        number,
        &Command::Session(session::Request::Login(session::Login::new(Credentials::Token("t".into())))),
    )
}

fn send_command(content: String) -> Command {
    Command::Message(message::Request::Send(message::Send::text(Target::User(UserId(2)), content)))
}

fn send(number: u32, content: &str) -> Vec<u8> {
    encoded(number, &send_command(content.to_owned()))
}

fn done(conn: ConnId, kind: u16, request: u32) -> Order {
    Order::Reply { conn, kind, request, reply: Reply::Done }
}

fn message(content: &str) -> Arc<Message> {
    Arc::new(Message {
        conversation: wire::ConversationId(9),
        kind: wire::ConversationKind::Group,
        seq: wire::Seq(1),
        from: UserId(1),
        name: "a".into(),
        content_type: "text".into(),
        content: content.into(),
        time: wire::UnixMillis(1),
        cid: None,
        extra: None,
    })
}
