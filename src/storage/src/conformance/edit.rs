//! Edits and recalls: what is read of a message afterwards, and of the entries that told of it.

use super::change::{change, made, refused, seen, told_to, unchanged, with_cid};
use super::scenario::{Scenario, append, appended, walk};
use logic::contract::change::{Refused, What};
use logic::contract::{Denial, Write, Written, timeline};
use wire::{Change, ChangeKind, ConversationId, Direction, Message, Seq, Target, UnixMillis, UserId};

const WINDOW: u64 = 60_000;

fn edit(user: UserId, conversation: ConversationId, seq: u64, content: &str) -> Write {
    change(user, conversation, seq, What::Edit { content: content.into(), window: WINDOW })
}

pub fn recall(user: UserId, conversation: ConversationId, seq: u64) -> Write {
    change(user, conversation, seq, What::Recall { window: WINDOW })
}

fn react(user: UserId, conversation: ConversationId, seq: u64) -> Write {
    super::change::react(user, conversation, seq, "👍", true)
}

/// The text, and what is told of its changes: the last one, when it was edited, when it was recalled, and how many
/// kinds of reactions it has.
fn state(message: &Message) -> (&str, u64, Option<u64>, Option<u64>, usize) {
    let changes = message.changes().cloned().unwrap_or_default();
    let time = |time: Option<UnixMillis>| time.map(|time| time.0);
    (
        &message.content,
        changes.changed.0,
        time(changes.edited),
        time(changes.recalled),
        changes.reactions.len(),
    )
}

pub fn an_edited_message_is_read_with_its_new_text(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let direct = scenario.say(anna, Target::User(ben), "1", "one").conversation;
    scenario.say(ben, Target::User(anna), "2", "and what then?");
    scenario.wait(1_000);
    let first = made(&scenario.one(edit(anna, direct, 1, "two")));
    let entry = &first.message;
    assert_eq!((entry.seq, entry.from, entry.time), (Seq(3), anna, scenario.now));
    assert_eq!((&*entry.content_type, &*entry.content, entry.is_message()), ("edit", "two", false));
    assert_eq!(entry.change(), Some(Change { of: Seq(1), kind: ChangeKind::Edit }));
    assert_eq!(first.members[..], [anna, ben]);
    let at = scenario.now.0;
    scenario.look_thrice(|scenario| {
        for user in [anna, ben] {
            assert_eq!(state(&seen(scenario, user, direct, 1)), ("two", 3, Some(at), None, 0));
            assert_eq!(seen(scenario, user, direct, 3), told_to(&first, "anna"));
        }
        assert_eq!(state(&seen(scenario, ben, direct, 2)), ("and what then?", 0, None, None, 0));
    });
    made(&scenario.one(react(ben, direct, 1)));
    scenario.wait(1_000);
    let (second, third) = (edit(anna, direct, 1, "three"), edit(anna, direct, 1, "four\n\"4\"\\ 💯"));
    let outcomes = scenario.all(vec![second, third]);
    let last = made(&outcomes[1]);
    assert_eq!((made(&outcomes[0]).message.seq, last.message.seq), (Seq(5), Seq(6)));
    let at = scenario.now.0;
    scenario.look_thrice(|scenario| {
        for user in [anna, ben] {
            let message = seen(scenario, user, direct, 1);
            assert_eq!(state(&message), ("four\n\"4\"\\ 💯", 6, Some(at), None, 1));
            // What later edits have replaced is gone from the entries that told of it.
            for seq in [3, 5] {
                let entry = seen(scenario, user, direct, seq);
                assert_eq!((&*entry.content_type, &*entry.content), ("edit", ""));
                assert_eq!(entry.change(), Some(Change { of: Seq(1), kind: ChangeKind::Edit }));
            }
            assert_eq!(seen(scenario, user, direct, 6), told_to(&last, "anna"));
        }
        // A session that was away is fed the texts of now, once each.
        let (after, limit, bytes) = (Seq(0), 50, 1 << 20);
        let read = timeline::Read::Feed { conversation: direct, member: None, after, limit, bytes };
        let fed = match scenario.read(read.into()) {
            logic::contract::Found::Timeline(timeline::Found::Feed { messages, .. }) => messages,
            other => panic!("{other:?}"),
        };
        let texts: Vec<_> = fed.iter().map(|entry| &*entry.content).collect();
        assert_eq!(texts, ["four\n\"4\"\\ 💯", "and what then?", "", "👍", "", "four\n\"4\"\\ 💯"]);
        assert_eq!(walk(scenario, ben, direct, 2, false), [6, 5, 4, 3, 2, 1]);
    });
}

