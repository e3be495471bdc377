//! Framing, and what is answered without logic.

use super::*;
use wire::frame::put_frame;
use wire::kind::REPLY;
use wire::limits::{FRAME_BYTES, FRAME_BYTES_BEFORE_LOGIN};
use wire::session;
use wire::{Heartbeat, UnixMillis};

fn raw(kind: u16, number: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_frame(&mut bytes, kind, number, |out| out.extend_from_slice(value));
    bytes
}

fn beat(number: u32, user: u32) -> Vec<u8> {
    let beat = Heartbeat { sequence: 77, time: UnixMillis(1), user: UserId(user) };
    raw(request::HEARTBEAT, number, &beat.encode())
}

#[test]
fn frames_are_decoded_however_they_are_split() {
    let mut harness = Harness::start(patient());
    let mut client = harness.client();
    let mut bytes = Vec::new();
    for number in 1..=5 {
        bytes.extend(send(number, &"x".repeat(number as usize * 3)));
    }
    for byte in &bytes {
        client.send(std::slice::from_ref(byte));
    }
    let conn = harness.opened();
    let check = |harness: &mut Harness| {
        for number in 1..=5 {
            let expected = send_command("x".repeat(number as usize * 3));
            let (from, got, command) = harness.request();
            assert!((from, got) == (conn, number) && command == expected);
            harness.order(conn, vec![done(conn, request::SEND, 0)]);
        }
    };
    check(&mut harness);
    client.send(&bytes);
    check(&mut harness);
    for split in 1..bytes.len() {
        client.send(&bytes[..split]);
        client.send(&bytes[split..]);
        check(&mut harness);
    }
    harness.stop();
}

#[test]
fn frames_larger_than_the_read_buffer_arrive_whole_and_in_order() {
    let mut harness = Harness::start(patient());
    let (mut client, _) = harness.logged_in(1);
    // Escapes make the frame six times as long as its content.
    let content = "\u{1}".repeat(30_000);
    let mut bytes = Vec::new();
    for number in 1..=20 {
        bytes.extend(send(number, &content));
    }
    let mut writer = client.stream.try_clone().unwrap();
    let thread = thread::spawn(move || writer.write_all(&bytes).unwrap());
    for number in 1..=20 {
        let (_, got, command) = harness.request();
        assert!(got == number && command == send_command(content.clone()));
    }
    thread.join().unwrap();
    client.send(&send(21, "y"));
    assert_eq!(harness.request().1, 21);
    harness.stop();
}

#[test]
fn a_wrong_magic_is_reported_and_the_connection_closed() {
    let mut harness = Harness::start(patient());
    for bytes in [&b"\x43\x02"[..], &[&send(1, "x")[..], b"Garbage"].concat()] {
        let mut client = harness.client();
        client.send(bytes);
        match client.push() {
            Push::Error(refusal) => assert_eq!(refusal.errno, Errno::BadRequest),
            other => panic!("{other:?}"),
        }
        client.end();
        let conn = harness.opened();
        if bytes.len() > 2 {
            assert_eq!(harness.request().1, 1);
        }
        assert_eq!(harness.closed(), conn);
    }
    harness.stop();
}

