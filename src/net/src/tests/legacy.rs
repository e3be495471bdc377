//! Legacy connections: objects whole however they come, one at a time out, and what the kernel took is acknowledged.

use super::*;
use wire::legacy::Welcome;
use wire::{ConversationId, Seq};
use wire::{message, session, timeline};

/// What the kernel takes is acknowledged, so these are not waited for one by one.
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

impl Rig {
    /// A legacy connection on which `user` is logged in, its welcome read.
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
    /// The next object, without its NUL and the space before it.
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
fn objects_are_whole_however_they_come() {
    let mut rig = Rig::start(patient());
    let (mut client, conn) = rig.legacy(1);
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
            let (from, number, command) = rig.request();
            assert_eq!((from, number), (conn, 0));
            assert!(command == send_command(text.to_owned()), "{command:?}");
            rig.order(conn, vec![done(conn, request::SEND, 0)]);
        }
    }
    rig.stop();
}

#[test]
fn before_login_only_login_and_register_are_heard() {
    let mut rig = Rig::start(patient());
    let mut client = rig.client();
    client.send(b"{\"msgid\":6,\"toid\":2,\"msg\":\"a\"}\0{\"msgid\":3}{}{\"msgid\":99}");
    client.send(b"{\"msgid\":4,\"name\":\"a\",\"password\":\"secret\"}\0{\"msgid\":1,\"id\":1}\0");
    rig.opened();
    let (conn, _, command) = rig.request();
    assert_eq!(command.kind(), request::REGISTER);
    assert_eq!(client.object(), "{\"msgid\":2,\"errno\":3,\"errmsg\":\"`password` is missing\"}");
    rig.order(conn, vec![done(conn, request::REGISTER, 0)]);
    client.send(b"{broken}");
    client.end();
    assert_eq!(rig.closed(), conn);
    rig.stop();
}

#[test]
fn objects_are_paced_and_acknowledged_when_the_kernel_took_them() {
    let pace = Duration::from_millis(30);
    let mut rig = Rig::start(NetConfig { pace, ..patient() });
    let (mut client, conn) = rig.legacy(1);
    let begun = Instant::now();
    let messages: Vec<_> = (1..=20).map(|seq| numbered(seq, &seq.to_string())).collect();
    for message in &messages {
        rig.order(conn, vec![Order::Deliver { message: Arc::clone(message), to: vec![conn] }]);
    }
    let mut buffer = [0; 65_536];
    for seq in 1..=20 {
        // Whoever takes 1,024 bytes at once takes one object, also where it comes too late to find it alone.
        let length = client.read(&mut buffer[..1_024]).unwrap();
        assert_eq!(buffer[length - 1], 0);
        let text = std::str::from_utf8(&buffer[..length - 1]).unwrap();
        assert!(text.trim_end().ends_with(&format!("\"msg\":\"{seq}\"}}")), "{text}");
        assert!(begun.elapsed() >= pace * (seq - 1), "the {seq}th came after {:?}", begun.elapsed());
    }
    let mut acknowledged = Seq(0);
    while acknowledged < Seq(20) {
        let (conversation, seq) = ack_of(rig.next());
        assert!(conversation == ConversationId(9) && seq > acknowledged);
        acknowledged = seq;
    }
    rig.stop();
}

#[test]
fn without_a_pace_objects_follow_at_once_and_what_is_not_taken_is_not_acknowledged() {
    let mut rig = Rig::start(NetConfig { pace: Duration::ZERO, ..patient() });
    let (mut client, conn) = rig.legacy(1);
    for seq in 1..=64 {
        rig.push(conn, Push::Message(message::Push::New(numbered(seq, &"x".repeat(30_000)))));
    }
    for _ in 0..64 {
        let object = client.object();
        assert!(object.len() < 1_024 && object.ends_with("x…\"}"), "{object}");
    }
    let mut acknowledged = Seq(0);
    while acknowledged < Seq(64) {
        acknowledged = ack_of(rig.next()).1;
    }
    // Everything else that is pushed means nothing to it.
    rig.push(conn, Push::Session(session::Push::Probe));
    rig.push(conn, Push::Message(message::Push::New(numbered(65, "last"))));
    assert!(client.object().ends_with("\"msg\":\"last\"}"));
    rig.stop();
}

