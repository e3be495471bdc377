//! Months that are dropped as the clock turns, under a server that is killed and starts again at once, on one node and two.

use crate::support::faketime::FakeClock;
use crate::support::nodes::Nodes;
use crate::support::{Account, Client, MariaDb, Server};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use wire::{ConversationId, Reply, Seq, Target, session};

const SETTING: [&str; 2] = ["--set", "storage.retention_months=1"];
/// How soon a server that was killed must serve again, on a loaded machine.
const AT_ONCE: Duration = Duration::from_secs(20);
/// How long a drop may take to begin: nodes look each minute.
const PATIENCE: Duration = Duration::from_secs(150);

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;
/// The beginnings of months of 2031.
const OCTOBER: u64 = 1_948_579_200_000;
const NOVEMBER: u64 = OCTOBER + 31 * DAY;
const DECEMBER: u64 = NOVEMBER + 30 * DAY;
const JANUARY: u64 = DECEMBER + 31 * DAY;

/// Tokens expire as the clock turns.
fn log_in(address: SocketAddr, account: &Account) -> Client {
    let mut client = Client::connect(address);
    let reply = client.ask_again(&Client::by_password(account, "a device"));
    assert!(matches!(reply, Reply::Session(session::Reply::LoggedIn(_))), "LOGIN was answered {reply:?}");
    client
}

/// What is left of the direct conversation of two accounts, as one of them reads it from the server.
fn texts(address: SocketAddr, account: &Account, conversation: ConversationId) -> Vec<String> {
    let mut client = log_in(address, account);
    client.history(conversation, Seq(0)).iter().map(|message| message.content.to_string()).collect()
}

fn send(address: SocketAddr, from: &Account, conversation: ConversationId, text: &str) {
    log_in(address, from).send(Target::Conversation(conversation), text);
}

