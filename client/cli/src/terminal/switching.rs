//! Choosing the open conversation: `/open`, and Alt with a character.

use super::directory::Chat;
use super::state::Terminal;
use crate::command::argument;
use crate::display::{change, clock};
use wire::Target;

/// The most conversations that `/open` lists.
const LISTED: usize = 50;

impl Terminal {
    /// `WHO`, `#GROUP` or a group's name; nothing lists the conversations.
    pub(super) fn open_any(&mut self, of: Option<&str>) {
        let Some(of) = of else { return self.list_conversations() };
        if let Some(group) = of.strip_prefix('#') {
            let meant = argument::group(group).ok_or_else(|| "write it as /open #GROUP".to_owned());
            return match meant.and_then(|group| self.directory.group_meant(&group)) {
                Ok(id) if self.directory.groups.contains_key(&id) => self.open(Some(Target::Group(id))),
                Ok(_) => self.say("you are in no such group; /join ID joins one"),
                Err(question) => self.say(&question),
            };
        }
        let who = argument::who(of);
        let user = who.as_ref().and_then(|who| self.directory.direct(who));
        match (&self.directory.groups_called(of)[..], user) {
            ([group, ..], Some(_)) => {
                let label = self.directory.group(*group);
                self.say(&format!(
                    "a user and a group have this name: /msg opens the user, /open #{group} opens {label}"
                ));
            }
            ([group], None) => self.open(Some(Target::Group(*group))),
            ([_, ..], None) => self.open_any(Some(&format!("#{of}"))),
            ([], _) => {
                if let Some(who) = who {
                    self.open_user(who);
                }
            }
        }
    }

    /// A key with Alt.
    pub(super) fn handle_alt(&mut self, key: char) {
        let keys = &self.config.keys;
        if let Some(number) = keys.open.chars().position(|open| open == key) {
            match self.directory.listed().get(number).copied() {
                Some(conversation) => self.open(Some(self.directory.target_of(conversation))),
                None => self.say(&format!("there is no conversation {}; /open lists them", number + 1)),
            }
        } else if key == keys.next {
            self.open_next();
        } else if key == keys.older {
            self.older();
        } else if key == keys.newer {
            self.newer();
        }
    }

    /// Opens the conversation with unread messages that was active last; those with mentions come first.
    fn open_next(&mut self) {
        let here = self.open_conversation();
        let active = self.directory.chats.iter().filter(|(id, chat)| {
            !chat.unread.is_none()
                && Some(**id) != here
                && (!self.is_quiet(**id) || chat.unread.mentions() > 0)
        });
        let next =
            active.max_by_key(|(_, chat)| (chat.unread.mentions() > 0, chat.active)).map(|(id, _)| *id);
        match next {
            Some(next) => self.open(Some(self.directory.target_of(next))),
            None => self.say("nothing else is unread"),
        }
    }

    fn list_conversations(&mut self) {
        let listed = self.directory.listed();
        if self.directory.order.is_empty() {
            return self.say("no conversation yet: /msg WHO, or /join GROUP");
        }
        let mut keys = self.config.keys.open.chars();
        let mut lines = "conversations:".to_owned();
        for id in listed.iter().take(LISTED) {
            let key = keys.next().map_or(String::new(), |key| format!("Alt-{key}"));
            let unread = self.directory.chats.get(id).map(unread_of).unwrap_or_default();
            let pinned = if self.directory.pinned.contains(id) { "  pinned" } else { "" };
            let muted = if self.is_quiet(*id) { "  muted" } else { "" };
            let line = format!("\n  {key:<6} {}{unread}{pinned}{muted}", self.directory.conversation(*id));
            lines += &line;
            if let Some(last) = self.directory.last_messages.get(*id) {
                let text = if last.content.is_empty() { change::RECALLED } else { &last.content };
                let (at, who) = (clock::short(last.time), self.beginning_of(last.from, &last.name, text));
                lines += &format!("\n         [{at}] {who}");
            }
        }
        if listed.len() > LISTED {
            lines += &format!("\n  {} {} more", self.style.ellipsis(), listed.len() - LISTED);
        }
        let hidden = self.directory.order.len() - listed.len();
        if hidden > 0 {
            lines += &format!("\n  {hidden} hidden");
        }
        self.say(&lines);
    }
}

/// `  3 unread, 1 @`
fn unread_of(chat: &Chat) -> String {
    match (chat.unread.is_none(), chat.unread.mentions()) {
        (true, _) => String::new(),
        (false, 0) => format!("  {} unread", chat.unread.text()),
        (false, mentions) => format!("  {} unread, {mentions} @", chat.unread.text()),
    }
}
