//! Strategies for presence.

use super::fields::user;
use proptest::prelude::*;
use proptest::sample::select;
use wire::presence::{Presence, PresenceChange, Push};

pub fn presence() -> impl Strategy<Value = Presence> {
    select(vec![Presence::Online, Presence::Offline])
}

pub fn pushes() -> impl Strategy<Value = Push> {
    (user(), presence()).prop_map(|(id, state)| Push::Changed(PresenceChange { id, state }))
}
