//! TLS to the database and to Redis: real servers with certificates, good and bad.

use crate::cluster::chat_between;
use crate::starts::{refused, run, set};
use crate::support::certificates::{Authority, Identity};
use crate::support::client::text;
use crate::support::mariadb::{PASSWORD, USER};
use crate::support::nodes::wait_until_alive;
use crate::support::ports::free_port;
use crate::support::redis::Redis;
use crate::support::setup::until_available;
use crate::support::{Client, MariaDb, PATIENCE, Server};
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};
use wire::{Reply, Target, message};

/// What the servers of these tests are called.
const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

/// A database server with a certificate, and an account that needs TLS.
struct SecureDatabase {
    server: MariaDb,
    /// The files that it reads at its start and at FLUSH SSL.
    identity: Identity,
}

impl SecureDatabase {
    fn start(identity: Identity) -> SecureDatabase {
        let options = [
            format!("--ssl-cert={}", identity.certificate.display()),
            format!("--ssl-key={}", identity.key.display()),
        ];
        let server = MariaDb::start(&options.each_ref().map(String::as_str));
        server.ask("CREATE USER 'secure'@'127.0.0.1' IDENTIFIED BY 'geheim' REQUIRE SSL");
        server.ask("GRANT ALL ON *.* TO 'secure'@'127.0.0.1'");
        SecureDatabase { server, identity }
    }

    /// Installs another certificate in the running server.
    fn install(&self, identity: &Identity) {
        self.identity.replace(identity);
        self.server.ask("FLUSH SSL");
    }

    /// A new database, used by the account that needs TLS.
    fn url(&self) -> [String; 2] {
        let (port, name) = (self.server.port, self.server.new_name());
        set("storage.url", &format!("mysql://secure:geheim@127.0.0.1:{port}/{name}"))
    }

    /// Ends all connections of the account.
    fn disconnect(&self) {
        self.server.ask("KILL USER 'secure'@'127.0.0.1'");
    }
}

/// Makes Redis speak TLS with this certificate on a port of its own; returns the URL. It serves plain text as before.
fn offer_tls(redis: &Redis, identity: &Identity, authority: &Authority) -> String {
    let port = free_port();
    redis.command(&format!(
        "CONFIG SET tls-cert-file {} tls-key-file {} tls-ca-cert-file {} tls-auth-clients no tls-port {port}",
        identity.certificate.display(),
        identity.key.display(),
        authority.file().display()
    ));
    format!("rediss://127.0.0.1:{port}")
}

fn install(redis: &Redis, identity: &Identity) {
    let (certificate, key) = (identity.certificate.display(), identity.key.display());
    redis.command(&format!("CONFIG SET tls-cert-file {certificate} tls-key-file {key}"));
}

fn tls() -> [String; 2] {
    set("storage.tls", "true")
}

fn words(settings: &[[String; 2]]) -> Vec<&str> {
    settings.iter().flatten().map(String::as_str).collect()
}

#[test]
fn a_cluster_over_tls_delivers_between_its_nodes() {
    let authority = Authority::new();
    let database = SecureDatabase::start(authority.issue(&NAMES));
    let redis = Redis::start();
    let url = offer_tls(&redis, &authority.issue(&NAMES), &authority);
    redis.command("ACL SETUSER chat on >geheim ~chat:* &chat:* -@all +publish +subscribe +unsubscribe +ping +get +getrange +set +del +pexpire +eval +select +zadd +zrem +zremrangebyscore");
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("redis");
    fs::write(&password, "geheim\n").unwrap();
    fs::set_permissions(&password, Permissions::from_mode(0o600)).unwrap();
    let settings = [
        database.url(),
        tls(),
        authority.setting("storage.ca_file"),
        set("cluster.redis", &url.replace("rediss://", "rediss://chat@")),
        set("cluster.password_file", password.to_str().unwrap()),
        authority.setting("cluster.ca_file"),
        set("session.grace", "1"),
    ];
    let nodes: Vec<Server> = (0..2).map(|_| Server::start(&words(&settings))).collect();
    for node in &nodes {
        node.wait_for_log("connected to Redis as");
        wait_until_alive(&mut Client::connect(node.address), 2);
    }
    let [one, two] = [0, 1].map(|at: usize| nodes[at].address);
    chat_between(one, two);
    // Messages longer than a TLS record.
    let (mut eve, _) = Client::join(one, "eve");
    let (mut fay, fay_account) = Client::join(two, "fay");
    let long = "long ".repeat(6_000);
    for _ in 0..50 {
        eve.send(Target::User(fay_account.id), &long);
        assert_eq!(*fay.message().content, *long);
    }
    for node in &nodes {
        let said = node.stderr();
        assert!(!said.contains("lost") && !said.contains("unreachable"), "{said}");
    }
}

