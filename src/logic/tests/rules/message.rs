//! Messages: their order, delivery, receipts and cursors.

use super::harness::{Harness, Seen, errno, rules};
use super::{ALICE_BOB, TO_BOB, ack, harness, texts};
use logic::limits::{OUTPUT_HARD, OUTPUT_HARD_MIN, OUTPUT_SOFT};
use logic::{Input, Rules, Written};
use wire::limits::UNACKED_MAX;
use wire::timeline::Receipt;
use wire::{Command, ConversationId, Errno, Mentions, Push, References, Reply, Seq, Target, UserId};
use wire::{message, timeline};

#[test]
fn the_reply_comes_after_the_commit_and_before_the_delivery() {
    let mut t = harness();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.take(bob);
    let request = t.ask(alice, Harness::text(TO_BOB, "hello"));
    assert_eq!(t.reply(alice, request), None, "there is no reply before storage has answered");
    assert!(t.take(bob).is_empty());
    t.settle();
    assert!(
        matches!(t.reply(alice, request), Some(Reply::Message(message::Reply::Sent(sent))) if sent.seq == Seq(1) && !sent.duplicate)
    );
    assert_eq!(t.texts(bob), ["hello"]);
    assert!(t.texts(alice).is_empty(), "it is not pushed to the connection that sent it");
}

#[test]
fn a_message_carries_what_it_refers_to_unless_it_may_not() {
    let mut t = harness();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    let send = |reply_to: Option<u64>, mentions| {
        let references = Some(Box::new(References { reply_to: reply_to.map(Seq), mentions }));
        let send = message::Send { references, ..message::Send::text(TO_BOB, "see above") };
        Command::Message(message::Request::Send(send))
    };
    t.get(alice, Harness::text(TO_BOB, "lunch?"));
    t.take(bob);
    let bobs = || Mentions::Users([UserId(2)].into());
    assert_eq!(errno(&t.get(alice, send(Some(1), bobs()))), Errno::Ok);
    let seen = t.take(bob);
    let [Seen::Push(Push::Message(message::Push::New(pushed)))] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((pushed.reply_to(), pushed.mentions(UserId(2))), (Some(Seq(1)), true));
    for (command, expected) in [
        (send(Some(3), Mentions::Nobody), (Errno::NotFound, "reply_to")),
        (send(None, Mentions::Users([UserId(3)].into())), (Errno::BadRequest, "mentions")),
        (send(None, Mentions::All), (Errno::Forbidden, "mention_all")),
    ] {
        let Reply::Refused(refusal) = t.get(alice, command) else { panic!("it is refused") };
        assert_eq!((refusal.errno, refusal.field.as_deref()), (expected.0, Some(expected.1)));
    }
    assert!(t.take(bob).is_empty());
}

#[test]
fn a_session_that_does_not_acknowledge_is_fed_as_acks_come() {
    let mut t = harness();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    for n in 1..=1500 {
        t.get(alice, Harness::text(TO_BOB, &n.to_string()));
    }
    assert_eq!(t.texts(bob), texts(1..=500));
    assert_eq!(UNACKED_MAX, 500);
    t.input(ack(bob, 100));
    t.settle();
    assert_eq!(t.texts(bob), texts(501..=600));
    t.input(ack(bob, 600));
    t.settle();
    assert_eq!(t.texts(bob), texts(601..=1100));
    t.input(ack(bob, 1100));
    t.settle();
    t.get(alice, Harness::text(TO_BOB, "1501"));
    assert_eq!(t.texts(bob), texts(1101..=1501), "the session is live again");
}

#[test]
fn a_session_that_does_not_read_is_fed_as_output_drains() {
    for output_max in [OUTPUT_HARD, 0] {
        is_fed_as_output_drains(output_max);
    }
}

fn is_fed_as_output_drains(output_max: usize) {
    let mut t = harness();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.logic.set_session_output_max(output_max);
    let output_max = output_max.max(OUTPUT_HARD_MIN);
    t.stalled = true;
    let long = "x".repeat(16 << 10);
    let count = 3 * OUTPUT_HARD / long.len();
    for _ in 0..count {
        t.get(alice, Harness::text(TO_BOB, &long));
    }
    let seen = t.take(bob);
    let messages = |seen: &[Seen]| {
        seen.iter().filter(|s| matches!(s, Seen::Push(Push::Message(message::Push::New(_))))).count()
    };
    let mut got = messages(&seen);
    assert!(got * long.len() >= OUTPUT_SOFT && got * long.len() <= output_max + long.len());
    assert_eq!(seen.iter().filter(|s| **s == Seen::NotifyDrained).count(), 1);
    for _ in 0..count {
        t.input(Input::Drained { conn: bob });
        t.settle();
        got += messages(&t.take(bob));
    }
    assert_eq!(got, count);
}

