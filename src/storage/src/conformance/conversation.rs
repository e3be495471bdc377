//! How one member sees a conversation: its settings, and where its view of the timeline begins.

use super::scenario::{Scenario, append, appended, join, seqs, walk};
use logic::contract::timeline::Standing;
use logic::contract::{Denial, Found, Read, Write, Written, session, timeline};
use wire::timeline::{ConversationSummary, SettingsChange};
use wire::{ConversationId, Direction, Seq, Target, UserId};

const AS_BEFORE: SettingsChange = SettingsChange { pinned: None, muted: None, hidden: None };
const HIDDEN: SettingsChange = SettingsChange { hidden: Some(true), ..AS_BEFORE };

fn set(user: UserId, conversation: ConversationId, change: SettingsChange) -> Write {
    timeline::Write::Set { user, conversation, change }.into()
}

pub fn clear(user: UserId, conversation: ConversationId, upto: u64) -> Write {
    timeline::Write::Clear { user, conversation, upto: Seq(upto) }.into()
}

/// What was cleared, and the standing before.
fn cleared(written: &Written) -> (Seq, Standing) {
    match written {
        Written::Timeline(timeline::Written::Cleared { upto, before }) => (*upto, *before),
        other => panic!("{other:?}"),
    }
}

/// A conversation as CONVERSATIONS lists it, which must be as in the view of a login.
fn listed(scenario: &mut Scenario<'_>, user: UserId, conversation: ConversationId) -> ConversationSummary {
    let find = |rows: Vec<ConversationSummary>| rows.into_iter().find(|row| row.conversation == conversation);
    let page = find(scenario.conversations(user, None, 50).0).expect("it is listed");
    match scenario.read(Read::Session(session::Read::LoginView { user, with_last: false })) {
        Found::Session(session::Found::LoginView(view)) => {
            assert_eq!(find(view.conversations.to_vec()), Some(page.clone()));
        }
        other => panic!("{other:?}"),
    }
    page
}

/// `(pinned, muted, hidden)`
fn settings(scenario: &mut Scenario<'_>, user: UserId, conversation: ConversationId) -> (bool, bool, bool) {
    let row = listed(scenario, user, conversation);
    (row.pinned, row.muted, row.hidden)
}

pub fn settings_are_a_members_own(scenario: &mut Scenario<'_>) {
    let (anna, ben, eve) = (scenario.user("anna"), scenario.user("ben"), scenario.user("eve"));
    let direct = scenario.say(anna, Target::User(ben), "1", "hi").conversation;
    let group = scenario.group(anna, "climbing");
    for conversation in [direct, group] {
        assert_eq!(settings(scenario, anna, conversation), (false, false, false));
        let all = SettingsChange { pinned: Some(true), muted: Some(true), hidden: Some(true) };
        for _ in 0..2 {
            assert!(matches!(scenario.one(set(anna, conversation, all)), Written::Done));
        }
        scenario.look_thrice(|scenario| {
            assert_eq!(settings(scenario, anna, conversation), (true, true, true));
        });
        let some = SettingsChange { muted: Some(false), ..AS_BEFORE };
        let outcomes = scenario.all(vec![set(anna, conversation, some), set(anna, conversation, AS_BEFORE)]);
        assert!(outcomes.iter().all(|written| matches!(written, Written::Done)));
        assert_eq!(settings(scenario, anna, conversation), (true, false, true));
        let shown = SettingsChange { hidden: Some(false), ..AS_BEFORE };
        scenario.one(set(anna, conversation, shown));
        scenario.look_thrice(|scenario| {
            assert_eq!(settings(scenario, anna, conversation), (true, false, false));
        });
    }
    assert_eq!(settings(scenario, ben, direct), (false, false, false));
    for (user, conversation) in [(eve, direct), (ben, group), (anna, ConversationId(999))] {
        for write in [set(user, conversation, HIDDEN), clear(user, conversation, 1)] {
            assert!(matches!(scenario.one(write), Written::Denied(Denial::Forbidden)));
        }
    }
}

pub fn a_hidden_conversation_comes_back_with_its_next_message(scenario: &mut Scenario<'_>) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let group = scenario.group(anna, "climbing");
    let to = || Target::Conversation(group);
    let is_hidden = |scenario: &mut Scenario<'_>| settings(scenario, anna, group).2;
    scenario.one(set(anna, group, HIDDEN));
    scenario.look_thrice(|scenario| assert!(is_hidden(scenario), "it has no message yet"));
    scenario.join(ben, group);
    scenario.look_thrice(|scenario| assert!(is_hidden(scenario), "an entry is no message"));
    scenario.say(ben, to(), "1", "x");
    scenario.look_thrice(|scenario| assert!(!is_hidden(scenario)));
    // Messages before and after it in one batch, all at one time.
    let outcomes = scenario.all(vec![append(ben, to(), "2", "x"), set(anna, group, HIDDEN)]);
    assert_eq!(appended(&outcomes[0]).seq, Seq(4));
    scenario.look_thrice(|scenario| assert!(is_hidden(scenario)));
    scenario.all(vec![set(anna, group, HIDDEN), append(anna, to(), "3", "also an own one")]);
    scenario.look_thrice(|scenario| assert!(!is_hidden(scenario)));
    let cleo = scenario.user("cleo");
    scenario.all(vec![set(anna, group, HIDDEN), join(cleo, group), append(ben, to(), "4", "x")]);
    scenario.look_thrice(|scenario| {
        assert!(!is_hidden(scenario));
        assert_eq!(walk(scenario, anna, group, 50, true), (1..=7).collect::<Vec<_>>(), "nothing is lost");
    });
}

