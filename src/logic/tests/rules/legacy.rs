//! What is otherwise for legacy clients, who can be told of nothing but messages, and acknowledge nothing themselves.

use super::table::{Seen, Table, errno, rules};
use super::{ALICE_BOB, TO_BOB, ack, table, texts};
use logic::contract;
use logic::limits::{BACKLOG_MS, LEGACY_WINDOW, TICK_MS};
use logic::{Conflict, ConnId, Input, Rules, Write};
use wire::group::Member;
use wire::legacy::Welcome;
use wire::presence::Presence;
use wire::{Command, Dialect, Errno, Push, Reply, Seq, Target, UserId};
use wire::{message, presence, session, timeline};

impl Table {
    /// As a legacy connection asks.
    fn say(&mut self, conn: ConnId, command: Command) {
        self.input(Input::Request { conn, request: 0, command });
    }

    /// Opens a legacy connection and logs in on it.
    fn welcome(&mut self, name: &str) -> (ConnId, Welcome) {
        let conn = self.open_as(Dialect::Legacy);
        self.say(conn, Table::login_command(name));
        self.settle();
        let mut seen = self.take(conn).into_iter();
        assert!(matches!(seen.next(), Some(Seen::LoggedIn(_))));
        let Some(Seen::Welcome(welcome)) = seen.next() else { panic!("no welcome") };
        assert_eq!(seen.next(), Some(Seen::Reply(0, Reply::Done)));
        assert_eq!(seen.next(), None, "whatever was missed and read came with the welcome");
        (conn, *welcome)
    }
}

fn missed(welcome: &Welcome) -> Vec<String> {
    welcome.missed.iter().map(|message| message.content.to_string()).collect()
}

#[test]
fn a_welcome_has_the_members_of_groups_and_what_was_missed() {
    let mut t = table();
    t.befriend(1, 2);
    let group = t.group(&[1, 2, 3]);
    let alice = t.login("alice");
    for (target, content) in [(TO_BOB, "1"), (Target::Conversation(group), "2"), (TO_BOB, "3")] {
        t.get(alice, Table::text(target, content));
    }
    t.take(alice);
    let (_, welcome) = t.welcome("bob");
    assert_eq!((welcome.id, &*welcome.name), (UserId(2), "bob"));
    let [(known, members)] = &welcome.groups[..] else { panic!("{welcome:?}") };
    assert_eq!((known.conversation, members.len()), (group, 3));
    assert_eq!(members[0].state, Presence::Online);
    let mut told = missed(&welcome);
    told.sort();
    assert_eq!(told, ["1", "2", "3"]);
    let came = |seen: &Seen| matches!(seen, Seen::Push(Push::Presence(presence::Push::Changed(change))) if change.id == UserId(2));
    assert!(t.take(alice).iter().any(came), "friends are told");
}

#[test]
fn a_welcome_says_who_is_online_at_another_node() {
    let mut t =
        Table::new(Rules { cluster: Some("n1-1".into()), ..rules() }, &["alice", "bob", "carol", "dan"]);
    let groups = [t.group(&[1, 2, 3]), t.group(&[1, 3, 4])];
    t.login("bob");
    t.elsewhere = vec![UserId(3)];
    let (_, welcome) = t.welcome("alice");
    let state = |member: &Member| (member.id.0, member.state == Presence::Online);
    let told: Vec<_> = welcome
        .groups
        .iter()
        .map(|(group, members)| (group.conversation, members.iter().map(state).collect::<Vec<_>>()))
        .collect();
    let expected = [[(1, true), (2, true), (3, true)], [(1, true), (3, true), (4, false)]];
    assert_eq!(told, groups.into_iter().zip(expected.map(Vec::from)).collect::<Vec<_>>());
}

