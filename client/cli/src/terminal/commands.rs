//! Carries out a typed line, one row a noun.

use super::state::{Question, Terminal};
use crate::command::{self, Command, help};
use chatclient_core::Session;

impl Terminal {
    /// Takes the answer to a question.
    fn answer_question(&mut self, question: Question, line: &str) {
        self.show_typed(line);
        let is_yes = line.trim() == "yes";
        match question {
            Question::Forget(forgetting) => self.answer_forgetting(forgetting, is_yes),
            Question::LeaveGroup(_) | Question::Unfriend(_) | Question::About { .. } if !is_yes => {
                self.say("nothing was changed");
            }
            Question::LeaveGroup(group) => self.leave_group(group),
            Question::Unfriend(id) => self.remove_friend(id),
            Question::About { group, id, act } => self.act_about(group, id, act, None),
        }
    }

    pub(super) fn handle_command(&mut self, line: &str) {
        if let Some(question) = self.question.take() {
            // The question may have come up after this line was begun, so what is no answer is carried out.
            if matches!(question, Question::Forget(_)) || ["yes", "no"].contains(&line.trim()) {
                return self.answer_question(question, line);
            }
            self.say("nothing was changed");
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
            Command::Presence(command) => self.do_presence_command(command),
        }
    }
}
