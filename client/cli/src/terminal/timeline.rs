//! Pages of history, read and delivery receipts, and the state of the last run.

use super::opening::PAGE;
use super::renderer::Shown;
use super::state::{Terminal, Window};
use crate::command::argument::{self, WhichGroup};
use crate::command::timeline::Command;
use crate::display::clock;
use crate::display::style::{Mark, person};
use chatclient_core::{Session, sanitize};
use wire::account::Who;
use wire::limits::UNREAD_WINDOW;
use wire::timeline::{self, ConversationSummary, HistoryPage, Push, Receipt};
use wire::{ConversationId, Direction, Message, Reply, Seq};

/// The most unread messages shown at the start, over all conversations.
const UNREAD: u32 = 200;

// ---- commands ------------------------------------------------------------------------------------------------------

impl Terminal {
    pub(super) fn do_timeline_command(&mut self, command: Command) {
        match command {
            Command::WithUser { who, before, typed } => match self.directory.other_user(&typed) {
                None => self.history_with(&who, before),
                Some(other) => self.say(&other.question()),
            },
            Command::OfGroup { group, before, typed } => match self.directory.other_group(&typed) {
                None => self.history_of_group(&group, before),
                Some(other) => self.say(&other.question()),
            },
            Command::Latest(of) => self.latest(of.as_deref()),
            Command::Older => self.older(),
            Command::Newer => self.newer(),
            Command::Open(of) => self.open_any(of.as_deref()),
            Command::Set(setting, of) => self.set_conversation(setting, of.as_deref()),
            Command::Forget(of) => self.ask_to_forget(of.as_deref()),
            Command::Readers { group, seq, typed } => match self.directory.other_group(&typed) {
                None => self.list_readers(group.as_ref(), seq),
                Some(other) => self.say(&other.question()),
            },
            Command::Search { of, text } => self.search(of.as_deref(), text.as_deref()),
            Command::Close => self.open(None),
        }
    }

    fn history_with(&mut self, who: &Who, before: Option<Seq>) {
        match self.directory.direct(who) {
            Some(conversation) => {
                let who = match who {
                    Who::Id(id) => id.to_string(),
                    Who::Name(name) => format!("\"{}\"", sanitize::line(name)),
                };
                self.ask_page(conversation, before, format!("history:{who}"));
            }
            // There may be no such user.
            None => self.ask(
                "history",
                |session, now| session.ask(now, wire::account::Request::Profile(Some(who.clone()))),
                |reply| match reply {
                    Reply::Account(wire::account::Reply::Profile(found)) => Some(found),
                    _ => None,
                },
                |terminal, found| {
                    let label = terminal.directory.learn_user(found.id, &found.name);
                    terminal.say(&format!("no messages with {label} yet"));
                },
            ),
        }
    }

    fn history_of_group(&mut self, group: &WhichGroup, before: Option<Seq>) {
        match self.directory.group_meant(group) {
            Ok(group) => self.ask_page(group, before, format!("grouphistory:{group}")),
            Err(sentence) => self.say(&sentence),
        }
    }

    /// Of a user, of a group (`#7`), or of the open conversation.
    fn latest(&mut self, of: Option<&str>) {
        match of {
            Some(of) if of.starts_with('#') => match argument::group(of) {
                Some(group) => self.history_of_group(&group, None),
                None => self.say("write it as /history #GROUP, for example /history #7"),
            },
            Some(who) => match argument::who(who) {
                Some(who) => self.history_with(&who, None),
                None => self.latest(None),
            },
            None => match self.open_conversation() {
                Some(conversation) => self.show_older(conversation, Seq::MAX),
                None => self.say("no conversation is open: /history WHO, or /history #GROUP"),
            },
        }
    }