#[test]
fn what_the_kernel_took_is_missed_no_more_and_what_it_did_not_is() {
    let mut t = table();
    let alice = t.login("alice");
    let (bob, _) = t.welcome("bob");
    for content in ["1", "2", "3"] {
        t.get(alice, Table::text(TO_BOB, content));
    }
    assert_eq!(t.texts(bob), ["1", "2", "3"]);
    t.input(ack(bob, 2));
    t.input(Input::Closed { conn: bob });
    t.settle();
    let (_, welcome) = t.welcome("bob");
    assert_eq!(missed(&welcome), ["3"]);
    let delivered = |seen: &Seen| matches!(seen, Seen::Push(Push::Timeline(timeline::Push::Delivered(_))));
    assert!(t.take(alice).iter().any(delivered), "the sender sees it");
}

#[test]
fn a_backlog_of_any_size_comes_a_window_at_a_time_and_once() {
    let mut t = table();
    let alice = t.login("alice");
    for content in texts(1..=300) {
        t.get(alice, Table::text(TO_BOB, &content));
    }
    let (bob, welcome) = t.welcome("bob");
    let mut told = missed(&welcome);
    assert_eq!(told.len(), LEGACY_WINDOW as usize);
    // Whatever comes meanwhile waits behind it.
    t.get(alice, Table::text(TO_BOB, "301"));
    while told.len() < 301 {
        t.input(ack(bob, told.len() as u64));
        t.settle();
        let more = t.texts(bob);
        assert!(!more.is_empty() && more.len() <= LEGACY_WINDOW as usize);
        told.extend(more);
    }
    assert_eq!(told, texts(1..=301));
    t.input(ack(bob, 301));
    t.get(alice, Table::text(TO_BOB, "302"));
    assert_eq!(t.texts(bob), ["302"], "live again");
}

#[test]
fn a_message_that_comes_while_what_was_missed_is_read_is_neither_lost_nor_doubled() {
    // However far the login has come when it is stored.
    for steps in 0..14 {
        let mut t = table();
        let alice = t.login("alice");
        t.get(alice, Table::text(TO_BOB, "1"));
        let group = t.group(&[1, 2]);
        t.get(alice, Table::text(Target::Conversation(group), "0"));
        let bob = t.open_as(Dialect::Legacy);
        t.say(bob, Table::login_command("bob"));
        for _ in 0..steps {
            let _ = t.store_one() || t.find_one();
        }
        for target in [TO_BOB, Target::Conversation(group)] {
            t.ask(alice, Table::text(target, "2"));
            while t.store_one() {}
        }
        t.settle();
        let (mut told, mut is_welcome) = (Vec::new(), false);
        for seen in t.take(bob) {
            match seen {
                Seen::Welcome(welcome) => {
                    is_welcome = true;
                    told.extend(missed(&welcome));
                }
                // Before the answer to its login a client takes nothing.
                Seen::Push(Push::Message(message::Push::New(message))) if is_welcome => {
                    told.push(message.content.to_string());
                }
                _ => {}
            }
        }
        told.sort();
        assert_eq!(told, ["0", "1", "2", "2"], "after {steps} steps");
    }
}

#[test]
fn what_the_kernel_took_is_missed_no_more_whenever_that_is_written() {
    // However far the login has come when the cursors are.
    for steps in 0..14 {
        let mut t = table();
        let alice = t.login("alice");
        let (bob, _) = t.welcome("bob");
        t.get(alice, Table::text(TO_BOB, "1"));
        let group = t.group(&[1, 2]);
        t.get(alice, Table::text(Target::Conversation(group), "1"));
        assert_eq!(t.texts(bob), ["1", "1"]);
        for conversation in [ALICE_BOB, group] {
            t.say(
                bob,
                Command::Timeline(timeline::Request::Ack(timeline::Cursor { conversation, seq: Seq(1) })),
            );
        }
        t.say(bob, Command::Session(session::Request::Logout));
        t.say(bob, Table::login_command("bob"));
        for _ in 0..steps {
            let _ = t.store_one() || t.find_one();
        }
        t.advance(1_000);
        while t.store_one() {}
        t.settle();
        let seen = t.take(bob);
        let welcome = seen.iter().find_map(|seen| match seen {
            Seen::Welcome(welcome) => Some(missed(welcome)),
            _ => None,
        });
        assert_eq!(welcome, Some(vec![]), "after {steps} steps");
    }
}

