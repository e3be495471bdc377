//! Groups: creating, joining, opening and listing them and their members.

use super::state::Terminal;
use crate::command::argument::{self, WhichGroup, some};
use crate::command::group::Command;
use crate::display::list;
use chatclient_core::Failure;
use wire::group::{self, Group, GroupsPage, Member, MembersPage, Role};
use wire::{ConversationId, Errno, Reply, Target};

impl Terminal {
    pub(super) fn do_group_command(&mut self, command: Command) {
        match command {
            Command::Create { name, desc } => self.create_group(name, desc),
            Command::Join { group } => match self.directory.group_meant(&WhichGroup::Id(group)) {
                Ok(group) => self.ask(
                    "addgroup",
                    |session, now| session.join_group(now, group),
                    Some,
                    move |terminal, _| terminal.handle_joined(group),
                ),
                Err(sentence) => self.say(&sentence),
            },
            Command::Open(rest) => self.join_and_open(&rest),
            Command::Members(group) => self.members(group.as_ref()),
            Command::List => self.ask_groups(true),
            Command::Leave(group) => self.ask_to_leave(group.as_ref()),
            Command::About { group, who, act } => self.ask_about(group.as_ref(), who, act),
        }
    }

    fn create_group(&mut self, name: String, desc: String) {
        let ask = |session: &mut chatclient_core::Session, now| session.create_group(now, &name, &desc);
        let (name, desc) = (name.as_str().into(), desc.as_str().into());
        self.ask(
            "creategroup",
            ask,
            |reply| match reply {
                Reply::Group(group::Reply::Created(created)) => Some(created.conversation),
                _ => None,
            },
            move |terminal, id| {
                let group = Group { conversation: id, name, desc, role: Role::Creator };
                terminal.directory.groups.insert(id, group);
                terminal.publish_names();
                let label = terminal.directory.group(id);
                terminal.say(&format!("group {label} created; others join with addgroup:{id}"));
            },
        );
    }

    /// `GROUP` joins it if necessary and opens it, `GROUP TEXT` joins it and sends to it. A group is a name or an id.
    fn join_and_open(&mut self, rest: &str) {
        let meant = self.directory.split_group(rest).and_then(|(wanted, text)| {
            let group = argument::group(wanted).ok_or("write it as /join GROUP, for example /join 7")?;
            Ok((self.directory.group_meant(&group)?, some(text)))
        });
        let (group, text) = match meant {
            Ok(meant) => meant,
            Err(question) => return self.say(&question),
        };
        if self.directory.groups.contains_key(&group) {
            return self.enter_group(group, text);
        }
        // The next line goes to the group, if there is one.
        self.request_before_prompt(
            |session, now| session.join_group(now, group),
            move |terminal, result| {
                match result {
                    Ok(_) => terminal.handle_joined(group),
                    // A member already.
                    Err(Failure::Refused(refusal)) if refusal.errno == Errno::Conflict => {}
                    Err(failure) => return terminal.report_failure("/join", &failure),
                }
                terminal.enter_group(group, text);
            },
        );
    }

    fn enter_group(&mut self, group: ConversationId, text: Option<String>) {
        let to = Target::Group(group);
        match text {
            Some(text) => self.send_to(to, &text),
            None => self.open(Some(to)),
        }
    }

    fn handle_joined(&mut self, group: ConversationId) {
        self.say(&format!("you joined {}", self.directory.group(group)));
        self.ask_groups(false);
    }

    // ---- lists -----------------------------------------------------------------------------------------------------

    /// Reads the list of groups again; `show`: the user asked for it.
    pub(super) fn ask_groups(&mut self, show: bool) {
        self.ask_groups_after(0, show);
    }

    fn ask_groups_after(&mut self, after: u32, show: bool) {
        self.request(
            |session, now| session.groups(now, after),
            move |terminal, result| match result {
                Ok(Reply::Group(group::Reply::Groups(page))) => {
                    terminal.handle_groups(after == 0, show, *page);
                }
                Err(Failure::Offline) if show => {
                    terminal.say("offline; as of the last login:");
                    terminal.say(&list::groups(terminal.directory.groups.values()));
                }
                Err(failure) if show => terminal.report_failure("groups", &failure),
                _ => {}
            },
        );
    }

    fn handle_groups(&mut self, is_first: bool, show: bool, page: GroupsPage) {
        if is_first {
            self.directory.groups.clear();
        }
        let last = page.groups.last().map(|group| group.conversation.0);
        self.directory.groups.extend(page.groups.into_iter().map(|group| (group.conversation, group)));
        self.publish_names();
        match last.filter(|_| page.more) {
            Some(last) => self.ask_groups_after(last, show),
            None if show => self.say(&list::groups(self.directory.groups.values())),
            None => {}
        }
    }

    fn members(&mut self, group: Option<&WhichGroup>) {
        if let Some(group) = self.group_or_open(group, "/members GROUP") {
            self.ask_members(group, Vec::new());
        }
    }

    /// The group that is meant, or the open one. Where there is none, says how the command is written.
    pub(super) fn group_or_open(&mut self, group: Option<&WhichGroup>, form: &str) -> Option<ConversationId> {
        let open = self.here.as_ref().and_then(|here| self.directory.conversation_of(here));
        let is_direct = |open: &ConversationId| {
            matches!(self.directory.target_of(*open), Target::User(_) | Target::Name(_))
        };
        let open = open.filter(|open| !is_direct(open));
        let found = match group {
            Some(group) => self.directory.group_meant(group),
            None => open.ok_or_else(|| format!("no group is open: {form}, by id or name")),
        };
        found.map_err(|sentence| self.say(&sentence)).ok()
    }

    /// `known` are the members of the pages before.
    fn ask_members(&mut self, group: ConversationId, known: Vec<Member>) {
        let after = known.last().map_or(0, |member| member.id.0);
        self.ask(
            "members",
            |session, now| session.members(now, group, after),
            |reply| match reply {
                Reply::Group(group::Reply::Members(page)) => Some(*page),
                _ => None,
            },
            move |terminal, page| terminal.handle_members(group, known, page),
        );
    }

    fn handle_members(&mut self, group: ConversationId, mut all: Vec<Member>, page: MembersPage) {
        let more = page.more && !page.members.is_empty();
        page.members.iter().for_each(|member| self.directory.meet(member.id, &member.name));
        all.extend(page.members);
        if more {
            return self.ask_members(group, all);
        }
        self.say(&format!("{}, {}", self.directory.conversation(group), list::members(&all)));
    }
}
