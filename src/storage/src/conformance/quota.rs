//! Quotas: checked inside the transaction of the write, and counting only what the account did itself.

use super::scenario::{DAY_MS, Scenario, append, appended, create, join};
use logic::contract::{Denial, Quota, Quotas, Write, Written, contact, message};
use wire::account::Who;
use wire::{Target, UnixMillis, UserId};

fn add(user: UserId, friend: UserId) -> Write {
    Write::Contact(contact::Write::Add { user, who: Who::Id(friend) })
}

fn is_denied(written: &Written, quota: Quota) -> bool {
    matches!(written, Written::Denied(Denial::Quota(denied)) if *denied == quota)
}

pub fn quotas_bound_what_an_account_creates(scenario: &mut Scenario<'_>) {
    let names = ["anna", "ben", "cleo", "dora", "eve"];
    let [anna, ben, cleo, dora, eve] = names.map(|name| scenario.user(name));
    scenario.fixture.set_quotas(Quotas { groups: 2, friends: 2, conversations: 4, ..Quotas::default() });
    let group = scenario.group(anna, "one");
    scenario.group(anna, "two");
    assert!(is_denied(&scenario.one(create(anna, "three")), Quota::Groups));
    // One transaction: each write counts the ones before it.
    let written = scenario.all(["one", "two", "three"].map(|name| create(ben, name)).to_vec());
    assert!(matches!(written[1], Written::Group(_)) && is_denied(&written[2], Quota::Groups));

    scenario.one(add(anna, ben));
    // What others ask for does not count.
    scenario.one(add(cleo, anna));
    scenario.one(add(anna, dora));
    assert!(is_denied(&scenario.one(add(anna, eve)), Quota::Friends));
    assert!(matches!(scenario.one(add(anna, ben)), Written::Denied(Denial::Conflict)));
    assert!(matches!(scenario.one(add(eve, anna)), Written::Contact(_)));
    // A friendship that has ended counts no more, whoever ended it; one that another asked for never did.
    let remove = |user, friend| Write::Contact(contact::Write::Remove { user, friend });
    scenario.one(remove(anna, eve));
    assert!(is_denied(&scenario.one(add(anna, eve)), Quota::Friends));
    for (by, of) in [(anna, dora), (dora, anna)] {
        scenario.one(remove(by, of));
        assert!(matches!(scenario.one(add(anna, dora)), Written::Contact(_)));
        assert!(is_denied(&scenario.one(add(anna, eve)), Quota::Friends));
    }

    let direct = scenario.say(anna, Target::User(ben), "1", "hi").conversation;
    scenario.say(cleo, Target::User(anna), "2", "hi");
    scenario.say(anna, Target::User(cleo), "3", "an answer opens nothing");
    scenario.say(anna, Target::User(dora), "4", "hi");
    let refused = scenario.one(append(anna, Target::User(eve), "5", "hi"));
    assert!(is_denied(&refused, Quota::Conversations), "{refused:?}");
    let of_others = scenario.group(dora, "of dora");
    assert!(is_denied(&scenario.one(join(anna, of_others)), Quota::Conversations));
    assert!(matches!(scenario.one(join(anna, group)), Written::Denied(Denial::Conflict)));
    // Existing conversations go on, and so does a repeated message.
    let repeated = scenario.one(append(anna, Target::User(ben), "1", "hi"));
    assert!(matches!(repeated, Written::Message(message::Written::Duplicate(_))));
    appended(&scenario.one(append(anna, Target::Conversation(direct), "6", "x")));
    scenario.fixture.restart();
    scenario.fixture.set_quotas(Quotas { groups: 2, ..Quotas::default() });
    assert!(is_denied(&scenario.one(create(anna, "three")), Quota::Groups));
    scenario.fixture.set_quotas(Quotas::default());
    scenario.group(anna, "three");
    scenario.join(anna, of_others);
    appended(&scenario.one(append(anna, Target::User(eve), "5", "hi")));
}

pub fn a_quota_of_a_day_ends_with_it(scenario: &mut Scenario<'_>) {
    let anna = scenario.user("anna");
    scenario.fixture.set_quotas(Quotas { groups_made_day: 3, ..Quotas::default() });
    for day in 1..4 {
        for name in ["one", "two", "three"] {
            scenario.group(anna, name);
        }
        let until = UnixMillis((super::BEGIN.0 / DAY_MS + day) * DAY_MS);
        assert!(is_denied(&scenario.one(create(anna, "four")), Quota::GroupsMadeDay { until }));
        scenario.wait(until.0 - scenario.now.0 - 1);
        assert!(is_denied(&scenario.one(create(anna, "four")), Quota::GroupsMadeDay { until }));
        scenario.wait(1);
    }
}

pub fn a_group_has_at_most_its_members(scenario: &mut Scenario<'_>) {
    let [anna, ben, cleo, dora] = ["anna", "ben", "cleo", "dora"].map(|name| scenario.user(name));
    scenario.fixture.set_quotas(Quotas { members: 3, ..Quotas::default() });
    let group = scenario.group(anna, "small");
    scenario.join(ben, group);
    scenario.join(cleo, group);
    assert!(is_denied(&scenario.one(join(dora, group)), Quota::Members));
    assert!(matches!(scenario.one(join(ben, group)), Written::Denied(Denial::Conflict)));
    scenario.fixture.set_quotas(Quotas::default());
    scenario.join(dora, group);
}
