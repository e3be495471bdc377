//! How connections begin and end.

use super::*;
use std::env;
use std::fs::File;
use std::io::Seek;
use std::net::Shutdown;
use std::process;
use wire::{message, session};

#[test]
fn a_peer_that_closes_or_resets_is_gone_once() {
    let mut rig = Rig::start(patient());
    let (client, conn) = rig.logged_in(1);
    drop(client);
    assert_eq!(rig.closed(), conn);

    // Its last requests count also when it leaves without reading.
    let (mut client, conn) = rig.logged_in(2);
    rig.push(conn, Push::Session(session::Push::Probe));
    assert_eq!(client.stream.peek(&mut [0; 1]).unwrap(), 1);
    client.send(&send(7, "last words"));
    drop(client);
    assert_eq!(rig.request().1, 7);
    assert_eq!(rig.closed(), conn);

    let (client, conn) = rig.logged_in(3);
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rig.closed(), conn);
    rig.wait_for_connections(0);
    assert!(rig.next_within(Duration::from_millis(50)).is_none());
    rig.stop();
}

#[test]
fn an_order_for_a_connection_that_is_gone_never_reaches_the_next_in_its_slot() {
    let mut rig = Rig::start(patient());
    let (client, old) = rig.logged_in(1);
    drop(client);
    assert_eq!(rig.closed(), old);
    rig.wait_for_connections(0);
    let (mut client, new) = rig.logged_in(2);
    assert_eq!((old.reactor(), old.slot()), (new.reactor(), new.slot()), "the slot is used again");
    rig.order(
        new,
        vec![
            Order::Push { conn: old, push: Push::Session(session::Push::Probe) },
            done(old, request::SEND, 1),
            Order::Deliver { message: message("for the old"), to: vec![old] },
            Order::LoggedOut { conn: old },
            Order::NotifyDrained { conn: old },
            Order::Close { conn: old, reason: logic::CloseReason::Kicked },
            Order::Deliver { message: message("for the new"), to: vec![old, new] },
        ],
    );
    assert_eq!(client.push(), Push::Message(message::Push::New(message("for the new"))));
    client.send(&send(1, "x"));
    assert_eq!(rig.request(), (new, 1, send_command("x".to_owned())));
    rig.stop();
}

#[test]
fn a_message_reaches_all_of_many_on_all_sub_reactors_in_order() {
    let mut rig = Rig::start(NetConfig { threads: 3, ..patient() });
    let mut clients: Vec<(Client, ConnId)> = (1..=12).map(|user| rig.logged_in(user)).collect();
    for reactor in 0..3 {
        let to: Vec<ConnId> =
            clients.iter().map(|(_, conn)| *conn).filter(|conn| conn.reactor() == reactor).collect();
        assert_eq!(to.len(), 4, "handed out in turn");
        let orders = ["one", "two"].map(|text| Order::Deliver { message: message(text), to: to.clone() });
        rig.orders[reactor].send(orders.into()).unwrap();
    }
    for (client, _) in &mut clients {
        assert_eq!(client.push(), Push::Message(message::Push::New(message("one"))));
        assert_eq!(client.push(), Push::Message(message::Push::New(message("two"))));
    }
    rig.stop();
}

#[test]
fn an_ordered_close_comes_after_what_was_written_and_nothing_after_it() {
    let mut rig = Rig::start(patient());
    let (mut client, conn) = rig.logged_in(1);
    let close = Order::Close { conn, reason: logic::CloseReason::Kicked };
    let bulk = Push::Message(message::Push::New(message(&"b".repeat(100_000))));
    let mut orders: Vec<Order> = (0..70).map(|_| Order::Push { conn, push: bulk.clone() }).collect();
    orders.extend([close, Order::Push { conn, push: Push::Session(session::Push::Probe) }]);
    rig.order(conn, orders);
    assert_eq!(rig.closed(), conn);
    for _ in 0..70 {
        assert_eq!(client.push(), bulk);
    }
    client.end();
    rig.wait_for_connections(1);
    drop(client);
    rig.wait_for_connections(0);
    rig.stop();
}

