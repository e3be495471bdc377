//! Strategies for accounts.

use super::contact::note;
use super::fields::{bytes, new_user_name, text, time, user, valid_name};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use wire::account::{
    ChangePassword, Find, FoundUser, FoundUsers, Profile, Register, Registered, Relation, Reply, Request, Who,
};
use wire::kind::request;
use wire::limits;

pub fn who() -> impl Strategy<Value = Who> {
    prop_oneof![user().prop_map(Who::Id), text(limits::NAME_SOUGHT_CHARS).prop_map(Who::Name)]
}

pub fn requests() -> impl Strategy<Value = Request> {
    let password = bytes(limits::PASSWORD_BYTES_MIN, limits::PASSWORD_BYTES_MAX);
    let email = (option::of(bytes(3, limits::EMAIL_BYTES)), option::of(bytes(1, limits::CODE_BYTES)));
    let register = (new_user_name(), password, email, option::of(valid_name())).prop_map(
        |(name, password, (email, code), nick)| {
            Request::Register(Box::new(Register { name, password, email, code, nick }))
        },
    );
    let change = (text(130), bytes(limits::PASSWORD_BYTES_MIN, limits::PASSWORD_BYTES_MAX))
        .prop_map(|(old, new)| Request::ChangePassword(Box::new(ChangePassword { old, new })));
    let find = ("[a-z0-9]{2,20}", 1..=limits::FIND_MAX)
        .prop_map(|(query, limit)| Request::Find(Find { query: query.into(), limit }));
    prop_oneof![register, option::of(who()).prop_map(Request::Profile), change, find]
}

pub fn replies() -> impl Strategy<Value = (u16, Reply)> {
    let relation = select(vec![Relation::Oneself, Relation::Friend, Relation::None]);
    let found = (user(), valid_name(), option::of(valid_name())).prop_map(|(id, name, nick)| FoundUser {
        id,
        name,
        nick,
    });
    prop_oneof![
        (vec(found, 0..4), any::<bool>()).prop_map(|(users, more)| {
            (request::FIND_USERS, Reply::Found(Box::new(FoundUsers { users, more })))
        }),
        (user(), text(40), time()).prop_map(|(id, token, token_expires)| {
            (request::REGISTER, Reply::Registered(Box::new(Registered { id, token, token_expires })))
        }),
        (user(), valid_name(), option::of(valid_name()), time(), relation, note(), note()).prop_map(
            |(id, name, nick, created, relation, remark, tag)| {
                let profile = Profile { id, name, nick, created, relation, remark, tag };
                (request::PROFILE, Reply::Profile(Box::new(profile)))
            }
        ),
    ]
}
