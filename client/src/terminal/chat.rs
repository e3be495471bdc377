//! Commands of a user who is logged in, and the replies to them.

use super::command::{self, Command, Mistake, USAGES};
use super::directory::{Directory, person, state};
use super::{Own, Terminal, Then, clock, sentence};
use chatclient::{Failure, RequestId, Session, sanitize};
use wire::command::Who;
use wire::push::Listing;
use wire::reply::{FriendRequest, FriendState, FriendsPage, Group, GroupsPage, HistoryPage, Role};
use wire::{ConversationId, Direction, Reply, Seq, Target};

/// Messages that `history` shows at once.
const HISTORY_ROWS: u32 = 20;

/// A request whose reply is to be shown.
pub enum Pending {
    AddFriend {
        label: String,
    },
    CreateGroup {
        name: String,
        desc: String,
    },
    AddGroup {
        group: ConversationId,
    },
    /// `command` is what shows older messages, but for the seq.
    History {
        conversation: ConversationId,
        label: String,
        command: String,
    },
    /// `show`: the user asked; otherwise the server said that it changed. `requests` came with the first page.
    Friends {
        show: bool,
        requests: Option<Vec<FriendRequest>>,
    },
    Groups {
        show: bool,
        first: bool,
    },
}

impl Terminal {
    pub(super) fn handle_command(&mut self, line: &str) {
        let command = match command::parse(line) {
            Ok(Some(command)) => command,
            Ok(None) => return,
            Err(Mistake::Unknown { word, nearest }) => {
                let word: String = sanitize::line(&word).chars().take(40).collect();
                return self.say(&format!(
                    "unknown command `{word}`; did you mean `{nearest}`? help lists them all"
                ));
            }
            Err(Mistake::Usage(usage)) => {
                return self.say(&format!("usage: {}    for example {}", usage.form, usage.example));
            }
        };
        match command {
            Command::Help => self.say(&help()),
            Command::Chat { who, text } => self.send(self.directory.target(&who), &text),
            Command::GroupChat { group, text } => self.send(Target::Conversation(group), &text),
            Command::AddFriend { who } => {
                let label = self.label(&who);
                self.request(Pending::AddFriend { label }, |session, now| session.add_friend(now, who));
            }
            Command::CreateGroup { name, desc } => {
                let pending = Pending::CreateGroup { name: name.clone(), desc: desc.clone() };
                self.request(pending, |session, now| session.create_group(now, &name, &desc));
            }
            Command::AddGroup { group } => {
                self.request(Pending::AddGroup { group }, |session, now| session.join_group(now, group));
            }
            Command::History { who, before } => {
                let label = self.label(&who);
                match self.directory.direct(&who) {
                    Some(conversation) => {
                        let who = match who {
                            Who::Id(id) => id.to_string(),
                            Who::Name(name) => name.into(),
                        };
                        self.history(
                            conversation,
                            before,
                            label,
                            format!("history:{}", sanitize::line(&who)),
                        );
                    }
                    None => self.say(&format!("no messages with {label} yet")),
                }
            }
            Command::GroupHistory { group, before } => {
                let label = self.directory.group(group);
                self.history(group, before, label, format!("grouphistory:{group}"));
            }
            Command::Groups => self.ask_groups(true),
            Command::Friends => self.ask_friends(true),
            Command::Loginout => self.settle_then(Then::LogOut),
            Command::Quit => self.quit(),
        }
    }

    fn send(&mut self, to: Target, text: &str) {
        match self.client.with(|session, now| session.send(now, to.clone(), text)) {
            Ok(local) => {
                if self.outage.is_on() {
                    self.say("offline: it is sent when the connection is back");
                }
                self.own.insert(local, Own { to, delayed: false });
            }
            Err(error) => self.say(&format!("not sent: {error}")),
        }
    }

    fn label(&self, who: &Who) -> String {
        match who {
            Who::Id(id) => self.directory.user(*id),
            Who::Name(name) => sanitize::line(name).into_owned(),
        }
    }

    fn request(&mut self, pending: Pending, command: impl FnOnce(&mut Session, u64) -> RequestId) {
        let request = self.client.with(command);
        self.pending.insert(request, pending);
    }

    fn history(&mut self, conversation: ConversationId, before: Option<Seq>, label: String, command: String) {
        let direction = Direction::Before(before.unwrap_or(Seq::MAX));
        self.request(Pending::History { conversation, label, command }, |session, now| {
            session.history(now, conversation, direction, HISTORY_ROWS)
        });
    }

