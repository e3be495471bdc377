//! SET_PRESENCE, and what friends see of it.

use super::harness::{GRACE, Harness, Seen, errno, rules};
use super::sessions::multi;
use logic::bus::{Channel, Hint};
use logic::contract::contact as storage;
use logic::contract::presence::{Status, Write as Presences};
use logic::limits::{PRESENCE_MS, SEEN_BATCH};
use logic::{BusInput, ConnId, Input, Read, Rules, Write};
use wire::presence::{Presence, PresenceChange, SessionState, SetPresence};
use wire::{Command, Credentials, Errno, Page, Push, Reply, UserId, contact, presence, session};

const ALICE: UserId = UserId(1);
const BOB: UserId = UserId(2);

fn set(state: SessionState, text: Option<&str>) -> Command {
    presence::Request::Set(SetPresence { state, text: text.map(Into::into) }).into()
}

fn away(text: &str) -> Command {
    set(SessionState::Away, Some(text))
}

fn back() -> Command {
    set(SessionState::Online, None)
}

/// What a client was told of the presence of others.
fn told(t: &mut Harness, conn: ConnId) -> Vec<(Presence, Option<Box<str>>)> {
    let change = |seen| match seen {
        Seen::Push(Push::Presence(presence::Push::Changed(change))) => Some((change.state, change.text)),
        _ => None,
    };
    t.take(conn).into_iter().filter_map(change).collect()
}

/// The same, once a second has passed.
fn told_later(t: &mut Harness, conn: ConnId) -> Vec<(Presence, Option<Box<str>>)> {
    t.settle();
    // A node of a cluster pushes while it hears from the bus.
    let at = t.now.monotonic;
    t.hear(BusInput::Heard { at });
    t.advance(PRESENCE_MS);
    t.settle();
    told(t, conn)
}

fn is(state: Presence, text: &str) -> Vec<(Presence, Option<Box<str>>)> {
    vec![(state, (!text.is_empty()).then(|| text.into()))]
}

fn friend(t: &mut Harness, conn: ConnId) -> (Presence, Option<Box<str>>) {
    match t.get(conn, contact::Request::Friends(Page { after: 0, limit: 10 }).into()) {
        Reply::Contact(contact::Reply::Friends(page)) => {
            (page.friends[0].state, page.friends[0].text.clone())
        }
        other => panic!("{other:?}"),
    }
}

fn by_token(t: &mut Harness, token: &str) -> ConnId {
    let conn = t.open();
    let login = session::Login::new(Credentials::Token(token.into()));
    assert!(matches!(t.get(conn, session::Request::Login(login).into()), Reply::Session(_)));
    conn
}

fn log_in(t: &mut Harness, name: &str) -> (ConnId, Box<str>) {
    let conn = t.open();
    match t.get(conn, Harness::login_command(name)) {
        Reply::Session(session::Reply::LoggedIn(reply)) => {
            (conn, reply.token.expect("a login shows its token"))
        }
        other => panic!("{other:?}"),
    }
}

/// Alice and Bob, who are friends; Alice has been told of all that is before.
fn friends(mut t: Harness) -> (Harness, ConnId, ConnId) {
    t.befriend(1, 2);
    let alice = t.login("alice");
    let bob = t.login("bob");
    told_later(&mut t, alice);
    (t, alice, bob)
}

#[test]
fn an_account_is_away_while_all_its_sessions_are() {
    let (mut t, alice, bob) = friends(multi());
    assert_eq!(t.get(bob, away("lunch")), Reply::Done);
    assert_eq!(told_later(&mut t, alice), is(Presence::Away, "lunch"));
    assert_eq!(friend(&mut t, alice), (Presence::Away, Some("lunch".into())));
    t.get(bob, away("lunch"));
    assert_eq!(told_later(&mut t, alice), [], "it is what it was");
    // Another session of the account is online.
    let phone = t.login("bob");
    assert_eq!(told_later(&mut t, alice), is(Presence::Online, "lunch"));
    t.get(phone, away("walking"));
    assert_eq!(told_later(&mut t, alice), is(Presence::Away, "walking"));
    // What a session has set ends with it.
    t.get(phone, session::Request::Logout.into());
    assert_eq!(told_later(&mut t, alice), is(Presence::Away, "lunch"));
    let third = t.login("bob");
    told_later(&mut t, alice);
    t.get(third, session::Request::Logout.into());
    assert_eq!(
        told_later(&mut t, alice),
        is(Presence::Away, "lunch"),
        "the last one that was online has left"
    );
    t.get(bob, back());
    assert_eq!(told_later(&mut t, alice), is(Presence::Online, ""));
    assert_eq!(friend(&mut t, alice), (Presence::Online, None));
}

