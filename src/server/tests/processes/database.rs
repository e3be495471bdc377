//! MariaDB behind the chat server: its faults, and the settings it must have.

use crate::durability::survives_kill_9;
use crate::entries::joins_survive_kill_9;
use crate::support::busy::slack;
use crate::support::client::{errno, text};
use crate::support::effort::effort;
use crate::support::ledger::{Counter, Sender, audit};
use crate::support::mariadb::{PASSWORD, USER};
use crate::support::proxy::{CREATE, Cut, JOIN, Proxy};
use crate::support::setup::until_available;
use crate::support::{Account, Client, MariaDb, PATIENCE, RaiseOnDrop, Server, programs};
use mysql::prelude::Queryable;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use wire::{ConversationId, Errno, Message, Push, Seq, Target};
use wire::{group, message, session};

const SENDERS: usize = 3;
const WINDOW: usize = 16;

/// How soon requests succeed after the database is back.
pub fn resumes_within() -> Duration {
    Duration::from_secs(3) + slack(Duration::from_secs(2))
}

/// How soon a request is answered while the database is away.
pub fn answers_within() -> Duration {
    Duration::from_secs(2) + slack(Duration::from_secs(2))
}

fn url_setting(url: &str) -> String {
    format!("storage.url={url}")
}

pub fn start_on(url: &str) -> Server {
    Server::start(&["--set", &url_setting(url)])
}

/// A connection on which these statements were executed: while it lives, it holds the locks of its open transaction.
pub fn connection_holding(database: &MariaDb, statements: &[&str]) -> mysql::Conn {
    let mut connection = database.connect().unwrap();
    statements.iter().for_each(|sql| connection.query_drop(sql).unwrap());
    connection
}

/// A server with a database of its own on the shared MariaDB.
pub fn start_on_shared() -> Server {
    let database = MariaDb::shared();
    start_on(&database.url(&database.new_name()))
}

/// Streams messages to Bob, retrying what is refused, until `trouble` is over. Then everything that was sent
/// is retried and audited, and Bob must have been pushed all of it once, in order, on his one connection.
fn stream_through_trouble(server: &Server, trouble: impl FnOnce(&Counter)) {
    stream_between(server.address, server.address, trouble);
}

/// The same, from one node to another.
pub fn stream_between(from: SocketAddr, to: SocketAddr, trouble: impl FnOnce(&Counter)) {
    let (mut bob, bob_account) = Client::join(to, "bob");
    let mut senders: Vec<Sender> =
        (0..SENDERS).map(|number| Sender::join(from, &format!("sender {number}"))).collect();
    let (promised, over, read) = (Counter::default(), AtomicBool::new(false), AtomicBool::new(false));
    let pushed = thread::scope(|scope| {
        let pushes = scope.spawn(|| receive(&mut bob, &read));
        let all_is_sent = RaiseOnDrop(&read);
        thread::scope(|scope| {
            for sender in &mut senders {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        let begin = sender.posts.len();
                        let post = |number| (Target::User(bob_account.id), format!("message {number}"));
                        sender.stream(WINDOW, 2 * WINDOW, &promised, post).expect("clients stay connected");
                        sender.heed_refusals(begin);
                    }
                });
            }
            // Also if the test itself fails.
            let _over = RaiseOnDrop(&over);
            promised.wait_for(200);
            trouble(&promised);
        });
        for sender in &mut senders {
            sender.retry_all(from);
        }
        drop(all_is_sent);
        pushes.join().unwrap()
    });
    audit_all(&mut bob, &senders, pushed);
}

/// Takes and acknowledges pushes as they come, until everything is `sent`.
fn receive(bob: &mut Client, sent: &AtomicBool) -> Vec<Arc<Message>> {
    let mut pushed = Vec::new();
    while !sent.load(Ordering::Relaxed) {
        pushed.extend(next_message(bob, Duration::from_millis(100)));
    }
    pushed
}

fn next_message(bob: &mut Client, within: Duration) -> Option<Arc<Message>> {
    let message = bob.try_push(within, |push| match push {
        Push::Message(message::Push::New(message)) => Some(Arc::clone(message)),
        _ => None,
    })?;
    bob.ack(message.conversation, message.seq).unwrap();
    Some(message)
}

