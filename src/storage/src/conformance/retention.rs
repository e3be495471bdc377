//! Months that are not kept any more: what is left of a timeline, and that nothing else notices.

use super::change::{change, made, react, refused};
use super::conversation::clear;
use super::edit::recall;
use super::readers::no_readers;
use super::references::{self, answer, mention, mention_all, refer};
use super::scenario::{BEGIN, DAY_MS, Scenario, append, change_members, changed, join, seqs, walk};
use super::search;
use super::unread::{Dice, checked, read_up_to};
use crate::calendar;
use logic::contract::change::{Refused, What as Change};
use logic::contract::group::What;
use logic::contract::message::BadReference;
use logic::contract::timeline::{self, CursorMove, CursorStep, NoReaders};
use logic::contract::{Epoch, Found, Write};
use wire::{ConversationId, Direction, Seq, Target, UnixMillis, UserId};

const HOUR_MS: u64 = DAY_MS / 24;
/// Noon of 2026-02-10; that of later months is 28, 59 and 89 days later.
const FEBRUARY: UnixMillis = UnixMillis(BEGIN.0 + 11 * DAY_MS);
const MARCH: UnixMillis = UnixMillis(FEBRUARY.0 + 28 * DAY_MS);
const APRIL: UnixMillis = UnixMillis(FEBRUARY.0 + 59 * DAY_MS);
const MAY: UnixMillis = UnixMillis(FEBRUARY.0 + 89 * DAY_MS);

fn go_to(scenario: &mut Scenario<'_>, time: UnixMillis) {
    scenario.wait(time.0 - scenario.now.0);
    // Tables are made ahead of time.
    scenario.file();
}

/// Has everything dropped that is to be dropped now: the day that a jump of the clock delays it passes.
fn drop_months(scenario: &mut Scenario<'_>) {
    scenario.file();
    scenario.wait(DAY_MS + HOUR_MS);
    scenario.file();
}

fn feed(
    scenario: &mut Scenario<'_>,
    conversation: ConversationId,
    member: Option<UserId>,
) -> (Vec<u64>, bool, u64) {
    let (after, limit, bytes) = (Seq(0), 50, 1 << 20);
    let read = timeline::Read::Feed { conversation, member, after, limit, bytes };
    match scenario.read(read.into()) {
        Found::Timeline(timeline::Found::Feed { messages, more, first }) => (seqs(&messages), more, first.0),
        other => panic!("{other:?}"),
    }
}

