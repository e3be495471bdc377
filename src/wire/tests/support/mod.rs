//! Strategies for every value of the protocol, one file a noun.

#![allow(dead_code, reason = "each test file uses some strategies")]

mod account;
mod change;
mod contact;
mod fields;
mod group;
mod message;
mod node;
mod presence;
mod session;
mod timeline;

pub use fields::text;

use fields::{number, time};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::borrow::Cow;
use wire::kind::request;
use wire::{Command, Errno, Push, Refusal, Reply};

/// Every type of request with a JSON value, and one that the protocol does not have.
pub fn kinds() -> Vec<u16> {
    let all = wire::kind::REQUESTS.iter().copied().flatten().map(|&(kind, _)| kind);
    all.filter(|&kind| kind != request::HEARTBEAT).chain([99]).collect()
}

/// The values of each noun as values of the sum of all nouns.
fn sum<T: Into<S>, S: std::fmt::Debug>(values: impl Strategy<Value = T>) -> impl Strategy<Value = S> {
    values.prop_map(Into::into)
}

pub fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        4 => sum(message::requests()),
        2 => sum(change::requests()),
        4 => sum(timeline::requests()),
        3 => sum(session::requests()),
        2 => sum(account::requests()),
        3 => sum(contact::requests()),
        4 => sum(group::requests()),
        1 => sum(presence::requests()),
        1 => sum(node::requests()),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    let errno = select(Errno::ALL.iter().copied().filter(|errno| *errno != Errno::Ok).collect::<Vec<_>>());
    let (cid, field, limit) = (option::of(message::cid()), option::of(text(20)), option::of(text(30)));
    let parts = (errno, text(60), option::of(number()), cid, field, limit, option::of(time()));
    parts.prop_map(|(errno, errmsg, retry_after_ms, cid, field, limit, until)| Refusal {
        errno,
        errmsg: Cow::Owned(errmsg.into_string()),
        retry_after_ms,
        cid,
        field: field.map(|field| Cow::Owned(field.into_string())),
        limit,
        until,
    })
}

/// The values of a noun as replies, each with the type of its request.
fn replies<R: Into<Reply>>(values: impl Strategy<Value = (u16, R)>) -> impl Strategy<Value = (u16, Reply)> {
    values.prop_map(|(kind, reply)| (kind, reply.into()))
}

/// Any reply, with the type of a request that it may answer.
pub fn reply() -> impl Strategy<Value = (u16, Reply)> {
    let is_done = |kind: &u16| Reply::decode(*kind, br#"{"errno":0}"#) == Ok(Reply::Done);
    let without_fields: Vec<u16> = kinds().into_iter().filter(is_done).collect();
    prop_oneof![
        2 => select(without_fields).prop_map(|kind| (kind, Reply::Done)),
        1 => replies(message::replies()),
        1 => replies(change::replies()),
        2 => replies(timeline::replies()),
        1 => replies(session::replies()),
        1 => replies(account::replies()),
        2 => replies(contact::replies()),
        3 => replies(group::replies()),
        1 => replies(node::replies()),
        2 => (select(kinds()), refusal()).prop_map(|(kind, refusal)| (kind, refusal.into())),
    ]
}

pub fn push() -> impl Strategy<Value = Push> {
    prop_oneof![
        1 => sum(message::pushes()),
        2 => sum(timeline::pushes()),
        1 => sum(presence::pushes()),
        1 => sum(contact::pushes()),
        4 => sum(session::pushes()),
        1 => refusal().prop_map(|refusal| Push::Error(Box::new(refusal))),
    ]
}
