//! Handles the events of the session, pushes one row a noun.

use super::state::{Mode, Terminal};
use crate::display::sentence;
use chatclient_core::{Event, Failure, Lost, sanitize};
use std::time::Instant;
use wire::Push;

impl Terminal {
    pub(super) fn handle_event(&mut self, event: Event) {
        match event {
            Event::Connected => {}
            Event::Disconnected { why, retry_in_ms: Some(wait) } => {
                if let Some(notice) = self.outage.notice(Instant::now(), &why, wait) {
                    self.say(&notice);
                }
            }
            // Without a login a lost connection does not matter: the next choice connects again.
            Event::Disconnected { why, retry_in_ms: None } => match why {
                Lost::Unreachable(_) if self.mode == Mode::Menu => self.say_unreachable(&why),
                Lost::Insecure(why) => self.say(&sanitize::line(&why)),
                _ => {}
            },
            Event::LoggedIn(login) => self.handle_logged_in(&login),
            Event::LoginFailed(failure) => self.handle_login_failed("login", &failure),
            Event::LoggedOut(reason) => self.handle_logged_out(reason),
            Event::Message(message) => self.handle_message(&message),
            Event::Sent { local, conversation, seq, time } => {
                self.handle_sent(local, conversation, seq, time);
            }
            Event::SendDelayed { local, refusal } => self.handle_delayed(local, refusal),
            Event::SendFailed { local, failure } => self.handle_send_failed(local, &failure),
            Event::Reply { request, reply } => self.handle_reply(request, Ok(reply)),
            Event::Failed { request, failure } => self.handle_reply(request, Err(failure)),
            Event::Conversations(rows) => self.learn_conversations(&rows),
            Event::SettingsChanged { conversation, change } => {
                self.handle_settings_changed(conversation, change);
            }
            Event::Cleared { conversation, upto } => self.handle_cleared(conversation, upto),
            Event::Push(push) => self.handle_push(push),
            Event::GoingAway { reason } => {
                self.say(&format!("the server is shutting down: {}", sanitize::line(&reason)));
            }
            Event::StoreFailed(why) => {
                self.say(&format!("nothing is saved on this machine: {}", sanitize::line(&why)));
            }
            Event::Forgotten { conversation, after } => {
                self.directory.forget_above(conversation, after);
                let label = self.directory.conversation(conversation);
                self.say(&format!(
                    "the server was restored from a backup: of {label} it has nothing after message {after}, and what \
                     was saved here after that is removed"
                ));
            }
            Event::Missing { conversation, from, to } => {
                let label = self.directory.conversation(conversation);
                self.say(&format!("messages {from} to {to} of {label} are missing on the server"));
            }
        }
    }

    fn handle_push(&mut self, push: Push) {
        match push {
            Push::Session(push) => self.handle_session_push(push),
            Push::Contact(push) => self.handle_contact_push(push),
            Push::Presence(push) => self.handle_presence_push(push),
            Push::Timeline(push) => self.handle_timeline_push(push),
            // Messages arrive as Event::Message.
            Push::Message(_) => {}
            Push::Error(refusal) => {
                self.say(&format!("the server reports: {}", sentence(&Failure::Refused(refusal))));
            }
        }
    }
}
