//! A node of a cluster: what it believes of the bus.

use super::harness::{Harness, Seen, rules};
use logic::bus::{BusInput, BusOrder, Channel, Hint};
use logic::contract::{Epoch, Fence, Write, session as storage};
use logic::{ConnId, Rules};
use wire::session::{GoingAway, KickCode, Kicked};
use wire::{Push, UnixMillis, UserId, session};

const RUN: &str = "n1-1";
const ALICE: UserId = UserId(1);

fn node() -> Harness {
    Harness::new(Rules { cluster: Some(RUN.into()), ..rules() }, &["alice", "bob"])
}

fn hear(t: &mut Harness, input: BusInput) {
    t.logic.handle_bus(t.now, input, &mut t.effects);
    // Nothing is due; this collects the effects.
    t.advance(0);
}

fn kick(t: &mut Harness, epoch: u32) {
    let hint = Hint::Kick { user: ALICE, epoch: Epoch(epoch), device: Some("phone".into()) };
    hear(t, BusInput::Hint { channel: Channel::Node(RUN.into()), hint });
}

fn is_closed(t: &mut Harness, conn: ConnId) -> bool {
    t.take(conn).contains(&Seen::Close)
}

#[test]
fn a_kick_ends_a_session_only_if_that_has_ended_in_the_database() {
    let mut t = node();
    t.next_epoch = 7;
    let conn = t.login("alice");
    for epoch in [7, 9] {
        kick(&mut t, epoch);
        t.settle();
        assert!(!is_closed(&mut t, conn), "the session is in force");
    }
    t.end(Fence { user: ALICE, epoch: Epoch(7) }, KickCode::Login);
    kick(&mut t, 6);
    kick(&mut t, 8);
    assert!(t.reads.is_empty(), "a kick of another session is not even checked");
    kick(&mut t, 7);
    assert!(!is_closed(&mut t, conn), "nothing ends before the database has answered");
    t.settle();
    let seen = t.take(conn);
    let by_phone = |seen: &Seen| {
        matches!(seen, Seen::Push(Push::Session(session::Push::Kicked(kicked)))
        if kicked.device.as_deref() == Some("phone"))
    };
    assert!(seen.iter().any(by_phone) && seen.contains(&Seen::Close), "{seen:?}");
}

#[test]
fn pushes_about_sessions_are_not_taken_from_the_bus() {
    let mut t = node();
    let conn = t.login("alice");
    t.take(conn);
    let away = GoingAway { reason: "x".into(), retry_after_ms: 0, node: Some("192.0.2.1:6000".into()) };
    let kicked = Kicked { reason: "x".into(), code: None, device: None, time: UnixMillis(1) };
    for push in [
        session::Push::GoingAway(Box::new(away)),
        session::Push::Kicked(Box::new(kicked)),
        session::Push::Probe,
    ] {
        let hint = Hint::Push { push: push.into() };
        hear(&mut t, BusInput::Hint { channel: Channel::User(ALICE), hint });
    }
    t.settle();
    assert_eq!(t.take(conn), []);
}

#[test]
fn a_login_waits_for_its_lock_for_300_ms_at_most() {
    let mut t = node();
    hear(&mut t, BusInput::Up);
    t.effects.bus.clear();
    let conn = t.open();
    t.ask(conn, Harness::login_command("alice"));
    let begun = loop {
        while t.store_one() || t.find_one() {}
        match t.effects.bus.pop() {
            Some(BusOrder::Subscribe { ticket, .. }) => {
                hear(&mut t, BusInput::Subscribed(ticket));
                break t.now.monotonic;
            }
            other => assert!(other.is_some(), "the login subscribes to its user's channel"),
        }
    };
    // Another login holds the lock, or somebody pretends to.
    let is_claim = |write: &Write| matches!(write, Write::Session(storage::Write::Claim(_)));
    while !t.writes.iter().any(|(_, write)| is_claim(write)) {
        assert!(t.now.monotonic - begun <= 300, "the login still waits");
        let asked: Vec<BusOrder> = t.effects.bus.drain(..).collect();
        for order in asked {
            if let BusOrder::Lock { ticket, user } = order {
                hear(&mut t, BusInput::Locked { ticket, user, held: false });
            }
        }
        t.advance(10);
    }
    assert!(t.now.monotonic - begun >= 290);
}
