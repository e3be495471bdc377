//! DEVICES, REVOKE and CHANGE_PASSWORD.

use super::harness::{Harness, Seen, errno, rules};
use super::{TO_BOB, harness};
use logic::bus::{BusInput, Channel, Hint};
use logic::contract::session::Ended;
use logic::contract::{self, Epoch, Fence, Written};
use logic::{ConnId, Input, Read, Rules, Write};
use wire::account::{self, ChangePassword};
use wire::presence::{self, Presence};
use wire::session::{self, KickCode, Revoke};
use wire::{Command, DeviceId, Errno, Push, Reply, UserId, message};

const ALICE: UserId = UserId(1);

fn revoke(revoke: Revoke) -> Command {
    Command::Session(session::Request::Revoke(revoke))
}

fn change(old: &str, new: &str) -> Command {
    let change = ChangePassword { old: old.into(), new: new.into() };
    Command::Account(account::Request::ChangePassword(Box::new(change)))
}

fn by_token(token: &str) -> Command {
    let login = session::Login::new(wire::Credentials::Token(token.into()));
    Command::Session(session::Request::Login(login))
}

fn kicks(seen: &[Seen]) -> Vec<Option<KickCode>> {
    let kick = |seen: &Seen| match seen {
        Seen::Push(Push::Session(session::Push::Kicked(kicked))) => Some(kicked.code),
        _ => None,
    };
    seen.iter().filter_map(kick).collect()
}

/// The device of each KICKED.
fn devices(seen: &[Seen]) -> Vec<Option<Box<str>>> {
    let device = |seen: &Seen| match seen {
        Seen::Push(Push::Session(session::Push::Kicked(kicked))) => Some(kicked.device.clone()),
        _ => None,
    };
    seen.iter().filter_map(device).collect()
}

fn states(seen: &[Seen]) -> Vec<Presence> {
    let state = |seen: &Seen| match seen {
        Seen::Push(Push::Presence(presence::Push::Changed(change))) => Some(change.state),
        _ => None,
    };
    seen.iter().filter_map(state).collect()
}

fn node() -> Harness {
    Harness::new(Rules { cluster: Some("n1-1".into()), ..rules() }, &["alice", "bob", "carol"])
}

/// Of a session that begins after one of another user.
const ALICES: Fence = Fence { user: ALICE, epoch: Epoch(2) };

fn kick(t: &mut Harness, epoch: u32) {
    let hint = Hint::Kick { user: ALICE, epoch: Epoch(epoch), device: None };
    t.hear(BusInput::Hint { channel: Channel::Node("n1-1".into()), hint });
    t.settle();
}

#[test]
fn a_listing_says_which_login_is_this_one_and_which_are_online() {
    let mut t = node();
    t.login("bob");
    t.login("carol");
    let alice = t.login("alice");
    t.online = vec![1];
    let Reply::Session(session::Reply::Devices(page)) =
        t.get(alice, Command::Session(session::Request::Devices))
    else {
        panic!("the logins are listed");
    };
    let row = |device: &session::Device| (device.id.0, device.current, device.online);
    let rows: Vec<_> = page.devices.iter().map(row).collect();
    assert_eq!(rows, [(1, false, true), (2, false, false), (3, true, true)], "1 is online on another node");
    assert!(page.devices.iter().all(|device| device.device.is_empty() && device.address.is_empty()));
}

