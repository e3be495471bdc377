//! How one member sees a conversation: SET_CONVERSATION and CLEAR.

use super::harness::{Harness, Seen, errno, rules};
use super::{ALICE_BOB, TO_BOB, ack, harness, texts};
use logic::{Input, Rules};
use wire::message::Reply as MessageReply;
use wire::timeline::{Clear, Cursor, Push as TimelinePush, Receipt, Request, Set, SettingsChange};
use wire::{Command, ConversationId, Errno, Push, Reply, Seq, Target, UserId};

const BOB: UserId = UserId(2);

fn clear(conversation: ConversationId, upto: u64) -> Command {
    Request::Clear(Clear { conversation, upto: Seq(upto) }).into()
}

fn receipts(seen: &[Seen]) -> Vec<Receipt> {
    let receipts = seen.iter().filter_map(|seen| match seen {
        Seen::Push(Push::Timeline(TimelinePush::ReadReceipt(receipt))) => Some(*receipt),
        _ => None,
    });
    receipts.collect()
}

#[test]
fn what_is_cleared_is_neither_fed_nor_pushed_again_and_counts_as_read() {
    let mut t = harness();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    for n in 1..=600 {
        t.get(alice, Harness::text(TO_BOB, &n.to_string()));
    }
    assert_eq!(t.texts(bob), texts(1..=500), "the session is behind");
    t.take(alice);
    assert_eq!(t.get(bob, clear(ALICE_BOB, 550)), Reply::Done);
    assert_eq!(receipts(&t.take(alice)), [Receipt { conversation: ALICE_BOB, id: BOB, seq: Seq(550) }]);
    assert_eq!(t.texts(bob), texts(551..=600), "the rest needs no acknowledgement of what was cleared");
    t.get(alice, Harness::text(TO_BOB, "601"));
    assert_eq!(t.texts(bob), ["601"], "the session is live");
    // Less than before, and more than there is.
    assert_eq!(t.get(bob, clear(ALICE_BOB, 3)), Reply::Done);
    assert_eq!(receipts(&t.take(alice)), []);
    assert_eq!(t.get(bob, clear(ALICE_BOB, 10_000)), Reply::Done);
    t.get(alice, Harness::text(TO_BOB, "602"));
    assert_eq!(t.texts(bob), ["602"]);
    t.input(Input::Closed { conn: bob });
    let bob = t.login("bob");
    t.settle();
    assert_eq!(t.texts(bob), ["602"], "only this one is unacknowledged");
    t.input(ack(bob, 602));
}

#[test]
fn a_conversation_is_cleared_while_it_is_being_fed() {
    let mut t = harness();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    for n in 1..=700 {
        t.get(alice, Harness::text(TO_BOB, &n.to_string()));
    }
    t.take(bob);
    // The page is read before, and arrives after the view has changed.
    t.input(ack(bob, 100));
    let request = t.ask(bob, clear(ALICE_BOB, 650));
    assert!(t.store_one());
    assert_eq!(t.reply(bob, request), Some(Reply::Done));
    t.settle();
    assert_eq!(t.texts(bob), texts(651..=700));
    t.get(alice, Harness::text(TO_BOB, "701"));
    assert_eq!(t.texts(bob), ["701"]);
}

#[test]
fn only_members_change_how_they_see_a_conversation() {
    let mut t = harness();
    let (alice, carol) = (t.login("alice"), t.login("carol"));
    t.get(alice, Harness::text(TO_BOB, "hello"));
    let change = SettingsChange { muted: Some(true), ..SettingsChange::default() };
    let set = |conversation| Command::from(Request::Set(Set { conversation, change }));
    assert_eq!(t.get(alice, set(ALICE_BOB)), Reply::Done);
    for conversation in [ALICE_BOB, ConversationId(77)] {
        for command in [set(conversation), clear(conversation, 1)] {
            assert_eq!(errno(&t.get(carol, command)), Errno::Forbidden);
        }
    }
}

#[test]
fn a_note_is_delivered_to_nobody_else_and_to_no_connection_twice() {
    for rules in [rules(), Rules { cluster: Some("n1-1".into()), ..rules() }] {
        let mut t = Harness::new(rules, &["alice", "bob"]);
        let (alice, bob) = (t.login("alice"), t.login("bob"));
        t.take(bob);
        let note = Harness::text(Target::User(UserId(1)), "milk");
        assert!(matches!(t.get(alice, note), Reply::Message(MessageReply::Sent(sent)) if sent.seq == Seq(1)));
        let seen = t.take(alice);
        assert!(!seen.iter().any(|seen| matches!(seen, Seen::Push(_))), "{seen:?}");
        assert!(!t.take(bob).iter().any(|seen| matches!(seen, Seen::Push(_))));
        let read = Request::Read(Cursor { conversation: ALICE_BOB, seq: Seq(1) });
        assert_eq!(t.get(alice, read.into()), Reply::Done);
        let seen = t.take(alice);
        assert!(!seen.iter().any(|seen| matches!(seen, Seen::Push(_))), "no receipt: {seen:?}");
        // It counts as received by the one who wrote it.
        t.input(Input::Closed { conn: alice });
        t.advance(2_000);
        t.settle();
        let alice = t.login("alice");
        t.settle();
        assert_eq!(t.texts(alice), [""; 0]);
    }
}
