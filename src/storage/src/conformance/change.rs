//! Changes of entries: each is stored with the entry that tells of it, and laid over the entry that it changes.

use super::scenario::{Scenario, actor, append, appended, entry, join, seqs, walk};
use logic::contract::change::{self, Place, Refused, What};
use logic::contract::entry::{Actor, Entry};
use logic::contract::{Denial, Found, Read, Write, Written, timeline};
use std::sync::Arc;
use wire::change::Reaction;
use wire::{Change, ChangeKind, ConversationId, Direction, Message, Seq, Target, UserId};

pub fn react(user: UserId, conversation: ConversationId, seq: u64, reaction: &str, on: bool) -> Write {
    change(user, conversation, seq, What::React { reaction: reaction.into(), on })
}

pub fn change(user: UserId, conversation: ConversationId, seq: u64, what: What) -> Write {
    change::Write { by: actor(user), conversation, seq: Seq(seq), what }.into()
}

pub fn with_cid(write: Write, cid: &str) -> Write {
    let Write::Change(write) = write else { panic!("a change") };
    let by = Actor { cid: cid.into(), ..write.by };
    change::Write { by, ..write }.into()
}

pub fn made(written: &Written) -> Entry {
    match written {
        Written::Change(change::Written::Made(entry)) => {
            assert!(entry.members.contains(&entry.message.from) && entry.members.is_sorted());
            entry.clone()
        }
        other => panic!("{other:?}"),
    }
}

pub fn unchanged(written: &Written) -> Place {
    match written {
        Written::Change(change::Written::Unchanged(place)) => *place,
        other => panic!("{other:?}"),
    }
}

pub fn refused(written: &Written) -> Refused {
    match written {
        Written::Change(change::Written::Refused(why)) => *why,
        other => panic!("{other:?}"),
    }
}

