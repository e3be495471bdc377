//! Who may change the members of a group, and their roles.

use crate::contract::group::{Change, Refused, What};
use wire::group::Role;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The change is to be made.
    Make,
    /// The group is already as asked for.
    IsDone,
    /// Whoever has left is to be barred, of which no entry tells.
    Bar,
}

/// What decides whether a member may make a change, as storage finds it.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The actor's role.
    pub role: Role,
    /// The role of the user concerned; `None`: it is no member.
    pub target: Option<Role>,
    /// Whether the user concerned was a member and is not any more.
    pub has_left: bool,
    /// How many members the group has.
    pub members: usize,
}

/// Whether a member may make a change. Who may not is not told who is a member.
pub fn change(change: &Change, asked: Asked) -> Result<Step, Refused> {
    let Asked { role, target, has_left, members } = asked;
    let needed = match change.what {
        What::Leave if role == Role::Creator && members > 1 => return Err(Refused::IsCreator),
        What::Leave => return Ok(Step::Make),
        What::Remove { .. } => Role::Admin,
        What::SetRole { .. } | What::Transfer { .. } => Role::Creator,
    };
    match needed {
        Role::Creator if role != Role::Creator => return Err(Refused::NotCreator),
        _ if role == Role::Normal => return Err(Refused::NotAbove),
        _ if change.target() == Some(change.by.user) => return Err(Refused::Oneself),
        _ => {}
    }
    // Leaving before one is barred does not help.
    if has_left && matches!(change.what, What::Remove { bar: true, .. }) {
        return Ok(Step::Bar);
    }
    match (change.what, target.ok_or(Refused::NoMember)?) {
        (What::Remove { .. }, target) if !role.is_above(target) => Err(Refused::NotAbove),
        (What::SetRole { role, .. }, target) if target == role => Ok(Step::IsDone),
        _ => Ok(Step::Make),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::entry::Actor;
    use Role::{Admin, Creator, Normal};
    use wire::{ConversationId, UserId};

    const ME: UserId = UserId(1);
    const OTHER: UserId = UserId(2);

    fn ask(what: What, role: Role, target: Option<Role>, members: usize) -> Result<Step, Refused> {
        let by = Actor { user: ME, name: "ann".into(), cid: "c".into() };
        let asked = Asked { role, target, has_left: false, members };
        change(&Change { by, conversation: ConversationId(1), what }, asked)
    }

    #[test]
    fn everybody_leaves_and_the_creator_only_as_the_last() {
        for role in [Normal, Admin] {
            assert_eq!(ask(What::Leave, role, None, 2), Ok(Step::Make));
        }
        assert_eq!(ask(What::Leave, Creator, None, 2), Err(Refused::IsCreator));
        assert_eq!(ask(What::Leave, Creator, None, 1), Ok(Step::Make));
    }

    #[test]
    fn admins_remove_normal_members_and_the_creator_removes_all_others() {
        let remove = |user| What::Remove { user, bar: false };
        for (role, target, expected) in [
            (Normal, Some(Normal), Err(Refused::NotAbove)),
            (Normal, None, Err(Refused::NotAbove)),
            (Admin, Some(Normal), Ok(Step::Make)),
            (Admin, Some(Admin), Err(Refused::NotAbove)),
            (Admin, Some(Creator), Err(Refused::NotAbove)),
            (Admin, None, Err(Refused::NoMember)),
            (Creator, Some(Normal), Ok(Step::Make)),
            (Creator, Some(Admin), Ok(Step::Make)),
            (Creator, None, Err(Refused::NoMember)),
        ] {
            assert_eq!(ask(remove(OTHER), role, target, 3), expected, "{role:?} {target:?}");
        }
        assert_eq!(ask(remove(ME), Admin, Some(Admin), 3), Err(Refused::Oneself));
        assert_eq!(ask(remove(ME), Creator, Some(Creator), 3), Err(Refused::Oneself));
    }

    #[test]
    fn whoever_has_left_can_be_barred_by_those_who_could_have_removed_it() {
        let ask = |what, role| {
            let by = Actor { user: ME, name: "ann".into(), cid: "c".into() };
            let asked = Asked { role, target: None, has_left: true, members: 3 };
            change(&Change { by, conversation: ConversationId(1), what }, asked)
        };
        let remove = |user, bar| What::Remove { user, bar };
        assert_eq!(ask(remove(OTHER, true), Normal), Err(Refused::NotAbove));
        for role in [Admin, Creator] {
            assert_eq!(ask(remove(OTHER, true), role), Ok(Step::Bar));
            assert_eq!(ask(remove(OTHER, false), role), Err(Refused::NoMember));
        }
        assert_eq!(ask(What::Transfer { user: OTHER }, Creator), Err(Refused::NoMember));
    }

    #[test]
    fn only_the_creator_sets_roles_and_hands_the_group_over() {
        let set = |user, role| What::SetRole { user, role };
        for role in [Normal, Admin] {
            assert_eq!(ask(set(OTHER, Admin), role, Some(Normal), 3), Err(Refused::NotCreator));
            assert_eq!(ask(What::Transfer { user: OTHER }, role, None, 3), Err(Refused::NotCreator));
        }
        assert_eq!(ask(set(OTHER, Admin), Creator, Some(Normal), 3), Ok(Step::Make));
        assert_eq!(ask(set(OTHER, Admin), Creator, Some(Admin), 3), Ok(Step::IsDone));
        assert_eq!(ask(set(OTHER, Normal), Creator, Some(Admin), 3), Ok(Step::Make));
        assert_eq!(ask(set(OTHER, Normal), Creator, None, 3), Err(Refused::NoMember));
        assert_eq!(ask(set(ME, Normal), Creator, Some(Creator), 3), Err(Refused::Oneself));
        assert_eq!(ask(What::Transfer { user: OTHER }, Creator, Some(Normal), 3), Ok(Step::Make));
        assert_eq!(ask(What::Transfer { user: ME }, Creator, Some(Creator), 3), Err(Refused::Oneself));
    }
}
