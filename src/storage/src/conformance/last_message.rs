//! The last messages of listed conversations.

use super::change::{change, made, react};
use super::edit::recall;
use super::scenario::{Scenario, append};
use logic::contract::change::What;
use logic::contract::message::Write as MessageWrite;
use logic::contract::{Found, Read, Written, session, timeline};
use wire::timeline::{ConversationSummary, LastMessage};
use wire::{ConversationId, Direction, Seq, Target, UserId};

/// The rows of LOGIN, which are those of CONVERSATIONS.
fn rows(scenario: &mut Scenario<'_>, user: UserId, with_last: bool) -> Vec<ConversationSummary> {
    let view = match scenario.read(Read::Session(session::Read::LoginView { user, with_last })) {
        Found::Session(session::Found::LoginView(view)) => *view,
        other => panic!("{other:?}"),
    };
    let read = timeline::Read::Conversations { user, before: None, limit: 50, with_unread: true, with_last };
    match scenario.read(read.into()) {
        Found::Timeline(timeline::Found::Conversations { entries, .. }) => {
            assert_eq!(entries, *view.conversations);
            entries
        }
        other => panic!("{other:?}"),
    }
}

/// The last messages of all conversations, each of which is the last one that HISTORY shows.
fn shown(scenario: &mut Scenario<'_>, user: UserId) -> Vec<(ConversationId, Option<LastMessage>)> {
    assert!(rows(scenario, user, false).iter().all(|row| row.last.is_none()), "nobody asked");
    let mut all = Vec::new();
    for row in rows(scenario, user, true) {
        let (entries, ..) =
            scenario.history(user, row.conversation, Direction::Before(Seq(row.last_seq.0 + 1)), 200);
        let expected = entries.iter().rev().find(|entry| entry.is_message());
        let expected = expected.map(|entry| LastMessage::from(&**entry));
        assert_eq!(row.last.as_deref(), expected.as_ref(), "{row:?}");
        all.push((row.conversation, expected));
    }
    all
}

fn of(scenario: &mut Scenario<'_>, user: UserId, conversation: ConversationId) -> Option<(u64, String)> {
    let all = shown(scenario, user);
    let (_, last) = all.into_iter().find(|(id, _)| *id == conversation).expect("it is listed");
    last.map(|last| (last.seq.0, last.content.into()))
}

pub fn rows_show_the_last_message_that_a_member_sees(scenario: &mut Scenario<'_>) {
    let [anna, ben, eve] = ["anna", "ben", "eve"].map(|name| scenario.user(name));
    let group = scenario.group(anna, "climbing");
    scenario.look_thrice(|scenario| assert_eq!(of(scenario, anna, group), None, "it has no message"));
    let direct = scenario.say(anna, Target::User(ben), "1", "one").conversation;
    let long = "é🙂".repeat(300);
    scenario.say(ben, Target::User(anna), "2", &long);
    scenario.join(ben, group);
    let text = |n: u64, text: &str| Some((n, text.to_owned()));
    scenario.look_thrice(|scenario| {
        for user in [anna, ben] {
            assert_eq!(of(scenario, user, direct), text(2, &"é🙂".repeat(100)), "the first 200 characters");
            assert_eq!(of(scenario, user, group), None);
        }
    });
    let mut image = append(anna, Target::Conversation(group), "4", "a picture");
    if let logic::contract::Write::Message(MessageWrite::Append(append)) = &mut image {
        append.content_type = Some("image".into());
    }
    assert!(matches!(scenario.one(image), Written::Message(_)));
    // Neither is a message.
    scenario.join(eve, group);
    made(&scenario.one(react(ben, group, 3, "👍", true)));
    scenario.look_thrice(|scenario| {
        assert_eq!(of(scenario, ben, group), text(3, "a picture"));
        assert_eq!(of(scenario, eve, group), None, "it was sent before the join");
    });
    let to = What::Edit { content: long.as_str().into(), window: 60_000 };
    made(&scenario.one(change(anna, group, 3, to)));
    let to = What::Edit { content: "two".into(), window: 60_000 };
    made(&scenario.one(change(ben, direct, 2, to)));
    scenario.look_thrice(|scenario| {
        assert_eq!(of(scenario, ben, group), text(3, &"é🙂".repeat(100)));
        assert_eq!(of(scenario, anna, direct), text(2, "two"));
    });
    made(&scenario.one(recall(ben, direct, 2)));
    made(&scenario.one(recall(anna, group, 3)));
    scenario.look_thrice(|scenario| {
        assert_eq!(of(scenario, anna, direct), text(2, ""));
        assert_eq!(of(scenario, ben, group), text(3, ""));
    });
    let upto = Seq(100);
    scenario.one(timeline::Write::Clear { user: anna, conversation: direct, upto }.into());
    scenario.look_thrice(|scenario| {
        assert_eq!(of(scenario, anna, direct), None, "it was cleared");
        assert_eq!(of(scenario, ben, direct), text(2, ""));
    });
    // In later months than the entries before them, which is where others still end.
    for month in 0..3 {
        scenario.wait(31 * 24 * 60 * 60 * 1000);
        let (cid, said) = (format!("m{month}"), format!("in month {month}"));
        let seq = scenario.say(ben, Target::User(anna), &cid, &said).seq;
        scenario.look_thrice(|scenario| {
            assert_eq!(of(scenario, anna, direct), text(seq.0, &said));
            assert_eq!(of(scenario, ben, group), text(3, ""));
        });
        made(&scenario.one(react(anna, direct, seq.0, "👍", true)));
    }
}
