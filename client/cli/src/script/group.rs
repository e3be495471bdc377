//! Commands about groups and their members.

use super::commands::{Done, at_terminal_only, refused, reply};
use super::output::Outcome;
use super::state::Script;
use crate::command::ambiguity::Ambiguity;
use crate::command::argument::WhichGroup;
use crate::command::group;
use chatclient_core::Failure;
use std::io;
use wire::account::Who;
use wire::group::{GroupsPage, MembersPage};
use wire::{ConversationId, ConversationKind, Reply, name};

impl Script {
    pub(super) fn do_group_command(&mut self, command: group::Command) -> Done {
        match command {
            group::Command::Create { name, desc } => {
                reply(self.ask(|session, now| session.create_group(now, &name, &desc)))
            }
            group::Command::Join { group } => reply(self.ask(|session, now| session.join_group(now, group))),
            group::Command::Members(Some(group)) => match self.group_meant(&group, None)? {
                Ok(group) => self.all_members(group),
                Err(failure) => Ok(Err(failure)),
            },
            group::Command::List => self.all_groups(),
            // A script has nobody to ask.
            group::Command::Leave(Some(group)) => match self.group_meant(&group, None)? {
                Ok(group) => reply(self.ask(|session, now| session.leave_group(now, group))),
                Err(failure) => Ok(Err(failure)),
            },
            group::Command::About { group: Some(group), who, act } => self.act_about(&group, who, act),
            group::Command::Leave(None)
            | group::Command::About { group: None, .. }
            | group::Command::Open(_)
            | group::Command::Members(None) => Ok(Err(at_terminal_only())),
        }
    }

    /// Does something about a member of a group.
    fn act_about(&mut self, group: &WhichGroup, who: Who, act: group::Act) -> Done {
        let group = match self.group_meant(group, None)? {
            Ok(group) => group,
            Err(failure) => return Ok(Err(failure)),
        };
        let id = match self.user_meant(who)? {
            Ok(id) => id,
            Err(failure) => return Ok(Err(failure)),
        };
        reply(self.ask(|session, now| match act {
            group::Act::Remove { bar } => session.remove_member(now, group, id, bar),
            group::Act::SetRole(role) => session.set_role(now, group, id, role),
            group::Act::Transfer => session.transfer_group(now, group, id),
        }))
    }

    fn all_groups(&mut self) -> Done {
        let mut all = GroupsPage { groups: vec![], more: false };
        loop {
            let last = all.groups.last().map_or(0, |group| group.conversation.0);
            match self.ask(|session, now| session.groups(now, last))? {
                Ok(Reply::Group(wire::group::Reply::Groups(page))) => {
                    let more = page.more && !page.groups.is_empty();
                    all.groups.extend(page.groups);
                    if !more {
                        return Ok(Ok(Outcome::Reply(wire::group::Reply::Groups(Box::new(all)).into())));
                    }
                }
                other => return reply(Ok(other)),
            }
        }
    }

    /// The group that is meant; a failure, if there is none, there are several, or it is a direct chat. `typed` is what
    /// follows the command: a group with a colon in its name may be meant.
    pub(super) fn group_meant(
        &mut self,
        group: &WhichGroup,
        typed: Option<&str>,
    ) -> io::Result<Result<ConversationId, Failure>> {
        let wanted = match group {
            WhichGroup::Id(id) => {
                let is_direct =
                    self.conversations.get(id).is_some_and(|row| row.kind == ConversationKind::Direct);
                return Ok(if is_direct {
                    Err(refused(format!("{id} is no group but a direct chat")))
                } else {
                    Ok(*id)
                });
            }
            WhichGroup::Name(wanted) => wanted,
        };
        let groups = match self.all_groups()? {
            Ok(Outcome::Reply(Reply::Group(wire::group::Reply::Groups(page)))) => page.groups,
            Ok(_) => vec![],
            Err(failure) => return Ok(Err(failure)),
        };
        let named = |wanted: &str| {
            let key = name::key(wanted);
            let named = groups.iter().filter(|group| name::key(&group.name) == key);
            named.map(|group| group.conversation).collect::<Vec<_>>()
        };
        let other = typed.and_then(|typed| Ambiguity::find(typed, |name| !named(name).is_empty()));
        if let Some(other) = other {
            return Ok(Err(refused(other.question())));
        }
        Ok(match named(wanted)[..] {
            [id] => Ok(id),
            [] => Err(refused(format!("you are in no group called {wanted}"))),
            ref ids => {
                let ids = ids.iter().map(ConversationId::to_string).collect::<Vec<_>>().join(", ");
                Err(refused(format!(
                    "several of your groups are called {wanted}; write the id of one: {ids}"
                )))
            }
        })
    }

    pub(super) fn all_members(&mut self, conversation: ConversationId) -> Done {
        let mut all = MembersPage { members: vec![], more: false };
        loop {
            let after = all.members.last().map_or(0, |member| member.id.0);
            match self.ask(|session, now| session.members(now, conversation, after))? {
                Ok(Reply::Group(wire::group::Reply::Members(page))) => {
                    let more = page.more && !page.members.is_empty();
                    all.members.extend(page.members);
                    if !more {
                        return Ok(Ok(Outcome::Reply(wire::group::Reply::Members(Box::new(all)).into())));
                    }
                }
                other => return reply(Ok(other)),
            }
        }
    }
}
