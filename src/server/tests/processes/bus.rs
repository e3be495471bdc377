//! Redis is not trusted: what others publish or store there changes nothing at any client.

use crate::support::client::text;
use crate::support::nodes::{Nodes, wait_until_alive};
use crate::support::{Account, Client, MariaDb, PATIENCE, Server, programs};
use redis::{Connection, cmd};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wire::session::{Changed, GoingAway, Kicked, Listing};
use wire::timeline::{Receipt, Typist};
use wire::{
    Command, ConversationId, ConversationKind, Errno, Message, Push, Refusal, Reply, Seq, Target, UnixMillis,
    UserId, contact, message, node, presence, session, timeline,
};

/// Two nodes with a user on each.
struct Pair {
    cluster: Nodes,
    url: String,
    ann: Client,
    ann_account: Account,
    bob: Client,
    bob_account: Account,
}

impl Pair {
    fn start() -> Pair {
        let database = MariaDb::shared();
        let url = database.url(&database.new_name());
        let cluster = Nodes::over(&url, 2, &[]);
        let (ann, ann_account) = Client::join(cluster.nodes[0].address, "ann");
        let (bob, bob_account) = Client::join(cluster.nodes[1].address, "bob");
        Pair { cluster, url, ann, ann_account, bob, bob_account }
    }

    /// A first column of the database.
    fn column(&self, sql: &str) -> Vec<String> {
        let name = self.url.rsplit('/').next().unwrap();
        let rows = MariaDb::shared().ask(&sql.replace("FROM ", &format!("FROM {name}.")));
        rows.into_iter().map(mysql::from_row).collect()
    }

    /// The beginning of the names of all channels and keys.
    fn prefix(&self) -> String {
        format!("chat:{}:", self.column("SELECT LOWER(HEX(server)) FROM deployment")[0])
    }

    fn runs(&self) -> Vec<String> {
        self.column("SELECT CONVERT(name USING utf8mb4) FROM node")
    }

    fn redis(&self) -> Connection {
        let conn = redis::Client::open(self.cluster.redis.url()).unwrap().get_connection().unwrap();
        conn.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        conn
    }
}

fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A payload as a node would send it, but for its tag.
fn forged(run: &str, counter: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![1];
    out.extend_from_slice(&1u32.to_be_bytes());
    out.extend_from_slice(&counter.to_be_bytes());
    out.extend_from_slice(&wall().to_be_bytes());
    out.push(run.len() as u8);
    out.extend_from_slice(run.as_bytes());
    out.extend_from_slice(payload);
    out.extend_from_slice(&[0xA5; 16]);
    out
}

/// The payload of a push, without its seal.
fn hint(push: impl Into<Push>) -> Vec<u8> {
    let mut out = vec![0, 0, 0, 0, 0];
    push.into().encode(&mut out);
    out
}

fn message(kind: ConversationKind, conversation: ConversationId, seq: Seq, from: UserId) -> Push {
    let (name, content_type, content) = ("ann".into(), "text".into(), "forged".into());
    let time = UnixMillis(wall());
    message::Push::New(
        Message { conversation, kind, seq, from, name, content_type, content, time, cid: None, extra: None }
            .into(),
    )
    .into()
}

