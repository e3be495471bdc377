//! Messages: sending them, showing them, and the marks of own ones.

use super::own_messages::{Failed, Waiting};
use super::renderer::Shown;
use super::state::Terminal;
use crate::command::argument;
use crate::command::complete::Recent;
use crate::command::message::Command;
use crate::display::style::{Mark, person};
use crate::display::text::{self, SHOWN_ROWS};
use crate::display::{change, clock, columns, sentence};
use chatclient_core::outbox::Unsent;
use chatclient_core::{Failure, LocalId, SendFailure, sanitize};
use chatclient_store::FailedMessage;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};
use wire::{ConversationId, ConversationKind, Message, References, Refusal, Seq, Target, UnixMillis, limits};

/// Columns of a line that tells of a change.
const TOLD_COLUMNS: usize = 100;

// ---- sending -------------------------------------------------------------------------------------------------------

impl Terminal {
    /// `line` is printed unless it becomes a message.
    pub(super) fn do_message_command(&mut self, line: &str, command: Command) {
        match command {
            Command::ToUser { who, text, typed } => match self.directory.other_user(&typed) {
                None => self.send_to(self.directory.target(&who), &text),
                Some(other) => self.ask_again(line, &other.question()),
            },
            Command::ToGroup { group, text, typed } => {
                let meant = match self.directory.other_group(&typed) {
                    Some(other) => Err(other.question()),
                    None => self.directory.group_meant(&group),
                };
                match meant {
                    Ok(group) => self.send_to(Target::Group(group), &text),
                    Err(question) => self.ask_again(line, &question),
                }
            }
            Command::Here(text) => match self.here.clone() {
                Some(to) => self.send_to(to, &text),
                None => {
                    self.show_typed(line);
                    self.say(&self.nothing_open());
                }
            },
            Command::Open(rest) => self.open_chat(line, &rest),
            Command::File(path) => {
                self.show_typed(line);
                self.send_file(&path_of(&path, env::home_dir()));
            }
            Command::Reply(reply) => self.reply(line, &reply),
            Command::More => {
                self.show_typed(line);
                self.show_folded();
            }
            Command::Retry => {
                self.show_typed(line);
                self.retry_failed();
            }
            Command::Drop => {
                self.show_typed(line);
                self.drop_failed();
            }
        }
    }

    /// Sends a message. What is open stays open.
    pub(super) fn send_to(&mut self, to: Target, text: &str) {
        self.send_answer(to, text, None);
    }

    /// The same with a message that answers another one of the conversation.
    pub(super) fn send_answer(&mut self, to: Target, text: &str, reply_to: Option<Seq>) {
        let references = self.references(&to, text, reply_to);
        self.send_referring(to, text, references);
    }

    fn send_referring(&mut self, to: Target, text: &str, references: Option<Box<References>>) {
        match self.client.send_referring(to.clone(), text, references.clone()) {
            Ok(local) => {
                let mark_id = self.own.new_mark_id();
                self.say_day(clock::now(&self.config.day));
                let lines = self.own_lines(&to, text, references.as_deref());
                let shown = format!("[{}] {lines}", clock::now(&self.config.time));
                self.screen.print_marked(mark_id, Mark::Sending, None, shown);
                if self.outage.is_on() && !self.screen.is_interactive() {
                    self.say("offline; the message will be sent after reconnecting");
                }
                let text = text.to_owned();
                self.own.waiting.insert(local, Waiting { to, text, references, mark_id, delayed: false });
            }
            Err(error) => {
                self.show_typed(text);
                self.say(&format!("not sent: {error}"));
            }
        }
    }

    /// `NAME` opens the chat, `NAME TEXT` sends to it.
    fn open_chat(&mut self, line: &str, rest: &str) {
        let (name, text) = match self.directory.split_name(rest, |name| self.own.is_for_user_named(name)) {
            Ok(split) => split,
            Err(question) => return self.ask_again(line, &question),
        };
        let Some(who) = argument::who(name) else { return };
        let text = text.to_owned();
        if text.is_empty() {
            self.show_typed(line);
            self.open_user(who);
        } else {
            self.send_to(self.directory.target(&who), &text);
        }
    }