/// The conversations in which a user is behind.
fn behind(scenario: &mut Scenario<'_>, user: UserId) -> Vec<ConversationId> {
    match scenario.read(timeline::Read::Unread { user, after: ConversationId(0) }.into()) {
        Found::Timeline(timeline::Found::Unread(page)) => {
            page.rows.iter().map(|row| row.conversation).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// Every way to read a timeline, for a member that was one from the beginning.
fn assert_shows(
    scenario: &mut Scenario<'_>,
    user: UserId,
    conversation: ConversationId,
    expected: std::ops::RangeInclusive<u64>,
) {
    let first = *expected.start();
    let expected: Vec<u64> = expected.collect();
    let backwards: Vec<u64> = expected.iter().rev().copied().collect();
    for limit in [1, 2, 50] {
        assert_eq!(walk(scenario, user, conversation, limit, true), expected, "{conversation} by {limit}");
        assert_eq!(walk(scenario, user, conversation, limit, false), backwards, "{conversation} by {limit}");
    }
    let direction = Direction::Before(Seq(first));
    let (below, more, told) = scenario.history(user, conversation, direction, 50);
    assert_eq!((below.len(), more, told), (0, false, Seq(first)));
    for member in [None, Some(user)] {
        assert_eq!(feed(scenario, conversation, member), (expected.clone(), false, first), "{member:?}");
    }
}

pub fn months_that_are_not_kept_are_dropped(scenario: &mut Scenario<'_>) {
    scenario.fixture.set_retention(1);
    let [anna, ben, cleo] = ["anna", "ben", "cleo"].map(|name| scenario.user(name));
    // January: a direct conversation with changes, a group, and one that nobody writes to any more.
    let direct = scenario.say(anna, Target::User(ben), "1", "january one").conversation;
    let to = || Target::Conversation(direct);
    scenario.say(anna, to(), "2", "january two");
    scenario.say(ben, to(), "3", "january three");
    made(&scenario.one(react(ben, direct, 1, "👍", true)));
    let edit = |text: &str| Change::Edit { content: text.into(), window: DAY_MS };
    made(&scenario.one(change(anna, direct, 2, edit("january edited"))));
    made(&scenario.one(recall(ben, direct, 3)));
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    scenario.say(anna, Target::Conversation(group), "4", "january in the group");
    // Dan has left without having received anything.
    let dan = scenario.user("dan");
    let left = scenario.group(anna, "running");
    scenario.join(dan, left);
    changed(&scenario.one(change_members(dan, left, What::Leave)));
    assert_eq!(behind(scenario, dan), [left]);
    let old = scenario.say(anna, Target::User(cleo), "5", "january, to cleo").conversation;
    scenario.say(anna, Target::User(cleo), "6", "january again");
    scenario.file();
    // February: seqs 7 to 9 of the direct conversation, 4 and 5 of the group, which cleo joins.
    go_to(scenario, FEBRUARY);
    scenario.say(anna, to(), "7", "february");
    scenario.one(refer(anna, to(), "8", mention(&[ben])));
    made(&scenario.one(react(ben, direct, 8, "👍", true)));
    scenario.join(cleo, group);
    scenario.say(anna, Target::Conversation(group), "9", "february in the group");
    drop_months(scenario);
    let rows = |scenario: &mut Scenario<'_>, user| {
        let rows = checked(scenario, user);
        let row = |row: &wire::timeline::ConversationSummary| {
            (
                row.conversation,
                [row.first_seq.0, row.last_seq.0, row.delivered_seq.0, row.unread, row.mentions],
            )
        };
        rows.iter().map(row).collect::<std::collections::BTreeMap<_, _>>()
    };
    // January is kept until March begins. Recalled is one of the three messages, by ben himself.
    assert_eq!(rows(scenario, ben)[&direct], [1, 9, 0, 4, 1]);
    assert_shows(scenario, ben, direct, 1..=9);
    go_to(scenario, MARCH);
    scenario.say(anna, to(), "10", "march");
    let before = search::dropped(scenario);
    drop_months(scenario);
    assert!(search::dropped(scenario) > before, "the index is told");
    scenario.look_thrice(|scenario| {
        assert_shows(scenario, ben, direct, 7..=10);
        assert_shows(scenario, anna, group, 4..=5);
        assert_eq!(walk(scenario, cleo, group, 50, true), [4, 5]);
        assert_eq!(rows(scenario, ben)[&direct], [7, 10, 6, 3, 1]);
        assert_eq!(rows(scenario, ben)[&group], [4, 5, 3, 1, 0]);
        assert_eq!(rows(scenario, cleo)[&old], [3, 2, 2, 0, 0], "nothing is left of it");
        assert_eq!(feed(scenario, old, Some(cleo)), (vec![], false, 3));
        assert_eq!(feed(scenario, left, Some(dan)), (vec![], false, 4), "and nothing comes");
        assert_eq!(behind(scenario, dan), []);
        let (left, more, first) = scenario.history(cleo, old, Direction::Before(Seq::MAX), 50);
        assert_eq!((left.len(), more, first), (0, false, Seq(3)));
        // What was dropped is what never was.
        for write in [
            react(anna, direct, 1, "👍", true),
            react(ben, direct, 1, "👍", true),
            react(ben, direct, 1, "👍", false),
            change(anna, direct, 2, edit("again")),
            recall(anna, direct, 2),
            recall(ben, direct, 3),
            react(cleo, old, 1, "👍", true),
        ] {
            assert_eq!(refused(&scenario.one(write.clone())), Refused::Absent, "{write:?}");
        }
        let answer = |n: u64| refer(ben, Target::Conversation(direct), &format!("a{n}"), answer(n));
        for seq in [1, 6] {
            assert_eq!(references::refused(&scenario.one(answer(seq))), BadReference::Absent);
        }
        assert_eq!(no_readers(scenario, anna, group, 3), NoReaders::Absent);
        let (page, ..) = scenario.history(ben, direct, Direction::After(Seq(7)), 1);
        assert_eq!(
            page[0].changes().map(|changes| changes.reactions.len()),
            Some(1),
            "kept are its reactions"
        );
    });
    // All goes on where it was.
    let again = scenario.say(anna, Target::User(cleo), "11", "march, to cleo");
    assert_eq!((again.conversation, again.seq), (old, Seq(3)));
    let step = CursorStep::Pass { first: Seq(3), last: Seq(3) };
    let moves = vec![CursorMove { conversation: old, user: anna, epoch: Epoch::NONE, step }];
    scenario.one(timeline::Write::MoveCursors(moves).into());
    scenario.look_thrice(|scenario| {
        assert_shows(scenario, cleo, old, 3..=3);
        assert_eq!(rows(scenario, cleo)[&old], [3, 3, 2, 1, 0]);
        assert_eq!(rows(scenario, anna)[&old], [3, 3, 3, 0, 0], "the sender's own cursor follows");
    });
    // Nothing is dropped without the setting, and nothing comes back by a longer one.
    scenario.fixture.set_retention(0);
    go_to(scenario, APRIL);
    drop_months(scenario);
    assert_shows(scenario, ben, direct, 7..=10);
    scenario.fixture.set_retention(12);
    go_to(scenario, MAY);
    drop_months(scenario);
    assert_shows(scenario, ben, direct, 7..=10);
    scenario.fixture.set_retention(2);
    drop_months(scenario);
    scenario.look_thrice(|scenario| assert_shows(scenario, ben, direct, 10..=10));
}

pub fn what_is_sent_while_the_clock_is_behind_is_kept(scenario: &mut Scenario<'_>) {
    scenario.fixture.set_retention(1);
    let [anna, ben, cleo, dan] = ["anna", "ben", "cleo", "dan"].map(|name| scenario.user(name));
    let old = scenario.say(anna, Target::User(ben), "1", "january").conversation;
    let kept = scenario.say(anna, Target::User(dan), "2", "january, to dan").conversation;
    go_to(scenario, MARCH);
    scenario.say(anna, Target::User(dan), "3", "march");
    drop_months(scenario);
    assert_eq!(feed(scenario, old, Some(ben)), (vec![], false, 2), "nothing is left of it");
    let right = scenario.now;
    let behind = |scenario: &mut Scenario<'_>| {
        // The clock of a machine without a battery.
        scenario.now = UnixMillis(calendar::start_of(200_001).0 + DAY_MS);
        scenario.fixture.set_time(scenario.now);
    };
    behind(scenario);
    for round in 0..3 {
        match round {
            0 => {}
            1 => scenario.file(),
            _ => scenario.fixture.restart(),
        }
        scenario.say(anna, Target::User(ben), &format!("old {round}"), "to a conversation without messages");
        scenario.say(anna, Target::User(cleo), &format!("new {round}"), "to a new conversation");
        scenario.say(anna, Target::User(dan), &format!("kept {round}"), "to one with messages");
    }
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    let new = scenario.say(anna, Target::User(cleo), "new", "and again").conversation;
    scenario.file();
    scenario.now = right;
    scenario.fixture.set_time(right);
    drop_months(scenario);
    drop_months(scenario);
    scenario.look_thrice(|scenario| {
        assert_shows(scenario, ben, old, 2..=4);
        assert_shows(scenario, cleo, new, 1..=4);
        assert_shows(scenario, dan, kept, 2..=5);
        assert_shows(scenario, anna, group, 1..=2);
        for user in [anna, ben, cleo, dan] {
            checked(scenario, user);
        }
    });
}

pub fn a_drop_that_is_interrupted_is_finished(scenario: &mut Scenario<'_>) {
    scenario.fixture.set_retention(1);
    let [anna, ben] = ["anna", "ben"].map(|name| scenario.user(name));
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    // With so many reactions that they are deleted in several slices.
    let mut last_of_month = Vec::new();
    // The first two entries are of January.
    let mut calendar_month = 202_602;
    for month in 0..14 {
        go_to(scenario, UnixMillis(calendar::start_of(calendar_month).0 + 9 * DAY_MS));
        calendar_month = calendar::next_month(calendar_month);
        for n in 0..40 {
            let text = scenario.say(anna, Target::Conversation(group), &format!("{month} {n}"), "x");
            made(&scenario.one(react(ben, group, text.seq.0, "👍", true)));
            made(&scenario.one(react(anna, group, text.seq.0, "🎉", true)));
            scenario.say(ben, Target::User(anna), &format!("{month} {n}"), "y");
        }
        last_of_month
            .push(checked(scenario, ben).iter().find(|row| row.conversation == group).unwrap().last_seq.0);
        scenario.file();
        scenario.wait(DAY_MS + HOUR_MS);
        // Killed after so many slices.
        scenario.fixture.housekeep_some(month as usize + 1);
        scenario.fixture.restart();
        let of = |scenario: &mut Scenario<'_>| {
            let ends = walk(scenario, anna, group, 200, true);
            assert!(ends.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ends:?}");
            assert_eq!(ends.last(), last_of_month.last());
            for user in [anna, ben] {
                checked(scenario, user);
            }
            ends.first().copied()
        };
        of(scenario);
        scenario.file();
        let first = match month {
            0 => 1,
            1 => 3,
            _ => last_of_month[month as usize - 2] + 1,
        };
        assert_eq!(of(scenario), Some(first), "in month {month}");
    }
}

