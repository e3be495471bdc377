//! Who and what this account knows: names for ids, the conversation behind a name, what was read and received.

use super::complete::Names;
use super::style::{Mark, person};
use chatclient_core::sanitize;
use chatclient_store::{Store, StoreError, StoredConversation};
use std::collections::{BTreeMap, BTreeSet};
use wire::account::Who;
use wire::contact::Friend;
use wire::group::Group;
use wire::presence::Presence;
use wire::session::LoggedIn;
use wire::timeline::ConversationSummary;
use wire::{ConversationId, ConversationKind, Message, Seq, Target, UserId, name};

/// What is known about users, groups and conversations.
#[derive(Debug, Default)]
pub struct Directory {
    pub me: UserId,
    pub my_name: String,
    pub friends: BTreeMap<UserId, Friend>,
    pub groups: BTreeMap<ConversationId, Group>,
    pub chats: BTreeMap<ConversationId, Chat>,
}

/// A conversation as this program has shown it.
#[derive(Clone, Debug)]
pub struct Chat {
    pub kind: ConversationKind,
    /// The other one of a direct chat. One that was opened by name has no id until something comes from it.
    pub peer: Option<UserId>,
    pub name: String,
    /// The latest that was shown, or stored from here.
    pub last: Seq,
    /// Everything up to here was shown.
    pub shown: Seq,
    /// Own messages that were stored above that: messages below them may still come.
    own_above: BTreeSet<Seq>,
    /// Messages of others that nobody has looked at.
    pub unread: u64,
    /// Some of them came to another device, and were never shown here.
    pub elsewhere: bool,
    /// Up to where the peer of a direct chat has received, and read.
    pub peer_delivered: Seq,
    pub peer_read: Seq,
}

impl Chat {
    fn new(kind: ConversationKind, peer: Option<UserId>, name: &str) -> Chat {
        let name = name.to_owned();
        Chat {
            kind,
            peer,
            name,
            last: Seq(0),
            shown: Seq(0),
            own_above: BTreeSet::new(),
            unread: 0,
            elsewhere: false,
            peer_delivered: Seq(0),
            peer_read: Seq(0),
        }
    }

    /// The next message is shown: messages come in order.
    pub fn show(&mut self, seq: Seq) {
        self.shown = self.shown.max(seq);
        self.last = self.last.max(seq);
        while let Some(own) = self.own_above.first().copied().filter(|own| own.prev() <= self.shown) {
            self.shown = self.shown.max(own);
            self.own_above.pop_first();
        }
    }

    /// An own message was stored, which its line shows.
    fn store(&mut self, seq: Seq) {
        self.own_above.insert(seq);
        self.last = self.last.max(seq);
        self.show(self.shown);
    }

    /// How far an own message at `seq` has come.
    pub fn mark(&self, seq: Seq) -> Mark {
        match self.kind {
            ConversationKind::Direct if seq <= self.peer_read => Mark::Read,
            ConversationKind::Direct if seq <= self.peer_delivered => Mark::Delivered,
            _ => Mark::Stored,
        }
    }
}

impl Directory {
    /// Everything that the store remembers of an account.
    pub fn learn_store(&mut self, me: UserId, name: &str, store: &Store) -> Result<(), StoreError> {
        *self = Directory { me, my_name: name.to_owned(), ..Directory::default() };
        self.friends = store.friends()?.into_iter().map(|friend| (friend.id, friend)).collect();
        self.groups = store.groups()?.into_iter().map(|group| (group.conversation, group)).collect();
        for kept in store.conversations()? {
            let StoredConversation { id, cursor, peer_delivered, peer_read, .. } = kept;
            let (unread, elsewhere) = (kept.unread + kept.elsewhere, kept.elsewhere > 0);
            let chat = Chat::new(kept.kind, kept.peer, &kept.name);
            let seen = Chat { last: cursor, shown: cursor, unread, elsewhere, ..chat };
            self.chats.insert(id, Chat { peer_delivered, peer_read, ..seen });
        }
        Ok(())
    }

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
    pub fn learn_entries(&mut self, entries: &[ConversationSummary]) {
        for entry in entries {
            let new = Chat::new(entry.kind, entry.peer, &entry.name);
            let known = self.chats.contains_key(&entry.conversation);
            let chat = self.chats.entry(entry.conversation).or_insert(new);
            (chat.kind, chat.peer) = (entry.kind, entry.peer.or(chat.peer));
            chat.name = entry.name.to_string();
            if !known {
                // What was delivered in another life of this account, and what of it was not read.
                chat.show(entry.delivered_seq.max(entry.first_seq.prev()));
                chat.unread = chat.last.0.saturating_sub(entry.read_seq.max(entry.first_seq.prev()).0);
                chat.elsewhere = chat.unread > 0;
            } else if entry.read_seq >= chat.last {
                // Read on another device.
                chat.unread = 0;
            }
            chat.peer_delivered = chat.peer_delivered.max(entry.peer_delivered_seq.unwrap_or_default());
            chat.peer_read = chat.peer_read.max(entry.peer_read_seq.unwrap_or_default());
        }
    }