#[test]
fn revoking_the_own_login_ends_the_session_like_a_logout() {
    let mut t = harness();
    t.befriend(1, 2);
    let (bob, alice) = (t.login("bob"), t.login("alice"));
    t.advance(2_000);
    t.take(bob);
    t.take(alice);
    let revoked = t.ask(alice, revoke(Revoke::One(DeviceId(2))));
    // Sent before the session has ended, it is stored before the reply says that it has.
    let late = t.ask(alice, Harness::text(TO_BOB, "late"));
    t.store_one();
    assert_eq!(t.logic.sessions(), 1);
    assert!(t.reply(alice, revoked).is_none(), "what was sent may not be stored yet");
    t.store_one();
    assert!(matches!(t.reply(alice, late), Some(Reply::Message(message::Reply::Sent(_)))));
    t.settle();
    assert_eq!(t.reply(alice, revoked), Some(Reply::Done));
    let seen = t.take(alice);
    assert!(kicks(&seen).is_empty() && seen.contains(&Seen::LoggedOut) && !seen.contains(&Seen::Close));
    assert_eq!(errno(&t.get(alice, Harness::text(TO_BOB, "later"))), Errno::NotLoggedIn);
    assert_eq!(states(&t.take(bob)), [Presence::Offline]);
}

/// Also where they were ended by a login before: storage may still be deciding what they had sent.
#[test]
fn what_ended_sessions_had_sent_is_decided_before_the_reply() {
    let mut t = harness();
    let thief = t.login("alice");
    t.ask(thief, Harness::text(TO_BOB, "late"));
    let late = t.writes.pop_front().expect("it waits for storage");
    let (owner, errno_of_login) = log_in(&mut t, "secret");
    assert_eq!(errno_of_login, Errno::Ok);
    assert_eq!(kicks(&t.take(thief)), [Some(KickCode::Login)]);
    let is_settle = |t: &Harness| matches!(&t.writes[0].1, Write::Session(contract::session::Write::Settle));
    t.hashing_stands = true;
    let mut changed = Vec::new();
    // The second is a repetition, which finds that the change was made already.
    for _ in 0..2 {
        let request = t.ask(owner, change("secret", "new secret"));
        t.find_one();
        t.hash_one();
        t.hash_one();
        if changed.is_empty() {
            t.store_one();
        }
        assert!(t.reply(owner, request).is_none() && is_settle(&t));
        changed.push((request, t.writes.pop_front().unwrap()));
    }
    let revoked = t.ask(owner, revoke(Revoke::Others));
    t.store_one();
    assert!(t.reply(owner, revoked).is_none() && is_settle(&t));
    t.writes.extend([late]);
    let (requests, settles): (Vec<u32>, Vec<_>) = changed.into_iter().unzip();
    t.writes.extend(settles);
    t.settle();
    for request in requests.into_iter().chain([revoked]) {
        assert_eq!(t.reply(owner, request), Some(Reply::Done));
    }
}

#[test]
fn an_absent_session_is_over_once_its_login_is_revoked() {
    let mut t = harness();
    t.befriend(1, 2);
    let bob = t.login("bob");
    let first = t.login("alice");
    t.advance(2_000);
    t.input(Input::Closed { conn: first });
    t.settle();
    t.take(bob);
    // Another login resumes nothing; the absent one ends with it. So it is the same client that comes back.
    let again = t.open();
    t.get(again, by_token("1:2"));
    assert_eq!(errno(&t.get(again, revoke(Revoke::One(DeviceId(9))))), Errno::NotFound);
    assert_eq!(errno(&t.get(again, revoke(Revoke::One(DeviceId(1))))), Errno::Ok);
    assert_eq!(errno(&t.get(again, revoke(Revoke::Others))), Errno::Ok);
    assert_eq!(t.logic.sessions(), 2);
    assert_eq!(states(&t.take(bob)), []);
}

#[test]
fn revocations_are_told_to_the_nodes_of_the_ended_sessions() {
    let mut t = node();
    let alice = t.login("alice");
    t.published.clear();
    t.ended = [("n2-7", 9), ("n1-1", 3)]
        .map(|(node, epoch)| Ended { node: node.into(), epoch: Epoch(epoch), why: KickCode::Revoked })
        .to_vec();
    assert_eq!(errno(&t.get(alice, revoke(Revoke::Others))), Errno::Ok);
    t.settle();
    let hint = Hint::Kick { user: ALICE, epoch: Epoch(9), device: None };
    assert_eq!(t.published, [(Channel::Node("n2-7".into()), hint)]);
    assert_eq!(t.logic.sessions(), 1);
}

