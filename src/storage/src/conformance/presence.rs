//! What sessions show to friends, and when users were last seen.

use super::scenario::{Scenario, by_name};
use super::session::{Claiming, GRACE, LAPTOP, PHONE, claimed, end, lose, see};
use logic::Conflict;
use logic::contract::presence::{
    Found as PresenceFound, Online, Read as PresenceRead, Status, Write as Set, Written as PresenceWritten,
};
use logic::contract::{Epoch, Fence, Found, Read, Write, Written, contact, session};
use wire::{Page, UnixMillis, UserId};

fn set(user: UserId, epoch: Epoch, is_away: bool, text: Option<&str>) -> Write {
    let fence = Fence { user, epoch };
    let status = Status { is_away, text: text.map(Into::into) };
    let set = Set::Set { fence, status, grace: GRACE };
    Write::Fenced(fence, Box::new(set.into()))
}

fn shown(scenario: &mut Scenario<'_>, user: UserId) -> Option<(bool, Option<Box<str>>)> {
    match scenario.read(Read::Presence(PresenceRead::Online { users: vec![user], grace: GRACE })) {
        Found::Presence(PresenceFound::Online(online)) => {
            online.into_iter().next().map(|Online { status, .. }| (status.is_away, status.text))
        }
        other => panic!("{other:?}"),
    }
}

/// Whether the end of a session changes what the account shows.
fn changes(written: &Written) -> bool {
    match written {
        Written::Session(session::Written::Ended { changes_status, .. }) => *changes_status,
        other => panic!("{other:?}"),
    }
}

/// Whether what a session has set changes what the account shows.
fn has_set(written: &Written) -> bool {
    match written {
        Written::Presence(PresenceWritten::Set { changes }) => *changes,
        other => panic!("{other:?}"),
    }
}

pub fn an_account_shows_what_its_sessions_set(scenario: &mut Scenario<'_>) {
    let anna = scenario.user("anna");
    see(scenario, "n1");
    see(scenario, "n2");
    let claim = |scenario: &mut Scenario<'_>, node, token| {
        claimed(&scenario.one(Claiming::of(node, token, Conflict::Multi).by(anna)))
    };
    let laptop = claim(scenario, "n1", LAPTOP);
    assert_eq!((laptop.status, laptop.changes_status), (None, false), "nobody saw the account before");
    assert_eq!(shown(scenario, anna), Some((false, None)));
    // U+0000 and what a terminal would obey are texts like others.
    let text = Some("lunch \0\u{1b}[2J 午饭'\\");
    assert!(has_set(&scenario.one(set(anna, laptop.epoch, true, text))));
    assert!(!has_set(&scenario.one(set(anna, laptop.epoch, true, text))), "it is what it was");
    assert_eq!(shown(scenario, anna), Some((true, text.map(Into::into))));
    // Another client comes: the account is online, and the text stays.
    scenario.wait(1);
    let phone = claim(scenario, "n2", PHONE);
    assert_eq!((phone.status.clone(), phone.changes_status), (None, true));
    assert_eq!(shown(scenario, anna), Some((false, text.map(Into::into))));
    // It goes away as well; its text is the later one.
    assert!(has_set(&scenario.one(set(anna, phone.epoch, true, Some("out")))));
    assert_eq!(shown(scenario, anna), Some((true, Some("out".into()))));
    // The laptop loses its connection and comes back: it is away as before.
    scenario.one(lose(anna, laptop.epoch));
    scenario.wait(1);
    let again = claim(scenario, "n2", LAPTOP);
    assert!(again.resumed && !again.changes_status);
    assert_eq!(again.status.map(|set| set.status.is_away), Some(true));
    assert_eq!(shown(scenario, anna), Some((true, Some("out".into()))));
    scenario.fixture.restart();
    assert_eq!(shown(scenario, anna), Some((true, Some("out".into()))));
    // What a session has set ends with it, and nothing is set for one that has ended.
    assert!(changes(&scenario.one(end(anna, phone.epoch, None))));
    assert_eq!(shown(scenario, anna), Some((true, text.map(Into::into))));
    assert!(matches!(scenario.one(set(anna, laptop.epoch, false, None)), Written::Superseded));
    assert_eq!(shown(scenario, anna), Some((true, text.map(Into::into))));
    assert!(!changes(&scenario.one(end(anna, again.epoch, None))), "there is nobody left to show anything");
    assert_eq!(shown(scenario, anna), None);
}

pub fn when_a_user_was_last_seen_is_kept(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    scenario.one(contact::Write::Add { user: anna, who: by_name("ben") }.into());
    let last_seen = |scenario: &mut Scenario<'_>| {
        let read = contact::Read::Friends { user: anna, page: Page { after: 0, limit: 10 } };
        match scenario.read(read.into()) {
            Found::Contact(contact::Found::Friends { friends, .. }) => friends[0].last_seen,
            other => panic!("{other:?}"),
        }
    };
    let registered = last_seen(scenario).expect("it was there to register");
    scenario.wait(60_000);
    let twice = vec![(ben, 40_000), (ben, 20_000), (UserId(99), 0)];
    assert!(matches!(scenario.one(Set::Seen(twice).into()), Written::Done), "one is unknown");
    let seen = last_seen(scenario).expect("it is known");
    assert!(seen > registered && seen < UnixMillis(registered.0 + 50_000), "{seen:?}");
    scenario.one(Set::Seen(vec![(ben, 50_000)]).into());
    assert_eq!(last_seen(scenario), Some(seen), "it never goes back");
    scenario.fixture.restart();
    assert_eq!(last_seen(scenario), Some(seen));
}
