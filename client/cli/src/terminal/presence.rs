//! Friends that come online and go offline.

use super::state::Terminal;
use crate::display::list;
use wire::presence::Push;

impl Terminal {
    pub(super) fn handle_presence_push(&mut self, push: Push) {
        let Push::Changed(change) = push;
        if let Some(friend) = self.directory.friends.get_mut(&change.id) {
            friend.state = change.state;
        }
        self.say(&format!("{} is {}", self.directory.user(change.id), list::presence(change.state)));
    }
}
