//! Strategies for groups.

use super::fields::{conversation, more, page, text, user, valid_name};
use super::presence::presence;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use wire::group::{
    Create, Created, Group, GroupsPage, Join, JoinState, Joined, Leave, Member, Members, MembersPage, Remove,
    Reply, Request, Role, SetRole, Transfer,
};
use wire::kind::request;
use wire::limits;

fn role() -> impl Strategy<Value = Role> {
    select(vec![Role::Creator, Role::Admin, Role::Normal])
}

pub fn group() -> impl Strategy<Value = Group> {
    (conversation(), valid_name(), text(40), role()).prop_map(|(conversation, name, desc, role)| Group {
        conversation,
        name,
        desc,
        role,
    })
}

pub fn requests() -> impl Strategy<Value = Request> {
    prop_oneof![
        (valid_name(), text(limits::GROUP_DESC_CHARS))
            .prop_map(|(name, desc)| Request::Create(Create { name, desc })),
        conversation().prop_map(|conversation| Request::Join(Join { conversation })),
        (conversation(), page())
            .prop_map(|(conversation, page)| Request::Members(Members { conversation, page })),
        page().prop_map(Request::Groups),
        conversation().prop_map(|conversation| Request::Leave(Leave { conversation })),
        (conversation(), user(), any::<bool>()).prop_map(|(conversation, id, bar)| Request::Remove(Remove {
            conversation,
            id,
            bar
        })),
        (conversation(), user(), select(vec![Role::Admin, Role::Normal]))
            .prop_map(|(conversation, id, role)| Request::SetRole(SetRole { conversation, id, role })),
        (conversation(), user())
            .prop_map(|(conversation, id)| Request::Transfer(Transfer { conversation, id })),
    ]
}

pub fn replies() -> impl Strategy<Value = (u16, Reply)> {
    let member = (user(), valid_name(), presence(), role()).prop_map(|(id, name, state, role)| Member {
        id,
        name,
        state,
        role,
    });
    prop_oneof![
        conversation()
            .prop_map(|conversation| (request::CREATE_GROUP, Reply::Created(Created { conversation }))),
        select(vec![JoinState::Joined, JoinState::Requested])
            .prop_map(|state| (request::JOIN_GROUP, Reply::Joined(Joined { state }))),
        (vec(member, 0..4), more()).prop_map(|(members, more)| {
            (request::MEMBERS, Reply::Members(Box::new(MembersPage { members, more })))
        }),
        (vec(group(), 0..4), more()).prop_map(|(groups, more)| {
            (request::GROUPS, Reply::Groups(Box::new(GroupsPage { groups, more })))
        }),
    ]
}
