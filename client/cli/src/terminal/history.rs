//! What was said before: pages from the server, and from the store where the server is out of reach.

use super::chat::Pending;
use super::style::{Mark, person};
use super::{Terminal, clock, command};
use chatclient_core::sanitize;
use std::sync::Arc;
use wire::account::Who;
use wire::timeline::HistoryPage;
use wire::{ConversationId, Direction, Message, Seq};

/// Messages that a page shows.
const PAGE: u32 = 20;
/// Messages of the conversation that was open last, shown when the program is opened.
const LEFT_OFF: u32 = 10;
/// Unread messages that are shown then, of all conversations.
const UNREAD: u32 = 200;

/// A page that was asked for. `command` shows older messages, but for the seq.
#[derive(Clone, Debug)]
pub struct Wanted {
    conversation: ConversationId,
    before: Option<Seq>,
    command: String,
}

impl Terminal {
    pub(super) fn history_with(&mut self, who: &Who, before: Option<Seq>) {
        match self.directory.direct(who) {
            Some(conversation) => {
                let who = match who {
                    Who::Id(id) => id.to_string(),
                    Who::Name(name) => sanitize::line(name).into_owned(),
                };
                self.history(conversation, before, format!("history:{who}"));
            }
            None => self.say(&format!("no messages with {} yet", self.label(who))),
        }
    }

    /// Of a user, of a group (`#7`), or of the conversation that is open.
    pub(super) fn history_of(&mut self, of: Option<&str>) {
        match of {
            Some(group) if group.starts_with('#') => match command::group(group) {
                Some(group) => self.history(group, None, format!("grouphistory:{group}")),
                None => self.say("a group's id is a number, as in /history #7"),
            },
            Some(who) => match command::who(who) {
                Some(who) => self.history_with(&who, None),
                None => self.history_of(None),
            },
            None => match self.here.as_ref().and_then(|here| self.directory.conversation_of(here)) {
                Some(conversation) => self.history(conversation, None, "/older".to_owned()),
                None => self.say("no conversation is open: /history WHO, or /history #GROUP"),
            },
        }
    }

    pub(super) fn history(&mut self, conversation: ConversationId, before: Option<Seq>, command: String) {
        let wanted = Wanted { conversation, before, command };
        let direction = Direction::Before(before.unwrap_or(Seq::MAX));
        self.request(Pending::History(wanted), |session, now| {
            session.history(now, conversation, direction, PAGE)
        });
    }

    /// The page before the one that was shown last.
    pub(super) fn older(&mut self) {
        match self.page_shown {
            Some((_, first)) if first <= Seq(1) => self.say("there is nothing older"),
            Some((conversation, first)) => self.history(conversation, Some(first), "/older".to_owned()),
            None => self.history_of(None),
        }
    }

    pub(super) fn handle_history(&mut self, wanted: &Wanted, page: &HistoryPage) {
        self.show_page(wanted, &page.messages, page.more);
    }

    /// Shows a page as far as it is kept here.
    pub(super) fn history_from_store(&mut self, wanted: &Wanted) {
        let before = wanted.before.unwrap_or(Seq::MAX);
        match self.client.store(|store| store.history(wanted.conversation, before, PAGE + 1)) {
            Some(mut messages) => {
                let more = messages.len() > PAGE as usize;
                messages.drain(..messages.len().saturating_sub(PAGE as usize));
                self.say("offline; what is kept on this machine:");
                self.show_page(wanted, &messages, more);
            }
            None => self.say("history: not connected, and nothing is kept on this machine"),
        }
    }

    fn show_page(&mut self, wanted: &Wanted, messages: &[Arc<Message>], more: bool) {
        let label = self.directory.conversation(wanted.conversation);
        let mut lines = match messages.len() {
            0 => format!("no messages with {label}"),
            count => format!("history of {label} ({count}):"),
        };
        let mut expected = messages.first().map_or(Seq(0), |message| message.seq);
        for message in messages {
            // The store knows only what this machine has seen.
            if message.seq > expected {
                lines += &format!("\n  #{expected} to #{} are not kept here", message.seq.prev());
            }
            expected = message.seq.next();
            lines += &format!("\n{}", self.history_line(message));
        }
        if let Some(first) = messages.first().filter(|_| more) {
            let seq = if wanted.command == "/older" { String::new() } else { format!(":{}", first.seq) };
            lines += &format!("\nolder: {}{seq}", wanted.command);
        }
        self.say(&lines);
        if let Some(first) = messages.first() {
            self.page_shown = Some((wanted.conversation, first.seq));
        }
        if wanted.before.is_none() {
            self.read_up_to_here(wanted.conversation);
        }
    }

    /// ` ✓ #12   [12:03] zhang san (1): hello`
    fn history_line(&self, message: &Message) -> String {
        let mark = match self.mark_of(message) {
            Some(mark) if self.screen.is_live() => self.style.mark(mark),
            _ => "  ",
        };
        let who = self.style.name(&person(&message.name, message.from), message.from);
        let (at, text) = (clock::short(message.time), sanitize::line(&message.content));
        format!("{mark} #{:<4} [{at}] {who}: {text}", message.seq)
    }

    /// How far a message has come, if it is an own one.
    pub(super) fn mark_of(&self, message: &Message) -> Option<Mark> {
        let chat = self.directory.chats.get(&message.conversation);
        (message.from == self.directory.me).then(|| chat.map_or(Mark::Stored, |chat| chat.mark(message.seq)))
    }

    // ---- opening ---------------------------------------------------------------------------------------------------------

    /// Takes up what the store keeps: the conversation that was open, and what was not read.
    pub(super) fn take_up(&mut self) {
        let left = self.client.store(|store| {
            Ok((store.current()?, store.unread(UNREAD)?, store.failed()?, store.snapshot()?.unsent))
        });
        let Some((current, mut unread, failed, unsent)) = left else { return };
        if let Some(current) = current.filter(|current| self.directory.chats.contains_key(current)) {
            let count = self.directory.chats[&current].unread as u32;
            let page =
                self.client.store(|store| store.history(current, Seq::MAX, LEFT_OFF.max(count.min(UNREAD))));
            let page = page.unwrap_or_default();
            if let Some(first) = page.first() {
                self.say(&format!(
                    "{}, where you left off (older: /older):",
                    self.directory.conversation(current)
                ));
                self.page_shown = Some((current, first.seq));
            }
            page.iter().for_each(|message| self.show_line(message));
            unread.retain(|message| message.conversation != current);
            self.here = Some(self.directory.target_of(current));
            self.read_up_to_here(current);
        }
        if !unread.is_empty() {
            self.say(&format!("{} unread:", unread.len()));
            unread.iter().for_each(|message| self.show_line(message));
        }
        for unsent in unsent {
            self.show_waiting(unsent);
        }
        for failed in failed {
            self.show_failed(failed);
        }
    }
}
