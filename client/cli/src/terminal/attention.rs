//! What draws attention: the bell, notifications and the window's title. And what does not: muted conversations.

use super::directory::Directory;
use super::state::Terminal;
use crate::config::Notifications;
use crate::display::columns;
use crate::display::mention::mentions;
use chatclient_core::sanitize;
use std::time::{Duration, Instant};
use wire::{ConversationId, ConversationKind, Message};

/// The shortest time between two alerts, so that many missed messages make one.
const ALERT_EVERY: Duration = Duration::from_secs(1);
/// Columns of a message in a notification.
const NOTICE_COLUMNS: usize = 80;
/// Saves the window's title, and restores it (XTWINOPS).
const SAVE_TITLE: &str = "\x1b[22;2t";
const RESTORE_TITLE: &str = "\x1b[23;2t";

impl Terminal {
    /// Whether a message in a group mentions the user, by id or by the name in its text.
    pub(super) fn is_mention(&self, message: &Message) -> bool {
        let Directory { me, my_name, .. } = &self.directory;
        message.is_message()
            && message.kind == ConversationKind::Group
            && message.from != *me
            && (message.mentions(*me) || mentions(&message.content, my_name))
    }

    /// Alerts the user to a message.
    pub(super) fn alert(&mut self, message: &Message) {
        let now = Instant::now();
        if self.last_alert.is_some_and(|last| now < last + ALERT_EVERY) {
            return;
        }
        self.last_alert = Some(now);
        let Notifications { bell, osc9, osc777, .. } = self.config.notifications;
        if bell && self.bell {
            self.screen.signal("\x07".to_owned());
        }
        // The sequences end at a control character, which safe text does not have; the second divides at semicolons.
        let name = self.directory.name_of(message.from, &message.name);
        let text = sanitize::line(&message.content);
        let text = columns::cut(&text, NOTICE_COLUMNS);
        if osc9 {
            self.screen.signal(format!("\x1b]9;{name}: {text}\x07"));
        }
        if osc777 {
            self.screen.signal(format!("\x1b]777;notify;{};{text}\x07", name.replace(';', ",")));
        }
    }

    // ---- the title -------------------------------------------------------------------------------------------------

    /// Keeps the number of unread messages in the window's title.
    pub(super) fn show_title(&mut self) {
        if !self.config.notifications.title {
            return;
        }
        let title = match self.directory.unread_in_all() {
            0 => "chatclient".to_owned(),
            unread => format!("({unread}) chatclient"),
        };
        if self.title.as_ref() != Some(&title) {
            let save = if self.title.is_none() { SAVE_TITLE } else { "" };
            self.screen.signal(format!("{save}\x1b]2;{title}\x07"));
            self.title = Some(title);
        }
    }

    pub(super) fn restore_title(&mut self) {
        if self.title.take().is_some() {
            self.screen.signal(RESTORE_TITLE.to_owned());
        }
    }

    /// Whether a message is shown and alerts only where its conversation is open.
    pub(super) fn is_quiet(&self, conversation: ConversationId) -> bool {
        self.directory.muted.contains(&conversation)
    }
}
