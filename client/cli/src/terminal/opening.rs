//! Opening a conversation: its title, the last lines, and from the first unread message on, page by page.
//!
//! A message counts as read once it was shown in its open conversation, with everything before it. READ says no more
//! than that to the server. Messages of other conversations are shown as they arrive, and stay unread.

use super::state::{Opening, Terminal, Window};
use crate::display::{clock, sentence};
use chatclient_core::Failure;
use std::sync::Arc;
use wire::account::Who;
use wire::timeline::{self, HistoryPage};
use wire::{ConversationId, Direction, Message, Reply, Seq, Target, UserId, account};

/// Messages on a page.
pub const PAGE: u32 = 20;
/// Messages shown of a conversation that has nothing unread.
const LATEST: u32 = 10;
/// Read messages shown before the first unread one.
const CONTEXT: u32 = 3;

impl Terminal {
    /// Opens a conversation, or none: plain text goes to it. A person sees it from the first unread message on.
    pub(super) fn open(&mut self, to: Option<Target>) {
        self.switch_to(to);
        self.learn_here();
        (self.window, self.opening) = (None, None);
        let conversation = self.open_conversation();
        self.client.store(|store| store.set_current(conversation));
        if !self.has_reader {
            return;
        }
        let Some((conversation, chat)) =
            conversation.and_then(|id| Some((id, self.directory.chats.get(&id)?)))
        else {
            if let Some(here) = &self.here {
                self.say_title(&format!("{}, no messages yet", self.directory.target_label(here)));
            }
            return;
        };
        let (direction, limit) = match chat.unread.is_none() {
            true => (Direction::Before(Seq::MAX), LATEST),
            false => (Direction::After(Seq(chat.read.0.saturating_sub(CONTEXT.into()))), CONTEXT + PAGE),
        };
        self.opening = Some(Opening { conversation, held: Vec::new() });
        self.read_page(conversation, direction, limit, move |terminal, page| match page {
            Ok(page) => {
                let is_complete = matches!(direction, Direction::Before(_)) || !page.more;
                terminal.show_opened(conversation, &page, is_complete);
            }
            Err(failure) => {
                terminal.report_failure("history", &failure);
                terminal.end_opening(conversation, true);
            }
        });
    }