/// An entry as a member sees it, which must be the same in both directions and in its feed.
pub fn seen(
    scenario: &mut Scenario<'_>,
    user: UserId,
    conversation: ConversationId,
    seq: u64,
) -> Arc<Message> {
    let (upwards, ..) = scenario.history(user, conversation, Direction::After(Seq(seq - 1)), 1);
    let (downwards, ..) = scenario.history(user, conversation, Direction::Before(Seq(seq + 1)), 1);
    let [feed, shared] = [Some(user), None].map(|member| {
        let (after, limit, bytes) = (Seq(seq - 1), 1, 1 << 20);
        let read = timeline::Read::Feed { conversation, member, after, limit, bytes };
        match scenario.read(read.into()) {
            Found::Timeline(timeline::Found::Feed { messages, .. }) => Arc::clone(&messages[0]),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!((&upwards[0], &upwards[0]), (&downwards[0], &feed));
    assert_eq!((shared.seq, &shared.content), (Seq(seq), &upwards[0].content));
    if upwards[0].recalled().is_some() {
        assert_eq!(shared, upwards[0]);
    } else {
        assert_eq!(shared.changes(), None, "the entries of the changes tell it");
    }
    Arc::clone(&upwards[0])
}

/// The reactions to an entry: each with its count, whether it is the reader's, and the first ids.
fn reactions(message: &Message) -> Vec<(&str, u32, bool, Vec<u32>)> {
    let of = |of: &Reaction| of.ids.iter().map(|id| id.0).collect();
    let changes = message.changes().map_or(&[][..], |changes| &changes.reactions);
    changes.iter().map(|kind| (&*kind.reaction, kind.count, kind.mine, of(kind))).collect()
}

pub fn a_reaction_is_an_entry_and_a_part_of_its_message(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let direct = scenario.say(anna, Target::User(ben), "1", "hi").conversation;
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    scenario.say(anna, Target::Conversation(group), "2", "up there");
    for (conversation, seq) in [(direct, 1), (group, 3)] {
        scenario.wait(1_000);
        let told = made(&scenario.one(react(ben, conversation, seq, "👍", true)));
        assert_eq!(told.members[..], [anna, ben]);
        let entry = &told.message;
        assert_eq!((entry.seq, entry.from, entry.time), (Seq(seq + 1), ben, scenario.now));
        assert_eq!((&*entry.content_type, &*entry.content, &entry.cid), ("reaction", "👍", &None));
        let change = Change { of: Seq(seq), kind: ChangeKind::Reaction { on: true } };
        assert_eq!((entry.change(), entry.is_message()), (Some(change), false));
        scenario.look_thrice(|scenario| {
            for (user, mine) in [(anna, false), (ben, true)] {
                let message = seen(scenario, user, conversation, seq);
                assert_eq!(reactions(&message), [("👍", 1, mine, vec![ben.0])]);
                assert_eq!(message.changes().map(|changes| changes.changed), Some(Seq(seq + 1)));
                assert_eq!(seen(scenario, user, conversation, seq + 1), told_to(&told, "ben"));
            }
        });
        let told = made(&scenario.one(react(ben, conversation, seq, "👍", false)));
        let change = Change { of: Seq(seq), kind: ChangeKind::Reaction { on: false } };
        assert_eq!((told.message.seq, told.message.change()), (Seq(seq + 2), Some(change)));
        scenario.look_thrice(|scenario| {
            let message = seen(scenario, anna, conversation, seq);
            assert_eq!(reactions(&message), []);
            assert_eq!(message.changes().map(|changes| changes.changed), Some(Seq(seq + 2)));
        });
    }
}

/// The entry as it is read, with the name of the account.
pub fn told_to(told: &Entry, name: &str) -> Arc<Message> {
    Arc::new(Message { name: name.into(), ..(*told.message).clone() })
}

pub fn a_reaction_that_changes_nothing_makes_no_entry(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let direct = scenario.say(anna, Target::User(ben), "1", "hi").conversation;
    let nothing = unchanged(&scenario.one(react(ben, direct, 1, "👍", false)));
    assert_eq!((nothing.seq, nothing.time), (Seq(0), scenario.now));
    let told = made(&scenario.one(react(ben, direct, 1, "👍", true))).message;
    scenario.wait(1_000);
    for _ in 0..2 {
        scenario.look_thrice(|scenario| {
            let place = unchanged(&scenario.one(react(ben, direct, 1, "👍", true)));
            assert_eq!((place.seq, place.time), (told.seq, told.time));
        });
    }
    made(&scenario.one(react(ben, direct, 1, "👍", false)));
    assert_eq!(unchanged(&scenario.one(react(ben, direct, 1, "👍", false))).seq, Seq(0));
    assert_eq!(walk(scenario, anna, direct, 50, true), [1, 2, 3]);
}

pub fn only_what_a_member_sees_can_be_reacted_to(scenario: &mut Scenario<'_>) {
    let (anna, ben, eve) = (scenario.user("anna"), scenario.user("ben"), scenario.user("eve"));
    let group = scenario.group(anna, "climbing");
    scenario.say(anna, Target::Conversation(group), "1", "before");
    scenario.join(ben, group);
    scenario.say(anna, Target::Conversation(group), "2", "after");
    let told = made(&scenario.one(react(ben, group, 4, "👍", true))).message.seq;
    scenario.look_thrice(|scenario| {
        for conversation in [group, ConversationId(999)] {
            let written = scenario.one(react(eve, conversation, 4, "👍", true));
            assert!(matches!(written, Written::Denied(Denial::Forbidden)));
        }
        for (user, seq, why) in [
            (ben, 2, Refused::Absent),
            (ben, 0, Refused::Absent),
            (ben, 99, Refused::Absent),
            (ben, 3, Refused::NoMessage),
            (ben, told.0, Refused::NoMessage),
            (anna, 1, Refused::NoMessage),
        ] {
            assert_eq!(refused(&scenario.one(react(user, group, seq, "👍", true))), why, "{user} {seq}");
        }
    });
    scenario.one(timeline::Write::Clear { user: ben, conversation: group, upto: Seq(4) }.into());
    assert_eq!(refused(&scenario.one(react(ben, group, 4, "👍", false))), Refused::Absent);
    assert_eq!(walk(scenario, anna, group, 50, true), [1, 2, 3, 4, 5]);
}

pub fn a_cid_belongs_to_one_message_or_change(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let direct = scenario.say(anna, Target::User(ben), "message", "hi").conversation;
    let other = scenario.group(anna, "climbing");
    scenario.say(anna, Target::User(ben), "message 2", "there");
    scenario.say(anna, Target::Conversation(other), "message 3", "up");
    let change = |reaction, on| with_cid(react(anna, direct, 1, reaction, on), "change");
    let (content, window) = ("hello".into(), 60_000);
    let edit = super::change::change(anna, direct, 1, What::Edit { content, window });
    let recall = super::change::change(anna, direct, 1, What::Recall { window });
    // Twice in one batch.
    let outcomes = scenario.all(vec![change("👍", true), change("👍", true)]);
    let told = made(&outcomes[0]).message;
    assert_eq!(told.cid.as_deref(), Some("change"));
    assert_eq!(unchanged(&outcomes[1]).seq, told.seq);
    made(&scenario.one(react(anna, direct, 1, "👍", false)));
    scenario.look_thrice(|scenario| {
        // The change was undone since; its `cid` is remembered all the same.
        let place = unchanged(&scenario.one(change("👍", true)));
        assert_eq!((place.seq, place.time), (told.seq, told.time));
        for write in [
            change("👍", false),
            change("🎉", true),
            with_cid(react(anna, direct, 2, "👍", true), "change"),
            with_cid(react(anna, other, 2, "👍", true), "change"),
            with_cid(react(anna, direct, 1, "👍", true), "message"),
            with_cid(edit.clone(), "change"),
            with_cid(recall.clone(), "change"),
            with_cid(recall.clone(), "message"),
            append(anna, Target::User(ben), "change", "hi"),
        ] {
            assert!(matches!(scenario.one(write), Written::Denied(Denial::Conflict)));
        }
    });
    let other = made(&scenario.one(with_cid(react(ben, direct, 1, "👍", true), "change")));
    assert_eq!(other.message.seq, Seq(5), "another user's cids are others");
    assert_eq!(walk(scenario, anna, direct, 50, true), [1, 2, 3, 4, 5]);
}

pub fn reactions_are_counted_and_their_kinds_bounded(scenario: &mut Scenario<'_>) {
    let users: Vec<UserId> = (0..13).map(|n| scenario.user(&format!("user {n}"))).collect();
    let group = scenario.group(users[0], "climbing");
    for user in &users[1..] {
        scenario.join(*user, group);
    }
    scenario.say(users[0], Target::Conversation(group), "1", "up");
    let seq = users.len() as u64 + 1;
    let outcomes = scenario.all(users.iter().map(|user| react(*user, group, seq, "👍", true)).collect());
    outcomes.iter().for_each(|written| drop(made(written)));
    made(&scenario.one(react(users[3], group, seq, "🎉", true)));
    made(&scenario.one(react(users[1], group, seq, "👍", false)));
    let ids = |range: std::ops::Range<usize>| users[range].iter().map(|user| user.0);
    let first: Vec<u32> = ids(0..1).chain(ids(2..11)).collect();
    scenario.look_thrice(|scenario| {
        for (user, mine) in [(users[12], [true, false]), (users[1], [false, false]), (users[3], [true, true])]
        {
            let message = seen(scenario, user, group, seq);
            let expected = [("👍", 12, mine[0], first.clone()), ("🎉", 1, mine[1], vec![users[3].0])];
            assert_eq!(reactions(&message), expected);
        }
    });
    // Another user's kind does not end with the first one's.
    made(&scenario.one(react(users[3], group, seq, "🎉", false)));
    assert_eq!(reactions(&seen(scenario, users[0], group, seq)).len(), 1);
    for (n, letter) in ('a'..='s').enumerate() {
        made(&scenario.one(react(users[n % 13], group, seq, &letter.to_string(), true)));
    }
    assert_eq!(refused(&scenario.one(react(users[0], group, seq, "z", true))), Refused::Kinds);
    made(&scenario.one(react(users[5], group, seq, "a", true)));
    made(&scenario.one(react(users[1], group, seq, "b", false)));
    made(&scenario.one(react(users[0], group, seq, "z", true)));
    scenario.look_thrice(|scenario| {
        assert_eq!(reactions(&seen(scenario, users[0], group, seq)).len(), 20);
    });
}

pub fn changes_of_one_message_meet_in_one_batch(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    let group = scenario.group(anna, "climbing");
    let to = || Target::Conversation(group);
    scenario.join(ben, group);
    let mut last = 2;
    for round in 0..12 {
        let cid = |n: u64| format!("{round} {n}");
        let outcomes = scenario.all(vec![
            append(anna, to(), &cid(1), "x"),
            react(ben, group, last + 1, "👍", true),
            react(anna, group, last + 1, "👍", true),
            append(ben, to(), &cid(2), "y"),
            react(ben, group, last + 1, "👍", false),
            react(anna, group, last + 4, "🎉", true),
        ]);
        let told = [1, 2, 4, 5].map(|at: usize| made(&outcomes[at]).message.seq.0);
        assert_eq!((appended(&outcomes[0]).seq.0, appended(&outcomes[3]).seq.0), (last + 1, last + 4));
        assert_eq!(told, [last + 2, last + 3, last + 5, last + 6]);
        match round % 4 {
            1 => drop(scenario.fixture.store().housekeep().unwrap()),
            2 => scenario.fixture.restart(),
            3 => scenario.wait(20 * 24 * 60 * 60 * 1000),
            _ => {}
        }
        last += 6;
    }
    let outcomes = scenario.all(vec![join(cleo, group), react(anna, group, 3, "🎉", true)]);
    assert_eq!(entry(&outcomes[0]).members.len(), 3);
    assert_eq!(made(&outcomes[1]).members[..], [anna, ben, cleo]);
    scenario.look_thrice(|scenario| {
        for limit in [1, 7, 200] {
            assert_eq!(walk(scenario, anna, group, limit, true), (1..=last + 2).collect::<Vec<_>>());
        }
        for first in (3..last).step_by(6) {
            let mut expected = vec![("👍", 1, true, vec![anna.0])];
            if first == 3 {
                expected.push(("🎉", 1, true, vec![anna.0]));
            }
            assert_eq!(reactions(&seen(scenario, anna, group, first)), expected);
            let second = seen(scenario, ben, group, first + 3);
            assert_eq!(reactions(&second), [("🎉", 1, false, vec![anna.0])]);
        }
    });
}

pub fn changes_do_not_move_a_conversation_in_the_list(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    let old = scenario.say(anna, Target::User(ben), "1", "x");
    scenario.wait(1_000);
    let new = scenario.say(anna, Target::User(cleo), "2", "x");
    scenario.wait(1_000);
    made(&scenario.one(react(ben, old.conversation, 1, "👍", true)));
    scenario.look_thrice(|scenario| {
        let listed = scenario.conversations(anna, None, 10).0;
        let listed: Vec<_> = listed.iter().map(|row| (row.conversation, row.last_seq, row.time)).collect();
        assert_eq!(listed, [(new.conversation, Seq(1), new.time), (old.conversation, Seq(2), old.time)]);
    });
}

pub fn a_page_without_changes_leaves_them_out(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let mut direct = ConversationId(0);
    for n in 0..5 {
        direct = scenario.say(anna, Target::User(ben), &format!("{n}"), "x").conversation;
        for reaction in ["👍", "🎉", "👀"] {
            made(&scenario.one(react(ben, direct, n * 4 + 1, reaction, true)));
        }
    }
    scenario.look_thrice(|scenario| {
        for (direction, expected) in [
            (Direction::After(Seq(0)), [1, 5, 9]),
            (Direction::After(Seq(8)), [9, 13, 17]),
            (Direction::Before(Seq::MAX), [9, 13, 17]),
            (Direction::Before(Seq(13)), [1, 5, 9]),
        ] {
            let (user, conversation) = (anna, direct);
            let read =
                timeline::Read::History { user, conversation, direction, limit: 3, with_changes: false };
            match scenario.read(Read::Timeline(read)) {
                Found::Timeline(timeline::Found::History { messages, .. }) => {
                    assert_eq!(seqs(&messages), expected, "{direction:?}");
                    assert!(messages.iter().all(|message| reactions(message).len() == 3));
                }
                other => panic!("{other:?}"),
            }
        }
    });
}
