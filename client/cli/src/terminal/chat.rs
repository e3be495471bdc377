//! Commands of a user who is logged in, and the replies to them.

use super::command::{self, Command, Mistake, USAGES, Usage};
use super::directory::state;
use super::own::Waiting;
use super::style::{Mark, person};
use super::{Terminal, Then, clock, sentence};
use chatclient_core::{Failure, RequestId, Session, sanitize};
use std::path::{Path, PathBuf};
use std::{env, fs};
use wire::account::Who;
use wire::contact::{Friend, FriendRequest, FriendState, FriendsPage};
use wire::group::{Group, GroupsPage, Member, MembersPage, Role};
use wire::session::Listing;
use wire::{ConversationId, Errno, Reply, Target, limits};
use wire::{contact, group, timeline};

/// A request whose reply is to be shown.
pub enum Pending {
    AddFriend {
        label: String,
    },
    CreateGroup {
        name: String,
        desc: String,
    },
    /// `open`: it is to be the open conversation.
    AddGroup {
        group: ConversationId,
        open: bool,
    },
    History(super::history::Wanted),
    /// `show`: the user asked; otherwise the server said that it changed. `requests` came with the first page.
    Friends {
        show: bool,
        requests: Option<Vec<FriendRequest>>,
    },
    Groups {
        show: bool,
        first: bool,
    },
    /// Who stands behind a conversation that was opened by id.
    Peers,
    Members {
        group: ConversationId,
        before: Vec<Member>,
    },
}

impl Terminal {
    pub(super) fn handle_command(&mut self, line: &str) {
        let command = match command::parse(line) {
            Ok(Some(command)) => command,
            Ok(None) => return self.client.with(Session::connect_if_wanted),
            Err(mistake) => {
                self.show_typed(line);
                return self.say(&explain(&mistake));
            }
        };
        // What becomes a message is shown as one.
        if !matches!(
            command,
            Command::Chat { .. } | Command::GroupChat { .. } | Command::Say(_) | Command::Msg(_)
        ) {
            self.show_typed(line);
        }
        match command {
            Command::Help(None) => self.say(&help()),
            Command::Help(Some(usage)) => self.say(&explain_usage(usage)),
            Command::Chat { who, text } => self.send(self.directory.target(&who), &text),
            Command::GroupChat { group, text } => self.send(Target::Conversation(group), &text),
            Command::Say(text) => match self.here.clone() {
                Some(to) => self.send(to, &text),
                None => {
                    self.show_typed(line);
                    self.say(&self.nowhere());
                }
            },
            Command::Msg(rest) => self.open_chat(&rest),
            Command::Join(wanted) => self.open_group(&wanted),
            Command::Close => self.open(None),
            Command::File(path) => self.send_file(&path_of(&path, env::home_dir())),
            Command::Retry => self.retry_failed(),
            Command::Drop => self.drop_failed(),
            Command::AddFriend { who } => {
                let label = self.label(&who);
                self.request(Pending::AddFriend { label }, |session, now| session.add_friend(now, who));
            }
            Command::CreateGroup { name, desc } => {
                let pending = Pending::CreateGroup { name: name.clone(), desc: desc.clone() };
                self.request(pending, |session, now| session.create_group(now, &name, &desc));
            }
            Command::AddGroup { group } => self.join(group, false),
            Command::History { who, before } => self.history_with(&who, before),
            Command::GroupHistory { group, before } => {
                self.history(group, before, format!("grouphistory:{group}"));
            }
            Command::Recent(of) => self.history_of(of.as_deref()),
            Command::Older => self.older(),
            Command::Members(group) => self.members(group.as_deref()),
            Command::Groups => self.ask_groups(true),
            Command::Friends => self.ask_friends(true),
            Command::Loginout => self.settle_then(Then::LogOut),
            Command::Quit => self.quit(),
        }
    }

    // ---- sending -------------------------------------------------------------------------------------------------------

