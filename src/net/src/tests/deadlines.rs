//! Silence, before and after login.

use super::*;
use wire::session;
use wire::{Heartbeat, UnixMillis};

fn hasty() -> NetConfig {
    let timeouts = Timeouts {
        login: Duration::from_millis(1_000),
        pending_login_age: Duration::from_millis(1_000),
        silence: Duration::from_millis(400),
        probe: Duration::from_millis(800),
        ..Timeouts::default()
    };
    NetConfig { timeouts, ..NetConfig::default() }
}

#[test]
fn silence_is_probed_and_silence_after_the_probe_closes() {
    let mut rig = Rig::start(NetConfig {
        timeouts: Timeouts { login: Duration::from_secs(60), ..hasty().timeouts },
        ..hasty()
    });
    let (mut client, conn) = rig.logged_in(3);
    let started = Instant::now();
    assert_eq!(client.push(), Push::Session(session::Push::Probe));
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
    // Any byte is life, also one that completes nothing; then it is silent again.
    let beat = Heartbeat { sequence: 1, time: UnixMillis(1), user: UserId(3) }.encode();
    let mut frame = Vec::new();
    wire::frame::put_frame(&mut frame, request::HEARTBEAT, 1, |out| out.extend_from_slice(&beat));
    client.send(&frame[..1]);
    let answered = Instant::now();
    assert_eq!(client.push(), Push::Session(session::Push::Probe));
    assert!(answered.elapsed() >= Duration::from_millis(400));
    client.send(&frame[1..]);
    assert_eq!(client.frame().1, 1);
    assert_eq!(client.push(), Push::Session(session::Push::Probe));
    let probed = Instant::now();
    client.end();
    assert!(probed.elapsed() >= Duration::from_millis(700));
    assert_eq!(rig.closed(), conn);
    rig.stop();
}

#[test]
fn a_connection_that_we_do_not_read_is_not_silent() {
    let config = hasty();
    let mut rig = Rig::start(NetConfig {
        timeouts: Timeouts { login: Duration::from_secs(60), ..config.timeouts },
        ..config
    });
    let (mut client, conn) = rig.logged_in(3);
    // Held until the LOGOUT is answered, far longer than silence and probe together.
    client.send(&encoded(2, &Command::Session(session::Request::Logout)));
    assert_eq!(rig.request().1, 2);
    assert!(rig.next_within(Duration::from_millis(1_500)).is_none(), "it lives on");
    rig.order(conn, vec![done(conn, request::LOGOUT, 2)]);
    client.answered(2);
    rig.stop();
}

#[test]
fn who_does_not_log_in_is_closed_and_who_logs_in_or_out_begins_anew() {
    let config = hasty();
    let patient_after_login = Timeouts { silence: Duration::from_secs(60), ..config.timeouts };
    let mut rig = Rig::start(NetConfig { timeouts: patient_after_login, ..config });
    let started = Instant::now();
    let (mut member, conn) = rig.logged_in(3);
    let mut talker = rig.client();
    talker.send(&send(1, "not logged in"));
    let stranger = rig.opened();
    rig.request();
    talker.end();
    assert!(started.elapsed() >= config.timeouts.login);
    assert_eq!(rig.closed(), stranger);

    member.send(&encoded(2, &Command::Session(session::Request::Logout)));
    assert_eq!(rig.request().1, 2);
    let logged_out = Instant::now();
    rig.order(conn, vec![done(conn, request::LOGOUT, 2), Order::LoggedOut { conn }]);
    member.answered(2);
    member.end();
    assert!(logged_out.elapsed() >= config.timeouts.login);
    assert_eq!(rig.closed(), conn);
    rig.stop();
}

#[test]
fn who_says_nothing_has_the_time_of_a_login_and_a_legacy_client_all_the_time_in_the_world() {
    let login = hasty().timeouts.login;
    let mut rig = Rig::start(hasty());
    let connected = Instant::now();
    let (mut silent, mut legacy) = (rig.client(), rig.client());
    legacy.send(b"\0");
    rig.opened();
    silent.end();
    assert!(connected.elapsed() >= login);
    assert!(rig.next_within(2 * login).is_none());
    assert_eq!(rig.net.connections(), 1, "the kernel watches over it");
    rig.stop();
}

#[test]
fn of_too_many_that_wait_to_log_in_the_oldest_go() {
    for threads in [1, 3] {
        let config = hasty();
        let timeouts =
            Timeouts { login: Duration::from_secs(60), silence: Duration::from_secs(60), ..config.timeouts };
        let mut rig = Rig::start(NetConfig { threads, pending_logins: 5, timeouts, ..config });
        let (mut member, _) = rig.logged_in(1);
        let started = Instant::now();
        let mut unauthenticated: Vec<Client> = (0..40).map(|_| rig.client()).collect();
        rig.wait_for_connections(41);
        // Which sub-reactor looks first may cost or spare one each.
        let until = Instant::now() + PATIENCE;
        while rig.net.connections() > 6 {
            assert!(Instant::now() < until, "{} are left", rig.net.connections());
            thread::yield_now();
        }
        assert!(started.elapsed() >= config.timeouts.pending_login_age);
        let left = rig.net.connections();
        assert!((6 - threads..=6).contains(&left), "{left} are left");
        unauthenticated[0].end();
        if threads == 1 {
            unauthenticated[34].end();
            for survivor in &mut unauthenticated[35..] {
                survivor.send(&send(1, "here"));
                rig.opened();
                assert_eq!(rig.request().1, 1);
            }
        }
        member.send(&send(9, "untouched"));
        while !matches!(rig.next(), Input::Request { request: 9, .. }) {}
        rig.stop();
    }
}
