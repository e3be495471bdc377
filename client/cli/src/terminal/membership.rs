//! Who is a member of a group, and in which role: `/leave`, `/kick`, `/ban`, `/role`, `/transfer`, and what entries tell of
//! it.

use super::state::{Question, Terminal};
use crate::command::argument::WhichGroup;
use crate::command::group::Act;
use wire::account::Who;
use wire::entry::Event;
use wire::group::Role;
use wire::{ConversationId, Message, UserId};

impl Terminal {
    pub(super) fn ask_to_leave(&mut self, group: Option<&WhichGroup>) {
        let Some(group) = self.group_or_open(group, "/leave GROUP") else { return };
        self.question = Some(Question::LeaveGroup(group));
        let label = self.directory.group(group);
        self.say(&format!(
            "you will get no more messages of {label} and read none of it any more; type yes to leave it"
        ));
    }

    pub(super) fn leave_group(&mut self, group: ConversationId) {
        self.ask(
            "/leave",
            |session, now| session.leave_group(now, group),
            Some,
            // The entry that tells of it says so.
            |_, _| {},
        );
    }

    pub(super) fn ask_about(&mut self, group: Option<&WhichGroup>, who: Who, act: Act) {
        let form = format!("{} GROUP:WHO", act.command());
        let Some(group) = self.group_or_open(group, &form) else { return };
        self.with_id(act.command(), who, move |terminal, id, label| terminal.confirm(group, id, label, act));
    }

    /// Asks before what cannot be taken back by the same user.
    fn confirm(&mut self, group: ConversationId, id: UserId, who: &str, act: Act) {
        let label = self.directory.group(group);
        let what = match act {
            Act::SetRole(role) => {
                // Of a role that was set already no entry tells.
                let done = format!("{who} is {} in {label}", role_word(role));
                return self.act_about(group, id, act, Some(done));
            }
            Act::Remove { bar: false } => format!("this removes {who} from {label}"),
            Act::Remove { bar: true } => format!("this removes {who} from {label} for good"),
            Act::Transfer => format!("this makes {who} the creator of {label}, and you an admin"),
        };
        self.question = Some(Question::About { group, id, act });
        self.say(&format!("{what}; type yes to go on"));
    }

    /// Does something about a member, and says so in the words of `done` where no entry tells of it.
    pub(super) fn act_about(&mut self, group: ConversationId, id: UserId, act: Act, done: Option<String>) {
        self.ask(
            act.command(),
            |session, now| match act {
                Act::Remove { bar } => session.remove_member(now, group, id, bar),
                Act::SetRole(role) => session.set_role(now, group, id, role),
                Act::Transfer => session.transfer_group(now, group, id),
            },
            Some,
            move |terminal, _| done.into_iter().for_each(|done| terminal.say(&done)),
        );
    }

    /// Keeps the groups and their members as an entry tells.
    pub(super) fn learn_membership(&mut self, entry: &Message) {
        let Some(system) = entry.system() else { return };
        let (group, me) = (entry.conversation, self.directory.me);
        if system.removes_members()
            && let Some(members) = self.members.get_mut(&group)
        {
            system.who.iter().for_each(|user| {
                members.remove(user);
            });
            self.publish_members();
        }
        let role = match (&system.event, system.value.as_deref()) {
            (Event::Role, Some("admin")) => Some(Role::Admin),
            (Event::Role, _) => Some(Role::Normal),
            (Event::Transferred, _) if system.by == me => Some(Role::Admin),
            (Event::Transferred, _) => Some(Role::Creator),
            _ => None,
        };
        let is_mine = system.who.contains(&me) || (system.event == Event::Transferred && system.by == me);
        if let (Some(role), true) = (role, is_mine)
            && let Some(known) = self.directory.groups.get_mut(&group)
        {
            known.role = role;
        }
        if entry.ends_view_of(me) {
            self.members.remove(&group);
            self.publish_members();
            if self.is_open(group) {
                let label = self.directory.group(group);
                self.open(None);
                self.say(&format!("{label} is closed: you are no member any more"));
            }
            // What is typed before the list comes finds no group that was left.
            self.directory.groups.remove(&group);
            self.ask_groups(false);
        } else if entry.begins_view_of(me) && !self.directory.groups.contains_key(&group) {
            self.ask_groups(false);
        }
    }
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Creator => "the creator",
        Role::Admin => "an admin",
        Role::Normal => "a normal member",
    }
}
