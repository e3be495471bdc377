//! Strategies for the fields that several nouns share.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use wire::{ConversationId, Page, Seq, UnixMillis, UserId, limits, name};

/// Text of at most `characters`: ASCII, characters that JSON escapes, and the limits of Unicode.
pub fn text(characters: usize) -> impl Strategy<Value = Box<str>> {
    let odd = select("\0\"\\/\n\u{7f}\u{2028}\u{d7ff}\u{e000}\u{10ffff}张".chars().collect::<Vec<_>>());
    let character = prop_oneof![4 => prop::char::range(' ', '~'), 2 => odd, 1 => any::<char>()];
    vec(character, 0..=characters).prop_map(|characters| characters.into_iter().collect::<String>().into())
}

/// Text of `min` to `max` bytes.
pub fn bytes(min: usize, max: usize) -> impl Strategy<Value = Box<str>> {
    text(max).prop_filter("length", move |text| (min..=max).contains(&text.len()))
}

pub fn valid_name() -> impl Strategy<Value = Box<str>> {
    text(12).prop_filter("a valid name", |text| name::check("name", text, limits::NAME_CHARS).is_ok())
}

pub fn new_user_name() -> impl Strategy<Value = Box<str>> {
    text(12).prop_filter("a name for a new user", |text| name::check_new_user(text).is_ok())
}

pub fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..100u64, 0..=limits::INTEGER_MAX, Just(limits::INTEGER_MAX)]
}

pub fn id() -> impl Strategy<Value = u32> {
    number().prop_map(|number| number.min(limits::ID_MAX) as u32)
}

pub fn user() -> impl Strategy<Value = UserId> {
    id().prop_map(UserId)
}

pub fn conversation() -> impl Strategy<Value = ConversationId> {
    id().prop_map(ConversationId)
}

pub fn seq() -> impl Strategy<Value = Seq> {
    number().prop_map(Seq)
}

pub fn time() -> impl Strategy<Value = UnixMillis> {
    number().prop_map(UnixMillis)
}

pub fn rows() -> impl Strategy<Value = u32> {
    1..=limits::PAGE_MAX
}

pub fn page() -> impl Strategy<Value = Page> {
    (id(), rows()).prop_map(|(after, limit)| Page { after, limit })
}

pub fn more() -> impl Strategy<Value = bool> {
    any::<bool>()
}
