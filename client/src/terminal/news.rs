//! What the session tells, as lines on the screen.

use super::directory::{person, state};
use super::{Mode, Terminal, chat, clock, sentence};
use chatclient::{Event, Failure, LocalId, SendFailure, sanitize};
use std::time::Instant;
use wire::push::{FriendChange, FriendEvent, PresenceChange};
use wire::reply::{Friend, LoggedIn, Presence};
use wire::{ConversationId, ConversationKind, Message, Refusal};

impl Terminal {
    pub(super) fn handle_event(&mut self, event: Event) {
        match event {
            Event::Connected | Event::Delivered(_) | Event::Read(_) => {}
            Event::Disconnected { why, retry_in_ms: Some(wait) } => {
                if let Some(notice) = self.outage.notice(Instant::now(), &why, wait) {
                    self.say(&notice);
                }
            }
            // Nobody is logged in: only that there is no server is worth a word, and the next choice tries again.
            Event::Disconnected { why, retry_in_ms: None } => {
                if matches!(why, chatclient::Lost::Unreachable(_)) && self.mode == Mode::Menu {
                    self.say_unreachable(&why);
                }
            }
            Event::LoggedIn(login) => self.handle_logged_in(&login),
            Event::LoginFailed(failure) => self.handle_entry_failed("login", &failure),
            Event::LoggedOut(reason) => self.handle_logged_out(reason),
            Event::Message(message) => self.show_message(&message),
            Event::Sent { local, conversation, .. } => self.handle_sent(local, conversation),
            Event::SendDelayed { local, refusal } => self.handle_delayed(local, refusal),
            Event::SendFailed { local, failure } => self.handle_send_failed(local, &failure),
            Event::Reply { request, reply } => self.handle_reply(request, Ok(reply)),
            Event::Failed { request, failure } => self.handle_reply(request, Err(failure)),
            Event::Conversations(entries) => self.directory.learn_entries(&entries),
            Event::Presence(change) => self.handle_presence(change),
            Event::Friend(change) => self.handle_friend(*change),
            Event::Changed(listings) => self.refresh(&listings),
            Event::GoingAway { reason } => {
                self.say(&format!("the server is going away: {}", sanitize::line(&reason)));
            }
            Event::ServerError(refusal) => {
                self.say(&format!("the server reports: {}", sentence(&Failure::Refused(refusal))));
            }
            Event::NotKept(why) => {
                self.say(&format!("nothing is kept on this machine: {}", sanitize::line(&why)))
            }
            Event::Missing { conversation, from, to } => {
                let label = self.directory.conversation(conversation);
                self.say(&format!("the server has lost messages {from} to {to} of {label}"));
            }
        }
    }

    fn handle_logged_in(&mut self, login: &LoggedIn) {
        self.directory.learn_login(login);
        if self.outage.end() {
            return self.say("back online");
        }
        // Whoever is leaving is not stopped by a connection that came back.
        if !matches!(self.mode, Mode::LoggingIn) {
            return;
        }
        self.mode = Mode::Chat;
        self.say(&format!("logged in as {}", person(&login.name, login.id)));
        self.say(&chat::friends(&self.directory, &[]));
        self.say(&chat::groups(&self.directory));
        for entry in &login.conversations {
            let read = entry.read_seq.max(entry.first_seq.prev());
            let unread = entry.last_seq.0.saturating_sub(read.0);
            if unread > 0 {
                self.say(&format!("{unread} new in {}", self.directory.conversation(entry.conversation)));
            }
        }
        if login.friends_more || login.groups_more {
            self.say("there are more: friends and groups list them all");
        }
        self.say("help lists the commands");
    }

    /// `[12:03] zhang san (1): hello`; shown is read.
    fn show_message(&mut self, message: &Message) {
        self.directory.learn_message(message);
        let (at, who) = (clock::short(message.time), person(&message.name, message.from));
        let text = sanitize::line(&message.content);
        let place = self.directory.conversation(message.conversation);
        self.say(&match message.kind {
            ConversationKind::Group => format!("[{at}] {place} | {who}: {text}"),
            // Written by this account on another device.
            ConversationKind::Direct if message.from == self.directory.me => {
                format!("[{at}] {who} to {place}: {text}")
            }
            ConversationKind::Direct => format!("[{at}] {who}: {text}"),
        });
        let (conversation, seq) = (message.conversation, message.seq);
        self.client.with(|session, now| session.read(now, conversation, seq));
    }

    fn handle_sent(&mut self, local: LocalId, conversation: ConversationId) {
        if let Some(own) = self.own.remove(&local) {
            self.directory.learn_sent(conversation, &own.to);
            self.say(&format!("sent to {}", self.directory.target_label(&own.to)));
        }
    }

    fn handle_delayed(&mut self, local: LocalId, refusal: Box<Refusal>) {
        if let Some(own) = self.own.get_mut(&local)
            && !std::mem::replace(&mut own.delayed, true)
        {
            let (label, why) = (self.directory.target_label(&own.to), sentence(&Failure::Refused(refusal)));
            self.say(&format!("not yet sent to {label}: {why}; trying again"));
        }
    }

    fn handle_send_failed(&mut self, local: LocalId, failure: &SendFailure) {
        if let Some(own) = self.own.remove(&local) {
            let why = match failure {
                SendFailure::Refused(refusal) => sentence(&Failure::Refused(refusal.clone())),
                SendFailure::Expired | SendFailure::OtherAccount => failure.to_string(),
            };
            self.say(&format!("not sent to {}: {why}", self.directory.target_label(&own.to)));
        }
    }

    fn handle_presence(&mut self, change: PresenceChange) {
        if let Some(friend) = self.directory.friends.get_mut(&change.id) {
            friend.state = change.state;
        }
        self.say(&format!("{} is {}", self.directory.user(change.id), state(change.state)));
    }

    fn handle_friend(&mut self, change: FriendChange) {
        let FriendChange { id, name, event, message } = change;
        let who = person(&name, id);
        let said = message.map(|text| format!(": {}", sanitize::line(&text))).unwrap_or_default();
        match event {
            FriendEvent::Requested => {
                self.say(&format!("{who} asks to be friends{said}  (addfriend:{id} accepts)"));
            }
            FriendEvent::Accepted => {
                self.say(&format!("{who} and you are friends{said}"));
                self.directory.friends.insert(id, Friend { id, name, state: Presence::Online });
            }
            FriendEvent::Refused => self.say(&format!("{who} does not want to be friends{said}")),
            FriendEvent::Removed => {
                self.say(&format!("{who} and you are no longer friends"));
                self.directory.friends.remove(&id);
            }
        }
    }
}
