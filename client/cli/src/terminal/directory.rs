//! [`Directory`]: the users, groups and conversations that the account knows.

use super::last_messages::LastMessages;
use super::look_alikes::LookAlikes;
use super::unread::{Counted, Unread};
use crate::command::complete::Names;
use crate::display::columns;
use crate::display::style::{Mark, person};
use chatclient_core::sanitize;
use chatclient_store::{Store, StoreError, StoredConversation};
use std::collections::{BTreeMap, BTreeSet};
use wire::account::Who;
use wire::contact::Friend;
use wire::group::Group;
use wire::message::TEXT;
use wire::session::LoggedIn;
use wire::timeline::{ConversationSummary, ConversationView, LastMessage, SettingsChange};
use wire::{ConversationId, ConversationKind, Message, Seq, Target, UnixMillis, UserId, name};

#[derive(Debug, Default)]
pub struct Directory {
    pub me: UserId,
    pub my_name: String,
    pub friends: BTreeMap<UserId, Friend>,
    pub groups: BTreeMap<ConversationId, Group>,
    pub chats: BTreeMap<ConversationId, Chat>,
    /// The conversations, those that were active last when the program began first, then new ones.
    pub order: Vec<ConversationId>,
    /// Conversations that are listed first.
    pub pinned: BTreeSet<ConversationId>,
    /// Conversations that draw no attention.
    pub muted: BTreeSet<ConversationId>,
    /// Conversations that were muted here, or not any more, and of which the server has not been told.
    pub mutes_to_tell: BTreeSet<ConversationId>,
    /// Conversations that are not listed until their next message.
    pub hidden: BTreeSet<ConversationId>,
    pub last_messages: LastMessages,
    /// Names of others, as their profiles say.
    pub strangers: BTreeMap<UserId, String>,
    alike: LookAlikes,
}

/// A conversation and how far it was shown.
#[derive(Clone, Debug)]
pub struct Chat {
    pub kind: ConversationKind,
    /// The other user of a direct chat. A chat that was opened by name has none until a message arrives.
    pub peer: Option<UserId>,
    pub name: String,
    /// The latest message that was shown or sent from here.
    pub last: Seq,
    /// Everything up to here was shown.
    pub shown: Seq,
    /// Own messages above `shown`: messages below them may still arrive.
    own_above: BTreeSet<Seq>,
    /// Everything up to here was shown while the conversation was open, here or on another device.
    pub read: Seq,
    /// Messages of others above `read`.
    pub unread: Unread,
    /// When the latest message was written, Unix milliseconds.
    pub active: u64,
    /// The highest seq that the peer of a direct chat has received.
    pub peer_delivered: Seq,
    /// The highest seq that the peer of a direct chat has read.
    pub peer_read: Seq,
    /// Every own message of a group up to here was read by all who could.
    pub read_by_all: Seq,
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
            read: Seq(0),
            unread: Unread::default(),
            active: 0,
            peer_delivered: Seq(0),
            peer_read: Seq(0),
            read_by_all: Seq(0),
        }
    }

    /// The next message was shown. Messages arrive in order.
    pub fn show(&mut self, seq: Seq) {
        self.shown = self.shown.max(seq);
        self.last = self.last.max(seq);
        while let Some(own) = self.own_above.first().copied().filter(|own| own.prev() <= self.shown) {
            self.shown = self.shown.max(own);
            self.own_above.pop_first();
        }
    }

    /// An own message was stored.
    fn store(&mut self, seq: Seq) {
        self.own_above.insert(seq);
        self.last = self.last.max(seq);
        self.show(self.shown);
        if self.unread.is_none() {
            self.read = self.read.max(self.shown);
        }
    }

    /// The entry after the last one has arrived, `theirs`: it is a message of somebody else.
    pub fn arrive(&mut self, seq: Seq, theirs: bool) {
        self.show(seq);
        self.unread.arrive(seq, theirs && seq > self.read, self.shown);
    }

    /// Whether nothing that is shown is unread.
    pub fn is_read(&self) -> bool {
        self.unread.is_none() || self.read >= self.shown
    }

    /// Everything up to `seq` was read. `theirs`: the messages of others among it that were unread, and whether each
    /// mentions the user.
    pub fn mark_read(&mut self, seq: Seq, theirs: impl Iterator<Item = (Seq, bool)>) {
        self.read = self.read.max(seq);
        self.unread.read(self.read, theirs, self.shown);
    }

    /// Everything up to `seq`, which was shown last, was read.
    pub fn mark_all_read(&mut self, seq: Seq) {
        self.read = self.read.max(seq);
        self.unread.read_all(self.read, self.shown);
    }

    /// Learns what was read, and what the server has counted above that unless there was a push since.
    fn learn(&mut self, counted: Counted) {
        if counted.read >= self.read {
            self.read = counted.read;
            match counted.last >= self.shown {
                true => self.unread.learn(counted, self.shown),
                false => self.unread.read_elsewhere(self.read, self.shown),
            }
        }
    }

    /// The mark of an own message at `seq`.
    pub fn mark(&self, seq: Seq) -> Mark {
        match self.kind {
            ConversationKind::Direct if seq <= self.peer_read => Mark::Read,
            ConversationKind::Direct if seq <= self.peer_delivered => Mark::Delivered,
            ConversationKind::Group if seq <= self.read_by_all => Mark::Read,
            _ => Mark::Stored,
        }
    }
}

