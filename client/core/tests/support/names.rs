//! What the users and groups of the fake server are called.

use std::collections::{BTreeMap, BTreeSet};

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
}
