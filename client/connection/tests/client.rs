//! The client over real sockets, against a fake server on a free port.

#[path = "../../core/tests/support/mod.rs"]
mod support;

use chatclient_connection::Client;
use chatclient_core::{Event, Options, Session};
use crossbeam_channel::Receiver;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use support::listening::Listening;
use support::{ME, PASSWORD};
use wire::account::Who;
use wire::{Target, UserId};

fn expect(events: &Receiver<Event>, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match events.recv_deadline(deadline) {
            Ok(event) if wanted(&event) => return event,
            Ok(_) => {}
            Err(_) => panic!("{what} did not come within 20 s"),
        }
    }
}

#[test]
fn a_client_logs_in_by_host_name_sends_and_reconnects_after_a_cut() {
    let listening = Listening::start();
    listening.server.lock().unwrap().store(2, UserId(2), "while you were away", None);

    let (client, events) = Client::start(format!("localhost:{}", listening.port), Options::new(5)).unwrap();
    client.with(|session, now| session.login_password(now, Who::Id(ME), PASSWORD));
    expect(&events, "the login", |event| matches!(event, Event::LoggedIn(_)));
    expect(&events, "the message", |event| matches!(event, Event::Message(_)));
    let to = Target::User(UserId(2));
    let long = "x".repeat(32_768);
    client.with(|session, now| session.send(now, to.clone(), &long)).unwrap();
    expect(&events, "the confirmation", |event| matches!(event, Event::Sent { .. }));

    listening.cut();
    client.with(|session, now| session.send(now, to, "second")).unwrap();
    expect(&events, "the loss", |event| matches!(event, Event::Disconnected { retry_in_ms: Some(_), .. }));
    expect(&events, "the second login", |event| matches!(event, Event::LoggedIn(_)));
    expect(&events, "the second confirmation", |event| matches!(event, Event::Sent { .. }));
    assert_eq!(listening.server.lock().unwrap().texts(2, ME), [long, "second".to_owned()]);
}

#[test]
fn a_port_without_a_server_is_reported_as_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (client, events) = Client::start(format!("127.0.0.1:{port}"), Options::new(5)).unwrap();
    client.with(Session::connect);
    expect(&events, "the failure", |event| matches!(event, Event::Disconnected { retry_in_ms: None, .. }));
}