#[test]
fn forged_and_repeated_publications_change_nothing() {
    let mut pair = Pair::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let (ann_id, bob_id) = (pair.ann_account.id, pair.bob_account.id);
    let group = pair.ann.create_group("climbing");
    pair.bob.join_group(group);
    // Everything that the nodes publish is recorded.
    let mut spy = pair.redis();
    let mut spy = spy.as_pubsub();
    spy.psubscribe("chat:*").unwrap();
    let direct = pair.ann.send(Target::User(bob_id), "one").conversation;
    pair.ann.send(Target::Conversation(group), "two");
    assert_eq!(&*pair.bob.message().content, "one");
    assert_eq!(&*pair.bob.message().content, "two");
    pair.ann.befriend(bob_id);
    let mut recorded = Vec::new();
    spy.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    while let Ok(heard) = spy.get_message() {
        recorded.push((heard.get_channel_name().to_owned(), heard.get_payload_bytes().to_vec()));
    }
    assert!(recorded.len() >= 3, "the messages and the friendship: {}", recorded.len());
    pair.ann.take_pushes();
    pair.bob.take_pushes();

    let receipt = Receipt { conversation: direct, id: ann_id, seq: Seq(1) };
    let away = GoingAway {
        reason: "forged".into(),
        retry_after_ms: 0,
        node: Some(listener.local_addr().unwrap().to_string().into()),
    };
    let kicked = Kicked { reason: "forged".into(), code: None, device: None, time: UnixMillis(1) };
    let (name, event) = ("ann".into(), contact::FriendEvent::Removed);
    let friend = contact::FriendChange { id: ann_id, name, event, message: None };
    let (state, text, last_seen) = (presence::Presence::Offline, None, None);
    let change = Box::new(presence::PresenceChange { id: ann_id, state, text, last_seen });
    let pushes: Vec<Push> = vec![
        message(ConversationKind::Direct, direct, Seq(2), ann_id),
        message(ConversationKind::Direct, ConversationId(4_000), Seq(1), ann_id),
        message(ConversationKind::Group, group, Seq(2), ann_id),
        presence::Push::Changed(change).into(),
        session::Push::Kicked(Box::new(kicked)).into(),
        session::Push::Probe.into(),
        session::Push::GoingAway(Box::new(away)).into(),
        session::Push::Changed(Box::new(Changed { what: vec![Listing::Friends] })).into(),
        timeline::Push::ReadReceipt(receipt).into(),
        timeline::Push::Delivered(receipt).into(),
        timeline::Push::Typing(Typist { conversation: direct, id: ann_id }).into(),
        timeline::Push::Typing(Typist { conversation: group, id: ann_id }).into(),
        contact::Push::Friend(Box::new(friend)).into(),
        Push::Error(Box::new(Refusal::new(Errno::Internal, "forged"))),
    ];
    let mut payloads: Vec<Vec<u8>> = pushes.into_iter().map(hint).collect();
    // Kicks of both sessions, by a login with a high epoch.
    for user in [ann_id, bob_id] {
        payloads.push([&[1][..], &user.0.to_be_bytes(), &1_000u32.to_be_bytes(), b"forged"].concat());
    }
    let (prefix, runs, mut redis) = (pair.prefix(), pair.runs(), pair.redis());
    let mut channels = vec![format!("{prefix}user:{ann_id}"), format!("{prefix}user:{bob_id}")];
    channels.push(format!("{prefix}group:{group}"));
    channels.extend(runs.iter().map(|run| format!("{prefix}node:{run}")));
    // The names without the deployment's id.
    channels.extend([format!("chat:user:{bob_id}"), format!("chat:conv:{group}")]);
    let mut publish = |channel: &str, payload: &[u8]| -> u64 {
        cmd("PUBLISH").arg(channel).arg(payload).query(&mut redis).unwrap()
    };
    let mut heard = 0;
    for (counter, payload) in (1_000_000..).zip(&payloads) {
        for channel in &channels {
            heard += publish(channel, payload);
            for run in &runs {
                heard += publish(channel, &forged(run, counter, payload));
            }
        }
    }
    // What nodes did publish, again and elsewhere.
    for (channel, payload) in &recorded {
        heard += publish(channel, payload);
        heard += channels.iter().map(|channel| publish(channel, payload)).sum::<u64>();
    }
    assert!(heard as usize > payloads.len(), "the nodes have received it");
    // Reports and leases of a node that does not exist, or say something else of one that does.
    let report = format!("0 0 0 {} n9", listener.local_addr().unwrap());
    for run in runs.iter().map(String::as_str).chain(["n9~0123456789abcdef"]) {
        for (key, value) in [("lease", "1"), ("report", &report)] {
            let _: () = cmd("SET")
                .arg(format!("{prefix}{key}:{run}"))
                .arg(forged(run, 1 << 40, value.as_bytes()))
                .query(&mut redis)
                .unwrap();
        }
    }
    for node in &pair.cluster.nodes {
        node.wait_for_log("dropped from Redis: ");
    }
    // The true message has the seq that the forged one had.
    let sent = pair.ann.send(Target::User(bob_id), "true");
    let message = pair.bob.message();
    assert_eq!((message.seq, &*message.content), (sent.seq, "true"));
    let sent = pair.ann.send(Target::Conversation(group), "true, too");
    assert_eq!((sent.seq, &*pair.bob.message().content), (Seq(4), "true, too"));
    assert_eq!(pair.ann.take_pushes(), []);
    assert_eq!(pair.bob.take_pushes(), []);
    assert!(listener.accept().is_err(), "nobody was sent to the listener");
    pair.cluster.wait_for_all();
    let Reply::Node(node::Reply::Nodes(page)) = pair.bob.ask(&Command::Node(node::Request::Nodes)) else {
        panic!()
    };
    let addresses: Vec<String> = pair.cluster.nodes.iter().map(|node| node.address.to_string()).collect();
    assert!(page.nodes.iter().all(|node| addresses.contains(&node.address.to_string())), "{page:?}");
}