#[test]
fn a_session_that_is_behind_does_not_get_its_own_messages() {
    let mut t = harness();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    for n in 1..=500 {
        t.get(alice, Harness::text(TO_BOB, &n.to_string()));
    }
    t.get(alice, Harness::text(TO_BOB, "501"));
    t.get(bob, Harness::text(Target::Conversation(ALICE_BOB), "own"));
    t.get(alice, Harness::text(TO_BOB, "503"));
    t.input(ack(bob, 500));
    t.settle();
    assert_eq!(t.texts(bob).last().unwrap(), "503");
    // Bob's next session gets them, because they are not acknowledged.
    t.input(Input::Closed { conn: bob });
    let bob = t.login("bob");
    t.settle();
    assert_eq!(t.texts(bob), ["501", "own", "503"]);
}

#[test]
fn a_session_does_not_wait_for_what_was_dropped() {
    let mut t = harness();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    for n in 1..=520 {
        t.get(alice, Harness::text(TO_BOB, &n.to_string()));
    }
    assert_eq!(t.texts(bob).len(), 500);
    // What bob lacks is dropped; all of it, so that nothing comes.
    t.conversations[ALICE_BOB.0 as usize - 1].joined.insert(UserId(2), Seq(520));
    t.input(ack(bob, 500));
    t.settle();
    assert_eq!(t.texts(bob), [""; 0]);
    t.get(alice, Harness::text(TO_BOB, "521"));
    assert_eq!(t.texts(bob), ["521"], "at once: bob is not behind any more");
}

#[test]
fn an_overdue_message_is_answered_with_its_cid_and_still_delivered() {
    let mut t = harness();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    let request = t.ask(alice, Harness::text(TO_BOB, "slow"));
    for _ in 0..19 {
        t.advance(100);
    }
    let Some(Reply::Refused(refusal)) = t.reply(alice, request) else { panic!("within 2 s") };
    assert_eq!(refusal.errno, Errno::Unavailable);
    assert!(refusal.cid.is_some(), "the client retries with it");
    t.settle();
    assert_eq!(t.texts(bob), ["slow"]);
    assert_eq!(t.texts(alice), [""; 0]);
}

#[test]
fn the_message_rate_is_per_account_and_ignores_duplicates() {
    let mut t = Harness::new(Rules { messages_per_second: 1, ..rules() }, &["alice", "bob"]);
    let alice = t.login("alice");
    let with_cid = |cid: &str| {
        let Command::Message(message::Request::Send(mut send)) = Harness::text(TO_BOB, "x") else {
            unreachable!()
        };
        send.cid = Some(cid.into());
        Command::Message(message::Request::Send(send))
    };
    for _ in 0..50 {
        t.get(alice, with_cid("same"));
    }
    for n in 0..9 {
        assert!(matches!(t.get(alice, with_cid(&n.to_string())), Reply::Message(message::Reply::Sent(_))));
    }
    let Reply::Refused(refusal) = t.get(alice, with_cid("new")) else { panic!("the burst is used up") };
    assert_eq!((refusal.errno, refusal.retry_after_ms), (Errno::RateLimited, Some(1000)));
    t.input(Input::Closed { conn: alice });
    let alice = t.login("alice");
    assert_eq!(
        errno(&t.get(alice, with_cid("new"))),
        Errno::RateLimited,
        "reconnecting does not fill the bucket"
    );
    t.advance(1000);
    assert!(matches!(t.get(alice, with_cid("new")), Reply::Message(message::Reply::Sent(_))));
}

