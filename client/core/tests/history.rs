//! A server whose database was restored from a backup, or made anew.

mod support;

use chatclient_core::{Event, Kept, Options, SendFailure, Session, Snapshot};
use std::sync::Arc;
use support::pair::Pair;
use support::{ME, PASSWORD};
use wire::account::Who;
use wire::kind::request;
use wire::session::GoingAway;
use wire::{ConversationId, Message, Push, Seq, System, Target, UserId, session};

const BOB: u32 = 10;
const CHAT: ConversationId = ConversationId(BOB);

/// Online at a server with a history.
fn online() -> Pair {
    let mut pair = Pair::new();
    (pair.server.server, pair.server.history) = (Some("one".into()), Some("first".into()));
    pair.session.login_password(pair.now, Who::Id(ME), PASSWORD);
    pair.settle();
    pair.events.clear();
    pair
}

/// A message of the peer.
fn hear(pair: &mut Pair, text: &str) {
    pair.server.store(BOB, UserId(BOB), text, None);
    let Pair { server, connection, .. } = pair;
    server.push(connection.as_mut().expect("connected"));
    pair.settle();
}

fn reconnect(pair: &mut Pair) {
    pair.lose();
    pair.pass(5_000);
    assert!(pair.session.is_online());
}

/// The texts that were shown, and the places after which was forgotten.
fn shown(events: &[Event]) -> Vec<String> {
    let text = |event: &Event| match event {
        Event::Message(message) => Some(message.content.to_string()),
        Event::Sent { seq, .. } => Some(format!("sent {seq}")),
        Event::Forgotten { after, .. } => Some(format!("forgotten after {after}")),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

fn asked_history(pair: &Pair) -> usize {
    let requests = &pair.connection.as_ref().expect("connected").requests;
    requests.iter().filter(|kind| **kind == request::HISTORY).count()
}

#[test]
fn an_unchanged_conversation_needs_no_question() {
    let mut pair = online();
    (1..=3).for_each(|n| hear(&mut pair, &format!("text {n}")));
    pair.pass(1_000);
    pair.events.clear();
    pair.server.history = Some("second".into());
    reconnect(&mut pair);
    assert_eq!((shown(&pair.events), asked_history(&pair)), (vec![], 0));
    assert_eq!(pair.session.snapshot(0).history.as_deref(), Some("second"));
}

#[test]
fn a_conversation_that_went_on_is_compared_and_nothing_is_forgotten() {
    let mut pair = online();
    (1..=3).for_each(|n| hear(&mut pair, &format!("text {n}")));
    pair.pass(1_000);
    pair.events.clear();
    pair.server.history = Some("second".into());
    pair.lose();
    pair.server.store(BOB, UserId(BOB), "text 4", None);
    pair.pass(5_000);
    assert_eq!((shown(&pair.events), asked_history(&pair)), (vec!["text 4".to_owned()], 1));
}

#[test]
fn after_a_restore_new_messages_in_old_places_are_shown() {
    let mut pair = online();
    (1..=5).for_each(|n| hear(&mut pair, &format!("text {n}")));
    pair.session.send(pair.now, Target::User(UserId(BOB)), "mine").expect("room");
    pair.settle();
    pair.pass(1_000);
    pair.events.clear();
    pair.server.restore(BOB, 3);
    pair.lose();
    pair.server.store(BOB, UserId(BOB), "other 4", None);
    // Written while nobody knows yet; it is sent after the comparison.
    pair.session.send(pair.now, Target::User(UserId(BOB)), "written offline").expect("room");
    pair.pass(10_000);
    // Without a store only the last message is known, and what the server counts as delivered stays shown.
    assert_eq!(shown(&pair.events), ["forgotten after 0", "other 4", "sent 5"]);
    hear(&mut pair, "other 6");
    assert_eq!(shown(&pair.events).last().map(String::as_str), Some("other 6"));
    assert_eq!(pair.server.texts(BOB, ME), ["written offline"]);
}

/// Everything that was shown has been dropped meanwhile, or cleared on another device, which has also acknowledged more.
#[test]
fn what_lies_below_the_view_is_not_compared_and_what_follows_is_shown() {
    let mut pair = online();
    hear(&mut pair, "text 1");
    pair.pass(1_000);
    pair.events.clear();
    pair.server.history = Some("second".into());
    pair.lose();
    (2..=4).for_each(|n| _ = pair.server.store(BOB, UserId(BOB), &format!("text {n}"), None));
    let conversation = pair.server.conversations.get_mut(&BOB).expect("a message is in it");
    (conversation.first, conversation.delivered) = (3, 4);
    pair.pass(5_000);
    assert_eq!(shown(&pair.events), ["text 3", "text 4"]);
}

#[test]
fn another_server_at_the_address_gets_nothing_of_the_first_one() {
    let mut pair = online();
    hear(&mut pair, "text 1");
    pair.lose();
    pair.session.send(pair.now, Target::User(UserId(BOB)), "for the first").expect("room");
    pair.events.clear();
    pair.server.restore(BOB, 0);
    (pair.server.server, pair.server.history) = (Some("two".into()), Some("its own".into()));
    pair.pass(5_000);
    let failed =
        |event: &Event| matches!(event, Event::SendFailed { failure: SendFailure::OtherAccount, .. });
    assert!(pair.session.is_online() && pair.events.iter().any(failed), "{:?}", pair.events);
    hear(&mut pair, "new 1");
    assert_eq!(shown(&pair.events), ["new 1"]);
    assert!(pair.server.texts(BOB, ME).is_empty());
}

/// A session with a store, which holds these messages.
struct Stored {
    pair: Pair,
    kept: Vec<Arc<Message>>,
}

impl Stored {
    /// After a restart of the client, which had shown `count` messages.
    fn with(count: u64, history: Option<&str>) -> Stored {
        let mut pair = online();
        (1..=count).for_each(|n| {
            _ = pair.server.store(BOB, UserId(BOB), &format!("text {n}"), Some(&format!("c{n}")));
        });
        let conversation = pair.server.conversations.get_mut(&BOB).expect("just made");
        conversation.delivered = count;
        let kept = conversation.messages.clone();
        let snapshot = Snapshot {
            account: Some(ME),
            server: history.map(|_| "one".into()),
            history: history.map(Into::into),
            token: pair.server.token.clone().map(Into::into),
            conversations: vec![chatclient_core::snapshot::ConversationSnapshot {
                conversation: CHAT,
                cursor: Some(Seq(count)),
                read: Seq(count),
                own_above: vec![],
                last: None,
            }],
            ..Snapshot::default()
        };
        let options = Options { persistent: true, ..Options::new(9) };
        pair.session = Session::restore(options, pair.now, snapshot);
        pair.connection = None;
        Stored { pair, kept }
    }

    fn login(&mut self) -> Vec<String> {
        let token = self.pair.server.token.clone().expect("logged in before");
        self.pair.session.login_token(self.pair.now, &token);
        for _ in 0..200 {
            self.pair.settle();
            if let Some((conversation, below)) = self.pair.session.poll_look() {
                assert_eq!(conversation, CHAT);
                let kept = self.kept.iter().rev().find(|message| message.seq < below);
                self.pair.session.handle_looked(self.pair.now, CHAT, kept.map(|message| Kept::of(message)));
            }
            self.pair.pass(20);
        }
        shown(&self.pair.events)
    }
}

#[test]
fn exactly_what_differs_is_forgotten() {
    for same in [0, 1, 2, 499, 500, 998, 999] {
        let mut stored = Stored::with(1_000, Some("first"));
        stored.pair.server.restore(BOB, same);
        for n in 0..7 {
            stored.pair.server.store(BOB, UserId(BOB), &format!("other {n}"), None);
        }
        let expected: Vec<String> = std::iter::once(format!("forgotten after {same}"))
            .chain((0..7).map(|n| format!("other {n}")))
            .collect();
        assert_eq!(stored.login(), expected, "{same} are the same");
        assert!(asked_history(&stored.pair) < 15, "{} questions", asked_history(&stored.pair));
        let snapshot = stored.pair.session.snapshot(0);
        assert_eq!(snapshot.conversations[0].cursor, Some(Seq(same as u64 + 7)));
    }
}

#[test]
fn only_what_lies_in_the_view_is_forgotten() {
    for (first, same) in [(501, 700), (501, 500), (501, 300), (900, 899), (990, 995)] {
        let mut stored = Stored::with(1_000, Some("first"));
        stored.pair.server.restore(BOB, same);
        for n in same..1_010 {
            stored.pair.server.store(BOB, UserId(BOB), &format!("other {}", n + 1), None);
        }
        let conversation = stored.pair.server.conversations.get_mut(&BOB).expect("it was restored");
        conversation.first = first;
        // What is below the view stays, whether it is the same or not.
        let after = (same as u64).max(first - 1);
        let expected: Vec<String> = std::iter::once(format!("forgotten after {after}"))
            .chain((after + 1..=1_010).map(|n| format!("other {n}")))
            .collect();
        assert_eq!(stored.login(), expected, "{same} are the same, and the view begins at {first}");
    }
}

#[test]
fn a_conversation_that_the_server_does_not_have_is_forgotten() {
    let mut stored = Stored::with(10, Some("first"));
    stored.pair.server.restore(BOB, 0);
    stored.pair.server.conversations.clear();
    assert_eq!(stored.login(), ["forgotten after 0"]);
}

/// The account leaves the chat, which is a group; the server then has it for others only.
fn leave(pair: &mut Pair) {
    pair.server.make_group(BOB);
    pair.server.store_leave(BOB, ME);
    let Pair { server, connection, .. } = pair;
    server.push(connection.as_mut().expect("connected"));
    pair.settle();
    pair.pass(1_000);
    pair.server.conversations.clear();
    pair.events.clear();
}

#[test]
fn a_group_that_was_left_stays_under_another_history() {
    let mut pair = online();
    (1..=3).for_each(|n| hear(&mut pair, &format!("text {n}")));
    leave(&mut pair);
    pair.server.begin_history();
    let history = pair.server.history.clone();
    reconnect(&mut pair);
    pair.pass(2_000);
    assert_eq!(shown(&pair.events), Vec::<String>::new());
    assert_eq!(pair.session.snapshot(0).history, history, "it is compared");
    assert_eq!(pair.session.cursor(CHAT), Some(Seq(4)));
    // With a store, after a restart of the client.
    let mut stored = Stored::with(10, Some("first"));
    let mut left = (*stored.kept[9]).clone();
    let system = System { event: wire::entry::Event::Left, who: [ME].into(), by: ME, value: None };
    left.extra = Some(system.into());
    stored.kept[9] = Arc::new(left);
    stored.pair.server.restore(BOB, 0);
    stored.pair.server.conversations.clear();
    assert_eq!(stored.login(), Vec::<String>::new());
}

/// The account was removed while the client was away, and the entry that says so comes after the comparison.
#[test]
fn what_was_shown_of_a_group_is_not_shown_again_before_its_end() {
    let mut pair = online();
    (1..=3).for_each(|n| hear(&mut pair, &format!("text {n}")));
    pair.lose();
    pair.server.make_group(BOB);
    pair.server.store_leave(BOB, ME);
    let all: Vec<Arc<Message>> = pair.server.conversations[&BOB].messages.clone();
    pair.server.conversations.clear();
    pair.server.left.insert(BOB);
    pair.server.begin_history();
    pair.events.clear();
    pair.pass(5_000);
    let before = pair.requests(request::ACK);
    for message in all {
        pair.push(&Push::from(wire::message::Push::New(message)));
    }
    assert_eq!(shown(&pair.events), ["user 1 left"]);
    pair.pass(1_000);
    assert!(pair.requests(request::ACK) > before, "it acknowledges that entry");
}

/// Its id is given again after a restore.
#[test]
fn another_conversation_in_the_place_of_a_left_group_is_shown_from_its_beginning() {
    for is_listed in [false, true] {
        let mut pair = online();
        (1..=3).for_each(|n| hear(&mut pair, &format!("text {n}")));
        leave(&mut pair);
        pair.server.begin_history();
        reconnect(&mut pair);
        pair.pass(2_000);
        if is_listed {
            pair.lose();
            _ = pair.server.store(BOB, UserId(BOB), "new 1", None);
            pair.pass(5_000);
        } else {
            hear(&mut pair, "new 1");
        }
        hear(&mut pair, "new 2");
        assert_eq!(shown(&pair.events), ["forgotten after 0", "new 1", "new 2"], "{is_listed}");
        assert_eq!(pair.session.cursor(CHAT), Some(Seq(2)));
    }
}

#[test]
fn a_new_group_in_the_place_of_a_left_one_is_shown_from_its_beginning() {
    let mut pair = online();
    (1..=3).for_each(|n| hear(&mut pair, &format!("text {n}")));
    leave(&mut pair);
    pair.server.begin_history();
    reconnect(&mut pair);
    pair.pass(2_000);
    pair.session.create_group(pair.now, "climbing", "");
    pair.settle();
    hear(&mut pair, "new 2");
    assert_eq!(shown(&pair.events), ["forgotten after 0", "created", "new 2"]);
}

/// The server pushes again what was not acknowledged, also what is below a leave.
#[test]
fn entries_of_a_left_group_that_come_again_are_not_shown_again() {
    let mut pair = online();
    hear(&mut pair, "text 1");
    pair.server.store_join(BOB, ME);
    hear(&mut pair, "text 2");
    let before: Vec<Arc<Message>> = pair.server.conversations[&BOB].messages.clone();
    leave(&mut pair);
    for message in before {
        pair.push(&Push::from(wire::message::Push::New(message)));
    }
    assert_eq!(shown(&pair.events), Vec::<String>::new());
}

#[test]
fn a_store_from_before_adopts_the_first_history_that_it_agrees_with() {
    let mut stored = Stored::with(10, None);
    assert_eq!(stored.login(), Vec::<String>::new());
    let snapshot = stored.pair.session.snapshot(0);
    assert_eq!((snapshot.server.as_deref(), snapshot.history.as_deref()), (Some("one"), Some("first")));
    assert_eq!(snapshot.conversations[0].cursor, Some(Seq(10)));
    let mut stored = Stored::with(10, None);
    stored.pair.server.restore(BOB, 4);
    assert_eq!(stored.login(), ["forgotten after 4"]);
}

#[test]
fn a_comparison_that_was_cut_off_begins_again() {
    let mut stored = Stored::with(10, Some("first"));
    stored.pair.server.restore(BOB, 4);
    let token = stored.pair.server.token.clone().expect("logged in before");
    stored.pair.session.login_token(stored.pair.now, &token);
    stored.pair.settle();
    assert!(stored.pair.session.poll_look().is_some());
    stored.pair.lose();
    assert_eq!(stored.pair.session.snapshot(0).history.as_deref(), Some("first"));
    stored.pair.pass(5_000);
    assert_eq!(stored.login(), ["forgotten after 4"]);
}

#[test]
fn a_server_without_a_login_does_not_say_where_to_connect() {
    let mut pair = online();
    pair.lose();
    // An address that is reached by mistake, or by somebody who took it.
    pair.server.token = None;
    let away = |node: &str| -> Push {
        let (reason, node) = ("x".into(), Some(node.into()));
        session::Push::GoingAway(Box::new(GoingAway { reason, retry_after_ms: 0, node })).into()
    };
    let mut fresh = Pair::new();
    fresh.session.connect(fresh.now);
    fresh.settle();
    fresh.push(&away("192.0.2.1:6000"));
    fresh.pass(20_000);
    fresh.session.login_password(fresh.now, Who::Id(ME), PASSWORD);
    fresh.settle();
    assert!(fresh.tried.iter().all(Option::is_none), "{:?}", fresh.tried);
    // Once it is logged in, it follows.
    fresh.push(&away("192.0.2.1:6000"));
    fresh.pass(20_000);
    assert!(fresh.tried.iter().any(Option::is_some), "{:?}", fresh.tried);
}
