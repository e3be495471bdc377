//! Clients that do not read, clients that request too much, and a slow logic.

use super::*;
use wire::{contact, message, session, timeline};

/// A frame of about 100 KiB.
fn bulk() -> Push {
    Push::Message(message::Push::New(message(&"b".repeat(100_000))))
}

#[test]
fn a_client_that_stalls_is_closed_and_no_other_waits() {
    let timeouts = Timeouts { stall: Duration::from_millis(1_500), ..Timeouts::default() };
    let mut harness = Harness::start(NetConfig { timeouts, ..patient() });
    let (mut slow, slow_conn) = harness.logged_in(1);
    let (mut other, other_conn) = harness.logged_in(2);
    // More than the kernel buffers for a peer that does not read, less than the bound of a connection.
    for _ in 0..70 {
        harness.push(slow_conn, bulk());
    }
    for number in 0..100 {
        harness.push(other_conn, Push::Session(session::Push::Probe));
        assert_eq!(other.push(), Push::Session(session::Push::Probe));
        other.send(&send(number, "x"));
        assert_eq!(harness.request().1, number);
    }
    assert_eq!(harness.closed(), slow_conn);
    slow.gone();
    other.send(&send(100, "x"));
    assert_eq!(harness.request().1, 100);
    harness.stop();
}

#[test]
fn a_client_that_reads_slowly_loses_nothing() {
    let timeouts = Timeouts { stall: Duration::from_millis(2_000), ..Timeouts::default() };
    let mut harness = Harness::start(NetConfig { timeouts, ..patient() });
    let (mut slow, conn) = harness.logged_in(1);
    let orders = (0..70).map(|_| Order::Push { conn, push: bulk() });
    harness.order(conn, orders.chain([Order::NotifyDrained { conn }]).collect());
    // In all this takes far longer than a stall may.
    let started = Instant::now();
    let mut pushes = 0;
    while pushes < 70 {
        if started.elapsed() > Duration::from_millis(50) * pushes {
            assert_eq!(slow.push(), bulk());
            pushes += 1;
        }
        thread::yield_now();
    }
    assert!(matches!(harness.next(), Input::Drained { conn: drained } if drained == conn));
    harness.stop();
}

#[test]
fn unwritten_output_is_bounded() {
    let mut harness = Harness::start(NetConfig { output_bytes: 1 << 20, ..patient() });
    let (mut slow, conn) = harness.logged_in(1);
    for _ in 0..200 {
        harness.push(conn, bulk());
    }
    assert_eq!(harness.closed(), conn);
    slow.gone();
    harness.wait_for_connections(0);
    harness.stop();
}

#[test]
fn drained_is_reported_at_once_or_when_the_kernel_has_the_last_byte() {
    let mut harness = Harness::start(patient());
    let (mut client, conn) = harness.logged_in(1);
    harness.order(conn, vec![Order::NotifyDrained { conn }]);
    assert!(matches!(harness.next(), Input::Drained { conn: drained } if drained == conn));
    let mut orders: Vec<Order> = (0..70).map(|_| Order::Push { conn, push: bulk() }).collect();
    orders.insert(1, Order::NotifyDrained { conn });
    harness.order(conn, orders);
    assert!(harness.next_within(Duration::from_millis(100)).is_none(), "the client has not read");
    for _ in 0..70 {
        assert_eq!(client.push(), bulk());
    }
    assert!(matches!(harness.next(), Input::Drained { .. }));
    assert!(harness.next_within(Duration::from_millis(50)).is_none(), "it is reported once");
    harness.stop();
}

#[test]
fn a_client_that_does_not_read_is_not_read() {
    let mut harness = Harness::start(patient());
    let (mut client, conn) = harness.logged_in(1);
    harness.order(conn, (0..70).map(|_| Order::Push { conn, push: bulk() }).collect());
    // Once the first push is here, the orders were carried out.
    assert_eq!(client.push(), bulk());
    client.send(&send(1, "x"));
    assert!(harness.next_within(Duration::from_millis(100)).is_none(), "past the high-water mark");
    for _ in 1..70 {
        assert_eq!(client.push(), bulk());
    }
    assert_eq!(harness.request().1, 1);
    harness.stop();
}

