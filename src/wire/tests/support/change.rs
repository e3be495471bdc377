//! Strategies for changes of entries.

use super::fields::{conversation, seq, time};
use super::message::cid;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use wire::change::{Changed, React, Reply, Request};
use wire::kind::request;

pub fn reaction() -> impl Strategy<Value = Box<str>> {
    select(vec!["👍", "❤\u{FE0F}", "👩\u{200D}👩\u{200D}👧", "x", "赞"]).prop_map(Box::from)
}

pub fn requests() -> impl Strategy<Value = Request> {
    (conversation(), seq(), reaction(), any::<bool>(), option::of(cid())).prop_map(
        |(conversation, seq, reaction, on, cid)| {
            Request::React(React { conversation, seq, reaction, on, cid })
        },
    )
}

pub fn replies() -> impl Strategy<Value = (u16, Reply)> {
    (seq(), time()).prop_map(|(seq, time)| (request::REACT, Reply::Changed(Changed { seq, time })))
}