fn audit_all(bob: &mut Client, senders: &[Sender], mut pushed: Vec<Arc<Message>>) {
    let all: usize = senders.iter().map(|sender| sender.posts.len()).sum();
    while pushed.len() < all {
        let message = next_message(bob, PATIENCE);
        pushed.push(message.unwrap_or_else(|| panic!("{} were pushed of {all}", pushed.len())));
    }
    assert!(
        bob.take_pushes().iter().all(|push| !matches!(push, Push::Message(message::Push::New(_)))),
        "something came twice"
    );
    for sender in senders {
        let conversation: ConversationId = sender.posts[0].place.unwrap().0;
        let timeline = bob.history(conversation, Seq(0));
        audit(conversation, Seq(0), &timeline, &[sender]);
        let of_one: Vec<_> =
            pushed.iter().filter(|message| message.conversation == conversation).cloned().collect();
        assert!(of_one == timeline, "{} were pushed of {} that are there", of_one.len(), timeline.len());
    }
}

#[test]
fn acknowledged_messages_survive_kill_9_with_mysql() {
    survives_kill_9(start_on_shared(), effort(6, 60));
}

#[test]
fn a_join_and_its_entry_survive_kill_9_together_with_mysql() {
    joins_survive_kill_9(start_on_shared(), effort(5, 50));
}

#[test]
fn messages_survive_a_database_crash() {
    let mut database = MariaDb::start(&[]);
    let mut server = start_on(&database.url("chat"));
    stream_through_trouble(&server, |promised| {
        for round in 0..3 {
            database.kill9();
            let (mut eve, name) = (Client::connect(server.address), format!("eve {round}"));
            // New connections are served, and stay.
            eve.settle();
            database.restart();
            let back = Instant::now();
            let before = promised.count();
            promised.wait_for(before + 100);
            assert!(back.elapsed() < resumes_within(), "work went on after {:?}", back.elapsed());
            eve.register(&name);
        }
    });
    assert!(!server.stderr().contains(PASSWORD), "{}", server.stderr());
    assert!(server.terminate().success(), "{}", server.stderr());
}

#[test]
fn a_send_during_a_database_outage_is_refused_in_time() {
    let mut database = MariaDb::start(&[]);
    let server = start_on(&database.url("chat"));
    let (mut ann, account) = Client::join(server.address, "ann");
    let bob = Client::connect(server.address).register("bob");
    ann.send(Target::User(bob.id), "first");
    database.kill9();
    for number in 0..3 {
        let begun = Instant::now();
        let reply = ann.ask(&text(Target::User(bob.id), "second", Some(&format!("cid {number}"))));
        assert_eq!(errno(&reply), Errno::Unavailable);
        assert!(begun.elapsed() < answers_within(), "{:?}", begun.elapsed());
        ann.heartbeat(account.id);
    }
    database.restart();
    let back = Instant::now();
    let reply = until_available(&mut ann, &text(Target::User(bob.id), "second", Some("cid 0")));
    assert_eq!(errno(&reply.expect("the server stays")), Errno::Ok);
    assert!(back.elapsed() < resumes_within(), "{:?}", back.elapsed());
    let mut bob = Client::login_to(server.address, &bob);
    assert_eq!([&*bob.message().content, &*bob.message().content], ["first", "second"]);
}

#[test]
fn a_commit_with_a_lost_answer_is_neither_lost_nor_repeated() {
    let database = MariaDb::shared();
    let proxy = Proxy::before(database.port);
    let mut server = start_on(&database.url_at(proxy.port, &database.new_name()));
    stream_through_trouble(&server, |promised| {
        for round in 0..effort(60, 600) {
            proxy.cut([Cut::Answer, Cut::Late, Cut::Question][round % 3]);
            promised.wait_for(promised.count() + 20);
        }
    });
    assert!(server.terminate().success(), "{}", server.stderr());
}

