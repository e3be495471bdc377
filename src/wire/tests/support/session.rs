//! Strategies for sessions.

use super::account::who;
use super::contact::friend;
use super::fields::{bytes, number, text, time, user, valid_name};
use super::group::group;
use super::timeline::summary;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use wire::kind::request;
use wire::session::{
    Changed, ClientKind, Credentials, Device, DevicesPage, GoingAway, KickCode, Kicked, Listing, LoggedIn,
    Login, Push, Reply, Request, Revoke,
};
use wire::{DeviceId, limits};

pub fn requests() -> impl Strategy<Value = Request> {
    let credentials = prop_oneof![
        (who(), text(130)).prop_map(|(who, password)| Credentials::Password { who, password }),
        bytes(1, limits::TOKEN_BYTES).prop_map(Credentials::Token),
        // By cookie.
        Just(Credentials::Token("".into())),
    ];
    let known = option::of(bytes(1, limits::TOKEN_BYTES));
    let client = (option::of(bytes(0, limits::DEVICE_BYTES)), option::of(client_kind()), any::<bool>());
    let login = (credentials, client, known).prop_map(|(credentials, (device, kind, with_last), known)| {
        let known = known.filter(|_| matches!(credentials, Credentials::Password { .. }));
        let by_cookie = credentials == Credentials::Token("".into());
        Login { credentials, device, kind, known, with_last, by_cookie }
    });
    prop_oneof![
        2 => login.prop_map(Request::Login),
        1 => Just(Request::Logout),
        1 => Just(Request::Devices),
        1 => device_id().prop_map(|id| Request::Revoke(Revoke::One(id))),
        1 => Just(Request::Revoke(Revoke::Others)),
    ]
}

fn device_id() -> impl Strategy<Value = DeviceId> {
    user().prop_map(|id| DeviceId(id.0))
}

fn device() -> impl Strategy<Value = Device> {
    let client = (bytes(0, limits::DEVICE_BYTES), client_kind(), text(45));
    (device_id(), client, time(), time(), any::<bool>(), any::<bool>()).prop_map(
        |(id, (device, kind, address), created, last_used, current, online)| Device {
            id,
            device,
            kind,
            address,
            created,
            last_used,
            current,
            online,
        },
    )
}

fn kick_code() -> impl Strategy<Value = KickCode> {
    use KickCode::{Admin, Deleted, Disabled, Limit, Login, Other, Password, Revoked};
    select(vec![Login, Revoked, Password, Disabled, Deleted, Admin, Limit, Other])
}

fn client_kind() -> impl Strategy<Value = ClientKind> {
    select(ClientKind::ALL.to_vec())
}

pub fn replies() -> impl Strategy<Value = (u16, Reply)> {
    let devices = vec(device(), 0..4)
        .prop_map(|devices| (request::DEVICES, Reply::Devices(Box::new(DevicesPage { devices }))));
    prop_oneof![2 => logged_in(), 1 => devices]
}

fn logged_in() -> impl Strategy<Value = (u16, Reply)> {
    let account = (user(), valid_name(), option::of(text(40)), time(), text(20), any::<bool>());
    let ids = (option::of(text(32)), option::of(text(32)), option::of(text(32)));
    let lists = (vec(friend(), 0..4), vec(group(), 0..4), vec(summary(), 0..4));
    (account, ids, lists, any::<(bool, bool, bool)>()).prop_map(|(account, ids, lists, more)| {
        let (server, history, http) = ids;
        let (id, name, token, token_expires, node, resumed) = account;
        let (friends, groups, conversations) = lists;
        let (friends_more, groups_more, conversations_more) = more;
        let logged_in = LoggedIn {
            id,
            name,
            token,
            token_expires,
            node,
            server,
            history,
            http,
            resumed,
            friends,
            groups,
            conversations: conversations.into(),
            friends_more,
            groups_more,
            conversations_more,
        };
        (request::LOGIN, Reply::LoggedIn(Box::new(logged_in)))
    })
}

pub fn pushes() -> impl Strategy<Value = Push> {
    let listing = select(vec![Listing::Friends, Listing::Groups, Listing::Conversations]);
    prop_oneof![
        (text(40), option::of(kick_code()), option::of(text(20)), time()).prop_map(
            |(reason, code, device, time)| Push::Kicked(Box::new(Kicked { reason, code, device, time }))
        ),
        Just(Push::Probe),
        (text(40), number(), option::of(text(20))).prop_map(|(reason, retry_after_ms, node)| {
            Push::GoingAway(Box::new(GoingAway { reason, retry_after_ms, node }))
        }),
        vec(listing, 0..4).prop_map(|what| Push::Changed(Box::new(Changed { what }))),
    ]
}
