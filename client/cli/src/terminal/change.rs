//! Changes of messages: `/edit`, `/recall`, `/react` and `/unreact`. A message that is on the screen is painted anew
//! when it is changed; of others a line tells.

use super::renderer::Shown;
use super::state::Terminal;
use crate::command::change::Command;
use wire::change::Reply as ChangeReply;
use wire::{Change, ChangeKind, ConversationId, Message, Reply, Seq};

impl Terminal {
    pub(super) fn do_change_command(&mut self, command: Command) {
        let (name, of, seq) = match &command {
            Command::Edit { of, seq, .. } => ("/edit", of, *seq),
            Command::Recall { of, seq } => ("/recall", of, *seq),
            Command::React { of, seq, on: true, .. } => ("/react", of, *seq),
            Command::React { of, seq, on: false, .. } => ("/unreact", of, *seq),
        };
        let Some(of) = self.conversation_meant(name, of.as_deref()) else { return };
        self.ask(
            name,
            |session, now| match &command {
                Command::Edit { text, .. } => session.edit(now, of, seq, text),
                Command::Recall { .. } => session.recall(now, of, seq),
                Command::React { reaction, on, .. } => session.react(now, of, seq, reaction, *on),
            },
            |reply| match reply {
                Reply::Change(reply) => Some(reply),
                _ => None,
            },
            // The entry that tells of the change is shown when it arrives, like that of anybody else.
            move |terminal, reply| match reply {
                ChangeReply::Reacted(changed) if changed.seq == Seq(0) => {
                    terminal.say(&format!("you have not reacted like that to #{seq}"));
                }
                ChangeReply::Edited(_) | ChangeReply::Recalled(_) | ChangeReply::Reacted(_) => {}
            },
        );
    }

    /// A message was changed, which the store has already. Returns whether the screen shows it, as it is now.
    pub(super) fn apply_change(&mut self, conversation: ConversationId, change: Change) -> bool {
        let Some(message) = self.stored(conversation, change.of) else {
            let chat = self.directory.chats.get(&conversation);
            if change.kind == ChangeKind::Recall && chat.is_some_and(|chat| change.of > chat.read) {
                // Another device has received it; whether it was unread only the server knows.
                self.ask_peers();
            }
            return false;
        };
        if change.kind == ChangeKind::Recall {
            self.forget_unread(&message);
            // It may be the text that was cut.
            self.folded.clear();
        }
        if self.is_open(conversation) {
            self.learn_changed(&message);
        }
        let is_quoted = !matches!(change.kind, ChangeKind::Reaction { .. });
        let mut is_visible = false;
        for (of, is_on_screen) in self.screen.shown(conversation) {
            if of.seq == change.of {
                is_visible |= is_on_screen;
                self.repaint(of, &message);
            } else if is_quoted
                && let Some(answer) = self.stored(conversation, of.seq)
                && answer.reply_to() == Some(change.of)
            {
                self.repaint(of, &answer);
            }
        }
        is_visible
    }

    fn stored(&self, conversation: ConversationId, seq: Seq) -> Option<Message> {
        let found = self.client.store(|store| store.entry(conversation, seq)).flatten();
        found.map(|message| (*message).clone())
    }

    fn repaint(&mut self, of: Shown, message: &Message) {
        let folded = std::mem::take(&mut self.folded);
        let line = if of.in_list { self.history_line(message) } else { self.message_line(message) };
        self.folded = folded;
        self.screen.replace(of, line);
    }

    /// A recalled message is nothing to be read.
    fn forget_unread(&mut self, message: &Message) {
        let me = self.directory.me;
        if let Some(chat) = self.directory.chats.get_mut(&message.conversation)
            && message.from != me
            && message.seq > chat.read
        {
            let by = message.changes().map_or(Seq(0), |changes| changes.changed);
            chat.unread.recall(message.seq, by, chat.shown);
        }
    }
}
