//! Peers that do not read, peers that ask too much, and a logic that is slow.

use super::*;
use wire::{contact, message, session, timeline};

/// A frame of about 100 KiB.
fn bulk() -> Push {
    Push::Message(message::Push::New(message(&"b".repeat(100_000))))
}

#[test]
fn a_reader_that_stalls_is_closed_and_nobody_else_waits() {
    let timeouts = Timeouts { stall: Duration::from_millis(1_500), ..Timeouts::default() };
    let mut rig = Rig::start(NetConfig { timeouts, ..patient() });
    let (mut slow, slow_conn) = rig.logged_in(1);
    let (mut other, other_conn) = rig.logged_in(2);
    // More than the kernel takes for a peer that does not read, less than the bound.
    for _ in 0..70 {
        rig.push(slow_conn, bulk());
    }
    for number in 0..100 {
        rig.push(other_conn, Push::Session(session::Push::Probe));
        assert_eq!(other.push(), Push::Session(session::Push::Probe));
        other.send(&send(number, "x"));
        assert_eq!(rig.request().1, number);
    }
    assert_eq!(rig.closed(), slow_conn);
    slow.gone();
    other.send(&send(100, "x"));
    assert_eq!(rig.request().1, 100);
    rig.stop();
}

#[test]
fn a_reader_that_reads_slowly_loses_nothing() {
    let timeouts = Timeouts { stall: Duration::from_millis(2_000), ..Timeouts::default() };
    let mut rig = Rig::start(NetConfig { timeouts, ..patient() });
    let (mut slow, conn) = rig.logged_in(1);
    let orders = (0..70).map(|_| Order::Push { conn, push: bulk() });
    rig.order(conn, orders.chain([Order::NotifyDrained { conn }]).collect());
    // In all far longer than the stall.
    let started = Instant::now();
    let mut pushes = 0;
    while pushes < 70 {
        if started.elapsed() > Duration::from_millis(50) * pushes {
            assert_eq!(slow.push(), bulk());
            pushes += 1;
        }
        thread::yield_now();
    }
    assert!(matches!(rig.next(), Input::Drained { conn: drained } if drained == conn));
    rig.stop();
}

#[test]
fn unwritten_output_has_a_hard_bound() {
    let mut rig = Rig::start(NetConfig { output_bytes: 1 << 20, ..patient() });
    let (mut slow, conn) = rig.logged_in(1);
    for _ in 0..200 {
        rig.push(conn, bulk());
    }
    assert_eq!(rig.closed(), conn);
    slow.gone();
    rig.wait_for_connections(0);
    rig.stop();
}

#[test]
fn drained_is_said_at_once_or_when_the_last_byte_is_with_the_kernel() {
    let mut rig = Rig::start(patient());
    let (mut client, conn) = rig.logged_in(1);
    rig.order(conn, vec![Order::NotifyDrained { conn }]);
    assert!(matches!(rig.next(), Input::Drained { conn: drained } if drained == conn));
    let mut orders: Vec<Order> = (0..70).map(|_| Order::Push { conn, push: bulk() }).collect();
    orders.insert(1, Order::NotifyDrained { conn });
    rig.order(conn, orders);
    assert!(rig.next_within(Duration::from_millis(100)).is_none(), "the peer has not read");
    for _ in 0..70 {
        assert_eq!(client.push(), bulk());
    }
    assert!(matches!(rig.next(), Input::Drained { .. }));
    assert!(rig.next_within(Duration::from_millis(50)).is_none(), "once");
    rig.stop();
}

#[test]
fn who_does_not_read_is_not_read() {
    let mut rig = Rig::start(patient());
    let (mut client, conn) = rig.logged_in(1);
    rig.order(conn, (0..70).map(|_| Order::Push { conn, push: bulk() }).collect());
    // The first of these pushes may come before the orders are carried out.
    assert_eq!(client.push(), bulk());
    client.send(&send(1, "x"));
    assert!(rig.next_within(Duration::from_millis(100)).is_none(), "past the high-water mark");
    for _ in 1..70 {
        assert_eq!(client.push(), bulk());
    }
    assert_eq!(rig.request().1, 1);
    rig.stop();
}

#[test]
fn too_many_unanswered_requests_stop_the_reading_until_they_are_answered() {
    let mut rig = Rig::start(patient());
    let (mut client, conn) = rig.logged_in(1);
    let many: Vec<u8> = (1..=3000).flat_map(|number| send(number, "x")).collect();
    client.send(&many);
    let mut count = 0;
    while let Some(input) = rig.next_within(Duration::from_millis(100)) {
        assert!(matches!(input, Input::Request { .. }));
        count += 1;
    }
    assert_eq!(count, 1024);
    for number in 1..=3000 {
        rig.order(conn, vec![done(conn, request::SEND, number)]);
        client.answered(number);
        while count < number as usize + 1 && count < 3000 {
            assert_eq!(rig.request().1 as usize, count + 1);
            count += 1;
        }
    }
    while count < 3000 {
        assert_eq!(rig.request().1 as usize, count + 1);
        count += 1;
    }
    rig.stop();
}

#[test]
fn pages_weigh_more_and_cursors_without_a_number_nothing() {
    let mut rig = Rig::start(patient());
    let (mut client, conn) = rig.logged_in(1);
    let ack = Command::Timeline(timeline::Request::Ack(timeline::Cursor {
        conversation: wire::ConversationId(1),
        seq: wire::Seq(1),
    }));
    client.send(&encoded(0, &ack).repeat(2000));
    for _ in 0..2000 {
        rig.request();
    }
    let page = Command::Contact(contact::Request::Friends(wire::Page { after: 0, limit: 50 }));
    client.send(&encoded(0, &page).repeat(40));
    for _ in 0..32 {
        rig.request();
    }
    assert!(rig.next_within(Duration::from_millis(50)).is_none());
    // Number 0: nothing is written, but it is answered.
    rig.order(conn, (0..16).map(|_| done(conn, request::FRIENDS, 0)).collect());
    for _ in 0..8 {
        rig.request();
    }
    client.send(&send(1, "x"));
    assert_eq!(rig.request().1, 1);
    rig.stop();
}

#[test]
fn while_logic_is_behind_nothing_is_read_and_orders_are_carried_out() {
    let mut rig = Rig::with_inbox(patient(), 1);
    let (mut one, one_conn) = rig.logged_in(1);
    let (mut two, two_conn) = rig.logged_in(2);
    let mut sent = 0;
    one.stream.set_nonblocking(true).unwrap();
    // One batch is in the inbox, one waits behind it, the rest stays with the kernels of both sides.
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
    rig.push(two_conn, Push::Session(session::Push::Probe));
    assert_eq!(two.push(), Push::Session(session::Push::Probe));
    // Now logic goes on: everything comes, each of it once.
    let tail = bytes[at..].to_vec();
    let mut writer = one.stream.try_clone().unwrap();
    let thread = thread::spawn(move || writer.write_all(&tail).unwrap());
    let (mut from_one, mut from_two) = (0, 0);
    while (from_one, from_two) != (sent + 1, 1) {
        let (conn, number, _) = rig.request();
        if conn == one_conn {
            from_one += 1;
            rig.order(conn, vec![done(conn, request::SEND, number)]);
        } else {
            from_two += 1;
        }
    }
    thread.join().unwrap();
    assert!(rig.next_within(Duration::from_millis(50)).is_none());
    rig.stop();
}