impl Directory {
    /// Nothing is known about this account yet.
    pub fn new(me: UserId, name: &str) -> Directory {
        Directory { me, my_name: name.to_owned(), ..Directory::default() }
    }

    /// Replaces everything by what the store has about an account.
    pub fn load(&mut self, me: UserId, name: &str, store: &Store) -> Result<(), StoreError> {
        *self = Directory::new(me, name);
        self.friends = store.friends()?.into_iter().map(|friend| (friend.id, friend)).collect();
        self.groups = store.groups()?.into_iter().map(|group| (group.conversation, group)).collect();
        self.last_messages = LastMessages::load(store)?;
        for kept in store.conversations()? {
            let StoredConversation { id, cursor, peer_delivered, peer_read, .. } = kept;
            let StoredConversation { pinned, muted, hidden, .. } = kept;
            self.apply(id, SettingsChange { pinned: Some(pinned), muted: Some(muted), hidden: Some(hidden) });
            let (read, unread) = (kept.read, Unread::stored(kept.unread + kept.elsewhere));
            let chat = Chat::new(kept.kind, kept.peer, &kept.name);
            let chat = Chat { active: kept.active.0, ..chat };
            let seen = Chat { last: cursor, shown: cursor, read, unread, ..chat };
            self.chats.insert(id, Chat { peer_delivered, peer_read, ..seen });
        }
        for (id, muted) in store.mutes_to_tell()? {
            self.apply(id, SettingsChange { muted: Some(muted), ..SettingsChange::default() });
            self.mutes_to_tell.insert(id);
        }
        self.order_new();
        Ok(())
    }