#[test]
fn an_error_reply_survives_the_close_though_more_was_on_its_way() {
    let mut rig = Rig::start(patient());
    for _ in 0..20 {
        let mut client = rig.client();
        let mut bytes = send(3, "x");
        bytes[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
        // Far more than one read takes, and more after the reply was written.
        bytes.resize(200_000, b'!');
        client.send(&bytes);
        assert_eq!(client.stream.peek(&mut [0; 1]).unwrap(), 1);
        client.send(&bytes);
        assert_eq!(client.refusal(3), Errno::TooLarge);
        client.end();
        let conn = rig.opened();
        assert_eq!(rig.closed(), conn);
    }
    rig.stop();
}

#[test]
fn a_peer_that_ignores_the_goodbye_is_let_go() {
    let timeouts = Timeouts { linger: Duration::from_millis(200), ..Timeouts::default() };
    let mut rig = Rig::start(NetConfig { timeouts, ..patient() });
    let (mut client, conn) = rig.logged_in(1);
    rig.order(conn, vec![Order::Close { conn, reason: logic::CloseReason::Kicked }]);
    client.end();
    rig.wait_for_connections(0);
    rig.stop();
}

#[test]
fn those_above_the_limit_are_closed_and_room_is_used_again() {
    let mut rig = Rig::start(NetConfig { connections: 2, ..patient() });
    let (one, conn) = rig.logged_in(1);
    let (_two, _) = rig.logged_in(2);
    rig.client().gone();
    drop(one);
    assert_eq!(rig.closed(), conn);
    rig.wait_for_connections(1);
    rig.logged_in(3);
    rig.stop();
}

#[test]
fn stopping_writes_what_is_unwritten_and_takes_nobody_in() {
    let mut rig = Rig::start(NetConfig { threads: 2, ..patient() });
    let (mut one, one_conn) = rig.logged_in(1);
    let (mut two, two_conn) = rig.logged_in(2);
    let silent = rig.client();
    rig.wait_for_connections(3);
    rig.net.stop_accepting();
    assert!(TcpStream::connect(rig.address).is_err());
    let bulk = Push::Message(message::Push::New(message(&"b".repeat(100_000))));
    rig.order(one_conn, (0..50).map(|_| Order::Push { conn: one_conn, push: bulk.clone() }).collect());
    rig.push(two_conn, Push::Session(session::Push::Probe));
    rig.net.drain(Duration::from_secs(20));
    assert_eq!(two.push(), Push::Session(session::Push::Probe));
    two.end();
    for _ in 0..50 {
        assert_eq!(one.push(), bulk);
    }
    one.end();
    drop((one, two, silent));
    let mut closed = [rig.closed(), rig.closed()];
    closed.sort();
    assert_eq!(closed, [one_conn, two_conn]);
    rig.net.join();
}

#[test]
fn stopping_does_not_wait_for_a_peer_that_does_not_read() {
    let mut rig = Rig::start(patient());
    let (_stuck, conn) = rig.logged_in(1);
    let bulk = Push::Message(message::Push::New(message(&"b".repeat(100_000))));
    rig.order(conn, (0..70).map(|_| Order::Push { conn, push: bulk.clone() }).collect());
    let started = Instant::now();
    rig.net.drain(Duration::from_millis(300));
    rig.net.join();
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// The limit of open files is the process's, so this test runs itself in a process of its own.
#[test]
fn out_of_descriptors_those_inside_are_served_and_others_turned_away() {
    const CHILD: &str = "CHATSERVER_TEST_OUT_OF_DESCRIPTORS";
    if env::var_os(CHILD).is_none() {
        let test = "tests::life::out_of_descriptors_those_inside_are_served_and_others_turned_away";
        let output = process::Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{said}");
        return;
    }
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let mut rig = Rig::start(patient());
    let (mut inside, conn) = rig.logged_in(1);
    let full = getrlimit(Resource::Nofile);
    let mut stat = File::open("/proc/self/stat").unwrap();
    // The client's sockets are this process's too: make them before the limit falls, let them wait unconnected.
    let sockets: Vec<socket2::Socket> = (0..20)
        .map(|_| socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap())
        .collect();
    setrlimit(Resource::Nofile, Rlimit { current: Some(100), ..full }).unwrap();
    let hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let busy_before = cpu_time(&mut stat);
    let mut turned_away = Vec::new();
    for socket in sockets {
        socket.connect(&rig.address.into()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        turned_away.push(Client { stream: socket.into(), bytes: Vec::new() });
    }
    for client in &mut turned_away {
        client.gone();
    }
    inside.send(&send(1, "x"));
    assert_eq!(rig.request(), (conn, 1, send_command("x".to_owned())));
    assert!(rig.next_within(Duration::from_millis(500)).is_none());
    assert!(cpu_time(&mut stat) - busy_before < Duration::from_millis(250), "it must not spin");
    drop(hoard);
    rig.logged_in(2);
    rig.stop();
}

/// What this process has used of the processors.
fn cpu_time(stat: &mut File) -> Duration {
    let mut line = String::new();
    stat.rewind().unwrap();
    stat.read_to_string(&mut line).unwrap();
    let after_name = line.rsplit_once(')').unwrap().1;
    // proc(5): utime and stime are fields 14 and 15, in ticks of 10 ms; field 3 is the first one here.
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).map(|t| t.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
