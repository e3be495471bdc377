//! Accounts.

use super::scenario::{DAY_MS, Scenario, by_name};
use logic::contract::{Denial, Found, Read, Write, Written, account};
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
