//! Nodes that are killed, drained and frozen under load, and so is their database: no message is lost, doubled or
//! reordered, and no client waits for a node that is gone.

use crate::database::{answers_within, connection_holding, resumes_within};
use crate::support::busy::slack;
use crate::support::client::{errno, text};
use crate::support::effort::effort;
use crate::support::members::Members;
use crate::support::nodes::{Balancer, Nodes};
use crate::support::proxy::{Cut, Proxy};
use crate::support::setup::until_available;
use crate::support::{Client, Event, MariaDb, Nginx, PATIENCE, process};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};
use wire::{Errno, Push, Reply, Seq, Target};
use wire::{message, session};

/// The message that the frozen node has not committed.
const HELD: &str = "held by the frozen one";
/// How often a node refreshes its row in the database.
const SAYS_THAT_IT_LIVES: Duration = Duration::from_secs(10);

/// How long a node may take from SIGTERM to its end.
fn drains_within() -> Duration {
    Duration::from_secs(5) + slack(Duration::from_secs(5))
}

/// How long a frozen node may delay a conversation.
fn frozen_holds_up() -> Duration {
    Duration::from_secs(4) + slack(Duration::from_millis(1_500))
}

/// How soon a message reaches another node without Redis.
pub fn arrives_without_redis_within() -> Duration {
    Duration::from_millis(2_500) + slack(Duration::from_millis(2_500))
}

/// How soon messages use Redis again once it is back.
pub fn recovers_within() -> Duration {
    Duration::from_secs(5) + slack(Duration::from_secs(5))
}

/// How soon other nodes deliver what a dead node committed: the end of its lease, and one poll of the database.
fn noticed_within() -> Duration {
    Duration::from_millis(5_500) + slack(Duration::from_millis(1_500))
}

#[test]
fn messages_survive_nodes_killed_one_by_one_and_all_at_once() {
    let mut cluster = Nodes::start(3, &[]);
    let members = Members::join(&cluster.balancer, 3);
    let moves = members.chat_through(|promised| {
        for round in 0..effort(6, 60) {
            promised.wait_for(promised.count() + 100 + round * 37);
            cluster.kill9(&[round % 3]);
            promised.wait_for(promised.count() + 300);
            cluster.restart(round % 3);
        }
        for round in 0..effort(2, 20) {
            promised.wait_for(promised.count() + 200 + round * 37);
            cluster.kill9(&[0, 1, 2]);
            (0..3).for_each(|number| cluster.restart(number));
        }
        promised.wait_for(promised.count() + 200);
    });
    assert!(moves.resumed.load(Relaxed) >= 12 + 2, "{}", moves.resumed.load(Relaxed));
}

