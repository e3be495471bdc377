//! Storing and reading messages.

use super::scenario::{DAY_MS, Scenario, append, appended, seqs, walk};
use logic::contract::message::Append;
use logic::contract::message::Stored;
use logic::contract::{Denial, Found, Read, Write, Written, message, timeline};
use wire::limits::{CONTENT_BYTES, FRAME_BYTES, HISTORY_BYTES};
use wire::message::server_cid;
use wire::timeline::HistoryPage;
use wire::{ConversationId, ConversationKind, Direction, Reply, Seq, Target, UserId};

pub fn timelines_have_no_gaps(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let group = scenario.group(anna, "climbing");
    scenario.join(ben, group);
    // The group was created and joined before.
    let mut expected = 3;
    let mut cid = 0;
    for round in 0..6 {
        let writes = (0..40).map(|n| {
            cid += 1;
            let sender = if n % 3 == 0 { anna } else { ben };
            append(sender, Target::Conversation(group), &format!("c{cid}"), &format!("text {cid}"))
        });
        for written in scenario.all(writes.collect()) {
            let message = appended(&written);
            assert_eq!((message.conversation, message.seq), (group, Seq(expected)));
            assert_eq!(message.kind, ConversationKind::Group);
            expected += 1;
        }
        // Some rounds stay resident, some are filed in part.
        for _ in 0..round {
            scenario.fixture.store().housekeep().unwrap();
        }
    }
    scenario.look_thrice(|scenario| {
        let all: Vec<u64> = (2..expected).collect();
        for limit in [1, 7, 50, 200] {
            assert_eq!(walk(scenario, ben, group, limit, true), all);
            let mut back = walk(scenario, ben, group, limit, false);
            back.reverse();
            assert_eq!(back, all);
        }
        let feed = Read::Timeline(timeline::Read::Feed { conversation: group, member: None, after: Seq(100), limit: 50, bytes: 1 << 20 });
        let Found::Timeline(timeline::Found::Feed { messages, more: true, .. }) = scenario.read(feed) else { panic!() };
        assert_eq!(seqs(&messages), (101..=150).collect::<Vec<_>>());
        let feed = Read::Timeline(timeline::Read::Feed { conversation: group, member: None, after: Seq(100), limit: 50, bytes: 16 });
        let Found::Timeline(timeline::Found::Feed { messages, more: true, .. }) = scenario.read(feed) else { panic!() };
        assert!(messages.len() < 5 && messages[0].seq == Seq(101));
        let end = Read::Timeline(timeline::Read::Feed { conversation: group, member: None, after: Seq(expected - 1), limit: 50, bytes: 16 });
        assert!(matches!(scenario.read(end), Found::Timeline(timeline::Found::Feed { messages, more: false, .. }) if messages.is_empty()));
    });
}

pub fn only_members_can_write_and_read(scenario: &mut Scenario<'_>) {
    let (anna, ben, eve) = (scenario.user("anna"), scenario.user("ben"), scenario.user("eve"));
    let group = scenario.group(anna, "climbing");
    let direct = scenario.say(anna, Target::User(ben), "d", "hi").conversation;
    for conversation in [group, direct, ConversationId(999)] {
        let refused = scenario.one(append(eve, Target::Conversation(conversation), "e", "let me in"));
        assert!(matches!(refused, Written::Denied(Denial::Forbidden)));
        let direction = Direction::After(Seq(0));
        let refused = scenario.read(Read::Timeline(timeline::Read::History {
            user: eve,
            conversation,
            direction,
            limit: 5,
            with_changes: true,
        }));
        assert!(matches!(refused, Found::Denied(Denial::Forbidden)));
        let standing = scenario.read(Read::Timeline(timeline::Read::Standing { user: eve, conversation }));
        assert!(matches!(standing, Found::Timeline(timeline::Found::Standing(None))));
    }
    // What is meant for a group reaches no direct chat, and the sender cannot tell it from a group of others.
    for conversation in [direct, ConversationId(999)] {
        for sender in [anna, ben] {
            let refused = scenario.one(append(sender, Target::Group(conversation), "g", "hi all"));
            assert!(matches!(refused, Written::Denied(Denial::Forbidden)));
        }
    }
    assert_eq!(scenario.say(anna, Target::Conversation(direct), "c", "hi").seq, Seq(2));
    assert_eq!(scenario.say(anna, Target::Group(group), "g", "hi all").seq, Seq(2));
    // The cid of a denied message is free.
    assert_eq!(scenario.say(eve, Target::User(anna), "e", "hi").seq, Seq(1));
}

