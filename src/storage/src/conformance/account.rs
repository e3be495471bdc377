//! Accounts.

use super::scenario::{DAY_MS, Scenario, by_name};
use logic::contract::{Denial, Found, Read, Write, Written, account, contact};
use wire::UserId;
use wire::account::Who;

fn create(name: &str) -> Write {
    Write::Account(account::Write::Create {
        name: name.into(),
        password: "$hash".into(),
        nick: Some("nick".into()),
    })
}

pub fn account_names_are_unique_by_key(scenario: &mut Scenario<'_>) {
    let outcomes = scenario.all(vec![create("Zhang San"), create("zhang san"), create("李四")]);
    let Written::Account(account::Written::Created { user, token }) = &outcomes[0] else {
        panic!("{outcomes:?}")
    };
    assert!(matches!(outcomes[1], Written::Denied(Denial::NameTaken)));
    assert!(matches!(outcomes[2], Written::Account(account::Written::Created { .. })));
    assert_eq!(token.expires.0, scenario.now.0 + 7 * DAY_MS);
    let user = *user;
    scenario.look_thrice(|scenario| {
        for who in [by_name("ZHANG SAN"), Who::Id(user)] {
            let Found::Account(account::Found::Password(Some(account))) =
                scenario.read(Read::Account(account::Read::Password(who)))
            else {
                panic!()
            };
            assert_eq!((account.user, &*account.hash), (user, "$hash"));
        }
        for who in [by_name("nobody"), Who::Id(UserId(999))] {
            assert!(matches!(
                scenario.read(Read::Account(account::Read::Password(who))),
                Found::Account(account::Found::Password(None))
            ));
        }
    });
}

pub fn profiles_tell_friends_from_others(scenario: &mut Scenario<'_>) {
    let Written::Account(account::Written::Created { user: anna, .. }) = scenario.one(create("Anna")) else {
        panic!("Anna has no account")
    };
    let created = scenario.now;
    scenario.wait(5);
    let (ben, carla) = (scenario.user("ben"), scenario.user("carla"));
    scenario.one(Write::Contact(contact::Write::Add { user: ben, who: Who::Id(anna) }));
    scenario.look_thrice(|scenario| {
        let mut profile = |user, who| match scenario.read(Read::Account(account::Read::Profile { user, who }))
        {
            Found::Account(account::Found::Profile(profile)) => profile.map(|profile| *profile),
            other => panic!("{other:?}"),
        };
        let of_anna = |is_friend| account::Profile {
            user: anna,
            name: "Anna".into(),
            nick: Some("nick".into()),
            created,
            is_friend,
        };
        assert_eq!(profile(anna, Who::Id(anna)), Some(of_anna(false)));
        assert_eq!(profile(ben, by_name("ANNA")), Some(of_anna(true)));
        assert_eq!(profile(carla, Who::Id(anna)), Some(of_anna(false)));
        let of_ben = profile(anna, by_name("ben")).expect("ben has an account");
        assert_eq!((of_ben.user, of_ben.nick, of_ben.is_friend), (ben, None, true));
        assert_eq!(profile(anna, by_name("nobody")), None);
        assert_eq!(profile(anna, Who::Id(UserId(999))), None);
    });
}
