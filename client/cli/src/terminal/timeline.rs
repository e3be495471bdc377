//! History pages, read and delivery receipts, opening conversations, and the state of the last run.

use super::state::{ShownPage, Terminal};
use crate::command::argument;
use crate::command::timeline::Command;
use crate::display::style::{Mark, person};
use crate::display::{clock, sentence};
use chatclient_core::{Failure, Session, sanitize};
use std::sync::Arc;
use wire::account::Who;
use wire::timeline::{self, ConversationSummary, Push, Receipt};
use wire::{ConversationId, Direction, Message, Reply, Seq, Target};

/// Messages on a page.
const PAGE: u32 = 20;
/// Messages shown of the conversation that was open when the program was left.
const LEFT_OFF: u32 = 10;
/// The most unread messages shown at the start, over all conversations.
const UNREAD: u32 = 200;

/// A page of history that was asked for.
#[derive(Clone, Debug)]
struct PageRequest {
    conversation: ConversationId,
    before: Option<Seq>,
    /// The command that shows the page before, without its seq.
    older: String,
}

// ---- commands ------------------------------------------------------------------------------------------------------

impl Terminal {
    pub(super) fn do_timeline_command(&mut self, command: Command) {
        match command {
            Command::WithUser { who, before } => self.history_with(&who, before),
            Command::OfGroup { group, before } => {
                self.ask_page(group, before, format!("grouphistory:{group}"));
            }
            Command::Latest(of) => self.latest(of.as_deref()),
            Command::Older => self.older(),
            Command::Close => self.open(None),
        }
    }

    fn history_with(&mut self, who: &Who, before: Option<Seq>) {
        match self.directory.direct(who) {
            Some(conversation) => {
                let who = match who {
                    Who::Id(id) => id.to_string(),
                    Who::Name(name) => sanitize::line(name).into_owned(),
                };
                self.ask_page(conversation, before, format!("history:{who}"));
            }
            None => self.say(&format!("no messages with {} yet", self.label(who))),
        }
    }

    /// Of a user, of a group (`#7`), or of the open conversation.
    fn latest(&mut self, of: Option<&str>) {
        match of {
            Some(group) if group.starts_with('#') => match argument::group(group) {
                Some(group) => self.ask_page(group, None, format!("grouphistory:{group}")),
                None => self.say("a group's id is a number, as in /history #7"),
            },
            Some(who) => match argument::who(who) {
                Some(who) => self.history_with(&who, None),
                None => self.latest(None),
            },
            None => match self.here.as_ref().and_then(|here| self.directory.conversation_of(here)) {
                Some(conversation) => self.ask_page(conversation, None, "/older".to_owned()),
                None => self.say("no conversation is open: /history WHO, or /history #GROUP"),
            },
        }
    }

    fn older(&mut self) {
        match self.last_page {
            Some(page) if page.first <= Seq(1) => self.say("there is nothing older"),
            Some(page) => self.ask_page(page.conversation, Some(page.first), "/older".to_owned()),
            None => self.latest(None),
        }
    }

    fn ask_page(&mut self, conversation: ConversationId, before: Option<Seq>, older: String) {
        let page = PageRequest { conversation, before, older };
        let direction = Direction::Before(before.unwrap_or(Seq::MAX));
        self.request(
            |session, now| session.history(now, conversation, direction, PAGE),
            move |terminal, result| match result {
                Ok(Reply::Timeline(timeline::Reply::History(history))) => {
                    terminal.show_page(&page, &history.messages, history.more);
                }
                Err(Failure::Offline | Failure::Lost(_) | Failure::TimedOut) => {
                    terminal.show_stored_page(&page);
                }
                Err(failure) => terminal.report_failure("history", &failure),
                Ok(_) => {}
            },
        );
    }