pub fn a_direct_conversation_is_the_same_for_both_users(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("Ben"));
    let outcomes = scenario.all(vec![
        append(anna, Target::User(ben), "1", "hi"),
        append(ben, Target::User(anna), "1", "hello"),
        append(anna, Target::Name("BEN".into()), "2", "how are you"),
        append(anna, Target::User(UserId(999)), "5", "who"),
        append(anna, Target::Name("nobody".into()), "6", "who"),
    ]);
    let conversation = appended(&outcomes[0]).conversation;
    for (n, outcome) in (1..).zip(&outcomes[..3]) {
        let message = appended(outcome);
        assert_eq!((message.conversation, message.seq), (conversation, Seq(n)));
        assert_eq!(message.kind, ConversationKind::Direct);
    }
    assert!(
        matches!(outcomes[3], Written::Denied(Denial::NotFound))
            && matches!(outcomes[4], Written::Denied(Denial::NotFound))
    );
    scenario.look_thrice(|scenario| {
        for (user, peer) in [(anna, ben), (ben, anna)] {
            let Found::Timeline(timeline::Found::Standing(Some(standing))) =
                scenario.read(Read::Timeline(timeline::Read::Standing { user, conversation }))
            else {
                panic!()
            };
            assert_eq!((standing.peer, standing.last), (Some(peer), Seq(3)));
        }
    });
}

pub fn a_message_to_oneself_is_a_note(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("Anna"), scenario.user("ben"));
    let outcomes = scenario.all(vec![
        append(anna, Target::User(anna), "1", "milk"),
        append(anna, Target::Name("ANNA".into()), "2", "bread"),
        append(ben, Target::User(ben), "1", "of another user"),
        append(anna, Target::User(ben), "3", "no note"),
    ]);
    let notes = appended(&outcomes[0]).conversation;
    for (n, outcome) in (1..).zip(&outcomes[..2]) {
        let message = appended(outcome);
        assert_eq!(
            (message.conversation, message.seq, message.kind),
            (notes, Seq(n), ConversationKind::Direct)
        );
        let Written::Message(message::Written::Appended { members, .. }) = outcome else { panic!() };
        assert_eq!(members[..], [anna], "once");
    }
    assert!(outcomes[2..].iter().all(|other| appended(other).conversation != notes));
    assert_eq!(duplicate(&scenario.one(append(anna, Target::User(anna), "1", "milk"))).1, Seq(1));
    assert!(matches!(
        scenario.one(append(ben, Target::Conversation(notes), "4", "x")),
        Written::Denied(Denial::Forbidden)
    ));
    scenario.say(anna, Target::Conversation(notes), "5", "by its id");
    scenario.look_thrice(|scenario| {
        let (rows, _) = scenario.conversations(anna, None, 10);
        let rows: Vec<_> = rows.iter().filter(|row| row.conversation == notes).collect();
        let [row] = rows[..] else { panic!("it is listed once: {rows:?}") };
        assert_eq!((row.peer, &*row.name, row.last_seq), (Some(anna), "Anna", Seq(3)));
        assert_eq!((row.peer_delivered_seq, row.peer_read_seq), (None, None));
        let Found::Timeline(timeline::Found::Standing(Some(standing))) =
            scenario.read(Read::Timeline(timeline::Read::Standing { user: anna, conversation: notes }))
        else {
            panic!()
        };
        assert_eq!((standing.peer, standing.last), (None, Seq(3)), "nobody gets receipts");
        assert_eq!(walk(scenario, anna, notes, 2, true), [1, 2, 3]);
        let (others, _) = scenario.conversations(ben, None, 10);
        assert!(others.iter().all(|row| row.conversation != notes));
    });
}

fn duplicate(written: &Written) -> (ConversationId, Seq, u64) {
    match written {
        Written::Message(message::Written::Duplicate(Stored { conversation, seq, time })) => {
            (*conversation, *seq, time.0)
        }
        other => panic!("{other:?}"),
    }
}

