//! Several sessions of an account.

use super::harness::{GRACE, Harness, Seen, errno, rules};
use super::{ALICE_BOB, TO_BOB, ack};
use logic::contract::{session as storage, timeline as storage_timeline};
use logic::limits::{OWN_SENT_MAX, PRESENCE_MS};
use logic::{Conflict, ConnId, Input, Policy, Read, Rules, Write};
use wire::presence::Presence;
use wire::session::{ClientKind, KickCode};
use wire::timeline::{ConversationView, Cursor};
use wire::{
    Command, Credentials, Dialect, Errno, Push, Reply, Seq, Target, UserId, message, presence, session,
    timeline,
};

const TO_ALICE: Target = Target::User(UserId(1));

fn with(policy: Policy) -> Harness {
    Harness::new(Rules { sessions: policy, ..rules() }, &["alice", "bob", "carol"])
}

pub fn multi() -> Harness {
    with(Policy { conflict: Conflict::Multi, sessions_max: 10 })
}

fn login_as(name: &str, kind: ClientKind) -> Command {
    match Harness::login_command(name) {
        Command::Session(session::Request::Login(login)) => {
            Command::Session(session::Request::Login(session::Login { kind: Some(kind), ..login }))
        }
        _ => unreachable!(),
    }
}

fn log_in(t: &mut Harness, command: Command) -> (ConnId, session::LoggedIn) {
    let conn = t.open();
    match t.get(conn, command) {
        Reply::Session(session::Reply::LoggedIn(reply)) => (conn, *reply),
        other => panic!("{other:?}"),
    }
}

fn by_token(token: &str, device: &str) -> Command {
    Command::Session(session::Request::Login(session::Login {
        device: Some(device.into()),
        ..session::Login::new(Credentials::Token(token.into()))
    }))
}

fn kicks(seen: &[Seen]) -> Vec<KickCode> {
    let code = |seen: &Seen| match seen {
        Seen::Push(Push::Session(session::Push::Kicked(kicked))) => kicked.code,
        _ => None,
    };
    seen.iter().filter_map(code).collect()
}

pub fn views(seen: Vec<Seen>) -> Vec<ConversationView> {
    let view = |seen| match seen {
        Seen::Push(Push::Timeline(timeline::Push::Conversation(view))) => Some(*view),
        _ => None,
    };
    seen.into_iter().filter_map(view).collect()
}

pub fn states(seen: Vec<Seen>) -> Vec<Presence> {
    let state = |seen| match seen {
        Seen::Push(Push::Presence(presence::Push::Changed(change))) => Some(change.state),
        _ => None,
    };
    seen.into_iter().filter_map(state).collect()
}

fn is_sent(reply: &Reply) -> bool {
    matches!(reply, Reply::Message(message::Reply::Sent(_)))
}

#[test]
fn every_session_gets_every_message_once_and_its_own_never() {
    let mut t = multi();
    let (one, two, bob) = (t.login("alice"), t.login("alice"), t.login("bob"));
    let three = t.login("alice");
    assert!(is_sent(&t.get(one, Harness::text(TO_BOB, "from one"))));
    assert!(is_sent(&t.get(bob, Harness::text(TO_ALICE, "from bob"))));
    assert!(is_sent(&t.get(two, Harness::text(TO_BOB, "from two"))));
    assert_eq!(t.texts(one), ["from bob", "from two"]);
    assert_eq!(t.texts(two), ["from one", "from bob"]);
    assert_eq!(t.texts(three), ["from one", "from bob", "from two"]);
    assert_eq!(t.texts(bob), ["from one", "from two"]);
    // Notes to oneself as well.
    assert!(is_sent(&t.get(three, Harness::text(TO_ALICE, "a note"))));
    assert_eq!(
        [one, two, three].map(|conn| t.texts(conn)),
        [vec!["a note".to_owned()], vec!["a note".to_owned()], vec![]]
    );
    // A session that ends costs the others nothing.
    t.input(Input::Closed { conn: two });
    t.settle();
    t.get(bob, Harness::text(TO_ALICE, "again"));
    assert_eq!([one, three].map(|conn| t.texts(conn)), [["again"], ["again"]]);
}