pub fn counts_equal_a_recount_while_months_are_dropped(scenario: &mut Scenario<'_>) {
    scenario.fixture.set_retention(1);
    let users = ["anna", "ben", "cleo", "dan"].map(|name| scenario.user(name));
    let groups = [scenario.group(users[0], "one"), scenario.group(users[1], "two")];
    let mut conversations = groups.to_vec();
    for pair in [[0, 1], [1, 2], [2, 0], [3, 3]] {
        let [one, other] = pair.map(|at| users[at]);
        conversations.push(scenario.say(one, Target::User(other), &format!("{pair:?}"), "x").conversation);
    }
    let mut dice = Dice(11);
    let mut firsts = 0;
    for round in 0..18 {
        let ends: std::collections::BTreeMap<_, _> = users
            .iter()
            .flat_map(|user| scenario.conversations(*user, None, 50).0)
            .map(|row| (row.conversation, row.last_seq.0))
            .collect();
        let mut writes: Vec<Write> = Vec::new();
        for n in 0..60 {
            let (user, conversation) = (dice.one_of(&users), dice.one_of(&conversations));
            let (to, cid) = (Target::Conversation(conversation), format!("{round} {n}"));
            let end = ends.get(&conversation).copied().unwrap_or_default();
            let seq = dice.below(end + 1);
            // Some are refused, which is as good.
            writes.push(match dice.below(12) {
                0..=5 => append(user, to, &cid, "x"),
                6 => refer(user, to, &cid, mention(&[dice.one_of(&users)])),
                7 => refer(user, to, &cid, mention_all()),
                8 if n % 2 == 0 => recall(user, conversation, seq),
                8 => react(user, conversation, seq, dice.one_of(&["👍", "❤"]), dice.below(3) > 0),
                9 => join(user, dice.one_of(&groups)),
                10 => read_up_to(user, conversation, seq / 2),
                _ => clear(user, conversation, seq / 3),
            });
        }
        scenario.all(writes);
        match round % 3 {
            0 => scenario.file(),
            1 => scenario.fixture.restart(),
            _ => {
                scenario.wait(20 * DAY_MS);
                drop_months(scenario);
            }
        }
        for user in users {
            let rows = checked(scenario, user);
            firsts += rows.iter().filter(|row| row.first_seq > Seq(1)).count();
        }
    }
    assert!(firsts > 20, "months were dropped: {firsts}");
}