#[test]
fn a_session_that_was_ended_on_another_node_says_why() {
    for why in [KickCode::Revoked, KickCode::Password, KickCode::Login] {
        let mut t = node();
        t.befriend(1, 2);
        let (bob, alice) = (t.login("bob"), t.login("alice"));
        t.advance(1_500);
        t.settle();
        t.take(bob);
        let at = t.now.monotonic;
        t.hear(BusInput::Heard { at });
        t.end(ALICES, why);
        kick(&mut t, 2);
        let seen = t.take(alice);
        assert_eq!(kicks(&seen), [Some(why)]);
        assert_eq!(seen.last(), Some(&Seen::Close));
        // The node that ended it knows whether it was the last one.
        assert_eq!(states(&t.take(bob)), []);
    }
}

#[test]
fn a_session_whose_write_is_refused_learns_why_from_the_database() {
    let mut t = node();
    let alice = t.login("alice");
    let request = t.ask(alice, Harness::text(TO_BOB, "too late"));
    t.end(Fence { user: ALICE, epoch: Epoch(1) }, KickCode::Password);
    let (ticket, _) = t.writes.pop_front().expect("it waits for storage");
    t.logic.handle_written(t.now, ticket, Written::Superseded, &mut t.effects);
    // Nothing is due; this collects the effects.
    t.advance(0);
    t.settle();
    assert_eq!(errno(&t.reply(alice, request).unwrap()), Errno::NotLoggedIn);
    assert_eq!(kicks(&t.take(alice)), [Some(KickCode::Password)]);
    assert_eq!(t.logic.sessions(), 0);
}

#[test]
fn many_refused_writes_of_a_session_ask_the_database_once() {
    let mut t = node();
    let alice = t.login("alice");
    t.settle();
    let requests: Vec<u32> =
        (0..50).map(|n| t.ask(alice, Harness::text(TO_BOB, &format!("late {n}")))).collect();
    t.end(Fence { user: ALICE, epoch: Epoch(1) }, KickCode::Login);
    while let Some((ticket, _)) = t.writes.pop_front() {
        t.logic.handle_written(t.now, ticket, Written::Superseded, &mut t.effects);
    }
    t.advance(0);
    let is_check = |read: &Read| matches!(read, Read::Node(contract::node::Read::Session(_)));
    assert_eq!(t.reads.iter().filter(|(_, read)| is_check(read)).count(), 1);
    // The bus adds which login it was.
    let hint = Hint::Kick { user: ALICE, epoch: Epoch(1), device: Some("phone".into()) };
    t.hear(BusInput::Hint { channel: Channel::Node("n1-1".into()), hint });
    t.settle();
    for request in requests {
        assert_eq!(errno(&t.reply(alice, request).unwrap()), Errno::NotLoggedIn);
    }
    assert_eq!(devices(&t.take(alice)), [Some("phone".into())]);
}

#[test]
fn a_login_by_token_has_the_name_that_is_kept_with_it() {
    let mut t = harness();
    t.device = Some("desk".into());
    let alice = t.login("alice");
    let again = t.open();
    t.get(again, by_token("1:1"));
    assert_eq!(devices(&t.take(alice)), [Some("desk".into())]);
}

/// LOGIN by password; its errno.
fn log_in(t: &mut Harness, password: &str) -> (ConnId, Errno) {
    let conn = t.open();
    let (who, password) = (account::Who::Name("alice".into()), password.into());
    let login = session::Login::new(wire::Credentials::Password { who, password });
    let reply = t.get(conn, Command::Session(session::Request::Login(login)));
    (conn, errno(&reply))
}

