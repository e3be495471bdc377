//! EDIT, RECALL and REACT: who is told, and what is refused.

use super::harness::{Harness, Seen, errno, rules};
use super::{ALICE_BOB, TO_BOB};
use logic::Rules;
use wire::change::{Edit, React, Recall, Reply as ChangeReply, Request};
use wire::message::Push as MessagePush;
use wire::{Command, ConversationId, Errno, Push, Reply, Seq, Target};

const USERS: &[&str] = &["alice", "bob", "carol"];

fn react(conversation: ConversationId, seq: u64, on: bool) -> Command {
    let (seq, reaction, cid) = (Seq(seq), "👍".into(), None);
    Request::React(React { conversation, seq, reaction, on, cid }).into()
}

fn edit(conversation: ConversationId, seq: u64, content: &str) -> Command {
    Request::Edit(Edit { conversation, seq: Seq(seq), content: content.into(), cid: None }).into()
}

fn recall(conversation: ConversationId, seq: u64) -> Command {
    Request::Recall(Recall { conversation, seq: Seq(seq), cid: None }).into()
}

/// The seq of a reply to a change.
fn done(reply: &Reply) -> u64 {
    let Reply::Change(
        ChangeReply::Edited(changed) | ChangeReply::Recalled(changed) | ChangeReply::Reacted(changed),
    ) = reply
    else {
        panic!("a change was answered {reply:?}")
    };
    changed.seq.0
}

/// The reply to a change and the entries pushed to a connection, in order.
fn told(seen: Vec<Seen>) -> Vec<String> {
    let told = seen.into_iter().filter_map(|seen| match seen {
        Seen::Reply(_, reply @ Reply::Change(_)) => Some(format!("done {}", done(&reply))),
        Seen::Push(Push::Message(MessagePush::New(message))) => {
            let change = message.change()?;
            Some(format!("{} {} {}", message.seq, change.of, message.content))
        }
        _ => None,
    });
    told.collect()
}

fn node() -> Rules {
    Rules { cluster: Some("n1-1".into()), ..rules() }
}

#[test]
fn every_member_is_told_also_on_the_connection_that_reacts() {
    for rules in [rules(), node()] {
        let mut t = Harness::new(rules, USERS);
        let group = t.group(&[1, 2, 3]);
        let conns = ["alice", "bob", "carol"].map(|name| t.login(name));
        let [alice, bob, carol] = conns;
        t.get(alice, Harness::text(Target::Conversation(group), "hi"));
        let seq = 1;
        conns.iter().for_each(|conn| drop(t.take(*conn)));
        t.get(bob, react(group, seq, true));
        let entry = format!("{} {seq} 👍", seq + 1);
        assert_eq!(told(t.take(bob)), [format!("done {}", seq + 1), entry.clone()]);
        assert_eq!((told(t.take(alice)), told(t.take(carol))), (vec![entry.clone()], vec![entry]));
        t.get(bob, react(group, seq, false));
        assert_eq!(told(t.take(bob)), ["done 0"], "nothing to take back");
        assert_eq!(told(t.take(alice)), [""; 0]);
    }
}

#[test]
fn every_member_is_told_of_an_edit_and_a_recall() {
    for rules in [rules(), node()] {
        let mut t = Harness::new(rules, USERS);
        let conns = ["alice", "bob"].map(|name| t.login(name));
        let [alice, bob] = conns;
        t.get(alice, Harness::text(TO_BOB, "hi"));
        conns.iter().for_each(|conn| drop(t.take(*conn)));
        t.get(alice, edit(ALICE_BOB, 1, "hi bob"));
        assert_eq!(told(t.take(alice)), ["done 2", "2 1 hi bob"]);
        t.get(alice, recall(ALICE_BOB, 1));
        assert_eq!(told(t.take(alice)), ["done 3", "3 1 "]);
        assert_eq!(told(t.take(bob)), ["2 1 hi bob", "3 1 "]);
        assert_eq!(errno(&t.get(alice, edit(ALICE_BOB, 1, "again"))), Errno::NotFound);
        assert_eq!(errno(&t.get(bob, recall(ALICE_BOB, 1))), Errno::Forbidden, "somebody else's");
    }
}

