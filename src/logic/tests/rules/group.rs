//! Groups: the entries that tell of their changes, and who receives them.

use super::harness::{Harness, Seen, errno, rules};
use logic::bus::{BusInput, Channel, Hint};
use logic::contract::entry::Actor;
use logic::contract::message::Stored;
use logic::{ConnId, Input, Rules};
use std::sync::Arc;
use wire::entry::Event;
use wire::group::{
    Create, Created, Join, JoinState, Joined, Leave, Remove, Reply as GroupReply, Request, SetRole, Transfer,
};
use wire::message::Push as MessagePush;
use wire::timeline::{Cursor, Request as TimelineRequest};
use wire::{Command, ConversationId, Dialect, Errno, Message, Push, Reply, Seq, Target, UserId};

pub const GROUP: ConversationId = ConversationId(1);

fn create() -> Command {
    Request::Create(Create { name: "climbing".into(), desc: "".into() }).into()
}

fn join() -> Command {
    Request::Join(Join { conversation: GROUP }).into()
}

pub fn ack(conn: ConnId, seq: u64) -> Input {
    let ack = TimelineRequest::Ack(Cursor { conversation: GROUP, seq: Seq(seq) });
    Input::Request { conn, request: 0, command: ack.into() }
}

fn node() -> Harness {
    Harness::new(Rules { cluster: Some("n1-1".into()), ..rules() }, &["alice", "bob", "carol"])
}

