//! Friends.

use super::scenario::{Scenario, by_name};
use logic::contract::{Denial, Found, Read, Write, Written, account, contact};
use wire::account::Who;
use wire::{Page, UserId};

pub fn friendship_is_mutual(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let add = |user, who| Write::Contact(contact::Write::Add { user, who });
    match scenario.one(add(anna, by_name("BEN"))) {
        Written::Contact(contact::Written::Friends { peer, name }) => {
            assert_eq!((peer, &*name), (ben, "ben"));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(scenario.one(add(ben, Who::Id(anna))), Written::Denied(Denial::Conflict)));
    assert!(matches!(scenario.one(add(ben, Who::Id(ben))), Written::Denied(Denial::Oneself)));
    assert!(matches!(scenario.one(add(ben, Who::Id(UserId(99)))), Written::Denied(Denial::NotFound)));
    assert!(matches!(scenario.one(add(ben, by_name("nobody"))), Written::Denied(Denial::NotFound)));
    scenario.look_thrice(|scenario| {
        for (user, friend) in [(anna, ben), (ben, anna)] {
            let Found::Contact(contact::Found::FriendIds(ids)) =
                scenario.read(Read::Contact(contact::Read::FriendIds { user }))
            else {
                panic!()
            };
            assert_eq!(ids, [friend]);
        }
    });
}

pub fn friends_are_paged(scenario: &mut Scenario<'_>) {
    let anna = scenario.user("anna");
    let others: Vec<UserId> = (0..7).map(|n| scenario.user(&format!("friend {n}"))).collect();
    for other in others.iter().rev() {
        scenario.one(Write::Contact(contact::Write::Add { user: anna, who: Who::Id(*other) }));
    }
    let mut after = 0;
    let mut seen = Vec::new();
    loop {
        let page = Page { after, limit: 3 };
        let Found::Contact(contact::Found::Friends { friends, more }) =
            scenario.read(Read::Contact(contact::Read::Friends { user: anna, page }))
        else {
            panic!()
        };
        after = friends.last().unwrap().user.0;
        assert_eq!(more, seen.len() + friends.len() < others.len());
        seen.extend(friends.into_iter().map(|friend| (friend.user, friend.name.to_string())));
        if !more {
            break;
        }
    }
    let expected: Vec<_> = (0..).zip(&others).map(|(n, id)| (*id, format!("friend {n}"))).collect();
    assert_eq!(seen, expected);
}

fn friends(scenario: &mut Scenario<'_>, user: UserId) -> Vec<contact::Friend> {
    let page = Page { after: 0, limit: 50 };
    match scenario.read(Read::Contact(contact::Read::Friends { user, page })) {
        Found::Contact(contact::Found::Friends { friends, .. }) => friends,
        other => panic!("{other:?}"),
    }
}

fn remove(user: UserId, friend: UserId) -> Write {
    Write::Contact(contact::Write::Remove { user, friend })
}

pub fn either_friend_ends_a_friendship(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    let add = |user, friend| Write::Contact(contact::Write::Add { user, who: Who::Id(friend) });
    for (by, of) in [(anna, ben), (ben, anna)] {
        scenario.all(vec![add(anna, ben), add(anna, cleo)]);
        assert!(matches!(scenario.one(remove(by, of)), Written::Done));
        scenario.look_thrice(|scenario| {
            assert_eq!(friends(scenario, ben), []);
            assert_eq!(friends(scenario, anna).iter().map(|of| of.user).collect::<Vec<_>>(), [cleo]);
        });
        assert!(matches!(scenario.one(remove(by, of)), Written::Denied(Denial::NotFound)));
    }
    for stranger in [anna, UserId(999)] {
        assert!(matches!(scenario.one(remove(anna, stranger)), Written::Denied(Denial::NotFound)));
    }
}

pub fn notes_about_a_friend_are_the_users_own(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let set = |user, friend, remark: Option<&str>, tag: Option<&str>| {
        let (remark, tag) = (remark.map(Into::into), tag.map(Into::into));
        Write::Contact(contact::Write::Set { user, friend, remark, tag })
    };
    let denied = |written| matches!(written, Written::Denied(Denial::NotFound));
    assert!(denied(scenario.one(set(anna, ben, Some("x"), None))));
    let befriend = || Write::Contact(contact::Write::Add { user: anna, who: Who::Id(ben) });
    scenario.one(befriend());
    let longest = "🙂'\\".repeat(21);
    for (remark, tag, expected) in [
        (Some("my boss"), None, (Some("my boss"), None)),
        (None, Some("work"), (Some("my boss"), Some("work"))),
        (None, Some("work"), (Some("my boss"), Some("work"))),
        (Some(""), None, (None, Some("work"))),
        (Some(&*longest), Some(""), (Some(&*longest), None)),
    ] {
        assert!(matches!(scenario.one(set(anna, ben, remark, tag)), Written::Done));
        scenario.look_thrice(|scenario| {
            let row = friends(scenario, anna).remove(0);
            assert_eq!((row.notes.remark.as_deref(), row.notes.tag.as_deref()), expected);
            assert_eq!(friends(scenario, ben)[0].notes, contact::Notes::default());
            let read = account::Read::Profile { user: anna, who: Who::Id(ben) };
            match scenario.read(Read::Account(read)) {
                Found::Account(account::Found::Profile(Some(profile))) => {
                    assert_eq!(profile.friend, Some(row.notes));
                }
                other => panic!("{other:?}"),
            }
        });
    }
    // They end with the friendship.
    scenario.all(vec![remove(ben, anna), befriend()]);
    assert_eq!(friends(scenario, anna)[0].notes, contact::Notes::default());
    assert!(denied(scenario.one(set(anna, UserId(999), None, Some("x")))));
}