#[test]
fn a_password_is_changed_after_the_old_one_was_checked() {
    let mut t = harness();
    let alice = t.login("alice");
    let wrong = t.get(alice, change("wrong!", "new secret"));
    assert_eq!(errno(&wrong), Errno::BadCredentials);
    assert!(matches!(&wrong, Reply::Refused(refusal) if refusal.field.as_deref() == Some("old")));
    assert_eq!(&*t.password, "secret");
    assert_eq!(t.get(alice, change("secret", "new secret")), Reply::Done);
    assert_eq!(&*t.password, "new secret");
    assert!(matches!(t.get(alice, Harness::text(TO_BOB, "here")), Reply::Message(message::Reply::Sent(_))));
    // A client that has not received the reply asks again; only the client that made the change is told so.
    assert_eq!(t.get(alice, change("secret", "new secret")), Reply::Done);
    assert_eq!(errno(&t.get(alice, change("secret", "another"))), Errno::BadCredentials);
    t.changed_by = Some([77; 32]);
    assert_eq!(errno(&t.get(alice, change("secret", "new secret"))), Errno::BadCredentials);
    assert_eq!(log_in(&mut t, "secret").1, Errno::BadCredentials);
    assert_eq!(log_in(&mut t, "new secret").1, Errno::Ok);
}

#[test]
fn guesses_at_the_old_password_count_like_those_of_logins() {
    let mut t = harness();
    let alice = t.login("alice");
    for _ in 0..5 {
        assert_eq!(errno(&t.get(alice, change("guess", "new secret"))), Errno::BadCredentials);
    }
    let reply = t.get(alice, change("secret", "new secret"));
    assert_eq!(errno(&reply), Errno::RateLimited);
    let Reply::Refused(refusal) = reply else { panic!() };
    t.advance(refusal.retry_after_ms.expect("it says when to come back"));
    assert_eq!(errno(&t.get(alice, change("guess", "new secret"))), Errno::BadCredentials);
    t.advance(2_000);
    assert_eq!(t.get(alice, change("secret", "new secret")), Reply::Done);
    // Those that wait are checked one by one.
    t.hashing_stands = true;
    let asked: Vec<u32> = (0..20).map(|_| t.ask(alice, change("guess", "other secret"))).collect();
    t.settle();
    t.hashing_stands = false;
    while t.hash_one() {}
    t.settle();
    let replies = asked.iter().map(|request| errno(&t.reply(alice, *request).unwrap()));
    assert_eq!(replies.filter(|errno| *errno == Errno::BadCredentials).count(), 5);
}

#[test]
fn a_login_whose_password_is_changed_in_the_meantime_fails() {
    let mut t = harness();
    let alice = t.login("alice");
    let other = t.open();
    let login = t.ask(other, Harness::login_command("alice"));
    t.find_one(); // the account
    // The old password was right; the token is not made yet.
    let (ticket, write) = t.writes.pop_front().expect("the token is to be made");
    assert_eq!(t.get(alice, change("secret", "new secret")), Reply::Done);
    t.writes.push_back((ticket, write));
    t.settle();
    assert_eq!(errno(&t.reply(other, login).unwrap()), Errno::BadCredentials);
    assert_eq!(t.logic.sessions(), 1);
    assert_eq!(kicks(&t.take(alice)), []);
}

#[test]
fn nothing_is_changed_for_a_session_that_has_ended() {
    let mut t = harness();
    let alice = t.login("alice");
    t.hashing_stands = true;
    let request = t.ask(alice, change("secret", "new secret"));
    t.settle();
    t.hash_one(); // the old password is right
    t.settle();
    // A newer login of the same client ends the session.
    let again = t.open();
    t.get(again, by_token("1:1"));
    while t.hash_one() {}
    t.settle();
    assert_eq!(errno(&t.reply(alice, request).unwrap()), Errno::NotLoggedIn);
    assert_eq!(&*t.password, "secret");
}
