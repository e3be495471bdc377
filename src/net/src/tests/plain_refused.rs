//! Who must use TLS, and what those are told who do not.

use super::encryption::{Authority, secure};
use super::*;
use crate::context::Context;
use mio::Poll;
use std::net::IpAddr;
use tls::Acceptor;
use wire::Dialect;

#[test]
fn a_plain_frame_is_refused_with_a_sentence_where_tls_is_required() {
    let (mut harness, ..) = secure(TlsRequired::Always, |_| {});
    let mut plain = harness.client();
    plain.send(&login(1));
    match plain.push() {
        Push::Error(refusal) => {
            assert_eq!(refusal.errno, Errno::Forbidden);
            assert!(refusal.errmsg.contains("--tls"), "{}", refusal.errmsg);
        }
        other => panic!("expected an error, got {other:?}"),
    }
    plain.end();
    assert!(harness.next_within(Duration::ZERO).is_none(), "logic does not learn of it");
    // Legacy clients know no TLS.
    let mut legacy = harness.client();
    legacy.send(br#"{"msgid":1,"id":1,"password":"x"}"#);
    assert!(matches!(harness.next(), Input::Opened { dialect: Dialect::Legacy, .. }));
    harness.stop();

    let (mut harness, ..) =
        secure(TlsRequired::Always, |config| config.tls.as_mut().unwrap().legacy_plain = false);
    let mut legacy = harness.client();
    legacy.send(br#"{"msgid":1,"id":1,"password":"x"}"#);
    legacy.end();
    assert!(harness.next_within(Duration::ZERO).is_none());
    harness.stop();

    // This machine needs none by default.
    let (mut harness, ..) = secure(TlsRequired::Remote, |_| {});
    harness.logged_in(3);
    harness.stop();
}

#[test]
fn who_needs_tls_depends_on_the_setting_and_on_where_the_peer_is() {
    let authority = Authority::new();
    let acceptor = Acceptor::new(authority.issue("chat.example")).unwrap();
    let context = |tls| {
        let proxies = vec!["10.0.0.2/32".parse().unwrap()];
        let config = NetConfig { tls, proxies, ..NetConfig::default() };
        let pending = Arc::new(PendingLogins::new(1, Vec::new()));
        let budget = Arc::new(OutputBudget::new(1, 1));
        let poll = Poll::new().unwrap();
        Context::new(poll.registry().try_clone().unwrap(), pending, budget, &config)
    };
    for near in ["127.0.0.1", "127.0.0.9", "::1", "::ffff:127.0.0.1", "10.0.0.2", "::ffff:10.0.0.2"] {
        assert!(context(None).is_near(near.parse::<IpAddr>().unwrap().to_canonical()), "{near}");
    }
    for far in ["192.168.1.7", "10.0.0.3", "fd00::1", "::ffff:192.168.1.7", "0.0.0.0"] {
        assert!(!context(None).is_near(far.parse::<IpAddr>().unwrap().to_canonical()), "{far}");
    }
    let refuses = |tls| {
        let context = context(tls);
        [(Dialect::Tlv, true), (Dialect::Tlv, false), (Dialect::Legacy, true), (Dialect::Legacy, false)]
            .map(|(dialect, is_near)| context.refuses_plain(dialect, is_near))
    };
    assert_eq!(refuses(None), [false; 4]);
    for (required, legacy_plain, refused) in [
        (TlsRequired::Never, false, [false, false, false, false]),
        (TlsRequired::Remote, true, [false, true, false, false]),
        (TlsRequired::Remote, false, [false, true, false, true]),
        (TlsRequired::Always, true, [true, true, false, false]),
        (TlsRequired::Always, false, [true, true, true, true]),
    ] {
        let tls = TlsConfig { acceptor: acceptor.clone(), required, legacy_plain };
        assert_eq!(refuses(Some(tls)), refused, "{required:?} {legacy_plain}");
    }
}

#[test]
fn without_a_certificate_tls_is_no_protocol_of_the_server() {
    let mut harness = Harness::start(patient());
    let mut client = harness.client();
    client.send(&[tls::FIRST_BYTE, 3, 1, 0, 200, 1]);
    client.end();
    assert!(harness.next_within(Duration::ZERO).is_none());
    harness.stop();
}