#[test]
fn a_reader_that_stops_is_not_acknowledged_and_closed_in_the_end() {
    let timeouts = Timeouts { stall: Duration::from_millis(500), ..Timeouts::default() };
    for pace in [Duration::ZERO, Duration::from_millis(1)] {
        let mut rig = Rig::start(NetConfig { pace, timeouts, ..patient() });
        let (_client, conn) = rig.legacy(1);
        let (mut ordered, mut acknowledged) = (0, 0);
        // Logic sends no more than its window ahead; the kernel's buffers are full some time.
        loop {
            while ordered < acknowledged + u64::from(logic::limits::LEGACY_WINDOW) {
                ordered += 1;
                rig.push(conn, Push::Message(message::Push::New(numbered(ordered, &"x".repeat(900)))));
            }
            match rig.next() {
                Input::Closed { conn: closed } => break assert_eq!(closed, conn),
                input => acknowledged = ack_of(input).1.0,
            }
        }
        assert!(acknowledged < ordered, "{acknowledged} of {ordered}");
        rig.stop();
    }
}

#[test]
fn who_logs_out_is_told_nothing_more_and_may_log_in_again() {
    let mut rig = Rig::start(NetConfig { pace: Duration::from_millis(200), ..patient() });
    let (mut client, conn) = rig.legacy(1);
    for seq in 1..=3 {
        rig.push(conn, Push::Message(message::Push::New(numbered(seq, "for the first"))));
    }
    client.send(b"{\"msgid\":3}\0{\"msgid\":1,\"id\":2,\"password\":\"secret\"}\0");
    loop {
        match rig.next() {
            Input::Request { command: Command::Session(session::Request::Logout), .. } => break,
            input => drop(ack_of(input)),
        }
    }
    rig.order(conn, vec![Order::LoggedOut { conn }, done(conn, request::LOGOUT, 0)]);
    loop {
        match rig.next() {
            Input::Request { command: Command::Session(session::Request::Login(_)), .. } => break,
            input => drop(ack_of(input)),
        }
    }
    let reply = wire::Refusal::new(Errno::BadCredentials, "wrong").into();
    rig.order(conn, vec![Order::Reply { conn, kind: request::LOGIN, request: 0, reply }]);
    let mut object = client.object();
    while object.contains("for the first") {
        object = client.object();
    }
    assert_eq!(object, r#"{"msgid":2,"errno":1,"errmsg":"wrong"}"#);
    rig.stop();
}

#[test]
fn between_a_logout_and_its_answer_nothing_is_told_that_could_not_be_acknowledged() {
    for pace in [Duration::ZERO, Duration::from_millis(1)] {
        let mut rig = Rig::start(NetConfig { pace, ..patient() });
        let (mut client, conn) = rig.legacy(1);
        rig.push(conn, Push::Message(message::Push::New(numbered(1, "before"))));
        assert!(client.object().contains("before"));
        client.send(b"{\"msgid\":3}\0{\"msgid\":1,\"id\":1,\"password\":\"secret\"}\0");
        assert_eq!(ack_of(rig.next()).1, Seq(1), "before the logout that ends the session");
        assert!(matches!(rig.request(), (_, 0, Command::Session(session::Request::Logout))));
        // Logic has not seen the logout yet.
        rig.push(conn, Push::Message(message::Push::New(numbered(2, "late"))));
        rig.order(conn, vec![Order::LoggedOut { conn }, done(conn, request::LOGOUT, 0)]);
        assert!(
            matches!(rig.request(), (_, 0, Command::Session(session::Request::Login(_)))),
            "and no acknowledgement before it"
        );
        let (friends, groups, missed) = (Vec::new(), Vec::new(), vec![numbered(2, "late")]);
        let welcome = Box::new(Welcome { id: UserId(1), name: "a".into(), friends, groups, missed });
        rig.order(conn, vec![Order::LoggedIn { conn, user: UserId(1) }, Order::Welcome { conn, welcome }]);
        let answer = client.object();
        assert!(answer.contains("\"msgid\":2") && answer.contains("late"), "once, with the answer: {answer}");
        rig.stop();
    }
}
