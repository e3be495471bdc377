//! Strategies for contacts.

use super::account::who;
use super::fields::{more, page, text, time, user, valid_name};
use super::presence::presence;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use wire::contact::{
    Add, Added, Answer, Friend, FriendChange, FriendEvent, FriendRequest, FriendState, FriendsPage, Push,
    Remove, Reply, Request, Set,
};
use wire::kind::request;
use wire::limits;

fn message() -> impl Strategy<Value = Option<Box<str>>> {
    option::of(text(limits::FRIEND_MESSAGE_CHARS))
}

pub fn friend() -> impl Strategy<Value = Friend> {
    let details = (option::of(text(limits::PRESENCE_TEXT_CHARS)), option::of(time()));
    (user(), valid_name(), presence(), details, note(), note()).prop_map(
        |(id, name, state, (text, last_seen), remark, tag)| Friend {
            id,
            name,
            state,
            text,
            last_seen,
            remark,
            tag,
        },
    )
}

/// A remark or a tag.
pub fn note() -> impl Strategy<Value = Option<Box<str>>> {
    option::of(text(limits::FRIEND_NOTE_CHARS).prop_map(|text| text.replace(char::is_control, " ").into()))
}

pub fn requests() -> impl Strategy<Value = Request> {
    prop_oneof![
        (who(), message()).prop_map(|(who, message)| Request::Add(Add { who, message })),
        (user(), any::<bool>(), message()).prop_map(|(id, accept, message)| Request::Answer(Answer {
            id,
            accept,
            message
        })),
        page().prop_map(Request::Friends),
        user().prop_map(|id| Request::Remove(Remove { id })),
        (user(), note(), note())
            .prop_filter("one is needed", |(_, remark, tag)| remark.is_some() || tag.is_some())
            .prop_map(|(id, remark, tag)| Request::Set(Set { id, remark, tag })),
    ]
}

pub fn replies() -> impl Strategy<Value = (u16, Reply)> {
    let friend_request = (user(), valid_name(), text(40), time())
        .prop_map(|(id, name, message, time)| FriendRequest { id, name, message, time });
    prop_oneof![
        select(vec![FriendState::Requested, FriendState::Friends])
            .prop_map(|state| (request::ADD_FRIEND, Reply::Added(Added { state }))),
        (vec(friend(), 0..4), vec(friend_request, 0..4), more()).prop_map(|(friends, requests, more)| {
            (request::FRIENDS, Reply::Friends(Box::new(FriendsPage { friends, requests, more })))
        }),
    ]
}

pub fn pushes() -> impl Strategy<Value = Push> {
    let event = select(vec![
        FriendEvent::Requested,
        FriendEvent::Accepted,
        FriendEvent::Refused,
        FriendEvent::Removed,
    ]);
    (user(), valid_name(), event, option::of(text(40))).prop_map(|(id, name, event, message)| {
        Push::Friend(Box::new(FriendChange { id, name, event, message }))
    })
}
