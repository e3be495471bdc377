//! What messages refer to: `/reply` and the quotes of what is answered, `@NAME` and the members who can be mentioned.

use super::state::Terminal;
use crate::command::complete::Recent;
use crate::command::message::Reply as ReplyCommand;
use crate::display::mention::{ALL, may_mention, mentioned};
use crate::display::{change, columns};
use chatclient_core::sanitize;
use wire::group::{Reply as GroupReply, Role};
use wire::{
    ConversationId, ConversationKind, Mentions, Message, References, Reply, Seq, System, Target, UserId,
};

/// Columns of the text in a quote.
const QUOTE_COLUMNS: usize = 32;
/// Messages that Tab completes the number of.
const RECENT: usize = 20;
/// Members of a group whose names are read, to be mentioned.
const MEMBERS_MAX: usize = 1_000;

// ---- replies -------------------------------------------------------------------------------------------------------

impl Terminal {
    pub(super) fn reply(&mut self, line: &str, reply: &ReplyCommand) {
        let found = match &reply.of {
            Some(of) => match self.directory.conversation_meant(of) {
                Ok(found) => {
                    found.ok_or_else(|| format!("there is no conversation with {}", sanitize::line(of)))
                }
                Err(question) => Err(question),
            },
            None => self
                .open_conversation()
                .ok_or_else(|| "no conversation is open: /reply WHO:N TEXT".to_owned()),
        };
        let answered =
            found.and_then(|conversation| match reply.seq.or_else(|| self.last_of_others(conversation)) {
                Some(seq) => Ok((conversation, seq)),
                None => Err("there is no message of somebody else to answer: /reply N TEXT".to_owned()),
            });
        match answered {
            Ok((conversation, seq)) => {
                self.send_answer(self.directory.target_of(conversation), &reply.text, Some(seq));
            }
            Err(sentence) => {
                self.show_typed(line);
                self.say(&sentence);
            }
        }
    }

    /// The last one of the latest messages that somebody else sent.
    fn last_of_others(&self, conversation: ConversationId) -> Option<Seq> {
        let latest =
            self.client.store(|store| store.history(conversation, Seq::MAX, wire::limits::PAGE_MAX))?;
        let me = self.directory.me;
        latest.iter().rfind(|message| message.is_message() && message.from != me).map(|message| message.seq)
    }

    /// `[re zhang san: who comes along?] `, before the text of a message that answers another one. What is not stored
    /// here is told by its number.
    pub(super) fn quote(&self, conversation: ConversationId, reply_to: Option<Seq>) -> String {
        let Some(seq) = reply_to else { return String::new() };
        let found = self.client.store(|store| store.entry(conversation, seq)).flatten();
        let what = match found {
            Some(message) => self.beginning_of(message.from, &message.name, change::text(&message)),
            None => format!("#{seq}"),
        };
        format!("{} ", self.style.notice(&format!("[re {what}]")))
    }

    /// `zhang san: who comes along?`, cut to a few columns.
    pub(super) fn beginning_of(&self, from: UserId, name: &str, text: &str) -> String {
        let name = match from == self.directory.me {
            true => "you".to_owned(),
            false => self.directory.name_of(from, name),
        };
        format!("{name}: {}", columns::cut(&sanitize::line(text), QUOTE_COLUMNS))
    }

    // ---- completion ------------------------------------------------------------------------------------------------

    /// Another conversation was opened.
    pub(super) fn learn_here(&mut self) {
        let here = self.open_conversation();
        let latest =
            here.and_then(|id| self.client.store(|store| store.history(id, Seq::MAX, RECENT as u32)));
        let messages = latest.unwrap_or_default();
        let recent = messages.iter().rev().filter(|message| message.is_message());
        let recent = recent.filter_map(|message| self.recent_of(message)).collect();
        self.editor.here_mut().recent = recent;
        match here
            .filter(|id| self.directory.chats.get(id).is_none_or(|chat| chat.kind == ConversationKind::Group))
        {
            Some(group) if !self.members.contains_key(&group) => self.ask_names(group, 0),
            _ => {}
        }
        self.publish_members();
    }