    /// Shows the page before the first message of the open conversation that was shown.
    pub(super) fn older(&mut self) {
        let Some(conversation) = self.open_conversation() else {
            return self.say("no conversation is open: /history WHO, or /history #GROUP");
        };
        match self.window.filter(|window| window.conversation == conversation) {
            Some(window) if window.first <= Seq(1) => self.say("there is nothing older"),
            Some(window) => self.show_older(conversation, window.first),
            None => self.show_older(conversation, Seq::MAX),
        }
    }

    fn show_older(&mut self, conversation: ConversationId, before: Seq) {
        self.read_page(conversation, Direction::Before(before), PAGE, move |terminal, page| match page {
            Ok(page) => {
                let older = page.more.then_some("/older".to_owned());
                terminal.show_page(conversation, &page, before < Seq::MAX, older);
                let Some(first) = page.messages.first().filter(|_| terminal.is_open(conversation)) else {
                    return;
                };
                match &mut terminal.window {
                    Some(window) if before < Seq::MAX => window.first = first.seq,
                    window => {
                        let last = page.messages.last().map_or(first.seq, |last| last.seq);
                        *window = Some(Window { conversation, first: first.seq, last });
                    }
                }
            }
            Err(failure) => terminal.report_failure("history", &failure),
        });
    }

    /// `command` shows the page before, with the seq that is added to it.
    fn ask_page(&mut self, conversation: ConversationId, before: Option<Seq>, command: String) {
        let direction = Direction::Before(before.unwrap_or(Seq::MAX));
        self.read_page(conversation, direction, PAGE, move |terminal, page| match page {
            Ok(page) => {
                let first = page.messages.first().filter(|_| page.more).map(|first| first.seq);
                let older = first.map(|first| format!("{command}:{first}"));
                terminal.show_page(conversation, &page, before.is_some(), older);
            }
            Err(failure) => terminal.report_failure("history", &failure),
        });
    }

    /// Shows a page in one block. `older` is the command for the one before.
    fn show_page(
        &mut self,
        conversation: ConversationId,
        page: &HistoryPage,
        is_older: bool,
        older: Option<String>,
    ) {
        let label = self.directory.conversation(conversation);
        let (Some(first), Some(last)) = (page.messages.first(), page.messages.last()) else {
            return self.say(&match is_older {
                true => "there is nothing older".to_owned(),
                false => format!("no messages with {label}"),
            });
        };
        if self.outage.is_on() {
            self.say("offline; saved on this machine:");
        }
        self.say(&format!("history of {label}, #{} to #{} ({}):", first.seq, last.seq, page.messages.len()));
        let (mut expected, mut day) = (first.seq, None);
        for message in &page.messages {
            // The store has only what this machine has received.
            if message.seq > expected {
                self.say(&format!("  #{expected} to #{} are not saved here", message.seq.prev()));
            }
            expected = message.seq.next();
            let of = self.has_reader.then(|| clock::shown(message.time, &self.config.day));
            if let Some(of) = of.filter(|of| day.as_ref() != Some(of)) {
                self.say_title(&of);
                day = Some(of);
            }
            let line = self.history_line(message);
            self.screen.print_message(Shown { conversation, seq: message.seq, in_list: true }, line);
        }
        if let Some(older) = older {
            self.say(&format!("older: {older}"));
        }
        self.last_day = day;
        self.note_shown(conversation, &page.messages);
    }

    /// ` ✓ #12   [12:03] zhang san (1): hello`
    pub(super) fn history_line(&mut self, message: &Message) -> String {
        let mark = match self.mark_of(message) {
            Some(mark) if self.screen.is_interactive() => self.style.mark(mark),
            _ => "  ",
        };
        let at = self.time_of(message);
        if !message.is_message() {
            let what = self.what_happened(message);
            return self.style.notice(&format!("{mark} #{:<4} [{at}] {what}", message.seq));
        }
        let who = self.style.name(&person(&message.name, message.from), &message.name);
        let answered = self.quote(message.conversation, message.reply_to());
        let text = self.text_of(message, &answered);
        self.style.notice(&format!("{mark} #{:<4} [{at}] {who}:{text}", message.seq))
    }

