//! Requests without a session.

use super::harness::{Harness, Seen, errno, rules};
use super::{TO_BOB, harness};
use logic::bus::{Channel, Hint};
use logic::{ConnId, Grant, Input, Rules, Sessionless};
use std::net::IpAddr;
use wire::account::Who;
use wire::limits::CONTENT_BYTES;
use wire::message::{Send, Sent};
use wire::session::{KickCode, Login};
use wire::{Credentials, Dialect, Errno, Push, Refusal, Reply, UserId, message, session};

fn login(name: &str, password: &str) -> Sessionless {
    let who = Who::Name(name.into());
    Sessionless::Login(Login::new(Credentials::Password { who, password: password.into() }))
}

fn send(token: &str, text: &str) -> Sessionless {
    Sessionless::Send { token: token.into(), send: Ok(Send::text(TO_BOB, text)) }
}

fn with_cid(token: &str, text: &str, cid: &str) -> Sessionless {
    let send = Send { cid: Some(cid.into()), ..Send::text(TO_BOB, text) };
    Sessionless::Send { token: token.into(), send: Ok(send) }
}

/// Sends a request on a connection of its own, and settles.
fn ask(t: &mut Harness, request: Sessionless) -> Vec<Seen> {
    let conn = begin(t, [127, 0, 0, 1].into(), request);
    t.settle();
    let seen = t.take(conn);
    t.input(Input::Closed { conn });
    seen
}

fn begin(t: &mut Harness, from: IpAddr, request: Sessionless) -> ConnId {
    let conn = t.open_from(from, Dialect::Tlv);
    t.input(Input::Sessionless { conn, request: Box::new(request) });
    conn
}

/// The only thing that was sent: the answer.
fn answer(seen: Vec<Seen>) -> Reply {
    match <[Seen; 1]>::try_from(seen) {
        Ok([Seen::Reply(0, reply)]) => reply,
        other => panic!("{other:?}"),
    }
}

fn granted(seen: &[Seen]) -> Grant {
    match seen {
        [Seen::Granted(grant), Seen::Reply(0, _)] => (**grant).clone(),
        other => panic!("{other:?}"),
    }
}