    fn ask_friends(&mut self, show: bool) {
        self.request(Pending::Friends { show, requests: None }, |session, now| session.friends(now, 0));
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
            (Pending::AddFriend { label }, Ok(Reply::FriendAdded(added))) => match added.state {
                FriendState::Requested => self.say(&format!("{label} was asked to be friends")),
                FriendState::Friends => {
                    self.say(&format!("{label} and you are friends"));
                    self.ask_friends(false);
                }
            },
            (Pending::CreateGroup { name, desc }, Ok(Reply::GroupCreated(created))) => {
                let id = created.conversation;
                let (name, desc) = (name.into(), desc.into());
                self.directory.groups.insert(id, Group { conversation: id, name, desc, role: Role::Owner });
                self.say(&format!("group {} made; others join with addgroup:{id}", self.directory.group(id)));
            }
            (Pending::AddGroup { group }, Ok(_)) => {
                self.say(&format!("you joined {}", self.directory.group(group)));
                self.ask_groups(false);
            }
            (Pending::History { conversation, label, command }, Ok(Reply::History(page))) => {
                self.show_history(conversation, &label, &command, &page);
            }
            (Pending::Friends { show, requests }, Ok(Reply::Friends(page))) => {
                self.handle_friends(show, requests, *page);
            }
            (Pending::Groups { show, first }, Ok(Reply::Groups(page))) => {
                self.handle_groups(show, first, *page);
            }
            // Nobody asked for these.
            (Pending::Friends { show: false, .. } | Pending::Groups { show: false, .. }, Err(_)) => {}
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
        match last.filter(|_| page.more) {
            Some(last) => {
                let pending = Pending::Friends { show, requests: Some(requests) };
                self.request(pending, |session, now| session.friends(now, last));
            }
            None if show => self.say(&friends(&self.directory, &requests)),
            None => {}
        }
    }

    fn handle_groups(&mut self, show: bool, first: bool, page: GroupsPage) {
        if first {
            self.directory.groups.clear();
        }
        let last = page.groups.last().map(|group| group.conversation.0);
        self.directory.groups.extend(page.groups.into_iter().map(|group| (group.conversation, group)));
        match last.filter(|_| page.more) {
            Some(last) => {
                self.request(Pending::Groups { show, first: false }, |session, now| {
                    session.groups(now, last)
                });
            }
            None if show => self.say(&groups(&self.directory)),
            None => {}
        }
    }

    fn show_history(&mut self, conversation: ConversationId, label: &str, command: &str, page: &HistoryPage) {
        let mut lines = match page.messages.len() {
            0 => format!("no messages with {label}"),
            count => format!("history of {label} ({count}):"),
        };
        for message in &page.messages {
            let (who, text) = (person(&message.name, message.from), sanitize::line(&message.content));
            lines += &format!("\n  #{} [{}] {who}: {text}", message.seq, clock::short(message.time));
        }
        if let (Some(first), true) = (page.messages.first(), page.more) {
            lines += &format!("\nolder: {command}:{}", first.seq);
        }
        self.say(&lines);
        if let Some(last) = page.messages.last() {
            let seq = last.seq;
            self.client.with(|session, now| session.read(now, conversation, seq));
        }
    }
}

/// What a request is called when it fails.
fn name(pending: &Pending) -> &'static str {
    match pending {
        Pending::AddFriend { .. } => "addfriend",
        Pending::CreateGroup { .. } => "creategroup",
        Pending::AddGroup { .. } => "addgroup",
        Pending::History { .. } => "history",
        Pending::Friends { .. } => "friends",
        Pending::Groups { .. } => "groups",
    }
}

fn help() -> String {
    let rows = USAGES.iter().map(|usage| format!("\n  {:<22} {}", usage.form, usage.purpose));
    format!("commands:{}\nfor example: {}", rows.collect::<String>(), USAGES[1].example)
}

/// The list of friends, and who asks to be one.
pub fn friends(directory: &Directory, requests: &[FriendRequest]) -> String {
    let mut lines = format!("friends ({}):", directory.friends.len());
    for friend in directory.friends.values() {
        lines += &format!("\n  {:<6} {}  {}", friend.id, sanitize::line(&friend.name), state(friend.state));
    }
    for request in requests {
        let who = person(&request.name, request.id);
        lines += &format!("\n  {who} asks to be friends: {}", sanitize::line(&request.message));
        lines += &format!("  (addfriend:{} accepts)", request.id);
    }
    lines
}

/// The list of groups.
pub fn groups(directory: &Directory) -> String {
    let mut lines = format!("groups ({}):", directory.groups.len());
    for group in directory.groups.values() {
        let (name, desc) = (sanitize::line(&group.name), sanitize::line(&group.desc));
        lines += format!("\n  {:<6} {name}  {desc}", group.conversation).trim_end();
    }
    lines
}
