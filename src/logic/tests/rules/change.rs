//! REACT: who is told, and what is refused.

use super::harness::{Harness, Seen, errno, rules};
use super::{ALICE_BOB, TO_BOB};
use logic::Rules;
use wire::change::{React, Reply as ChangeReply, Request};
use wire::message::Push as MessagePush;
use wire::{Command, ConversationId, Errno, Push, Reply, Seq, Target};

const USERS: &[&str] = &["alice", "bob", "carol"];

fn react(conversation: ConversationId, seq: u64, on: bool) -> Command {
    let (seq, reaction, cid) = (Seq(seq), "👍".into(), None);
    Request::React(React { conversation, seq, reaction, on, cid }).into()
}

/// The seq of a reply to REACT.
fn done(reply: &Reply) -> u64 {
    match reply {
        Reply::Change(ChangeReply::Changed(changed)) => changed.seq.0,
        other => panic!("REACT was answered {other:?}"),
    }
}

/// The reply to REACT and the entries pushed to a connection, in order.
fn told(seen: Vec<Seen>) -> Vec<String> {
    let told = seen.into_iter().filter_map(|seen| match seen {
        Seen::Reply(_, Reply::Change(ChangeReply::Changed(changed))) => Some(format!("done {}", changed.seq)),
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
