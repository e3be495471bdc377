//! Accounts: profiles.

use super::harness;
use super::harness::errno;
use wire::account::{self, Relation, Who};
use wire::{Command, Errno, Reply, UserId};

#[test]
fn a_profile_tells_the_relation_of_the_user_who_asks() {
    let mut t = harness();
    t.befriend(1, 2);
    let alice = t.login("alice");
    let mut ask = |who| t.get(alice, Command::Account(account::Request::Profile(who)));
    for (who, id, relation) in [
        (None, 1, Relation::Oneself),
        (Some(Who::Id(UserId(1))), 1, Relation::Oneself),
        (Some(Who::Name("bob".into())), 2, Relation::Friend),
        (Some(Who::Id(UserId(3))), 3, Relation::None),
    ] {
        let Reply::Account(account::Reply::Profile(profile)) = ask(who) else { panic!("no profile of {id}") };
        assert_eq!((profile.id, profile.relation), (UserId(id), relation));
    }
    assert_eq!(errno(&ask(Some(Who::Name("nobody".into())))), Errno::NotFound);
    let stranger = t.open();
    let reply = t.get(stranger, Command::Account(account::Request::Profile(None)));
    assert_eq!(errno(&reply), Errno::NotLoggedIn);
}
