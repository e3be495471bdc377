//! What other sessions of the account do.

mod support;

use chatclient_core::Event;
use support::pair::Pair;
use support::{ME, PASSWORD};
use wire::account::Who;
use wire::{ConversationId, Push, Seq, UserId, message, timeline};

#[test]
fn what_another_session_has_read_or_cleared_is_read_here_and_not_missed() {
    let mut pair = Pair::new();
    for text in ["one", "two", "three"] {
        pair.server.store(2, UserId(2), text, None);
    }
    pair.session.login_password(pair.now, Who::Id(ME), PASSWORD);
    pair.settle();
    let chat = ConversationId(2);
    let view = |read_seq, first_seq| {
        let (pinned, muted, hidden) = (true, false, false);
        let view = timeline::ConversationView {
            conversation: chat,
            read_seq,
            first_seq,
            last_seq: Seq(3),
            unread: 1,
            unread_more: false,
            mentions: 0,
            pinned,
            muted,
            hidden,
        };
        Push::Timeline(timeline::Push::Conversation(Box::new(view)))
    };
    pair.events.clear();
    pair.push(&view(Seq(2), Seq(1)));
    assert_eq!(pair.events, [Event::Push(view(Seq(2), Seq(1)))]);
    // Nothing is told to the server that it knows.
    pair.session.read(pair.now, chat, Seq(2));
    pair.pass(1_000);
    assert_eq!(pair.server.reads, []);
    pair.session.read(pair.now, chat, Seq(3));
    pair.pass(1_000);
    assert_eq!(pair.server.reads, [(2, 3)]);
    // What was cleared there is not missed here.
    pair.server.conversations.get_mut(&2).unwrap().first = 6;
    pair.push(&view(Seq(5), Seq(6)));
    for text in ["four", "five", "six"] {
        pair.server.store(2, UserId(2), text, None);
    }
    let last = pair.server.message(2, Seq(6));
    pair.push(&Push::Message(message::Push::New(last)));
    pair.pass(1_000);
    assert_eq!(pair.session.cursor(chat), Some(Seq(6)));
    assert!(!pair.events.iter().any(|event| matches!(event, Event::Missing { .. })));
}

#[test]
fn of_two_views_that_come_in_the_wrong_order_each_tells_what_it_knows_best() {
    let mut pair = Pair::new();
    for text in ["one", "two", "three", "four"] {
        pair.server.store(2, UserId(2), text, None);
    }
    pair.session.login_password(pair.now, Who::Id(ME), PASSWORD);
    pair.settle();
    pair.events.clear();
    let view = |read_seq: u64, last_seq: u64, unread, muted| timeline::ConversationView {
        conversation: ConversationId(2),
        read_seq: Seq(read_seq),
        first_seq: Seq(1),
        last_seq: Seq(last_seq),
        unread,
        unread_more: false,
        mentions: 0,
        pinned: false,
        muted,
        hidden: false,
    };
    let push = |view| Push::Timeline(timeline::Push::Conversation(Box::new(view)));
    let mut told = |pushed: timeline::ConversationView| {
        pair.push(&push(pushed));
        std::mem::take(&mut pair.events)
    };
    // The node that pushes the second one does not know the fifth message yet.
    assert_eq!(told(view(2, 5, 3, true)), [Event::Push(push(view(2, 5, 3, true)))]);
    assert_eq!(told(view(1, 4, 3, false)), [], "it is older in everything");
    assert_eq!(
        told(view(3, 4, 1, false)),
        [Event::Push(push(view(3, 4, 1, true)))],
        "but it has read further"
    );
    assert_eq!(told(view(2, 6, 4, false)), [Event::Push(push(view(3, 4, 1, false)))], "a later setting");
    assert_eq!(told(view(3, 6, 3, false)), [Event::Push(push(view(3, 6, 3, false)))]);
    // The same again is no harm, and a setting without a new message is one.
    assert_eq!(told(view(3, 6, 3, true)), [Event::Push(push(view(3, 6, 3, true)))]);
    // What this session sets is not undone by what was known before.
    let muted = timeline::SettingsChange { muted: Some(false), ..timeline::SettingsChange::default() };
    pair.session.set_conversation(pair.now, ConversationId(2), muted);
    pair.settle();
    pair.events.clear();
    pair.push(&push(view(4, 5, 1, true)));
    assert_eq!(pair.events, [Event::Push(push(view(4, 5, 1, false)))]);
}
