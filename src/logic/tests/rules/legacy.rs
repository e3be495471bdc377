//! Legacy clients, which understand no pushes but messages, read no replies and send no receipts.

use super::harness::{Harness, Seen, errno, rules};
use super::{ALICE_BOB, TO_BOB, ack, harness, texts};
use logic::limits::LEGACY_WINDOW;
use logic::{Conflict, ConnId, Input, Policy, Rules};
use wire::group::Member;
use wire::legacy::Welcome;
use wire::presence::Presence;
use wire::{Command, Dialect, Errno, Push, Reply, Seq, Target, UserId};
use wire::{message, presence, session, timeline};

impl Harness {
    /// Sends a request as a legacy connection does.
    pub fn ask_legacy(&mut self, conn: ConnId, command: Command) {
        self.input(Input::Request { conn, request: 0, command });
    }

    /// Logs in on a new legacy connection.
    pub fn welcome(&mut self, name: &str) -> (ConnId, Welcome) {
        let conn = self.open_as(Dialect::Legacy);
        self.ask_legacy(conn, Harness::login_command(name));
        self.settle();
        let mut seen = self.take(conn).into_iter();
        assert!(matches!(seen.next(), Some(Seen::LoggedIn(_))));
        let Some(Seen::Welcome(welcome)) = seen.next() else { panic!("no welcome") };
        assert_eq!(seen.next(), Some(Seen::Reply(0, Reply::Done)));
        assert_eq!(seen.next(), None, "missed messages come with the welcome");
        (conn, *welcome)
    }
}

fn missed(welcome: &Welcome) -> Vec<String> {
    welcome.missed.iter().map(|message| message.content.to_string()).collect()
}