    /// Sends a message, and opens its conversation.
    pub(super) fn send(&mut self, to: Target, text: &str) {
        if self.here.as_ref() != Some(&to) {
            self.open(Some(to.clone()));
        }
        self.send_there(to, text);
    }

    fn send_there(&mut self, to: Target, text: &str) {
        match self.client.send(to.clone(), text) {
            Ok(local) => {
                let line = self.own.new_line();
                let shown = format!("[{}] {}", clock::now(), self.own_line(&to, text));
                self.screen.print_marked(line, Mark::Sending, shown);
                if self.outage.is_on() && !self.screen.is_live() {
                    self.say("offline: it is sent when the connection is back");
                }
                self.own.waiting.insert(local, Waiting { to, text: text.to_owned(), line, delayed: false });
            }
            Err(error) => {
                self.show_typed(text);
                self.say(&format!("not sent: {error}"));
            }
        }
    }

    /// `you → li si (2): hello`, `#7 devs | you: hello`.
    pub(super) fn own_line(&self, to: &Target, text: &str) -> String {
        let (style, text) = (self.style, sanitize::line(text));
        let you = style.name("you", self.directory.me);
        match to {
            Target::User(id) => {
                format!("{you} {} {}: {text}", style.arrow(), style.name(&self.directory.user(*id), *id))
            }
            Target::Name(name) => format!("{you} {} {}: {text}", style.arrow(), sanitize::line(name)),
            Target::Conversation(id) => format!("{} | {you}: {text}", self.directory.conversation(*id)),
        }
    }