    /// Nothing was done, as it is not clear whom the line is meant for.
    fn ask_again(&self, line: &str, question: &str) {
        self.show_typed(line);
        self.say(question);
    }

    fn send_file(&mut self, path: &Path) {
        let Some(to) = self.here.clone() else {
            return self.say(&self.nothing_open());
        };
        let too_long = format!("longer than a message can be ({} bytes)", limits::CONTENT_BYTES);
        let text = match fs::metadata(path) {
            Ok(file) if !file.is_file() => Err("not a file".to_owned()),
            Ok(file) if file.len() > limits::CONTENT_BYTES as u64 => Err(too_long),
            Ok(_) => fs::read_to_string(path).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match text {
            Ok(text) => self.send_to(to, &text),
            Err(why) => self.say(&format!("{}: {why}", sanitize::line(&path.to_string_lossy()))),
        }
    }

    fn nothing_open(&self) -> String {
        let unread = self.directory.chats.values().find(|chat| !chat.unread.is_none() && chat.peer.is_some());
        let who = unread.and_then(|chat| chat.peer).map_or("WHO".to_owned(), |peer| peer.to_string());
        format!("no conversation is open: /msg {who} opens one, chat:{who}:MESSAGE sends at once")
    }

    fn retry_failed(&mut self) {
        if self.own.failed.is_empty() {
            return self.say("no message has failed");
        }
        for failed in std::mem::take(&mut self.own.failed) {
            self.client.store(|store| store.forget_failed(failed.local));
            self.send_referring(failed.to, &failed.text, failed.references);
        }
    }

    fn drop_failed(&mut self) {
        let count = self.own.failed.len();
        for failed in std::mem::take(&mut self.own.failed) {
            self.client.store(|store| store.forget_failed(failed.local));
        }
        self.say(&format!("{count} message(s) dropped"));
    }
}

// ---- own messages --------------------------------------------------------------------------------------------------

impl Terminal {
    /// `you → li si (2): hello`, `#7 devs | you: hello`
    fn own_lines(&mut self, to: &Target, text: &str, references: Option<&References>) -> String {
        let reply_to = references.and_then(|references| references.reply_to);
        let answered =
            self.directory.conversation_of(to).map(|conversation| self.quote(conversation, reply_to));
        let (style, text) = (self.style, self.message_text(&answered.unwrap_or_default(), text));
        let you = style.name("you", &self.directory.my_name);
        match &self.directory.canonical(to.clone()) {
            Target::User(id) => {
                let label = self.directory.user(*id);
                let name = self.directory.known_name(*id).unwrap_or(&label);
                format!("{you} {} {}:{text}", style.arrow(), style.name(&label, name))
            }
            Target::Name(name) => format!("{you} {} {}:{text}", style.arrow(), sanitize::name(name)),
            Target::Conversation(id) | Target::Group(id) => {
                format!("{} | {you}:{text}", self.directory.conversation(*id))
            }
        }
    }

    pub(super) fn handle_sent(&mut self, local: LocalId, of: ConversationId, seq: Seq, time: UnixMillis) {
        let Some(own) = self.own.waiting.remove(&local) else { return };
        let conversation = of;
        if self.here.as_ref() == Some(&own.to) {
            self.client.store(|store| store.set_current(Some(conversation)));
        }
        self.directory.learn_sent(conversation, &own.to, seq);
        self.directory.learn_own(conversation, seq, time, &own.text);
        self.count_backlog(conversation, seq, false);
        let chat = self.directory.chats.get(&conversation);
        // It was shown when it was written.
        if let (Some(window), Some(chat)) = (&mut self.window, chat)
            && window.conversation == conversation
            && chat.unread.is_none()
        {
            window.last = window.last.max(chat.shown);
        }
        let mark = chat.map_or(Mark::Stored, |chat| chat.mark(seq));
        if chat.is_some_and(|chat| chat.peer.is_some() && chat.name.is_empty()) {
            self.ask_peers();
        }
        self.screen.mark(own.mark_id, mark);
        self.screen.stored(own.mark_id, Shown { conversation, seq, in_list: false });
        self.own.watch(conversation, seq, own.mark_id, mark);
        if self.is_open(conversation) {
            let text = columns::cut(&sanitize::line(&own.text), 30);
            self.learn_recent(Recent { seq, is_own: true, label: format!("you: {text}") });
        }
        self.receipts.hurry();
        self.say_mark(mark, &format!("sent to {}", self.directory.target_label(&own.to)));
    }

