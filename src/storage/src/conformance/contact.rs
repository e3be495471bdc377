//! Friends.

use super::scenario::{Scenario, by_name};
use logic::contract::{Denial, Found, Read, Write, Written, contact};
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