    fn send_file(&mut self, path: &Path) {
        let Some(to) = self.here.clone() else {
            return self.say(&self.nowhere());
        };
        let too_long = format!("is longer than the {} bytes of a message", limits::CONTENT_BYTES);
        let text = match fs::metadata(path) {
            Ok(file) if !file.is_file() => Err("is no file".to_owned()),
            Ok(file) if file.len() > limits::CONTENT_BYTES as u64 => Err(too_long),
            Ok(_) => fs::read_to_string(path).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match text {
            Ok(text) => self.send(to, &text),
            Err(why) => self.say(&format!("{}: {why}", sanitize::line(&path.to_string_lossy()))),
        }
    }

    /// What to do about text that has nowhere to go.
    fn nowhere(&self) -> String {
        let waiting = self.directory.chats.values().find(|chat| chat.unread > 0 && chat.peer.is_some());
        let who = waiting.and_then(|chat| chat.peer).map_or("WHO".to_owned(), |peer| peer.to_string());
        format!("no conversation is open: /msg {who} opens one, chat:{who}:MESSAGE sends at once")
    }

    fn retry_failed(&mut self) {
        if self.own.failed.is_empty() {
            return self.say("nothing has failed");
        }
        for failed in std::mem::take(&mut self.own.failed) {
            self.client.store(|store| store.forget_failed(failed.local));
            self.send_there(failed.to, &failed.text);
        }
    }

    fn drop_failed(&mut self) {
        let count = self.own.failed.len();
        for failed in std::mem::take(&mut self.own.failed) {
            self.client.store(|store| store.forget_failed(failed.local));
        }
        self.say(&format!("{count} message(s) dropped"));
    }

    // ---- conversations ---------------------------------------------------------------------------------------------------

    /// `li si`, or `li si and a text for him`.
    fn open_chat(&mut self, rest: &str) {
        let (name, text) = self.directory.split_name(rest);
        let (who, text) = (command::who(name), text.to_owned());
        let Some(who) = who else { return };
        let to = self.directory.target(&who);
        match text.is_empty() {
            true => {
                self.show_typed(&format!("/msg {rest}"));
                self.open(Some(to));
            }
            false => self.send(to, &text),
        }
    }

    fn open_group(&mut self, wanted: &str) {
        match self.directory.group_named(wanted).or_else(|| command::group(wanted)) {
            Some(group) if self.directory.groups.contains_key(&group) => {
                self.open(Some(Target::Conversation(group)));
            }
            Some(group) => self.join(group, true),
            None => self
                .say(&format!("you are in no group called {}; /join ID joins one", sanitize::line(wanted))),
        }
    }

    fn join(&mut self, group: ConversationId, open: bool) {
        self.request(Pending::AddGroup { group, open }, |session, now| session.join_group(now, group));
    }

    fn members(&mut self, group: Option<&str>) {
        let open = self.here.as_ref().and_then(|here| self.directory.conversation_of(here));
        let found = match group {
            Some(group) => self.directory.group_named(group).or_else(|| command::group(group)),
            None => open,
        };
        match found {
            Some(group) => self.ask_members(group, Vec::new()),
            None => self.say("whose members? /members GROUP, by id or name"),
        }
    }

    fn ask_members(&mut self, group: ConversationId, before: Vec<Member>) {
        let after = before.last().map_or(0, |member| member.id.0);
        self.request(Pending::Members { group, before }, |session, now| session.members(now, group, after));
    }

    // ---- asking ----------------------------------------------------------------------------------------------------------

    pub(super) fn label(&self, who: &Who) -> String {
        match who {
            Who::Id(id) => self.directory.user(*id),
            Who::Name(name) => sanitize::line(name).into_owned(),
        }
    }

    pub(super) fn request(&mut self, pending: Pending, command: impl FnOnce(&mut Session, u64) -> RequestId) {
        let request = self.client.with(command);
        self.pending.insert(request, pending);
    }

    fn ask_friends(&mut self, show: bool) {
        self.request(Pending::Friends { show, requests: None }, |session, now| session.friends(now, 0));
    }

    /// Asks who the peers of the latest conversations are.
    pub(super) fn ask_peers(&mut self) {
        self.request(Pending::Peers, Session::latest_conversations);
    }

    fn ask_groups(&mut self, show: bool) {
        self.request(Pending::Groups { show, first: true }, |session, now| session.groups(now, 0));
    }

    /// The server says that listings may have changed: learn them again, without showing them.
    pub(super) fn refresh(&mut self, listings: &[Listing]) {
        for listing in listings {
            match listing {
                Listing::Friends => self.ask_friends(false),
                Listing::Groups => self.ask_groups(false),
                // The session reads these itself.
                Listing::Conversations => {}
            }
        }
    }

    pub(super) fn handle_reply(&mut self, request: RequestId, result: Result<Reply, Failure>) {
        let Some(pending) = self.pending.remove(&request) else {
            return self.handle_registered(request, result);
        };
        match (pending, result) {
            (Pending::AddFriend { label }, Ok(Reply::Contact(contact::Reply::Added(added)))) => {
                match added.state {
                    FriendState::Requested => self.say(&format!("{label} was asked to be friends")),
                    FriendState::Friends => {
                        self.say(&format!("{label} and you are friends"));
                        self.ask_friends(false);
                    }
                }
            }
            (Pending::CreateGroup { name, desc }, Ok(Reply::Group(group::Reply::Created(created)))) => {
                let id = created.conversation;
                let (name, desc) = (name.into(), desc.into());
                self.directory.groups.insert(id, Group { conversation: id, name, desc, role: Role::Owner });
                self.publish_names();
                self.say(&format!("group {} made; others join with addgroup:{id}", self.directory.group(id)));
            }
            (Pending::AddGroup { group, open }, Ok(_)) => {
                self.say(&format!("you joined {}", self.directory.group(group)));
                self.ask_groups(false);
                if open {
                    self.open(Some(Target::Conversation(group)));
                }
            }
            (Pending::AddGroup { group, open: true }, Err(Failure::Refused(refusal)))
                if refusal.errno == Errno::Conflict =>
            {
                self.open(Some(Target::Conversation(group)));
            }
            (Pending::History(wanted), Ok(Reply::Timeline(timeline::Reply::History(page)))) => {
                self.handle_history(&wanted, &page);
            }
            (Pending::History(wanted), Err(Failure::Offline | Failure::Lost(_) | Failure::TimedOut)) => {
                self.history_from_store(&wanted);
            }
            (Pending::Members { group, before }, Ok(Reply::Group(group::Reply::Members(page)))) => {
                self.handle_members(group, before, *page);
            }
            (Pending::Friends { show: true, .. }, Err(Failure::Offline)) => {
                self.say("offline; as it was last:");
                self.say(&friends(self.directory.friends.values(), &[]));
            }
            (Pending::Groups { show: true, .. }, Err(Failure::Offline)) => {
                self.say("offline; as it was last:");
                self.say(&groups(self.directory.groups.values()));
            }
            (Pending::Friends { show, requests }, Ok(Reply::Contact(contact::Reply::Friends(page)))) => {
                self.handle_friends(show, requests, *page);
            }
            (Pending::Groups { show, first }, Ok(Reply::Group(group::Reply::Groups(page)))) => {
                self.handle_groups(show, first, *page);
            }
            (Pending::Peers, Ok(Reply::Timeline(timeline::Reply::Conversations(page)))) => {
                self.directory.learn_entries(&page.conversations);
                self.publish_names();
            }
            // Nobody asked for these.
            (
                Pending::Peers | Pending::Friends { show: false, .. } | Pending::Groups { show: false, .. },
                Err(_),
            ) => {}
            (pending, Err(failure)) => self.say(&format!("{}: {}", name(&pending), sentence(&failure))),
            // The session passes on only replies of the request's own type.
            (pending, Ok(_)) => self.say(&format!("{}: the server answered something else", name(&pending))),
        }
    }

    fn handle_friends(&mut self, show: bool, requests: Option<Vec<FriendRequest>>, page: FriendsPage) {
        if requests.is_none() {
            self.directory.friends.clear();
        }
        let requests = requests.unwrap_or(page.requests);
        let last = page.friends.last().map(|friend| friend.id.0);
        self.directory.friends.extend(page.friends.into_iter().map(|friend| (friend.id, friend)));
        self.publish_names();
        match last.filter(|_| page.more) {
            Some(last) => {
                let pending = Pending::Friends { show, requests: Some(requests) };
                self.request(pending, |session, now| session.friends(now, last));
            }
            None if show => self.say(&friends(self.directory.friends.values(), &requests)),
            None => {}
        }
    }

    fn handle_groups(&mut self, show: bool, first: bool, page: GroupsPage) {
        if first {
            self.directory.groups.clear();
        }
        let last = page.groups.last().map(|group| group.conversation.0);
        self.directory.groups.extend(page.groups.into_iter().map(|group| (group.conversation, group)));
        self.publish_names();
        match last.filter(|_| page.more) {
            Some(last) => {
                self.request(Pending::Groups { show, first: false }, |session, now| {
                    session.groups(now, last)
                });
            }
            None if show => self.say(&groups(self.directory.groups.values())),
            None => {}
        }
    }
}

impl Terminal {
    fn handle_members(&mut self, group: ConversationId, mut all: Vec<Member>, page: MembersPage) {
        let more = page.more && !page.members.is_empty();
        all.extend(page.members);
        if more {
            return self.ask_members(group, all);
        }
        self.say(&format!("{}, {}", self.directory.conversation(group), members(&all)));
    }
}

/// A path as it is typed: completion puts a backslash before what is special to a shell, people put quotes around it all,
/// and `~/` is their home.
fn path_of(typed: &str, home: Option<PathBuf>) -> PathBuf {
    let typed = typed.trim();
    let quoted = |mark: char| typed.strip_prefix(mark)?.strip_suffix(mark);
    let path = match quoted('"').or_else(|| quoted('\'')) {
        Some(inside) => inside.to_owned(),
        None => {
            let mut characters = typed.chars();
            std::iter::from_fn(|| match characters.next()? {
                '\\' => Some(characters.next().unwrap_or('\\')),
                c => Some(c),
            })
            .collect()
        }
    };
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => path.into(),
    }
}

