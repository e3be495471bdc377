//! How connections begin and end.

use super::*;
use std::env;
use std::fs::File;
use std::io::Seek;
use std::net::Shutdown;
use std::process;
use wire::{message, session};

#[test]
fn a_peer_that_closes_or_resets_is_reported_once() {
    let mut harness = Harness::start(patient());
    let (client, conn) = harness.logged_in(1);
    drop(client);
    assert_eq!(harness.closed(), conn);

    // Its last requests are read even if it leaves without reading its output.
    let (mut client, conn) = harness.logged_in(2);
    harness.push(conn, Push::Session(session::Push::Probe));
    assert_eq!(client.stream.peek(&mut [0; 1]).unwrap(), 1);
    client.send(&send(7, "last words"));
    drop(client);
    assert_eq!(harness.request().1, 7);
    assert_eq!(harness.closed(), conn);

    let (client, conn) = harness.logged_in(3);
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(harness.closed(), conn);
    harness.wait_for_connections(0);
    assert!(harness.next_within(Duration::from_millis(50)).is_none());
    harness.stop();
}

#[test]
fn an_order_for_a_closed_connection_never_reaches_the_next_one_in_its_slot() {
    let mut harness = Harness::start(patient());
    let (client, old) = harness.logged_in(1);
    drop(client);
    assert_eq!(harness.closed(), old);
    harness.wait_for_connections(0);
    let (mut client, new) = harness.logged_in(2);
    assert_eq!((old.reactor(), old.slot()), (new.reactor(), new.slot()), "the slot is used again");
    harness.order(
        new,
        vec![
            Order::Push { conn: old, push: Push::Session(session::Push::Probe) },
            done(old, request::SEND, 1),
            Order::Deliver { message: message("for the old"), to: vec![old] },
            Order::LoggedOut { conn: old },
            Order::NotifyDrained { conn: old },
            Order::Close { conn: old, reason: logic::DisconnectReason::Kicked },
            Order::Deliver { message: message("for the new"), to: vec![old, new] },
        ],
    );
    assert_eq!(client.push(), Push::Message(message::Push::New(message("for the new"))));
    client.send(&send(1, "x"));
    assert_eq!(harness.request(), (new, 1, send_command("x".to_owned())));
    harness.stop();
}

#[test]
fn messages_reach_all_receivers_on_all_reactors_in_order() {
    let mut harness = Harness::start(NetConfig { threads: 3, ..patient() });
    let mut clients: Vec<(Client, ConnId)> = (1..=12).map(|user| harness.logged_in(user)).collect();
    for reactor in 0..3 {
        let to: Vec<ConnId> =
            clients.iter().map(|(_, conn)| *conn).filter(|conn| conn.reactor() == reactor).collect();
        assert_eq!(to.len(), 4, "handed out in turn");
        let orders = ["one", "two"].map(|text| Order::Deliver { message: message(text), to: to.clone() });
        harness.orders[reactor].send(orders.into()).unwrap();
    }
    for (client, _) in &mut clients {
        assert_eq!(client.push(), Push::Message(message::Push::New(message("one"))));
        assert_eq!(client.push(), Push::Message(message::Push::New(message("two"))));
    }
    harness.stop();
}

#[test]
fn a_close_follows_all_output_before_it_and_nothing_is_written_after_it() {
    let mut harness = Harness::start(patient());
    let (mut client, conn) = harness.logged_in(1);
    let close = Order::Close { conn, reason: logic::DisconnectReason::Kicked };
    let bulk = Push::Message(message::Push::New(message(&"b".repeat(100_000))));
    let mut orders: Vec<Order> = (0..70).map(|_| Order::Push { conn, push: bulk.clone() }).collect();
    orders.extend([close, Order::Push { conn, push: Push::Session(session::Push::Probe) }]);
    harness.order(conn, orders);
    assert_eq!(harness.closed(), conn);
    for _ in 0..70 {
        assert_eq!(client.push(), bulk);
    }
    client.end();
    harness.wait_for_connections(1);
    drop(client);
    harness.wait_for_connections(0);
    harness.stop();
}

