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