    /// A message was received or stored in the open conversation.
    pub(super) fn learn_recent(&mut self, recent: Recent) {
        let known = &mut self.editor.here_mut().recent;
        known.push_front(recent);
        known.truncate(RECENT);
    }

    pub(super) fn learn_received(&mut self, message: &Message) {
        if message.kind == ConversationKind::Group
            && !message.system().is_some_and(System::removes_members)
            && let Some(members) = self.members.get_mut(&message.conversation)
            && members.insert(message.from, message.name.to_string()).is_none()
        {
            self.publish_members();
        }
        if message.is_message() && self.is_open(message.conversation) {
            self.recent_of(message).into_iter().for_each(|recent| self.learn_recent(recent));
        }
    }

    /// A message was changed.
    pub(super) fn learn_changed(&mut self, message: &Message) {
        let changed = self.recent_of(message);
        let known = &mut self.editor.here_mut().recent;
        let Some(at) = known.iter().position(|recent| recent.seq == message.seq) else { return };
        match changed {
            Some(changed) => known[at] = changed,
            None => drop(known.remove(at)),
        }
    }

    /// `None`: it was recalled, so nothing can be done with it.
    fn recent_of(&self, message: &Message) -> Option<Recent> {
        let (seq, is_own) = (message.seq, message.from == self.directory.me);
        let label = self.beginning_of(message.from, &message.name, change::text(message));
        message.recalled().is_none().then_some(Recent { seq, is_own, label })
    }

    /// Reads the names of a group's members.
    fn ask_names(&mut self, group: ConversationId, after: u32) {
        self.request(
            |session, now| session.members(now, group, after),
            move |terminal, result| {
                let Ok(Reply::Group(GroupReply::Members(page))) = result else { return };
                let names = terminal.members.entry(group).or_default();
                names.extend(page.members.iter().map(|member| (member.id, member.name.to_string())));
                let last = page.members.last().filter(|_| page.more && names.len() < MEMBERS_MAX);
                if let Some(last) = last {
                    terminal.ask_names(group, last.id.0);
                }
                terminal.publish_members();
            },
        );
    }

    pub(super) fn publish_members(&mut self) {
        let group = self.open_conversation();
        let members = group.and_then(|group| self.members.get(&group));
        let others = members.into_iter().flatten().filter(|(id, _)| **id != self.directory.me);
        let names = others.map(|(_, name)| name.clone());
        let all = group.filter(|group| self.may_mention_all(*group)).map(|_| ALL.to_owned());
        self.editor.here_mut().members = names.chain(all).collect();
    }

    // ---- mentions --------------------------------------------------------------------------------------------------

    /// What a text of one's own refers to.
    pub(super) fn references(
        &self,
        to: &Target,
        text: &str,
        reply_to: Option<Seq>,
    ) -> Option<Box<References>> {
        let mentions = match to {
            Target::Conversation(group) | Target::Group(group) => self.mentions_in(*group, text),
            Target::User(_) | Target::Name(_) => Mentions::Nobody,
        };
        let references = References { reply_to, mentions };
        (!references.is_empty()).then(|| Box::new(references))
    }

    fn mentions_in(&self, group: ConversationId, text: &str) -> Mentions {
        if !may_mention(text) {
            return Mentions::Nobody;
        }
        let members = self.members.get(&group);
        let members: Vec<(UserId, &str)> =
            members.into_iter().flatten().map(|(id, name)| (*id, name.as_str())).collect();
        mentioned(text, &members, self.may_mention_all(group))
    }

    fn may_mention_all(&self, group: ConversationId) -> bool {
        let role = self.directory.groups.get(&group).map(|group| group.role);
        matches!(role, Some(Role::Creator | Role::Admin))
    }
}
