//! Legacy connections: objects are decoded however they are split, paced output, and synthetic acknowledgements.

use super::*;
use wire::legacy::Welcome;
use wire::{ConversationId, Seq};
use wire::{message, session, timeline};

/// The message that a synthetic acknowledgement is for; it stands for those before it.
fn ack_of(input: Input) -> (ConversationId, Seq) {
    match input {
        Input::Request {
            request: 0,
            command: Command::Timeline(timeline::Request::Ack(timeline::Cursor { conversation, seq })),
            ..
        } => (conversation, seq),
        other => panic!("expected an acknowledgement, got {other:?}"),
    }
}

fn numbered(seq: u64, content: &str) -> Arc<Message> {
    let mut message = Message::clone(&message(content));
    message.seq = Seq(seq);
    Arc::new(message)
}

impl Harness {
    /// A legacy connection on which `user` is logged in; the answer was read.
    fn legacy(&mut self, user: u32) -> (Client, ConnId) {
        let mut client = self.client();
        client.send(b"{\"msgid\":1,\"id\":1,\"password\":\"secret\"}\0");
        let conn = self.opened();
        assert!(matches!(self.request(), (_, 0, Command::Session(session::Request::Login(_)))));
        let (friends, groups, missed) = (Vec::new(), Vec::new(), Vec::new());
        let welcome = Box::new(Welcome { id: UserId(user), name: "a".into(), friends, groups, missed });
        let orders = vec![
            Order::LoggedIn { conn, user: UserId(user) },
            Order::Welcome { conn, welcome },
            done(conn, request::LOGIN, 0),
        ];
        self.order(conn, orders);
        assert_eq!(client.object(), r#"{"msgid":2,"errno":0,"id":1,"name":"a"}"#);
        (client, conn)
    }
}

impl Client {
    /// The next object, without its padding and NUL.
    fn object(&mut self) -> String {
        loop {
            if let Some(end) = self.bytes.iter().position(|&byte| byte == 0) {
                let object: Vec<u8> = self.bytes.drain(..=end).collect();
                return String::from_utf8(object).unwrap().trim_end_matches(['\0', ' ']).to_owned();
            }
            let mut buffer = [0; 65_536];
            let length = self.read(&mut buffer).unwrap();
            assert_ne!(length, 0, "the server closed the connection");
            self.bytes.extend_from_slice(&buffer[..length]);
        }
    }
}

#[test]
fn objects_are_decoded_however_they_are_split() {
    let mut harness = Harness::start(patient());
    let (mut client, conn) = harness.legacy(1);
    let chat = |text: &str| format!("{{\"msgid\":6,\"toid\":2,\"msg\":\"{text}\"}}");
    let stream =
        [chat("one"), "\0".into(), chat("two"), chat("three"), "\r\n\t ".into(), chat("{\\\"}")].concat();
    let parts: Vec<usize> = (1..stream.len()).collect();
    for cut in [&[][..], &[1], &[40], &parts] {
        let mut at = 0;
        for &end in cut.iter().chain([&stream.len()]) {
            client.send(&stream.as_bytes()[at..end]);
            at = end;
        }
        for text in ["one", "two", "three", "{\"}"] {
            let (from, number, command) = harness.request();
            assert_eq!((from, number), (conn, 0));
            assert!(command == send_command(text.to_owned()), "{command:?}");
            harness.order(conn, vec![done(conn, request::SEND, 0)]);
        }
    }
    harness.stop();
}

#[test]
fn before_login_everything_but_login_and_register_is_ignored() {
    let mut harness = Harness::start(patient());
    let mut client = harness.client();
    client.send(b"{\"msgid\":6,\"toid\":2,\"msg\":\"a\"}\0{\"msgid\":3}{}{\"msgid\":99}");
    client.send(b"{\"msgid\":4,\"name\":\"a\",\"password\":\"secret\"}\0{\"msgid\":1,\"id\":1}\0");
    harness.opened();
    let (conn, _, command) = harness.request();
    assert_eq!(command.kind(), request::REGISTER);
    assert_eq!(client.object(), "{\"msgid\":2,\"errno\":3,\"errmsg\":\"`password` is missing\"}");
    harness.order(conn, vec![done(conn, request::REGISTER, 0)]);
    client.send(b"{broken}");
    client.end();
    assert_eq!(harness.closed(), conn);
    harness.stop();
}

#[test]
fn objects_are_paced_and_acknowledged_once_the_kernel_has_them() {
    let pace = Duration::from_millis(30);
    let mut harness = Harness::start(NetConfig { pace, ..patient() });
    let (mut client, conn) = harness.legacy(1);
    let begun = Instant::now();
    let messages: Vec<_> = (1..=20).map(|seq| numbered(seq, &seq.to_string())).collect();
    for message in &messages {
        harness.order(conn, vec![Order::Deliver { message: Arc::clone(message), to: vec![conn] }]);
    }
    let mut buffer = [0; 65_536];
    for seq in 1..=20 {
        // A client that reads 1,024 bytes gets one object, even if it is late and another one follows it.
        let length = client.read(&mut buffer[..1_024]).unwrap();
        assert_eq!(buffer[length - 1], 0);
        let text = std::str::from_utf8(&buffer[..length - 1]).unwrap();
        assert!(text.trim_end().ends_with(&format!("\"msg\":\"{seq}\"}}")), "{text}");
        assert!(begun.elapsed() >= pace * (seq - 1), "the {seq}th came after {:?}", begun.elapsed());
    }
    let mut acknowledged = Seq(0);
    while acknowledged < Seq(20) {
        let (conversation, seq) = ack_of(harness.next());
        assert!(conversation == ConversationId(9) && seq > acknowledged);
        acknowledged = seq;
    }
    harness.stop();
}

#[test]
fn without_pacing_objects_are_written_at_once_and_acknowledged() {
    let mut harness = Harness::start(NetConfig { pace: Duration::ZERO, ..patient() });
    let (mut client, conn) = harness.legacy(1);
    for seq in 1..=64 {
        harness.push(conn, Push::Message(message::Push::New(numbered(seq, &"x".repeat(30_000)))));
    }
    for _ in 0..64 {
        let object = client.object();
        assert!(object.len() < 1_024 && object.ends_with("x…\"}"), "{object}");
    }
    let mut acknowledged = Seq(0);
    while acknowledged < Seq(64) {
        acknowledged = ack_of(harness.next()).1;
    }
    // A push that legacy clients do not understand is not written.
    harness.push(conn, Push::Session(session::Push::Probe));
    harness.push(conn, Push::Message(message::Push::New(numbered(65, "last"))));
    assert!(client.object().ends_with("\"msg\":\"last\"}"));
    harness.stop();
}

#[test]
fn a_client_that_stops_reading_is_not_acknowledged_for_and_is_closed() {
    let timeouts = Timeouts { stall: Duration::from_millis(500), ..Timeouts::default() };
    for pace in [Duration::ZERO, Duration::from_millis(1)] {
        let mut harness = Harness::start(NetConfig { pace, timeouts, ..patient() });
        let (_client, conn) = harness.legacy(1);
        let (mut ordered, mut acknowledged) = (0, 0);
        // Logic sends no more than its window ahead; some time the kernel's buffers are full.
        loop {
            while ordered < acknowledged + u64::from(logic::limits::LEGACY_WINDOW) {
                ordered += 1;
                harness.push(conn, Push::Message(message::Push::New(numbered(ordered, &"x".repeat(900)))));
            }
            match harness.next() {
                Input::Closed { conn: closed } => break assert_eq!(closed, conn),
                input => acknowledged = ack_of(input).1.0,
            }
        }
        assert!(acknowledged < ordered, "{acknowledged} of {ordered}");
        harness.stop();
    }
}

#[test]
fn a_client_that_has_logged_out_is_sent_nothing_and_may_log_in_again() {
    let mut harness = Harness::start(NetConfig { pace: Duration::from_millis(200), ..patient() });
    let (mut client, conn) = harness.legacy(1);
    for seq in 1..=3 {
        harness.push(conn, Push::Message(message::Push::New(numbered(seq, "for the first"))));
    }
    client.send(b"{\"msgid\":3}\0{\"msgid\":1,\"id\":2,\"password\":\"secret\"}\0");
    loop {
        match harness.next() {
            Input::Request { command: Command::Session(session::Request::Logout), .. } => break,
            input => drop(ack_of(input)),
        }
    }
    harness.order(conn, vec![Order::LoggedOut { conn }, done(conn, request::LOGOUT, 0)]);
    loop {
        match harness.next() {
            Input::Request { command: Command::Session(session::Request::Login(_)), .. } => break,
            input => drop(ack_of(input)),
        }
    }
    let reply = wire::Refusal::new(Errno::BadCredentials, "wrong").into();
    harness.order(conn, vec![Order::Reply { conn, kind: request::LOGIN, request: 0, reply }]);
    let mut object = client.object();
    while object.contains("for the first") {
        object = client.object();
    }
    assert_eq!(object, r#"{"msgid":2,"errno":1,"errmsg":"wrong"}"#);
    harness.stop();
}

#[test]
fn nothing_is_written_after_a_logout_that_could_not_be_acknowledged() {
    for pace in [Duration::ZERO, Duration::from_millis(1)] {
        let mut harness = Harness::start(NetConfig { pace, ..patient() });
        let (mut client, conn) = harness.legacy(1);
        harness.push(conn, Push::Message(message::Push::New(numbered(1, "before"))));
        assert!(client.object().contains("before"));
        client.send(b"{\"msgid\":3}\0{\"msgid\":1,\"id\":1,\"password\":\"secret\"}\0");
        assert_eq!(ack_of(harness.next()).1, Seq(1), "it precedes the logout that ends the session");
        assert!(matches!(harness.request(), (_, 0, Command::Session(session::Request::Logout))));
        // As if logic had not handled the logout yet.
        harness.push(conn, Push::Message(message::Push::New(numbered(2, "late"))));
        harness.order(conn, vec![Order::LoggedOut { conn }, done(conn, request::LOGOUT, 0)]);
        assert!(
            matches!(harness.request(), (_, 0, Command::Session(session::Request::Login(_)))),
            "an acknowledgement precedes it"
        );
        let (friends, groups, missed) = (Vec::new(), Vec::new(), vec![numbered(2, "late")]);
        let welcome = Box::new(Welcome { id: UserId(1), name: "a".into(), friends, groups, missed });
        harness
            .order(conn, vec![Order::LoggedIn { conn, user: UserId(1) }, Order::Welcome { conn, welcome }]);
        let answer = client.object();
        assert!(
            answer.contains("\"msgid\":2") && answer.contains("late"),
            "the message comes once, in the answer: {answer}"
        );
        harness.stop();
    }
}