/// Waits until this is what is left.
#[track_caller]
fn wait_for(address: SocketAddr, account: &Account, conversation: ConversationId, expected: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = texts(address, account, conversation);
        if left == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{left:?} is left, not {expected:?}");
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_server_that_is_killed_holds_and_drops_as_the_clock_turns() {
    let clock = FakeClock::at(OCTOBER + 19 * DAY);
    let variables = clock.environment().map(|(name, value)| format!("{name}={value}"));
    let wrapper: Vec<&str> = ["env"].into_iter().chain(variables.iter().map(String::as_str)).collect();
    let mut server = Server::start_wrapped(&wrapper, crate::support::ports::free_port(), &SETTING);
    let (mut ann, ann_account) = Client::join(server.address, "ann");
    let (_, bob_account) = Client::join(server.address, "bob");
    let direct = ann.send(Target::User(bob_account.id), "of october").conversation;
    drop(ann);
    server.wait_for_log("storage.retention_months is 1 now");
    // Killed, and started again at once by another clock.
    let again_at = |server: &mut Server, time: u64| {
        server.kill9();
        clock.set(time);
        let begun = Instant::now();
        server.restart();
        let left = texts(server.address, &bob_account, direct);
        assert!(begun.elapsed() < AT_ONCE, "it serves at once: {:?}", begun.elapsed());
        left
    };
    assert_eq!(again_at(&mut server, NOVEMBER + 9 * DAY), ["of october"]);
    server.wait_for_log("but was last seen at 2031-10-20");
    send(server.address, &ann_account, direct, "of november");
    // The month turns while it runs. The clock has jumped, so that nothing is dropped for a day.
    assert_eq!(again_at(&mut server, DECEMBER - 15 * SECOND), ["of october", "of november"]);
    server.wait_for_log("are dropped from 2031-12-01 23:59 UTC on, not earlier");
    thread::sleep(clock.until(DECEMBER + SECOND));
    send(server.address, &ann_account, direct, "of december");
    let all = ["of october", "of november", "of december"];
    assert_eq!(texts(server.address, &bob_account, direct), all);
    assert_eq!(again_at(&mut server, DECEMBER + 12 * HOUR), all);
    // The day is over; nothing is held once more.
    again_at(&mut server, DECEMBER + DAY + HOUR);
    wait_for(server.address, &bob_account, direct, &["of november", "of december"]);
    assert!(!server.stderr().contains("not earlier"), "{}", server.stderr());
    // It has looked a day before, so that the month is dropped as soon as it turns, while the server runs.
    again_at(&mut server, JANUARY - 40 * HOUR);
    server.wait_for_log("are dropped from 2031-12-31 08:00 UTC on, not earlier");
    let before = ["of november", "of december"];
    assert_eq!(again_at(&mut server, JANUARY - 25 * SECOND), before);
    assert_eq!(texts(server.address, &bob_account, direct), before);
    wait_for(server.address, &bob_account, direct, &["of december"]);
    assert!(clock.now() >= JANUARY);
    // A clock that is back in the past drops nothing of what is sent now.
    again_at(&mut server, OCTOBER);
    send(server.address, &ann_account, direct, "of a wrong clock");
    again_at(&mut server, JANUARY + DAY);
    again_at(&mut server, JANUARY + 2 * DAY + HOUR);
    wait_for(server.address, &bob_account, direct, &["of december", "of a wrong clock"]);
    let log = server.stderr();
    assert!(!log.contains("damaged") && !log.contains("missing"), "{log}");
    assert!(server.terminate().success());
}

#[test]
fn nodes_that_are_killed_hold_and_drop_as_the_clock_of_the_database_turns() {
    let clock = FakeClock::at(OCTOBER + 19 * DAY);
    let folder = std::env::temp_dir().join(format!("chatserver-mariadb-clock-{}", std::process::id()));
    let database = MariaDb::start_with(folder, &[], &clock.environment());
    let mut nodes = Nodes::over(&database.url("test"), 2, &SETTING);
    let (mut ann, ann_account) = Client::join(nodes.nodes[0].address, "ann");
    let (_, bob_account) = Client::join(nodes.nodes[1].address, "bob");
    let direct = ann.send(Target::User(bob_account.id), "of october").conversation;
    drop(ann);
    // Both are killed, and start again under their own names at once.
    let again_at = |nodes: &mut Nodes, time: u64| {
        nodes.kill9(&[0, 1]);
        clock.set(time);
        let deadline = Instant::now() + AT_ONCE;
        let sql = "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)";
        let now = || database.ask(sql).into_iter().next().map(mysql::from_row::<u64>);
        while now().is_none_or(|now| now.abs_diff(clock.now()) > 5 * SECOND) {
            assert!(Instant::now() < deadline, "the database's clock follows");
            thread::sleep(Duration::from_millis(50));
        }
        for number in 0..2 {
            let begun = Instant::now();
            nodes.restart(number);
            assert!(begun.elapsed() < AT_ONCE, "it starts at once: {:?}", begun.elapsed());
        }
        texts(nodes.nodes[1].address, &bob_account, direct)
    };
    assert_eq!(again_at(&mut nodes, NOVEMBER + 9 * DAY), ["of october"]);
    send(nodes.nodes[0].address, &ann_account, direct, "of november");
    assert_eq!(again_at(&mut nodes, DECEMBER - 10 * SECOND), ["of october", "of november"]);
    thread::sleep(clock.until(DECEMBER + SECOND));
    send(nodes.nodes[1].address, &ann_account, direct, "of december");
    let all = ["of october", "of november", "of december"];
    assert_eq!(again_at(&mut nodes, DECEMBER + 12 * HOUR), all);
    again_at(&mut nodes, DECEMBER + DAY + HOUR);
    for node in &nodes.nodes {
        wait_for(node.address, &bob_account, direct, &["of november", "of december"]);
    }
    // A clock that is back in the past drops nothing of what is sent now.
    again_at(&mut nodes, OCTOBER);
    send(nodes.nodes[0].address, &ann_account, direct, "of a wrong clock");
    again_at(&mut nodes, DECEMBER + 2 * DAY);
    again_at(&mut nodes, DECEMBER + 3 * DAY + HOUR);
    let left = ["of november", "of december", "of a wrong clock"];
    for node in &nodes.nodes {
        assert_eq!(texts(node.address, &bob_account, direct), left);
        let log = node.stderr();
        assert!(!log.contains("damaged") && !log.contains("no segments"), "{log}");
    }
}