/// The position of a reply and of the pushes of a connection.
pub fn told(seen: &[Seen]) -> Vec<String> {
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
pub fn stored_elsewhere(t: &mut Harness, user: u32, event: Option<Event>) -> Arc<Message> {
    let time = t.now.wall;
    let group = &mut t.conversations[0];
    let (conversation, seq) = (GROUP, Seq(group.messages.len() as u64 + 1));
    let by = Actor { user: UserId(user), name: format!("user {user}").into(), cid: "".into() };
    let stored = Stored { conversation, seq, time };
    let told = by.announcement(event.clone().unwrap_or(Event::Joined));
    let mut message = (*by.entry(told, stored)).clone();
    match event {
        Some(Event::Joined) => {
            let at = group.members.binary_search(&by.user).expect_err("is no member yet");
            group.members.insert(at, by.user);
            group.joined.insert(by.user, seq.prev());
            group.left.remove(&by.user);
            group.cursors.insert(by.user, (seq.prev(), seq));
        }
        Some(Event::Left) => {
            group.members.retain(|member| *member != by.user);
            group.left.insert(by.user, seq);
        }
        _ => {
            (message.extra, message.content, message.content_type) =
                (None, format!("m{seq}").into(), "text".into());
        }
    }
    let message = Arc::new(message);
    group.messages.push(Arc::clone(&message));
    message
}

pub fn hint(t: &mut Harness, message: &Arc<Message>) {
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

pub fn leave() -> Command {
    Request::Leave(Leave { conversation: GROUP }).into()
}

pub fn remove(id: u32) -> Command {
    Request::Remove(Remove { conversation: GROUP, id: UserId(id), bar: false }).into()
}

pub fn read(seq: u64) -> Command {
    TimelineRequest::Read(Cursor { conversation: GROUP, seq: Seq(seq) }).into()
}

/// A group of alice, who made it, bob and carol, whose sessions have acknowledged everything.
fn three(rules: Rules) -> (Harness, [ConnId; 3]) {
    let mut t = Harness::new(rules, &["alice", "bob", "carol"]);
    t.group(&[1, 2, 3]);
    let sessions = ["alice", "bob", "carol"].map(|name| t.login(name));
    t.advance(1);
    for conn in sessions {
        t.take(conn);
    }
    (t, sessions)
}

#[test]
fn the_entry_of_a_leave_is_the_last_that_the_leaver_gets_and_acknowledges() {
    for rules in [rules(), Rules { cluster: Some("n1-1".into()), ..rules() }] {
        let (mut t, [alice, bob, carol]) = three(rules);
        t.get(alice, Harness::text(Target::Conversation(GROUP), "before"));
        assert_eq!(errno(&t.get(bob, leave())), Errno::Ok);
        t.get(alice, Harness::text(Target::Conversation(GROUP), "after"));
        assert_eq!(told(&t.take(bob)), ["1: before", "2: bob left"]);
        assert_eq!(told(&t.take(carol)), ["1: before", "2: bob left", "3: after"]);
        for refused in [
            Harness::text(Target::Conversation(GROUP), "more"),
            read(2),
            leave(),
            remove(3),
            Request::SetRole(SetRole { conversation: GROUP, id: UserId(3), role: wire::group::Role::Admin })
                .into(),
            Request::Transfer(Transfer { conversation: GROUP, id: UserId(3) }).into(),
            TimelineRequest::Typing(wire::timeline::Typing { conversation: GROUP }).into(),
        ] {
            assert_eq!(errno(&t.get(bob, refused)), Errno::Forbidden);
        }
        let acked = TimelineRequest::Ack(Cursor { conversation: GROUP, seq: Seq(9) });
        assert_eq!(errno(&t.get(bob, acked.clone().into())), Errno::Ok);
        // Also without a track, once the cursor is written.
        t.advance(60_000);
        t.settle();
        assert_eq!(errno(&t.get(bob, acked.into())), Errno::Ok);
        assert_eq!(errno(&t.get(bob, read(2))), Errno::Forbidden);
        assert_eq!(t.conversations[0].cursors[&UserId(2)].0, Seq(2), "up to the entry that tells of it");
    }
}

#[test]
fn whoever_joins_again_begins_a_new_view() {
    for rules in [rules(), Rules { cluster: Some("n1-1".into()), ..rules() }] {
        let (mut t, [alice, bob, _]) = three(rules);
        t.get(bob, leave());
        t.get(alice, Harness::text(Target::Conversation(GROUP), "unseen"));
        assert_eq!(errno(&t.get(bob, join())), Errno::Ok);
        t.get(alice, Harness::text(Target::Conversation(GROUP), "seen"));
        t.settle();
        let of_bob = told(&t.take(bob));
        let pushed: Vec<&str> =
            of_bob.iter().map(String::as_str).filter(|text| !text.starts_with("Joined")).collect();
        assert_eq!(pushed, ["1: bob left", "3: bob joined", "4: seen"], "{of_bob:?}");
        assert_eq!(errno(&t.get(bob, read(4))), Errno::Ok);
    }
}

#[test]
fn whoever_was_removed_while_absent_gets_the_rest_at_the_next_login_and_nothing_more() {
    for rules in [rules(), Rules { cluster: Some("n1-1".into()), ..rules() }] {
        let mut t = Harness::new(rules, &["alice", "bob"]);
        t.group(&[1, 2]);
        let alice = t.login("alice");
        t.advance(1);
        t.get(alice, Harness::text(Target::Conversation(GROUP), "missed"));
        assert_eq!(errno(&t.get(alice, remove(2))), Errno::Ok);
        t.get(alice, Harness::text(Target::Conversation(GROUP), "after"));
        let bob = t.login("bob");
        t.advance(1);
        t.settle();
        assert_eq!(told(&t.take(bob)), ["1: missed", "2: alice removed somebody"]);
        assert_eq!(errno(&t.get(bob, read(2))), Errno::Forbidden);
        t.input(ack(bob, 2));
        t.advance(2_000);
        t.settle();
        t.input(Input::Closed { conn: bob });
        let bob = t.login("bob");
        t.settle();
        assert!(told(&t.take(bob)).is_empty(), "it has been received");
    }
}

/// Bob's client acknowledges nothing, so that it is behind when bob is removed.
#[test]
fn whoever_is_behind_when_removed_is_fed_up_to_the_removal() {
    let (mut t, [alice, bob, _]) = three(rules());
    for _ in 0..520 {
        t.get(alice, Harness::text(Target::Conversation(GROUP), "x"));
    }
    t.get(alice, remove(2));
    t.get(alice, Harness::text(Target::Conversation(GROUP), "after"));
    let mut pushed = told(&t.take(bob)).len() as u64;
    assert_eq!(pushed, 500);
    t.input(ack(bob, pushed));
    t.settle();
    let rest = told(&t.take(bob));
    pushed += rest.len() as u64;
    assert_eq!((pushed, rest.last().map(String::as_str)), (521, Some("521: alice removed somebody")));
    t.advance(5_000);
    t.settle();
    assert!(told(&t.take(bob)).is_empty());
}

#[test]
fn the_creator_leaves_as_the_last_one_only() {
    let (mut t, [alice, bob, carol]) = three(rules());
    assert_eq!(errno(&t.get(alice, leave())), Errno::Conflict);
    assert_eq!(errno(&t.get(bob, remove(3))), Errno::Forbidden);
    assert_eq!(errno(&t.get(alice, remove(1))), Errno::BadRequest);
    t.get(bob, leave());
    t.get(carol, leave());
    assert_eq!(errno(&t.get(alice, remove(2))), Errno::NotFound);
    assert_eq!(errno(&t.get(alice, leave())), Errno::Ok);
}

#[test]
fn a_node_stops_listening_to_a_group_that_its_last_member_has_left() {
    let (mut t, [alice, bob, _]) = three(Rules { cluster: Some("n1-1".into()), ..rules() });
    let unsubscribed = |t: &mut Harness| t.unsubscribed().contains(&Channel::Group(GROUP));
    for removed in [2, 3] {
        t.get(alice, remove(removed));
        assert!(!unsubscribed(&mut t), "alice still listens");
    }
    t.get(alice, leave());
    assert!(unsubscribed(&mut t));
    assert_eq!(errno(&t.get(bob, join())), Errno::Ok);
    assert!(!unsubscribed(&mut t), "bob listens again");
}

/// The roster is read after the removal, and the rows before it are still to be delivered.
#[test]
fn a_newer_roster_still_delivers_what_a_removed_member_was_to_get() {
    let mut t = node();
    t.group(&[1, 2, 3]);
    let (alice, carol) = two_sessions(&mut t);
    stored_elsewhere(&mut t, 2, None);
    let second = stored_elsewhere(&mut t, 2, None);
    stored_elsewhere(&mut t, 3, Some(Event::Left));
    let last = stored_elsewhere(&mut t, 2, None);
    hint(&mut t, &second);
    hint(&mut t, &last);
    t.advance(30);
    t.settle();
    assert_eq!(told(&t.take(alice)), ["1: m1", "2: m2", "3: user 3: left", "4: m4"]);
    assert_eq!(told(&t.take(carol)), ["1: m1", "2: m2", "3: user 3: left"]);
}

#[test]
fn hints_of_a_removal_change_who_receives_what_follows() {
    let mut t = node();
    t.group(&[1, 2, 3]);
    let (alice, carol) = two_sessions(&mut t);
    let steps = [(2, None), (3, Some(Event::Left)), (2, None), (3, Some(Event::Joined)), (2, None)];
    let messages: Vec<_> =
        steps.into_iter().map(|(user, event)| stored_elsewhere(&mut t, user, event)).collect();
    for at in [0, 2, 1, 4, 3] {
        hint(&mut t, &messages[at]);
    }
    assert_eq!(told(&t.take(alice)).len(), 5);
    assert_eq!(told(&t.take(carol)).last().unwrap(), "5: m5");
}

/// Bob has left and acknowledged everything on another node; carol is behind, so that the line begins below that.
#[test]
fn who_has_left_and_has_everything_is_pushed_nothing_again() {
    let mut t = node();
    t.group(&[1, 2, 3]);
    for user in [1, 1, 2] {
        stored_elsewhere(&mut t, user, (user == 2).then_some(Event::Left));
    }
    t.conversations[0].cursors.insert(UserId(2), (Seq(3), Seq(3)));
    t.conversations[0].cursors.insert(UserId(3), (Seq(3), Seq(3)));
    let (bob, carol) = (t.login("bob"), t.login("carol"));
    t.advance(1);
    for conn in [bob, carol] {
        t.take(conn);
    }
    // As if carol's cursor had been ahead of what it has.
    t.conversations[0].cursors.insert(UserId(3), (Seq(0), Seq(0)));
    let last = stored_elsewhere(&mut t, 1, None);
    hint(&mut t, &last);
    t.advance(30);
    t.settle();
    assert_eq!(told(&t.take(carol)).len(), 4);
    assert!(told(&t.take(bob)).is_empty());
}