    fn show_stored_page(&mut self, page: &PageRequest) {
        let before = page.before.unwrap_or(Seq::MAX);
        match self.client.store(|store| store.history(page.conversation, before, PAGE + 1)) {
            Some(mut messages) => {
                let more = messages.len() > PAGE as usize;
                messages.drain(..messages.len().saturating_sub(PAGE as usize));
                self.say("offline; saved on this machine:");
                self.show_page(page, &messages, more);
            }
            None => self.say("history: not connected, and nothing is saved on this machine"),
        }
    }

    fn show_page(&mut self, page: &PageRequest, messages: &[Arc<Message>], more: bool) {
        let label = self.directory.conversation(page.conversation);
        let mut lines = match messages.len() {
            0 => format!("no messages with {label}"),
            count => format!("history of {label} ({count}):"),
        };
        let mut expected = messages.first().map_or(Seq(0), |message| message.seq);
        for message in messages {
            // The store has only what this machine has received.
            if message.seq > expected {
                lines += &format!("\n  #{expected} to #{} are not saved here", message.seq.prev());
            }
            expected = message.seq.next();
            lines += &format!("\n{}", self.history_line(message));
        }
        if let Some(first) = messages.first().filter(|_| more) {
            let seq = if page.older == "/older" { String::new() } else { format!(":{}", first.seq) };
            lines += &format!("\nolder: {}{seq}", page.older);
        }
        self.say(&lines);
        if let Some(first) = messages.first() {
            self.last_page = Some(ShownPage { conversation: page.conversation, first: first.seq });
        }
        if page.before.is_none() {
            self.read_to_end(page.conversation);
        }
    }

    /// ` ✓ #12   [12:03] zhang san (1): hello`
    fn history_line(&self, message: &Message) -> String {
        let mark = match self.mark_of(message) {
            Some(mark) if self.screen.is_interactive() => self.style.mark(mark),
            _ => "  ",
        };
        let who = self.style.name(&person(&message.name, message.from), message.from);
        let (at, text) = (clock::short(message.time), sanitize::line(&message.content));
        format!("{mark} #{:<4} [{at}] {who}: {text}", message.seq)
    }
}

// ---- conversations -------------------------------------------------------------------------------------------------

impl Terminal {
    /// Opens a conversation: plain text goes to it, and its messages count as read.
    pub(super) fn open(&mut self, to: Option<Target>) {
        self.switch_to(to);
        let conversation = self.here.as_ref().and_then(|here| self.directory.conversation_of(here));
        self.client.store(|store| store.set_current(conversation));
        if let Some(conversation) = conversation {
            let chat = self.directory.chats.get_mut(&conversation);
            if chat.is_some_and(|chat| std::mem::take(&mut chat.elsewhere)) {
                self.ask_page(conversation, None, "/history".to_owned());
            }
            self.read_to_end(conversation);
        }
    }

    /// Opens the chat with a user, if there is such a user, before the next line is read.
    pub(super) fn open_user(&mut self, who: Who) {
        let to = self.directory.target(&who);
        let is_known = match &to {
            Target::User(id) => self.directory.knows(*id),
            Target::Name(_) => self.directory.direct(&who).is_some(),
            Target::Conversation(_) => true,
        };
        if is_known {
            return self.open(Some(to));
        }
        let label = self.label(&who);
        self.request_before_prompt(
            |session, now| session.ask(now, wire::account::Request::Profile(Some(who))),
            move |terminal, result| match result {
                Ok(Reply::Account(wire::account::Reply::Profile(found))) => {
                    terminal.directory.strangers.insert(found.id, found.name.to_string());
                    terminal.open(Some(Target::User(found.id)));
                }
                Ok(_) => terminal.say("/msg: unexpected reply from the server"),
                Err(Failure::Refused(refusal)) => {
                    terminal.report_failure("/msg", &Failure::Refused(refusal));
                }
                Err(failure) => {
                    let why = sentence(&failure);
                    terminal.say(&format!("/msg: {label} is not known on this machine: {why}"));
                }
            },
        );
    }

    pub(super) fn is_open(&self, conversation: ConversationId) -> bool {
        self.here.as_ref().is_some_and(|here| self.directory.conversation_of(here) == Some(conversation))
    }

