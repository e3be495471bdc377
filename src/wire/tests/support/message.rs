//! Strategies for messages.

use super::change::reaction;
use super::fields::{bytes, conversation, seq, text, time, user, valid_name};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::borrow::Cow;
use std::sync::Arc;
use wire::change::{Change, ChangeKind, Changes, REACTION, Reaction};
use wire::entry::{Event, SYSTEM, System, is_reserved};
use wire::kind::request;
use wire::message::{
    ConversationKind, Extra, Message, Push, Reply, Request, Send, Sent, TEXT, Target, server_cid,
};
use wire::{Mentions, References, characters, limits};

pub fn cid() -> impl Strategy<Value = Box<str>> {
    let own = bytes(1, limits::CID_BYTES).prop_filter("made by the server", |cid| !cid.starts_with('\0'));
    prop_oneof![own, any::<(u64, u64)>().prop_map(|(boot, count)| server_cid(boot, count))]
}

fn content_type() -> impl Strategy<Value = Cow<'static, str>> {
    let other = bytes(1, limits::TYPE_BYTES)
        .prop_filter("hidden characters", |text| !text.chars().any(characters::is_hidden))
        .prop_filter("types of the server's entries", |text| !is_reserved(text))
        .prop_map(|text| Cow::Owned(text.into_string()));
    prop_oneof![Just(Cow::Borrowed(TEXT)), other]
}

pub fn conversation_kind() -> impl Strategy<Value = ConversationKind> {
    select(vec![ConversationKind::Direct, ConversationKind::Group])
}

fn references() -> impl Strategy<Value = References> {
    let users = vec(user(), 1..=limits::MENTIONS).prop_map(|mut users| {
        users.sort_unstable();
        users.dedup();
        Mentions::Users(users.into())
    });
    let mentions = prop_oneof![Just(Mentions::Nobody), Just(Mentions::All), users];
    (option::of(seq()), mentions).prop_map(|(reply_to, mentions)| References { reply_to, mentions })
}

/// References that are not empty.
fn some_references() -> impl Strategy<Value = References> {
    references().prop_filter("refers to nothing", |references| !references.is_empty())
}

fn system() -> impl Strategy<Value = Box<Extra>> {
    let event = select(vec![
        Event::Created,
        Event::Joined,
        Event::Left,
        Event::Removed,
        Event::Role,
        Event::Transferred,
        Event::Other("unheard of".into()),
    ]);
    (event, vec(user(), 1..4), user(), option::of(text(20)))
        .prop_map(|(event, who, by, value)| System { event, who: who.into(), by, value }.into())
}

fn change() -> impl Strategy<Value = Box<Extra>> {
    (seq(), any::<bool>()).prop_map(|(of, on)| Change { of, kind: ChangeKind::Reaction { on } }.into())
}

fn changes() -> impl Strategy<Value = Box<Extra>> {
    let kind = (reaction(), any::<u32>(), any::<bool>(), vec(user(), 0..4))
        .prop_map(|(reaction, count, mine, ids)| Reaction { reaction, count, mine, ids });
    (seq(), option::of(time()), option::of(time()), vec(kind, 0..3)).prop_map(
        |(changed, edited, recalled, reactions)| {
            let changes = Changes { changed, edited, recalled, reactions };
            Box::new(Extra { changes: Some(changes), ..Extra::default() })
        },
    )
}

/// A message, or an entry that tells what happened or was changed.
pub fn message() -> impl Strategy<Value = Message> {
    let references = some_references().prop_map(Into::into);
    let of_user = (content_type(), option::of(cid()), option::of(prop_oneof![references, changes()]));
    let of_server = (Just(SYSTEM.into()), Just(None), system().prop_map(Some));
    let of_change = (Just(REACTION.into()), option::of(cid()), change().prop_map(Some));
    let place = (conversation(), conversation_kind(), seq(), time());
    (place, user(), valid_name(), bytes(1, 300), prop_oneof![of_user, of_server, of_change]).prop_map(
        |((conversation, kind, seq, time), from, name, content, (content_type, cid, extra))| Message {
            conversation,
            kind,
            seq,
            from,
            name: name.into(),
            content_type,
            content,
            time,
            cid,
            extra,
        },
    )
}

pub fn requests() -> impl Strategy<Value = Request> {
    let target = prop_oneof![
        user().prop_map(Target::User),
        text(limits::NAME_SOUGHT_CHARS).prop_map(Target::Name),
        conversation().prop_map(Target::Conversation),
        conversation().prop_map(Target::Group),
    ];
    let references = option::of(some_references().prop_map(Box::new));
    (target, bytes(1, 300), content_type(), option::of(cid()), references).prop_map(
        |(target, content, content_type, cid, references)| {
            let content_type = (content_type != TEXT).then(|| content_type.into_owned().into());
            Request::Send(Send { target, content, content_type, cid, references })
        },
    )
}

pub fn replies() -> impl Strategy<Value = (u16, Reply)> {
    (conversation(), seq(), time(), any::<bool>()).prop_map(|(conversation, seq, time, duplicate)| {
        (request::SEND, Reply::Sent(Sent { conversation, seq, time, duplicate }))
    })
}

pub fn pushes() -> impl Strategy<Value = Push> {
    message().prop_map(|message| Push::New(Arc::new(message)))
}
