//! Strategies for changes of entries.

use super::fields::{bytes, conversation, seq, time};
use super::message::cid;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use wire::change::{Changed, Edit, React, Recall, Reply, Request};
use wire::kind::request;

pub fn reaction() -> impl Strategy<Value = Box<str>> {
    select(vec!["👍", "❤\u{FE0F}", "👩\u{200D}👩\u{200D}👧", "x", "赞"]).prop_map(Box::from)
}

pub fn requests() -> impl Strategy<Value = Request> {
    let of = || (conversation(), seq(), option::of(cid()));
    prop_oneof![
        (of(), reaction(), any::<bool>()).prop_map(|((conversation, seq, cid), reaction, on)| {
            Request::React(React { conversation, seq, reaction, on, cid })
        }),
        (of(), bytes(1, 300)).prop_map(|((conversation, seq, cid), content)| {
            Request::Edit(Edit { conversation, seq, content, cid })
        }),
        of().prop_map(|(conversation, seq, cid)| Request::Recall(Recall { conversation, seq, cid })),
    ]
}

pub fn replies() -> impl Strategy<Value = (u16, Reply)> {
    (seq(), time(), 0..3).prop_map(|(seq, time, verb)| {
        let changed = Box::new(Changed { seq, time });
        match verb {
            0 => (request::EDIT, Reply::Edited(changed)),
            1 => (request::RECALL, Reply::Recalled(changed)),
            _ => (request::REACT, Reply::Reacted(changed)),
        }
    })
}
