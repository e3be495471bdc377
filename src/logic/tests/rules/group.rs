//! Groups: the entries that tell of their changes, and who receives them.

use super::harness::{Harness, Seen, rules};
use logic::bus::{BusInput, Channel, Hint};
use logic::contract::entry::Actor;
use logic::contract::message::Stored;
use logic::{ConnId, Input, Rules};
use std::sync::Arc;
use wire::entry::Event;
use wire::group::{Create, Created, Join, JoinState, Joined, Reply as GroupReply, Request};
use wire::message::Push as MessagePush;
use wire::timeline::{Cursor, Request as TimelineRequest};
use wire::{
    Command, ConversationId, ConversationKind, Dialect, Errno, Message, Push, Reply, Seq, Target, UserId,
};

const GROUP: ConversationId = ConversationId(1);

fn create() -> Command {
    Request::Create(Create { name: "climbing".into(), desc: "".into() }).into()
}

fn join() -> Command {
    Request::Join(Join { conversation: GROUP }).into()
}

fn ack(conn: ConnId, seq: u64) -> Input {
    let ack = TimelineRequest::Ack(Cursor { conversation: GROUP, seq: Seq(seq) });
    Input::Request { conn, request: 0, command: ack.into() }
}

fn node() -> Harness {
    Harness::new(Rules { cluster: Some("n1-1".into()), ..rules() }, &["alice", "bob", "carol"])
}