#[test]
fn a_join_with_a_lost_commit_answer_is_reported_as_it_was_stored() {
    let database = MariaDb::shared();
    let proxy = Proxy::before(database.port);
    let server = start_on(&database.url_at(proxy.port, &database.new_name()));
    let (mut ann, _) = Client::join(server.address, "ann");
    let (mut bob, _) = Client::join(server.address, "bob");
    for round in 0..15 {
        let conversation = ann.create_group(&format!("group {round}"));
        let join = wire::Command::Group(group::Request::Join(group::Join { conversation }));
        proxy.arm([Cut::Answer, Cut::Late, Cut::Question][round % 3], JOIN);
        let joined = group::Joined { state: group::JoinState::Joined };
        assert_eq!(bob.ask(&join), wire::Reply::Group(group::Reply::Joined(joined)));
        proxy.wait_until_cut();
        // Both are told once.
        assert_eq!([ann.entry().seq, ann.entry().seq, bob.entry().seq], [1, 2, 2].map(Seq));
        assert_eq!(errno(&bob.ask_again(&join)), Errno::Conflict);
        ann.send(Target::Conversation(conversation), "welcome");
        assert_eq!(&*bob.message().content, "welcome");
    }
}

#[test]
fn a_group_with_a_lost_commit_answer_is_made_once() {
    let database = MariaDb::shared();
    let proxy = Proxy::before(database.port);
    let server = start_on(&database.url_at(proxy.port, &database.new_name()));
    let (mut ann, _) = Client::join(server.address, "ann");
    let mut groups = Vec::new();
    for round in 0..12 {
        proxy.arm([Cut::Answer, Cut::Late, Cut::Question][round % 3], CREATE);
        let name = format!("group {round}").into();
        let create = wire::Command::Group(group::Request::Create(group::Create { name, desc: "".into() }));
        match ann.ask(&create) {
            wire::Reply::Group(group::Reply::Created(made)) => groups.push(made.conversation),
            other => panic!("CREATE_GROUP was answered {other:?}"),
        }
        proxy.wait_until_cut();
        let entry = ann.entry();
        assert_eq!((entry.conversation, entry.seq), (groups[round], Seq(1)));
    }
    let page = wire::Page { after: 0, limit: 50 };
    match ann.ask(&wire::Command::Group(group::Request::Groups(page))) {
        wire::Reply::Group(group::Reply::Groups(page)) => {
            let listed: Vec<_> = page.groups.iter().map(|group| group.conversation).collect();
            assert_eq!(listed, groups, "none is made twice");
        }
        other => panic!("GROUPS was answered {other:?}"),
    }
    assert_eq!(ann.take_pushes(), [], "nothing is told twice");
}

#[test]
fn a_frozen_transaction_delays_its_own_conversation_for_four_seconds_and_no_other() {
    let database = MariaDb::shared();
    let name = database.new_name();
    let server = start_on(&database.url(&name));
    let (mut ann, _) = Client::join(server.address, "ann");
    let others: Vec<Account> =
        ["bob", "cleo"].map(|name| Client::connect(server.address).register(name)).into();
    let [bob, cleo] = [&others[0], &others[1]].map(|account| Target::User(account.id));
    let (held, _) = (ann.send(bob.clone(), "1"), ann.send(cleo.clone(), "1"));
    // Stands for a node that was frozen in the middle of its transaction, with the timeout that nodes set for
    // themselves.
    let lock = format!("SELECT id FROM {name}.conversation WHERE id = {} FOR UPDATE", held.conversation);
    let _frozen = connection_holding(database, &["SET SESSION wait_timeout = 3", "START TRANSACTION", &lock]);
    let begun = Instant::now();
    let waiting = ann.post(&text(bob.clone(), "2", Some("waits"))).unwrap();
    let next = ann.post(&text(bob, "3", Some("waits behind it"))).unwrap();
    for number in 0..5 {
        ann.send(cleo.clone(), &number.to_string());
    }
    assert!(begun.elapsed() < slack(Duration::from_secs(2)), "others waited for {:?}", begun.elapsed());
    // The sends are answered in time, and stored later all the same, in order.
    assert_eq!([errno(&ann.reply(waiting)), errno(&ann.reply(next))], [Errno::Unavailable; 2]);
    let mut bob = Client::login_to(server.address, &others[0]);
    let contents: Vec<String> = (0..3).map(|_| bob.message().content.to_string()).collect();
    assert_eq!(contents, ["1", "2", "3"]);
    assert!(
        begun.elapsed() < Duration::from_secs(4) + slack(Duration::from_secs(1)),
        "it took {:?}",
        begun.elapsed()
    );
}

