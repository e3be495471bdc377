//! Budgets: requests a second, and reads that wait.

use crate::ack;
use crate::harness::{Harness, Seen, errno, rules};
use logic::contract::{Lane, Read, Requester, timeline as timeline_read};
use logic::limits::ANSWER_MS;
use logic::{ConnId, Input, Network, Rules};
use std::net::IpAddr;
use wire::limits::UNACKED_MAX;
use wire::{Command, ConversationId, Dialect, Errno, Refusal, Reply, Seq, Target, UserId};
use wire::{account, group, timeline};

const PROFILE: Command = Command::Account(account::Request::Profile(None));

fn create_group(name: &str) -> Command {
    Command::Group(group::Request::Create(group::Create { name: name.into(), desc: "".into() }))
}

fn refusal(reply: Reply) -> Refusal {
    match reply {
        Reply::Refused(refusal) => *refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn requests_above_the_budget_are_refused_until_it_allows_them() {
    let mut t = Harness::new(Rules { requests_per_second: 10, ..rules() }, &["alice", "bob"]);
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    for _ in 0..100 {
        assert_eq!(errno(&t.get(alice, PROFILE)), Errno::Ok);
    }
    let refused = refusal(t.get(alice, PROFILE));
    assert_eq!((refused.errno, refused.retry_after_ms), (Errno::RateLimited, Some(100)));
    assert_eq!(refused.limit.as_deref(), Some("limits.requests_per_second"));
    assert_eq!(
        refusal(t.get(alice, create_group("x"))).retry_after_ms,
        Some(500),
        "it costs five times as much"
    );
    assert_eq!(errno(&t.get(bob, PROFILE)), Errno::Ok, "each account has its own");
    t.advance(100);
    assert_eq!(errno(&t.get(alice, PROFILE)), Errno::Ok, "whoever waits as long as told is served");
    // A receipt with number 0 is dropped without a reply; reconnecting does not fill the bucket.
    let cursor = timeline::Cursor { conversation: ConversationId(1), seq: Seq(1) };
    t.take(alice);
    for _ in 0..10 {
        let command = Command::Timeline(timeline::Request::Ack(cursor));
        t.input(Input::Request { conn: alice, request: 0, command });
    }
    t.settle();
    assert_eq!(t.take(alice), []);
    t.input(Input::Closed { conn: alice });
    let alice = t.login("alice");
    assert_eq!(errno(&t.get(alice, PROFILE)), Errno::RateLimited);
}

#[test]
fn before_login_the_requests_of_a_network_count_together() {
    let mut t = Harness::new(Rules { requests_per_second: 1, ..rules() }, &["alice"]);
    let nodes = Command::Node(wire::node::Request::Nodes);
    let (one, other) = (t.open(), t.open());
    for _ in 0..5 {
        assert_eq!(errno(&t.get(one, nodes.clone())), Errno::Ok);
        assert_eq!(errno(&t.get(other, nodes.clone())), Errno::Ok);
    }
    assert_eq!(errno(&t.get(one, nodes.clone())), Errno::RateLimited);
    assert_eq!(errno(&t.get(other, nodes)), Errno::RateLimited);
    t.advance(100);
    t.login("alice");
}

/// Alice with a legacy client that has a budget of one request a second, and Bob.
fn legacy_alice_and_bob() -> (Harness, ConnId, ConnId) {
    let mut t = Harness::new(Rules { requests_per_second: 1, ..rules() }, &["alice", "bob"]);
    let bob = t.login("bob");
    let alice = t.open_as(Dialect::Legacy);
    t.input(Input::Request { conn: alice, request: 0, command: Harness::login_command("alice") });
    t.settle();
    t.take(bob);
    (t, alice, bob)
}

#[test]
fn a_legacy_client_above_the_budget_is_slowed_down_and_loses_nothing() {
    let (mut t, alice, bob) = legacy_alice_and_bob();
    let ask = |t: &mut Harness, command| {
        t.input(Input::Request { conn: alice, request: 0, command });
    };
    // The second group is above the budget. What follows waits behind it, though a message would cost less.
    for n in 0..4 {
        ask(&mut t, create_group(&n.to_string()));
        ask(&mut t, Harness::text(Target::User(UserId(2)), &n.to_string()));
    }
    assert_eq!(t.writes.len(), 2);
    t.settle();
    assert_eq!(t.texts(bob), ["0"]);
    let mut seen = Vec::new();
    for _ in 0..200 {
        t.advance(100);
        t.settle();
        seen.extend(t.texts(bob));
    }
    assert_eq!(seen, ["1", "2", "3"]);
    let answered = t.take(alice).into_iter().filter(|seen| matches!(seen, Seen::Reply(0, _))).count();
    assert_eq!(answered, 9, "the login, four groups and four messages are answered once each");
}

#[test]
fn deferred_messages_are_stored_before_the_server_stops() {
    let (mut t, alice, bob) = legacy_alice_and_bob();
    for command in [create_group("1"), create_group("2"), create_group("3")] {
        t.input(Input::Request { conn: alice, request: 0, command });
    }
    let text = Harness::text(Target::User(UserId(2)), "last");
    t.input(Input::Request { conn: alice, request: 0, command: text });
    assert!(!t.logic.is_settled());
    t.logic.drain(t.now, &mut t.effects);
    t.advance(1);
    t.settle();
    assert_eq!(t.texts(bob), ["last"]);
}

#[test]
fn an_account_has_a_bounded_number_of_reads_waiting() {
    let mut t = Harness::new(Rules { reads_waiting: 3, ..rules() }, &["alice", "bob"]);
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    let waiting: Vec<u32> = (0..3).map(|_| t.ask(alice, PROFILE)).collect();
    let refused = t.ask(alice, PROFILE);
    let refused = refusal(t.reply(alice, refused).expect("it is refused at once"));
    assert_eq!((refused.errno, refused.limit.as_deref()), (Errno::Busy, Some("limits.reads_waiting")));
    assert!(refused.retry_after_ms.is_some());
    // Receipts that would have to be read are dropped as well.
    let cursor = timeline::Cursor { conversation: ConversationId(1), seq: Seq(1) };
    let reads = t.reads.len();
    let command = Command::Timeline(timeline::Request::Ack(cursor));
    t.input(Input::Request { conn: alice, request: 0, command });
    assert_eq!(t.reads.len(), reads);
    let of_bob = t.ask(bob, PROFILE);
    t.settle();
    for request in waiting {
        assert_eq!(errno(&t.reply(alice, request).expect("it was waiting")), Errno::Ok);
    }
    assert_eq!(errno(&t.reply(bob, of_bob).expect("another account's")), Errno::Ok);
    assert_eq!(errno(&t.get(alice, PROFILE)), Errno::Ok);
}

#[test]
fn reads_are_issued_on_behalf_of_whoever_needs_them() {
    let mut t = Harness::new(rules(), &["alice", "bob"]);
    let alice = t.login("alice");
    let network = Requester::Network(Network::of(IpAddr::from([127, 0, 0, 1])));
    let due = |t: &Harness| Some(t.now.monotonic + ANSWER_MS);
    let of_alice = Requester::Account(UserId(1));
    let login = [(Lane::Login, network, due(&t)), (Lane::Login, of_alice, due(&t))];
    assert_eq!(std::mem::take(&mut t.issued), login, "the account, then what the reply holds");
    t.get(alice, PROFILE);
    assert_eq!(std::mem::take(&mut t.issued), [(Lane::Request, of_alice, due(&t))]);
    t.get(alice, Harness::text(Target::User(UserId(2)), "hi"));
    let bob = t.login("bob");
    let of_bob = Requester::Account(UserId(2));
    let missed = (Lane::Login, of_bob, None);
    assert_eq!(t.issued.last(), Some(&missed), "a missed message, which is wanted whenever it comes");
    // Once bob has all of it, what he cannot take at once belongs to delivery.
    t.input(ack(bob, 1));
    for _ in 0..=UNACKED_MAX {
        t.get(alice, Harness::text(Target::User(UserId(2)), "hi"));
    }
    t.input(ack(bob, 2));
    assert_eq!(t.issued.last(), Some(&(Lane::System, of_bob, None)));
}

#[test]
fn what_a_session_has_missed_is_not_read_after_it_has_gone() {
    let mut t = Harness::new(rules(), &["alice", "bob"]);
    let alice = t.login("alice");
    t.get(alice, Harness::text(Target::User(UserId(2)), "hi"));
    let of_bob = Requester::Account(UserId(2));
    for is_sought in [
        |read: &Read| matches!(read, Read::Session(_)),
        |read: &Read| matches!(read, Read::Timeline(timeline_read::Read::Feed { .. })),
    ] {
        let bob = t.open();
        t.ask(bob, Harness::login_command("bob"));
        t.step_until(is_sought);
        let (ticket, _) = *t.reads.back().expect("there is one");
        t.input(Input::Closed { conn: bob });
        assert_eq!(std::mem::take(&mut t.unwanted), [(of_bob, ticket)]);
        t.settle();
        assert_eq!(t.unwanted, []);
    }
    // Nothing waits for it.
    let bob = t.login("bob");
    t.input(Input::Closed { conn: bob });
    assert_eq!(t.unwanted, []);
}