pub fn a_cid_is_stored_once(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    let own = server_cid(7, 1);
    let outcomes = scenario.all(vec![
        append(anna, Target::User(ben), "same", "first"),
        append(anna, Target::User(cleo), "same", "whatever the second says"),
        append(anna, Target::User(ben), &own, "the server numbered this one"),
        append(ben, Target::User(anna), "same", "another sender's"),
        append(anna, Target::User(ben), "Same", "not the same bytes"),
    ]);
    let first = appended(&outcomes[0]);
    let place = (first.conversation, Seq(1), scenario.now.0);
    assert_eq!(first.cid.as_deref(), Some("same"));
    assert_eq!(duplicate(&outcomes[1]), place);
    assert_eq!(appended(&outcomes[2]).cid, None);
    assert_eq!(appended(&outcomes[3]).seq, Seq(3));
    assert_eq!(appended(&outcomes[4]).seq, Seq(4));
    let stored = scenario.now;
    scenario.look_thrice(|scenario| {
        scenario.wait(60_000);
        let again = scenario.one(append(anna, Target::User(UserId(999)), "same", "again"));
        assert_eq!(duplicate(&again), place);
        let again = scenario.one(append(anna, Target::User(ben), &own, "again"));
        assert_eq!(duplicate(&again), (first.conversation, Seq(2), stored.0));
        let (messages, ..) = scenario.history(anna, first.conversation, Direction::After(Seq(0)), 50);
        assert_eq!(seqs(&messages), [1, 2, 3, 4]);
        assert_eq!((messages[0].cid.as_deref(), messages[1].cid.as_deref()), (Some("same"), None));
    });
}

pub fn cids_are_remembered_for_a_day(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    // From the last day of January into February: another day's table, another month's.
    scenario.wait(DAY_MS);
    for n in 0..300 {
        scenario.say(anna, Target::User(ben), &format!("c{n}"), "x");
    }
    for wait in [1000, DAY_MS / 2, DAY_MS / 2 - 2000] {
        scenario.wait(wait);
        scenario.look_thrice(|scenario| {
            for n in [0, 1, 150, 299] {
                let again = scenario.one(append(anna, Target::User(ben), &format!("c{n}"), "x"));
                assert_eq!(duplicate(&again).1, Seq(n + 1));
            }
        });
    }
    // Tables and filters are dropped with their days: nothing grows for ever, and old cids are free again.
    for _ in 0..4 {
        scenario.wait(DAY_MS);
        scenario.say(anna, Target::User(ben), &format!("at {}", scenario.now), "x");
        scenario.file();
    }
    assert_eq!(scenario.say(anna, Target::User(ben), "c0", "x").seq, Seq(305));
}

pub fn texts_are_stored_unchanged(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let texts = ["a", "张三 🙂", "nul \0 and \"quotes\"\n", &"x".repeat(CONTENT_BYTES), &"宽".repeat(700)];
    let mut sent = Vec::new();
    for (n, text) in (0..).zip(texts) {
        let content_type = (n % 2 == 1).then(|| format!("kind/{n}").into());
        let Write::Message(message::Write::Append(plain)) =
            append(anna, Target::User(ben), &format!("c{n}"), text)
        else {
            unreachable!()
        };
        let written = scenario.one(Write::Message(message::Write::Append(Append {
            sender_name: "anna".into(),
            content_type,
            ..plain
        })));
        sent.push(appended(&written));
    }
    let conversation = sent[0].conversation;
    scenario.look_thrice(|scenario| {
        let (messages, ..) = scenario.history(ben, conversation, Direction::After(Seq(0)), 50);
        assert_eq!(messages, sent);
        let (messages, ..) = scenario.history(ben, conversation, Direction::Before(Seq(4)), 2);
        assert_eq!(messages, sent[1..3]);
    });
}

pub fn history_pages_are_bounded_in_size(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    // The worst case: every byte takes six in JSON.
    let text = "\u{1}".repeat(CONTENT_BYTES);
    for n in 0..4 {
        scenario.say(anna, Target::User(ben), &format!("c{n}"), &text);
    }
    let middling = "y".repeat(30_000);
    let mut conversation = ConversationId(0);
    for n in 0..20 {
        conversation = scenario.say(anna, Target::User(ben), &format!("d{n}"), &middling).conversation;
    }
    scenario.look_thrice(|scenario| {
        for direction in [Direction::After(Seq(0)), Direction::After(Seq(4)), Direction::Before(Seq(25))] {
            let (messages, more, first_seq) = scenario.history(ben, conversation, direction, 200);
            assert!(more && !messages.is_empty());
            if messages.len() > 1 {
                let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
                assert!(bytes > HISTORY_BYTES / 2, "a page is not small for no reason");
            }
            let mut frame = Vec::new();
            Reply::Timeline(wire::timeline::Reply::History(Box::new(HistoryPage {
                messages,
                more,
                first_seq,
            })))
            .encode(13, 1, &mut frame);
            assert!(frame.len() < FRAME_BYTES);
        }
        assert_eq!(walk(scenario, ben, conversation, 200, true), (1..=24).collect::<Vec<_>>());
    });
}
