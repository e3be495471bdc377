//! The rules, tried one by one.

mod legacy;
mod table;

use logic::limits::{OUTPUT_HARD, OUTPUT_SOFT};
use logic::{Conflict, ConnId, Input, Rules, Written};
use table::{GRACE, Seen, Table, errno, rules};
use wire::limits::UNACKED_MAX;
use wire::presence::Presence;
use wire::timeline::Receipt;
use wire::{Command, ConversationId, Credentials, Errno, Push, Reply, Seq, Target, UserId};
use wire::{group, message, node, presence, session, timeline};

const TO_BOB: Target = Target::User(UserId(2));
const ALICE_BOB: ConversationId = ConversationId(1);

fn table() -> Table {
    Table::new(rules(), &["alice", "bob", "carol"])
}

fn ack(conn: ConnId, seq: u64) -> Input {
    Input::Request {
        conn,
        request: 0,
        command: Command::Timeline(timeline::Request::Ack(timeline::Cursor {
            conversation: ALICE_BOB,
            seq: Seq(seq),
        })),
    }
}

fn texts(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[test]
fn the_promise_comes_after_the_commit_and_before_the_delivery() {
    let mut t = table();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.take(bob);
    let request = t.ask(alice, Table::text(TO_BOB, "hello"));
    assert_eq!(t.reply(alice, request), None, "nothing is promised before storage has answered");
    assert!(t.take(bob).is_empty());
    t.settle();
    assert!(
        matches!(t.reply(alice, request), Some(Reply::Message(message::Reply::Sent(sent))) if sent.seq == Seq(1) && !sent.duplicate)
    );
    assert_eq!(t.texts(bob), ["hello"]);
    assert!(t.texts(alice).is_empty(), "not to the connection that sent it");
}

#[test]
fn nothing_but_login_and_register_before_login() {
    let mut t = table();
    let conn = t.open();
    for command in [
        Table::text(TO_BOB, "x"),
        Command::Session(session::Request::Logout),
        Command::Group(group::Request::Groups(wire::Page { after: 0, limit: 1 })),
    ] {
        let reply = t.get(conn, command);
        assert_eq!(errno(&reply), Errno::NotLoggedIn);
    }
    t.input(ack(conn, 1));
    assert!(matches!(t.get(conn, Command::Node(node::Request::Nodes)), Reply::Node(node::Reply::Nodes(_))));
}

#[test]
fn a_second_login_kicks_the_first_and_revokes_its_token() {
    let mut t = table();
    let first = t.login("alice");
    let second = t.login("alice");
    let seen = t.take(first);
    assert!(
        seen.iter().any(|s| matches!(s, Seen::Push(Push::Session(session::Push::Kicked(k))) if k.device.as_deref() == Some("phone")))
    );
    assert_eq!(seen.last(), Some(&Seen::Close));
    assert_eq!(t.revoked, [[1; 32]]);
    assert_eq!(errno(&t.get(first, Table::text(TO_BOB, "late"))), Errno::NotLoggedIn);
    assert!(matches!(t.get(second, Table::text(TO_BOB, "now")), Reply::Message(message::Reply::Sent(_))));
}

#[test]
fn a_reconnect_by_token_keeps_the_token() {
    let mut t = table();
    let first = t.login("alice");
    let second = t.open();
    let credentials = Credentials::Token("1:1".into());
    let reply = t
        .get(second, Command::Session(session::Request::Login(session::Login { credentials, device: None })));
    assert!(matches!(reply, Reply::Session(session::Reply::LoggedIn(l)) if &*l.token == "1:1"));
    assert!(t.take(first).contains(&Seen::Close));
    assert!(t.revoked.is_empty());
}

#[test]
fn two_logins_at_once_leave_one_session_and_two_answers() {
    let mut t = table();
    let (first, second) = (t.open(), t.open());
    let a = t.ask(first, Table::login_command("alice"));
    let b = t.ask(second, Table::login_command("alice"));
    t.settle();
    assert_eq!(errno(&t.reply(first, a).unwrap()), Errno::NotLoggedIn);
    assert!(matches!(t.reply(second, b), Some(Reply::Session(session::Reply::LoggedIn(_)))));
    assert_eq!(t.logic.sessions(), 1);
}

#[test]
fn a_session_is_claimed_below_the_one_before_it_and_is_the_one() {
    // As by a database that was restored from a backup.
    let mut t = Table::new(Rules { cluster: Some("n1-1".into()), ..rules() }, &["alice", "bob"]);
    t.next_epoch = 7;
    let mut before = t.login("alice");
    for epoch in [7, 3, 4] {
        t.next_epoch = epoch;
        let next = t.login("alice");
        assert_eq!(t.take(before).last(), Some(&Seen::Close));
        assert_eq!(t.logic.sessions(), 1);
        assert!(matches!(t.get(next, Table::text(TO_BOB, "now")), Reply::Message(message::Reply::Sent(_))));
        before = next;
    }
    // Nor do what is absent and what comes back stand in each other's way.
    t.input(Input::Closed { conn: before });
    t.settle();
    t.next_epoch = 1;
    t.login("alice");
    assert_eq!(t.logic.sessions(), 1);
}

#[test]
fn reject_refuses_the_second() {
    let mut t = Table::new(Rules { conflict: Conflict::Reject, ..rules() }, &["alice", "bob"]);
    let first = t.login("alice");
    let second = t.open();
    assert_eq!(errno(&t.get(second, Table::login_command("alice"))), Errno::AlreadyOnline);
    assert!(!t.take(first).contains(&Seen::Close));
    t.input(Input::Closed { conn: first });
    t.settle();
    assert!(matches!(
        t.get(second, Table::login_command("alice")),
        Reply::Session(session::Reply::LoggedIn(_))
    ));
}

#[test]
fn wrong_passwords_and_unknown_names_get_the_same_answers() {
    let mut t = table();
    let wrong = |name: &str| {
        Command::Session(session::Request::Login(session::Login {
            credentials: Credentials::Password {
                who: wire::account::Who::Name(name.into()),
                password: "wrong!".into(),
            },
            device: None,
        }))
    };
    let conn = t.open();
    let answers =
        |t: &mut Table, name: &str| -> Vec<Reply> { (0..7).map(|_| t.get(conn, wrong(name))).collect() };
    let (known, unknown) = (answers(&mut t, "alice"), answers(&mut t, "nobody"));
    assert_eq!(known, unknown);
    assert_eq!(errno(&known[4]), Errno::BadCredentials);
    assert_eq!(errno(&known[5]), Errno::RateLimited);
    // From the same address also the right one must wait now; a token need not.
    assert_eq!(errno(&t.get(conn, Table::login_command("alice"))), Errno::RateLimited);
    let credentials = Credentials::Token("1:9".into());
    assert!(matches!(
        t.get(conn, Command::Session(session::Request::Login(session::Login { credentials, device: None }))),
        Reply::Session(session::Reply::LoggedIn(_))
    ));
}

#[test]
fn logout_waits_for_what_was_asked_before() {
    let mut t = table();
    let alice = t.login("alice");
    let send = t.ask(alice, Table::text(TO_BOB, "first"));
    let logout = t.ask(alice, Command::Session(session::Request::Logout));
    assert_eq!(t.writes.len(), 1, "the logout has not begun");
    t.settle();
    let seen = t.take(alice);
    let at = |request| seen.iter().position(|s| matches!(s, Seen::Reply(r, _) if *r == request)).unwrap();
    assert!(at(send) < at(logout));
    assert!(seen.contains(&Seen::LoggedOut));
    assert_eq!(t.revoked.len(), 1);
    assert_eq!(errno(&t.get(alice, Table::text(TO_BOB, "after"))), Errno::NotLoggedIn);
    assert!(matches!(t.get(alice, Table::login_command("bob")), Reply::Session(session::Reply::LoggedIn(_))));
}

#[test]
fn what_is_stored_while_a_login_reads_its_view_is_not_lost_and_not_doubled() {
    for stored_first in [false, true] {
        let mut t = table();
        let alice = t.login("alice");
        t.get(alice, Table::text(TO_BOB, "1"));
        let bob = t.open();
        t.ask(bob, Table::login_command("bob"));
        t.find_one(); // the account
        t.store_one(); // the token: the session begins
        t.ask(alice, Table::text(TO_BOB, "2"));
        if stored_first {
            t.store_one(); // stored, and its outcome known, before the view is read
        }
        t.find_one(); // the view
        t.settle();
        t.get(alice, Table::text(TO_BOB, "3"));
        let seen = t.take(bob);
        let login = seen.iter().position(|s| matches!(s, Seen::Reply(..))).unwrap();
        let first = seen.iter().position(|s| matches!(s, Seen::Push(_))).unwrap();
        assert!(login < first, "the reply to LOGIN comes before any push");
        let got: Vec<_> = seen
            .iter()
            .filter_map(|s| match s {
                Seen::Push(Push::Message(message::Push::New(m))) => Some(m.content.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(got, texts(1..=3));
    }
}

#[test]
fn who_does_not_acknowledge_falls_behind_and_is_fed_as_acks_come() {
    let mut t = table();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    for n in 1..=1500 {
        t.get(alice, Table::text(TO_BOB, &n.to_string()));
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
    t.get(alice, Table::text(TO_BOB, "1501"));
    assert_eq!(t.texts(bob), texts(1101..=1501), "live again");
}

#[test]
fn who_does_not_read_falls_behind_and_is_fed_when_output_drains() {
    let mut t = table();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.stalled = true;
    let long = "x".repeat(16 << 10);
    let count = 3 * OUTPUT_HARD / long.len();
    for _ in 0..count {
        t.get(alice, Table::text(TO_BOB, &long));
    }
    let seen = t.take(bob);
    let messages = |seen: &[Seen]| {
        seen.iter().filter(|s| matches!(s, Seen::Push(Push::Message(message::Push::New(_))))).count()
    };
    let mut got = messages(&seen);
    assert!(got * long.len() >= OUTPUT_SOFT && got * long.len() <= OUTPUT_HARD + long.len());
    assert_eq!(seen.iter().filter(|s| **s == Seen::NotifyDrained).count(), 1);
    for _ in 0..count {
        t.input(Input::Drained { conn: bob });
        t.settle();
        got += messages(&t.take(bob));
    }
    assert_eq!(got, count);
}

#[test]
fn a_connection_that_is_behind_does_not_get_its_own_messages() {
    let mut t = table();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    for n in 1..=500 {
        t.get(alice, Table::text(TO_BOB, &n.to_string()));
    }
    t.get(alice, Table::text(TO_BOB, "501"));
    t.get(bob, Table::text(Target::Conversation(ALICE_BOB), "own"));
    t.get(alice, Table::text(TO_BOB, "503"));
    t.input(ack(bob, 500));
    t.settle();
    assert_eq!(t.texts(bob).last().unwrap(), "503");
    // A later login of bob's gets it, as far as it was not acknowledged.
    t.input(Input::Closed { conn: bob });
    let bob = t.login("bob");
    t.settle();
    assert_eq!(t.texts(bob), ["501", "own", "503"]);
}

#[test]
fn a_message_that_takes_too_long_is_unavailable_with_its_cid_and_still_delivered() {
    let mut t = table();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    let request = t.ask(alice, Table::text(TO_BOB, "slow"));
    for _ in 0..19 {
        t.advance(100);
    }
    let Some(Reply::Refused(refusal)) = t.reply(alice, request) else { panic!("within 2 s") };
    assert_eq!(refusal.errno, Errno::Unavailable);
    assert!(refusal.cid.is_some(), "to retry with");
    t.settle();
    assert_eq!(t.texts(bob), ["slow"]);
    assert_eq!(t.texts(alice), [""; 0]);
}

#[test]
fn the_rate_is_per_account_and_a_duplicate_does_not_count() {
    let mut t = Table::new(Rules { messages_per_second: 1, ..rules() }, &["alice", "bob"]);
    let alice = t.login("alice");
    let with_cid = |cid: &str| {
        let Command::Message(message::Request::Send(mut send)) = Table::text(TO_BOB, "x") else {
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
    assert_eq!(errno(&t.get(alice, with_cid("new"))), Errno::RateLimited, "coming back does not help");
    t.advance(1000);
    assert!(matches!(t.get(alice, with_cid("new")), Reply::Message(message::Reply::Sent(_))));
}

#[test]
fn receipts_reach_the_peer_once_and_never_pass_the_end() {
    let mut t = table();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.get(alice, Table::text(TO_BOB, "1"));
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
fn cursors_are_written_once_a_second_and_are_right_before_that() {
    let mut t = table();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    for n in 1..=10 {
        t.get(alice, Table::text(TO_BOB, &n.to_string()));
        t.input(ack(bob, n));
    }
    assert_eq!(t.conversations[0].cursors[&UserId(2)], (Seq(0), Seq(0)));
    t.input(Input::Closed { conn: bob });
    let bob = t.login("bob");
    assert!(t.texts(bob).is_empty(), "what was acknowledged a moment ago is not pushed again");
    t.advance(1000);
    assert_eq!(t.writes.len(), 1);
    t.settle();
    assert_eq!(t.conversations[0].cursors[&UserId(2)], (Seq(10), Seq(0)));
    assert_eq!(t.conversations[0].cursors[&UserId(1)], (Seq(10), Seq(10)), "own messages count as read");
}

#[test]
fn what_was_confirmed_is_believed_for_two_seconds_also_where_nothing_else_happens() {
    // What storage says may be older than the write, or true because the write was undone.
    for (seconds, missed) in [(1, 0), (2, 3)] {
        let mut t = table();
        let (alice, bob) = (t.login("alice"), t.login("bob"));
        for n in 1..=3 {
            t.get(alice, Table::text(TO_BOB, &n.to_string()));
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
fn cursors_that_could_not_be_written_are_written_later() {
    let mut t = table();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.get(alice, Table::text(TO_BOB, "1"));
    t.input(ack(bob, 1));
    t.advance(1000);
    let (ticket, _) = t.writes.pop_front().unwrap();
    t.logic.handle_written(t.now, ticket, Written::Unavailable, &mut t.fx);
    t.get(alice, Table::text(TO_BOB, "2"));
    t.input(ack(bob, 2));
    for _ in 0..3 {
        t.advance(1000);
        t.settle();
    }
    assert_eq!(t.conversations[0].cursors[&UserId(2)].0, Seq(2));
    assert!(t.logic.is_settled());
}

#[test]
fn friends_see_each_other_come_and_go() {
    let mut t = table();
    t.befriend(1, 2);
    let alice = t.login("alice");
    t.take(alice);
    let presence = |seen: Vec<Seen>| -> Vec<Presence> {
        seen.into_iter()
            .filter_map(|s| match s {
                Seen::Push(Push::Presence(presence::Push::Changed(p))) => Some(p.state),
                _ => None,
            })
            .collect()
    };
    let bob = t.login("bob");
    t.login("carol");
    assert_eq!(presence(t.take(alice)), [Presence::Online]);
    // Logging in again from elsewhere is no coming and going.
    let again = t.login("bob");
    t.input(Input::Closed { conn: bob });
    t.settle();
    assert_eq!(presence(t.take(alice)), []);
    t.input(Input::Closed { conn: again });
    t.settle();
    assert_eq!(presence(t.take(alice)), [], "a session outlives its connection");
    t.advance(GRACE - 1);
    t.settle();
    assert_eq!(presence(t.take(alice)), []);
    t.advance(1);
    t.settle();
    assert_eq!(presence(t.take(alice)), [Presence::Offline]);
    // LOGOUT is a going at once.
    let bob = t.login("bob");
    assert_eq!(presence(t.take(alice)), [Presence::Online]);
    t.get(bob, Command::Session(session::Request::Logout));
    t.settle();
    assert_eq!(presence(t.take(alice)), [Presence::Offline]);
}

#[test]
fn a_session_is_resumed_by_its_token_within_its_grace() {
    let mut t = table();
    t.befriend(1, 2);
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.get(alice, Table::text(TO_BOB, "one"));
    t.take(bob);
    t.take(alice);
    t.input(Input::Closed { conn: bob });
    t.get(alice, Table::text(TO_BOB, "two"));
    t.advance(GRACE - 1);
    t.settle();
    let by_token = |t: &mut Table, token: &str| {
        let conn = t.open();
        let credentials = Credentials::Token(token.into());
        match t.get(
            conn,
            Command::Session(session::Request::Login(session::Login { credentials, device: None })),
        ) {
            Reply::Session(session::Reply::LoggedIn(reply)) => (conn, reply.resumed),
            other => panic!("{other:?}"),
        }
    };
    let (bob, resumed) = by_token(&mut t, "2:2");
    assert!(resumed);
    assert_eq!(t.texts(bob), ["one", "two"], "what was not acknowledged comes again");
    assert!(t.texts(alice).is_empty());
    // Its first grace is no measure for the second.
    t.advance(GRACE / 2);
    t.input(Input::Closed { conn: bob });
    t.advance(GRACE - 1);
    let (bob, resumed) = by_token(&mut t, "2:2");
    assert!(
        resumed
            && !t
                .take(alice)
                .iter()
                .any(|s| matches!(s, Seen::Push(Push::Presence(presence::Push::Changed(_)))))
    );
    // Another login ends an absent session, and its token.
    t.input(Input::Closed { conn: bob });
    let bob = t.login("bob");
    assert_eq!(t.revoked, [[2; 32]]);
    assert!(
        !t.take(alice).iter().any(|s| matches!(s, Seen::Push(Push::Presence(presence::Push::Changed(_)))))
    );
    t.input(Input::Closed { conn: bob });
    t.advance(GRACE);
    t.settle();
    let (_, resumed) = by_token(&mut t, "2:3");
    assert!(!resumed, "after the grace it is a session of its own");
    assert!(t.logic.is_settled());
}

#[test]
fn a_group_message_reaches_all_members_who_are_online() {
    let mut t = table();
    let group = t.group(&[1, 2, 3]);
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.get(alice, Table::text(Target::Conversation(group), "all"));
    assert_eq!(t.texts(bob), ["all"]);
    let carol = t.login("carol");
    t.settle();
    assert_eq!(t.texts(carol), ["all"]);
}

#[test]
fn a_draining_server_finishes_and_begins_nothing() {
    let mut t = table();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    let request = t.ask(alice, Table::text(TO_BOB, "in flight"));
    t.logic.drain(t.now, &mut t.fx);
    t.settle();
    assert!(matches!(t.reply(alice, request), Some(Reply::Message(message::Reply::Sent(_)))));
    assert_eq!(errno(&t.get(alice, Table::text(TO_BOB, "new"))), Errno::Busy);
    t.input(ack(bob, 1));
    t.advance(200);
    t.settle();
    assert!(t.logic.is_settled());
    assert!(t.take(bob).iter().any(|s| matches!(s, Seen::Push(Push::Session(session::Push::GoingAway(_))))));
    assert_eq!(t.conversations[0].cursors[&UserId(2)].0, Seq(1), "cursors are written before the end");
}

#[test]
fn a_login_that_ends_while_the_server_drains_is_told_so() {
    let mut t = table();
    let conn = t.open();
    t.ask(conn, Table::login_command("alice"));
    // It has a session then, and no answer yet.
    while t.logic.sessions() == 0 {
        assert!(t.step(), "there is something to wait for");
    }
    t.logic.drain(t.now, &mut t.fx);
    t.settle();
    let seen = t.take(conn);
    assert!(matches!(seen[..], [.., Seen::Push(Push::Session(session::Push::GoingAway(_)))]), "{seen:?}");
    assert!(matches!(seen[1], Seen::Reply(..)), "{seen:?}");
}

#[test]
fn an_answer_after_the_connection_went_reaches_nobody() {
    let mut t = table();
    let alice = t.login("alice");
    let bob = t.login("bob");
    let request = t.ask(alice, Table::text(TO_BOB, "last words"));
    t.input(Input::Closed { conn: alice });
    t.settle();
    assert_eq!(t.reply(alice, request), None);
    assert_eq!(t.texts(bob), ["last words"]);
    assert_eq!(t.logic.connections(), 1);
}