/// What a request is called when it fails.
fn name(pending: &Pending) -> &'static str {
    match pending {
        Pending::AddFriend { .. } => "addfriend",
        Pending::CreateGroup { .. } => "creategroup",
        Pending::AddGroup { .. } => "addgroup",
        Pending::History(_) => "history",
        Pending::Members { .. } => "members",
        Pending::Friends { .. } => "friends",
        Pending::Groups { .. } => "groups",
        Pending::Peers => "conversations",
    }
}

/// Why a line was not taken.
pub fn explain(mistake: &Mistake) -> String {
    match mistake {
        Mistake::Unknown { word, nearest } => {
            let word: String = sanitize::line(word).chars().take(40).collect();
            format!("unknown command `{word}`; did you mean `{nearest}`? help lists them all")
        }
        Mistake::Usage(usage) => format!("usage: {}    for example {}", usage.form, usage.example),
    }
}

fn explain_usage(usage: &Usage) -> String {
    format!("{}\n  {}\n  for example: {}", usage.form, usage.purpose, usage.example)
}

/// The classic commands, a line each, and the names of the others: it fits a screen of 24 rows.
pub fn help() -> String {
    const MARGIN: usize = 76;
    let (slashed, classic): (Vec<_>, Vec<_>) = USAGES.iter().partition(|usage| usage.name.starts_with('/'));
    let rows = classic.iter().map(|usage| format!("\n  {:<22} {}", usage.form, usage.purpose));
    let mut lines = format!("commands:{}\nand:", rows.collect::<String>());
    let mut column = 4;
    for usage in slashed {
        if column + 2 + usage.form.len() > MARGIN {
            lines += "\n    ";
            column = 4;
        }
        lines += &format!("  {}", usage.form);
        column += 2 + usage.form.len();
    }
    lines + "\nplain text goes to the open conversation; Tab completes, Ctrl-R searches"
}