    /// What a message tells about who sent it.
    pub fn learn_message(&mut self, message: &Message) {
        let chat =
            self.chats.entry(message.conversation).or_insert_with(|| Chat::new(message.kind, None, ""));
        chat.kind = message.kind;
        if message.kind == ConversationKind::Direct && message.from != self.me {
            (chat.peer, chat.name) = (Some(message.from), message.name.to_string());
        }
    }

    /// What a sent message tells about the conversation that it opened.
    pub fn learn_sent(&mut self, conversation: ConversationId, to: &Target, seq: Seq) {
        let new = match to {
            Target::User(id) => {
                Chat::new(ConversationKind::Direct, Some(*id), self.known_name(*id).unwrap_or_default())
            }
            Target::Name(name) => Chat::new(ConversationKind::Direct, None, name),
            Target::Conversation(_) => Chat::new(ConversationKind::Group, None, ""),
        };
        self.chats.entry(conversation).or_insert(new).store(seq);
    }

    /// The direct chat with somebody, if there is one.
    pub fn direct(&self, who: &Who) -> Option<ConversationId> {
        let found = self.chats.iter().find(|(_, chat)| {
            chat.kind == ConversationKind::Direct
                && match who {
                    Who::Id(id) => chat.peer == Some(*id),
                    Who::Name(wanted) => name::key(&chat.name) == name::key(wanted),
                }
        });
        found.map(|(conversation, _)| *conversation)
    }

    /// The conversation that a message to a target belongs to, if there is one yet.
    pub fn conversation_of(&self, to: &Target) -> Option<ConversationId> {
        match to {
            Target::User(id) => self.direct(&Who::Id(*id)),
            Target::Name(name) => self.direct(&Who::Name(name.clone())),
            Target::Conversation(id) => Some(*id),
        }
    }

    /// Where to write to in a conversation.
    pub fn target_of(&self, conversation: ConversationId) -> Target {
        match self.chats.get(&conversation) {
            Some(Chat { kind: ConversationKind::Direct, peer: Some(peer), .. }) => Target::User(*peer),
            _ => Target::Conversation(conversation),
        }
    }

    /// The group of this name, if one is a member of it.
    pub fn group_named(&self, wanted: &str) -> Option<ConversationId> {
        let key = name::key(wanted);
        self.groups.values().find(|group| name::key(&group.name) == key).map(|group| group.conversation)
    }

    /// Splits a user's name from what follows it: the longest name that is known, or one in quotes, or one word.
    pub fn split_name<'t>(&self, text: &'t str) -> (&'t str, &'t str) {
        if let Some((name, rest)) = text.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
            return (name, rest.trim_start());
        }
        let ends = text.char_indices().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
        let known = |name: &str| {
            let key = name::key(name);
            self.friends.values().any(|friend| name::key(&friend.name) == key)
                || self
                    .chats
                    .values()
                    .any(|chat| chat.kind == ConversationKind::Direct && name::key(&chat.name) == key)
        };
        let mut ends: Vec<usize> = ends.chain([text.len()]).collect();
        ends.reverse();
        let end = ends.iter().find(|end| known(&text[..**end])).or(ends.last());
        let (name, rest) = text.split_at(end.copied().unwrap_or(text.len()));
        (name, rest.trim_start())
    }

    /// Names for completion.
    pub fn names(&self) -> Names {
        let peers = self.chats.values().filter(|chat| chat.kind == ConversationKind::Direct);
        let friends = self.friends.values().map(|friend| friend.name.to_string());
        let users = friends.chain(peers.map(|chat| chat.name.clone())).filter(|name| !name.is_empty());
        let groups = self.groups.values().map(|group| (group.conversation.0, group.name.to_string()));
        Names { users: users.collect(), groups: groups.collect() }
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
        match self.chats.get(&id) {
            Some(Chat { kind: ConversationKind::Group, .. }) | None => self.group(id),
            Some(Chat { peer: Some(id), name, .. }) if !name.is_empty() => person(name, *id),
            Some(Chat { peer: Some(id), .. }) => self.user(*id),
            Some(Chat { peer: None, name, .. }) => sanitize::line(name).into_owned(),
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
        friend.or_else(|| self.chats.values().find(|chat| chat.peer == Some(id)).map(|chat| &*chat.name))
    }
}

