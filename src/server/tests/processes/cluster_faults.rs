//! Nodes that are killed, drained and frozen under load, and their database: nothing is lost, doubled, reordered or made
//! up, and nobody waits for a node that is gone.

use crate::database::{RESUMES_WITHIN, told};
use crate::support::client::{errno, text};
use crate::support::crowd::Crowd;
use crate::support::ledger::until_available;
use crate::support::nodes::{Doors, Nodes};
use crate::support::proxy::{Cut, Proxy};
use crate::support::{Client, Event, MariaDb, Nginx, PATIENCE};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};
use wire::{Command, Errno, Push, Reply, Seq, Target};
use wire::{group, message, session};

/// How long a node may take from SIGTERM to its end.
const DRAINS_WITHIN: Duration = Duration::from_secs(10);
/// How long a frozen node may hold up a conversation, and what a machine that does much else adds.
const FROZEN_HOLDS_UP: Duration = Duration::from_millis(4_000 + 1_500);
/// When a send is answered while the database is away, and what a machine that does much else adds.
const ANSWERS_WITHIN: Duration = Duration::from_millis(2_000 + 2_000);
/// How long the long freeze lasts.
const LONG: Duration = Duration::from_secs(60);
/// When a message comes to another node without Redis, and what a machine that does much else adds.
const DARK_WITHIN: Duration = Duration::from_millis(2_500 + 2_500);
/// When all is as before once Redis is back.
const NORMAL_WITHIN: Duration = Duration::from_secs(5);
/// What the frozen node has not committed.
const HELD: &str = "held by the frozen one";
/// How often a node writes that it lives.
const SAYS_THAT_IT_LIVES: Duration = Duration::from_secs(10);
/// After a node's death: the end of its lease and a look at the database, and the same addition.
const NOTICED_WITHIN: Duration = Duration::from_millis(5_500 + 1_500);

#[test]
fn nodes_are_killed_one_by_one_and_all_at_once() {
    let mut cluster = Nodes::start(3, &[]);
    let crowd = Crowd::gather(&cluster.doors, 3);
    let moves = crowd.chat_through(|promised| {
        for round in 0..6 {
            promised.wait_for(promised.count() + 100 + round * 37);
            cluster.kill9(&[round % 3]);
            promised.wait_for(promised.count() + 300);
            cluster.restart(round % 3);
        }
        for round in 0..2 {
            promised.wait_for(promised.count() + 200 + round * 37);
            cluster.kill9(&[0, 1, 2]);
            (0..3).for_each(|number| cluster.restart(number));
        }
        promised.wait_for(promised.count() + 200);
    });
    assert!(moves.resumed.load(Relaxed) >= 12 + 2, "{}", moves.resumed.load(Relaxed));
}