pub fn what_a_member_cleared_is_gone_for_it_alone(scenario: &mut Scenario<'_>) {
    let (anna, ben, cleo) = (scenario.user("anna"), scenario.user("ben"), scenario.user("cleo"));
    let group = scenario.group(anna, "climbing");
    let to = || Target::Conversation(group);
    scenario.join(ben, group);
    for n in 3..=9 {
        scenario.say(anna, to(), &format!("{n}"), "x");
    }
    scenario.join(cleo, group);
    let feed = |scenario: &mut Scenario<'_>, user, after| {
        let (after, limit, bytes) = (Seq(after), 50, 1 << 20);
        let read = timeline::Read::Feed { conversation: group, member: Some(user), after, limit, bytes };
        match scenario.read(read.into()) {
            Found::Timeline(timeline::Found::Feed { messages, more: false, .. }) => seqs(&messages),
            other => panic!("{other:?}"),
        }
    };
    let (upto, before) = cleared(&scenario.one(clear(ben, group, 6)));
    assert_eq!((upto, before.last), (Seq(6), Seq(10)));
    assert_eq!((before.delivered, before.read, before.peer), (Seq(1), Seq(2), None));
    scenario.look_thrice(|scenario| {
        let row = listed(scenario, ben, group);
        let seqs_of = (row.first_seq, row.delivered_seq, row.read_seq, row.last_seq);
        assert_eq!(seqs_of, (Seq(7), Seq(6), Seq(6), Seq(10)));
        for direction in [Direction::After(Seq(0)), Direction::Before(Seq::MAX)] {
            let (page, more, first) = scenario.history(ben, group, direction, 50);
            assert_eq!((seqs(&page), more, first), (vec![7, 8, 9, 10], false, Seq(7)));
        }
        assert!(scenario.history(ben, group, Direction::Before(Seq(7)), 50).0.is_empty());
        assert_eq!(feed(scenario, ben, 0), [7, 8, 9, 10]);
        assert_eq!(feed(scenario, ben, 8), [9, 10]);
        assert_eq!(walk(scenario, anna, group, 3, true), (1..=10).collect::<Vec<_>>(), "others see all");
        assert_eq!(feed(scenario, anna, 0), (1..=10).collect::<Vec<_>>());
        assert_eq!(feed(scenario, cleo, 0), [10], "a new member sees what it may");
    });
    // It never goes back, and moves no cursor back either.
    let (upto, before) = cleared(&scenario.one(clear(ben, group, 3)));
    assert_eq!((upto, before.delivered, before.read), (Seq(3), Seq(6), Seq(6)));
    assert_eq!(listed(scenario, ben, group).first_seq, Seq(7));
    // Beyond the end it is the end, which is that of the messages before it in its batch.
    let outcomes = scenario.all(vec![
        append(anna, to(), "10", "x"),
        clear(ben, group, Seq::MAX.0),
        append(anna, to(), "11", "x"),
    ]);
    assert_eq!(cleared(&outcomes[1]).0, Seq(11));
    assert_eq!((appended(&outcomes[0]).seq, appended(&outcomes[2]).seq), (Seq(11), Seq(12)));
    scenario.look_thrice(|scenario| {
        assert_eq!(walk(scenario, ben, group, 50, true), [12]);
        assert_eq!(walk(scenario, ben, group, 50, false), [12]);
        let row = listed(scenario, ben, group);
        let seqs_of = (row.first_seq, row.delivered_seq, row.read_seq, row.last_seq);
        assert_eq!(seqs_of, (Seq(12), Seq(11), Seq(11), Seq(12)));
    });
    assert_eq!(scenario.say(ben, to(), "12", "still a member").seq, Seq(13));
    // In a direct chat the peer keeps its view.
    let direct = scenario.say(anna, Target::User(ben), "d1", "x").conversation;
    scenario.say(ben, Target::User(anna), "d2", "x");
    let (upto, before) = cleared(&scenario.one(clear(anna, direct, 2)));
    assert_eq!((upto, before.peer), (Seq(2), Some(ben)));
    scenario.look_thrice(|scenario| {
        assert_eq!(walk(scenario, anna, direct, 50, true), [0; 0]);
        assert_eq!(walk(scenario, ben, direct, 50, true), [1, 2]);
        let row = listed(scenario, anna, direct);
        assert_eq!((row.first_seq, row.last_seq, row.read_seq), (Seq(3), Seq(2), Seq(2)));
        let row = listed(scenario, ben, direct);
        assert_eq!((row.peer_delivered_seq, row.peer_read_seq), (Some(Seq(2)), Some(Seq(2))));
    });
}
