//! TLS between clients and the server: the programs, OpenSSL, nginx, and certificates good and bad.

use crate::starts::{refused, run, set};
use crate::support::certificates::{Authority, Identity};
use crate::support::terminal::Terminal;
use crate::support::{Client, Nginx, PASSWORD, Server, programs};
use crate::terminal::register;
use rustix::process::Signal;
use std::fs::{self, Permissions};
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use wire::Target;

/// What the servers of these tests are called.
pub(crate) const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

/// The settings of a server with this certificate. Its key is private, as the server demands.
pub(crate) fn with(identity: &Identity) -> Vec<[String; 2]> {
    fs::set_permissions(&identity.key, Permissions::from_mode(0o600)).unwrap();
    vec![
        set("tls.certificate", identity.certificate.to_str().unwrap()),
        set("tls.key", identity.key.to_str().unwrap()),
    ]
}

pub(crate) fn start(settings: &[[String; 2]]) -> Server {
    Server::start(&settings.iter().flatten().map(String::as_str).collect::<Vec<_>>())
}

/// Puts another certificate and key into the files of the first.
pub(crate) fn install(identity: &Identity, other: &Identity) {
    identity.replace(other);
    with(identity);
}

/// Runs the client as a script that logs `name` in, and returns its exit code and what it says.
pub(crate) fn script(server: &str, name: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, PASSWORD).unwrap();
    fs::set_permissions(&password, Permissions::from_mode(0o600)).unwrap();
    let Output { status, stdout, stderr } = Command::new(programs::chatclient())
        .args([server, "--user", name, "--register", "--exec", "friends", "--password-file"])
        .arg(&password)
        .args(arguments)
        .env("XDG_DATA_HOME", folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (status.code(), [stdout, stderr].map(|text| String::from_utf8(text).unwrap()).concat())
}