    /// The time of a message; a person sees the day in a line of its own.
    pub(super) fn time_of(&self, message: &Message) -> String {
        if self.has_reader {
            clock::shown(message.time, &self.config.time)
        } else {
            clock::short(message.time)
        }
    }
}

// ---- conversations -------------------------------------------------------------------------------------------------

impl Terminal {
    pub(super) fn learn_conversations(&mut self, rows: &[ConversationSummary]) {
        let rows = self.with_read_here(rows);
        self.directory.learn_conversations(&rows);
        self.publish_names();
        self.update_marks();
    }

    /// The server's view of conversations, without what was read here and the server has yet to learn.
    pub(super) fn with_read_here(&self, rows: &[ConversationSummary]) -> Vec<ConversationSummary> {
        let mut rows = rows.to_vec();
        for row in &mut rows {
            let read = self.directory.chats.get(&row.conversation).map_or(Seq(0), |chat| chat.read);
            if read <= row.read_seq {
                continue;
            }
            let window = Seq(row.last_seq.0.saturating_sub(UNREAD_WINDOW));
            let after = if row.unread_more { window.max(row.read_seq) } else { row.read_seq };
            let theirs = self.client.store(|store| store.theirs(row.conversation, after, read));
            if let Some((messages, mentions)) = theirs {
                row.read_seq = read;
                row.unread = row.unread.saturating_sub(messages);
                row.mentions = row.mentions.saturating_sub(mentions);
                row.unread_more &= row.last_seq.0.saturating_sub(read.0) > UNREAD_WINDOW;
            }
        }
        rows
    }

    /// Asks for the names of the peers of the latest conversations.
    pub(super) fn ask_peers(&mut self) {
        self.request(Session::latest_conversations, |terminal, result| {
            if let Ok(Reply::Timeline(timeline::Reply::Conversations(page))) = result {
                let rows = terminal.with_read_here(&page.conversations);
                terminal.directory.learn_conversations(&rows);
                terminal.publish_names();
            }
        });
    }

    // ---- receipts --------------------------------------------------------------------------------------------------

    pub(super) fn handle_timeline_push(&mut self, push: Push) {
        match push {
            Push::Delivered(receipt) => self.handle_receipt(receipt, Mark::Delivered),
            Push::ReadReceipt(receipt) => self.handle_receipt(receipt, Mark::Read),
            Push::Typing(typist) => self.handle_typing(typist),
            Push::Conversation(view) => {
                if self.directory.learn_view(&view) {
                    self.window = self.window.filter(|window| window.conversation != view.conversation);
                }
            }
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

    /// Shows what the store has: unread messages, the conversation that was open, unsent and failed messages.
    pub(super) fn show_stored(&mut self) {
        let stored = self.client.store(|store| {
            Ok((store.current()?, store.unread(UNREAD)?, store.failed()?, store.snapshot()?.unsent))
        });
        let Some((current, unread, failed, unsent)) = stored else { return };
        let current = current.filter(|current| self.directory.chats.contains_key(current));
        for message in &unread {
            if self.is_mention(message)
                && let Some(chat) = self.directory.chats.get_mut(&message.conversation)
            {
                chat.unread.mention(message.seq, message.mentions(self.directory.me));
            }
        }
        let is_shown = |message: &Message| {
            Some(message.conversation) != current
                && (!self.is_quiet(message.conversation) || self.is_mention(message))
        };
        let others: Vec<_> = unread.iter().filter(|message| is_shown(message)).collect();
        if !others.is_empty() {
            self.say(&format!("{} unread:", others.len()));
            others.iter().for_each(|message| self.show_message(message));
        }
        if let Some(current) = current {
            self.open(Some(self.directory.target_of(current)));
        }
        unsent.into_iter().for_each(|unsent| self.show_unsent(unsent));
        failed.into_iter().for_each(|failed| self.show_failed(failed));
    }
}