#[test]
fn a_session_that_is_fed_gets_what_its_siblings_sent_and_not_its_own() {
    let mut t = multi();
    let (one, two, bob) = (t.login("alice"), t.login("alice"), t.login("bob"));
    // Neither acknowledges, so both fall behind.
    let most = 520;
    for n in 0..most {
        t.get(bob, Harness::text(TO_ALICE, &n.to_string()));
    }
    t.get(one, Harness::text(TO_BOB, "from one"));
    t.get(two, Harness::text(TO_BOB, "from two"));
    t.get(bob, Harness::text(TO_ALICE, "last"));
    let first: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    assert_eq!(t.texts(one), first);
    t.texts(two);
    let rest = |own: &str| {
        let rest = (500..most).map(|n| n.to_string());
        let others = ["from one", "from two", "last"].into_iter().filter(|text| *text != own);
        rest.chain(others.map(str::to_owned)).collect::<Vec<_>>()
    };
    for (conn, own) in [(one, "from one"), (two, "from two")] {
        t.input(ack(conn, 500));
        t.settle();
        assert_eq!(t.texts(conn), rest(own));
    }
}

#[test]
fn what_a_session_that_is_behind_sends_takes_bounded_memory() {
    let mut t = multi();
    let (one, bob) = (t.login("alice"), t.login("bob"));
    for n in 0..501 {
        t.get(bob, Harness::text(TO_ALICE, &n.to_string()));
    }
    for n in 0..OWN_SENT_MAX + 5 {
        t.get(one, Harness::text(TO_BOB, &format!("own {n}")));
        t.texts(bob);
        t.input(ack(bob, 502 + n as u64));
    }
    t.texts(one);
    t.input(ack(one, 500));
    t.settle();
    // The oldest are forgotten, so they come once more.
    let own = (0..5).map(|n| format!("own {n}"));
    assert_eq!(t.texts(one), std::iter::once("500".to_owned()).chain(own).collect::<Vec<_>>());
}

#[test]
fn a_login_ends_only_sessions_of_its_kind() {
    let mut t = with(Policy { conflict: Conflict::Kind, sessions_max: 10 });
    let (phone, _) = log_in(&mut t, login_as("alice", ClientKind::Mobile));
    let (terminal, _) = log_in(&mut t, login_as("alice", ClientKind::Terminal));
    assert_eq!(t.logic.sessions(), 2);
    let (again, _) = log_in(&mut t, login_as("alice", ClientKind::Terminal));
    assert_eq!(kicks(&t.take(terminal)), [KickCode::Login]);
    assert_eq!(kicks(&t.take(phone)), []);
    assert_eq!(t.revoked, [[2; 32]], "the token of the session that ended");
    assert_eq!(t.logic.sessions(), 2);
    assert!(
        is_sent(&t.get(phone, Harness::text(TO_BOB, "x")))
            && is_sent(&t.get(again, Harness::text(TO_BOB, "y")))
    );
    // A session without a connection is one of its kind, too.
    t.input(Input::Closed { conn: again });
    t.settle();
    log_in(&mut t, login_as("alice", ClientKind::Terminal));
    assert_eq!(t.revoked, [[2; 32], [3; 32]]);
}

#[test]
fn a_token_and_a_device_have_one_session() {
    let mut t = multi();
    let (left, reply) = log_in(&mut t, login_as("alice", ClientKind::Web));
    let token = reply.token.expect("a login shows its token");
    let (right, reply) = log_in(&mut t, by_token(&token, "other tab"));
    assert!(!reply.resumed);
    assert_eq!((t.logic.sessions(), kicks(&t.take(left))), (2, vec![]));
    let (again, reply) = log_in(&mut t, by_token(&token, "phone"));
    assert!(reply.resumed, "the same client as the first");
    assert_eq!((t.logic.sessions(), kicks(&t.take(left))), (2, vec![KickCode::Login]));
    assert!(t.revoked.is_empty());
    // LOGOUT of one leaves the token to the other.
    assert_eq!(errno(&t.get(again, Command::Session(session::Request::Logout))), Errno::Ok);
    assert!(t.revoked.is_empty());
    assert_eq!(errno(&t.get(right, Command::Session(session::Request::Logout))), Errno::Ok);
    assert_eq!(t.revoked, [[1; 32]]);
}