#[test]
fn an_error_reply_arrives_before_the_close_though_more_input_was_on_its_way() {
    let mut harness = Harness::start(patient());
    for _ in 0..20 {
        let mut client = harness.client();
        let mut bytes = send(3, "x");
        bytes[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
        // Far more than one read takes, and more after the reply was written.
        bytes.resize(200_000, b'!');
        client.send(&bytes);
        assert_eq!(client.stream.peek(&mut [0; 1]).unwrap(), 1);
        client.send(&bytes);
        assert_eq!(client.refusal(3), Errno::TooLarge);
        client.end();
        let conn = harness.opened();
        assert_eq!(harness.closed(), conn);
    }
    harness.stop();
}

#[test]
fn a_peer_that_does_not_answer_a_fin_is_dropped() {
    let timeouts = Timeouts { linger: Duration::from_millis(200), ..Timeouts::default() };
    let mut harness = Harness::start(NetConfig { timeouts, ..patient() });
    let (mut client, conn) = harness.logged_in(1);
    harness.order(conn, vec![Order::Close { conn, reason: logic::DisconnectReason::Kicked }]);
    client.end();
    harness.wait_for_connections(0);
    harness.stop();
}

#[test]
fn connections_above_the_limit_are_closed_and_free_room_is_used_again() {
    let mut harness = Harness::start(NetConfig { connections: 2, ..patient() });
    let (one, conn) = harness.logged_in(1);
    let (_two, _) = harness.logged_in(2);
    harness.client().gone();
    drop(one);
    assert_eq!(harness.closed(), conn);
    harness.wait_for_connections(1);
    harness.logged_in(3);
    harness.stop();
}

#[test]
fn shutdown_writes_all_output_and_accepts_no_connection() {
    let mut harness = Harness::start(NetConfig { threads: 2, ..patient() });
    let (mut one, one_conn) = harness.logged_in(1);
    let (mut two, two_conn) = harness.logged_in(2);
    let silent = harness.client();
    harness.wait_for_connections(3);
    harness.net.stop_accepting();
    assert!(TcpStream::connect(harness.address).is_err());
    let bulk = Push::Message(message::Push::New(message(&"b".repeat(100_000))));
    harness.order(one_conn, (0..50).map(|_| Order::Push { conn: one_conn, push: bulk.clone() }).collect());
    harness.push(two_conn, Push::Session(session::Push::Probe));
    harness.net.drain(Duration::from_secs(20));
    assert_eq!(two.push(), Push::Session(session::Push::Probe));
    two.end();
    for _ in 0..50 {
        assert_eq!(one.push(), bulk);
    }
    one.end();
    drop((one, two, silent));
    let mut closed = [harness.closed(), harness.closed()];
    closed.sort();
    assert_eq!(closed, [one_conn, two_conn]);
    harness.net.join();
}

#[test]
fn shutdown_does_not_wait_for_a_peer_that_does_not_read() {
    let mut harness = Harness::start(patient());
    let (_stuck, conn) = harness.logged_in(1);
    let bulk = Push::Message(message::Push::New(message(&"b".repeat(100_000))));
    harness.order(conn, (0..70).map(|_| Order::Push { conn, push: bulk.clone() }).collect());
    let started = Instant::now();
    harness.net.drain(Duration::from_millis(300));
    harness.net.join();
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// The limit of open files is one of the process, so this test runs itself in a process of its own.
#[test]
fn without_descriptors_open_connections_are_served_and_new_ones_refused() {
    const CHILD: &str = "CHATSERVER_TEST_OUT_OF_DESCRIPTORS";
    if env::var_os(CHILD).is_none() {
        let test = "tests::life::without_descriptors_open_connections_are_served_and_new_ones_refused";
        let output = process::Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{stderr}");
        return;
    }
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let mut harness = Harness::start(patient());
    let (mut inside, conn) = harness.logged_in(1);
    let full = getrlimit(Resource::Nofile);
    let mut stat = File::open("/proc/self/stat").unwrap();
    // The clients' sockets belong to this process too: they are made before the limit is lowered and connected later.
    let sockets: Vec<socket2::Socket> = (0..20)
        .map(|_| socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap())
        .collect();
    setrlimit(Resource::Nofile, Rlimit { current: Some(100), ..full }).unwrap();
    let hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let busy_before = cpu_time(&mut stat);
    let mut refused = Vec::new();
    for socket in sockets {
        socket.connect(&harness.address.into()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        refused.push(Client { stream: socket.into(), bytes: Vec::new() });
    }
    for client in &mut refused {
        client.gone();
    }
    inside.send(&send(1, "x"));
    assert_eq!(harness.request(), (conn, 1, send_command("x".to_owned())));
    assert!(harness.next_within(Duration::from_millis(500)).is_none());
    assert!(cpu_time(&mut stat) - busy_before < Duration::from_millis(250), "the acceptor must not spin");
    drop(hoard);
    harness.logged_in(2);
    harness.stop();
}

/// The processor time that this process has used.
fn cpu_time(stat: &mut File) -> Duration {
    let mut line = String::new();
    stat.rewind().unwrap();
    stat.read_to_string(&mut line).unwrap();
    let after_name = line.rsplit_once(')').unwrap().1;
    // proc(5): utime and stime are fields 14 and 15, in ticks of 10 ms; field 3 is the first one here.
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).map(|t| t.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