#[test]
fn clients_of_a_killed_nginx_reconnect_through_it_or_directly() {
    let cluster = Nodes::start(2, &["--set", r#"chat.proxies=["127.0.0.1"]"#]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    let mut nginx = Nginx::start(&[one, two]);
    // Half of the clients come through nginx, or directly while it is down.
    let balancer = Balancer::over(&[nginx.address, one, nginx.address, two]);
    let members = Members::join(&balancer, 4);
    let came = |nginx: &Nginx| nginx.log().matches(" connected to ").count();
    let came_before = came(&nginx);
    let moves = members.chat_through(|promised| {
        for round in 0..4 {
            promised.wait_for(promised.count() + 100 + round * 37);
            // Three times nginx is the only way back; the last time only the nodes are.
            let is_only_way = round < 3;
            let closed = if is_only_way { &[0, 1, 2, 3][..] } else { &[0, 2] };
            closed.iter().for_each(|&door| balancer.set(door, None));
            nginx.kill9();
            if !is_only_way {
                return promised.wait_for(promised.count() + 500);
            }
            nginx.restart();
            for (door, address) in [(0, nginx.address), (2, nginx.address), (1, one), (3, two)] {
                balancer.set(door, Some(address));
            }
            promised.wait_for(promised.count() + 200);
        }
    });
    // Four senders and two listeners came through nginx.
    assert!(moves.resumed.load(Relaxed) >= 4, "{}", moves.resumed.load(Relaxed));
    assert!(came(&nginx) >= came_before + 6, "nobody comes back by it");
}

#[test]
fn messages_survive_short_freezes_of_nodes_and_redis() {
    let cluster = Nodes::start(3, &[]);
    Members::join(&cluster.balancer, 3).chat_through(|promised| {
        for (round, ms) in [1_000, 2_000, 5_000].into_iter().enumerate() {
            for pid in [cluster.redis.pid(), cluster.nodes[round].pid()] {
                promised.wait_for(promised.count() + 100);
                process::freeze(pid);
                // As long as the fault is to last.
                thread::sleep(Duration::from_millis(ms));
                process::thaw(pid);
                promised.wait_for(promised.count() + 100);
            }
        }
    });
}

/// Long enough for leases to end. Little is sent, so that tests beside this one are not disturbed.
#[test]
fn messages_survive_a_long_freeze_of_redis_and_a_node() {
    let cluster = Nodes::start(3, &[]);
    let addresses: Vec<_> = cluster.nodes.iter().map(|node| node.address).collect();
    let (mut ghost, account) = Client::join(addresses[2], "ghost");
    let (mut bob, bob_account) = Client::join(addresses[0], "bob");
    let to_bob = Target::User(bob_account.id);
    let conversation = ghost.send(to_bob.clone(), "before").conversation;
    let (mut sent, mut pushed) = (vec!["before".to_owned()], vec![bob.message().content.to_string()]);
    cluster.redis.freeze();
    cluster.nodes[2].freeze();
    let frozen = Instant::now();
    let in_the_dark = text(to_bob.clone(), "sent to the frozen one", Some("dark"));
    let dead = ghost.post(&in_the_dark).unwrap();
    let mut moved = Client::connect(addresses[1]);
    // The frozen node may hold locks until the database breaks its transaction.
    match until_available(&mut moved, &Client::by_token(&account)) {
        Ok(Reply::Session(session::Reply::LoggedIn(session))) => assert!(session.resumed),
        other => panic!("LOGIN was answered {other:?}"),
    }
    let again = until_available(&mut moved, &in_the_dark).unwrap();
    assert_eq!(errno(&again), Errno::Ok, "{again:?}");
    assert!(frozen.elapsed() < frozen_holds_up(), "others waited for {:?}", frozen.elapsed());
    sent.push("sent to the frozen one".into());
    pushed.push(bob.message().content.to_string());
    let thaws_after = effort(Duration::from_secs(20), Duration::from_secs(90));
    while frozen.elapsed() < thaws_after {
        let content = format!("dark {}", sent.len());
        moved.send(to_bob.clone(), &content);
        let begun = Instant::now();
        pushed.push(bob.message().content.to_string());
        assert!(begun.elapsed() < arrives_without_redis_within(), "{:?}", begun.elapsed());
        sent.push(content);
    }
    cluster.nodes[2].thaw();
    cluster.redis.thaw();
    for event in ghost.wait_closed(PATIENCE) {
        if let Event::Reply(number, reply) = event {
            // A duplicate is no write: the moved session has sent the same message meanwhile.
            let has_written = matches!(&reply, Reply::Message(message::Reply::Sent(sent)) if !sent.duplicate);
            assert!(number != dead || !has_written, "an older session has written");
        }
    }
    let thawed = Instant::now();
    loop {
        let content = format!("light {}", sent.len());
        moved.send(to_bob.clone(), &content);
        let begun = Instant::now();
        pushed.push(bob.message().content.to_string());
        sent.push(content);
        if begun.elapsed() < slack(Duration::from_millis(300)) {
            break;
        }
        assert!(thawed.elapsed() < recovers_within(), "it does not return to normal");
    }
    cluster.wait_for_all();
    let mut back = Client::connect(addresses[2]);
    assert!(back.login(&account).resumed);
    back.send(to_bob, "back");
    pushed.push(bob.message().content.to_string());
    sent.push("back".into());
    assert_eq!(pushed, sent);
    let timeline = bob.history(conversation, Seq(0));
    assert_eq!(timeline.iter().map(|message| &*message.content).collect::<Vec<_>>(), sent);
    assert!(
        bob.take_pushes().iter().all(|push| !matches!(push, Push::Message(message::Push::New(_)))),
        "something came twice"
    );
}

#[test]
fn a_node_drains_under_load_and_warns_every_client() {
    let mut cluster = Nodes::start(3, &[]);
    let members = Members::join(&cluster.balancer, 3);
    let moves = members.chat_through(|promised| {
        for round in 0..3 {
            promised.wait_for(promised.count() + 300);
            cluster.balancer.set(round, None);
            let begun = Instant::now();
            cluster.nodes[round].signal(Signal::TERM);
            let status = cluster.nodes[round].wait(PATIENCE);
            assert!(status.success(), "{status}: {}", cluster.nodes[round].stderr());
            assert!(begun.elapsed() < drains_within(), "draining took {:?}", begun.elapsed());
            promised.wait_for(promised.count() + 100);
            cluster.restart(round);
        }
    });
    assert_eq!(moves.unwarned.load(Relaxed), 0, "connections ended without GOING_AWAY");
    assert!(moves.resumed.load(Relaxed) >= 6, "{}", moves.resumed.load(Relaxed));
}

#[test]
fn messages_committed_by_a_dying_node_and_never_published_arrive() {
    const READERS: usize = 8;
    let mut cluster = Nodes::start(2, &[]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    let (mut ann, _) = Client::join(one, "ann");
    // Nothing is sent to these conversations afterwards, so that no later message shows that one is missing.
    let mut readers: Vec<_> = (0..READERS).map(|n| Client::join(two, &format!("reader {n}"))).collect();
    for (number, (_, account)) in readers.iter().enumerate() {
        ann.send(Target::User(account.id), &format!("first {number}"));
    }
    let conversations: Vec<_> = readers.iter_mut().map(|(reader, _)| reader.message().conversation).collect();
    for number in 0..4_000 {
        let target = Target::User(readers[number % READERS].1.id);
        ann.post(&text(target, &number.to_string(), Some(&number.to_string()))).unwrap();
    }
    // Some are acknowledged; of the others some are in the database all the same.
    let mut acknowledged = 0;
    while acknowledged < 300 {
        if let Some(Event::Reply(_, Reply::Message(message::Reply::Sent(_)))) = ann.event(PATIENCE).unwrap() {
            acknowledged += 1;
        }
    }
    cluster.kill9(&[0]);
    let died = Instant::now();
    for ((reader, _), conversation) in readers.iter_mut().zip(conversations) {
        let mut next = 2;
        loop {
            // Commits that were on their way are done by the time the other node notices.
            while let Some(message) = reader.try_push(Duration::from_millis(50), |push| match push {
                Push::Message(message::Push::New(message)) => Some(Arc::clone(message)),
                _ => None,
            }) {
                assert_eq!((message.conversation, message.seq), (conversation, Seq(next)));
                next += 1;
            }
            let all = reader.history(conversation, Seq(0)).len() as u64;
            if next == all + 1 {
                break;
            }
            assert!(died.elapsed() < noticed_within(), "{} of {all} after {:?}", next - 1, died.elapsed());
        }
    }
}

#[test]
fn a_frozen_node_delays_nobody_and_finds_its_sessions_moved_when_it_thaws() {
    let database = MariaDb::shared();
    let proxy = Proxy::before(database.port);
    let cluster = Nodes::over(&database.url_at(proxy.port, &database.new_name()), 3, &[]);
    let members = Members::join(&cluster.balancer, 3);
    let (mut ghost, account) = Client::join(cluster.nodes[2].address, "ghost");
    let (mut bob, bob_account) = Client::join(cluster.nodes[0].address, "bob");
    let (mut eve, _) = Client::join(cluster.nodes[1].address, "eve");
    ghost.send(Target::User(bob_account.id), "alive");
    let conversation = ghost.create_group("of both");
    eve.join_group(conversation);
    let group = Target::Conversation(conversation);
    members.chat_through(|promised| {
        for round in 0..2 {
            promised.wait_for(promised.count() + 100 + round * 37);
            // The node has written everything but its COMMIT, and holds the locks.
            proxy.arm(Cut::Silence, HELD);
            ghost.post(&text(group.clone(), HELD, None)).unwrap();
            proxy.wait_until_cut();
            cluster.nodes[2].freeze();
            let frozen = Instant::now();
            let by_eve = text(group.clone(), "by eve", Some(&round.to_string()));
            let sent = until_available(&mut eve, &by_eve).unwrap();
            assert_eq!(errno(&sent), Errno::Ok, "{sent:?}");
            let held_up = frozen.elapsed();
            assert!(held_up < frozen_holds_up(), "others waited for {held_up:?}");
            let mut moved = Client::login_to(cluster.nodes[0].address, &account);
            let dead = ghost.post(&text(Target::User(bob_account.id), "from the dead", None));
            moved.send(Target::User(bob_account.id), &format!("moved {round}"));
            promised.wait_for(promised.count() + 300);
            cluster.nodes[2].thaw();
            for event in ghost.wait_closed(PATIENCE) {
                if let Event::Reply(number, reply) = event {
                    assert!(Ok(number) != dead || errno(&reply) != Errno::Ok, "an older session has written");
                }
            }
            drop(moved);
            ghost = Client::login_to(cluster.nodes[2].address, &account);
        }
    });
    let contents: Vec<String> = (0..3).map(|_| bob.message().content.to_string()).collect();
    assert_eq!(contents, ["alive", "moved 0", "moved 1"]);
    assert!(bob.take_pushes().is_empty(), "an older session has written");
    let timeline = eve.history(conversation, Seq(0));
    let mut messages = timeline.iter().filter(|message| message.is_message());
    assert!(messages.all(|message| &*message.content == "by eve"), "{timeline:?}");
}

#[test]
fn a_node_frozen_during_its_heartbeat_delays_nobody() {
    let database = MariaDb::shared();
    let name = database.new_name();
    let cluster = Nodes::over(&database.url(&name), 1, &[]);
    let address = cluster.nodes[0].address;
    let (_, account) = Client::join(address, "ann");
    let row = format!("INSERT INTO {name}.node (name, seen_at) VALUES ('n2', UNIX_TIMESTAMP() * 1000)");
    let _frozen = connection_holding(database, &["START TRANSACTION", &row]);
    // This node refreshes its own row meanwhile, on the connection that also stores logins.
    let begun = Instant::now();
    while begun.elapsed() < SAYS_THAT_IT_LIVES + Duration::from_secs(2) {
        let login = Instant::now();
        drop(Client::login_to(address, &account));
        assert!(login.elapsed() < slack(Duration::from_secs(1)), "a login waited for {:?}", login.elapsed());
    }
}

#[test]
fn clients_of_two_nodes_stay_connected_through_a_database_crash() {
    let mut database = MariaDb::start(&[]);
    let cluster = Nodes::over(&database.url("chat"), 2, &[]);
    // One client at each node, which stays connected.
    let mut witnesses =
        [0, 1].map(|at: usize| Client::join(cluster.nodes[at].address, &format!("witness {at}")).0);
    let conversation = witnesses[0].create_group("witnesses");
    witnesses[1].join_group(conversation);
    let group = Target::Conversation(conversation);
    let moves = Members::join(&cluster.balancer, 2).chat_through(|promised| {
        for round in 0..2 {
            promised.wait_for(promised.count() + 200 + round * 37);
            database.kill9();
            for (number, client) in witnesses.iter_mut().enumerate() {
                let begun = Instant::now();
                let reply = client.ask(&text(group.clone(), "dark", Some(&format!("{round} of {number}"))));
                assert_eq!(errno(&reply), Errno::Unavailable);
                assert!(begun.elapsed() < answers_within(), "{:?}", begun.elapsed());
            }
            database.restart();
            let back = Instant::now();
            for (number, client) in witnesses.iter_mut().enumerate() {
                let again = text(group.clone(), "dark", Some(&format!("{round} of {number}")));
                assert_eq!(errno(&until_available(client, &again).unwrap()), Errno::Ok);
                assert!(back.elapsed() < resumes_within(), "work went on after {:?}", back.elapsed());
            }
            promised.wait_for(promised.count() + 300);
        }
    });
    let stored = witnesses[0].history(conversation, Seq(0));
    assert_eq!(stored.iter().filter(|message| message.is_message()).count(), 2 * 2, "each once");
    assert_eq!(moves.resumed.load(Relaxed), 0, "clients stay connected");
}