fn sent(reply: &Reply) -> Sent {
    match reply {
        Reply::Message(message::Reply::Sent(sent)) => *sent,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_login_is_granted_a_token_and_disturbs_no_session() {
    let mut t = harness();
    t.befriend(1, 2);
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    t.take(alice);
    let grant = granted(&ask(&mut t, login("alice", "secret")));
    assert_eq!((grant.user, &*grant.name, &*grant.token), (UserId(1), "alice", "1:3"));
    assert_eq!(
        granted(&ask(&mut t, Sessionless::Login(Login::new(Credentials::Token("1:3".into()))))),
        grant
    );
    assert_eq!((t.take(alice), t.take(bob).len(), &t.revoked[..]), (vec![], 2, &[][..]));
    assert_eq!(t.logic.sessions(), 2);
    // Its budgets of guesses are those of logins.
    for _ in 0..5 {
        assert_eq!(errno(&answer(ask(&mut t, login("carol", "guess")))), Errno::BadCredentials);
    }
    let throttled = answer(ask(&mut t, login("carol", "guess")));
    assert!(
        matches!(&throttled, Reply::Refused(refusal) if refusal.retry_after_ms.is_some()),
        "{throttled:?}"
    );
    let conn = t.open();
    assert_eq!(errno(&t.get(conn, Harness::login_command("carol"))), Errno::RateLimited);
}

#[test]
fn a_token_that_no_client_receives_is_revoked() {
    let mut t = harness();
    let conn = begin(&mut t, [127, 0, 0, 1].into(), login("alice", "secret"));
    assert!(t.find_one());
    t.input(Input::Closed { conn });
    t.settle();
    assert_eq!((t.take(conn), &t.revoked[..]), (vec![], &[[1; 32]][..]));
    assert!(t.logic.is_settled());
}

#[test]
fn a_message_reaches_all_members_and_the_senders_own_sessions_once() {
    let mut t = super::sessions::multi();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    let first = sent(&answer(ask(&mut t, with_cid("1:1", "hi", "c"))));
    let again = sent(&answer(ask(&mut t, with_cid("1:1", "hi", "c"))));
    assert_eq!(again, Sent { duplicate: true, ..first });
    assert_eq!([alice, bob].map(|conn| t.texts(conn)), [["hi"], ["hi"]]);
    // Nobody is online, and a session is shown later what none has sent.
    for conn in [alice, bob] {
        t.input(Input::Closed { conn });
    }
    t.settle();
    assert!(!sent(&answer(ask(&mut t, send("1:1", "later")))).duplicate);
    assert_eq!(t.logic.sessions(), 0, "nobody comes online");
    let alice = t.login("alice");
    assert_eq!(t.texts(alice).last().map(String::as_str), Some("later"));
}

#[test]
fn a_message_needs_a_token_that_is_in_force_when_it_is_stored() {
    let mut t = harness();
    let bob = t.login("bob");
    granted(&ask(&mut t, login("alice", "secret")));
    assert_eq!(errno(&answer(ask(&mut t, send("none", "x")))), Errno::TokenInvalid);
    // Revoked between its look-up and the message.
    let conn = begin(&mut t, [127, 0, 0, 1].into(), send("1:2", "x"));
    assert!(t.find_one());
    t.revoked.push([2; 32]);
    t.settle();
    assert_eq!(errno(&answer(t.take(conn))), Errno::TokenInvalid);
    // Who is not logged in is not told what is wrong with the message.
    let bad = |token: &str| Sessionless::Send {
        token: token.into(),
        send: Err(Refusal::new(Errno::BadRequest, "`content` is missing")),
    };
    assert_eq!(errno(&answer(ask(&mut t, bad("1:2")))), Errno::TokenInvalid);
    assert_eq!(errno(&answer(ask(&mut t, bad("1:3")))), Errno::BadRequest);
    assert_eq!(t.texts(bob), [""; 0]);
    t.is_away = true;
    assert_eq!(errno(&answer(ask(&mut t, with_cid("1:3", "x", "c")))), Errno::Unavailable);
}

#[test]
fn a_token_is_extended_by_its_use_and_its_client_is_told() {
    let mut t = harness();
    t.has_stale_tokens = true;
    let bob = t.login("bob");
    let seen = ask(&mut t, send("1:9", "hi"));
    assert_eq!(granted(&seen).user, UserId(1));
    assert!(matches!(&seen[1], Seen::Reply(0, reply) if !sent(reply).duplicate));
    assert_eq!(t.texts(bob), ["hi"]);
}

#[test]
fn a_message_that_was_refused_before_its_token_was_known_is_not_stored_afterwards() {
    for is_stale in [true, false] {
        let mut t = harness();
        let bob = t.login("bob");
        t.has_stale_tokens = is_stale;
        let conn = begin(&mut t, [127, 0, 0, 1].into(), send("1:9", "x"));
        // The extension of the token waits, or its look-up.
        assert!(!is_stale || t.find_one());
        t.advance(1_900);
        match answer(t.take(conn)) {
            Reply::Refused(refusal) => {
                assert_eq!((refusal.errno, refusal.cid), (Errno::Unavailable, None), "{is_stale}");
            }
            other => panic!("{other:?}"),
        }
        t.settle();
        assert_eq!((t.take(conn), t.texts(bob)), (vec![], vec![]), "{is_stale}");
        assert!(t.logic.is_settled());
    }
    // A client that has only gone may have its message stored.
    let mut t = harness();
    let bob = t.login("bob");
    let conn = begin(&mut t, [127, 0, 0, 1].into(), send("1:9", "x"));
    t.input(Input::Closed { conn });
    t.settle();
    assert_eq!(t.texts(bob), ["x"]);
}

#[test]
fn messages_whose_token_is_not_known_yet_take_bounded_memory() {
    let mut t = harness();
    let text = "x".repeat(CONTENT_BYTES);
    let room = (64 << 20) / CONTENT_BYTES;
    for n in 0..room + 10 {
        let conn = begin(&mut t, [127, 0, 0, 1].into(), send("none", &text));
        let seen = t.take(conn);
        match n < room {
            true => assert_eq!(seen, []),
            false => assert_eq!(errno(&answer(seen)), Errno::Busy),
        }
        t.input(Input::Closed { conn });
    }
    // What only asks for a token's end holds none of it.
    let logout = begin(&mut t, [127, 0, 0, 1].into(), Sessionless::Logout { token: "none".into() });
    assert_eq!((t.take(logout), t.reads.len()), (vec![], room + 1));
    t.settle();
    assert_eq!(errno(&answer(t.take(logout))), Errno::TokenInvalid);
    // A long token is none of ours, and is not kept.
    let conn = begin(&mut t, [127, 0, 0, 1].into(), send(&"1".repeat(129), "x"));
    assert_eq!((errno(&answer(t.take(conn))), t.reads.len()), (Errno::TokenInvalid, 0));
    t.has_stale_tokens = true;
    let seen = ask(&mut t, send("1:9", &text));
    assert!(!sent(&answer(seen[1..].to_vec())).duplicate);
    assert!(t.logic.is_settled());
}

#[test]
fn a_logout_revokes_the_token_and_ends_what_lives_by_it() {
    let mut t = harness();
    let alice = t.login("alice");
    t.take(alice);
    assert_eq!(answer(ask(&mut t, Sessionless::Logout { token: "1:1".into() })), Reply::Done);
    let kicked = |seen: &Seen| match seen {
        Seen::Push(Push::Session(session::Push::Kicked(kicked))) => kicked.code,
        _ => None,
    };
    assert_eq!(t.take(alice).iter().find_map(kicked), Some(KickCode::Revoked));
    assert_eq!(t.logic.sessions(), 0);
    for request in [Sessionless::Logout { token: "1:1".into() }, send("1:1", "late")] {
        assert_eq!(errno(&answer(ask(&mut t, request))), Errno::TokenInvalid);
    }
}

#[test]
fn messages_count_against_the_account_and_look_ups_against_the_network() {
    let rules = Rules { messages_per_second: 1, requests_per_second: 1, ..rules() };
    let mut t = Harness::new(rules, &["alice", "bob", "carol"]);
    let from = |n: u8| IpAddr::from([10, 0, 0, n]);
    let mut ask_from = |n: u8, request: Sessionless| {
        let conn = begin(&mut t, from(n), request);
        t.settle();
        let seen = t.take(conn);
        t.input(Input::Closed { conn });
        answer(seen)
    };
    // Ten messages at once, from wherever.
    for n in 0..10 {
        sent(&ask_from(n, send("1:1", "x")));
    }
    let limit = |reply: Reply| match reply {
        Reply::Refused(refusal) => refusal.limit.map(String::from),
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(ask_from(10, send("1:1", "x"))).as_deref(), Some("limits.messages_per_second"));
    // Ten units at twenty look-ups each.
    for _ in 0..200 {
        assert_eq!(errno(&ask_from(99, send("none", "x"))), Errno::TokenInvalid);
    }
    assert_eq!(limit(ask_from(99, send("none", "x"))).as_deref(), Some("limits.requests_per_second"));
}

#[test]
fn a_message_is_published_to_the_sessions_that_its_sender_has_elsewhere() {
    let rules = Rules { cluster: Some("n1~7".into()), ..rules() };
    let mut t = Harness::new(rules, &["alice", "bob", "carol"]);
    sent(&answer(ask(&mut t, send("1:1", "hi"))));
    let channels: Vec<&Channel> = t
        .published
        .iter()
        .filter(|(_, hint)| matches!(hint, Hint::Push { .. }))
        .map(|(channel, _)| channel)
        .collect();
    assert_eq!(channels, [&Channel::User(UserId(2)), &Channel::User(UserId(1))]);
}