    /// Shows an unsent message of an earlier run.
    pub(super) fn show_unsent(&mut self, unsent: Unsent) {
        let (to, text) = (unsent.send.target, unsent.send.content.to_string());
        let references = unsent.send.references;
        let mark_id = self.own.new_mark_id();
        let lines = self.own_lines(&to, &text, references.as_deref());
        let shown = format!("[{}] {lines}", clock::now(&self.config.time));
        self.screen.print_marked(mark_id, Mark::Sending, None, shown);
        self.own.waiting.insert(unsent.local, Waiting { to, text, references, mark_id, delayed: false });
    }

    /// Shows a failed message of an earlier run.
    pub(super) fn show_failed(&mut self, failed: FailedMessage) {
        let FailedMessage { local, target: to, content: text, references, why } = failed;
        let mark_id = self.own.new_mark_id();
        let shown = self.own_lines(&to, &text, references.as_deref());
        self.screen.print_marked(mark_id, Mark::Failed, None, shown);
        self.say(&self.style.alarm(&format!("not sent: {}  (/retry, /drop)", sanitize::line(&why))));
        self.own.failed.push(Failed { local, to, text, references });
    }

    pub(super) fn handle_delayed(&mut self, local: LocalId, refusal: Box<Refusal>) {
        if let Some(own) = self.own.waiting.get_mut(&local)
            && !std::mem::replace(&mut own.delayed, true)
        {
            let (label, why) = (self.directory.target_label(&own.to), sentence(&Failure::Refused(refusal)));
            self.say(&format!("not sent to {label} yet: {why}; retrying"));
        }
    }

    pub(super) fn handle_send_failed(&mut self, local: LocalId, failure: &SendFailure) {
        let Some(own) = self.own.waiting.remove(&local) else { return };
        let why = match failure {
            SendFailure::Refused(refusal) => sentence(&Failure::Refused(refusal.clone())),
            SendFailure::Expired | SendFailure::OtherAccount => failure.to_string(),
        };
        self.screen.mark(own.mark_id, Mark::Failed);
        let label = self.directory.target_label(&own.to);
        if self.screen.is_interactive() {
            let text = columns::cut(&sanitize::line(&own.text), 30);
            self.say(&self.style.alarm(&format!("not sent to {label}: {why}  [{text}]  /retry, /drop")));
        } else {
            self.say_mark(Mark::Failed, &format!("not sent to {label}: {why}"));
        }
        self.own.failed.push(Failed { local, to: own.to, text: own.text, references: own.references });
    }

    /// Prints the new state of an own message if its mark cannot be repainted.
    pub(super) fn say_mark(&self, mark: Mark, what: &str) {
        if self.marks_as_lines {
            self.say(&format!("{} {what}", self.style.mark(mark)));
        } else if !self.screen.is_interactive() {
            self.say(what);
        }
    }

