//! [`LookAlikes`]: names that a reader cannot tell apart, of which an id must stand beside each.
//!
//! New names must not look like one that is taken, but accounts of earlier versions may have such names.

use std::collections::{BTreeSet, HashMap};
use wire::{UserId, name};

/// The names that were met, by what they look like. Names stay when they are not used any more: an id too many does no
/// harm.
#[derive(Debug, Default)]
pub struct LookAlikes {
    /// Whose names have a confusable skeleton.
    users: HashMap<String, BTreeSet<UserId>>,
    /// Names of which the skeletons are known.
    met: HashMap<UserId, String>,
}

impl LookAlikes {
    pub fn meet(&mut self, id: UserId, name: &str) {
        if name.is_empty() || self.met.get(&id).is_some_and(|met| met == name) {
            return;
        }
        for skeleton in name::skeletons(name) {
            self.users.entry(skeleton).or_default().insert(id);
        }
        self.met.insert(id, name.to_owned());
    }

    /// The last name of a user who was met.
    pub fn name(&self, id: UserId) -> Option<&str> {
        self.met.get(&id).map(String::as_str)
    }

    /// Whether a name can be taken for another user's, or for a name with an id behind it: `ann (2)`.
    pub fn needs_id(&self, id: UserId, name: &str) -> bool {
        let is_other = |skeleton: &String| {
            self.users.get(skeleton).is_some_and(|users| users.iter().any(|user| *user != id))
        };
        name.ends_with(')') || name::skeletons(name).iter().any(is_other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_need_their_ids() {
        let mut names = LookAlikes::default();
        for (id, name) in [(1, "сосо"), (2, "ann"), (3, "coco"), (4, "ΒΟΒ"), (5, "user1"), (6, "userl")]
        {
            names.meet(UserId(id), name);
        }
        for (id, name) in [(1, "сосо"), (3, "COCO"), (7, "bob"), (5, "user1"), (8, "ann (2)")] {
            assert!(names.needs_id(UserId(id), name), "{name}");
        }
        for (id, name) in [(2, "ann"), (4, "ΒΟΒ"), (9, "zoe")] {
            assert!(!names.needs_id(UserId(id), name), "{name}");
        }
    }
}