#[test]
fn a_welcome_holds_group_members_and_missed_messages() {
    let mut t = harness();
    t.befriend(1, 2);
    let group = t.group(&[1, 2, 3]);
    let alice = t.login("alice");
    for (target, content) in [(TO_BOB, "1"), (Target::Conversation(group), "2"), (TO_BOB, "3")] {
        t.get(alice, Harness::text(target, content));
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
    assert!(t.take(alice).iter().any(came), "friends see the user come online");
}

#[test]
fn a_welcome_shows_members_online_on_other_nodes() {
    let mut t =
        Harness::new(Rules { cluster: Some("n1-1".into()), ..rules() }, &["alice", "bob", "carol", "dan"]);
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
fn only_messages_the_kernel_did_not_take_are_missed() {
    let mut t = harness();
    let alice = t.login("alice");
    let (bob, _) = t.welcome("bob");
    for content in ["1", "2", "3"] {
        t.get(alice, Harness::text(TO_BOB, content));
    }
    assert_eq!(t.texts(bob), ["1", "2", "3"]);
    t.input(ack(bob, 2));
    t.input(Input::Closed { conn: bob });
    t.settle();
    let (_, welcome) = t.welcome("bob");
    assert_eq!(missed(&welcome), ["3"]);
    let delivered = |seen: &Seen| matches!(seen, Seen::Push(Push::Timeline(timeline::Push::Delivered(_))));
    assert!(t.take(alice).iter().any(delivered), "the sender gets a receipt");
}

#[test]
fn missed_messages_come_once_and_a_window_at_a_time() {
    let mut t = harness();
    let alice = t.login("alice");
    for content in texts(1..=300) {
        t.get(alice, Harness::text(TO_BOB, &content));
    }
    let (bob, welcome) = t.welcome("bob");
    let mut told = missed(&welcome);
    assert_eq!(told.len(), LEGACY_WINDOW as usize);
    // A new message waits behind them.
    t.get(alice, Harness::text(TO_BOB, "301"));
    while told.len() < 301 {
        t.input(ack(bob, told.len() as u64));
        t.settle();
        let more = t.texts(bob);
        assert!(!more.is_empty() && more.len() <= LEGACY_WINDOW as usize);
        told.extend(more);
    }
    assert_eq!(told, texts(1..=301));
    t.input(ack(bob, 301));
    t.get(alice, Harness::text(TO_BOB, "302"));
    assert_eq!(t.texts(bob), ["302"], "the session is live again");
}

#[test]
fn a_message_stored_during_a_welcome_is_delivered_once() {
    // At any step of the login.
    for steps in 0..14 {
        let mut t = harness();
        let alice = t.login("alice");
        t.get(alice, Harness::text(TO_BOB, "1"));
        let group = t.group(&[1, 2]);
        t.get(alice, Harness::text(Target::Conversation(group), "0"));
        let bob = t.open_as(Dialect::Legacy);
        t.ask_legacy(bob, Harness::login_command("bob"));
        for _ in 0..steps {
            let _ = t.store_one() || t.find_one();
        }
        for target in [TO_BOB, Target::Conversation(group)] {
            t.ask(alice, Harness::text(target, "2"));
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
                // A client reads nothing before the answer to its login.
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
fn a_welcome_does_not_wait_for_what_is_dropped_meanwhile() {
    // At any step of the login; of a member, and of who has left.
    for has_left in [false, true] {
        for steps in 0..14 {
            let mut t = harness();
            let alice = t.login("alice");
            let group = t.group(&[1, 2]);
            for text in ["1", "2", "3"] {
                t.get(alice, Harness::text(Target::Conversation(group), text));
            }
            let of = group.0 as usize - 1;
            if has_left {
                t.conversations[of].members.retain(|member| *member != UserId(2));
                t.conversations[of].left.insert(UserId(2), Seq(3));
            }
            let bob = t.open_as(Dialect::Legacy);
            t.ask_legacy(bob, Harness::login_command("bob"));
            for _ in 0..steps {
                let _ = t.store_one() || t.find_one();
            }
            t.conversations[of].joined.insert(UserId(2), Seq(3));
            t.settle();
            let seen = t.take(bob);
            let is_welcome = |seen: &Seen| matches!(seen, Seen::Welcome(_));
            assert!(seen.iter().any(is_welcome), "after {steps} steps, left: {has_left}: {seen:?}");
        }
    }
}

#[test]
fn messages_the_kernel_took_are_not_missed_whenever_cursors_are_written() {
    // At any step of the login.
    for steps in 0..14 {
        let mut t = harness();
        let alice = t.login("alice");
        let (bob, _) = t.welcome("bob");
        t.get(alice, Harness::text(TO_BOB, "1"));
        let group = t.group(&[1, 2]);
        t.get(alice, Harness::text(Target::Conversation(group), "1"));
        assert_eq!(t.texts(bob), ["1", "1"]);
        for conversation in [ALICE_BOB, group] {
            t.ask_legacy(
                bob,
                Command::Timeline(timeline::Request::Ack(timeline::Cursor { conversation, seq: Seq(1) })),
            );
        }
        t.ask_legacy(bob, Command::Session(session::Request::Logout));
        t.ask_legacy(bob, Harness::login_command("bob"));
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
fn only_messages_of_others_are_pushed() {
    let mut t = harness();
    t.befriend(1, 2);
    let (alice, _) = t.welcome("alice");
    let bob = t.login("bob");
    t.ask_legacy(alice, Harness::text(TO_BOB, "to bob"));
    t.settle();
    t.input(ack(bob, 1));
    t.input(Input::Closed { conn: bob });
    t.settle();
    let told = t.take(alice);
    assert!(matches!(&told[..], [Seen::Reply(0, Reply::Message(message::Reply::Sent(_)))]), "{told:?}");
    t.ask_legacy(alice, Command::Session(session::Request::Logout));
    t.settle();
    let (_, welcome) = t.welcome("alice");
    assert!(welcome.missed.is_empty());
}

#[test]
fn a_logout_works_without_storage() {
    let mut t = harness();
    let (conn, _) = t.welcome("alice");
    t.is_away = true;
    t.ask_legacy(conn, Command::Session(session::Request::Logout));
    assert_eq!(t.take(conn), [Seen::LoggedOut, Seen::Reply(0, Reply::Done)]);
    t.is_away = false;
    t.settle();
    t.ask_legacy(conn, Harness::login_command("bob"));
    t.settle();
    assert!(
        t.take(conn).iter().any(|seen| matches!(seen, Seen::Welcome(welcome) if welcome.id == UserId(2)))
    );
}

#[test]
fn a_second_login_is_refused_or_kicks_the_first() {
    let sessions = Policy { conflict: Conflict::Reject, sessions_max: 10 };
    let mut t = Harness::new(Rules { sessions, ..rules() }, &["alice"]);
    let (first, _) = t.welcome("alice");
    let second = t.open_as(Dialect::Legacy);
    t.ask_legacy(second, Harness::login_command("alice"));
    t.settle();
    let seen = t.take(second);
    assert!(matches!(&seen[..], [Seen::Reply(0, reply)] if errno(reply) == Errno::AlreadyOnline), "{seen:?}");
    assert!(t.take(first).is_empty());

    let mut t = harness();
    let (first, _) = t.welcome("alice");
    t.welcome("alice");
    assert_eq!(t.take(first).last(), Some(&Seen::Close));
    assert_eq!(t.logic.sessions(), 1);
}

#[test]
fn a_connection_closed_during_a_welcome_leaves_nothing_behind() {
    for steps in 0..8 {
        let mut t = harness();
        t.group(&[1, 2]);
        let conn = t.open_as(Dialect::Legacy);
        t.ask_legacy(conn, Harness::login_command("alice"));
        for _ in 0..steps {
            let _ = t.store_one() || t.find_one();
        }
        t.input(Input::Closed { conn });
        t.settle();
        assert!(t.logic.is_settled() && t.logic.sessions() == 0, "after {steps} steps");
    }
}