/// `online` or `offline`.
pub fn state(presence: Presence) -> &'static str {
    match presence {
        Presence::Online => "online",
        Presence::Offline => "offline",
    }
}

#[cfg(test)]
mod tests {
    use super::super::backlog::Backlog;
    use super::*;

    fn directory() -> Directory {
        let mut directory = Directory::default();
        for (id, name) in [(2, "li si"), (3, "li")] {
            let friend = Friend { id: UserId(id), name: name.into(), state: Presence::Online };
            directory.friends.insert(UserId(id), friend);
        }
        directory
    }

    #[test]
    fn the_longest_name_that_is_known_is_meant() {
        let directory = directory();
        for (text, expected) in [
            ("li si", ("li si", "")),
            ("LI SI  hello you", ("LI SI", "hello you")),
            ("li hello", ("li", "hello")),
            ("wang wu hello", ("wang", "wu hello")),
            ("\"wang wu\" hello", ("wang wu", "hello")),
            ("2 hi", ("2", "hi")),
        ] {
            assert_eq!(directory.split_name(text), expected);
        }
    }

    #[test]
    fn what_came_while_nobody_was_here_is_counted_without_what_one_wrote() {
        let entry = |delivered: u64, last: u64| ConversationSummary {
            conversation: ConversationId(9),
            kind: ConversationKind::Direct,
            peer: Some(UserId(2)),
            name: "li si".into(),
            last_seq: Seq(last),
            first_seq: Seq(1),
            delivered_seq: Seq(delivered),
            read_seq: Seq(1),
            time: wire::UnixMillis(0),
            peer_delivered_seq: Some(Seq(2)),
            peer_read_seq: Some(Seq(1)),
        };
        let login = |entry| LoggedIn {
            id: UserId(1),
            name: "me".into(),
            token: "".into(),
            token_expires: wire::UnixMillis(0),
            node: "".into(),
            resumed: false,
            friends: vec![],
            groups: vec![],
            conversations: vec![entry],
            friends_more: false,
            groups_more: false,
            conversations_more: false,
        };
        let mut directory = Directory::default();
        directory.learn_login(&login(entry(3, 5)));
        let chat = &directory.chats[&ConversationId(9)];
        assert_eq!((chat.last, chat.unread), (Seq(3), 2));
        assert_eq!([1, 2, 3].map(|seq| chat.mark(Seq(seq))), [Mark::Read, Mark::Delivered, Mark::Stored]);
        // The place of an own message is known before the messages below it are here.
        let (id, peer) = (ConversationId(9), Target::User(UserId(2)));
        let found = login(entry(3, 8));
        directory.learn_login(&found);
        let mut backlog = Backlog::of(&found, &directory.chats);
        let mut take = |seq, theirs| {
            match theirs {
                true => directory.chats.get_mut(&id).expect("it is there").show(Seq(seq)),
                false => directory.learn_sent(id, &peer, Seq(seq)),
            }
            backlog.take(id, Seq(seq), theirs, &directory.chats[&id])
        };
        assert_eq!([(6, false), (9, false), (4, true)].map(|(seq, theirs)| take(seq, theirs)), [None; 3]);
        assert_eq!(
            [(5, true), (7, true), (8, true)].map(|(seq, theirs)| take(seq, theirs)),
            [None, None, Some(4)]
        );
        assert_eq!(take(10, true), None, "that came when one was here");
        assert_eq!(directory.chats[&id].shown, Seq(10));
        // One's own alone are no news.
        let found = login(entry(10, 11));
        let mut backlog = Backlog::of(&found, &directory.chats);
        directory.learn_sent(id, &peer, Seq(11));
        assert_eq!(backlog.take(id, Seq(11), false, &directory.chats[&id]), None);
    }
}