    /// The mark of a message, if it is an own one.
    pub(super) fn mark_of(&self, message: &Message) -> Option<Mark> {
        let chat = self.directory.chats.get(&message.conversation);
        let is_own = message.is_message() && message.from == self.directory.me;
        is_own.then(|| chat.map_or(Mark::Stored, |chat| chat.mark(message.seq)))
    }
}

// ---- received messages ---------------------------------------------------------------------------------------------

impl Terminal {
    pub(super) fn handle_message(&mut self, message: &Arc<Message>) {
        let (id, seq) = (message.conversation, message.seq);
        let shown = self.directory.chats.get(&id).map_or(Seq(0), |chat| chat.shown);
        // Messages from the store were shown when the account was opened.
        if seq <= shown {
            return;
        }
        let is_repainted = message.change().is_some_and(|change| self.apply_change(id, change));
        self.directory.learn_message(message);
        self.learn_received(message);
        self.end_typing(message);
        // What happened in a group is shown, but is nothing to be read.
        let theirs = message.is_message() && message.from != self.directory.me;
        let (theirs, is_gone) = (theirs && message.recalled().is_none(), message.recalled().is_some());
        let is_mention = self.is_mention(message);
        let mut was_read = false;
        if let Some(chat) = self.directory.chats.get_mut(&id) {
            if message.begins_view_of(self.directory.me) {
                chat.mark_read(seq, std::iter::empty());
            }
            was_read = chat.is_read();
            chat.arrive(seq, theirs);
            if is_gone {
                chat.unread.arrive_recalled(seq);
            }
            chat.active = message.time.0;
            if is_mention && seq > chat.read {
                chat.unread.mention(seq, message.mentions(self.directory.me));
            }
        }
        if self.is_open(id) {
            self.receipts.hurry();
        }
        let is_quiet = self.is_quiet(id) && !is_mention && !self.is_open(id);
        match &mut self.opening {
            Some(opening) if opening.conversation == id => opening.held.push(message.clone()),
            _ if is_quiet => {}
            _ => {
                if !is_repainted {
                    self.show_message(message);
                }
                if was_read && self.is_open(id) {
                    self.note_latest(id, seq);
                }
            }
        }
        self.count_backlog(id, seq, theirs);
        self.learn_membership(message);
        let is_direct = message.kind == ConversationKind::Direct && message.recalled().is_none();
        if is_mention || (theirs && !is_quiet && is_direct) {
            self.alert(message);
        }
    }

    /// `[12:03] zhang san (1): hello`; of an entry that is no message `[12:03] #7 devs | li si joined`, dimmed.
    pub(super) fn show_message(&mut self, message: &Message) {
        self.say_day(clock::shown(message.time, &self.config.day));
        if !message.is_message() {
            let at = self.time_of(message);
            let (label, text) =
                (self.directory.conversation(message.conversation), self.what_happened(message));
            return self.print(&self.style.notice(&format!("[{at}] {label} | {text}")));
        }
        let line = self.message_line(message);
        let of = Shown { conversation: message.conversation, seq: message.seq, in_list: false };
        match self.mark_of(message) {
            Some(mark) if self.screen.is_interactive() => {
                let mark_id = self.own.new_mark_id();
                self.screen.print_marked(mark_id, mark, Some(of), line);
                self.own.watch(message.conversation, message.seq, mark_id, mark);
            }
            _ => self.screen.print_message(of, line),
        }
    }

    /// The lines of a message; of one that has no mark with the margin before it.
    pub(super) fn message_line(&mut self, message: &Message) -> String {
        let (at, who) = (self.time_of(message), person(&message.name, message.from));
        let is_interactive = self.screen.is_interactive();
        let own = is_interactive && message.from == self.directory.me;
        let who = self.style.name(if own { "you" } else { &who }, &message.name);
        let answered = self.quote(message.conversation, message.reply_to());
        let text = self.text_of(message, &answered);
        let label = self.directory.conversation(message.conversation);
        let line = match message.kind {
            ConversationKind::Group => format!("[{at}] {label} | {who}:{text}"),
            // Written by this account, on another device or in an earlier run.
            ConversationKind::Direct if message.from == self.directory.me => {
                let arrow = if is_interactive { self.style.arrow() } else { "to" };
                format!("[{at}] {who} {arrow} {label}:{text}")
            }
            ConversationKind::Direct => format!("[{at}] {who}:{text}"),
        };
        match self.mark_of(message) {
            Some(_) if is_interactive => line,
            _ if self.has_reader && self.is_mention(message) => {
                format!("{} {line}", self.style.alarm(" @"))
            }
            _ => format!("{}{line}", self.margin()),
        }
    }