pub fn only_its_sender_edits_a_message_in_time(scenario: &mut Scenario<'_>) {
    let (anna, ben, eve) = (scenario.user("anna"), scenario.user("ben"), scenario.user("eve"));
    let group = scenario.group(anna, "climbing");
    scenario.say(anna, Target::Conversation(group), "1", "before");
    scenario.join(ben, group);
    let sent = scenario.say(ben, Target::Conversation(group), "2", "mine");
    scenario.look_thrice(|scenario| {
        for conversation in [group, ConversationId(999)] {
            let written = scenario.one(edit(eve, conversation, 4, "x"));
            assert!(matches!(written, Written::Denied(Denial::Forbidden)));
        }
        for (user, seq, why) in [
            (ben, 2, Refused::Absent),
            (ben, 99, Refused::Absent),
            (ben, 3, Refused::NoMessage),
            (anna, 4, Refused::Foreign),
        ] {
            assert_eq!(refused(&scenario.one(edit(user, group, seq, "x"))), why, "{user} {seq}");
        }
        // The text that it has: its own place tells it.
        let place = unchanged(&scenario.one(edit(ben, group, 4, "mine")));
        assert_eq!((place.seq, place.time), (sent.seq, sent.time));
    });
    scenario.wait(WINDOW - 1);
    let told = made(&scenario.one(edit(ben, group, 4, "just in time"))).message;
    assert_eq!(refused(&scenario.one(edit(ben, group, told.seq.0, "x"))), Refused::NoMessage);
    scenario.wait(1);
    let over = Refused::TooLate(UnixMillis(sent.time.0 + WINDOW));
    scenario.look_thrice(|scenario| {
        assert_eq!(refused(&scenario.one(edit(ben, group, 4, "late"))), over);
        // Done already, also after the time.
        let place = unchanged(&scenario.one(edit(ben, group, 4, "just in time")));
        assert_eq!((place.seq, place.time), (told.seq, told.time));
    });
    let never = change(ben, group, 4, What::Edit { content: "never".into(), window: 0 });
    assert_eq!(refused(&scenario.one(never)), Refused::TooLate(sent.time));
    assert_eq!(walk(scenario, anna, group, 50, true), [1, 2, 3, 4, 5]);
}

pub fn a_recalled_message_has_no_text_any_more(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let direct = scenario.say(anna, Target::User(ben), "1", "one").conversation;
    made(&scenario.one(edit(anna, direct, 1, "two")));
    made(&scenario.one(react(ben, direct, 1)));
    made(&scenario.one(edit(anna, direct, 1, "three")));
    scenario.say(anna, Target::User(ben), "2", "never edited");
    scenario.wait(1_000);
    for (seq, told_at) in [(1, 6), (5, 7)] {
        let told = made(&scenario.one(recall(anna, direct, seq)));
        let entry = &told.message;
        assert_eq!((entry.seq, &*entry.content_type, &*entry.content), (Seq(told_at), "recall", ""));
        assert_eq!(entry.change(), Some(Change { of: Seq(seq), kind: ChangeKind::Recall }));
        let at = scenario.now.0;
        scenario.look_thrice(|scenario| {
            for user in [anna, ben] {
                let message = seen(scenario, user, direct, seq);
                assert_eq!(state(&message), ("", told_at, None, Some(at), 0));
                assert_eq!((&*message.content_type, message.from), ("text", anna));
                assert_eq!(seen(scenario, user, direct, told_at), told_to(&told, "anna"));
            }
            // Again, also after the time: the entry that tells of it.
            let place = unchanged(&scenario.one(recall(anna, direct, seq)));
            assert_eq!((place.seq, place.time), (entry.seq, entry.time));
            for write in [edit(anna, direct, seq, "back"), react(ben, direct, seq)] {
                assert_eq!(refused(&scenario.one(write)), Refused::Recalled);
            }
        });
    }
    scenario.wait(WINDOW);
    assert_eq!(unchanged(&scenario.one(recall(anna, direct, 1))).seq, Seq(6));
    scenario.look_thrice(|scenario| {
        for user in [anna, ben] {
            for direction in [Direction::After(Seq(0)), Direction::Before(Seq::MAX)] {
                let (page, ..) = scenario.history(user, direct, direction, 50);
                let texts: Vec<_> = page.iter().map(|entry| &*entry.content).collect();
                assert_eq!(texts, ["", "", "👍", "", "", "", ""]);
            }
        }
    });
}

pub fn who_recalls_a_message_and_until_when(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    scenario.join(cleo, group);
    let of_anna = scenario.say(anna, Target::Conversation(group), "1", "by the creator").seq.0;
    let of_ben = scenario.say(ben, Target::Conversation(group), "2", "by a member");
    let late = scenario.say(ben, Target::Conversation(group), "3", "too late").seq.0;
    scenario.look_thrice(|scenario| {
        for (user, seq, why) in [
            (cleo, of_ben.seq.0, Refused::Foreign),
            (ben, of_anna, Refused::Foreign),
            (ben, 1, Refused::Absent),
            (ben, 2, Refused::NoMessage),
        ] {
            assert_eq!(refused(&scenario.one(recall(user, group, seq))), why, "{user} {seq}");
        }
    });
    made(&scenario.one(recall(ben, group, of_ben.seq.0)));
    assert_eq!(refused(&scenario.one(recall(cleo, group, of_ben.seq.0))), Refused::Foreign);
    scenario.wait(WINDOW);
    let over = Refused::TooLate(UnixMillis(of_ben.time.0 + WINDOW));
    assert_eq!(refused(&scenario.one(recall(ben, group, late))), over);
    // The creator of a group recalls every message at any time.
    for seq in [late, of_anna] {
        let told = made(&scenario.one(recall(anna, group, seq)));
        assert_eq!((told.message.from, &told.members[..]), (anna, &[anna, ben, cleo][..]));
        assert_eq!(&*seen(scenario, cleo, group, seq).content, "");
    }
    let told = unchanged(&scenario.one(recall(ben, group, late)));
    assert_eq!(told.seq.0, late + 2, "recalled already");
    // In a direct chat nobody recalls what the other has sent.
    let direct = scenario.say(anna, Target::User(ben), "4", "hi").conversation;
    assert_eq!(refused(&scenario.one(recall(ben, direct, 1))), Refused::Foreign);
}