#[test]
fn an_edit_and_a_recall_have_their_time() {
    let rules = Rules { edit_window: 900_000, recall_window: 0, ..rules() };
    let mut t = Harness::new(rules, USERS);
    let alice = t.login("alice");
    t.get(alice, Harness::text(TO_BOB, "hi"));
    let stored = t.now.wall.0;
    let refused = |t: &mut Harness, command| {
        let Reply::Refused(refusal) = t.get(alice, command) else { panic!("refused") };
        assert_eq!((refusal.errno, refusal.field.as_deref()), (Errno::Forbidden, Some("seq")));
        refusal.until.map(|until| until.0 - stored)
    };
    assert_eq!(refused(&mut t, recall(ALICE_BOB, 1)), Some(0), "never");
    t.advance(900_000);
    assert_eq!(refused(&mut t, edit(ALICE_BOB, 1, "hi bob")), Some(900_000));
}

/// What a legacy client was sent.
fn texts(seen: Vec<Seen>) -> Vec<String> {
    let texts = seen.into_iter().filter_map(|seen| match seen {
        Seen::Push(Push::Message(MessagePush::New(message))) => Some(message.content.to_string()),
        _ => None,
    });
    texts.collect()
}

#[test]
fn a_legacy_client_is_sent_the_texts_of_now() {
    let mut t = Harness::new(rules(), USERS);
    let alice = t.login("alice");
    for text in ["one", "two", "three"] {
        t.get(alice, Harness::text(TO_BOB, text));
    }
    assert_eq!(done(&t.get(alice, edit(ALICE_BOB, 1, "ONE"))), 4);
    assert_eq!(done(&t.get(alice, recall(ALICE_BOB, 3))), 5);
    let (bob, welcome) = t.welcome("bob");
    let missed: Vec<_> = welcome.missed.iter().map(|message| &*message.content).collect();
    assert_eq!(missed, ["ONE", "two"]);
    assert_eq!(done(&t.get(alice, edit(ALICE_BOB, 2, "TWO"))), 6);
    assert_eq!(done(&t.get(alice, recall(ALICE_BOB, 1))), 7);
    t.get(alice, Harness::text(TO_BOB, "four"));
    assert_eq!(texts(t.take(bob)), ["four"], "nothing is sent again");
}

#[test]
fn a_change_passes_a_legacy_client_over() {
    let mut t = Harness::new(rules(), USERS);
    let alice = t.login("alice");
    let (bob, _) = t.welcome("bob");
    t.get(alice, Harness::text(TO_BOB, "hi"));
    t.take(bob);
    t.get(alice, react(ALICE_BOB, 1, true));
    assert_eq!(told(t.take(alice)).len(), 2);
    assert_eq!(told(t.take(bob)), [""; 0]);
}

#[test]
fn what_cannot_be_reacted_to_is_refused() {
    let mut t = Harness::new(rules(), USERS);
    let (alice, carol) = (t.login("alice"), t.login("carol"));
    t.get(alice, Harness::text(TO_BOB, "hi"));
    assert_eq!(done(&t.get(alice, react(ALICE_BOB, 1, true))), 2);
    for (conn, conversation, seq, expected) in [
        (alice, ALICE_BOB, 99, Errno::NotFound),
        (alice, ALICE_BOB, 2, Errno::BadRequest),
        (carol, ALICE_BOB, 1, Errno::Forbidden),
        (carol, ConversationId(99), 1, Errno::Forbidden),
    ] {
        assert_eq!(errno(&t.get(conn, react(conversation, seq, true))), expected);
    }
    let refusals = [ALICE_BOB, ConversationId(99)].map(|of| t.get(carol, react(of, 1, true)));
    assert_eq!(refusals[0], refusals[1], "whether a conversation exists is not told");
}

#[test]
fn changes_count_towards_the_rate_of_messages() {
    let mut t = Harness::new(Rules { messages_per_second: 1, ..rules() }, USERS);
    let alice = t.login("alice");
    t.get(alice, Harness::text(TO_BOB, "hi"));
    // One that changes nothing does not count.
    for _ in 0..20 {
        assert_eq!(done(&t.get(alice, react(ALICE_BOB, 1, false))), 0);
    }
    for n in 2..=10 {
        assert_eq!(done(&t.get(alice, react(ALICE_BOB, 1, true))), n);
    }
    let Reply::Refused(refusal) = t.get(alice, react(ALICE_BOB, 1, true)) else { panic!("refused") };
    assert_eq!(
        (refusal.errno, refusal.limit.as_deref()),
        (Errno::RateLimited, Some("limits.messages_per_second"))
    );
    t.advance(refusal.retry_after_ms.unwrap());
    assert_eq!(done(&t.get(alice, react(ALICE_BOB, 1, true))), 11);
}