#[test]
fn an_account_that_needs_tls_is_told_so() {
    let authority = Authority::new();
    let database = SecureDatabase::start(authority.issue(&NAMES));
    let said = refused(&[database.url()]);
    assert!(said.contains("if the account was made with REQUIRE SSL, set storage.tls = true"), "{said}");
    database.server.ask("SET GLOBAL require_secure_transport = ON");
    let said = refused(&[database.url()]);
    assert!(said.contains("set storage.tls = true"), "{said}");
}

#[test]
fn a_database_with_a_bad_certificate_is_refused_at_once() {
    let (authority, other) = (Authority::new(), Authority::new());
    let database = SecureDatabase::start(authority.issue(&NAMES));
    let start = |trusted: &Authority| refused(&[database.url(), tls(), trusted.setting("storage.ca_file")]);
    let begun = Instant::now();
    let said = start(&other);
    assert!(begun.elapsed() < Duration::from_secs(5), "it waits for a certificate to become good");
    assert!(said.contains("the TLS certificate of 127.0.0.1 is not signed by an authority in"), "{said}");
    assert!(said.contains("set storage.ca_file to a file with the certificate of the authority"), "{said}");
    database.install(&authority.issue(&["db.example", "192.0.2.7"]));
    let said = start(&authority);
    assert!(
        said.contains("is not valid for 127.0.0.1 but for db.example, 192.0.2.7: connect to it by"),
        "{said}"
    );
    database.install(&authority.issue_expired(&NAMES));
    let said = start(&authority);
    assert!(said.contains("expired on 2021-02-03T00:00:00Z: renew it"), "{said}");
    // The authorities of the system do not know it either.
    database.install(&authority.issue(&NAMES));
    let said = refused(&[database.url(), tls()]);
    assert!(said.contains("set storage.ca_file") || said.contains("set `storage.ca_file`"), "{said}");
}

#[test]
fn a_database_without_tls_is_refused_where_tls_is_on() {
    let authority = Authority::new();
    let shared = MariaDb::shared();
    let url = set("storage.url", &shared.url(&shared.new_name()));
    let said = refused(&[url, tls(), authority.setting("storage.ca_file")]);
    assert!(said.contains("the database server does not offer TLS: give it a certificate"), "{said}");
}

#[test]
fn a_redis_with_a_bad_certificate_is_refused_at_once() {
    let (authority, other) = (Authority::new(), Authority::new());
    let redis = Redis::start();
    let url = offer_tls(&redis, &authority.issue(&NAMES), &authority);
    // It is never asked.
    let database = || set("storage.url", "mysql://chat@127.0.0.1:1/chat");
    let start = |url: &str, trusted: &Authority| {
        refused(&[database(), set("cluster.redis", url), trusted.setting("cluster.ca_file")])
    };
    let said = start(&url, &other);
    assert!(
        said.contains("is not signed by an authority in") && said.contains("set cluster.ca_file to"),
        "{said}"
    );
    install(&redis, &authority.issue(&["redis.example"]));
    let said = start(&url, &authority);
    assert!(said.contains("is not valid for 127.0.0.1 but for redis.example: connect to it by"), "{said}");
    install(&redis, &authority.issue_expired(&NAMES));
    let said = start(&url, &authority);
    assert!(said.contains("expired on 2021-02-03T00:00:00Z: renew it"), "{said}");
    install(&redis, &authority.issue(&NAMES));
    redis.command("CONFIG SET tls-auth-clients yes");
    let said = start(&url, &authority);
    assert!(said.contains("set tls-auth-clients no in the configuration of Redis"), "{said}");
    // One side encrypts, the other does not.
    let said = refused(&[database(), set("cluster.redis", &url.replace("rediss", "redis"))]);
    assert!(said.contains("it speaks TLS on this port: write rediss:// instead of redis://"), "{said}");
    let said = start(&redis.url().replace("redis", "rediss"), &authority);
    assert!(
        said.contains("it does not speak TLS on this port: write redis:// instead of rediss://"),
        "{said}"
    );
}