#[test]
fn nothing_but_messages_is_pushed_and_nothing_of_its_own() {
    let mut t = table();
    t.befriend(1, 2);
    let (alice, _) = t.welcome("alice");
    let bob = t.login("bob");
    t.say(alice, Table::text(TO_BOB, "to bob"));
    t.settle();
    t.input(ack(bob, 1));
    t.input(Input::Closed { conn: bob });
    t.settle();
    let told = t.take(alice);
    assert!(matches!(&told[..], [Seen::Reply(0, Reply::Message(message::Reply::Sent(_)))]), "{told:?}");
    t.say(alice, Command::Session(session::Request::Logout));
    t.settle();
    let (_, welcome) = t.welcome("alice");
    assert!(welcome.missed.is_empty());
}

#[test]
fn a_logout_needs_no_storage_and_frees_the_connection() {
    let mut t = table();
    let (conn, _) = t.welcome("alice");
    t.is_away = true;
    t.say(conn, Command::Session(session::Request::Logout));
    assert_eq!(t.take(conn), [Seen::LoggedOut, Seen::Reply(0, Reply::Done)]);
    t.is_away = false;
    t.settle();
    t.say(conn, Table::login_command("bob"));
    t.settle();
    assert!(
        t.take(conn).iter().any(|seen| matches!(seen, Seen::Welcome(welcome) if welcome.id == UserId(2)))
    );
}

#[test]
fn reject_refuses_and_kick_closes() {
    let mut t = Table::new(Rules { conflict: Conflict::Reject, ..rules() }, &["alice"]);
    let (first, _) = t.welcome("alice");
    let second = t.open_as(Dialect::Legacy);
    t.say(second, Table::login_command("alice"));
    t.settle();
    let seen = t.take(second);
    assert!(matches!(&seen[..], [Seen::Reply(0, reply)] if errno(reply) == Errno::AlreadyOnline), "{seen:?}");
    assert!(t.take(first).is_empty());

    let mut t = table();
    let (first, _) = t.welcome("alice");
    t.welcome("alice");
    assert_eq!(t.take(first).last(), Some(&Seen::Close));
    assert_eq!(t.logic.sessions(), 1);
}

#[test]
fn whoever_goes_while_being_welcomed_leaves_nothing_behind() {
    for steps in 0..8 {
        let mut t = table();
        t.group(&[1, 2]);
        let conn = t.open_as(Dialect::Legacy);
        t.say(conn, Table::login_command("alice"));
        for _ in 0..steps {
            let _ = t.store_one() || t.find_one();
        }
        t.input(Input::Closed { conn });
        t.settle();
        assert!(t.logic.is_settled() && t.logic.sessions() == 0, "after {steps} steps");
    }
}

// ---- messages that cannot be stored now ---------------------------------------------------------------------------

#[test]
fn what_storage_gives_back_is_tried_again_in_order_and_stored_once() {
    let mut t = table();
    let (alice, _) = t.welcome("alice");
    let bob = t.login("bob");
    t.take(bob);
    for content in texts(1..=3) {
        t.say(alice, Table::text(TO_BOB, &content));
    }
    // The first is given back, the second not yet answered: nothing is tried, nor is what comes now.
    t.is_away = true;
    assert!(t.store_one());
    t.is_away = false;
    t.say(alice, Table::text(TO_BOB, "4"));
    t.advance(200);
    assert_eq!(t.writes.len(), 2, "the second and the third, and no other");
    t.is_away = true;
    t.settle();
    t.is_away = false;
    assert!(t.take(alice).is_empty(), "nothing is answered that is not stored");
    t.advance(200);
    t.settle();
    assert_eq!(t.texts(bob), texts(1..=4));
    let told = t.take(alice);
    let is_sent = |seen: &Seen| matches!(seen, Seen::Reply(0, Reply::Message(message::Reply::Sent(sent))) if !sent.duplicate);
    assert!(told.len() == 4 && told.iter().all(is_sent), "{told:?}");
}

