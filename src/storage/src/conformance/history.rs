//! Timelines that span months.

use super::scenario::{DAY_MS, Scenario, append, appended, walk};
use logic::contract::{Write, session};
use wire::{Direction, Seq, Target, UnixMillis};

pub fn history_spans_months(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let group = scenario.group(anna, "climbing");
    let mut last = 0;
    for round in 0..5u64 {
        let say = |scenario: &mut Scenario<'_>, n: u64| {
            let cid = format!("{round} {n}");
            let texts = vec![
                append(anna, Target::User(ben), &cid, "direct"),
                append(anna, Target::Conversation(group), &format!("g{cid}"), "group"),
            ];
            // Some messages fill a page of their own.
            let long = "x".repeat(if n % 9 == 4 { 5000 } else { 40 });
            let mut texts = texts;
            texts.push(append(ben, Target::User(anna), &cid, &long));
            scenario.all(texts)
        };
        for n in 0..20 {
            say(scenario, n);
            last += 2;
        }
        if round % 2 == 0 {
            scenario.file();
        }
        // So that one run spans two months.
        scenario.wait(25 * DAY_MS);
    }
    let direct = scenario.conversations(ben, None, 10).0[0].conversation;
    scenario.look_thrice(|scenario| {
        let all: Vec<u64> = (1..=last).collect();
        for limit in [1, 13, 200] {
            assert_eq!(walk(scenario, ben, direct, limit, true), all);
            let mut back = walk(scenario, ben, direct, limit, false);
            back.reverse();
            assert_eq!(back, all);
        }
        for bound in 1..=last {
            let (messages, more, _) = scenario.history(ben, direct, Direction::Before(Seq(bound)), 1);
            assert_eq!(messages.first().map(|m| m.seq.0), (bound > 1).then(|| bound - 1));
            assert_eq!(more, bound > 2);
        }
        assert_eq!(walk(scenario, anna, group, 7, true), (1..=last / 2 + 1).collect::<Vec<_>>());
    });
}

pub fn months_stay_in_order_when_the_clock_goes_back(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let say = |scenario: &mut Scenario<'_>, cid: &str| scenario.say(anna, Target::User(ben), cid, "x");
    let first = say(scenario, "1");
    assert_eq!(first.time, scenario.now);
    scenario.wait(40 * DAY_MS);
    let march = say(scenario, "2");
    scenario.file();
    scenario.now = UnixMillis(scenario.now.0 - 30 * DAY_MS);
    scenario.fixture.set_time(scenario.now);
    let back = say(scenario, "3");
    assert_eq!(back.time, march.time, "no message is dated before the one before it");
    scenario.fixture.restart();
    let outcomes = scenario.all(vec![
        append(anna, Target::User(ben), "4", "x"),
        Write::Session(session::Write::RevokeToken([0; 32])),
        append(ben, Target::User(anna), "5", "x"),
    ]);
    assert_eq!(appended(&outcomes[2]).seq, Seq(5));
    scenario.look_thrice(|scenario| {
        assert_eq!(walk(scenario, ben, first.conversation, 2, true), [1, 2, 3, 4, 5]);
        assert_eq!(walk(scenario, ben, first.conversation, 2, false), [5, 4, 3, 2, 1]);
    });
}