/// The position of a reply and of the pushes of a connection.
fn told(seen: &[Seen]) -> Vec<String> {
    let told = seen.iter().filter_map(|seen| match seen {
        Seen::Reply(_, Reply::Group(reply)) => Some(format!("{reply:?}")),
        Seen::Push(Push::Message(MessagePush::New(message))) => {
            Some(format!("{}: {}", message.seq, message.content))
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn everyone_is_told_of_a_join_also_on_the_connection_that_joins() {
    for rules in [rules(), Rules { cluster: Some("n1-1".into()), ..rules() }] {
        let mut t = Harness::new(rules, &["alice", "bob", "carol"]);
        let (alice, bob, carol) = (t.login("alice"), t.login("bob"), t.login("carol"));
        for conn in [alice, bob, carol] {
            t.take(conn);
        }
        t.get(alice, create());
        let created = format!("{:?}", GroupReply::Created(Created { conversation: GROUP }));
        assert_eq!(told(&t.take(alice)), [created, "1: alice created the group".to_owned()]);
        t.get(alice, Harness::text(Target::Conversation(GROUP), "before"));
        t.get(bob, join());
        let joined = format!("{:?}", GroupReply::Joined(Joined { state: JoinState::Joined }));
        assert_eq!(told(&t.take(bob)), [joined, "3: bob joined".to_owned()], "its view begins there");
        assert_eq!(told(&t.take(alice)), ["3: bob joined"]);
        t.get(bob, Harness::text(Target::Conversation(GROUP), "hello"));
        assert_eq!(told(&t.take(alice)), ["4: hello"]);
        assert_eq!(told(&t.take(carol)), [""; 0]);
        let again = t.get(bob, join());
        assert!(matches!(again, Reply::Refused(refusal) if refusal.errno == Errno::Conflict));
        assert_eq!(told(&t.take(alice)), [""; 0], "nothing changed, so nobody is told");
    }
}

#[test]
fn who_comes_back_is_fed_the_entries_it_missed_also_its_own() {
    let mut t = Harness::new(rules(), &["alice", "bob"]);
    let group = t.group(&[1]);
    let bob = t.login("bob");
    t.get(bob, join());
    // The connection is lost before the client acknowledges anything.
    t.input(Input::Closed { conn: bob });
    let alice = t.login("alice");
    t.settle();
    assert_eq!(told(&t.take(alice)), ["1: bob joined"]);
    t.get(alice, Harness::text(Target::Conversation(group), "hi"));
    let bob = t.login("bob");
    t.settle();
    assert_eq!(told(&t.take(bob)), ["1: bob joined", "2: hi"]);
}

#[test]
fn entries_are_passed_over_and_acknowledged_for_a_legacy_client() {
    let mut t = Harness::new(rules(), &["alice", "bob", "carol"]);
    let group = t.group(&[1, 2]);
    let delivered = |t: &Harness| t.conversations[0].cursors[&UserId(1)].0;
    let (alice, _) = t.welcome("alice");
    let (bob, carol) = (t.login("bob"), t.login("carol"));
    t.get(carol, join());
    assert_eq!(told(&t.take(alice)), [""; 0]);
    t.advance(2_000);
    t.settle();
    assert_eq!(delivered(&t), Seq(1), "nothing before it was unacknowledged");
    t.get(bob, Harness::text(Target::Conversation(group), "2"));
    t.conversations[0].members.retain(|user| *user != UserId(3));
    t.get(carol, join());
    t.get(bob, Harness::text(Target::Conversation(group), "4"));
    assert_eq!(told(&t.take(alice)), ["2: 2", "4: 4"]);
    t.input(ack(alice, 4));
    t.conversations[0].members.retain(|user| *user != UserId(3));
    t.get(carol, join());
    t.advance(2_000);
    t.settle();
    assert_eq!(delivered(&t), Seq(5));
    // What comes while it is away is passed over when it is back, and messages around it are not lost.
    t.input(Input::Closed { conn: alice });
    t.settle();
    t.get(bob, Harness::text(Target::Conversation(group), "6"));
    for _ in 0..2 {
        t.conversations[0].members.retain(|user| *user != UserId(3));
        t.get(carol, join());
    }
    let (alice, welcome) = t.welcome("alice");
    let missed: Vec<&str> = welcome.missed.iter().map(|message| &*message.content).collect();
    assert_eq!(missed, ["6"]);
    t.input(ack(alice, 6));
    t.advance(2_000);
    t.settle();
    assert_eq!(delivered(&t), Seq(8), "the entries behind the last message are acknowledged with it");
}

/// Another node stores an entry or a message.
fn stored_elsewhere(t: &mut Harness, user: u32, event: Option<Event>) -> Arc<Message> {
    let time = t.now.wall;
    let group = &mut t.conversations[0];
    let (conversation, seq) = (GROUP, Seq(group.messages.len() as u64 + 1));
    let by = Actor { user: UserId(user), name: format!("user {user}").into(), cid: "".into() };
    let stored = Stored { conversation, seq, time };
    let is_join = event == Some(Event::Joined);
    let mut message = (*by.entry(event.unwrap_or(Event::Joined), ConversationKind::Group, stored)).clone();
    if is_join {
        let at = group.members.binary_search(&by.user).expect_err("is no member yet");
        group.members.insert(at, by.user);
        group.joined.insert(by.user, seq.prev());
        group.cursors.insert(by.user, (seq.prev(), seq));
    } else {
        (message.extra, message.content, message.content_type) =
            (None, format!("m{seq}").into(), "text".into());
    }
    let message = Arc::new(message);
    group.messages.push(Arc::clone(&message));
    message
}

fn hint(t: &mut Harness, message: &Arc<Message>) {
    t.hear(BusInput::Heard { at: t.now.monotonic });
    let push = MessagePush::New(Arc::clone(message)).into();
    t.hear(BusInput::Hint { channel: Channel::Group(GROUP), hint: Hint::Push { push } });
    t.settle();
}

/// Sessions of alice and carol, which begin before any roster is read.
fn two_sessions(t: &mut Harness) -> (ConnId, ConnId) {
    let (alice, carol) = (t.login("alice"), t.login("carol"));
    t.advance(1);
    for conn in [alice, carol] {
        t.take(conn);
    }
    (alice, carol)
}

/// The node knew the members before the join, and reads the rows of the join and of what followed at once.
#[test]
fn rows_are_delivered_to_who_was_a_member_at_their_seqs() {
    let mut t = node();
    t.group(&[1, 2]);
    let (alice, carol) = two_sessions(&mut t);
    let first = stored_elsewhere(&mut t, 2, None);
    hint(&mut t, &first);
    assert_eq!(told(&t.take(alice)), ["1: m1"]);
    // Hints of these are lost, up to the last.
    stored_elsewhere(&mut t, 2, None);
    stored_elsewhere(&mut t, 3, Some(Event::Joined));
    stored_elsewhere(&mut t, 2, None);
    let last = stored_elsewhere(&mut t, 2, None);
    hint(&mut t, &last);
    t.advance(30);
    t.settle();
    assert_eq!(told(&t.take(alice)), ["2: m2", "3: user 3 joined", "4: m4", "5: m5"]);
    assert_eq!(told(&t.take(carol)), ["3: user 3 joined", "4: m4", "5: m5"]);
}

/// The roster is read after the join, and the rows before the join are still to be delivered.
#[test]
fn a_newer_roster_does_not_deliver_older_rows() {
    let mut t = node();
    t.group(&[1, 2]);
    let (alice, carol) = two_sessions(&mut t);
    stored_elsewhere(&mut t, 2, None);
    let second = stored_elsewhere(&mut t, 2, None);
    stored_elsewhere(&mut t, 3, Some(Event::Joined));
    let last = stored_elsewhere(&mut t, 2, None);
    hint(&mut t, &second);
    hint(&mut t, &last);
    t.advance(30);
    t.settle();
    assert_eq!(told(&t.take(alice)), ["1: m1", "2: m2", "3: user 3 joined", "4: m4"]);
    assert_eq!(told(&t.take(carol)), ["3: user 3 joined", "4: m4"]);
}

#[test]
fn hints_of_a_join_change_who_receives_what_follows() {
    let mut t = node();
    t.group(&[1, 2]);
    let (alice, carol) = two_sessions(&mut t);
    let steps = [None, Some(Event::Joined), None, None];
    let mut messages: Vec<Arc<Message>> = Vec::new();
    for event in steps {
        let user = if event.is_some() { 3 } else { 2 };
        messages.push(stored_elsewhere(&mut t, user, event));
    }
    // Two of them overtake each other.
    for at in [0, 1, 3, 2] {
        hint(&mut t, &messages[at]);
    }
    assert_eq!(told(&t.take(alice)), ["1: m1", "2: user 3 joined", "3: m3", "4: m4"]);
    assert_eq!(told(&t.take(carol)), ["2: user 3 joined", "3: m3", "4: m4"]);
}

#[test]
fn a_legacy_client_creates_and_joins_without_being_told() {
    let mut t = Harness::new(rules(), &["alice", "bob"]);
    let (alice, _) = t.welcome("alice");
    t.ask_legacy(alice, create());
    t.settle();
    let bob = t.open_as(Dialect::Legacy);
    t.ask_legacy(bob, Harness::login_command("bob"));
    t.settle();
    t.take(bob);
    t.ask_legacy(bob, join());
    t.settle();
    assert_eq!(
        (told(&t.take(alice)).len(), told(&t.take(bob)).len()),
        (1, 1),
        "only replies, which are not sent"
    );
    t.ask_legacy(bob, Harness::text(Target::Conversation(GROUP), "hi"));
    t.settle();
    assert_eq!(told(&t.take(alice)), ["3: hi"]);
}