pub fn a_repeated_edit_or_recall_is_made_once(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let direct = scenario.say(anna, Target::User(ben), "1", "one").conversation;
    let first = || with_cid(edit(anna, direct, 1, "two"), "edit");
    let outcomes = scenario.all(vec![first(), first()]);
    let told = made(&outcomes[0]).message;
    assert_eq!((told.cid.as_deref(), unchanged(&outcomes[1]).seq), (Some("edit"), told.seq));
    made(&scenario.one(edit(anna, direct, 1, "three")));
    let taken_back = made(&scenario.one(with_cid(recall(anna, direct, 1), "recall"))).message;
    scenario.wait(2 * WINDOW);
    scenario.look_thrice(|scenario| {
        // The `cid` is looked up before rights and times, and whatever has happened since.
        assert_eq!(unchanged(&scenario.one(first())).seq, told.seq);
        assert_eq!(unchanged(&scenario.one(with_cid(recall(anna, direct, 1), "recall"))).seq, taken_back.seq);
        for write in [
            with_cid(recall(anna, direct, 1), "edit"),
            with_cid(edit(anna, direct, 2, "two"), "edit"),
            with_cid(edit(anna, direct, 1, "two"), "recall"),
            with_cid(edit(anna, direct, 1, "two"), "1"),
            append(anna, Target::User(ben), "edit", "two"),
        ] {
            assert!(matches!(scenario.one(write), Written::Denied(Denial::Conflict)));
        }
    });
    assert_eq!(walk(scenario, ben, direct, 50, true), [1, 2, 3, 4]);
}

pub fn edits_and_recalls_meet_in_one_batch(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    let to = || Target::Conversation(group);
    let mut last = 2;
    for round in 0..9 {
        let cid = |n: u64| format!("{round} {n}");
        let outcomes = scenario.all(vec![
            append(ben, to(), &cid(1), "x"),
            edit(ben, group, last + 1, "y"),
            react(anna, group, last + 1),
            append(ben, to(), &cid(2), "secret"),
            recall(ben, group, last + 4),
            edit(ben, group, last + 1, "z"),
        ]);
        assert_eq!((appended(&outcomes[0]).seq.0, appended(&outcomes[3]).seq.0), (last + 1, last + 4));
        let told = [1, 2, 4, 5].map(|at: usize| made(&outcomes[at]).message.seq.0);
        assert_eq!(told, [last + 2, last + 3, last + 5, last + 6]);
        match round % 3 {
            1 => drop(scenario.fixture.store().housekeep().unwrap()),
            2 => scenario.fixture.restart(),
            _ => {}
        }
        last += 6;
    }
    scenario.look_thrice(|scenario| {
        for limit in [1, 7, 200] {
            assert_eq!(walk(scenario, anna, group, limit, true), (1..=last).collect::<Vec<_>>());
        }
        for first in (3..last).step_by(6) {
            let texts = [0, 1, 3].map(|n| String::from(&*seen(scenario, anna, group, first + n).content));
            assert_eq!(texts, ["z", "", ""]);
            assert_eq!(seen(scenario, anna, group, first).changes().unwrap().reactions.len(), 1);
            assert!(seen(scenario, anna, group, first + 3).recalled().is_some());
        }
    });
}

pub fn edits_and_recalls_span_months(scenario: &mut Scenario<'_>) {
    const MONTH: u64 = 31 * 24 * 60 * 60 * 1000;
    let what = |content: &str| What::Edit { content: content.into(), window: 9 * MONTH };
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let direct = scenario.say(anna, Target::User(ben), "1", "January").conversation;
    for (n, content) in ["February", "March", "April"].into_iter().enumerate() {
        scenario.wait(MONTH);
        made(&scenario.one(change(anna, direct, 1, what(content))));
        scenario.look_thrice(|scenario| {
            let texts = (1..=n as u64 + 2).map(|seq| seen(scenario, ben, direct, seq).content.to_string());
            let mut expected = vec![""; n + 2];
            (expected[0], expected[n + 1]) = (content, content);
            assert_eq!(texts.collect::<Vec<_>>(), expected);
        });
    }
    scenario.wait(MONTH);
    made(&scenario.one(change(anna, direct, 1, What::Recall { window: 9 * MONTH })));
    scenario.look_thrice(|scenario| {
        for seq in 1..=5 {
            assert_eq!(&*seen(scenario, ben, direct, seq).content, "");
        }
    });
}
