//! What is typed: which line is wanted, where each goes, the drafts of lines that are left, and who is typing.

use super::drafts::LeftOff;
use super::prompt::{Prompt, PromptKind, Typed};
use super::signals;
use super::state::{Mode, PasswordQuestion, STATUS_NAME, Terminal};
use crate::command;
use crate::command::table::TABLE;
use crate::display::style::person;
use chatclient_core::sanitize;
use chatclient_store::Draft;
use std::time::Instant;
use wire::timeline::Typist;
use wire::{ConversationId, ConversationKind, Message, Target, UserId};

fn password_prompt(question: &PasswordQuestion) -> &'static str {
    match question {
        PasswordQuestion::Old => "old password: ",
        PasswordQuestion::New { .. } => "new password: ",
        PasswordQuestion::Again { .. } => "new password again: ",
    }
}

/// The most users who are named as typing.
const NAMED: usize = 2;

impl Terminal {
    /// The line that is wanted now.
    fn wanted(&self) -> Option<Prompt> {
        // Piped input waits for every reply, a person only for replies that decide where the next line goes.
        let is_busy = match self.input.modes {
            Some(_) => self.pending.values().any(|pending| pending.holds_prompt),
            None => !self.pending.is_empty(),
        };
        let (text, kind) = match &self.mode {
            Mode::Menu => ("choice: ".to_owned(), PromptKind::Answer),
            Mode::LoginWho => ("id or name: ".to_owned(), PromptKind::Answer),
            Mode::RegisterName { .. } => ("name: ".to_owned(), PromptKind::Answer),
            Mode::LoginPassword { .. } | Mode::RegisterPassword { .. } => {
                ("password: ".to_owned(), PromptKind::Secret)
            }
            Mode::RegisterRepeat { .. } => ("password again: ".to_owned(), PromptKind::Secret),
            Mode::ChangingPassword(question) => (password_prompt(question).to_owned(), PromptKind::Secret),
            Mode::PasswordCut => ("Enter goes on: ".to_owned(), PromptKind::Secret),
            Mode::Chat if !is_busy => (self.prompt(), PromptKind::Command),
            _ => return None,
        };
        Some(Prompt { text, kind })
    }

    /// Handles the keys that have arrived, as far as a line is wanted.
    pub(super) fn handle_keys(&mut self) {
        if self.input.modes.is_none() {
            return;
        }
        while let Some(prompt) = self.wanted() {
            let before = self.editor.line().to_owned();
            let Some(typed) = self.editor.next_typed(prompt.kind) else {
                if self.editor.line() != before {
                    self.tell_typing();
                }
                return;
            };
            match &typed {
                Typed::Line(line) => self.screen.end_line(&prompt, line),
                Typed::NotUtf8 | Typed::Interrupted if prompt.kind != PromptKind::Command => {
                    self.screen.end_line(&prompt, "");
                }
                _ => {}
            }
            self.handle_typed(typed);
        }
    }

    pub(super) fn handle_typed(&mut self, typed: Typed) {
        match typed {
            Typed::Line(line) => match self.mode {
                Mode::Chat => {
                    self.forget_draft();
                    self.handle_command(&line);
                }
                Mode::ChangingPassword(_) => self.answer_password(line),
                _ => self.handle_menu_line(line),
            },
            Typed::NotUtf8 => self.say_not_utf8(),
            Typed::Interrupted => self.handle_interrupt(),
            Typed::End => self.quit(),
            Typed::ClearScreen => self.screen.clear(),
            Typed::Suspend => self.suspend(),
            Typed::Alt(key) => self.handle_alt(key),
        }
    }

    /// The terminal is gone.
    pub(super) fn handle_gone(&mut self) {
        self.editor.end();
        // A closed channel would be ready for ever.
        self.input.received = crossbeam_channel::never();
        if self.wanted().is_none() {
            self.quit();
        }
    }

    fn say_not_utf8(&self) {
        let is_kept = !self.editor.line().is_empty();
        let what = if is_kept { "; � stands for them" } else { "" };
        self.say(&format!("not sent: the line contains bytes that are not UTF-8{what}"));
    }

    /// Asks for the next piped line if one is wanted and none is being read.
    pub(super) fn ask_for_piped_line(&mut self) {
        if self.input.modes.is_some() || self.asking {
            return;
        }
        let Some(prompt) = self.wanted() else { return };
        if prompt.kind != PromptKind::Command {
            self.screen.print(prompt.text.trim_end());
        }
        self.asking = true;
        self.input.ask();
    }

    // ---- the screen ------------------------------------------------------------------------------------------------

    /// Brings the screen up to date.
    pub(super) fn show_view(&self) {
        if self.input.modes.is_none() {
            return self.screen.show(None);
        }
        let view = self.wanted().map(|prompt| self.editor.view(&prompt, &self.status()));
        self.screen.show(view.as_ref());
    }

    /// The terminal has another size, or the program was stopped and continued.
    pub(super) fn handle_refresh(&self) {
        if let Some(modes) = &self.input.modes {
            modes.apply();
        }
        self.screen.refresh();
    }

    fn suspend(&self) {
        let Some(modes) = &self.input.modes else { return };
        self.screen.suspend();
        modes.restore();
        if let Err(error) = signals::stop_until_continued() {
            self.say(&format!("cannot stop: {}", sanitize::line(&error.to_string())));
        }
        modes.apply();
        self.screen.resume();
    }
}

// ---- drafts --------------------------------------------------------------------------------------------------------

impl Terminal {
    /// Opens a conversation, or none, for what is typed. Each has its draft.
    pub(super) fn switch_to(&mut self, to: Option<Target>) {
        let to = to.map(|to| self.directory.canonical(to));
        if to == self.here {
            return;
        }
        let line = self.editor.take_line();
        self.drafts.put(self.here.take(), line);
        let draft = self.drafts.take(to.as_ref());
        self.here = to;
        if let Some(draft) = draft {
            self.editor.set_line(draft);
        }
        self.save_drafts();
    }