#[test]
fn nginx_is_killed_and_its_clients_come_back_by_it_or_directly() {
    let cluster = Nodes::start(2, &["--set", r#"chat.proxies=["127.0.0.1"]"#]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    let mut nginx = Nginx::start(&[one, two]);
    // Half of them come through nginx, and directly while its door is closed.
    let doors = Doors::to(&[nginx.address, one, nginx.address, two]);
    let crowd = Crowd::gather(&doors, 4);
    let came = |nginx: &Nginx| nginx.log().matches(" connected to ").count();
    let came_before = came(&nginx);
    let moves = crowd.chat_through(|promised| {
        for round in 0..4 {
            promised.wait_for(promised.count() + 100 + round * 37);
            // Three times it is the only way for whoever is to move; in the end the nodes are open, and it is not.
            let is_only_way = round < 3;
            let closed = if is_only_way { &[0, 1, 2, 3][..] } else { &[0, 2] };
            closed.iter().for_each(|&door| doors.set(door, None));
            nginx.kill9();
            if !is_only_way {
                return promised.wait_for(promised.count() + 500);
            }
            nginx.restart();
            for (door, address) in [(0, nginx.address), (2, nginx.address), (1, one), (3, two)] {
                doors.set(door, Some(address));
            }
            promised.wait_for(promised.count() + 200);
        }
    });
    // Four senders and two listeners came through it.
    assert!(moves.resumed.load(Relaxed) >= 4, "{}", moves.resumed.load(Relaxed));
    assert!(came(&nginx) >= came_before + 6, "nobody comes back by it");
}

#[test]
fn nodes_and_redis_stand_still_for_a_moment() {
    let cluster = Nodes::start(3, &[]);
    Crowd::gather(&cluster.doors, 3).chat_through(|promised| {
        for (round, ms) in [1_000, 2_000, 5_000].into_iter().enumerate() {
            let freezes: [&dyn Fn(bool); 2] = [&|frozen| cluster.redis.freeze(frozen), &|frozen| {
                cluster.nodes[round].signal(if frozen { Signal::STOP } else { Signal::CONT });
            }];
            for freeze in freezes {
                promised.wait_for(promised.count() + 100);
                freeze(true);
                // As long as the fault is to last.
                thread::sleep(Duration::from_millis(ms));
                freeze(false);
                promised.wait_for(promised.count() + 100);
            }
        }
    });
}

/// All of it in the dark: also sessions and leases that end meanwhile. Little is sent, so that others are not disturbed.
#[test]
fn redis_and_a_node_stand_still_for_long() {
    let cluster = Nodes::start(3, &[]);
    let addresses: Vec<_> = cluster.nodes.iter().map(|node| node.address).collect();
    let (mut ghost, account) = Client::join(addresses[2], "ghost");
    let (mut bob, bob_account) = Client::join(addresses[0], "bob");
    let to_bob = Target::User(bob_account.id);
    let conversation = ghost.send(to_bob.clone(), "before").conversation;
    let (mut sent, mut pushed) = (vec!["before".to_owned()], vec![bob.message().content.to_string()]);
    cluster.redis.freeze(true);
    cluster.nodes[2].signal(Signal::STOP);
    let frozen = Instant::now();
    let in_the_dark = text(to_bob.clone(), "sent to the frozen one", Some("dark"));
    let dead = ghost.post(&in_the_dark).unwrap();
    let mut moved = Client::connect(addresses[1]);
    // The frozen one may hold what is to be written, until the database breaks its transaction.
    match until_available(&mut moved, &Client::by_token(&account)) {
        Ok(Reply::Session(session::Reply::LoggedIn(session))) => assert!(session.resumed),
        other => panic!("LOGIN was answered {other:?}"),
    }
    let again = until_available(&mut moved, &in_the_dark).unwrap();
    assert_eq!(errno(&again), Errno::Ok, "{again:?}");
    assert!(frozen.elapsed() < FROZEN_HOLDS_UP, "others waited for {:?}", frozen.elapsed());
    sent.push("sent to the frozen one".into());
    pushed.push(bob.message().content.to_string());
    while frozen.elapsed() < LONG {
        let content = format!("dark {}", sent.len());
        moved.send(to_bob.clone(), &content);
        let begun = Instant::now();
        pushed.push(bob.message().content.to_string());
        assert!(begun.elapsed() < DARK_WITHIN, "{:?}", begun.elapsed());
        sent.push(content);
    }
    cluster.nodes[2].signal(Signal::CONT);
    cluster.redis.freeze(false);
    for event in ghost.wait_closed(PATIENCE) {
        if let Event::Reply(number, reply) = event {
            // It may be told that the message is there, which another session has sent meanwhile.
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
        if begun.elapsed() < Duration::from_millis(300) {
            break;
        }
        assert!(thawed.elapsed() < 2 * NORMAL_WITHIN, "it does not return to normal");
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
fn a_node_drains_under_load() {
    let mut cluster = Nodes::start(3, &[]);
    let crowd = Crowd::gather(&cluster.doors, 3);
    let moves = crowd.chat_through(|promised| {
        for round in 0..3 {
            promised.wait_for(promised.count() + 300);
            cluster.doors.set(round, None);
            let begun = Instant::now();
            cluster.nodes[round].signal(Signal::TERM);
            let status = cluster.nodes[round].wait(DRAINS_WITHIN);
            assert!(status.success() && begun.elapsed() < DRAINS_WITHIN, "{status}");
            promised.wait_for(promised.count() + 100);
            cluster.restart(round);
        }
    });
    assert_eq!(moves.unwarned.load(Relaxed), 0, "connections ended without GOING_AWAY");
    assert!(moves.resumed.load(Relaxed) >= 6, "{}", moves.resumed.load(Relaxed));
}

#[test]
fn a_node_that_dies_between_commit_and_publish_leaves_nothing_stuck() {
    const READERS: usize = 8;
    let mut cluster = Nodes::start(2, &[]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    let (mut ann, _) = Client::join(one, "ann");
    // Nobody writes in these conversations afterwards: no later message shows that one is missing.
    let mut readers: Vec<_> = (0..READERS).map(|n| Client::join(two, &format!("reader {n}"))).collect();
    for (number, (_, account)) in readers.iter().enumerate() {
        ann.send(Target::User(account.id), &format!("first {number}"));
    }
    let conversations: Vec<_> = readers.iter_mut().map(|(reader, _)| reader.message().conversation).collect();
    for number in 0..4_000 {
        let target = Target::User(readers[number % READERS].1.id);
        ann.post(&text(target, &number.to_string(), Some(&number.to_string()))).unwrap();
    }
    // Some are acknowledged, most are not, and some of those are in the database all the same.
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
            // What was on its way to the database is there once the others have noticed.
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
            assert!(died.elapsed() < NOTICED_WITHIN, "{} of {all} after {:?}", next - 1, died.elapsed());
        }
    }
}

#[test]
fn a_frozen_node_holds_up_nobody_and_thaws_to_find_its_sessions_elsewhere() {
    let database = MariaDb::shared();
    let proxy = Proxy::before(database.port);
    let cluster = Nodes::over(&database.url_at(proxy.port, &database.new_name()), 3, &[]);
    let crowd = Crowd::gather(&cluster.doors, 3);
    let (mut ghost, account) = Client::join(cluster.nodes[2].address, "ghost");
    let (mut bob, bob_account) = Client::join(cluster.nodes[0].address, "bob");
    let (mut eve, _) = Client::join(cluster.nodes[1].address, "eve");
    ghost.send(Target::User(bob_account.id), "alive");
    let conversation = ghost.create_group("of both");
    assert_eq!(eve.ask(&Command::Group(group::Request::Join(group::Join { conversation }))), Reply::Done);
    let group = Target::Conversation(conversation);
    crowd.chat_through(|promised| {
        for round in 0..2 {
            promised.wait_for(promised.count() + 100 + round * 37);
            // It has written everything but its COMMIT, and holds the locks.
            proxy.arm(Cut::Silence, HELD);
            ghost.post(&text(group.clone(), HELD, None)).unwrap();
            proxy.wait_until_cut();
            cluster.nodes[2].signal(Signal::STOP);
            let frozen = Instant::now();
            let by_eve = text(group.clone(), "by eve", Some(&round.to_string()));
            let sent = until_available(&mut eve, &by_eve).unwrap();
            assert_eq!(errno(&sent), Errno::Ok, "{sent:?}");
            let held_up = frozen.elapsed();
            assert!(held_up < FROZEN_HOLDS_UP, "others waited for {held_up:?}");
            let mut moved = Client::login_to(cluster.nodes[0].address, &account);
            let dead = ghost.post(&text(Target::User(bob_account.id), "from the dead", None));
            moved.send(Target::User(bob_account.id), &format!("moved {round}"));
            promised.wait_for(promised.count() + 300);
            cluster.nodes[2].signal(Signal::CONT);
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
    assert!(timeline.iter().all(|message| &*message.content == "by eve"), "{timeline:?}");
}

#[test]
fn a_node_that_stands_still_while_it_says_that_it_lives_holds_up_nobody() {
    let database = MariaDb::shared();
    let name = database.new_name();
    let cluster = Nodes::over(&database.url(&name), 1, &[]);
    let address = cluster.nodes[0].address;
    let (_, account) = Client::join(address, "ann");
    let row = format!("INSERT INTO {name}.node (name, seen_at) VALUES ('n2', UNIX_TIMESTAMP() * 1000)");
    let _frozen = told(database, &["START TRANSACTION", &row]);
    // This node says the same meanwhile, on the connection that also writes logins.
    let begun = Instant::now();
    while begun.elapsed() < SAYS_THAT_IT_LIVES + Duration::from_secs(2) {
        let login = Instant::now();
        drop(Client::login_to(address, &account));
        assert!(login.elapsed() < Duration::from_secs(1), "a login waited for {:?}", login.elapsed());
    }
}

#[test]
fn the_database_of_two_nodes_is_killed_and_comes_back() {
    let mut database = MariaDb::start(&[]);
    let cluster = Nodes::over(&database.url("chat"), 2, &[]);
    // One at each node, who stay connected.
    let mut witnesses =
        [0, 1].map(|at: usize| Client::join(cluster.nodes[at].address, &format!("witness {at}")).0);
    let conversation = witnesses[0].create_group("witnesses");
    assert_eq!(
        witnesses[1].ask(&Command::Group(group::Request::Join(group::Join { conversation }))),
        Reply::Done
    );
    let group = Target::Conversation(conversation);
    let moves = Crowd::gather(&cluster.doors, 2).chat_through(|promised| {
        for round in 0..2 {
            promised.wait_for(promised.count() + 200 + round * 37);
            database.kill9();
            for (number, client) in witnesses.iter_mut().enumerate() {
                let begun = Instant::now();
                let reply = client.ask(&text(group.clone(), "dark", Some(&format!("{round} of {number}"))));
                assert_eq!(errno(&reply), Errno::Unavailable);
                assert!(begun.elapsed() < ANSWERS_WITHIN, "{:?}", begun.elapsed());
            }
            database.restart();
            let back = Instant::now();
            for (number, client) in witnesses.iter_mut().enumerate() {
                let again = text(group.clone(), "dark", Some(&format!("{round} of {number}")));
                assert_eq!(errno(&until_available(client, &again).unwrap()), Errno::Ok);
                assert!(back.elapsed() < RESUMES_WITHIN, "work went on after {:?}", back.elapsed());
            }
            promised.wait_for(promised.count() + 300);
        }
    });
    assert_eq!(witnesses[0].history(conversation, Seq(0)).len(), 2 * 2, "each once");
    assert_eq!(moves.resumed.load(Relaxed), 0, "clients stay connected");
}