    /// What follows the colon after the sender, with what changes have made of the message.
    pub(super) fn text_of(&mut self, message: &Message, answered: &str) -> String {
        match message.recalled() {
            Some(_) => format!(" {}", self.style.notice(change::text(message))),
            None => self.message_text(answered, &message.content) + &change::marks(message),
        }
    }

    /// `li si joined`, with the id where the name looks like another one.
    pub(super) fn what_happened(&self, entry: &Message) -> String {
        let is_own = entry.from == self.directory.me;
        let who = if is_own { "you".to_owned() } else { self.directory.name_of(entry.from, &entry.name) };
        if let Some(told) = change::told(entry, &who) {
            return columns::cut(&told, TOLD_COLUMNS);
        }
        match entry.content.strip_prefix(&*entry.name) {
            Some(did) => {
                format!("{}{}", self.directory.name_of(entry.from, &entry.name), sanitize::line(did))
            }
            None => sanitize::line(&entry.content).into_owned(),
        }
    }

    /// Begins another day with a line, where a person reads.
    pub(super) fn say_day(&mut self, day: String) {
        if self.has_reader && self.last_day.as_ref() != Some(&day) {
            self.say_title(&day);
            self.last_day = Some(day);
        }
    }

    /// What follows the colon after the sender; `answered` quotes what the text answers. A person sees the lines of a
    /// text; a pipe gets one line a message.
    pub(super) fn message_text(&mut self, answered: &str, text: &str) -> String {
        let mut rows = text::rows(text);
        if rows.len() <= 1 || !self.has_reader {
            return format!(" {answered}{}", sanitize::line(text));
        }
        let hidden = rows.split_off(rows.len().min(SHOWN_ROWS));
        let answered = if answered.is_empty() { String::new() } else { format!(" {}", answered.trim_end()) };
        let shown = answered + &text::below(&rows, self.style);
        if hidden.is_empty() {
            return shown;
        }
        let more = format!("\n   {} {} more lines: /more", self.style.ellipsis(), hidden.len());
        self.folded = hidden;
        shown + &more
    }

    /// Shows the rest of the last long text.
    fn show_folded(&mut self) {
        match std::mem::take(&mut self.folded) {
            rows if rows.is_empty() => self.say("no text is folded"),
            rows => self.screen.print(text::below(&rows, self.style).trim_start_matches('\n')),
        }
    }

    /// Counts a message, shown or own. Prints the number of new ones once everything that a login found has arrived.
    fn count_backlog(&mut self, conversation: ConversationId, seq: Seq, theirs: bool) {
        let Some(chat) = self.directory.chats.get(&conversation) else { return };
        if let Some(new) = self.missed.take(conversation, seq, theirs, chat) {
            self.say(&format!("{new} new while away"));
        }
    }
}

/// A path as people type it: in quotes, with backslashes before special characters as completion writes them, or below
/// `~/`.
fn path_of(typed: &str, home: Option<PathBuf>) -> PathBuf {
    let typed = typed.trim();
    let quoted = |mark: char| typed.strip_prefix(mark)?.strip_suffix(mark);
    let path = match quoted('"').or_else(|| quoted('\'')) {
        Some(inside) => inside.to_owned(),
        None => {
            let mut characters = typed.chars();
            std::iter::from_fn(|| match characters.next()? {
                '\\' => Some(characters.next().unwrap_or('\\')),
                c => Some(c),
            })
            .collect()
        }
    };
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_may_be_quoted_escaped_or_below_home() {
        for (typed, path) in [
            ("notes.txt", "notes.txt"),
            (" ./my\\ file\\(1\\).txt ", "./my file(1).txt"),
            ("\"my file.txt\"", "my file.txt"),
            ("'a\\b'", "a\\b"),
            ("~/notes", "/home/li/notes"),
            ("~li/notes", "~li/notes"),
            ("ends\\", "ends\\"),
        ] {
            assert_eq!(path_of(typed, Some("/home/li".into())), Path::new(path), "{typed}");
        }
    }
}