    /// A line was entered, so that it is no draft any more.
    pub(super) fn forget_draft(&mut self) {
        if std::mem::take(&mut self.drafts.was_saved) {
            self.save_drafts();
        }
    }

    /// Keeps the line being typed, because its account is logged out or the program ends.
    pub(super) fn keep_line(&mut self) {
        if !matches!(self.mode, Mode::Chat | Mode::Settling { .. } | Mode::LoggingOut) {
            return;
        }
        let line = self.editor.take_line();
        self.screen.drop_line();
        self.drafts.put(self.here.clone(), line);
        self.save_drafts();
    }

    /// The account is logged out.
    pub(super) fn leave_drafts(&mut self) {
        self.keep_line();
        let drafts = std::mem::take(&mut self.drafts.waiting);
        self.drafts.was_saved = false;
        let me = self.directory.me;
        if !drafts.is_empty() {
            let who = person(&self.directory.my_name, me);
            let what = match drafts.len() {
                1 => "a line that you did not finish waits".to_owned(),
                count => format!("{count} lines that you did not finish wait"),
            };
            self.say(&format!("{what}: log in as {who} to continue"));
        }
        self.drafts.of_others.insert(me, LeftOff { open: self.here.take(), drafts });
    }

    /// Continues with the drafts of the account that was chosen.
    pub(super) fn load_drafts(&mut self) {
        let left_off = self.drafts.of_others.remove(&self.directory.me);
        let stored = self.client.store(|store| store.drafts());
        let (open, drafts) = match left_off {
            Some(left_off) => (left_off.open, left_off.drafts),
            None => (None, stored.unwrap_or_default()),
        };
        self.drafts.waiting = drafts;
        self.here = open;
        let draft = self.drafts.take(self.here.as_ref());
        self.drafts.was_saved = draft.is_some();
        self.editor.set_line(draft.unwrap_or_default());
    }

    /// Says which other conversations have drafts.
    pub(super) fn say_drafts(&self) {
        for draft in &self.drafts.waiting {
            let label = draft.to.as_ref().map(|to| self.directory.target_label(to));
            let where_to =
                label.map_or("where no conversation is open".to_owned(), |label| format!("in {label}"));
            self.say(&format!("a line that you did not finish waits {where_to}"));
        }
    }

    fn save_drafts(&mut self) {
        let (line, here) = (self.editor.line().to_owned(), self.here.clone());
        let mut drafts = self.drafts.waiting.clone();
        self.drafts.was_saved = !line.trim().is_empty();
        if self.drafts.was_saved {
            drafts.push(Draft { to: here, text: line });
        }
        self.client.store(|store| store.set_drafts(&drafts));
    }
}

// ---- who is typing -------------------------------------------------------------------------------------------------

impl Terminal {
    /// Tells the members of the open conversation that the user is typing a message to it.
    pub(super) fn tell_typing(&mut self) {
        if !self.config.typing || !self.has_reader || self.mode != Mode::Chat || self.question.is_some() {
            return;
        }
        if let Some(conversation) = self.open_conversation()
            && is_message(self.editor.line())
        {
            self.client.with(|session, now| session.type_in(now, conversation));
        }
    }

    pub(super) fn handle_typing(&mut self, typist: Typist) {
        self.typists.begin(typist, Instant::now());
    }

    /// A message has arrived: its sender is not typing it any more.
    pub(super) fn end_typing(&mut self, message: &Message) {
        self.typists.end(message.conversation, message.from);
    }

    pub(super) fn drop_old_typists(&mut self) {
        self.typists.end_overdue(Instant::now());
    }

    /// `li si is typing…`: in the open conversation, or else in a direct chat.
    pub(super) fn typing_status(&self, now: Instant) -> Option<String> {
        let is_direct = |id: &ConversationId| {
            self.directory.chats.get(id).is_some_and(|chat| chat.kind == ConversationKind::Direct)
        };
        let here = self.open_conversation();
        let of = here.filter(|here| self.typists.in_conversation(*here, now).next().is_some());
        let of =
            of.or_else(|| self.typists.conversations().find(|id| is_direct(id) && !self.is_quiet(*id)))?;
        let users: Vec<UserId> = self.typists.in_conversation(of, now).collect();
        let ellipsis = self.style.ellipsis();
        let name = |user: &UserId| self.directory.short_name(*user, STATUS_NAME);
        match users.len() {
            0 => None,
            1 => Some(format!("{} is typing{ellipsis}", name(&users[0]))),
            count if count <= NAMED => {
                let names: Vec<String> = users.iter().map(name).collect();
                Some(format!("{} are typing{ellipsis}", names.join(", ")))
            }
            count => Some(format!("{count} are typing{ellipsis}")),
        }
    }
}

/// Whether a line that is being typed becomes a message to the open conversation, and not a command.
fn is_message(line: &str) -> bool {
    let may_become_command = || TABLE.iter().any(|row| row.name.starts_with(line.trim()));
    let is_text = || matches!(command::parse(line), Ok(Some(typed)) if typed.row.is_none());
    !line.trim().is_empty() && !may_become_command() && is_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_becomes_a_message_is_told() {
        for line in ["hello", "chat with me", "12:30 is fine", "嗨", "help me"] {
            assert!(is_message(line), "{line}");
        }
        for line in
            ["", "  ", "h", "cha", "chat", "chat:", "chat:2:hello", "/", "/msg li", "groupchat:7:", "hlep"]
        {
            assert!(!is_message(line), "{line}");
        }
    }
}
