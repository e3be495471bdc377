//! TYPING: who is told, how often, and what it costs.

use super::harness::{GRACE, Harness, Seen, errno, rules};
use super::{ALICE_BOB, TO_BOB};
use logic::bus::{BusInput, Channel, Hint};
use logic::{ConnId, Input, Rules};
use wire::timeline::{Push as TimelinePush, Request, Typing, Typist};
use wire::{Command, ConversationId, Errno, Push, Reply, UserId};

const ALICE: UserId = UserId(1);
const USERS: &[&str] = &["alice", "bob", "carol"];

fn typing(conversation: ConversationId) -> Command {
    Request::Typing(Typing { conversation }).into()
}

fn told(t: &mut Harness, conn: ConnId) -> Vec<Typist> {
    let told = t.take(conn).into_iter().filter_map(|seen| match seen {
        Seen::Push(Push::Timeline(TimelinePush::Typing(typist))) => Some(typist),
        _ => None,
    });
    told.collect()
}

fn node() -> Rules {
    Rules { cluster: Some("n1-1".into()), ..rules() }
}

#[test]
fn the_peer_of_a_chat_is_told_once_in_three_seconds() {
    for rules in [rules(), node()] {
        let mut t = Harness::new(rules, USERS);
        let (alice, bob, carol) = (t.login("alice"), t.login("bob"), t.login("carol"));
        t.get(alice, Harness::text(TO_BOB, "hi"));
        let typist = Typist { conversation: ALICE_BOB, id: ALICE };
        let writes = t.writes.len();
        for expected in [&[typist][..], &[], &[]] {
            assert_eq!(t.get(alice, typing(ALICE_BOB)), Reply::Done);
            assert_eq!(told(&mut t, bob), expected);
        }
        t.advance(3_000);
        // A node that hears from nobody pushes nothing.
        t.hear(BusInput::Heard { at: t.now.monotonic });
        assert_eq!(t.get(alice, typing(ALICE_BOB)), Reply::Done);
        assert_eq!(told(&mut t, bob), [typist]);
        assert_eq!(t.get(bob, typing(ALICE_BOB)), Reply::Done);
        assert_eq!(told(&mut t, alice), [Typist { id: UserId(2), ..typist }]);
        assert_eq!((told(&mut t, bob), told(&mut t, carol)), (vec![], vec![]));
        assert_eq!(t.writes.len(), writes, "nothing is stored");
    }
}

#[test]
fn a_request_without_a_number_is_not_answered() {
    let mut t = Harness::new(rules(), USERS);
    let group = t.group(&[1, 2]);
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.take(alice);
    t.input(Input::Request { conn: alice, request: 0, command: typing(group) });
    t.settle();
    assert_eq!((told(&mut t, bob).len(), t.take(alice)), (1, vec![]));
}

#[test]
fn whether_a_conversation_exists_is_not_told() {
    let mut t = Harness::new(rules(), USERS);
    let (alice, carol) = (t.login("alice"), t.login("carol"));
    t.get(alice, Harness::text(TO_BOB, "hi"));
    let group = t.group(&[1, 2]);
    let refusals = [ALICE_BOB, group, ConversationId(99)].map(|conversation| {
        let replies = [t.get(carol, typing(conversation)), t.get(carol, typing(conversation))];
        assert_eq!(replies[0], replies[1]);
        replies[0].clone()
    });
    assert!(refusals.iter().all(|reply| errno(reply) == Errno::Forbidden && *reply == refusals[0]));
    assert_eq!(told(&mut t, alice), []);
}

#[test]
fn the_members_of_a_group_are_told_and_those_of_a_large_one_are_not() {
    let others: Vec<String> = (4..=201).map(|user| format!("user {user}")).collect();
    let users: Vec<&str> = USERS.iter().copied().chain(others.iter().map(String::as_str)).collect();
    let mut t = Harness::new(node(), &users);
    let group = t.group(&[1, 2, 3]);
    let large = t.group(&(1..=201).collect::<Vec<_>>());
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| t.login(name));
    let typist = Typist { conversation: group, id: ALICE };
    t.published.clear();
    assert_eq!(t.get(alice, typing(group)), Reply::Done);
    assert_eq!(
        [told(&mut t, alice), told(&mut t, bob), told(&mut t, carol)],
        [vec![], vec![typist], vec![typist]]
    );
    let hint = Hint::Push { push: TimelinePush::Typing(typist).into() };
    assert_eq!(t.published, [(Channel::Group(group), hint)]);

    let issued = t.issued.len();
    assert_eq!(t.get(alice, typing(large)), Reply::Done);
    let reads = t.issued.len() - issued;
    assert_eq!(t.get(bob, typing(large)), Reply::Done);
    assert_eq!((told(&mut t, bob), told(&mut t, carol)), (vec![], vec![]));
    assert_eq!((reads, t.issued.len() - issued), (2, 3), "its members are not read again");
    assert_eq!(t.published.len(), 1);
}

#[test]
fn another_node_tells_the_members_that_it_has() {
    let mut t = Harness::new(node(), USERS);
    let group = t.group(&[1, 2]);
    let (bob, carol) = (t.login("bob"), t.login("carol"));
    let hear = |t: &mut Harness, conversation, id| {
        let push = TimelinePush::Typing(Typist { conversation, id: UserId(id) }).into();
        t.hear(BusInput::Hint { channel: Channel::Group(group), hint: Hint::Push { push } });
        t.settle();
    };
    hear(&mut t, group, 1);
    assert_eq!(told(&mut t, bob), [Typist { conversation: group, id: ALICE }]);
    // A user who is no member any more, and a conversation that is not the channel's.
    hear(&mut t, group, 3);
    hear(&mut t, ConversationId(99), 1);
    assert_eq!((told(&mut t, bob), told(&mut t, carol)), (vec![], vec![]));
}

#[test]
fn legacy_clients_and_who_is_away_get_nothing() {
    let mut t = Harness::new(rules(), USERS);
    let group = t.group(&[1, 2, 3]);
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    let (carol, _) = t.welcome("carol");
    t.input(Input::Closed { conn: bob });
    t.advance(GRACE / 2);
    t.take(carol);
    assert_eq!(t.get(alice, typing(group)), Reply::Done);
    assert_eq!(t.take(carol), []);
    let bob = t.login("bob");
    t.settle();
    assert_eq!(told(&mut t, bob), []);
}
