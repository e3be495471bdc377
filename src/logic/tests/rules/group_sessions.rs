//! Sessions of users who leave a group: all of them get the last entry, and their nodes stop listening.

use super::group::{GROUP, ack, hint, leave, read, remove, stored_elsewhere, told};
use super::harness::{ClaimedSession, Harness, Seen, errno, rules};
use logic::bus::{BusInput, Channel, Hint};
use logic::contract::node::End;
use logic::contract::{Epoch, Fence};
use logic::limits::FEED_MESSAGES;
use logic::{Conflict, Policy, Read, Rules};
use wire::entry::Event;
use wire::session::{ClientKind, Listing, Push as SessionPush};
use wire::{Errno, Push, Seq, Target, UserId};

const BOB: UserId = UserId(2);

fn multi() -> Rules {
    Rules { sessions: Policy { conflict: Conflict::Multi, sessions_max: 10 }, ..rules() }
}

fn node() -> Harness {
    Harness::new(Rules { cluster: Some("n1-1".into()), ..multi() }, &["alice", "bob", "carol"])
}

fn listens(t: &Harness) -> bool {
    t.subscribed.contains(&Channel::Group(GROUP))
}

/// Another node says that bob has left.
fn left_hint(t: &mut Harness, last: u64) {
    t.hear(BusInput::Heard { at: t.now.monotonic });
    let entry = End { conversation: GROUP, last: Seq(last) };
    t.hear(BusInput::Hint { channel: Channel::User(BOB), hint: Hint::Left { entry } });
    t.settle();
}

#[test]
fn every_session_of_whoever_is_removed_gets_the_removal_as_its_last_entry() {
    for rules in [multi(), Rules { cluster: Some("n1-1".into()), ..multi() }] {
        let is_clustered = rules.cluster.is_some();
        let mut t = Harness::new(rules, &["alice", "bob", "carol"]);
        t.group(&[1, 2]);
        let alice = t.login("alice");
        let bobs = [t.login("bob"), t.login("bob")];
        t.advance(1);
        for conn in bobs {
            t.take(conn);
        }
        t.get(alice, Harness::text(Target::Conversation(GROUP), "before"));
        assert_eq!(errno(&t.get(alice, remove(2))), Errno::Ok);
        t.get(alice, Harness::text(Target::Conversation(GROUP), "after"));
        for conn in bobs {
            assert_eq!(told(&t.take(conn)), ["1: before", "2: alice removed somebody"]);
            assert_eq!(errno(&t.get(conn, read(2))), Errno::Forbidden);
        }
        if is_clustered {
            assert!(listens(&t), "alice is a member");
            t.get(alice, leave());
            assert!(!listens(&t), "none of bob's sessions holds the channel");
        }
    }
}

#[test]
fn other_nodes_are_told_that_a_user_has_left() {
    let mut t = node();
    t.group(&[1, 2]);
    let fence = Fence { user: BOB, epoch: Epoch(50) };
    let (node, device) = ("n2-7".into(), Some("tablet".into()));
    let (token, kind) = ([99; 32], ClientKind::Other);
    t.claimed.push(ClaimedSession { fence, node, token, device, kind });
    let bob = t.login("bob");
    t.advance(1);
    t.get(bob, leave());
    t.settle();
    let left = Hint::Left { entry: End { conversation: GROUP, last: Seq(1) } };
    assert!(t.published.contains(&(Channel::User(BOB), left)), "{:?}", t.published);
}

/// Hints on the channel of the group are lost.
#[test]
fn a_session_whose_user_has_left_on_another_node_gets_the_rest_and_stops_listening() {
    let mut t = node();
    t.group(&[1, 2]);
    let bob = t.login("bob");
    t.advance(1);
    t.take(bob);
    assert!(listens(&t));
    stored_elsewhere(&mut t, 1, None);
    stored_elsewhere(&mut t, 2, Some(Event::Left));
    stored_elsewhere(&mut t, 1, None);
    left_hint(&mut t, 2);
    t.advance(2_000);
    t.settle();
    assert_eq!(told(&t.take(bob)), ["1: m1", "2: user 2: left"]);
    assert!(!listens(&t));
    left_hint(&mut t, 2);
    assert!(t.reads.is_empty(), "it has no need of it any more");
}

/// The user's session on another node has acknowledged everything.
#[test]
fn a_session_that_may_lack_what_another_one_has_compares_its_lists() {
    let mut t = node();
    t.group(&[1, 2]);
    let bob = t.login("bob");
    t.advance(1);
    t.hear(BusInput::Heard { at: t.now.monotonic });
    t.hear(BusInput::Hint { channel: Channel::Node("n1-1".into()), hint: Hint::Joined { user: BOB } });
    t.settle();
    t.take(bob);
    stored_elsewhere(&mut t, 2, Some(Event::Left));
    t.conversations[0].cursors.insert(BOB, (Seq(1), Seq(1)));
    left_hint(&mut t, 1);
    t.settle();
    let seen = t.take(bob);
    let is_told = |seen: &Seen| match seen {
        Seen::Push(Push::Session(SessionPush::Changed(changed))) => {
            changed.what.contains(&Listing::Conversations)
        }
        _ => false,
    };
    assert!(seen.iter().any(is_told), "{seen:?}");
    assert!(!listens(&t));
}

#[test]
fn a_login_that_read_its_groups_before_a_removal_stops_listening() {
    let mut t = node();
    t.group(&[1, 2]);
    let bob = t.open();
    t.ask(bob, Harness::login_command("bob"));
    let reads_view = |t: &Harness| t.reads.iter().any(|(_, read)| matches!(read, Read::Session(_)));
    while !listens(&t) || !reads_view(&t) {
        assert!(t.step(), "its groups are read, then its view");
    }
    stored_elsewhere(&mut t, 2, Some(Event::Left));
    t.settle();
    t.advance(1);
    t.settle();
    assert_eq!(told(&t.take(bob)), ["1: user 2: left"]);
    assert!(!listens(&t));
}

/// It lacks so much that it is fed apart from the line, which begins above the removal.
#[test]
fn a_removal_that_is_read_from_the_timeline_ends_the_listening() {
    let mut t = node();
    t.group(&[1, 2]);
    let bob = t.login("bob");
    t.advance(1);
    t.take(bob);
    let many = u64::from(FEED_MESSAGES) + 1;
    for _ in 0..many {
        stored_elsewhere(&mut t, 1, None);
    }
    stored_elsewhere(&mut t, 2, Some(Event::Left));
    let last = stored_elsewhere(&mut t, 1, None);
    hint(&mut t, &last);
    let mut pushed = Vec::new();
    for _ in 0..10 {
        pushed.extend(told(&t.take(bob)));
        t.input(ack(bob, pushed.len() as u64));
        t.settle();
    }
    assert_eq!((pushed.len() as u64, pushed.last().unwrap().ends_with("left")), (many + 1, true));
    assert!(!listens(&t));
    assert_eq!(errno(&t.get(bob, read(many + 1))), Errno::Forbidden);
}
