//! Friends: adding, listing, and changes made by other users; and profiles.

use super::state::{Question, Terminal};
use crate::command::contact::{Command, Note};
use crate::display::{list, style::person};
use chatclient_core::{Failure, sanitize};
use wire::account::{self, Who};
use wire::contact::{self, Friend, FriendChange, FriendEvent, FriendRequest, FriendState, FriendsPage, Push};
use wire::presence::Presence;
use wire::{Reply, UserId};

impl Terminal {
    pub(super) fn do_contact_command(&mut self, command: Command) {
        match command {
            Command::Add { who } => self.add_friend(who),
            Command::List => self.ask_friends(true),
            Command::Profile { who } => self.show_profile(who),
            Command::Find(find) => self.ask(
                "/find",
                |session, now| session.ask(now, account::Request::Find(find)),
                |reply| list::reply(&reply),
                |terminal, lines| terminal.say(&lines),
            ),
            Command::Remove { who } => self.with_id("/unfriend", who, |terminal, id, label| {
                terminal.question = Some(Question::Unfriend(id));
                terminal.say(&format!("this ends your friendship with {label}; type yes to go on"));
            }),
            Command::Note { who, what, text } => {
                self.with_id(what.command(), who, move |terminal, id, label| {
                    terminal.note(id, what, text, label);
                });
            }
        }
    }

    /// Goes on with the id of a user, and how it is shown.
    pub(super) fn with_id(
        &mut self,
        command: &'static str,
        who: Who,
        then: impl FnOnce(&mut Terminal, UserId, &str) + 'static,
    ) {
        match who {
            Who::Id(id) => {
                let label = self.directory.user(id);
                then(self, id, &label);
            }
            Who::Name(_) => self.ask(
                command,
                |session, now| session.ask(now, account::Request::Profile(Some(who))),
                |reply| match reply {
                    Reply::Account(account::Reply::Profile(found)) => Some(found),
                    _ => None,
                },
                move |terminal, found| {
                    terminal.directory.meet(found.id, &found.name);
                    then(terminal, found.id, &person(&found.name, found.id));
                },
            ),
        }
    }

    pub(super) fn remove_friend(&mut self, id: UserId) {
        let label = self.directory.user(id);
        self.ask(
            "/unfriend",
            |session, now| session.remove_friend(now, id),
            Some,
            move |terminal, _| {
                terminal.say(&format!("you and {label} are no longer friends"));
                terminal.directory.friends.remove(&id);
                terminal.publish_names();
            },
        );
    }

    fn note(&mut self, id: UserId, what: Note, text: String, label: &str) {
        let done = match (what, text.is_empty()) {
            (Note::Remark, false) => format!("{label} is noted as: {}", sanitize::line(&text)),
            (Note::Remark, true) => format!("nothing is noted about {label}"),
            (Note::Tag, false) => format!("{label} has the tag {}", sanitize::line(&text)),
            (Note::Tag, true) => format!("{label} has no tag"),
        };
        self.ask(
            what.command(),
            |session, now| session.set_friend(now, what.set(id, &text)),
            Some,
            move |terminal, _| {
                terminal.say(&done);
                terminal.ask_friends(false);
            },
        );
    }

    fn add_friend(&mut self, who: Who) {
        let (label, asked) = (self.label(&who), who.clone());
        self.ask(
            "addfriend",
            |session, now| session.add_friend(now, asked),
            |reply| match reply {
                Reply::Contact(contact::Reply::Added(added)) => Some(added.state),
                _ => None,
            },
            move |terminal, state| match state {
                FriendState::Requested => terminal.say(&format!("friend request sent to {label}")),
                FriendState::Friends => {
                    terminal.say_new_friend(who);
                    terminal.ask_friends(false);
                }
            },
        );
    }

    /// Reads the name of a user who has become a friend, and says both.
    fn say_new_friend(&mut self, who: Who) {
        self.request(
            |session, now| session.ask(now, account::Request::Profile(Some(who))),
            |terminal, result| {
                if let Ok(Reply::Account(account::Reply::Profile(found))) = result {
                    let label = person(&found.name, found.id);
                    terminal.say(&format!("you and {label} are now friends"));
                }
            },
        );
    }

    fn show_profile(&mut self, who: Option<Who>) {
        self.ask(
            "profile",
            |session, now| session.ask(now, account::Request::Profile(who)),
            |reply| matches!(reply, Reply::Account(account::Reply::Profile(_))).then_some(reply),
            |terminal, reply| {
                let lines = list::reply(&reply).unwrap_or_default();
                terminal.say(&lines);
            },
        );
    }

    /// Reads the list of friends again; `show`: the user asked for it.
    pub(super) fn ask_friends(&mut self, show: bool) {
        self.ask_friends_after(0, show, None);
    }

    /// `requests` are those of the first page.
    fn ask_friends_after(&mut self, after: u32, show: bool, requests: Option<Vec<FriendRequest>>) {
        self.request(
            |session, now| session.friends(now, after),
            move |terminal, result| match result {
                Ok(Reply::Contact(contact::Reply::Friends(page))) => {
                    terminal.handle_friends(show, requests, *page);
                }
                Err(Failure::Offline) if show => {
                    terminal.say("offline; as of the last login:");
                    terminal.say(&list::friends(terminal.directory.friends.values(), &[]));
                }
                Err(failure) if show => terminal.report_failure("friends", &failure),
                _ => {}
            },
        );
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
            Some(last) => self.ask_friends_after(last, show, Some(requests)),
            None if show => self.say(&list::friends(self.directory.friends.values(), &requests)),
            None => {}
        }
    }

    pub(super) fn handle_contact_push(&mut self, push: Push) {
        let Push::Friend(change) = push;
        let FriendChange { id, name, event, message } = *change;
        let who = person(&name, id);
        let text = message.map(|text| format!(": {}", sanitize::line(&text))).unwrap_or_default();
        match event {
            FriendEvent::Requested => {
                self.say(&format!("{who} wants to be friends{text}  (addfriend:{id} accepts)"));
            }
            FriendEvent::Accepted => {
                self.say(&format!("you and {who} are now friends{text}"));
                let (text, last_seen, remark, tag) = (None, None, None, None);
                let friend = Friend { id, name, state: Presence::Online, text, last_seen, remark, tag };
                self.directory.friends.insert(id, friend);
                self.publish_names();
            }
            FriendEvent::Refused => self.say(&format!("{who} declined your friend request{text}")),
            FriendEvent::Removed => {
                self.say(&format!("you and {who} are no longer friends"));
                self.directory.friends.remove(&id);
                self.publish_names();
            }
        }
    }

    pub(super) fn label(&self, who: &Who) -> String {
        match who {
            Who::Id(id) => self.directory.user(*id),
            Who::Name(name) => sanitize::line(name).into_owned(),
        }
    }
}