    /// Opens the chat with a user, if there is such a user, before the next line is read.
    pub(super) fn open_user(&mut self, who: Who) {
        let to = self.directory.target(&who);
        let is_known = match &to {
            Target::User(id) => self.directory.knows(*id),
            Target::Name(_) => self.directory.direct(&who).is_some(),
            Target::Conversation(_) | Target::Group(_) => true,
        };
        if is_known {
            return self.open(Some(to));
        }
        let label = self.label(&who);
        self.request_before_prompt(
            |session, now| session.ask(now, account::Request::Profile(Some(who))),
            move |terminal, result| match result {
                Ok(Reply::Account(account::Reply::Profile(found))) => {
                    terminal.directory.learn_user(found.id, &found.name);
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

    pub(super) fn open_conversation(&self) -> Option<ConversationId> {
        self.here.as_ref().and_then(|here| self.directory.conversation_of(here))
    }

    pub(super) fn is_open(&self, conversation: ConversationId) -> bool {
        self.open_conversation() == Some(conversation)
    }

    /// Shows the page after the last one.
    pub(super) fn newer(&mut self) {
        let Some(conversation) = self.open_conversation() else { return self.say("no conversation is open") };
        let shown =
            self.window.filter(|window| window.conversation == conversation).map(|window| window.last);
        let unread = self.directory.chats.get(&conversation).filter(|chat| !chat.unread.is_none());
        let Some(last) = unread.map(|chat| chat.read).or(shown) else {
            return self.say("there is nothing newer");
        };
        self.read_page(conversation, Direction::After(last), PAGE, move |terminal, page| match page {
            Ok(page) if page.messages.is_empty() => terminal.say("there is nothing newer"),
            Ok(page) if terminal.is_open(conversation) => terminal.show_next(conversation, &page),
            Ok(_) => {}
            Err(failure) => terminal.report_failure("/newer", &failure),
        });
    }

    /// Reads a page from the server, or what is stored here while there is no connection.
    pub(super) fn read_page(
        &mut self,
        conversation: ConversationId,
        direction: Direction,
        limit: u32,
        then: impl FnOnce(&mut Terminal, Result<HistoryPage, Failure>) + 'static,
    ) {
        self.request(
            |session, now| session.history(now, conversation, direction, limit),
            move |terminal, result| match result {
                Ok(Reply::Timeline(timeline::Reply::History(page))) => then(terminal, Ok(*page)),
                Err(failure @ (Failure::Offline | Failure::Lost(_) | Failure::TimedOut)) => {
                    match terminal.client.store(|store| store.page(conversation, direction, limit)) {
                        Some(page) => then(terminal, Ok(page)),
                        None => then(terminal, Err(failure)),
                    }
                }
                Err(failure) => then(terminal, Err(failure)),
                Ok(_) => {}
            },
        );
    }

    // ---- pages -----------------------------------------------------------------------------------------------------

    fn show_opened(&mut self, conversation: ConversationId, page: &HistoryPage, is_complete: bool) {
        // Another one was opened meanwhile.
        if self.opening.as_ref().is_none_or(|opening| opening.conversation != conversation) {
            return;
        }
        let first = page.messages.first().map_or(page.first_seq, |message| message.seq);
        let last = page.messages.last().map_or(first.prev(), |message| message.seq);
        let unread = self.unread_of(conversation).map(|unread| format!(", {unread} unread"));
        let unread = unread.unwrap_or_default();
        let older = if first > page.first_seq { " (older: /older)" } else { "" };
        self.say_title(&format!("{}{unread}{older}", self.directory.conversation(conversation)));
        self.window = Some(Window { conversation, first, last });
        self.show_rows(conversation, page);
        self.end_opening(conversation, is_complete);
        self.say_more_unread(conversation);
    }

    fn show_next(&mut self, conversation: ConversationId, page: &HistoryPage) {
        self.show_rows(conversation, page);
        self.say_more_unread(conversation);
    }

    /// Shows the messages of a page, with a line before the first unread one.
    fn show_rows(&mut self, conversation: ConversationId, page: &HistoryPage) {
        let read = self.directory.chats.get(&conversation).map_or(Seq::MAX, |chat| chat.read);
        let mut is_new = false;
        let mut expected = page.messages.first().map_or(Seq(0), |message| message.seq);
        for message in &page.messages {
            // The store has only what this machine has received.
            if message.seq > expected {
                self.say(&format!("#{expected} to #{} are not saved here", message.seq.prev()));
            }
            expected = message.seq.next();
            let is_unread = message.seq > read && message.is_message() && message.from != self.directory.me;
            if is_unread && !std::mem::replace(&mut is_new, true) {
                self.say_day(clock::shown(message.time, &self.config.day));
                self.say_title("new");
            }
            self.show_message(message);
        }
        self.note_shown(conversation, &page.messages);
    }

    /// Shows the messages that arrived while the page was on its way and are not on it, unless others lie between.
    fn end_opening(&mut self, conversation: ConversationId, is_complete: bool) {
        let Some(opening) = self.opening.take_if(|opening| opening.conversation == conversation) else {
            return;
        };
        let shown = self.window.map_or(Seq(0), |window| window.last);
        for message in opening.held.iter().filter(|message| is_complete && message.seq > shown) {
            self.show_message(message);
            self.note_shown(conversation, std::slice::from_ref(message));
        }
    }

    fn say_more_unread(&self, conversation: ConversationId) {
        if let Some(unread) = self.unread_of(conversation) {
            self.say(&format!("{unread} more unread: /newer"));
        }
    }

    /// How many messages are unread; `None`: none.
    fn unread_of(&self, conversation: ConversationId) -> Option<String> {
        let unread = &self.directory.chats.get(&conversation)?.unread;
        (!unread.is_none()).then(|| unread.text())
    }

    /// `── li si (2), 3 unread ──`
    pub(super) fn say_title(&self, title: &str) {
        let rule = self.style.rule().repeat(2);
        self.say(&format!("{rule} {title} {rule}"));
    }

    /// These messages were shown, in the order of their seqs. They are read, up to the first gap, if everything before
    /// them is. What a pipe has written nobody has read.
    pub(super) fn note_shown(&mut self, conversation: ConversationId, messages: &[Arc<Message>]) {
        let gap = messages.windows(2).position(|pair| pair[1].seq > pair[0].seq.next());
        let messages = gap.map_or(messages, |at| &messages[..=at]);
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return };
        let me = self.directory.me;
        let Some(chat) = self.directory.chats.get_mut(&conversation).filter(|_| self.has_reader) else {
            return;
        };
        if let Some(window) = &mut self.window
            && window.conversation == conversation
            && first.seq <= window.last.next()
        {
            window.last = window.last.max(last.seq);
        }
        if first.seq <= chat.read.next() && last.seq > chat.read {
            let read = chat.read;
            let is_unread = |message: &&Arc<Message>| message.seq > read && theirs_to_read(message, me);
            let theirs = messages.iter().filter(is_unread);
            chat.mark_read(last.seq, theirs.map(|message| (message.seq, message.mentions(me))));
            self.client.with(|session, now| session.read(now, conversation, last.seq));
        }
    }

    /// The latest message of the open conversation was shown, and everything before it.
    pub(super) fn note_latest(&mut self, conversation: ConversationId, seq: Seq) {
        let Some(chat) = self.directory.chats.get_mut(&conversation).filter(|_| self.has_reader) else {
            return;
        };
        chat.mark_all_read(seq);
        match &mut self.window {
            Some(window) if window.conversation == conversation => window.last = window.last.max(seq),
            _ => self.window = Some(Window { conversation, first: seq, last: seq }),
        }
        self.client.with(|session, now| session.read(now, conversation, seq));
    }
}

/// Whether it is a message of somebody else that was not recalled.
fn theirs_to_read(message: &Message, me: UserId) -> bool {
    message.is_message() && message.from != me && message.recalled().is_none()
}
