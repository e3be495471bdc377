//! Carries out a typed line, one row a noun.

use super::state::Terminal;
use crate::command::{self, Command, help};
use chatclient_core::Session;

impl Terminal {
    pub(super) fn handle_command(&mut self, line: &str) {
        if let Some(forgetting) = self.forgetting.take() {
            return self.answer_forgetting(forgetting, line);
        }
        let command = match command::parse(line) {
            Ok(Some(typed)) => typed.command,
            Ok(None) => return self.client.with(Session::connect_if_wanted),
            Err(mistake) => {
                self.show_typed(line);
                return self.say(&help::explain(&mistake));
            }
        };
        // A line that becomes a message is shown as one, not as typed.
        if !matches!(command, Command::Message(_)) {
            self.show_typed(line);
        }
        match command {
            Command::Session(command) => self.do_session_command(command),
            Command::Contact(command) => self.do_contact_command(command),
            Command::Group(command) => self.do_group_command(command),
            Command::Message(command) => self.do_message_command(line, command),
            Command::Change(command) => self.do_change_command(command),
            Command::Timeline(command) => self.do_timeline_command(command),
        }
    }
}
