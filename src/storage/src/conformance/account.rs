//! Accounts.

use super::scenario::{DAY_MS, Scenario, append, appended, by_name};
use logic::Network;
use logic::contract::contact::Notes;
use logic::contract::{Denial, Found, Read, Write, Written, account, contact};
use wire::account::{Find, Who};
use wire::{Target, UserId};

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
            let found = scenario.read(Read::Account(account::Read::Id(who.clone())));
            assert!(matches!(found, Found::Account(account::Found::Id(Some(id))) if id == user), "{found:?}");
            let network = Network::of([192, 0, 2, 1].into());
            let login = Box::new(account::Login { who, network, known: None });
            let Found::Account(account::Found::Credentials(Some(account))) =
                scenario.read(Read::Account(account::Read::Credentials(login)))
            else {
                panic!()
            };
            assert_eq!((account.user, &*account.hash), (user, "$hash"));
        }
        for who in [by_name("nobody"), Who::Id(UserId(999))] {
            assert!(matches!(
                scenario.read(Read::Account(account::Read::Id(who))),
                Found::Account(account::Found::Id(None))
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
        let of_anna = |is_friend: bool| account::Profile {
            user: anna,
            name: "Anna".into(),
            nick: Some("nick".into()),
            created,
            friend: is_friend.then(Notes::default),
        };
        assert_eq!(profile(anna, Who::Id(anna)), Some(of_anna(false)));
        assert_eq!(profile(ben, by_name("ANNA")), Some(of_anna(true)));
        assert_eq!(profile(carla, Who::Id(anna)), Some(of_anna(false)));
        let of_ben = profile(anna, by_name("ben")).expect("ben has an account");
        assert_eq!((of_ben.user, of_ben.nick, of_ben.friend), (ben, None, Some(Notes::default())));
        assert_eq!(profile(anna, by_name("nobody")), None);
        assert_eq!(profile(anna, Who::Id(UserId(999))), None);
    });
}

/// What a new account of this name gets: its id, or nothing if the name is taken.
fn try_create(scenario: &mut Scenario<'_>, name: &str) -> Option<UserId> {
    match scenario.one(create(name)) {
        Written::Account(account::Written::Created { user, .. }) => Some(user),
        Written::Denied(Denial::NameTaken) => None,
        other => panic!("{name}: {other:?}"),
    }
}

fn user_of(scenario: &mut Scenario<'_>, who: Who) -> Option<UserId> {
    match scenario.read(Read::Account(account::Read::Id(who))) {
        Found::Account(account::Found::Id(found)) => found,
        other => panic!("{other:?}"),
    }
}

/// Names that look like that of another account, whose plain form another account has, or that differ by case only.
const ALIKE: &[(&str, &str)] = &[
    ("alice", "аlice"),
    ("alice", "ALICE"),
    ("alice", "ａｌｉｃｅ"),
    ("alice", "ali\u{200b}ce"),
    ("сосо", "coco"),
    ("x2", "x²"),
    ("🙂", "🙂\u{fe0f}"),
    ("straße", "STRASSE"),
];

/// Names that may exist beside each other.
const DIFFERENT: &[(&str, &str)] = &[
    ("user1", "userl"),
    ("modern", "modem"),
    ("O0", "OO"),
    ("eva", "éva"),
    ("张三", "张四"),
    ("Иван", "Ивана"),
];

pub fn names_that_look_like_another_are_taken(scenario: &mut Scenario<'_>) {
    let both_ways = ALIKE.iter().flat_map(|(one, other)| [(one, other), (other, one)]);
    for (number, (one, other)) in both_ways.enumerate() {
        // Each pair is a pair of its own.
        let (one, other) = (format!("k{number} {one}"), format!("k{number} {other}"));
        assert!(try_create(scenario, &one).is_some(), "{one}");
        assert_eq!(try_create(scenario, &other), None, "{other} beside {one}");
        // A refused name claims nothing.
        assert_eq!(user_of(scenario, by_name(&format!("{other}?"))), None);
        assert!(try_create(scenario, &format!("{other}?")).is_some());
    }
    for (one, other) in DIFFERENT {
        assert!(try_create(scenario, one).is_some(), "{one}");
        assert!(try_create(scenario, other).is_some(), "{other} beside {one}");
    }
    // In one batch.
    let outcomes = scenario.all(vec![create("bob"), create("bоb"), create("b0b"), create("bОb")]);
    let taken = |written: &Written| matches!(written, Written::Denied(Denial::NameTaken));
    assert_eq!(outcomes.iter().map(taken).collect::<Vec<_>>(), [false, true, false, true]);
}

pub fn accounts_of_older_versions_claim_their_names(scenario: &mut Scenario<'_>) {
    let names = ["alice", "1", "ｗｉｄｅ", "сосо", "аdam", "user1", "userl"];
    let users: Vec<UserId> = names.iter().map(|name| scenario.user(name)).collect();
    scenario.fixture.forget_claims();
    assert!(try_create(scenario, "аlice").is_some());
    scenario.fixture.restart();
    // Existing accounts stay, whatever their names look like.
    for (name, user) in names.iter().zip(&users) {
        assert_eq!(user_of(scenario, by_name(name)), Some(*user), "{name}");
    }
    for taken in ["Alice", "аliсe", "coco", "adam", "wide", "usеr1", "ＵＳＥＲ1"] {
        assert_eq!(try_create(scenario, taken), None, "{taken}");
    }
    assert!(try_create(scenario, "alicia").is_some());
}

