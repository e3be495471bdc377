//! How the user sees a conversation: pinned, muted, hidden, and what of it is forgotten.

use super::state::{Forgetting, Question, Terminal};
use crate::command::timeline::Setting;
use chatclient_core::Failure;
use wire::timeline::SettingsChange;
use wire::{ConversationId, Seq};

impl Terminal {
    pub(super) fn set_conversation(&mut self, setting: Setting, of: Option<&str>) {
        let command = setting.command();
        let Some(conversation) = self.conversation_meant(command, of) else { return };
        self.request(
            |session, now| session.set_conversation(now, conversation, setting.change()),
            move |terminal, result| match (result, setting) {
                (Ok(_), _) => terminal.say_set(conversation, setting),
                (Err(Failure::Offline | Failure::Lost(_) | Failure::TimedOut), Setting::Muted(muted)) => {
                    terminal.mute_here(conversation, muted);
                }
                (Err(failure), _) => terminal.report_failure(command, &failure),
            },
        );
    }

    fn say_set(&mut self, conversation: ConversationId, setting: Setting) {
        let label = self.directory.conversation(conversation);
        let what = match setting {
            Setting::Pinned(true) => "is listed first",
            Setting::Pinned(false) => "is listed in its place",
            Setting::Muted(true) => "is muted: only mentions of your name are shown while it is not open",
            Setting::Muted(false) => "is not muted",
            Setting::Hidden(true) => "is hidden until its next message",
            Setting::Hidden(false) => "is listed again",
        };
        self.say(&format!("{label} {what}"));
        if setting == Setting::Hidden(true) && self.is_open(conversation) {
            self.open(None);
        }
    }

    /// Mutes a conversation on this machine, or ends that, until the server can be told.
    fn mute_here(&mut self, conversation: ConversationId, muted: bool) {
        self.directory.apply(conversation, Setting::Muted(muted).change());
        self.directory.mutes_to_tell.insert(conversation);
        self.client.store(|store| store.mute_here(conversation, muted));
        let label = self.directory.conversation(conversation);
        let not = if muted { "" } else { "not " };
        self.say(&format!("offline; {label} is {not}muted here; the server is told at the next login"));
    }

    /// Tells the server what was muted while it could not be reached.
    pub(super) fn tell_mutes(&mut self) {
        for conversation in self.directory.mutes_to_tell.clone() {
            let change = Setting::Muted(self.directory.muted.contains(&conversation)).change();
            self.request(
                |session, now| session.set_conversation(now, conversation, change),
                move |terminal, result| {
                    // Not a member any more, or a server that has no settings.
                    if let Err(Failure::Refused(_)) = result {
                        terminal.directory.mutes_to_tell.remove(&conversation);
                    }
                },
            );
        }
    }

    pub(super) fn handle_settings_changed(&mut self, conversation: ConversationId, change: SettingsChange) {
        self.directory.apply(conversation, change);
        if change.muted.is_some() {
            self.directory.mutes_to_tell.remove(&conversation);
        }
    }

    // ---- forgetting ------------------------------------------------------------------------------------------------

    /// Asks before what cannot be undone.
    pub(super) fn ask_to_forget(&mut self, of: Option<&str>) {
        let Some(conversation) = self.conversation_meant("/forget", of) else { return };
        let label = self.directory.conversation(conversation);
        let upto = self.directory.chats.get(&conversation).map_or(Seq(0), |chat| chat.last);
        if upto == Seq(0) {
            return self.say(&format!("no messages with {label} yet"));
        }
        self.question = Some(Question::Forget(Forgetting { conversation, upto }));
        self.say(&format!(
            "this removes the messages of {label} up to #{upto} on the server and here, for you alone and for good; \
             type yes to go on"
        ));
    }

    /// Takes the answer to the question of `/forget`.
    pub(super) fn answer_forgetting(&mut self, forgetting: Forgetting, is_yes: bool) {
        if !is_yes {
            return self.say("nothing was removed");
        }
        let Forgetting { conversation, upto } = forgetting;
        self.ask(
            "/forget",
            |session, now| session.clear(now, conversation, upto),
            Some,
            move |terminal, _| {
                let label = terminal.directory.conversation(conversation);
                terminal.say(&format!("the messages of {label} up to #{upto} are removed"));
            },
        );
    }

    pub(super) fn handle_cleared(&mut self, conversation: ConversationId, upto: Seq) {
        self.directory.forget_upto(conversation, upto);
        // How many messages above it are unread is not known apart.
        if self.directory.chats.get(&conversation).is_some_and(|chat| !chat.unread.is_none()) {
            self.ask_peers();
        }
        self.window = self.window.filter(|window| window.conversation != conversation);
    }

    /// The conversation that a command names, or the open one. Where there is none, says so.
    pub(super) fn conversation_meant(&self, command: &str, of: Option<&str>) -> Option<ConversationId> {
        let found = match of {
            Some(of) => self.directory.conversation_meant(of).and_then(|found| {
                found.ok_or_else(|| {
                    format!("there is no such conversation: {command} WHO, or {command} #GROUP")
                })
            }),
            None => self
                .open_conversation()
                .ok_or_else(|| "no conversation is open: /open WHO, or /open #GROUP".to_owned()),
        };
        found.map_err(|sentence| self.say(&sentence)).ok()
    }
}