#[test]
fn beyond_the_limit_the_session_that_was_silent_for_longest_ends() {
    let mut t = with(Policy { conflict: Conflict::Multi, sessions_max: 2 });
    let first = t.login("alice");
    t.advance(1_000);
    let second = t.login("alice");
    t.advance(1_000);
    // A heartbeat counts as well as a request.
    t.input(Input::Heartbeat { conn: first });
    t.advance(1_000);
    let third = t.login("alice");
    assert_eq!((kicks(&t.take(first)), kicks(&t.take(second))), (vec![], vec![KickCode::Limit]));
    t.advance(1_000);
    t.get(third, Harness::text(TO_BOB, "x"));
    t.login("alice");
    assert_eq!((kicks(&t.take(first)), kicks(&t.take(third))), (vec![KickCode::Limit], vec![]));
    assert_eq!(t.logic.sessions(), 2);
}

#[test]
fn what_an_ended_session_had_sent_is_decided_before_the_reply() {
    let mut t = with(Policy { conflict: Conflict::Kick, sessions_max: 10 });
    let first = t.login("alice");
    t.ask(first, Harness::text(TO_BOB, "on its way"));
    let second = t.open();
    let login = t.ask(second, Harness::login_command("alice"));
    // The account is looked up, and the token made behind the message.
    while t.find_one() {}
    let is_settle = |(_, write): &(_, Write)| matches!(write, Write::Session(storage::Write::Settle));
    while !t.writes.iter().any(is_settle) {
        assert!(t.store_one() || t.find_one(), "the login settles");
    }
    while t.find_one() {}
    assert!(t.reply(second, login).is_none(), "it waits for storage");
    t.settle();
    assert!(matches!(t.reply(second, login), Some(Reply::Session(session::Reply::LoggedIn(_)))));
    // A login that ends nobody, or returns, does not wait.
    t.device = Some("phone".into());
    t.input(Input::Closed { conn: second });
    t.settle();
    let third = t.open();
    t.ask(third, by_token("1:2", "phone"));
    while t.store_one() || t.find_one() {
        assert!(!t.writes.iter().any(is_settle), "nobody else was ended");
    }
    // Also where its connection is lost while it waits.
    let fourth = t.open();
    t.ask(fourth, Harness::login_command("alice"));
    while !t.writes.iter().any(is_settle) {
        assert!(t.store_one() || t.find_one(), "the login settles");
    }
    t.input(Input::Closed { conn: fourth });
    t.settle();
    t.advance(1_000);
    t.settle();
    assert!(t.logic.is_settled());
}

