//! What the users and groups of the fake server are called.

use std::collections::{BTreeMap, BTreeSet};
use wire::account::{Profile, Relation, Reply as AccountReply, Who};
use wire::{Errno, Refusal, Reply, UnixMillis, UserId};

#[derive(Default)]
pub struct Names {
    /// Users that are not called `user ID`.
    pub users: BTreeMap<u32, &'static str>,
    /// Groups that are not called `group ID`.
    pub groups: BTreeMap<u32, &'static str>,
    /// Names that REGISTER refuses.
    pub taken: BTreeSet<&'static str>,
}

impl Names {
    pub fn user(&self, id: u32) -> Box<str> {
        self.users.get(&id).map_or_else(|| format!("user {id}").into(), |name| (*name).into())
    }

    pub fn group(&self, id: u32) -> Box<str> {
        self.groups.get(&id).map_or_else(|| format!("group {id}").into(), |name| (*name).into())
    }

    /// Everybody has the profile of user 2, and nobody is called `nobody`.
    pub(super) fn profile(who: Option<&Who>) -> Reply {
        if matches!(who, Some(Who::Name(name)) if &**name == "nobody") {
            return Refusal::new(Errno::NotFound, "there is no such user").into();
        }
        let (id, name, nick) = (UserId(2), "li \u{1b}si".into(), Some("Li".into()));
        let (created, relation) = (UnixMillis(1_700_000_000_000), Relation::Friend);
        AccountReply::Profile(Box::new(Profile {
            id,
            name,
            nick,
            created,
            relation,
            remark: None,
            tag: None,
        }))
        .into()
    }
}