/// The list of friends, and who asks to be one.
pub fn friends<'f>(friends: impl ExactSizeIterator<Item = &'f Friend>, requests: &[FriendRequest]) -> String {
    let mut lines = format!("friends ({}):", friends.len());
    for friend in friends {
        lines += &row(friend.id.0, &friend.name, state(friend.state));
    }
    for request in requests {
        let who = person(&request.name, request.id);
        lines += &format!("\n  {who} asks to be friends: {}", sanitize::line(&request.message));
        lines += &format!("  (addfriend:{} accepts)", request.id);
    }
    lines
}

/// The list of groups.
pub fn groups<'g>(groups: impl ExactSizeIterator<Item = &'g Group>) -> String {
    let mut lines = format!("groups ({}):", groups.len());
    for group in groups {
        lines += &row(group.conversation.0, &group.name, &sanitize::line(&group.desc));
    }
    lines
}

/// The list of members of a group.
pub fn members(members: &[Member]) -> String {
    let mut lines = format!("members ({}):", members.len());
    for member in members {
        let role = match member.role {
            Role::Owner => "  owner",
            Role::Admin => "  admin",
            Role::Member => "",
        };
        lines += &row(member.id.0, &member.name, &format!("{}{role}", state(member.state)));
    }
    lines
}

/// Id, name and something about it, in columns whatever the script of the name.
fn row(id: u32, name: &str, about: &str) -> String {
    const NAME: usize = 16;
    let name = sanitize::line(name);
    let pad = " ".repeat(NAME.saturating_sub(super::columns::width(&name)));
    format!("\n  {id:<6} {name}{pad}  {about}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_completion_and_people_write() {
        for (typed, path) in [
            ("notes.txt", "notes.txt"),
            (" ./my\\ file\\(1\\).txt ", "./my file(1).txt"),
            ("\"my file.txt\"", "my file.txt"),
            ("'a\\b'", "a\\b"),
            ("~/notes", "/home/li/notes"),
            ("~li/notes", "~li/notes"),
            ("ends\\", "ends\\"),
        ] {
            assert_eq!(path_of(typed, Some("/home/li".into())), Path::new(path), "{typed}");
        }
    }
}