#[test]
fn reads_and_settings_are_told_to_the_other_sessions() {
    let mut t = multi();
    let (one, two, bob) = (t.login("alice"), t.login("alice"), t.login("bob"));
    for n in 1..=3 {
        t.get(bob, Harness::text(TO_ALICE, &n.to_string()));
    }
    for conn in [one, two, bob] {
        t.take(conn);
    }
    let read = |seq| {
        let at = Cursor { conversation: ALICE_BOB, seq: Seq(seq) };
        Command::Timeline(timeline::Request::Read(at))
    };
    t.get(one, read(2));
    t.settle();
    let seen = views(t.take(two));
    assert_eq!(seen.iter().map(|view| view.read_seq).collect::<Vec<_>>(), [Seq(2)]);
    assert_eq!((views(t.take(one)), views(t.take(bob))), (vec![], vec![]));
    // What was read already, or only received, changes nothing.
    t.get(two, read(2));
    t.input(ack(one, 3));
    t.settle();
    assert_eq!((views(t.take(one)), views(t.take(two))), (vec![], vec![]));
    let change = timeline::SettingsChange { pinned: Some(true), ..timeline::SettingsChange::default() };
    let set = timeline::Set { conversation: ALICE_BOB, change };
    t.get(two, Command::Timeline(timeline::Request::Set(set)));
    let clear = timeline::Clear { conversation: ALICE_BOB, upto: Seq(3) };
    t.settle();
    assert_eq!((views(t.take(one)).len(), views(t.take(two)).len()), (1, 0));
    t.get(one, Command::Timeline(timeline::Request::Clear(clear)));
    t.settle();
    assert!(!views(t.take(two)).is_empty());
    // Many at once are told as few, and the last one is told.
    for seq in 1..=50 {
        t.get(bob, Harness::text(TO_ALICE, "x"));
        t.ask(one, read(3 + seq));
    }
    t.settle();
    let seen = views(t.take(two));
    assert!(seen.last().is_some_and(|view| view.read_seq == Seq(53)), "{seen:?}");
    // An account with one session reads nothing for that.
    t.input(Input::Closed { conn: two });
    t.settle();
    t.get(bob, Harness::text(TO_ALICE, "x"));
    t.ask(one, read(54));
    let is_view = |(_, read): &(_, Read)| matches!(read, Read::Timeline(storage_timeline::Read::View { .. }));
    assert!(!t.reads.iter().any(is_view));
}

#[test]
fn friends_see_the_first_session_come_and_the_last_one_go() {
    let mut t = multi();
    t.befriend(1, 2);
    let alice = t.login("alice");
    t.take(alice);
    let (one, two) = (t.login("bob"), t.login("bob"));
    assert_eq!(states(t.take(alice)), [Presence::Online]);
    t.advance(PRESENCE_MS);
    t.get(one, Command::Session(session::Request::Logout));
    t.settle();
    assert_eq!(states(t.take(alice)), []);
    // One without a connection is there for its grace.
    let three = t.login("bob");
    t.input(Input::Closed { conn: three });
    t.get(two, Command::Session(session::Request::Logout));
    t.settle();
    assert_eq!(states(t.take(alice)), []);
    t.advance(GRACE);
    t.settle();
    assert_eq!(states(t.take(alice)), [Presence::Offline]);
    t.advance(PRESENCE_MS);
    t.settle();
    assert_eq!(states(t.take(alice)), [], "once");
}

#[test]
fn sessions_of_an_account_share_its_budgets() {
    let sessions = Policy { conflict: Conflict::Multi, sessions_max: 10 };
    let mut t = Harness::new(Rules { messages_per_second: 1, sessions, ..rules() }, &["alice", "bob"]);
    let mut conns = [t.login("alice"), t.login("alice"), t.login("alice")];
    for n in 0..9 {
        assert!(is_sent(&t.get(conns[n % 3], Harness::text(TO_BOB, &n.to_string()))));
    }
    // Neither does ending sessions in any order, or beginning another one, fill it.
    t.get(conns[1], Command::Session(session::Request::Logout));
    t.get(conns[2], Command::Session(session::Request::Logout));
    conns[1] = t.login("alice");
    assert!(is_sent(&t.get(conns[0], Harness::text(TO_BOB, "the tenth"))));
    for conn in [conns[0], conns[1]] {
        assert_eq!(errno(&t.get(conn, Harness::text(TO_BOB, "x"))), Errno::RateLimited);
    }
}

