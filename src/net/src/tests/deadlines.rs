//! Time limits before and after login.

use super::*;
use wire::session;
use wire::{Heartbeat, UnixMillis};

fn short_timeouts() -> NetConfig {
    let timeouts = Timeouts {
        login: Duration::from_millis(1_000),
        silence: Duration::from_millis(400),
        probe: Duration::from_millis(800),
        ..Timeouts::default()
    };
    NetConfig { timeouts, ..NetConfig::default() }
}

#[test]
fn a_silent_client_is_probed_and_closed_if_it_stays_silent() {
    let mut harness = Harness::start(NetConfig {
        timeouts: Timeouts { login: Duration::from_secs(60), ..short_timeouts().timeouts },
        ..short_timeouts()
    });
    let (mut client, conn) = harness.logged_in(3);
    let started = Instant::now();
    assert_eq!(client.push(), Push::Session(session::Push::Probe));
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
    // A single byte proves that the client lives; then it is silent again.
    let beat = Heartbeat { sequence: 1, time: UnixMillis(1), user: UserId(3) }.encode();
    let mut frame = Vec::new();
    wire::frame::put_frame(&mut frame, request::HEARTBEAT, 1, |out| out.extend_from_slice(&beat));
    client.send(&frame[..1]);
    let answered = Instant::now();
    assert_eq!(client.push(), Push::Session(session::Push::Probe));
    assert!(answered.elapsed() >= Duration::from_millis(400));
    client.send(&frame[1..]);
    assert_eq!(client.frame().1, 1);
    assert_eq!(harness.heartbeat(), conn);
    assert_eq!(client.push(), Push::Session(session::Push::Probe));
    let probed = Instant::now();
    client.end();
    assert!(probed.elapsed() >= Duration::from_millis(700));
    assert_eq!(harness.closed(), conn);
    harness.stop();
}

#[test]
fn a_client_that_is_not_read_does_not_count_as_silent() {
    let config = short_timeouts();
    let mut harness = Harness::start(NetConfig {
        timeouts: Timeouts { login: Duration::from_secs(60), ..config.timeouts },
        ..config
    });
    let (mut client, conn) = harness.logged_in(3);
    // Not read until LOGOUT is answered, which takes far longer than silence and probe together.
    client.send(&encoded(2, &Command::Session(session::Request::Logout)));
    assert_eq!(harness.request().1, 2);
    assert!(harness.next_within(Duration::from_millis(1_500)).is_none(), "the connection stays open");
    harness.order(conn, vec![done(conn, request::LOGOUT, 2)]);
    client.answered(2);
    harness.stop();
}

#[test]
fn the_time_for_login_begins_with_the_connection_and_again_with_a_logout() {
    let config = short_timeouts();
    let patient_after_login = Timeouts { silence: Duration::from_secs(60), ..config.timeouts };
    let mut harness = Harness::start(NetConfig { timeouts: patient_after_login, ..config });
    let started = Instant::now();
    let (mut member, conn) = harness.logged_in(3);
    let mut talker = harness.client();
    talker.send(&send(1, "not logged in"));
    let unauthenticated = harness.opened();
    harness.request();
    harness.order(unauthenticated, vec![done(unauthenticated, request::SEND, 1)]);
    talker.answered(1);
    talker.end();
    assert!(started.elapsed() >= config.timeouts.login);
    assert_eq!(harness.closed(), unauthenticated);

    member.send(&encoded(2, &Command::Session(session::Request::Logout)));
    assert_eq!(harness.request().1, 2);
    let logged_out = Instant::now();
    harness.order(conn, vec![done(conn, request::LOGOUT, 2), Order::LoggedOut { conn }]);
    member.answered(2);
    member.end();
    assert!(logged_out.elapsed() >= config.timeouts.login);
    assert_eq!(harness.closed(), conn);
    harness.stop();
}

#[test]
fn a_silent_connection_has_the_time_of_a_login_and_a_legacy_client_has_no_deadline() {
    let login = short_timeouts().timeouts.login;
    let mut harness = Harness::start(short_timeouts());
    let connected = Instant::now();
    let (mut silent, mut legacy) = (harness.client(), harness.client());
    legacy.send(b"\0");
    harness.opened();
    silent.end();
    assert!(connected.elapsed() >= login);
    assert!(harness.next_within(2 * login).is_none());
    assert_eq!(harness.net.connections(), 1, "the legacy connection is left to keep-alive");
    harness.stop();
}

#[test]
fn the_oldest_of_too_many_pending_logins_are_closed() {
    for threads in [1, 3] {
        let mut harness = Harness::start(NetConfig { threads, connections: 10, ..patient() });
        let (mut member, _) = harness.logged_in(1);
        // A request that logic has not answered protects its connection.
        let mut waiting = harness.client();
        waiting.send(&login(7));
        harness.opened();
        assert_eq!(harness.request().1, 7);
        let mut unauthenticated: Vec<Client> = (0..40).map(|_| harness.client()).collect();
        unauthenticated[0].end();
        // Those of all reactors are in one list.
        if threads == 1 {
            unauthenticated[34].end();
            harness.wait_for_connections(7);
            for survivor in &mut unauthenticated[35..] {
                survivor.send(&send(1, "here"));
                harness.opened();
                assert_eq!(harness.request().1, 1);
            }
        }
        member.send(&send(9, "untouched"));
        while !matches!(harness.next(), Input::Request { request: 9, .. }) {}
        harness.stop();
    }
}
