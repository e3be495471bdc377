//! A stream against a TLS server in this process: blocking reads and writes, time limits, and bad certificates.

#![allow(clippy::unwrap_used, reason = "test support")]

use outbound::{Stream, speaks_tls};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tls::{Fault, Trust, fault_in, is_verifiable};

const LIMIT: Duration = Duration::from_secs(20);

/// A listener whose only connection `serve` gets after the handshake, and the authority to trust.
struct Peer {
    port: u16,
    trust: Trust,
    server: JoinHandle<()>,
}

type Secure = StreamOwned<ServerConnection, TcpStream>;

fn peer(names: &[&str], serve: impl FnOnce(Secure) + Send + 'static) -> Peer {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    fs::write(&file, authority.pem()).unwrap();
    let trust = Trust::of_file("a.ca_file", &file).unwrap();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(names).unwrap().signed_by(&key, &Issuer::new(params, authority_key)).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut session = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket);
        // A client that refuses the certificate ends it.
        while session.conn.is_handshaking() {
            if session.conn.complete_io(&mut session.sock).is_err() {
                return;
            }
        }
        serve(session);
    });
    Peer { port, trust, server }
}

fn dial(port: u16) -> Stream {
    let mut stream = Stream::dial("127.0.0.1", port, LIMIT).unwrap();
    stream.set_deadline(Instant::now() + LIMIT);
    stream
}

fn connect(peer: &Peer) -> Stream {
    let mut stream = dial(peer.port);
    stream.start_tls(&peer.trust, "127.0.0.1").unwrap();
    stream.set_limit(LIMIT).unwrap();
    stream
}

#[test]
fn what_has_arrived_is_read_without_waiting_for_more() {
    // Several records at once, and then silence: whoever waits for the socket before every read never gets them all.
    let bytes: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    let sent = bytes.clone();
    let peer = peer(&["127.0.0.1"], move |mut session| {
        session.write_all(&sent).unwrap();
        session.flush().unwrap();
        assert_eq!(session.read(&mut [0; 1]).unwrap_or(0), 0, "the client sends nothing");
    });
    let mut stream = connect(&peer);
    let mut received = Vec::new();
    while received.len() < bytes.len() {
        let mut buffer = [0; 1_000];
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0);
        received.extend_from_slice(&buffer[..length]);
    }
    assert!(received == bytes);
    stream.set_limit(Duration::from_millis(50)).unwrap();
    let silent = stream.read(&mut [0; 10]).unwrap_err();
    assert!(matches!(silent.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silent:?}");
    stream.shut_down();
    peer.server.join().unwrap();
}

#[test]
fn one_thread_writes_while_another_waits_for_data() {
    // Echoes.
    let peer = peer(&["127.0.0.1"], |mut session| {
        let mut buffer = [0; 5];
        while session.read_exact(&mut buffer).is_ok() {
            session.write_all(&buffer).unwrap();
        }
    });
    let mut reader = connect(&peer);
    let mut writer = reader.try_clone().unwrap();
    let reading = thread::spawn(move || {
        let mut texts = Vec::new();
        let mut buffer = [0; 5];
        while reader.read_exact(&mut buffer).is_ok() {
            texts.push(String::from_utf8_lossy(&buffer).into_owned());
            if texts.len() == 1_000 {
                break;
            }
        }
        (reader, texts)
    });
    for n in 0..1_000 {
        writer.write_all(format!("{n:5}").as_bytes()).unwrap();
    }
    let (mut reader, texts) = reading.join().unwrap();
    assert!((0..1_000).map(|n| format!("{n:5}")).eq(texts));
    // A read that waits returns when the other half ends the connection.
    let reading = thread::spawn(move || reader.read(&mut [0; 1]));
    writer.shut_down();
    assert_eq!(reading.join().unwrap().unwrap_or(0), 0);
    peer.server.join().unwrap();
}

#[track_caller]
fn refused(peer: Peer, trust: &Trust, host: &str) -> String {
    let error = dial(peer.port).start_tls(trust, host).unwrap_err();
    assert!(matches!(fault_in(&error), Some(Fault::Certificate(_))), "{error:?}");
    peer.server.join().unwrap();
    error.to_string()
}

#[test]
fn a_certificate_must_be_for_the_host_and_signed_by_an_authority() {
    let first = peer(&["a.example", "192.0.2.1"], |_| ());
    let trust = first.trust.clone();
    assert_eq!(
        refused(first, &trust, "127.0.0.1"),
        "the TLS certificate of 127.0.0.1 is not valid for 127.0.0.1 but for a.example, 192.0.2.1: connect to it by one of \
         these names, or issue one for 127.0.0.1"
    );
    let said = refused(peer(&["127.0.0.1"], |_| ()), &trust, "127.0.0.1");
    assert!(said.contains("is not signed by an authority in") && said.contains("set a.ca_file to"), "{said}");
    let nameless = peer(&[], |_| ());
    let trust = nameless.trust.clone();
    assert!(refused(nameless, &trust, "b.example").contains("names no host in its subjectAltName"));
}

#[test]
fn a_peer_that_does_not_speak_tls_is_told_from_one_that_does() {
    let answer = |bytes: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.write_all(bytes).unwrap();
            // Until the client leaves.
            io::copy(&mut socket, &mut io::sink())
        });
        port
    };
    let secure = peer(&["127.0.0.1"], |_| ());
    let trust = secure.trust.clone();
    let error = dial(answer(b"-ERR unknown command\r\n")).start_tls(&trust, "127.0.0.1").unwrap_err();
    assert_eq!(fault_in(&error), Some(&Fault::NotTls { host: "127.0.0.1".to_owned() }));
    assert!(!speaks_tls("127.0.0.1", answer(b"-ERR unknown command\r\n"), LIMIT));
    assert!(speaks_tls("127.0.0.1", secure.port, LIMIT));
    secure.server.join().unwrap();
}

#[test]
fn the_deadline_holds_in_the_handshake_whatever_arrives() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let secure = peer(&["127.0.0.1"], |_| ());
    let trust = secure.trust.clone();
    // One byte of a record at a time, so that no single wait is long.
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let record = [&[0x16, 3, 3, 0x20, 0][..], &[2; 0x2000]].concat();
        for byte in record {
            if socket.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
    let mut stream = Stream::dial("127.0.0.1", port, LIMIT).unwrap();
    stream.set_deadline(Instant::now() + Duration::from_millis(500));
    let error = stream.start_tls(&trust, "127.0.0.1").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error:?}");
    drop(stream);
    server.join().unwrap();
    assert!(speaks_tls("127.0.0.1", secure.port, LIMIT));
    secure.server.join().unwrap();
}

#[test]
fn hosts_are_names_or_addresses() {
    for host in ["db", "db.example", "a_b", "127.0.0.1", "::1"] {
        assert!(is_verifiable(host), "{host}");
    }
    for host in ["", "ä.example", "a b", "-"] {
        assert!(!is_verifiable(host), "{host}");
    }
}