#[test]
fn appends_in_flight_at_sigterm_are_finished_and_answered() {
    let database = MariaDb::shared();
    let name = database.new_name();
    let mut server = start_on(&database.url(&name));
    let (mut ann, _) = Client::join(server.address, "ann");
    let bob = Target::User(Client::connect(server.address).register("bob").id);
    let held = ann.send(bob.clone(), "1");
    let lock = format!("SELECT id FROM {name}.conversation WHERE id = {} FOR UPDATE", held.conversation);
    let mut holder = connection_holding(database, &["START TRANSACTION", &lock]);
    let waiting = ann.post(&text(bob, "2", None)).unwrap();
    // The append has begun when this is answered.
    ann.settle();
    server.signal(Signal::TERM);
    ann.push(PATIENCE, |push| matches!(push, Push::Session(session::Push::GoingAway(_))).then_some(()));
    holder.query_drop("ROLLBACK").unwrap();
    assert!(
        matches!(ann.reply(waiting), wire::Reply::Message(message::Reply::Sent(sent)) if sent.seq == held.seq.next())
    );
    assert!(server.wait(PATIENCE).success(), "{}", server.stderr());
}

#[test]
fn a_database_with_weak_durability_is_refused_unless_accepted() {
    let database = MariaDb::start(&["--innodb-flush-log-at-trx-commit=2"]);
    let url = url_setting(&database.url("chat"));
    let refused = refusal(&["--set", &url]);
    for part in [
        "innodb_flush_log_at_trx_commit = 2",
        "set innodb_flush_log_at_trx_commit = 1 in the [mysqld] section",
        "storage.accept_weak_durability = true",
    ] {
        assert!(refused.contains(part), "{refused}");
    }
    let accepted = Server::start(&["--set", &url, "--set", "storage.accept_weak_durability=true"]);
    accepted.wait_for_log("Using it anyway");
    assert!(accepted.stderr().contains("WARN"), "{}", accepted.stderr());
    Client::join(accepted.address, "ann");
}

#[test]
fn an_unusable_database_is_reported_without_its_password() {
    let database = MariaDb::shared();
    let away = refusal(&["--set", &url_setting(&database.url_at(1, "chat"))]);
    assert!(away.contains(&format!("cannot use mysql://{USER}@127.0.0.1:1/chat")), "{away}");
    let stranger = url_setting(&format!("mysql://stranger:geheim@127.0.0.1:{}/chat", database.port));
    let denied = refusal(&["--set", &stranger]);
    assert!(denied.contains("Access denied") && !denied.contains("geheim"), "{denied}");
    database.ask("CREATE USER poor@'127.0.0.1' IDENTIFIED BY 'geheim'");
    let poor = url_setting(&format!("mysql://poor:geheim@127.0.0.1:{}/nothing", database.port));
    let denied = refusal(&["--set", &poor]);
    assert!(denied.contains("CREATE DATABASE") || denied.contains("Access denied"), "{denied}");
    assert!(!denied.contains("geheim"), "{denied}");
    let narrow = database.new_name();
    database.ask(&format!("CREATE DATABASE {narrow} CHARACTER SET latin1"));
    let refused = refusal(&["--set", &url_setting(&database.url(&narrow))]);
    assert!(refused.contains(&format!("ALTER DATABASE `{narrow}` CHARACTER SET utf8mb4")), "{refused}");
}

#[test]
fn the_database_password_can_be_read_from_a_file() {
    let database = MariaDb::shared();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let url = url_setting(&format!("mysql://{USER}@127.0.0.1:{}/{}", database.port, database.new_name()));
    let setting = format!("storage.password_file={}", file.display());
    let server = Server::start(&["--set", &url, "--set", &setting]);
    Client::join(server.address, "ann");
    let twice = refusal(&["--set", &url_setting(&database.url("chat")), "--set", &setting]);
    assert!(twice.contains("remove one of the two"), "{twice}");
    std::fs::remove_file(&file).unwrap();
    let missing = refusal(&["--set", &url, "--set", &setting]);
    assert!(missing.contains(&file.display().to_string()), "{missing}");
}

/// Starts a server that must refuse to start; returns what it prints.
fn refusal(arguments: &[&str]) -> String {
    let begun = Instant::now();
    let output = Command::new(programs::chatserver()).args(arguments).args(["127.0.0.1", "0"]).output();
    let Output { status, stdout, stderr } = output.unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!((status.code(), &*stdout), (Some(1), &b""[..]), "{said}");
    assert!(begun.elapsed() < PATIENCE && !said.contains(PASSWORD), "{said}");
    said
}
