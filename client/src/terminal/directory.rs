//! Who and what this account knows: names for ids, and the conversation behind a name.

use chatclient::sanitize;
use std::collections::BTreeMap;
use wire::command::Who;
use wire::reply::{Entry, Friend, Group, LoggedIn, Presence};
use wire::{ConversationId, ConversationKind, Message, Target, UserId, name};

/// What the server told about users, groups and direct chats.
#[derive(Debug, Default)]
pub struct Directory {
    pub me: UserId,
    pub my_name: String,
    pub friends: BTreeMap<UserId, Friend>,
    pub groups: BTreeMap<ConversationId, Group>,
    /// The peer of each direct chat.
    directs: BTreeMap<ConversationId, Peer>,
}

/// One side of a direct chat. A chat that was opened by name has no id until something comes from it.
#[derive(Clone, Debug)]
struct Peer {
    id: Option<UserId>,
    name: String,
}

impl Directory {
    /// Everything that a login reply tells.
    pub fn learn_login(&mut self, login: &LoggedIn) {
        if self.me != login.id {
            *self = Directory::default();
        }
        (self.me, self.my_name) = (login.id, login.name.to_string());
        if !login.friends_more {
            self.friends.clear();
        }
        if !login.groups_more {
            self.groups.clear();
        }
        self.friends.extend(login.friends.iter().map(|friend| (friend.id, friend.clone())));
        self.groups.extend(login.groups.iter().map(|group| (group.conversation, group.clone())));
        self.learn_entries(&login.conversations);
    }

    /// What a listing of conversations tells.
    pub fn learn_entries(&mut self, entries: &[Entry]) {
        for entry in entries {
            if entry.kind == ConversationKind::Direct {
                let peer = Peer { id: entry.peer, name: entry.name.to_string() };
                self.directs.insert(entry.conversation, peer);
            }
        }
    }

    /// What a message tells about who sent it.
    pub fn learn_message(&mut self, message: &Message) {
        if message.kind == ConversationKind::Direct && message.from != self.me {
            let peer = Peer { id: Some(message.from), name: message.name.to_string() };
            self.directs.insert(message.conversation, peer);
        }
    }

    /// What a sent message tells about the conversation that it opened.
    pub fn learn_sent(&mut self, conversation: ConversationId, to: &Target) {
        let peer = match to {
            Target::User(id) => {
                Peer { id: Some(*id), name: self.known_name(*id).unwrap_or_default().to_owned() }
            }
            Target::Name(name) => Peer { id: None, name: name.to_string() },
            Target::Conversation(_) => return,
        };
        self.directs.entry(conversation).or_insert(peer);
    }

    /// The direct chat with somebody, if there is one.
    pub fn direct(&self, who: &Who) -> Option<ConversationId> {
        let found = self.directs.iter().find(|(_, peer)| match who {
            Who::Id(id) => peer.id == Some(*id),
            Who::Name(wanted) => name::key(&peer.name) == name::key(wanted),
        });
        found.map(|(conversation, _)| *conversation)
    }

    /// Where a message to somebody goes. A friend's name becomes the id, so that all of it keeps one order.
    pub fn target(&self, who: &Who) -> Target {
        match who {
            Who::Id(id) => Target::User(*id),
            Who::Name(wanted) => {
                let known = self.friends.values().find(|friend| name::key(&friend.name) == name::key(wanted));
                known.map_or_else(|| Target::Name(wanted.clone()), |friend| Target::User(friend.id))
            }
        }
    }

    // ---- as it is shown -----------------------------------------------------------------------------------------------

    /// `zhang san (1)`.
    pub fn user(&self, id: UserId) -> String {
        match self.known_name(id) {
            Some(name) if !name.is_empty() => person(name, id),
            _ => format!("user {id}"),
        }
    }

    /// `#7 devs`.
    pub fn group(&self, id: ConversationId) -> String {
        match self.groups.get(&id) {
            Some(group) => format!("#{id} {}", sanitize::line(&group.name)),
            None => format!("#{id}"),
        }
    }

    /// A conversation, whichever it is.
    pub fn conversation(&self, id: ConversationId) -> String {
        match self.directs.get(&id) {
            Some(Peer { id: Some(id), name }) if !name.is_empty() => person(name, *id),
            Some(Peer { id: Some(id), .. }) => self.user(*id),
            Some(Peer { id: None, name }) => sanitize::line(name).into_owned(),
            None => self.group(id),
        }
    }

    /// Where a message goes.
    pub fn target_label(&self, target: &Target) -> String {
        match target {
            Target::User(id) => self.user(*id),
            Target::Name(name) => sanitize::line(name).into_owned(),
            Target::Conversation(id) => self.group(*id),
        }
    }

    fn known_name(&self, id: UserId) -> Option<&str> {
        if id == self.me {
            return Some(&self.my_name);
        }
        let friend = self.friends.get(&id).map(|friend| &*friend.name);
        friend.or_else(|| self.directs.values().find(|peer| peer.id == Some(id)).map(|peer| &*peer.name))
    }
}

/// `zhang san (1)`.
pub fn person(name: &str, id: UserId) -> String {
    format!("{} ({id})", sanitize::line(name))
}

/// `online` or `offline`.
pub fn state(presence: Presence) -> &'static str {
    match presence {
        Presence::Online => "online",
        Presence::Offline => "offline",
    }
}
