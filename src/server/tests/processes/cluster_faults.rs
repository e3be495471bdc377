//! Nodes that are killed, drained and frozen under load, and their database: nothing is lost, doubled, reordered or made
//! up, and nobody waits for a node that is gone.

use crate::support::client::{errno, text};
use crate::support::crowd::Crowd;
use crate::support::ledger::until_available;
use crate::support::nodes::Nodes;
use crate::support::{Client, Event, MariaDb, PATIENCE};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use wire::{Command, Errno, Push, Reply, Seq, Target};

/// How long a node may take from SIGTERM to its end.
const DRAINS_WITHIN: Duration = Duration::from_secs(10);
/// How long a frozen node may hold up a conversation, and what a machine that does much else adds.
const FROZEN_HOLDS_UP: Duration = Duration::from_millis(4_000 + 1_500);
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
        if let Some(Event::Reply(_, Reply::Sent(_))) = ann.event(PATIENCE).unwrap() {
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
                Push::Message(message) => Some(Arc::clone(message)),
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
    let cluster = Nodes::start(3, &[]);
    let crowd = Crowd::gather(&cluster.doors, 3);
    let (mut ghost, account) = Client::join(cluster.nodes[2].address, "ghost");
    let (mut bob, bob_account) = Client::join(cluster.nodes[0].address, "bob");
    let (mut eve, _) = Client::join(cluster.nodes[1].address, "eve");
    ghost.send(Target::User(bob_account.id), "alive");
    let conversation = ghost.create_group("of both");
    assert_eq!(eve.ask(&Command::JoinGroup { conversation }), Reply::Done);
    let group = Target::Conversation(conversation);
    crowd.chat_through(|promised| {
        for round in 0..2 {
            promised.wait_for(promised.count() + 100 + round * 37);
            for number in 0..500 {
                ghost.post(&text(group.clone(), &number.to_string(), None)).unwrap();
            }
            // In the middle of some of them.
            eve.message();
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
}

#[test]
fn the_database_of_two_nodes_is_killed_and_comes_back() {
    let mut database = MariaDb::start(&[]);
    let cluster = Nodes::over(&database.url("chat"), 2, &[]);
    let moves = Crowd::gather(&cluster.doors, 2).chat_through(|promised| {
        for round in 0..2 {
            promised.wait_for(promised.count() + 200 + round * 37);
            database.kill9();
            database.restart();
            promised.wait_for(promised.count() + 300);
        }
    });
    assert_eq!(moves.resumed.load(Relaxed), 0, "clients stay connected");
}