#[test]
fn a_session_that_returns_within_its_grace_is_away_as_before() {
    let mut t = multi();
    t.device = Some("phone".into());
    t.befriend(1, 2);
    let alice = t.login("alice");
    let (bob, token) = log_in(&mut t, "bob");
    t.get(bob, away("lunch"));
    told_later(&mut t, alice);
    t.input(Input::Closed { conn: bob });
    assert_eq!(told_later(&mut t, alice), []);
    t.advance(GRACE - 5_000);
    let bob = by_token(&mut t, &token);
    assert_eq!(told_later(&mut t, alice), []);
    assert_eq!(friend(&mut t, alice), (Presence::Away, Some("lunch".into())));
    // A session that is over has left nothing behind.
    t.input(Input::Closed { conn: bob });
    t.advance(GRACE);
    assert_eq!(told_later(&mut t, alice), is(Presence::Offline, ""));
    by_token(&mut t, &token);
    assert_eq!(told_later(&mut t, alice), is(Presence::Online, ""));
}

#[test]
fn a_thousand_changes_a_second_cost_a_friend_one_push() {
    let rules = Rules { requests_per_second: 0, ..rules() };
    let (mut t, alice, bob) = friends(Harness::new(rules, &["alice", "bob"]));
    for second in 0..3 {
        for change in 0..1_000 {
            let text = format!("{second}.{change}");
            assert_eq!(
                t.get(
                    bob,
                    if change % 2 == 0 { set(SessionState::Online, Some(&text)) } else { away(&text) }
                ),
                Reply::Done
            );
            t.settle();
            t.advance(1);
        }
    }
    t.settle();
    let seen = told_later(&mut t, alice);
    assert_eq!(seen.len(), 4, "one at once and one after each second: {seen:?}");
    assert_eq!(seen.last(), Some(&(Presence::Away, Some("2.999".into()))));
    assert_eq!(told_later(&mut t, alice), []);
}

#[test]
fn changes_have_a_budget() {
    let rules = Rules { requests_per_second: 10, ..rules() };
    let (mut t, _, bob) = friends(Harness::new(rules, &["alice", "bob"]));
    let refused = (0..100).map(|_| t.get(bob, back())).find(|reply| *reply != Reply::Done);
    assert_eq!(errno(&refused.expect("one is refused")), Errno::RateLimited);
}

#[test]
fn a_friend_who_is_offline_was_last_seen_when_the_client_was_heard_of() {
    let (mut t, alice, bob) = friends(multi());
    t.advance(30_000);
    t.get(bob, back());
    let heard = t.now.wall;
    t.advance(40_000);
    t.input(Input::Closed { conn: bob });
    t.advance(GRACE);
    t.settle();
    let seen: Vec<PresenceChange> = t
        .take(alice)
        .into_iter()
        .filter_map(|seen| match seen {
            Seen::Push(Push::Presence(presence::Push::Changed(change))) => Some(*change),
            _ => None,
        })
        .collect();
    let gone = PresenceChange { id: BOB, state: Presence::Offline, text: None, last_seen: Some(heard) };
    assert_eq!(seen, [gone]);
}

/// The users whose last life signs the writes of a stop record.
fn recorded(t: &mut Harness) -> Vec<Vec<(UserId, u64)>> {
    t.logic.drain(t.now, &mut t.effects);
    let seen = |(_, write)| match write {
        Write::Presence(Presences::Seen(seen)) => Some(seen),
        _ => None,
    };
    t.effects.writes.drain(..).filter_map(seen).collect()
}

