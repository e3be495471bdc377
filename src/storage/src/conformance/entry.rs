//! Entries that are not messages: each is stored with the change that it tells of.

use super::scenario::{Scenario, append, appended, create, entry, join, seqs, walk};
use logic::contract::message::{self, Append};
use logic::contract::{Denial, Found, Read, Write, Written, timeline};
use std::sync::Arc;
use wire::entry::Event;
use wire::{ConversationKind, Direction, Message, Seq, System, Target, UserId};

fn system(message: &Message) -> (&System, &str) {
    assert_eq!(
        (&*message.content_type, message.kind, &message.cid),
        ("system", ConversationKind::Group, &None)
    );
    (message.system().expect("a system entry"), &message.content)
}

fn cursors(scenario: &mut Scenario<'_>, user: UserId, conversation: wire::ConversationId) -> (Seq, Seq, Seq) {
    match scenario.read(Read::Timeline(timeline::Read::Standing { user, conversation })) {
        Found::Timeline(timeline::Found::Standing(Some(found))) => (found.delivered, found.read, found.last),
        other => panic!("{other:?}"),
    }
}

pub fn changes_of_a_group_are_entries_of_its_timeline(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let created = entry(&scenario.one(create(anna, "climbing")));
    let group = created.message.conversation;
    scenario.say(anna, Target::Conversation(group), "1", "before");
    scenario.wait(1_000);
    let joined = entry(&scenario.one(join(ben, group)));
    assert!(matches!(scenario.one(join(ben, group)), Written::Denied(Denial::Conflict)));
    assert_eq!((&*created.members, &*joined.members), (&[anna][..], &[anna, ben][..]));
    let (told, text) = system(&created.message);
    assert_eq!((told.event.clone(), &*told.who, told.by), (Event::Created, &[anna][..], anna));
    assert_eq!(text, format!("name of {anna} created the group"));
    let (told, text) = system(&joined.message);
    assert_eq!((told.event.clone(), &*told.who, told.by), (Event::Joined, &[ben][..], ben));
    assert_eq!(text, format!("name of {ben} joined"));
    assert_eq!((joined.message.from, joined.message.time), (ben, scenario.now));
    let named = |entry: &Arc<Message>, name: &str| Message { name: name.into(), ..(**entry).clone() };
    scenario.look_thrice(|scenario| {
        let (all, more, first) = scenario.history(anna, group, Direction::After(Seq(0)), 50);
        assert_eq!((seqs(&all), more, first), (vec![1, 2, 3], false, Seq(1)));
        assert_eq!((&*all[0], &*all[2]), (&named(&created.message, "anna"), &named(&joined.message, "ben")));
        assert!(all[1].is_message());
        // A member's view begins with its own entry, which is read and undelivered.
        let (view, more, first) = scenario.history(ben, group, Direction::Before(Seq::MAX), 50);
        assert_eq!((seqs(&view), more, first), (vec![3], false, Seq(3)));
        assert_eq!(cursors(scenario, anna, group), (Seq(0), Seq(1), Seq(3)));
        assert_eq!(cursors(scenario, ben, group), (Seq(2), Seq(3), Seq(3)));
    });
}