#[test]
fn a_certificate_that_expires_later_is_an_outage_with_its_reason() {
    let authority = Authority::new();
    let database = SecureDatabase::start(authority.issue(&NAMES));
    let redis = Redis::start();
    let settings = [
        database.url(),
        tls(),
        authority.setting("storage.ca_file"),
        set("cluster.redis", &offer_tls(&redis, &authority.issue(&NAMES), &authority)),
        authority.setting("cluster.ca_file"),
    ];
    let server = Server::start(&words(&settings));
    server.wait_for_log("connected to Redis as");
    let (mut ann, _) = Client::join(server.address, "ann");
    let bob = Client::connect(server.address).register("bob").id;
    ann.send(Target::User(bob), "before");
    let expired = authority.issue_expired(&NAMES);
    install(&redis, &expired);
    redis.command("CLIENT KILL TYPE pubsub");
    server.wait_for_log(
        "the Redis subscriber is not connected (the TLS certificate of 127.0.0.1 expired on 2021-02-03",
    );
    database.install(&expired);
    database.disconnect();
    server
        .wait_for_log("the database is unreachable: the TLS certificate of 127.0.0.1 expired on 2021-02-03");
    // It never falls back to plain text, and finds the new certificate by itself.
    let good = authority.issue(&NAMES);
    install(&redis, &good);
    database.install(&good);
    server.wait_for_log("the database is reachable again");
    server.wait_for_log("failed attempts");
    let send = text(Target::User(bob), "after", Some("after"));
    let reply = until_available(&mut ann, &send);
    assert!(matches!(reply, Ok(Reply::Message(message::Reply::Sent(_)))), "{reply:?}");
}

#[test]
fn a_database_that_is_silent_in_the_handshake_ends_the_start() {
    let authority = Authority::new();
    let database = SecureDatabase::start(authority.issue(&NAMES));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap();
    // Passes the greeting on and nothing after it.
    thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok((mut client, _)) = listener.accept() {
            let mut server = TcpStream::connect(("127.0.0.1", database.server.port)).unwrap();
            let mut greeting = [0; 1_024];
            let length = server.read(&mut greeting).unwrap();
            client.write_all(&greeting[..length]).unwrap();
            kept.push((client, server));
        }
    });
    let password: String = PASSWORD.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let url = set("storage.url", &format!("mysql://{USER}:{password}@{proxy}/chat"));
    let begun = Instant::now();
    let said = refused(&[url, tls(), authority.setting("storage.ca_file")]);
    assert!(said.contains("no answer within 5 s") && begun.elapsed() < PATIENCE, "{said}");
}

#[test]
fn check_config_finds_wrong_files_of_authorities() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (empty, text) = (file("empty.pem", ""), file("text.pem", "the certificate comes tomorrow\n"));
    let damaged = file("damaged.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let good = Authority::new();
    let good = good.file().to_str().unwrap().to_owned();
    let mysql = || set("storage.url", "mysql://chat@127.0.0.1:1/chat");
    let ca = |path: &str| set("storage.ca_file", path);
    let redis_ca = |path: &str| set("cluster.ca_file", path);
    let rediss = || set("cluster.redis", "rediss://127.0.0.1:1");
    for (settings, sentence) in [
        (vec![mysql(), tls(), ca("/no/such.pem")], "`storage.ca_file` names /no/such.pem: No such file"),
        (vec![mysql(), tls(), ca(&empty)], "empty.pem: there is no certificate in it"),
        (vec![mysql(), tls(), ca(&text)], "text.pem: there is no certificate in it"),
        (vec![mysql(), tls(), ca(&damaged)], "damaged.pem: its certificate 1 is not one of an authority"),
        (vec![mysql(), tls(), ca("$CREDENTIALS_DIRECTORY/ca")], "systemd passed no credentials"),
        (vec![mysql(), ca(&good)], "`storage.ca_file` is set, but TLS is off: set `storage.tls` to true"),
        (vec![tls()], "about a database server, but storage.url names an SQLite file"),
        (
            vec![set("storage.url", "mysql://chat@a_ä/chat"), tls()],
            "a certificate cannot name the host `a_ä`",
        ),
        (
            vec![mysql(), rediss(), redis_ca("/no/such.pem")],
            "`cluster.ca_file` names /no/such.pem: No such file",
        ),
        (vec![mysql(), rediss(), redis_ca(&empty)], "empty.pem: there is no certificate in it"),
        (
            vec![mysql(), set("cluster.redis", "redis://127.0.0.1:1"), redis_ca(&good)],
            "`cluster.ca_file` is set, but TLS is off: write rediss:// instead of redis://",
        ),
    ] {
        for arguments in [&["--check-config"][..], &["127.0.0.1", "0"]] {
            let (code, said) = run(arguments, &settings);
            assert_eq!((code, said.contains(sentence)), (Some(1), true), "{sentence}: {said}");
        }
    }
    let settings = [mysql(), tls(), ca(&good), rediss(), redis_ca(&good)];
    assert_eq!(run(&["--check-config"], &settings), (Some(0), String::new()));
}