#[test]
fn a_forged_lock_delays_no_login_for_long() {
    let pair = Pair::start();
    let (prefix, mut redis) = (pair.prefix(), pair.redis());
    let key = format!("{prefix}lock:{}", pair.bob_account.id);
    for forgery in [b"n1~1:7".to_vec(), forged(&pair.runs()[0], 1 << 40, &7u64.to_be_bytes())] {
        let _: () = cmd("SET").arg(&key).arg(forgery).query(&mut redis).unwrap();
        let begun = Instant::now();
        Client::login_to(pair.cluster.nodes[0].address, &pair.bob_account);
        assert!(
            begun.elapsed() < crate::support::busy::slack(Duration::from_secs(1)),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn two_deployments_on_one_redis_do_not_see_each_other() {
    let mut one = Pair::start();
    let database = MariaDb::shared();
    let url = format!("storage.url={}", database.url(&database.new_name()));
    // Redis delivers publications to all numbers.
    let redis = format!("cluster.redis={}/1", one.cluster.redis.url());
    let start = |name| Server::start(&["--set", &url, "--set", &redis, "--set", name]);
    let others = ["cluster.node=n1", "cluster.node=n2"].map(start);
    // The same ids, other people.
    let (mut eve, eve_account) = Client::join(others[0].address, "eve");
    let (mut dan, dan_account) = Client::join(others[1].address, "dan");
    assert_eq!((eve_account.id, dan_account.id), (one.ann_account.id, one.bob_account.id));
    for n in 0..20 {
        one.ann.send(Target::User(one.bob_account.id), &format!("of one {n}"));
        eve.send(Target::User(dan_account.id), &format!("of two {n}"));
    }
    for n in 0..20 {
        assert_eq!(*one.bob.message().content, *format!("of one {n}"));
        assert_eq!(*dan.message().content, *format!("of two {n}"));
    }
    // A login ends only the session of its own deployment.
    Client::login_to(others[0].address, &dan_account);
    dan.wait_closed(PATIENCE);
    one.ann.send(Target::User(one.bob_account.id), "still here");
    assert_eq!(&*one.bob.message().content, "still here");
    assert_eq!((one.ann.take_pushes(), eve.take_pushes()), (vec![], vec![]));
}

#[test]
fn a_redis_user_needs_only_the_rights_of_the_documentation() {
    let pair = Pair::start();
    let prefix = pair.prefix();
    let cluster_page = include_str!("../../../../docs/cluster.md");
    let (_, rights) = cluster_page.split_once("ACL SETUSER ").unwrap();
    let (rights, _) = rights.split_once("```").unwrap();
    let rights = rights.replace("PASSWORD", "geheim").replace("chat:ID:", &prefix);
    let words: Vec<&str> = rights.split_whitespace().collect();
    assert_eq!(pair.cluster.redis.command(&format!("ACL SETUSER {}", words.join(" "))), "+OK");
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "geheim\n").unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let settings = [
        format!("storage.url={}", pair.url),
        format!("cluster.redis={}", pair.cluster.redis.url().replace("redis://", "redis://chat@")),
        format!("cluster.password_file={}", password.display()),
    ];
    let start = |name: &str| {
        let node = format!("cluster.node={name}");
        Server::start(&["--set", &settings[0], "--set", &settings[1], "--set", &settings[2], "--set", &node])
    };
    let nodes = ["n3", "n4"].map(start);
    for node in &nodes {
        node.wait_for_log("connected to Redis");
    }
    let (mut cleo, cleo_account) = Client::join(nodes[0].address, "cleo");
    let (mut dan, dan_account) = Client::join(nodes[1].address, "dan");
    cleo.send(Target::User(dan_account.id), "through the bus");
    assert_eq!(&*dan.message().content, "through the bus");
    let group = cleo.create_group("climbing");
    dan.join_group(group);
    cleo.send(Target::Conversation(group), "to all");
    assert_eq!(&*dan.message().content, "to all");
    Client::login_to(nodes[1].address, &cleo_account);
    cleo.wait_closed(PATIENCE);
    // Leases and reports are written and read.
    wait_until_alive(&mut dan, 4);
    assert_eq!(pair.cluster.redis.command("ACL LOG"), "*0", "a command or a key was refused");
}

#[test]
fn a_second_node_of_a_name_is_refused() {
    let mut pair = Pair::start();
    let settings = [
        format!("storage.url={}", pair.url),
        format!("cluster.redis={}", pair.cluster.redis.url()),
        "cluster.node=n1".to_owned(),
    ];
    let output = Process::new(programs::chatserver())
        .args(settings.iter().flat_map(|setting| ["--set", setting]))
        .args(["127.0.0.1", "0"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("another node named `n1` uses this database") && stderr.contains("cluster.node"),
        "{stderr}"
    );
    // One that was killed leaves its name at once.
    pair.cluster.kill9(&[0]);
    pair.cluster.restart(0);
    pair.cluster.wait_for_all();
}

#[test]
fn the_key_of_the_bus_is_replaced_while_nodes_run() {
    let mut pair = Pair::start();
    let rotate = || {
        let output = Process::new(programs::chatserver())
            .args(["--rotate-bus-key", "--set", &format!("storage.url={}", pair.url)])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, stdout, stderr) = rotate();
    assert_eq!((code, &*stderr), (Some(0), ""));
    assert!(stdout.starts_with("made the key 2:"), "{stdout}");
    let (code, _, stderr) = rotate();
    assert!(code == Some(1) && stderr.contains("wait "), "{stderr}");
    for n in 0..5 {
        pair.ann.send(Target::User(pair.bob_account.id), &format!("meanwhile {n}"));
        assert_eq!(*pair.bob.message().content, *format!("meanwhile {n}"));
    }
    assert!(!pair.cluster.nodes.iter().any(|node| node.stderr().contains("wrong authentication tag")));
}

/// The ids in the reply to LOGIN.
fn ids(address: std::net::SocketAddr, account: &Account) -> (Box<str>, Box<str>) {
    let reply = Client::connect(address).login(account);
    (reply.server.unwrap(), reply.history.unwrap())
}

#[test]
fn a_start_begins_a_new_history_if_no_other_node_lives() {
    // A single node on SQLite.
    let mut server = Server::start_at_fixed_port(&[]);
    let (_, account) = Client::join(server.address, "ann");
    let before = ids(server.address, &account);
    assert!(before.0.len() == 32 && before.1.len() == 32 && before.0 != before.1);
    assert_eq!(ids(server.address, &account), before);
    server.terminate();
    server.restart();
    let after = ids(server.address, &account);
    assert_eq!(after.0, before.0);
    assert_ne!(after.1, before.1);
    // A cluster.
    let mut pair = Pair::start();
    let addresses: Vec<_> = pair.cluster.nodes.iter().map(|node| node.address).collect();
    let before = ids(addresses[0], &pair.ann_account);
    assert_eq!(ids(addresses[1], &pair.bob_account), before);
    pair.cluster.kill9(&[0]);
    pair.cluster.restart(0);
    assert_eq!(ids(addresses[0], &pair.ann_account), before, "the other node lives");
    pair.cluster.kill9(&[0, 1]);
    pair.cluster.restart(0);
    pair.cluster.restart(1);
    let after = ids(addresses[0], &pair.ann_account);
    assert_eq!(ids(addresses[1], &pair.bob_account), after);
    assert_eq!(after.0, before.0);
    assert_ne!(after.1, before.1);
}

#[test]
fn a_node_ends_when_its_database_has_another_history() {
    let mut pair = Pair::start();
    let name = pair.url.rsplit('/').next().unwrap().to_owned();
    MariaDb::shared().ask(&format!("UPDATE {name}.deployment SET history = REPEAT('x', 16)"));
    for node in &mut pair.cluster.nodes {
        assert_eq!(node.wait(PATIENCE).code(), Some(1));
        assert!(node.stderr().contains("the database was restored"), "{}", node.stderr());
    }
}

#[test]
fn commands_are_answered_while_forged_publications_arrive() {
    let mut pair = Pair::start();
    let (channel, mut redis) = (format!("{}user:{}", pair.prefix(), pair.bob_account.id), pair.redis());
    let run = pair.runs().remove(0);
    for counter in 0..2_000 {
        let _: u64 =
            cmd("PUBLISH").arg(&channel).arg(forged(&run, counter, &[0; 300])).query(&mut redis).unwrap();
    }
    // A value that is longer than any publication ends the connection of the subscriber, which comes back.
    let _: u64 = cmd("PUBLISH").arg(&channel).arg(vec![0u8; 4 << 20]).query(&mut redis).unwrap();
    let reply = pair.ann.ask(&text(Target::User(pair.bob_account.id), "through", None));
    assert!(matches!(reply, Reply::Message(message::Reply::Sent(_))), "{reply:?}");
    assert_eq!(&*pair.bob.message().content, "through");
}
