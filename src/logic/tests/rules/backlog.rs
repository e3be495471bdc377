//! The legacy backlog: messages that cannot be stored now are kept and retried.

use super::harness::{Harness, Seen, errno, rules};
use super::{ALICE_BOB, TO_BOB, ack, harness, texts};
use logic::contract;
use logic::limits::{BACKLOG_MS, TICK_MS};
use logic::{Input, Rules, Write};
use wire::message;
use wire::{Errno, Reply, Target, UserId};

#[test]
fn failed_appends_are_retried_in_order_and_stored_once() {
    let mut t = harness();
    let (alice, _) = t.welcome("alice");
    let bob = t.login("bob");
    t.take(bob);
    for content in texts(1..=3) {
        t.ask_legacy(alice, Harness::text(TO_BOB, &content));
    }
    // The first append failed and the second is not answered yet: nothing is sent, not even a new message.
    t.is_away = true;
    assert!(t.store_one());
    t.is_away = false;
    t.ask_legacy(alice, Harness::text(TO_BOB, "4"));
    t.advance(200);
    assert_eq!(t.writes.len(), 2, "only the second and the third are with storage");
    t.is_away = true;
    t.settle();
    t.is_away = false;
    assert!(t.take(alice).is_empty(), "only stored messages are answered");
    t.advance(200);
    t.settle();
    assert_eq!(t.texts(bob), texts(1..=4));
    let told = t.take(alice);
    let is_sent = |seen: &Seen| matches!(seen, Seen::Reply(0, Reply::Message(message::Reply::Sent(sent))) if !sent.duplicate);
    assert!(told.len() == 4 && told.iter().all(is_sent), "{told:?}");
}

#[test]
fn each_round_of_retries_is_a_stream_of_its_own() {
    let mut t = harness();
    let (alice, _) = t.welcome("alice");
    let streams = |t: &Harness| -> Vec<_> {
        let stream = |write: &Write| match write {
            Write::Message(contract::message::Write::Append(append)) => append.stream.expect("a stream"),
            other => panic!("{other:?}"),
        };
        t.writes.iter().map(|(_, write)| stream(write)).collect()
    };
    for content in texts(1..=3) {
        t.ask_legacy(alice, Harness::text(TO_BOB, &content));
    }
    let first = streams(&t);
    assert!(first.iter().all(|stream| *stream == first[0]), "{first:?}");
    t.is_away = true;
    t.settle();
    t.is_away = false;
    t.advance(200);
    let again = streams(&t);
    assert!(again.len() == 3 && again.iter().all(|stream| *stream == again[0]), "{again:?}");
    assert!(again[0] > first[0], "they are sent again in order, in a later stream");
    // Each connection has streams of its own.
    let (bob, _) = t.welcome("bob");
    t.ask_legacy(bob, Harness::text(Target::User(UserId(1)), "x"));
    let bobs = *streams(&t).last().expect("it was sent");
    assert!(bobs > again[0]);
    // A stream ends when nothing of it is with storage, so storage only needs to remember recent ones.
    t.settle();
    t.ask_legacy(alice, Harness::text(TO_BOB, "4"));
    assert!(streams(&t)[0] > bobs, "{:?}", streams(&t));
}

#[test]
fn a_client_that_sends_too_fast_is_slowed_down() {
    let mut t = Harness::new(Rules { messages_per_second: 1, ..rules() }, &["alice", "bob"]);
    let (alice, _) = t.welcome("alice");
    let bob = t.login("bob");
    t.take(bob);
    for content in texts(1..=15) {
        t.ask_legacy(alice, Harness::text(TO_BOB, &content));
    }
    t.settle();
    assert_eq!(t.texts(bob), texts(1..=10));
    for n in 11..=15 {
        t.advance(1_100);
        t.settle();
        assert_eq!(t.texts(bob), [n.to_string()]);
    }
}

#[test]
fn messages_that_can_never_be_stored_are_dropped() {
    let mut t = harness();
    let (alice, _) = t.welcome("alice");
    let bob = t.login("bob");
    t.take(bob);
    let group = t.group(&[2, 3]);
    for (target, content) in [
        (Target::Group(group), "to a group of others"),
        (Target::User(UserId(77)), "to nobody"),
        (TO_BOB, "to bob"),
    ] {
        t.ask_legacy(alice, Harness::text(target, content));
    }
    t.settle();
    let replies = t.take(alice).into_iter().map(|seen| match seen {
        Seen::Reply(0, reply) => errno(&reply),
        other => panic!("{other:?}"),
    });
    assert_eq!(replies.collect::<Vec<_>>(), [Errno::Forbidden, Errno::NotFound, Errno::Ok]);
    assert_eq!(t.texts(bob), ["to bob"]);
}

#[test]
fn the_connection_closes_after_a_minute_without_storage() {
    let sends = |t: &mut Harness| {
        let (alice, _) = t.welcome("alice");
        t.ask_legacy(alice, Harness::text(TO_BOB, "1"));
        alice
    };
    // Each append fails.
    let mut t = harness();
    let alice = sends(&mut t);
    t.is_away = true;
    for _ in 0..BACKLOG_MS / 100 - 1 {
        t.settle();
        t.advance(100);
        assert!(t.take(alice).is_empty());
    }
    t.settle();
    t.advance(200);
    assert_eq!(t.take(alice), [Seen::Close]);

    // Storage does not answer. A message that is stored later is delivered all the same.
    let mut t = harness();
    let bob = t.login("bob");
    t.take(bob);
    let alice = sends(&mut t);
    t.advance(BACKLOG_MS - 100);
    assert!(t.take(alice).is_empty());
    t.advance(200);
    assert_eq!(t.take(alice), [Seen::Close]);
    t.input(Input::Closed { conn: alice });
    t.settle();
    assert_eq!(t.texts(bob), ["1"]);
    assert_eq!(t.conversations[ALICE_BOB.0 as usize - 1].messages.len(), 1);
}

#[test]
fn a_backlog_is_stored_before_the_server_stops() {
    let mut t = Harness::new(Rules { messages_per_second: 1, ..rules() }, &["alice", "bob", "carol"]);
    let (alice, _) = t.welcome("alice");
    let (bob, _) = t.welcome("bob");
    for content in texts(1..=50) {
        t.ask_legacy(alice, Harness::text(TO_BOB, &content));
    }
    t.settle();
    let mut told = t.texts(bob);
    assert!(told.len() < 50, "the rate allows only a burst");
    t.logic.drain(t.now, &mut t.effects);
    assert!(!t.logic.is_settled(), "the server waits for the backlog");
    // A new message is refused.
    t.ask_legacy(alice, Harness::text(TO_BOB, "51"));
    t.input(ack(bob, told.len() as u64));
    t.settle();
    while told.len() < 50 {
        let more = t.texts(bob);
        assert!(!more.is_empty(), "{told:?}");
        told.extend(more);
        t.input(ack(bob, told.len() as u64));
        t.settle();
    }
    assert_eq!(told, texts(1..=50));
    assert_eq!(t.texts(bob), [""; 0]);
    while !t.logic.is_settled() {
        t.advance(TICK_MS);
        t.settle();
    }
}
