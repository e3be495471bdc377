//! Several nodes over one database, joined by Redis, act as one server; losing Redis or a node costs
//! only time.

use crate::cluster_faults::{arrives_without_redis_within, recovers_within};
use crate::database::stream_between;
use crate::support::busy::slack;
use crate::support::client::{errno, text};
use crate::support::effort::effort;
use crate::support::legacy_client::{Answers, LegacyClient};
use crate::support::nodes::Nodes;
use crate::support::setup::until_available;
use crate::support::{Account, Client, Event, PATIENCE};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use wire::presence::Presence;
use wire::{Command, Errno, Push, Reply, Target, UserId};
use wire::{message, presence, session};

fn presence(client: &mut Client, friend: UserId) -> Presence {
    client.push(PATIENCE, |push| match push {
        Push::Presence(presence::Push::Changed(change)) if change.id == friend => Some(change.state),
        _ => None,
    })
}

#[test]
fn users_of_two_nodes_chat_and_see_each_other_online() {
    let cluster = Nodes::start(2, &["--set", "session.grace=1"]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    chat_between(one, two);
}

/// Users of two nodes chat with each other, alone and in a group, and see each other's state. The grace period is at most
/// a second.
pub fn chat_between(one: SocketAddr, two: SocketAddr) {
    let (mut ann, ann_account) = Client::join(one, "ann");
    let (mut bob, bob_account) = Client::join(two, "bob");
    ann.befriend(bob_account.id);
    assert_eq!(presence(&mut ann, bob_account.id), Presence::Online);
    assert_eq!(presence(&mut bob, ann_account.id), Presence::Online);
    for n in 0..50 {
        let begun = Instant::now();
        let sent = ann.send(Target::User(bob_account.id), &format!("to bob {n}"));
        assert_eq!(bob.message().seq, sent.seq);
        let sent = bob.send(Target::User(ann_account.id), &format!("to ann {n}"));
        assert_eq!(ann.message().seq, sent.seq);
        assert!(n == 0 || begun.elapsed() < slack(Duration::from_secs(2)), "it is not the bus that delivers");
    }
    // A group that is made on one node and joined on the other.
    let group = ann.create_group("climbing");
    bob.join_group(group);
    let (mut cleo, _) = Client::join(one, "cleo");
    cleo.join_group(group);
    for (n, content) in (0..20).map(|n| (n, format!("to all {n}"))) {
        let sender = if n % 2 == 0 { &mut ann } else { &mut bob };
        sender.send(Target::Conversation(group), &content);
        let others = if n % 2 == 0 { [&mut bob, &mut cleo] } else { [&mut ann, &mut cleo] };
        for other in others {
            assert_eq!(*other.message().content, *content);
        }
    }
    // Listings show presence on other nodes, too. Bob goes offline after his grace period, not before.
    let (mut dan, dan_account) = Client::join(one, "dan");
    dan.befriend(bob_account.id);
    assert_eq!(presence(&mut dan, bob_account.id), Presence::Online);
    drop(dan);
    let listed = Client::connect(two).login(&dan_account).friends;
    assert_eq!(listed[0].state, Presence::Online);
    drop(bob);
    assert_eq!(presence(&mut ann, bob_account.id), Presence::Offline);
}

#[test]
fn a_login_on_another_node_ends_the_first_session_at_once() {
    let cluster = Nodes::start(2, &[]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    let (mut first, account) = Client::join(one, "ann");
    let (mut bob, bob_account) = Client::join(one, "bob");
    for round in 0..10 {
        let there = if round % 2 == 0 { two } else { one };
        let begun = Instant::now();
        let mut second = Client::connect(there);
        let reply = second.login(&account);
        assert!(reply.resumed, "it is the session of the same token");
        // The first session's requests are refused from now on, if they are answered at all.
        if let Ok(request) = first.post(&text(Target::User(bob_account.id), "from the dead", None)) {
            while let Ok(Some(event)) = first.event(PATIENCE) {
                if let Event::Reply(number, reply) = event
                    && number == request
                {
                    assert_ne!(errno(&reply), Errno::Ok, "an older session has written");
                }
            }
        } else {
            first.wait_closed(PATIENCE);
        }
        assert!(begun.elapsed() < slack(Duration::from_secs(5)), "the kick took {:?}", begun.elapsed());
        second.send(Target::User(bob_account.id), &format!("round {round}"));
        assert_eq!(*bob.message().content, *format!("round {round}"));
        first = second;
    }
}

#[test]
fn concurrent_logins_of_one_account_leave_one_session() {
    const RACERS: usize = 8;
    let rounds = effort(80, 260);
    let cluster = Nodes::start(2, &[]);
    let addresses = [0, 1].map(|at: usize| cluster.nodes[at].address);
    thread::scope(|scope| {
        for racer in 0..RACERS {
            scope.spawn(move || race(addresses, &format!("racer {racer}"), rounds));
        }
    });
}

/// Logs one account in twice at the same time, over and over.
fn race(addresses: [SocketAddr; 2], name: &str, rounds: usize) {
    let (racer, account) = Client::join(addresses[0], name);
    let bob = Client::connect(addresses[1]).register(&format!("bob of {name}"));
    drop(racer);
    let mut undecided = 0;
    for round in 0..rounds {
        // Each login is answered, or its connection is ended by the other.
        let posted = addresses.map(|address| {
            let mut client = Client::connect(address);
            let request = client.post(&Client::by_token(&account)).unwrap();
            (client, request)
        });
        let mut is_late = false;
        let mut both = posted.map(|(mut client, request)| {
            let reply = client.try_reply(request);
            is_late |= reply.is_ok_and(|reply| errno(&reply) == Errno::Unavailable);
            client
        });
        // On a loaded machine the database may not answer one of them in time: this round decides nothing.
        if is_late {
            undecided += 1;
            continue;
        }
        let mut writers = |content: &str| {
            let to_bob = text(Target::User(bob.id), &format!("{content} {round}"), None);
            let mut stored = |client: &mut Client| {
                matches!(until_available(client, &to_bob), Ok(Reply::Message(message::Reply::Sent(_))))
            };
            both.iter_mut().map(&mut stored).filter(|&stored| stored).count()
        };
        assert!(writers("one") >= 1, "round {round}: nobody is logged in");
        // The first writer may have been ended since. Now exactly one session is left, and it alone can write.
        assert_eq!(writers("again"), 1, "round {round}");
    }
    assert!(undecided < rounds / 4, "{undecided} of {rounds} rounds decide nothing");
}

#[test]
fn legacy_clients_see_who_is_online_on_another_node() {
    let cluster = Nodes::start(2, &[]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    let (mut ann, _) = Client::join(two, "ann");
    let group = ann.create_group("climbing");
    let (mut bob, _) = Client::join(one, "bob");
    bob.join_group(group);
    assert_eq!(bob.ask_again(&Command::Session(session::Request::Logout)), Reply::Done);
    let mut legacy = LegacyClient::connect(one, Answers::InThread);
    let id = legacy.register("zhang san").unwrap();
    legacy.login(id).unwrap();
    legacy.add_group(i64::from(group.0));
    ann.wait_for_member(group, UserId(id as u32));
    legacy.group_chat(i64::from(group.0), "joined");
    assert_eq!(&*ann.message().content, "joined");
    legacy.logout();
    let home = legacy.login(id).unwrap();
    let states: Vec<_> = home.groups[0].users.iter().map(|(_, name, state, _)| (&**name, &**state)).collect();
    assert_eq!(states, [("ann", "online"), ("bob", "offline"), ("zhang san", "online")]);
}

#[test]
fn messages_survive_redis_being_killed_flushed_and_frozen() {
    let mut cluster = Nodes::start(2, &[]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    stream_between(one, two, |promised| {
        promised.wait_for(promised.count() + 100);
        cluster.redis.kill9();
        promised.wait_for(promised.count() + 200);
        cluster.redis.restart();
        promised.wait_for(promised.count() + 200);
        cluster.redis.command("FLUSHALL");
        promised.wait_for(promised.count() + 200);
        cluster.redis.freeze();
        promised.wait_for(promised.count() + 200);
        cluster.redis.thaw();
        cluster.redis.command("CLIENT KILL TYPE pubsub");
        promised.wait_for(promised.count() + 200);
    });
}

#[test]
fn without_redis_messages_arrive_by_database_polling() {
    let mut cluster = Nodes::start(2, &[]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    let (mut ann, _) = Client::join(one, "ann");
    let (mut bob, bob_account) = Client::join(two, "bob");
    ann.send(Target::User(bob_account.id), "before");
    assert_eq!(&*bob.message().content, "before");
    cluster.redis.kill9();
    for n in 0..5 {
        let sent = ann.send(Target::User(bob_account.id), &format!("dark {n}"));
        let begun = Instant::now();
        assert_eq!(bob.message().seq, sent.seq);
        assert!(begun.elapsed() < arrives_without_redis_within(), "{:?}", begun.elapsed());
    }
    // Logins still work, and end older sessions.
    let (mut cleo, cleo_account) = Client::join(one, "cleo");
    let begun = Instant::now();
    Client::login_to(two, &cleo_account);
    cleo.wait_closed(PATIENCE);
    assert!(
        begun.elapsed() < arrives_without_redis_within(),
        "the older session ended after {:?}",
        begun.elapsed()
    );
    cluster.redis.restart();
    cluster.wait_for_all();
    let quick = |ann: &mut Client, bob: &mut Client, n: u32| {
        let sent = ann.send(Target::User(bob_account.id), &format!("light {n}"));
        let begun = Instant::now();
        assert_eq!(bob.message().seq, sent.seq);
        begun.elapsed() < slack(Duration::from_millis(300))
    };
    let back = Instant::now();
    let mut n = 0;
    while !quick(&mut ann, &mut bob, n) {
        assert!(back.elapsed() < recovers_within(), "it does not return to normal");
        n += 1;
    }
}

#[test]
fn messages_of_a_node_that_cannot_publish_are_found_in_the_database() {
    const UNHEARD: Duration = Duration::from_secs(17);
    let cluster = Nodes::start(2, &[]);
    let [one, two] = [0, 1].map(|at: usize| cluster.nodes[at].address);
    let (mut ann, _) = Client::join(one, "ann");
    let (mut bob, bob_account) = Client::join(two, "bob");
    ann.send(Target::User(bob_account.id), "before");
    assert_eq!(&*bob.message().content, "before");
    // Publishing connections are closed and cannot reconnect; subscriptions stay.
    let answers = cluster.redis.commands(["CONFIG SET maxclients 2", "CLIENT KILL TYPE normal"]);
    assert_eq!(answers, ["+OK", ":2"], "the commanders of both");
    // Long enough for the leases of both nodes to end.
    let cut_off = Instant::now();
    while cut_off.elapsed() < UNHEARD {
        let sent = ann.send(Target::User(bob_account.id), "unheard");
        let begun = Instant::now();
        assert_eq!(bob.message().seq, sent.seq);
        assert!(begun.elapsed() < arrives_without_redis_within(), "{:?}", begun.elapsed());
    }
    assert!(
        !cluster.nodes.iter().any(|node| node.stderr().contains("the Redis subscriber is not connected")),
        "they hear it"
    );
}

#[test]
fn clients_of_a_killed_or_draining_node_move_to_another_node() {
    let mut cluster = Nodes::start(3, &[]);
    let addresses: Vec<_> = cluster.nodes.iter().map(|node| node.address).collect();
    let (mut ann, ann_account) = Client::join(addresses[0], "ann");
    let (mut bob, bob_account) = Client::join(addresses[1], "bob");
    ann.befriend(bob_account.id);
    assert_eq!(presence(&mut ann, bob_account.id), Presence::Online);
    ann.take_pushes();
    // Drained: the client is told where to go, and resumes there.
    cluster.nodes[1].signal(Signal::TERM);
    let node = bob.push(PATIENCE, |push| match push {
        Push::Session(session::Push::GoingAway(away)) => Some(away.node.clone()),
        _ => None,
    });
    assert!(node.is_some_and(|node| *node != *addresses[1].to_string()));
    let mut bob = Client::connect(addresses[2]);
    assert!(bob.login(&bob_account).resumed);
    assert!(cluster.nodes[1].wait(PATIENCE).success());
    bob.send(Target::User(ann_account.id), "from the third");
    assert_eq!(&*ann.message().content, "from the third");
    // Killed: the client resumes, and no friend sees it go offline.
    cluster.nodes[2].kill9();
    let mut bob = Client::connect(addresses[0]);
    let account = Account { ..bob_account };
    assert!(bob.login(&account).resumed);
    ann.send(Target::User(account.id), "still here");
    // His own messages may come first, where his own cursor was not stored yet.
    while &*bob.message().content != "still here" {}
    let seen = ann.take_pushes();
    assert!(!seen.iter().any(|push| matches!(push, Push::Presence(presence::Push::Changed(_)))), "{seen:?}");
}