#[test]
fn a_first_byte_of_no_protocol_closes_the_connection_without_logic() {
    let mut harness = Harness::start(patient());
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01", b"[{\"msgid\":1}]"] {
        let mut client = harness.client();
        client.send(bytes);
        client.end();
    }
    // Logic never learns of them: its next input is about another connection.
    let mut client = harness.client();
    client.send(&send(1, "x"));
    harness.opened();
    harness.wait_for_connections(1);
    harness.stop();
}

#[test]
fn an_oversized_frame_is_answered_and_the_connection_closed() {
    let mut harness = Harness::start(patient());
    let announced = |number: u32, length: usize| {
        let mut bytes = raw(request::SEND, number, b"");
        bytes[8..12].copy_from_slice(&(length as u32).to_be_bytes());
        bytes
    };
    let mut client = harness.client();
    client.send(&announced(5, FRAME_BYTES_BEFORE_LOGIN + 1));
    assert_eq!(client.refusal(5), Errno::TooLarge);
    client.end();
    let conn = harness.opened();
    assert_eq!(harness.closed(), conn);

    let mut client = harness.client();
    client.send(&announced(0, usize::MAX));
    assert!(matches!(client.push(), Push::Error(refusal) if refusal.errno == Errno::TooLarge));
    client.end();
    let conn = harness.opened();
    assert_eq!(harness.closed(), conn);

    let (mut client, conn) = harness.logged_in(1);
    client.send(&announced(6, FRAME_BYTES + 1));
    assert_eq!(client.refusal(6), Errno::TooLarge);
    client.end();
    assert_eq!(harness.closed(), conn);
    harness.stop();
}

#[test]
fn a_malformed_request_is_answered_and_the_connection_stays_open() {
    let mut harness = Harness::start(patient());
    let mut client = harness.client();
    client.send(&raw(2, 1, b"{}"));
    assert_eq!(client.refusal(1), Errno::UnknownType);
    client.send(&raw(REPLY | request::SEND, 2, b"{}"));
    assert_eq!(client.refusal(2), Errno::UnknownType);
    for (number, value) in [(3, &b"{"[..]), (4, b"[]"), (5, b"\xff"), (6, br#"{"to":1,"to":1}"#), (7, b"")] {
        client.send(&raw(request::SEND, number, value));
        assert_eq!(client.refusal(number), Errno::BadRequest);
    }
    // A request without a number gets no reply.
    client.send(&[raw(request::SEND, 0, b"{"), raw(request::SEND, 8, b"{")].concat());
    assert_eq!(client.refusal(8), Errno::BadRequest);
    // A malformed LOGIN does not reach logic, so the request after it is not held back.
    client.send(&[raw(request::LOGIN, 9, b"{\"id\":7}"), send(10, "x")].concat());
    assert_eq!(client.refusal(9), Errno::BadRequest);
    harness.opened();
    assert_eq!(harness.request().1, 10);
    harness.stop();
}

#[test]
fn heartbeats_are_answered_by_the_reactor() {
    let mut harness = Harness::start(patient());
    let mut client = harness.client();
    client.send(&beat(3, 0));
    let (kind, number, value) = client.frame();
    assert_eq!((kind, number), (REPLY | request::HEARTBEAT, 3));
    let answer = Heartbeat::decode(&value).unwrap();
    assert_eq!((answer.sequence, answer.user), (77, UserId(0)));
    assert!(answer.time > UnixMillis(1_700_000_000_000), "the server's time");
    client.send(&beat(4, 42));
    assert_eq!(client.refusal(4), Errno::BadRequest);
    harness.opened();

    let (mut client, conn) = harness.logged_in(42);
    // A heartbeat without a number gets no reply, valid or not.
    client.send(&[beat(0, 42), beat(0, 1), beat(5, 42)].concat());
    let (kind, number, value) = client.frame();
    assert_eq!((kind, number), (REPLY | request::HEARTBEAT, 5));
    assert_eq!(Heartbeat::decode(&value).unwrap().user, UserId(42));
    // Logic only learns that the session lives.
    assert_eq!([harness.heartbeat(), harness.heartbeat()], [conn; 2]);
    client.send(&beat(6, 0));
    assert_eq!(client.refusal(6), Errno::BadRequest);
    let mut bent = beat(7, 42);
    *bent.last_mut().unwrap() ^= 1;
    client.send(&bent);
    assert_eq!(client.refusal(7), Errno::BadRequest);
    client.send(&raw(request::HEARTBEAT, 8, b"{}"));
    assert_eq!(client.refusal(8), Errno::BadRequest);
    assert!(harness.next_within(Duration::ZERO).is_none());
    harness.stop();
}

#[test]
fn requests_behind_a_login_wait_for_its_reply_and_have_the_limits_after_it() {
    let mut harness = Harness::start(patient());
    let large = "z".repeat(FRAME_BYTES_BEFORE_LOGIN * 2);
    let mut clients = [harness.client(), harness.client()];
    for (client, user_first) in clients.iter_mut().zip([true, false]) {
        client.send(&[login(1), send(2, &large), beat(3, 7), send(4, "after")].concat());
        let conn = harness.opened();
        assert!(matches!(harness.request(), (_, 1, Command::Session(session::Request::Login(_)))));
        assert!(harness.next_within(Duration::from_millis(50)).is_none(), "held");
        let mut orders = vec![Order::LoggedIn { conn, user: UserId(7) }, done(conn, request::LOGIN, 1)];
        if !user_first {
            orders.reverse();
        }
        harness.order(conn, orders);
        client.answered(1);
        assert!(harness.request() == (conn, 2, send_command(large.clone())));
        assert_eq!(client.frame().1, 3);
        assert_eq!(harness.heartbeat(), conn);
        assert_eq!(harness.request().1, 4);
    }
    harness.stop();
}

#[test]
fn requests_behind_a_failed_login_or_a_logout_have_the_limits_before_login() {
    let mut harness = Harness::start(patient());
    let large = "z".repeat(FRAME_BYTES_BEFORE_LOGIN * 2);
    let mut client = harness.client();
    client.send(&[login(1), send(2, &large)].concat());
    let conn = harness.opened();
    harness.request();
    harness.order(conn, vec![done(conn, request::LOGIN, 1)]);
    client.answered(1);
    assert_eq!(client.refusal(2), Errno::TooLarge);
    assert_eq!(harness.closed(), conn);

    let (mut client, conn) = harness.logged_in(7);
    client.send(
        &[encoded(2, &Command::Session(session::Request::Logout)), beat(3, 0), send(4, &large)].concat(),
    );
    assert_eq!(harness.request().1, 2);
    harness.order(conn, vec![done(conn, request::LOGOUT, 2), Order::LoggedOut { conn }]);
    client.answered(2);
    assert_eq!(client.frame().1, 3);
    assert_eq!(client.refusal(4), Errno::TooLarge);
    harness.stop();
}
