//! Months that are dropped under a running server: killed in the midst of it, started again, on one node and two. The
//! messages are aged in the database, which is the same as a later clock.

use crate::support::client::errno;
use crate::support::nodes::Nodes;
use crate::support::{Account, Client, MariaDb, Server};
use mysql::prelude::Queryable;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command as Program;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wire::change::{Edit, React, Recall, Request as ChangeRequest};
use wire::search::Search;
use wire::timeline::{Reply as TimelineReply, Request as TimelineRequest};
use wire::{ConversationId, Errno, Reply, Seq, Target};

const SETTING: [&str; 2] = ["--set", "storage.retention_months=1"];
/// How soon a dropped text is gone from the files and the index.
const PROMISED: Duration = Duration::from_secs(60);
/// How long a drop may take to begin: nodes look each minute.
const PATIENCE: Duration = Duration::from_secs(120);
/// How soon a server that was killed must serve again, on a loaded machine.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Statements that make all messages so old that they are dropped. `months`: those that have messages.
fn aging(months: &[u32]) -> Vec<String> {
    let mut statements = Vec::new();
    for (number, month) in months.iter().enumerate() {
        // Months of 2001, in which nobody has sent anything.
        let old = 200_101 + number as u32;
        let time = 978_307_200_000 + 32 * 86_400_000 * number as u64;
        statements.push(format!("ALTER TABLE message_{month:06} RENAME TO message_{old:06}"));
        statements.push(format!("UPDATE segment SET month = {old} WHERE month = {month}"));
        statements.push(format!(
            "UPDATE conversation SET month = {old}, updated_at = {time}, changed_at = {time} WHERE month = {month}"
        ));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    // As if a server had looked a moment ago, with this setting.
    statements.push(format!("UPDATE retention SET months = 1, seen_at = {now}, held_until = 0"));
    statements
}

fn age_sqlite(path: &Path) {
    let conn = rusqlite::Connection::open(path).unwrap();
    let months: Vec<u32> = {
        let mut select = conn.prepare("SELECT DISTINCT month FROM segment ORDER BY month").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    assert!(!months.is_empty(), "the messages were filed at the end");
    aging(&months).iter().for_each(|statement| conn.execute_batch(statement).unwrap());
    // So many pages, of conversations that nobody has, that dropping them takes seconds.
    conn.execute_batch(
        "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 30000) \
         INSERT INTO message_200101 SELECT (2000000000 << 32) + n, randomblob(1000) FROM n",
    )
    .unwrap();
}

fn age_mariadb(server: &MariaDb, database: &str) {
    let mut conn = server.connect().unwrap();
    conn.query_drop(format!("USE {database}")).unwrap();
    let months: Vec<u32> = conn.query("SELECT DISTINCT month FROM segment ORDER BY month").unwrap();
    assert!(!months.is_empty());
    aging(&months).iter().for_each(|statement| conn.query_drop(statement).unwrap());
    for number in 0..months.len() as u32 {
        let time = 978_307_200_000 + 32 * 86_400_000 * u64::from(number);
        let old = 200_101 + number;
        conn.query_drop(format!("UPDATE message_{old:06} SET created_at = {time}")).unwrap();
    }
}

/// Waits until no month before the aged ones' successors has a table.
fn wait_until_dropped(server: &MariaDb, database: &str) {
    let deadline = Instant::now() + PATIENCE;
    let sql = format!(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = '{database}' \
         AND table_name LIKE 'message\\_2001%'"
    );
    while !server.ask(&sql).is_empty() {
        assert!(Instant::now() < deadline, "the tables are dropped");
        thread::sleep(Duration::from_millis(100));
    }
}

/// What is in the database before the months are dropped.
struct Past {
    direct: ConversationId,
    group: ConversationId,
    /// Only old messages.
    old: ConversationId,
    accounts: [Account; 3],
    /// The ends of the conversations.
    ends: BTreeMap<ConversationId, u64>,
}

/// Bob receives nothing of it.
fn past(address: SocketAddr, count: usize) -> Past {
    let (mut ann, ann_account) = Client::join(address, "ann");
    let (bob, bob_account) = Client::join(address, "bob");
    let (mut eve, eve_account) = Client::join(address, "eve");
    let group = ann.create_group("climbing");
    eve.join_group(group);
    drop(bob);
    let mut ends = BTreeMap::new();
    let mut direct = ConversationId(0);
    for n in 0..count {
        let text = format!("forgettable {n} {}", "and so on ".repeat(n % 90));
        let sent = ann.send(Target::User(bob_account.id), &text);
        direct = sent.conversation;
        ends.insert(direct, sent.seq.0);
    }
    for n in 0..20 {
        ends.insert(group, ann.send(Target::Conversation(group), &format!("forgettable too {n}")).seq.0);
    }
    let old = eve.send(Target::User(bob_account.id), "forgettable as well").conversation;
    ends.insert(old, 1);
    Past { direct, group, old, accounts: [ann_account, bob_account, eve_account], ends }
}

fn found(client: &mut Client, text: &str) -> usize {
    match client.ask_again(&TimelineRequest::Search(Box::new(Search::new(text, 50))).into()) {
        Reply::Timeline(TimelineReply::Results(page)) => page.messages.len(),
        other => panic!("SEARCH was answered {other:?}"),
    }
}

/// Asks until the index is as it should be.
fn wait_for_index(client: &mut Client, text: &str, is_there: bool) {
    let deadline = Instant::now() + PROMISED;
    while (found(client, text) > 0) != is_there {
        assert!(Instant::now() < deadline, "{text} is found: {is_there}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// What everybody sees after the drop. `kept`: texts that ann has sent to bob since; he has received none of them.
fn check_present(ann_at: SocketAddr, bob_at: SocketAddr, past: &Past, kept: &[String]) {
    let Past { direct, group, old, accounts: [ann_account, bob_account, eve_account], ends } = past;
    let mut bob = Client::connect(bob_at);
    let session = bob.login(bob_account);
    let first = ends[direct] + 1;
    let rows: BTreeMap<_, _> = session
        .conversations
        .iter()
        .map(|row| (row.conversation, [row.first_seq.0, row.last_seq.0, row.delivered_seq.0, row.unread]))
        .collect();
    let count = kept.len() as u64;
    assert_eq!(rows[direct], [first, first + count - 1, first - 1, count]);
    assert_eq!(rows[old], [2, 1, 1, 0], "nothing is left of it");
    // What is left is pushed, from the first on.
    for (seq, text) in (first..).zip(kept) {
        let message = bob.message();
        assert_eq!(
            (message.conversation, message.seq, &*message.content),
            (*direct, Seq(seq), text.as_str())
        );
        bob.ack(*direct, Seq(seq)).unwrap();
    }
    let texts: Vec<_> =
        bob.history(*direct, Seq(0)).iter().map(|message| message.content.to_string()).collect();
    assert_eq!(texts, kept);
    assert_eq!(bob.history(*old, Seq(0)).len(), 0);
    // What was dropped is what never was.
    let mut ann = Client::login_to(ann_at, ann_account);
    let mut eve = Client::login_to(bob_at, eve_account);
    let (conversation, seq, cid) = (*direct, Seq(1), None);
    for request in [
        ChangeRequest::Edit(Edit { conversation, seq, content: "x".into(), cid: cid.clone() }),
        ChangeRequest::Recall(Recall { conversation, seq, cid: cid.clone() }),
        ChangeRequest::React(React { conversation, seq, reaction: "👍".into(), on: true, cid }),
    ] {
        assert_eq!(errno(&ann.ask_again(&request.into())), Errno::NotFound);
    }
    assert_eq!(eve.history(*group, Seq(0)).len(), 0, "the group is still eve's, but has nothing");
    for client in [&mut ann, &mut bob, &mut eve] {
        wait_for_index(client, "forgettable", false);
    }
    wait_for_index(&mut bob, "kept", !kept.is_empty());
    // It goes on, for those who are online as well.
    assert_eq!(bob.send(Target::Conversation(*old), "hello again").seq, Seq(2));
    let message = eve.message();
    assert_eq!((message.conversation, message.seq), (*old, Seq(2)));
    let last = eve.send(Target::Conversation(*group), "and here").seq;
    assert_eq!(last, Seq(ends[group] + 1));
    // What ann sent before the server was killed may come again.
    let in_group = std::iter::repeat_with(|| ann.message()).find(|message| message.conversation == *group);
    assert_eq!(in_group.map(|message| message.seq), Some(last));
}

#[test]
fn months_are_dropped_from_a_server_that_is_killed_meanwhile() {
    let mut server = Server::start_at_fixed_port(&SETTING);
    let past = past(server.address, 1_500);
    let mut ann = Client::login_to(server.address, &past.accounts[0]);
    wait_for_index(&mut ann, "forgettable", true);
    drop(ann);
    assert!(server.terminate().success());
    age_sqlite(&server.folder().join("data/chat.db"));
    let mut kept = Vec::new();
    let mut interrupted = 0;
    for round in 0..6 {
        let begun = Instant::now();
        server.restart();
        let mut ann = Client::login_to(server.address, &past.accounts[0]);
        let text = format!("kept {round}");
        ann.send(Target::Conversation(past.direct), &text);
        assert!(begun.elapsed() < AT_ONCE, "it serves at once: {:?}", begun.elapsed());
        kept.push(text);
        if round == 5 {
            break;
        }
        if round == 0 || server.stderr().contains("dropping the messages") {
            server.wait_for_log("dropping the messages of months before");
            interrupted += usize::from(!server.stderr().contains("dropped the messages"));
        }
        server.kill9();
    }
    assert!(interrupted > 0, "it was killed in the midst");
    // Unless it was finished before it was killed last.
    let is_left = || {
        let conn = rusqlite::Connection::open(server.folder().join("data/chat.db")).unwrap();
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'message\\_2001%' ESCAPE '\\'";
        conn.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap() > 0
    };
    let deadline = Instant::now() + PATIENCE;
    while is_left() {
        assert!(Instant::now() < deadline, "the table is dropped: {}", server.stderr());
        thread::sleep(Duration::from_millis(100));
    }
    check_present(server.address, server.address, &past, &kept);
    let deadline = Instant::now() + PROMISED;
    let is_found = || {
        let grep = Program::new("grep").args(["-r", "-q", "-a", "forgettable"]).arg(server.folder()).status();
        grep.expect("grep runs").success()
    };
    while is_found() {
        assert!(Instant::now() < deadline, "the texts are gone from the files");
        thread::sleep(Duration::from_millis(500));
    }
    let log = server.stderr();
    assert!(!log.contains("damaged") && !log.contains("missing"), "{log}");
    assert!(server.terminate().success());
}

#[test]
fn months_are_dropped_under_two_nodes() {
    let database = MariaDb::shared();
    let name = database.new_name();
    let mut nodes = Nodes::over(&database.url(&name), 2, &SETTING);
    let addresses = [nodes.nodes[0].address, nodes.nodes[1].address];
    let past = past(addresses[0], 300);
    // Both nodes are in the midst of it, with sessions.
    let mut ann = Client::login_to(addresses[0], &past.accounts[0]);
    let mut eve = Client::login_to(addresses[1], &past.accounts[2]);
    wait_for_index(&mut ann, "forgettable", true);
    wait_for_index(&mut eve, "forgettable", true);
    age_mariadb(database, &name);
    wait_until_dropped(database, &name);
    let mut kept = vec!["kept while both run".to_owned()];
    let sent = ann.send(Target::Conversation(past.direct), &kept[0]);
    assert_eq!(sent.seq.0, past.ends[&past.direct] + 1);
    let dropped = |node: &Server| node.stderr().matches("dropped the messages of months before").count();
    assert_eq!(dropped(&nodes.nodes[0]) + dropped(&nodes.nodes[1]), 1, "one node did it");
    drop((ann, eve));
    check_present(addresses[0], addresses[1], &past, &kept);
    // Again, while a node is killed; it starts under its own name at once, and one of them finishes it.
    let mut ann = Client::login_to(addresses[1], &past.accounts[0]);
    let again = ann.send(Target::Conversation(past.direct), "forgettable once more").seq;
    age_mariadb(database, &name);
    nodes.kill9(&[0]);
    let begun = Instant::now();
    nodes.restart(0);
    nodes.nodes[0].wait_for_log("dropping the messages");
    nodes.kill9(&[0]);
    nodes.restart(0);
    assert!(begun.elapsed() < 2 * AT_ONCE, "it starts at once: {:?}", begun.elapsed());
    wait_until_dropped(database, &name);
    kept = vec!["kept after that".to_owned()];
    let sent = ann.send(Target::Conversation(past.direct), &kept[0]);
    assert_eq!(sent.seq, again.next());
    let mut bob = Client::login_to(addresses[0], &past.accounts[1]);
    let texts: Vec<_> =
        bob.history(past.direct, Seq(0)).iter().map(|message| message.content.to_string()).collect();
    assert_eq!(texts, kept);
    wait_for_index(&mut bob, "forgettable", false);
    for node in &nodes.nodes {
        let log = node.stderr();
        assert!(!log.contains("damaged") && !log.contains("no segments"), "{log}");
    }
}
