//! What the index of SEARCH learns of the timelines.

use super::scenario::Scenario;
use logic::contract::search::{Appended, Extent, Mark, Read};
use logic::contract::{Found, search};
use wire::{ConversationId, Target};

type Ends = Vec<(ConversationId, u64, u64)>;

fn numbers(ends: &[search::End]) -> Ends {
    ends.iter().map(|end| (end.conversation, end.first.0, end.last.0)).collect()
}

fn ends(scenario: &mut Scenario<'_>, after: ConversationId, limit: u32) -> Ends {
    match scenario.read(Read::Ends { after, limit }.into()) {
        Found::Search(search::Found::Ends(ends)) => numbers(&ends),
        other => panic!("{other:?}"),
    }
}

fn appended(scenario: &mut Scenario<'_>, since: Mark) -> (Ends, Appended) {
    match scenario.read(Read::Appended { since }.into()) {
        Found::Search(search::Found::Appended(appended)) => {
            let mut ends = numbers(&appended.ends);
            ends.sort_unstable();
            (ends, *appended)
        }
        other => panic!("{other:?}"),
    }
}

/// How often months have been dropped.
pub fn dropped(scenario: &mut Scenario<'_>) -> u64 {
    appended(scenario, Mark::default()).1.dropped
}

pub fn the_ends_of_all_timelines_are_listed(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let direct = scenario.say(anna, Target::User(ben), "1", "x").conversation;
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    scenario.say(ben, Target::Conversation(group), "2", "x");
    let mut all = vec![(direct, 1, 1), (group, 1, 3)];
    all.sort_unstable();
    scenario.look_thrice(|scenario| {
        assert_eq!(ends(scenario, ConversationId(0), 10), all);
        assert_eq!(ends(scenario, ConversationId(0), 1), all[..1]);
        assert_eq!(ends(scenario, all[0].0, 10), all[1..]);
        assert_eq!(ends(scenario, all[1].0, 10), []);
    });
}

pub fn what_was_appended_since_a_mark_is_told(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let direct = scenario.say(anna, Target::User(ben), "1", "x").conversation;
    let (_, begun) = appended(scenario, Mark::default());
    assert_eq!(begun.extent, Extent::Unknown, "before the first mark everything may have been appended");
    assert!(begun.settled <= scenario.now, "what is being committed may be as old as this: {begun:?}");
    assert!(begun.settled.0 + 5_000 >= scenario.now.0, "{begun:?}");
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    scenario.say(ben, Target::Conversation(group), "2", "x");
    let (told, next) = appended(scenario, begun.mark);
    assert_eq!(next.extent, Extent::All);
    // A conversation may be told again, with its end.
    assert!(told.contains(&(group, 1, 3)), "{told:?}");
    assert!(told.iter().all(|end| [(group, 1, 3), (direct, 1, 1)].contains(end)), "{told:?}");
    // Filed or not.
    scenario.file();
    scenario.wait(10_000);
    let (_, next) = appended(scenario, next.mark);
    let (told, next) = appended(scenario, next.mark);
    assert_eq!((told, next.extent), (vec![], Extent::All), "nothing is told for ever");
    scenario.say(anna, Target::User(ben), "3", "x");
    scenario.file();
    let (told, next) = appended(scenario, next.mark);
    assert_eq!((told, next.extent), (vec![(direct, 1, 2)], Extent::All));
    scenario.fixture.restart();
    scenario.say(ben, Target::User(anna), "4", "x");
    let (told, next) = appended(scenario, next.mark);
    assert!(next.extent == Extent::Unknown || told == [(direct, 1, 3)], "{told:?}, {next:?}");
}