fn secure(address: SocketAddr, host: &str) -> String {
    format!("tls://{host}:{}", address.port())
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What `openssl s_client` says, which ends its input after `typed`.
pub(crate) fn openssl(address: SocketAddr, arguments: &[&str], typed: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed: scripts/test-needs.sh");
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let Output { stdout, stderr, .. } = child.wait_with_output().unwrap();
    [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}

#[test]
fn a_terminal_over_tls_chats_with_one_without() {
    let authority = Authority::new();
    let server = start(&with(&authority.issue(&NAMES)));
    server.wait_for_log("TLS: the certificate is valid until ");
    server.wait_for_log("because legacy.plain is true");
    let file = authority.file();
    let mut zhang = Terminal::open_with(&[&secure(server.address, "localhost"), "--ca", path(&file)]);
    register(&mut zhang, "zhang san", 1);
    let mut li = Terminal::open(server.address);
    register(&mut li, "li si", 2);
    zhang.type_line("chat:2:hello, 李四");
    li.expect("zhang san (1): hello, 李四");
    let long = "long ".repeat(4_000);
    let (mut wang, _) = Client::join(server.address, "wang");
    wang.send(Target::User(wire::UserId(1)), &long);
    wang.send(Target::User(wire::UserId(1)), "the end of it");
    zhang.expect("the end of it");
}

#[test]
fn a_login_over_tls_is_never_sent_without() {
    let authority = Authority::new();
    let mut server = start(&with(&authority.issue(&NAMES)));
    let (there, file) = (secure(server.address, "127.0.0.1"), authority.file());
    let mut zhang = Terminal::open_with(&[&there, "--ca", path(&file)]);
    register(&mut zhang, "zhang san", 1);
    zhang.kill9();
    // Somebody else answers at the address.
    server.kill9();
    let impostor = TcpListener::bind(server.address).unwrap();
    impostor.set_nonblocking(true).unwrap();
    let mut plain = zhang.reopen_with(&[&server.address.to_string()]);
    plain.expect("this server was reached with TLS before");
    assert_eq!(plain.wait(), 2);
    assert_eq!(impostor.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "it was connected to");
}

#[test]
fn the_client_says_what_is_wrong_with_a_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let own = authority.file();
    let server = start(&with(&authority.issue(&["127.0.0.1", "chat.example"])));
    let there = secure(server.address, "127.0.0.1");
    assert_eq!(script(&there, "ann", &["--ca", path(&own)]).0, Some(0));

    let (code, said) = script(&secure(server.address, "localhost"), "ann", &["--ca", path(&own)]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("is not valid for localhost but for 127.0.0.1, chat.example: connect to it by"),
        "{said}"
    );
    let (code, said) = script(&there, "ann", &["--ca", path(&other.file())]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("is not signed by an authority in ") && said.contains("set --ca to a file"),
        "{said}"
    );
    // The authorities of this system do not know it either.
    let (code, said) = script(&there, "ann", &[]);
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("set --ca to a file") || said.contains("set `--ca` to a file"), "{said}");

    // A server starts with a certificate that has expired, and says so.
    let late = start(&with(&authority.issue_expired(&NAMES)));
    late.wait_for_log("clients will refuse TLS: `tls.certificate` names ");
    let (code, said) = script(&secure(late.address, "localhost"), "ann", &["--ca", path(&own)]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the TLS certificate of localhost expired on 2021-02-03T00:00:00Z"), "{said}");

    let plain = Server::start(&[]);
    let (code, said) = script(&secure(plain.address, "localhost"), "ann", &["--ca", path(&own)]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("localhost does not speak TLS on this port"), "{said}");
}

#[test]
fn who_must_use_tls_is_told_so() {
    let authority = Authority::new();
    let mut settings = with(&authority.issue(&NAMES));
    settings.push(set("tls.required", "always"));
    let server = start(&settings);
    let (code, said) = script(&server.address.to_string(), "ann", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("this server accepts only connections with TLS: connect with --tls"), "{said}");
    let file = authority.file();
    let (code, said) = script(&server.address.to_string(), "ann", &["--tls", "--ca", path(&file)]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_reload_serves_the_new_certificate_and_keeps_the_old_one_if_that_is_bad() {
    let authority = Authority::new();
    let identity = authority.issue(&["127.0.0.1"]);
    let server = start(&with(&identity));
    let file = authority.file();
    let ca = ["--ca", path(&file)];
    let serves = |host: &str| script(&secure(server.address, host), "ann", &ca).0 == Some(0);
    assert!(serves("127.0.0.1") && !serves("localhost"));
    // A connection that is open goes on.
    let mut open = Terminal::open_with(&[&secure(server.address, "127.0.0.1"), ca[0], ca[1]]);
    register(&mut open, "zhang san", 2);

    install(&identity, &authority.issue(&["localhost"]));
    server.signal(Signal::HUP);
    server.wait_for_log("TLS: reloaded the certificate, which is valid until ");
    assert!(serves("localhost") && !serves("127.0.0.1"));

    let foreign = authority.issue(&["127.0.0.1"]);
    fs::copy(&foreign.certificate, &identity.certificate).unwrap();
    server.signal(Signal::HUP);
    server.wait_for_log("TLS: kept the old certificate: `tls.certificate` (");
    install(&identity, &authority.issue_expired(&["127.0.0.1"]));
    server.signal(Signal::HUP);
    server.wait_for_log("the certificate expired on 2021-02-03T00:00:00Z: renew it");
    assert!(serves("localhost") && !serves("127.0.0.1"));
    open.type_line("chat:1:still here");
    open.expect("still here");
}

#[test]
fn bad_certificate_files_are_found_before_anything_is_opened() {
    let authority = Authority::new();
    let (good, other) = (authority.issue(&NAMES), authority.issue(&NAMES));
    let (expired, settings) = (authority.issue_expired(&NAMES), with(&good));
    let check = |certificate: &Path, key: &Path| {
        fs::set_permissions(key, Permissions::from_mode(0o600)).unwrap();
        let settings = [set("tls.certificate", path(certificate)), set("tls.key", path(key))];
        run(&["--check-config"], &settings)
    };
    assert_eq!(check(&good.certificate, &good.key).0, Some(0));
    for (certificate, key, sentence) in [
        (&good.certificate, &other.key, "do not belong together"),
        (&expired.certificate, &expired.key, "the certificate expired on 2021-02-03T00:00:00Z: renew it"),
        (&good.key, &good.key, "there is no certificate in it"),
        (&good.certificate, &good.certificate, "there is no private key in it"),
    ] {
        let (code, said) = check(certificate, key);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(sentence), "{said}");
    }
    // All but the time ends a start, too.
    let said = refused(&[settings[0].clone(), set("tls.key", "/no/such/key.pem")]);
    assert!(said.contains("`tls.key` names /no/such/key.pem: No such file"), "{said}");
    let (code, said) = run(&["--check-config"], &[set("tls.required", "always")]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("without a certificate there is no TLS"), "{said}");
    assert!(refused(&settings[..1]).contains("`tls.certificate` is set, but `tls.key` is not"));
}

#[test]
fn openssl_finds_nothing_old_and_cannot_renegotiate() {
    let authority = Authority::new();
    let server = start(&with(&authority.issue(&NAMES)));
    let file = authority.file();
    let trusting = ["-CAfile", path(&file), "-verify_return_error", "-verify_ip", "127.0.0.1"];
    for (version, name) in [("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2")] {
        let said = openssl(server.address, &[&trusting[..], &[version]].concat(), "Q\n");
        assert!(said.contains("Server certificate") && said.contains("Verification: OK"), "{said}");
        assert!(
            said.contains(&format!("New, {name}, Cipher is TLS_AES"))
                || said.contains(&format!("New, {name}, Cipher is ECDHE")),
            "{said}"
        );
    }
    for old in ["-tls1_1", "-tls1"] {
        let said =
            openssl(server.address, &[&trusting[..], &[old, "-cipher", "ALL:@SECLEVEL=0"]].concat(), "");
        assert!(said.contains("alert") || said.contains("no protocols available"), "{said}");
        assert!(!said.contains("Server certificate"), "{said}");
    }
    // Ciphers without forward secrecy, or with a weak mode.
    for weak in ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "NULL", "RC4"] {
        let said = openssl(server.address, &["-tls1_2", "-cipher", &format!("{weak}:@SECLEVEL=0")], "");
        assert!(!said.contains("Server certificate"), "{weak}: {said}");
    }
    let said = openssl(server.address, &[&trusting[..], &["-tls1_2"]].concat(), "R\n");
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");

    let folder = tempfile::tempdir().unwrap();
    let session = folder.path().join("session");
    openssl(server.address, &[&trusting[..], &["-tls1_2", "-sess_out", path(&session)]].concat(), "Q\n");
    let said =
        openssl(server.address, &[&trusting[..], &["-tls1_2", "-sess_in", path(&session)]].concat(), "Q\n");
    assert!(said.contains("Reused, TLSv1.2"), "{said}");
    let (code, said) = script(&secure(server.address, "localhost"), "ann", &["--ca", path(&file)]);
    assert_eq!(code, Some(0), "the server serves on: {said}");
}

#[test]
fn tls_passes_through_nginx_or_ends_there() {
    let authority = Authority::new();
    let identity = authority.issue(&NAMES);
    let mut settings = with(&identity);
    settings.push(set("chat.proxies", r#"["127.0.0.1"]"#));
    let node = start(&settings);
    let file = authority.file();
    let through = |nginx: &Nginx, name: &str| {
        let (code, said) = script(&secure(nginx.address, "127.0.0.1"), name, &["--ca", path(&file)]);
        assert_eq!(code, Some(0), "{said}");
    };
    through(&Nginx::start(&[node.address]), "ann");
    through(&Nginx::start_with_certificate(&[node.address], &identity.certificate, &identity.key), "bob");
    // The node of the latter needs no certificate.
    let plain = Server::start(&["--set", r#"chat.proxies=["127.0.0.1"]"#]);
    through(&Nginx::start_with_certificate(&[plain.address], &identity.certificate, &identity.key), "eve");
}

#[test]
fn chatbench_accounts_for_every_message_over_tls() {
    let authority = Authority::new();
    let mut settings = with(&authority.issue(&NAMES));
    settings.push(set("tls.required", "always"));
    let server = start(&settings);
    let file = authority.file();
    let address = secure(server.address, "127.0.0.1");
    for options in [
        "pairs --pairs 4 --window 8 --size 12000 --seconds 1 --warmup 0.2",
        "group --groups 1 --members 20 --window 4 --size 64 --seconds 1 --warmup 0.2",
        "login --count 8 --window 4 --seconds 1 --warmup 0.2",
        "storm --connections 8 --pairs 2 --rate 20 --seconds 1",
    ] {
        let output = Command::new(programs::chatbench())
            .args(options.split(' '))
            .args(["--address", &address, "--ca", path(&file)])
            .output()
            .unwrap();
        assert!(output.status.success(), "{options}: {output:?}");
    }
    let output = Command::new(programs::chatbench())
        .args(["pairs", "--address", &address])
        .args(["--pairs", "1", "--window", "1", "--size", "64", "--seconds", "1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--ca"), "{said}");
}