#[test]
fn a_client_with_too_many_unanswered_requests_is_not_read() {
    let mut harness = Harness::start(patient());
    let (mut client, conn) = harness.logged_in(1);
    let many: Vec<u8> = (1..=3000).flat_map(|number| send(number, "x")).collect();
    client.send(&many);
    let mut count = 0;
    while let Some(input) = harness.next_within(Duration::from_millis(100)) {
        assert!(matches!(input, Input::Request { .. }));
        count += 1;
    }
    assert_eq!(count, 1024);
    for number in 1..=3000 {
        harness.order(conn, vec![done(conn, request::SEND, number)]);
        client.answered(number);
        while count < number as usize + 1 && count < 3000 {
            assert_eq!(harness.request().1 as usize, count + 1);
            count += 1;
        }
    }
    while count < 3000 {
        assert_eq!(harness.request().1 as usize, count + 1);
        count += 1;
    }
    harness.stop();
}

#[test]
fn pages_weigh_more_and_cursors_without_a_number_weigh_nothing() {
    let mut harness = Harness::start(patient());
    let (mut client, conn) = harness.logged_in(1);
    let ack = Command::Timeline(timeline::Request::Ack(timeline::Cursor {
        conversation: wire::ConversationId(1),
        seq: wire::Seq(1),
    }));
    client.send(&encoded(0, &ack).repeat(2000));
    for _ in 0..2000 {
        harness.request();
    }
    let page = Command::Contact(contact::Request::Friends(wire::Page { after: 0, limit: 50 }));
    client.send(&encoded(0, &page).repeat(40));
    for _ in 0..32 {
        harness.request();
    }
    assert!(harness.next_within(Duration::from_millis(50)).is_none());
    // Number 0: the reply is not written, but it discharges the request.
    harness.order(conn, (0..16).map(|_| done(conn, request::FRIENDS, 0)).collect());
    for _ in 0..8 {
        harness.request();
    }
    client.send(&send(1, "x"));
    assert_eq!(harness.request().1, 1);
    harness.stop();
}

#[test]
fn while_the_inbox_of_logic_is_full_nothing_is_read_and_orders_are_carried_out() {
    let mut harness = Harness::with_inbox(patient(), 1);
    let (mut one, one_conn) = harness.logged_in(1);
    let (mut two, two_conn) = harness.logged_in(2);
    let mut sent = 0;
    one.stream.set_nonblocking(true).unwrap();
    // One batch is in the inbox, one waits behind it, the rest stays in the kernel buffers of both sides.
    let bytes = send(0, &"f".repeat(8_000));
    let until = Instant::now() + Duration::from_millis(700);
    let mut at = 0;
    while Instant::now() < until {
        match one.stream.write(&bytes[at..]) {
            Ok(length) if at + length == bytes.len() => {
                at = 0;
                sent += 1;
            }
            Ok(length) => at += length,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                thread::yield_now();
            }
        }
    }
    one.stream.set_nonblocking(false).unwrap();
    two.send(&send(5, "x"));
    harness.push(two_conn, Push::Session(session::Push::Probe));
    assert_eq!(two.push(), Push::Session(session::Push::Probe));
    // Now logic continues: every request arrives, once.
    let tail = bytes[at..].to_vec();
    let mut writer = one.stream.try_clone().unwrap();
    let thread = thread::spawn(move || writer.write_all(&tail).unwrap());
    let (mut from_one, mut from_two) = (0, 0);
    while (from_one, from_two) != (sent + 1, 1) {
        let (conn, number, _) = harness.request();
        if conn == one_conn {
            from_one += 1;
            harness.order(conn, vec![done(conn, request::SEND, number)]);
        } else {
            from_two += 1;
        }
    }
    thread.join().unwrap();
    assert!(harness.next_within(Duration::from_millis(50)).is_none());
    harness.stop();
}
