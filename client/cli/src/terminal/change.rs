//! Changes of messages: `/react` and `/unreact`. The lines that tell of changes are shown like other entries.

use super::state::Terminal;
use crate::command::change::Command;
use wire::change::Reply as ChangeReply;
use wire::{Reply, Seq};

impl Terminal {
    pub(super) fn do_change_command(&mut self, command: Command) {
        let Command::React { of, seq, reaction, on } = command;
        let name = if on { "/react" } else { "/unreact" };
        let Some(of) = self.conversation_meant(name, of.as_deref()) else { return };
        self.ask(
            name,
            |session, now| session.react(now, of, seq, &reaction, on),
            |reply| match reply {
                Reply::Change(ChangeReply::Changed(changed)) => Some(changed),
                _ => None,
            },
            // The entry that tells of the change is shown when it arrives, like that of anybody else.
            move |terminal, changed| {
                if changed.seq == Seq(0) {
                    terminal.say(&format!("you have not reacted like that to #{seq}"));
                }
            },
        );
    }
}