pub fn a_name_in_another_form_finds_the_only_account_that_it_fits(scenario: &mut Scenario<'_>) {
    let (ann, wide) = (scenario.user("ann"), scenario.user("ｂｏｂ"));
    // Two accounts of an older version with the same plain form.
    let one_eve = scenario.user("ｅve");
    scenario.fixture.forget_claims();
    let other_eve = scenario.user("eｖe");
    scenario.fixture.forget_claims();
    scenario.fixture.restart();
    scenario.look_thrice(|scenario| {
        for (typed, user) in [
            ("Ann", Some(ann)),
            ("ａｎｎ", Some(ann)),
            ("a\u{200b}nn", Some(ann)),
            ("bob", Some(wide)),
            ("ＢＯＢ", Some(wide)),
            ("ＥVE", Some(one_eve)),
            ("EＶE", Some(other_eve)),
            // These fit both.
            ("eve", None),
            ("ｅｖｅ", None),
            ("аnn", None),
            ("nobody", None),
        ] {
            assert_eq!(user_of(scenario, by_name(typed)), user, "{typed}");
            let profile = account::Read::Profile { user: ann, who: by_name(typed) };
            let Found::Account(account::Found::Profile(found)) = scenario.read(Read::Account(profile)) else {
                panic!("{typed}")
            };
            assert_eq!(found.map(|profile| profile.user), user, "{typed}");
        }
    });
    // As the recipient of messages and as a friend, in one batch too.
    let to = |name: &str, cid: &str| append(one_eve, Target::Name(name.into()), cid, "hi");
    let written = scenario.all(vec![to("ａｎｎ", "1"), to("ann", "2"), to("eve", "3"), to("ａnn", "4")]);
    let place = |written: &Written| appended(written).conversation;
    assert_eq!([place(&written[0]), place(&written[1])], [place(&written[3]); 2]);
    assert!(matches!(written[2], Written::Denied(Denial::NotFound)), "{:?}", written[2]);
    let add = |name| Write::Contact(contact::Write::Add { user: ann, who: by_name(name) });
    let Written::Contact(contact::Written::Friends { peer, name }) = scenario.one(add("bob")) else {
        panic!()
    };
    assert_eq!((peer, &*name), (wide, "ｂｏｂ"));
    assert!(matches!(scenario.one(add("eve")), Written::Denied(Denial::NotFound)));
}

pub fn users_are_found_by_id_and_by_the_beginning_of_their_names(scenario: &mut Scenario<'_>) {
    let names = ["Zhang San", "zhang si", "zhao", "张三", "张四", "ann", "an_n", "a%"];
    let ids: Vec<UserId> = names.iter().map(|name| scenario.user(name)).collect();
    let crowd: Vec<String> = (0..25).map(|n| format!("crowd {n:02}")).collect();
    crowd.iter().for_each(|name| {
        scenario.user(name);
    });
    scenario.look_thrice(|scenario| {
        let mut found = |query: &str, limit| {
            let find = Find { query: query.into(), limit };
            match scenario.read(Read::Account(account::Read::Find(find))) {
                Found::Account(account::Found::Users(found)) => {
                    let names = found.users.iter().map(|user| user.name.to_string()).collect::<Vec<_>>();
                    (names, found.more)
                }
                other => panic!("{other:?}"),
            }
        };
        let all = |names: &[&str]| (names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(), false);
        assert_eq!(found("zh", 20), all(&["Zhang San", "zhang si", "zhao"]));
        assert_eq!(found("ZHANG", 20), all(&["Zhang San", "zhang si"]));
        assert_eq!(found("zhang san", 20), all(&["Zhang San"]));
        assert_eq!(found("张三", 20), all(&["张三"]));
        assert_eq!(found("an", 20), all(&["an_n", "ann"]), "no character is a pattern");
        assert_eq!(found("a%", 20), all(&["a%"]));
        assert_eq!(found("nobody", 20), all(&[]));
        assert_eq!(found(&ids[3].to_string(), 20), all(&["张三"]));
        assert_eq!(found("2000000000", 20), all(&[]));
        assert_eq!(found("99999999999999999999", 20), all(&[]));
        assert_eq!(found("crowd", 20), (crowd[..20].to_vec(), true));
        assert_eq!(found("crowd 2", 5), (crowd[20..].to_vec(), false));
        assert_eq!(found("crowd 2", 4), (crowd[20..24].to_vec(), true));
    });
}

pub fn a_user_whose_id_is_the_beginning_of_names_is_found_first(scenario: &mut Scenario<'_>) {
    for n in 0..12 {
        scenario.user(&format!("user {n:02}"));
    }
    let named = scenario.user("10 downing street");
    let read = |limit| account::Read::Find(Find { query: "10".into(), limit });
    scenario.look_thrice(|scenario| {
        for (limit, expected, more) in [(20, 2, false), (2, 2, false), (1, 1, true)] {
            let Found::Account(account::Found::Users(found)) = scenario.read(Read::Account(read(limit)))
            else {
                panic!()
            };
            let ids: Vec<UserId> = found.users.iter().map(|user| user.id).collect();
            assert_eq!((&ids[..], found.more), (&[UserId(10), named][..expected], more));
        }
    });
}