    /// Marks everything in a conversation as read. A message is read if a person at a terminal has its conversation
    /// open while it is shown, or opens it later; never because piped output contained it.
    pub(super) fn read_to_end(&mut self, conversation: ConversationId) {
        let Some(chat) = self.directory.chats.get_mut(&conversation) else { return };
        if self.has_reader {
            chat.unread = 0;
            let seq = chat.last;
            self.client.with(|session, now| session.read(now, conversation, seq));
        }
    }

    pub(super) fn learn_conversations(&mut self, rows: &[ConversationSummary]) {
        self.directory.learn_conversations(rows);
        self.publish_names();
        self.update_marks();
    }

    /// Asks for the names of the peers of the latest conversations.
    pub(super) fn ask_peers(&mut self) {
        self.request(Session::latest_conversations, |terminal, result| {
            if let Ok(Reply::Timeline(timeline::Reply::Conversations(page))) = result {
                terminal.directory.learn_conversations(&page.conversations);
                terminal.publish_names();
            }
        });
    }

    // ---- receipts --------------------------------------------------------------------------------------------------

    pub(super) fn handle_timeline_push(&mut self, push: Push) {
        match push {
            Push::Delivered(receipt) => self.handle_receipt(receipt, Mark::Delivered),
            Push::ReadReceipt(receipt) => self.handle_receipt(receipt, Mark::Read),
        }
    }

    fn handle_receipt(&mut self, receipt: Receipt, mark: Mark) {
        let Receipt { conversation, seq, .. } = receipt;
        if let Some(chat) = self.directory.chats.get_mut(&conversation) {
            chat.peer_delivered = chat.peer_delivered.max(seq);
            if mark == Mark::Read {
                chat.peer_read = chat.peer_read.max(seq);
            }
        }
        if self.own.advance(&self.screen, conversation, seq, mark) && self.marks_as_lines {
            let what = if mark == Mark::Read { "read by" } else { "delivered to" };
            self.say_mark(mark, &format!("{what} {}", self.directory.conversation(conversation)));
        }
    }

    /// Applies the receipts that are part of the conversations' state.
    pub(super) fn update_marks(&mut self) {
        for (id, chat) in &self.directory.chats {
            self.own.advance(&self.screen, *id, chat.peer_delivered, Mark::Delivered);
            self.own.advance(&self.screen, *id, chat.peer_read, Mark::Read);
        }
    }

    // ---- the last run ----------------------------------------------------------------------------------------------

    /// Shows what the store has: the conversation that was open, unread messages, unsent and failed ones.
    pub(super) fn show_stored(&mut self) {
        let stored = self.client.store(|store| {
            Ok((store.current()?, store.unread(UNREAD)?, store.failed()?, store.snapshot()?.unsent))
        });
        let Some((current, mut unread, failed, unsent)) = stored else { return };
        if let Some(current) = current.filter(|current| self.directory.chats.contains_key(current)) {
            let count = self.directory.chats[&current].unread as u32;
            let page =
                self.client.store(|store| store.history(current, Seq::MAX, LEFT_OFF.max(count.min(UNREAD))));
            let page = page.unwrap_or_default();
            if let Some(first) = page.first() {
                let label = self.directory.conversation(current);
                self.say(&format!("{label}, where you left off (older: /older):"));
                self.last_page = Some(ShownPage { conversation: current, first: first.seq });
            }
            page.iter().for_each(|message| self.show_message(message));
            unread.retain(|message| message.conversation != current);
            self.switch_to(Some(self.directory.target_of(current)));
            self.read_to_end(current);
        }
        if !unread.is_empty() {
            self.say(&format!("{} unread:", unread.len()));
            unread.iter().for_each(|message| self.show_message(message));
        }
        unsent.into_iter().for_each(|unsent| self.show_unsent(unsent));
        failed.into_iter().for_each(|failed| self.show_failed(failed));
    }
}