pub fn entries_lie_between_messages_without_a_gap(scenario: &mut Scenario<'_>) {
    let users: Vec<UserId> = (0..40).map(|n| scenario.user(&format!("user {n}"))).collect();
    let others = scenario.group(users[0], "others");
    let group = scenario.group(users[0], "climbing");
    let mut last = 1;
    for (round, user) in users.iter().enumerate().skip(1) {
        // A join between messages of its own group and of another one, in one batch.
        let cid = |n: usize| format!("{round} {n}");
        let to = |group| Target::Conversation(group);
        let outcomes = scenario.all(vec![
            append(users[0], to(group), &cid(1), "before"),
            append(users[0], to(others), &cid(2), "elsewhere"),
            join(*user, group),
            append(*user, to(group), &cid(3), "after"),
            append(users[0], to(others), &cid(4), "elsewhere"),
        ]);
        let seqs = [appended(&outcomes[0]), entry(&outcomes[2]).message, appended(&outcomes[3])];
        assert_eq!(seqs.map(|message| message.seq.0), [last + 1, last + 2, last + 3]);
        assert_eq!(
            (appended(&outcomes[1]).seq.0, appended(&outcomes[4]).seq.0),
            (round as u64 * 2, round as u64 * 2 + 1)
        );
        for (outcome, count) in [(&outcomes[0], round), (&outcomes[3], round + 1)] {
            let Written::Message(message::Written::Appended { members, .. }) = outcome else { panic!() };
            assert_eq!(members[..], users[..count], "the members at its seq");
        }
        last += 3;
        // Some rounds are filed in part, some not at all, and some cross into another month.
        match round % 7 {
            2 => drop(scenario.fixture.store().housekeep().unwrap()),
            4 => scenario.file(),
            5 => scenario.fixture.restart(),
            6 => scenario.wait(6 * 24 * 60 * 60 * 1000),
            _ => {}
        }
    }
    scenario.look_thrice(|scenario| {
        for limit in [1, 7, 200] {
            assert_eq!(walk(scenario, users[0], group, limit, true), (1..=last).collect::<Vec<_>>());
            let mut back = walk(scenario, users[0], group, limit, false);
            back.reverse();
            assert_eq!(back, (1..=last).collect::<Vec<_>>());
        }
        for (round, user) in users.iter().enumerate().skip(1) {
            let first = round as u64 * 3;
            assert_eq!(walk(scenario, *user, group, 200, true), (first..=last).collect::<Vec<_>>());
        }
        assert_eq!(walk(scenario, users[0], others, 9, true), (1..=79).collect::<Vec<_>>());
    });
}

pub fn entries_do_not_move_a_conversation_in_the_list(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    let old = scenario.group(anna, "old");
    scenario.wait(1_000);
    scenario.say(anna, Target::Conversation(old), "1", "x");
    let said = scenario.now;
    scenario.wait(1_000);
    let new = scenario.group(anna, "new");
    let made = scenario.now;
    scenario.wait(1_000);
    scenario.join(ben, old);
    scenario.look_thrice(|scenario| {
        let listed = scenario.conversations(anna, None, 10).0;
        let listed: Vec<_> =
            listed.iter().map(|entry| (entry.conversation, entry.last_seq, entry.time)).collect();
        assert_eq!(listed, [(new, Seq(1), made), (old, Seq(3), said)]);
    });
    scenario.join(cleo, old);
    scenario.say(anna, Target::Conversation(old), "2", "x");
    let said = scenario.now;
    scenario.look_thrice(|scenario| {
        assert_eq!(scenario.conversations(anna, None, 1).0[0].time, said, "a message does");
    });
}

/// Earlier versions accepted any type.
pub fn what_clients_stored_as_an_entry_is_a_message(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let mut conversation = None;
    for content_type in ["system", "edit", "recall", "reaction", "meeting"] {
        let Write::Message(message::Write::Append(append)) =
            append(anna, Target::User(ben), content_type, "7\nann joined")
        else {
            unreachable!()
        };
        let append = Append { content_type: Some(content_type.into()), ..append };
        let stored = appended(&scenario.one(Write::Message(message::Write::Append(append))));
        conversation = Some(stored.conversation);
    }
    let conversation = conversation.expect("some were stored");
    scenario.look_thrice(|scenario| {
        let (all, ..) = scenario.history(ben, conversation, Direction::After(Seq(0)), 50);
        assert_eq!(all.len(), 5);
        for message in all {
            assert!(message.is_message());
            assert_eq!((&*message.content_type, &*message.content), ("text", "7\nann joined"));
        }
    });
}
