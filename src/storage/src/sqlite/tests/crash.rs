//! Crashes between any two steps: every acknowledged message is there, in its place, once.

use super::InMemory;
use crate::conformance::{Scenario, actor, append, appended, walk};
use logic::contract::change::{self, What};
use logic::contract::message::Stored;
use logic::contract::{Written, message};
use wire::{Direction, Seq, Target};

/// Crashes the store after `steps` slices of housekeeping, with messages before, between and after. Returns whether
/// there were more slices.
fn crash_after(steps: usize) -> bool {
    let mut fixture = InMemory::new();
    let mut scenario = Scenario::on(&mut fixture);
    let users: Vec<_> = (0..6).map(|n| scenario.user(&format!("user {n}"))).collect();
    let group = scenario.group(users[0], "all");
    for user in &users[1..] {
        scenario.join(*user, group);
    }
    let late: Vec<_> = (0..40).map(|n| scenario.user(&format!("late {n}"))).collect();
    let mut late = late.into_iter();
    // Those who are in already, and the creation.
    let (mut last, mut count, mut reacted) = (users.len() as u64, 0, Vec::new());
    let mut say = |scenario: &mut Scenario<'_>, texts: u64| {
        let texts = (0..texts).map(|n| {
            let sender = users[n as usize % users.len()];
            append(sender, Target::Conversation(group), &format!("c{}", count + n), "hello")
        });
        for written in scenario.all(texts.collect()) {
            (last, count) = (last + 1, count + 1);
            assert_eq!(appended(&written).seq, Seq(last));
        }
        // Entries that are no messages lie between.
        last += 2;
        let what = What::React { reaction: "👍".into(), on: true };
        let react = change::Write { by: actor(users[0]), conversation: group, seq: Seq(last - 2), what };
        let told = scenario.one(react.into());
        assert!(
            matches!(told, Written::Change(change::Written::Made(entry)) if entry.message.seq == Seq(last - 1))
        );
        reacted.push(Seq(last - 2));
        assert_eq!(scenario.join(late.next().unwrap(), group).seq, Seq(last));
    };
    // Long enough that each step of filing takes more than one slice.
    for texts in [1, 3, 3000, 2996, 3000] {
        say(&mut scenario, texts);
    }
    scenario.wait(70_000_000);
    let mut more = true;
    for _ in 0..steps {
        more = scenario.fixture.store().housekeep().unwrap();
        say(&mut scenario, 1);
    }
    scenario.fixture.restart();
    assert_eq!(scenario.fixture.store().unfiled(), 0, "start-up files what is left");
    say(&mut scenario, 10);
    let all: Vec<u64> = (1..=last).collect();
    scenario.look_thrice(|scenario| assert_eq!(walk(scenario, users[0], group, 200, true), all));
    for seq in reacted {
        let message = &scenario.history(users[1], group, Direction::After(seq.prev()), 1).0[0];
        assert_eq!(message.changes().map(|changes| changes.changed), Some(seq.next()));
    }
    for n in [0, 1, 4095, 4096, 8999, count - 1] {
        let from =
            users.iter().map(|user| append(*user, Target::Conversation(group), &format!("c{n}"), "again"));
        let outcomes = scenario.all(from.collect());
        let known = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Written::Message(message::Written::Duplicate { .. })))
            .count();
        assert_eq!(known, 1, "c{n} is known of its sender alone");
    }
    more
}

#[test]
fn a_crash_during_filing_loses_nothing() {
    let mut steps = 0;
    while crash_after(steps) && steps < 14 {
        steps += 1;
    }
    assert!(steps > 6, "there were only {steps} steps to end at");
}

#[test]
fn a_lost_outcome_is_reported_again_as_duplicate() {
    let mut fixture = InMemory::new();
    let mut scenario = Scenario::on(&mut fixture);
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let first = scenario.say(anna, Target::User(ben), "1", "hi");
    // The commit succeeds, but its outcome is lost with the process.
    let writes = vec![(logic::Ticket(9), append(anna, Target::User(ben), "2", "lost"))];
    scenario.fixture.store().write(writes, &mut |_| {}).unwrap();
    scenario.fixture.restart();
    match scenario.one(append(anna, Target::User(ben), "2", "again")) {
        Written::Message(message::Written::Duplicate(Stored { conversation, seq, .. })) => {
            assert_eq!((conversation, seq), (first.conversation, Seq(2)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(walk(&mut scenario, ben, first.conversation, 5, true), [1, 2]);
}
