//! Connections from trusted proxies.

use super::*;
use std::net::IpAddr;
use wire::Dialect;
use wire::message;

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 6000\r\n";
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0f\xc0\x00\x02\x07\xc6\x33\x64\x01\xdc\x04\x17\x70\x04\x00\x00";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

fn trusting(proxies: &[&str]) -> NetConfig {
    let proxies = proxies.iter().map(|network| network.parse().unwrap()).collect();
    NetConfig { proxies, ..NetConfig::default() }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Harness {
    /// The client's address and the dialect of the next connection that is opened.
    fn opened_by(&mut self) -> (IpAddr, Dialect) {
        match self.next() {
            Input::Opened { peer, dialect, .. } => (peer, dialect),
            other => panic!("expected Opened, got {other:?}"),
        }
    }
}

#[test]
fn a_header_names_the_client_however_it_is_split() {
    let mut harness = Harness::start(trusting(&["10.0.0.0/8", "127.0.0.0/8"]));
    for header in [V1, V2] {
        let bytes = [header, &send(1, "hi")].concat();
        for cut in [1, 2, 6, 12, 16, header.len() - 1, header.len(), header.len() + 1, bytes.len()] {
            let mut client = harness.client();
            client.send(&bytes[..cut]);
            client.send(&bytes[cut..]);
            assert_eq!(harness.opened_by(), (address("192.0.2.7"), Dialect::Tlv));
            assert!(matches!(harness.request().2, Command::Message(message::Request::Send(_))));
            drop(client);
            harness.closed();
        }
        let mut client = harness.client();
        for byte in &bytes {
            client.send(std::slice::from_ref(byte));
        }
        assert_eq!(harness.opened_by().0, address("192.0.2.7"));
        assert_eq!(harness.request().1, 1);
        drop(client);
        harness.closed();
    }
    harness.stop();
}

#[test]
fn a_trusted_proxy_may_send_no_header_or_one_that_names_no_client() {
    let mut harness = Harness::start(trusting(&["127.0.0.1/32"]));
    for (bytes, dialect) in [
        (send(1, "hi"), Dialect::Tlv),
        ([LOCAL, &send(1, "hi")].concat(), Dialect::Tlv),
        ([b"PROXY UNKNOWN\r\n", &send(1, "hi")[..]].concat(), Dialect::Tlv),
        // A legacy client whose stream begins like version 2, and one behind a proxy.
        (b"\r\n\r\n{}".to_vec(), Dialect::Legacy),
        ([LOCAL, b"\r\n{}"].concat(), Dialect::Legacy),
    ] {
        let mut client = harness.client();
        client.send(&bytes);
        assert_eq!(harness.opened_by(), (address("127.0.0.1"), dialect));
        drop(client);
        while !matches!(harness.next(), Input::Closed { .. }) {}
    }
    // A health check sends nothing but the header.
    let mut check = harness.client();
    check.send(LOCAL);
    drop(check);
    harness.wait_for_connections(0);
    harness.stop();
}

#[test]
fn a_header_from_an_untrusted_address_is_not_accepted() {
    let mut harness = Harness::start(trusting(&["127.0.0.2/32", "::1/128"]));
    // Version 2 begins like a legacy stream, but is not taken for one.
    for header in [V1, V2] {
        let mut client = harness.client();
        client.send(header);
        client.end();
    }
    assert!(harness.next_within(Duration::ZERO).is_none(), "logic does not learn of them");
    harness.stop();
}

#[test]
fn a_malformed_header_closes_only_that_connection() {
    let mut harness = Harness::start(trusting(&["127.0.0.1/32"]));
    for bad in [&b"PROXY TCP4 1.2.3.4\r\n"[..], b"PING", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c"] {
        let mut client = harness.client();
        client.send(bad);
        client.end();
    }
    assert!(harness.next_within(Duration::ZERO).is_none(), "logic does not learn of them");
    harness.logged_in(3);
    harness.stop();
}

#[test]
fn a_header_that_was_begun_must_be_completed_in_time() {
    let timeouts = Timeouts { proxy_handshake: Duration::from_millis(300), ..Timeouts::default() };
    let mut harness = Harness::start(NetConfig { timeouts, threads: 1, ..trusting(&["127.0.0.1/32"]) });
    let mut silent = harness.client();
    let mut blank = harness.client();
    blank.send(b"\r\n");
    let begun = Instant::now();
    for part in [&V1[..20], &V2[..20]] {
        let mut client = harness.client();
        client.send(part);
        client.gone();
    }
    assert!(begun.elapsed() >= Duration::from_millis(300));
    // Line ends alone become a legacy stream. The silent connection is a direct one from now on.
    assert_eq!(harness.opened_by(), (address("127.0.0.1"), Dialect::Legacy));
    let mut late = harness.client();
    // The same reactor closes the witness, which came later and has begun a header: then the time of both is over.
    let mut witness = harness.client();
    witness.send(&V1[..20]);
    witness.gone();
    harness.wait_for_connections(3);
    late.send(V1);
    late.end();
    silent.send(&send(1, "hi"));
    assert_eq!(harness.opened_by(), (address("127.0.0.1"), Dialect::Tlv));
    harness.stop();
}
