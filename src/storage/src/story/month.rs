//! Timelines that span months.

use super::{DAY_MS, Play, append, appended, walk};
use logic::contract::{Write, session};
use wire::{Direction, Seq, Target, UnixMillis};

pub fn history_pages_across_months(play: &mut Play<'_>) {
    let (anna, ben) = (play.user("anna"), play.user("ben"));
    let group = play.group(anna, "climbing");
    let mut last = 0;
    for round in 0..5u64 {
        let say = |play: &mut Play<'_>, n: u64| {
            let cid = format!("{round} {n}");
            let texts = vec![
                append(anna, Target::User(ben), &cid, "direct"),
                append(anna, Target::Conversation(group), &format!("g{cid}"), "group"),
            ];
            // Now and then a message is as long as a page of its own.
            let long = "x".repeat(if n % 9 == 4 { 5000 } else { 40 });
            let mut texts = texts;
            texts.push(append(ben, Target::User(anna), &cid, &long));
            play.all(texts)
        };
        for n in 0..20 {
            say(play, n);
            last += 2;
        }
        if round % 2 == 0 {
            play.file();
        }
        // One run then spans two months.
        play.wait(25 * DAY_MS);
    }
    let direct = play.conversations(ben, None, 10).0[0].conversation;
    play.look_thrice(|play| {
        let all: Vec<u64> = (1..=last).collect();
        for limit in [1, 13, 200] {
            assert_eq!(walk(play, ben, direct, limit, true), all);
            let mut back = walk(play, ben, direct, limit, false);
            back.reverse();
            assert_eq!(back, all);
        }
        for bound in 1..=last {
            let (messages, more, _) = play.history(ben, direct, Direction::Before(Seq(bound)), 1);
            assert_eq!(messages.first().map(|m| m.seq.0), (bound > 1).then(|| bound - 1));
            assert_eq!(more, bound > 2);
        }
        assert_eq!(walk(play, anna, group, 7, true), (1..=last / 2).collect::<Vec<_>>());
    });
}

pub fn a_clock_that_goes_back_keeps_months_in_order(play: &mut Play<'_>) {
    let (anna, ben) = (play.user("anna"), play.user("ben"));
    let say = |play: &mut Play<'_>, cid: &str| play.say(anna, Target::User(ben), cid, "x");
    let first = say(play, "1");
    assert_eq!(first.time, play.now);
    play.wait(40 * DAY_MS);
    let march = say(play, "2");
    play.file();
    play.now = UnixMillis(play.now.0 - 30 * DAY_MS);
    play.stage.set_time(play.now);
    let back = say(play, "3");
    assert!(back.time <= march.time && back.time > play.now, "it stays in its month");
    play.stage.restart();
    let outcomes = play.all(vec![
        append(anna, Target::User(ben), "4", "x"),
        Write::Session(session::Write::RevokeToken([0; 32])),
        append(ben, Target::User(anna), "5", "x"),
    ]);
    assert_eq!(appended(&outcomes[2]).seq, Seq(5));
    play.look_thrice(|play| {
        assert_eq!(walk(play, ben, first.conversation, 2, true), [1, 2, 3, 4, 5]);
        assert_eq!(walk(play, ben, first.conversation, 2, false), [5, 4, 3, 2, 1]);
    });
}