#[test]
fn receipts_reach_the_peer_once_and_stop_at_the_end() {
    let mut t = harness();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.get(alice, Harness::text(TO_BOB, "1"));
    t.take(alice);
    t.input(ack(bob, 1));
    t.input(ack(bob, 1));
    let delivered = Push::Timeline(timeline::Push::Delivered(Receipt {
        conversation: ALICE_BOB,
        id: UserId(2),
        seq: Seq(1),
    }));
    assert_eq!(t.take(alice), [Seen::Push(delivered)]);
    let reply = t.get(
        bob,
        Command::Timeline(timeline::Request::Read(timeline::Cursor {
            conversation: ALICE_BOB,
            seq: Seq(77),
        })),
    );
    assert_eq!(reply, Reply::Done);
    let read = Push::Timeline(timeline::Push::ReadReceipt(Receipt {
        conversation: ALICE_BOB,
        id: UserId(2),
        seq: Seq(1),
    }));
    assert_eq!(t.take(alice), [Seen::Push(read)]);
    let carol = t.login("carol");
    let reply = t.get(
        carol,
        Command::Timeline(timeline::Request::Read(timeline::Cursor { conversation: ALICE_BOB, seq: Seq(1) })),
    );
    assert_eq!(errno(&reply), Errno::Forbidden);
    let reply = t.get(
        carol,
        Command::Timeline(timeline::Request::Ack(timeline::Cursor {
            conversation: ConversationId(99),
            seq: Seq(1),
        })),
    );
    assert_eq!(errno(&reply), Errno::Forbidden);
}

#[test]
fn cursors_are_written_each_second_and_correct_before() {
    let mut t = harness();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    for n in 1..=10 {
        t.get(alice, Harness::text(TO_BOB, &n.to_string()));
        t.input(ack(bob, n));
    }
    assert_eq!(t.conversations[0].cursors[&UserId(2)], (Seq(0), Seq(0)));
    t.input(Input::Closed { conn: bob });
    let bob = t.login("bob");
    assert!(t.texts(bob).is_empty(), "an acknowledged message is not pushed again");
    t.advance(1000);
    assert_eq!(t.writes.len(), 1);
    t.settle();
    assert_eq!(t.conversations[0].cursors[&UserId(2)], (Seq(10), Seq(0)));
    assert_eq!(t.conversations[0].cursors[&UserId(1)], (Seq(10), Seq(10)), "own messages count as read");
}

#[test]
fn confirmed_cursors_are_laid_over_reads_for_two_seconds() {
    // A lower cursor in storage may come from an older read, or from a write that was undone.
    for (seconds, missed) in [(1, 0), (2, 3)] {
        let mut t = harness();
        let (alice, bob) = (t.login("alice"), t.login("bob"));
        for n in 1..=3 {
            t.get(alice, Harness::text(TO_BOB, &n.to_string()));
            t.input(ack(bob, n));
        }
        t.advance(1_000);
        t.settle();
        t.input(Input::Closed { conn: bob });
        for _ in 0..seconds {
            t.advance(1_000);
        }
        t.conversations[0].cursors.insert(UserId(2), (Seq(0), Seq(0)));
        let bob = t.login("bob");
        assert_eq!(t.texts(bob).len(), missed, "after {seconds} s");
    }
}

#[test]
fn a_failed_write_of_cursors_is_retried() {
    let mut t = harness();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.get(alice, Harness::text(TO_BOB, "1"));
    t.input(ack(bob, 1));
    t.advance(1000);
    let (ticket, _) = t.writes.pop_front().unwrap();
    t.logic.handle_written(t.now, ticket, Written::Unavailable, &mut t.effects);
    t.get(alice, Harness::text(TO_BOB, "2"));
    t.input(ack(bob, 2));
    for _ in 0..3 {
        t.advance(1000);
        t.settle();
    }
    assert_eq!(t.conversations[0].cursors[&UserId(2)].0, Seq(2));
    assert!(t.logic.is_settled());
}

#[test]
fn a_group_message_reaches_all_online_members() {
    let mut t = harness();
    let group = t.group(&[1, 2, 3]);
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.get(alice, Harness::text(Target::Conversation(group), "all"));
    assert_eq!(t.texts(bob), ["all"]);
    let carol = t.login("carol");
    t.settle();
    assert_eq!(t.texts(carol), ["all"]);
}

#[test]
fn a_reply_for_a_closed_connection_is_dropped() {
    let mut t = harness();
    let alice = t.login("alice");
    let bob = t.login("bob");
    let request = t.ask(alice, Harness::text(TO_BOB, "last words"));
    t.input(Input::Closed { conn: alice });
    t.settle();
    assert_eq!(t.reply(alice, request), None);
    assert_eq!(t.texts(bob), ["last words"]);
    assert_eq!(t.logic.connections(), 1);
}