    /// Learns from the reply to a login, except its conversations.
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
    }

    pub fn learn_conversations(&mut self, rows: &[ConversationSummary]) {
        for row in rows {
            let new = Chat::new(row.kind, row.peer, &row.name);
            let known = self.chats.contains_key(&row.conversation);
            let chat = self.chats.entry(row.conversation).or_insert(new);
            (chat.kind, chat.peer) = (row.kind, row.peer.or(chat.peer));
            chat.name = row.name.to_string();
            if !known {
                // Delivered to another device or in an earlier run.
                chat.show(row.delivered_seq.max(row.first_seq.prev()));
            }
            chat.learn(row.into());
            chat.peer_delivered = chat.peer_delivered.max(row.peer_delivered_seq.unwrap_or_default());
            chat.peer_read = chat.peer_read.max(row.peer_read_seq.unwrap_or_default());
            chat.active = chat.active.max(row.time.0);
            self.last_messages.learn_row(row);
            let muted = (!self.mutes_to_tell.contains(&row.conversation)).then_some(row.muted);
            let (pinned, hidden) = (Some(row.pinned), Some(row.hidden));
            self.apply(row.conversation, SettingsChange { pinned, muted, hidden });
        }
        self.order_new();
    }

    /// Learns what another device has read, cleared or set. Returns whether messages that were unread here were cleared.
    pub fn learn_view(&mut self, view: &ConversationView) -> bool {
        let ConversationView { conversation, first_seq, pinned, muted, hidden, .. } = *view;
        let muted = (!self.mutes_to_tell.contains(&conversation)).then_some(muted);
        self.apply(conversation, SettingsChange { pinned: Some(pinned), muted, hidden: Some(hidden) });
        let Some(chat) = self.chats.get_mut(&conversation) else { return false };
        let is_cleared = first_seq.prev() > chat.read;
        chat.learn(view.into());
        self.forget_upto(conversation, first_seq.prev());
        is_cleared
    }

    /// Takes settings that have changed.
    pub fn apply(&mut self, conversation: ConversationId, change: SettingsChange) {
        let SettingsChange { pinned, muted, hidden } = change;
        for (set, now) in [(&mut self.pinned, pinned), (&mut self.muted, muted), (&mut self.hidden, hidden)] {
            match now {
                Some(true) => drop(set.insert(conversation)),
                Some(false) => drop(set.remove(&conversation)),
                None => {}
            }
        }
    }

    /// The conversations to list, in their order: without the hidden ones, the pinned ones first.
    pub fn listed(&self) -> Vec<ConversationId> {
        let shown = || self.order.iter().copied().filter(|id| !self.hidden.contains(id));
        let (pinned, others) = (shown().filter(|id| self.pinned.contains(id)), shown());
        pinned.chain(others.filter(|id| !self.pinned.contains(id))).collect()
    }

    /// Appends the conversations that have no place yet, those that were active last first.
    fn order_new(&mut self) {
        if self.order.len() == self.chats.len() {
            return;
        }
        let known: BTreeSet<_> = self.order.iter().copied().collect();
        let mut new: Vec<_> = self.chats.keys().copied().filter(|id| !known.contains(id)).collect();
        new.sort_by_key(|id| std::cmp::Reverse(self.chats.get(id).map_or(0, |chat| chat.active)));
        self.order.append(&mut new);
    }

    /// The conversations that the status names: with unread messages, and not muted unless the user is mentioned.
    pub fn unread(&self) -> Vec<(&ConversationId, &Chat)> {
        let unread = self.chats.iter().filter(|(id, chat)| {
            !chat.unread.is_none() && (!self.muted.contains(id) || chat.unread.mentions() > 0)
        });
        unread.collect()
    }

    /// How many messages are unread in them.
    pub fn unread_in_all(&self) -> u64 {
        self.unread().iter().map(|(_, chat)| chat.unread.count()).sum()
    }

    /// Forgets messages that the server does not have any more.
    pub fn forget_above(&mut self, conversation: ConversationId, after: Seq) {
        let Some(chat) = self.chats.get_mut(&conversation) else { return };
        chat.unread.forget(chat.last.0.saturating_sub(after.0), after);
        let receipts = [&mut chat.peer_delivered, &mut chat.peer_read, &mut chat.read_by_all];
        for seq in [&mut chat.last, &mut chat.shown].into_iter().chain(receipts) {
            *seq = (*seq).min(after);
        }
        chat.own_above.retain(|own| *own <= after);
        self.last_messages.forget_above(conversation, after);
    }

    /// Forgets messages that the user does not see any more.
    pub fn forget_upto(&mut self, conversation: ConversationId, upto: Seq) {
        let Some(chat) = self.chats.get_mut(&conversation) else { return };
        chat.show(upto);
        self.last_messages.forget_upto(conversation, upto);
        // Those of them that were unread are not known apart.
        let forgotten = chat.read.next().0..=upto.0;
        chat.mark_read(upto, forgotten.map(|seq| (Seq(seq), false)));
    }

    /// Learns the peer's name from a received message.
    pub fn learn_message(&mut self, message: &Message) {
        let chat =
            self.chats.entry(message.conversation).or_insert_with(|| Chat::new(message.kind, None, ""));
        chat.kind = message.kind;
        if message.is_message() {
            self.hidden.remove(&message.conversation);
        }
        if message.kind == ConversationKind::Direct && message.from != self.me {
            (chat.peer, chat.name) = (Some(message.from), message.name.to_string());
        }
        self.last_messages.learn_entry(message);
        self.alike.meet(message.from, &message.name);
        self.order_new();
    }

    /// Learns the conversation of a sent message, which may be new.
    pub fn learn_sent(&mut self, conversation: ConversationId, to: &Target, seq: Seq) {
        let new = match to {
            Target::User(id) => {
                Chat::new(ConversationKind::Direct, Some(*id), self.known_name(*id).unwrap_or_default())
            }
            Target::Name(name) => Chat::new(ConversationKind::Direct, None, name),
            Target::Conversation(_) | Target::Group(_) => Chat::new(ConversationKind::Group, None, ""),
        };
        self.chats.entry(conversation).or_insert(new).store(seq);
        self.hidden.remove(&conversation);
        self.order_new();
    }

    /// Learns the text of a sent message.
    pub fn learn_own(&mut self, conversation: ConversationId, seq: Seq, time: UnixMillis, text: &str) {
        let (from, name, content_type) = (self.me, self.my_name.as_str().into(), TEXT.into());
        let mut last = LastMessage { seq, from, name, content_type, content: Box::default(), time };
        last.set_content(text);
        self.last_messages.learn(conversation, last);
    }

    /// The direct chat with a user.
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

    /// The conversation of a target, if there is one yet.
    pub fn conversation_of(&self, to: &Target) -> Option<ConversationId> {
        match to {
            Target::User(id) => self.direct(&Who::Id(*id)),
            Target::Name(name) => self.direct(&Who::Name(name.clone())),
            Target::Conversation(id) | Target::Group(id) => Some(*id),
        }
    }

    /// The target for messages to a conversation.
    pub fn target_of(&self, conversation: ConversationId) -> Target {
        match self.chats.get(&conversation) {
            Some(Chat { kind: ConversationKind::Direct, peer: Some(peer), .. }) => Target::User(*peer),
            Some(Chat { kind: ConversationKind::Direct, peer: None, name, .. }) => {
                Target::Name(name.as_str().into())
            }
            _ => Target::Group(conversation),
        }
    }

    /// What the conversation of a target is called wherever it is open: a direct chat by its peer's id, if it is known.
    pub fn canonical(&self, to: Target) -> Target {
        match &to {
            Target::User(_) => to,
            Target::Name(name) => {
                let direct = self.direct(&Who::Name(name.clone()));
                let peer = direct.and_then(|direct| self.chats.get(&direct)?.peer);
                peer.map_or(to, Target::User)
            }
            Target::Conversation(id) | Target::Group(id) => self.target_of(*id),
        }
    }

    /// Learns which of the users that are known have names that look alike.
    pub fn meet_all(&mut self) {
        self.alike.meet(self.me, &self.my_name);
        for friend in self.friends.values() {
            self.alike.meet(friend.id, &friend.name);
        }
        for chat in self.chats.values() {
            if let Some(peer) = chat.peer {
                self.alike.meet(peer, &chat.name);
            }
        }
    }

    /// Learns the names of users in a list.
    pub fn meet(&mut self, id: UserId, name: &str) {
        self.alike.meet(id, name);
    }

    /// The names to complete.
    pub fn names(&self) -> Names {
        let peers = self.chats.values().filter(|chat| chat.kind == ConversationKind::Direct);
        let friends = self.friends.values().map(|friend| friend.name.to_string());
        let users = friends.chain(peers.map(|chat| chat.name.clone())).filter(|name| !name.is_empty());
        let groups = self.groups.values().map(|group| (group.conversation.0, group.name.to_string()));
        Names { users: users.collect(), groups: groups.collect(), ..Names::default() }
    }

    /// The target for messages to a user. A friend's name becomes an id, so that all messages to the friend keep one
    /// order.
    pub fn target(&self, who: &Who) -> Target {
        match who {
            Who::Id(id) => Target::User(*id),
            Who::Name(wanted) if name::key(&self.my_name) == name::key(wanted) => Target::User(self.me),
            Who::Name(wanted) => {
                let known = self.friends.values().find(|friend| name::key(&friend.name) == name::key(wanted));
                known.map_or_else(|| Target::Name(wanted.clone()), |friend| Target::User(friend.id))
            }
        }
    }

    // ---- labels -----------------------------------------------------------------------------------------------

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

    /// The label of a group or of a direct chat.
    pub fn conversation(&self, id: ConversationId) -> String {
        match self.chats.get(&id) {
            Some(Chat { kind: ConversationKind::Group, .. }) | None => self.group(id),
            Some(Chat { peer: Some(id), name, .. }) if !name.is_empty() && *id != self.me => {
                person(name, *id)
            }
            Some(Chat { peer: Some(id), .. }) => self.target_label(&Target::User(*id)),
            Some(Chat { peer: None, name, .. }) => sanitize::name(name).into_owned(),
        }
    }

    /// A name, with the id where the name can be taken for another one.
    pub fn name_of(&self, id: UserId, name: &str) -> String {
        if self.alike.needs_id(id, name) { person(name, id) } else { sanitize::name(name).into_owned() }
    }

    /// The name of a user who was met in so many columns, with the id behind it where that does not tell who it is.
    pub fn short_name(&self, id: UserId, width: usize) -> String {
        let known = self.known_name(id).filter(|name| !name.is_empty()).or_else(|| self.alike.name(id));
        let Some(name) = known else { return format!("user {id}") };
        let whole = sanitize::name(name);
        let cut = columns::cut(&whole, width);
        if cut != *whole || self.alike.needs_id(id, name) { format!("{cut} ({id})") } else { cut }
    }

    /// The same of a conversation.
    pub fn short_label(&self, target: &Target, width: usize) -> String {
        match self.canonical(target.clone()) {
            Target::User(id) => self.short_name(id, width),
            other => columns::cut(&self.target_label(&other), width),
        }
    }

    /// The label of a target.
    pub fn target_label(&self, target: &Target) -> String {
        match &self.canonical(target.clone()) {
            Target::User(id) if *id == self.me => format!("{} notes", self.user(*id)),
            Target::User(id) => self.user(*id),
            Target::Name(name) => sanitize::name(name).into_owned(),
            Target::Conversation(id) | Target::Group(id) => self.group(*id),
        }
    }

    /// Whether there is such a user, as far as this account has seen.
    pub fn knows(&self, id: UserId) -> bool {
        self.known_name(id).is_some() || self.direct(&Who::Id(id)).is_some()
    }

    pub fn known_name(&self, id: UserId) -> Option<&str> {
        if id == self.me {
            return Some(&self.my_name);
        }
        let friend = self.friends.get(&id).map(|friend| &*friend.name);
        let stranger = || self.strangers.get(&id).map(String::as_str);
        let chat = || self.chats.values().find(|chat| chat.peer == Some(id)).map(|chat| &*chat.name);
        friend.or_else(|| chat().filter(|name| !name.is_empty())).or_else(stranger)
    }
}