#[test]
fn a_stop_records_when_users_were_last_seen() {
    let (mut t, _, bob) = friends(multi());
    t.login("bob");
    t.advance(7_000);
    t.get(bob, back());
    t.advance(1_000);
    let seen = vec![(ALICE, 9_000), (BOB, 1_000)];
    assert_eq!(recorded(&mut t), [seen], "of each user when the last client was heard of");
    // Those of a cluster return to other nodes.
    let rules = Rules { cluster: Some("n1-1".into()), ..rules() };
    let (mut t, _, _) = friends(Harness::new(rules, &["alice", "bob"]));
    assert_eq!(recorded(&mut t), [] as [Vec<(UserId, u64)>; 0]);
}

#[test]
fn a_stop_with_many_users_is_a_few_writes() {
    let names: Vec<String> = (0..=2 * SEEN_BATCH).map(|n| format!("user {n}")).collect();
    let mut t = Harness::new(rules(), &names.iter().map(String::as_str).collect::<Vec<_>>());
    for name in &names {
        t.login(name);
    }
    assert_eq!(recorded(&mut t).iter().map(Vec::len).collect::<Vec<_>>(), [SEEN_BATCH, SEEN_BATCH, 1]);
}

#[test]
fn a_session_elsewhere_counts_before_this_node_has_heard_of_it() {
    let rules = Rules { cluster: Some("n1-1".into()), ..rules() };
    let (mut t, alice, bob) = friends(Harness::new(rules, &["alice", "bob"]));
    t.elsewhere.push(BOB);
    t.get(bob, away("gone"));
    let told = told_later(&mut t, alice);
    assert_eq!(told, is(Presence::Online, ""), "another session is online");
}

#[test]
fn what_friends_are_told_is_not_older_than_whom_to_tell() {
    let rules = Rules { cluster: Some("n1-1".into()), ..rules() };
    let (mut t, alice, bob) = friends(Harness::new(rules, &["alice", "bob"]));
    let joined = Hint::Joined { user: BOB };
    t.hear(BusInput::Hint { channel: Channel::Node("n1-1".into()), hint: joined });
    t.elsewhere.push(BOB);
    t.elsewhere_shows = Status { is_away: true, text: Some("old".into()) };
    t.ask(bob, away("gone"));
    t.step_until(|read| matches!(read, Read::Contact(storage::Read::FriendIds { .. })));
    t.elsewhere_shows = Status { is_away: true, text: Some("new".into()) };
    t.settle();
    let at = t.now.monotonic;
    t.hear(BusInput::Heard { at });
    assert_eq!(told(&mut t, alice), is(Presence::Away, "new"));
    // It has changed there at the same time, and what that node told may have come before.
    t.elsewhere_shows = Status { is_away: false, text: None };
    assert_eq!(told_later(&mut t, alice), is(Presence::Online, ""));
    assert_eq!(told_later(&mut t, alice), [], "it is what they were told");
    assert_eq!(told_later(&mut t, alice), []);
}

#[test]
fn what_other_nodes_hold_is_read_before_friends_are_told() {
    let rules = Rules { cluster: Some("n1-1".into()), ..rules() };
    let (mut t, alice, bob) = friends(Harness::new(rules, &["alice", "bob"]));
    // All sessions are here.
    assert_eq!(t.get(bob, away("lunch")), Reply::Done);
    assert_eq!(told_later(&mut t, alice), is(Presence::Away, "lunch"));
    // Another node has one, which is online.
    t.hear(BusInput::Hint { channel: Channel::Node("n1-1".into()), hint: Hint::Joined { user: BOB } });
    t.elsewhere.push(BOB);
    t.elsewhere_shows = Status { is_away: false, text: Some("at my desk".into()) };
    t.get(bob, away("gone"));
    assert_eq!(told_later(&mut t, alice), is(Presence::Online, "at my desk"));
    assert_eq!(friend(&mut t, alice), (Presence::Online, Some("at my desk".into())));
}
