//! Strategies for timelines.

use super::fields::{conversation, more, page, rows, seq, time, user, valid_name};
use super::message::{conversation_kind, message};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::sync::Arc;
use wire::kind::request;
use wire::search::{Place, Search, SearchPage};
use wire::timeline::{
    Clear, ConversationSummary, ConversationView, Conversations, ConversationsPage, Cursor, Direction,
    History, HistoryPage, LastMessage, Push, Reader, Readers, ReadersPage, Receipt, Reply, Request, Set,
    SettingsChange, Typing, Typist,
};

pub fn summary() -> impl Strategy<Value = ConversationSummary> {
    let seqs = (seq(), seq(), seq(), seq(), option::of(seq()), option::of(seq()));
    let settings = (any::<bool>(), any::<bool>(), any::<bool>());
    let unread = (0..1u64 << 53, any::<bool>(), 0..1u64 << 53);
    let others = (time(), settings, unread, option::of(message()));
    (conversation(), conversation_kind(), option::of(user()), valid_name(), seqs, others).prop_map(
        |(conversation, kind, peer, name, seqs, (time, settings, unread, last))| ConversationSummary {
            conversation,
            kind,
            peer,
            name,
            last_seq: seqs.0,
            first_seq: seqs.1,
            delivered_seq: seqs.2,
            read_seq: seqs.3,
            time,
            peer_delivered_seq: seqs.4,
            peer_read_seq: seqs.5,
            pinned: settings.0,
            muted: settings.1,
            hidden: settings.2,
            unread: unread.0,
            unread_more: unread.1,
            mentions: unread.2,
            last: last.as_ref().map(|last| Box::new(LastMessage::from(last))),
        },
    )
}

fn cursor() -> impl Strategy<Value = Cursor> {
    (conversation(), seq()).prop_map(|(conversation, seq)| Cursor { conversation, seq })
}

fn place() -> impl Strategy<Value = Place> {
    (time(), conversation(), seq()).prop_map(|(time, conversation, seq)| Place { time, conversation, seq })
}

fn search() -> impl Strategy<Value = Search> {
    let filters = (option::of(conversation()), option::of(user()), option::of(time()), option::of(time()));
    let text = prop_oneof!["[a-z]{1,9} ?[a-z北京]{0,9}", Just("\"x\" OR".to_owned())];
    (text, filters, option::of(place()), 1..=50u32).prop_map(|(text, filters, cursor, limit)| Search {
        text: text.into(),
        conversation: filters.0,
        from: filters.1,
        since: filters.2,
        until: filters.3,
        cursor,
        limit,
    })
}

pub fn requests() -> impl Strategy<Value = Request> {
    let direction = prop_oneof![seq().prop_map(Direction::After), seq().prop_map(Direction::Before)];
    prop_oneof![
        cursor().prop_map(Request::Ack),
        cursor().prop_map(Request::Read),
        (conversation(), direction, rows(), any::<bool>()).prop_map(
            |(conversation, direction, limit, with_changes)| {
                Request::History(History { conversation, direction, limit, with_changes })
            }
        ),
        conversation().prop_map(|conversation| Request::Typing(Typing { conversation })),
        (option::of((time(), conversation())), rows(), any::<bool>()).prop_map(
            |(before, limit, with_last)| Request::Conversations(Conversations { before, limit, with_last })
        ),
        (conversation(), seq(), page()).prop_map(|(conversation, seq, page)| Request::Readers(Readers {
            conversation,
            seq,
            page
        })),
        (conversation(), [option::of(any::<bool>()), option::of(any::<bool>()), option::of(any::<bool>())])
            .prop_map(|(conversation, [pinned, muted, hidden])| {
                Request::Set(Set { conversation, change: SettingsChange { pinned, muted, hidden } })
            }),
        (conversation(), seq()).prop_map(|(conversation, upto)| Request::Clear(Clear { conversation, upto })),
        search().prop_map(|search| Request::Search(Box::new(search))),
    ]
}

pub fn replies() -> impl Strategy<Value = (u16, Reply)> {
    let reader = (user(), valid_name()).prop_map(|(id, name)| Reader { id, name });
    prop_oneof![
        (vec(message().prop_map(Arc::new), 0..4), more(), seq()).prop_map(|(messages, more, first_seq)| {
            (request::HISTORY, Reply::History(Box::new(HistoryPage { messages, more, first_seq })))
        }),
        (vec(summary(), 0..4), more()).prop_map(|(conversations, more)| {
            let page = ConversationsPage { conversations, more };
            (request::CONVERSATIONS, Reply::Conversations(Box::new(page)))
        }),
        (vec(reader, 0..4), any::<u32>(), any::<u32>(), more()).prop_map(|(readers, count, of, more)| {
            (request::READERS, Reply::Readers(Box::new(ReadersPage { readers, count, of, more })))
        }),
        (vec(message().prop_map(Arc::new), 0..4), option::of(place()), time()).prop_map(
            |(messages, cursor, indexed_to)| {
                let cursor = cursor.map(|place| place.to_string().into());
                (request::SEARCH, Reply::Results(Box::new(SearchPage { messages, cursor, indexed_to })))
            }
        ),
    ]
}

pub fn pushes() -> impl Strategy<Value = Push> {
    let receipt = || {
        (conversation(), user(), seq()).prop_map(|(conversation, id, seq)| Receipt { conversation, id, seq })
    };
    let typist = (conversation(), user()).prop_map(|(conversation, id)| Typist { conversation, id });
    prop_oneof![
        receipt().prop_map(Push::ReadReceipt),
        receipt().prop_map(Push::Delivered),
        typist.prop_map(Push::Typing),
        view().prop_map(|view| Push::Conversation(Box::new(view))),
    ]
}

fn view() -> impl Strategy<Value = ConversationView> {
    let settings = (any::<bool>(), any::<bool>(), any::<bool>());
    let unread = (0..1u64 << 53, any::<bool>(), 0..1u64 << 53);
    (conversation(), [seq(), seq(), seq()], unread, settings).prop_map(
        |(conversation, [read_seq, first_seq, last_seq], unread, settings)| ConversationView {
            conversation,
            read_seq,
            first_seq,
            last_seq,
            unread: unread.0,
            unread_more: unread.1,
            mentions: unread.2,
            pinned: settings.0,
            muted: settings.1,
            hidden: settings.2,
        },
    )
}
