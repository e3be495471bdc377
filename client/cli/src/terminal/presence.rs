//! What friends are shown, and friends that come online, go away and go offline.

use super::state::Terminal;
use crate::command::presence::Command;
use crate::display::list;
use chatclient_core::sanitize;
use wire::Reply;
use wire::presence::{Push, SessionState};

impl Terminal {
    pub(super) fn do_presence_command(&mut self, command: Command) {
        let (name, state, text) = match command {
            Command::Away(text) => ("/away", SessionState::Away, text),
            Command::Back => ("/back", SessionState::Online, None),
        };
        let asked = text.clone();
        self.ask(
            name,
            move |session, now| session.set_presence(now, state, asked.as_deref()),
            |reply| matches!(reply, Reply::Done).then_some(()),
            move |terminal, ()| {
                terminal.is_away = state == SessionState::Away;
                terminal.say(&match (state, text) {
                    (SessionState::Online, _) => "friends see you as online".to_owned(),
                    (SessionState::Away, None) => "friends see you as away (/back ends it)".to_owned(),
                    (SessionState::Away, Some(text)) => {
                        format!("friends see you as away: {} (/back ends it)", sanitize::line(&text))
                    }
                });
            },
        );
    }

    /// Says where a new session does not show what the one before did.
    pub(super) fn tell_presence_is_over(&mut self, has_resumed: bool) {
        if !has_resumed && std::mem::take(&mut self.is_away) {
            self.say("friends see you as online again, because the session is a new one");
        }
    }

    pub(super) fn handle_presence_push(&mut self, push: Push) {
        let Push::Changed(change) = push;
        let shown = list::presence(change.state, change.text.as_deref(), None);
        self.say(&format!("{} is {shown}", self.directory.user(change.id)));
        if let Some(friend) = self.directory.friends.get_mut(&change.id) {
            (friend.state, friend.text, friend.last_seen) = (change.state, change.text, change.last_seen);
        }
    }
}