#[test]
fn a_legacy_session_stands_beside_others() {
    let mut t = with(Policy { conflict: Conflict::Kind, sessions_max: 10 });
    let (phone, _) = log_in(&mut t, login_as("alice", ClientKind::Mobile));
    let legacy = t.open_as(Dialect::Legacy);
    t.ask_legacy(legacy, login_as("alice", ClientKind::Terminal));
    t.settle();
    t.take(legacy);
    let bob = t.login("bob");
    t.get(bob, Harness::text(TO_ALICE, "to both"));
    assert_eq!([phone, legacy].map(|conn| t.texts(conn)), [["to both"], ["to both"]]);
    // What the other one sends has no form there.
    t.get(phone, Harness::text(TO_BOB, "from the phone"));
    t.get(bob, Harness::text(TO_ALICE, "and on"));
    assert_eq!(t.texts(legacy), ["and on"]);
    assert_eq!(t.texts(phone), ["and on"]);
    // Its end revokes its own token only.
    t.input(Input::Closed { conn: legacy });
    t.settle();
    assert_eq!(t.revoked, [[2; 32]]);
}

#[test]
fn friends_are_told_once_the_login_is_gone_that_would_have_told_them() {
    let mut t = multi();
    t.befriend(1, 2);
    let alice = t.login("alice");
    t.take(alice);
    let bob = t.open();
    t.ask(bob, login_as("bob", ClientKind::Web));
    t.step_until(|read| matches!(read, Read::Session(_)));
    let waiting = t.reads.pop_back().expect("there is one");
    log_in(&mut t, login_as("bob", ClientKind::Mobile));
    assert_eq!(states(t.take(alice)), [], "the first one will tell");
    t.reads.push_back(waiting);
    t.input(Input::Closed { conn: bob });
    t.settle();
    assert_eq!(states(t.take(alice)), [Presence::Online]);
}

#[test]
fn nobody_lives_by_a_token_that_a_logout_has_revoked() {
    let mut t = multi();
    let (left, reply) = log_in(&mut t, login_as("alice", ClientKind::Web));
    let right = t.open();
    // The login has used the token before LOGOUT revokes it, and is answered after LOGOUT has begun.
    t.ask(right, by_token(reply.token.as_deref().expect("a login shows its token"), "other tab"));
    t.ask(left, Command::Session(session::Request::Logout));
    t.settle();
    assert_eq!(t.revoked, [[1; 32]]);
    assert_eq!(t.logic.sessions(), 0);
    assert_eq!(kicks(&t.take(right)), [KickCode::Revoked]);
}

#[test]
fn what_is_cleared_during_a_login_does_not_hide_what_follows() {
    let mut t = multi();
    let (one, bob) = (t.login("alice"), t.login("bob"));
    for text in ["1", "2"] {
        t.get(bob, Harness::text(TO_ALICE, text));
    }
    t.take(one);
    let two = t.open();
    t.ask(two, login_as("alice", ClientKind::Web));
    t.step_until(|read| matches!(read, Read::Session(_)));
    // Two messages wait for it; the first of them is cleared before it is told.
    let waiting = t.reads.pop_back().expect("there is one");
    t.get(
        one,
        Command::Timeline(timeline::Request::Clear(timeline::Clear {
            conversation: ALICE_BOB,
            upto: Seq(1),
        })),
    );
    t.reads.push_back(waiting);
    t.settle();
    assert_eq!(t.texts(two), ["2"]);
}

/// LOGIN says how far the account has come, and another session acknowledges more before it is answered.
#[test]
fn a_login_is_pushed_what_another_session_acknowledges_meanwhile() {
    let mut t = multi();
    let (one, bob) = (t.login("alice"), t.login("bob"));
    t.get(bob, Harness::text(TO_ALICE, "1"));
    let cursor = |seq| Cursor { conversation: ALICE_BOB, seq: Seq(seq) };
    t.get(one, Command::Timeline(timeline::Request::Read(cursor(1))));
    t.get(bob, Harness::text(TO_ALICE, "2"));
    let two = t.open();
    t.ask(two, Harness::login_command("alice"));
    t.step_until(|read| matches!(read, Read::Timeline(storage_timeline::Read::Count { .. })));
    t.input(ack(one, 2));
    t.settle();
    assert!(t.texts(two).contains(&"2".to_owned()));
}
