//! Sessions: logins and logouts, resumption, presence, and a server that drains.

use super::harness::{GRACE, Harness, Seen, errno, rules};
use super::{TO_BOB, ack, harness, texts};
use logic::limits::PRESENCE_MS;
use logic::{Conflict, Input, Policy, Rules};
use wire::presence::Presence;
use wire::{Command, Credentials, Errno, Push, Reply, Seq, UserId};
use wire::{group, message, node, presence, session};

#[test]
fn most_requests_are_refused_before_login() {
    let mut t = harness();
    let conn = t.open();
    for command in [
        Harness::text(TO_BOB, "x"),
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
    let mut t = harness();
    let first = t.login("alice");
    let second = t.login("alice");
    let seen = t.take(first);
    assert!(
        seen.iter().any(|s| matches!(s, Seen::Push(Push::Session(session::Push::Kicked(k))) if k.device.as_deref() == Some("phone")))
    );
    assert_eq!(seen.last(), Some(&Seen::Close));
    assert_eq!(t.revoked, [[1; 32]]);
    assert_eq!(errno(&t.get(first, Harness::text(TO_BOB, "late"))), Errno::NotLoggedIn);
    assert!(matches!(t.get(second, Harness::text(TO_BOB, "now")), Reply::Message(message::Reply::Sent(_))));
}

#[test]
fn a_login_with_the_token_of_the_session_keeps_the_token() {
    let mut t = harness();
    let first = t.login("alice");
    let second = t.open();
    let credentials = Credentials::Token("1:1".into());
    let reply = t.get(second, Command::Session(session::Request::Login(session::Login::new(credentials))));
    assert!(
        matches!(reply, Reply::Session(session::Reply::LoggedIn(l)) if l.token.as_deref() == Some("1:1"))
    );
    assert!(t.take(first).contains(&Seen::Close));
    assert!(t.revoked.is_empty());
}

#[test]
fn two_concurrent_logins_leave_one_session_and_get_two_replies() {
    let mut t = harness();
    let (first, second) = (t.open(), t.open());
    let a = t.ask(first, Harness::login_command("alice"));
    let b = t.ask(second, Harness::login_command("alice"));
    t.settle();
    assert_eq!(errno(&t.reply(first, a).unwrap()), Errno::NotLoggedIn);
    assert!(matches!(t.reply(second, b), Some(Reply::Session(session::Reply::LoggedIn(_)))));
    assert_eq!(t.logic.sessions(), 1);
}

#[test]
fn with_conflict_reject_a_second_login_is_refused() {
    let sessions = Policy { conflict: Conflict::Reject, sessions_max: 10 };
    let mut t = Harness::new(Rules { sessions, ..rules() }, &["alice", "bob"]);
    let first = t.login("alice");
    let second = t.open();
    assert_eq!(errno(&t.get(second, Harness::login_command("alice"))), Errno::AlreadyOnline);
    assert!(!t.take(first).contains(&Seen::Close));
    t.input(Input::Closed { conn: first });
    t.settle();
    assert!(matches!(
        t.get(second, Harness::login_command("alice")),
        Reply::Session(session::Reply::LoggedIn(_))
    ));
}

#[test]
fn wrong_passwords_and_unknown_names_get_the_same_replies() {
    let mut t = harness();
    let wrong = |name: &str| {
        Command::Session(session::Request::Login(session::Login::new(Credentials::Password {
            who: wire::account::Who::Name(name.into()),
            password: "wrong!".into(),
        })))
    };
    let conn = t.open();
    let answers =
        |t: &mut Harness, name: &str| -> Vec<Reply> { (0..7).map(|_| t.get(conn, wrong(name))).collect() };
    let (known, unknown) = (answers(&mut t, "alice"), answers(&mut t, "nobody"));
    assert_eq!(known, unknown);
    assert_eq!(errno(&known[4]), Errno::BadCredentials);
    assert_eq!(errno(&known[5]), Errno::RateLimited);
    // From the same address the right password is delayed too, but a token is not.
    assert_eq!(errno(&t.get(conn, Harness::login_command("alice"))), Errno::RateLimited);
    let credentials = Credentials::Token("1:9".into());
    assert!(matches!(
        t.get(conn, Command::Session(session::Request::Login(session::Login::new(credentials)))),
        Reply::Session(session::Reply::LoggedIn(_))
    ));
}

#[test]
fn logout_waits_for_earlier_requests() {
    let mut t = harness();
    let alice = t.login("alice");
    let send = t.ask(alice, Harness::text(TO_BOB, "first"));
    let logout = t.ask(alice, Command::Session(session::Request::Logout));
    assert_eq!(t.writes.len(), 1, "the logout has not begun");
    t.settle();
    let seen = t.take(alice);
    let at = |request| seen.iter().position(|s| matches!(s, Seen::Reply(r, _) if *r == request)).unwrap();
    assert!(at(send) < at(logout));
    assert!(seen.contains(&Seen::LoggedOut));
    assert_eq!(t.revoked.len(), 1);
    assert_eq!(errno(&t.get(alice, Harness::text(TO_BOB, "after"))), Errno::NotLoggedIn);
    assert!(matches!(
        t.get(alice, Harness::login_command("bob")),
        Reply::Session(session::Reply::LoggedIn(_))
    ));
}

#[test]
fn a_message_stored_during_a_login_is_delivered_once() {
    for stored_first in [false, true] {
        let mut t = harness();
        let alice = t.login("alice");
        t.get(alice, Harness::text(TO_BOB, "1"));
        let bob = t.open();
        t.ask(bob, Harness::login_command("bob"));
        t.find_one(); // the account
        t.store_one(); // the token: the session begins
        t.ask(alice, Harness::text(TO_BOB, "2"));
        if stored_first {
            t.store_one(); // the message is stored and its outcome is known before the view is read
        }
        t.find_one(); // the view
        t.settle();
        t.get(alice, Harness::text(TO_BOB, "3"));
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
fn friends_see_each_other_go_online_and_offline() {
    let mut t = harness();
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
    // A second login changes no presence.
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
    // LOGOUT takes effect at once.
    t.advance(PRESENCE_MS);
    let bob = t.login("bob");
    assert_eq!(presence(t.take(alice)), [Presence::Online]);
    t.advance(PRESENCE_MS);
    t.get(bob, Command::Session(session::Request::Logout));
    t.settle();
    assert_eq!(presence(t.take(alice)), [Presence::Offline]);
    // Of many changes within a second, the last one is announced when the second ends.
    for last in [Presence::Online, Presence::Offline] {
        for _ in 0..100 {
            let bob = t.login("bob");
            t.get(bob, Command::Session(session::Request::Logout));
            t.settle();
        }
        if last == Presence::Online {
            t.login("bob");
        }
        assert_eq!(presence(t.take(alice)), []);
        t.advance(PRESENCE_MS);
        t.settle();
        assert_eq!(presence(t.take(alice)), [last]);
    }
}

#[test]
fn a_token_resumes_its_session_within_the_grace() {
    let mut t = harness();
    t.device = Some("phone".into());
    t.befriend(1, 2);
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.get(alice, Harness::text(TO_BOB, "one"));
    t.take(bob);
    t.take(alice);
    t.input(Input::Closed { conn: bob });
    t.get(alice, Harness::text(TO_BOB, "two"));
    t.advance(GRACE - 1);
    t.settle();
    let by_token = |t: &mut Harness, token: &str| {
        let conn = t.open();
        let credentials = Credentials::Token(token.into());
        match t.get(conn, Command::Session(session::Request::Login(session::Login::new(credentials)))) {
            Reply::Session(session::Reply::LoggedIn(reply)) => (conn, reply.resumed),
            other => panic!("{other:?}"),
        }
    };
    let (bob, resumed) = by_token(&mut t, "2:2");
    assert!(resumed);
    assert_eq!(t.texts(bob), ["one", "two"], "unacknowledged messages are pushed again");
    assert!(t.texts(alice).is_empty());
    // A second absence has a grace of its own.
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
    // A login by password ends an absent session and revokes its token.
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
    assert!(!resumed, "after the grace a new session begins");
    assert!(t.logic.is_settled());
}

#[test]
fn a_draining_server_finishes_requests_and_begins_none() {
    let mut t = harness();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    let request = t.ask(alice, Harness::text(TO_BOB, "in flight"));
    t.logic.drain(t.now, &mut t.effects);
    t.settle();
    assert!(matches!(t.reply(alice, request), Some(Reply::Message(message::Reply::Sent(_)))));
    assert_eq!(errno(&t.get(alice, Harness::text(TO_BOB, "new"))), Errno::Busy);
    t.input(ack(bob, 1));
    t.advance(200);
    t.settle();
    assert!(t.logic.is_settled());
    assert!(t.take(bob).iter().any(|s| matches!(s, Seen::Push(Push::Session(session::Push::GoingAway(_))))));
    assert_eq!(
        t.conversations[0].cursors[&UserId(2)].0,
        Seq(1),
        "cursors are written before the server stops"
    );
}

#[test]
fn a_login_answered_while_draining_is_told_to_go_away() {
    let mut t = harness();
    let conn = t.open();
    t.ask(conn, Harness::login_command("alice"));
    // The session begins before the reply is sent.
    while t.logic.sessions() == 0 {
        assert!(t.step(), "a login waits for storage");
    }
    t.logic.drain(t.now, &mut t.effects);
    t.settle();
    let seen = t.take(conn);
    assert!(matches!(seen[..], [.., Seen::Push(Push::Session(session::Push::GoingAway(_)))]), "{seen:?}");
    assert!(matches!(seen[1], Seen::Reply(..)), "{seen:?}");
}

#[test]
fn a_login_by_cookie_does_not_show_the_token() {
    let mut t = harness();
    t.login("alice");
    let by_cookie = |token: &str| -> Command {
        let login = session::Login::new(Credentials::Token(token.into()));
        session::Request::Login(session::Login { by_cookie: true, ..login }).into()
    };
    let conn = t.open();
    assert_eq!(errno(&t.get(conn, by_cookie(""))), Errno::NotLoggedIn);
    let reply = t.get(conn, by_cookie("1:1"));
    assert!(matches!(reply, Reply::Session(session::Reply::LoggedIn(l)) if l.token.is_none()));
}
