//! Strategies for presence.

use super::fields::{text, time, user};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use wire::limits::PRESENCE_TEXT_CHARS;
use wire::presence::{Presence, PresenceChange, Push, Request, SessionState, SetPresence};

pub fn presence() -> impl Strategy<Value = Presence> {
    select(vec![Presence::Online, Presence::Away, Presence::Offline])
}

pub fn requests() -> impl Strategy<Value = Request> {
    // An empty text is none.
    let text = option::of(text(PRESENCE_TEXT_CHARS)).prop_map(|text| text.filter(|text| !text.is_empty()));
    (select(vec![SessionState::Online, SessionState::Away]), text)
        .prop_map(|(state, text)| Request::Set(SetPresence { state, text }))
}

pub fn pushes() -> impl Strategy<Value = Push> {
    (user(), presence(), option::of(text(PRESENCE_TEXT_CHARS)), option::of(time())).prop_map(
        |(id, state, text, last_seen)| Push::Changed(Box::new(PresenceChange { id, state, text, last_seen })),
    )
}