#[test]
fn what_follows_a_message_that_was_given_back_can_be_told_from_what_comes_after_it() {
    let mut t = table();
    let (alice, _) = t.welcome("alice");
    let flights = |t: &Table| -> Vec<_> {
        let flight = |write: &Write| match write {
            Write::Message(contract::message::Write::Append(append)) => append.stream.expect("a flight"),
            other => panic!("{other:?}"),
        };
        t.writes.iter().map(|(_, write)| flight(write)).collect()
    };
    for content in texts(1..=3) {
        t.say(alice, Table::text(TO_BOB, &content));
    }
    let first = flights(&t);
    assert!(first.iter().all(|flight| *flight == first[0]), "{first:?}");
    t.is_away = true;
    t.settle();
    t.is_away = false;
    t.advance(200);
    let again = flights(&t);
    assert!(again.len() == 3 && again.iter().all(|flight| *flight == again[0]), "{again:?}");
    assert!(again[0] > first[0], "they are sent again in order, in another flight");
    // Each connection flies by itself.
    let (bob, _) = t.welcome("bob");
    t.say(bob, Table::text(Target::User(UserId(1)), "x"));
    let bobs = *flights(&t).last().expect("it was sent");
    assert!(bobs > again[0]);
    // With nothing on its way a flight is over: however long a connection lives, storage knows of its latest.
    t.settle();
    t.say(alice, Table::text(TO_BOB, "4"));
    assert!(flights(&t)[0] > bobs, "{:?}", flights(&t));
}

#[test]
fn whoever_sends_too_fast_is_slowed_down() {
    let mut t = Table::new(Rules { messages_per_second: 1, ..rules() }, &["alice", "bob"]);
    let (alice, _) = t.welcome("alice");
    let bob = t.login("bob");
    t.take(bob);
    for content in texts(1..=15) {
        t.say(alice, Table::text(TO_BOB, &content));
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
fn what_can_never_be_stored_is_dropped_and_the_rest_goes_on() {
    let mut t = table();
    let (alice, _) = t.welcome("alice");
    let bob = t.login("bob");
    t.take(bob);
    for (target, content) in
        [(Target::User(UserId(1)), "to herself"), (Target::User(UserId(77)), "to nobody"), (TO_BOB, "to bob")]
    {
        t.say(alice, Table::text(target, content));
    }
    t.settle();
    let replies = t.take(alice).into_iter().map(|seen| match seen {
        Seen::Reply(0, reply) => errno(&reply),
        other => panic!("{other:?}"),
    });
    assert_eq!(replies.collect::<Vec<_>>(), [Errno::BadRequest, Errno::NotFound, Errno::Ok]);
    assert_eq!(t.texts(bob), ["to bob"]);
}

#[test]
fn after_a_minute_the_connection_closes() {
    let sends = |t: &mut Table| {
        let (alice, _) = t.welcome("alice");
        t.say(alice, Table::text(TO_BOB, "1"));
        alice
    };
    // Given back again and again.
    let mut t = table();
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

    // Never answered; should it be stored yet, it is delivered.
    let mut t = table();
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
fn what_waits_in_a_line_is_stored_when_the_server_stops() {
    let mut t = Table::new(Rules { messages_per_second: 1, ..rules() }, &["alice", "bob", "carol"]);
    let (alice, _) = t.welcome("alice");
    let (bob, _) = t.welcome("bob");
    for content in texts(1..=50) {
        t.say(alice, Table::text(TO_BOB, &content));
    }
    t.settle();
    let mut told = t.texts(bob);
    assert!(told.len() < 50, "a burst at most");
    t.logic.drain(t.now, &mut t.fx);
    assert!(!t.logic.is_settled(), "it does not end before they are stored");
    // What comes now is as if it had come too late.
    t.say(alice, Table::text(TO_BOB, "51"));
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
