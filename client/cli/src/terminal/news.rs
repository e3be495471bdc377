//! What the session tells, as lines on the screen.

use super::backlog::Backlog;
use super::directory::state;
use super::own::{self, Waiting};
use super::style::{Mark, person};
use super::{Mode, Terminal, chat, clock, columns, sentence};
use chatclient_core::outbox::Unsent;
use chatclient_core::{Event, Failure, LocalId, SendFailure, sanitize};
use chatclient_store::FailedMessage;
use std::time::{Duration, Instant};
use wire::contact::Friend;
use wire::contact::{FriendChange, FriendEvent};
use wire::presence::Presence;
use wire::presence::PresenceChange;
use wire::session::LoggedIn;
use wire::timeline::Receipt;
use wire::{ConversationId, ConversationKind, Message, Refusal, Seq};
use wire::{Push, contact, presence, session, timeline};

/// The shortest time between two bells.
const BELL_EVERY: Duration = Duration::from_secs(1);

impl Terminal {
    pub(super) fn handle_event(&mut self, event: Event) {
        match event {
            Event::Connected => {}
            Event::Disconnected { why, retry_in_ms: Some(wait) } => {
                if let Some(notice) = self.outage.notice(Instant::now(), &why, wait) {
                    self.say(&notice);
                }
            }
            // Nobody is logged in: only that there is no server is worth a word, and the next choice tries again.
            Event::Disconnected { why, retry_in_ms: None } => {
                if matches!(why, chatclient_core::Lost::Unreachable(_)) && self.mode == Mode::Menu {
                    self.say_unreachable(&why);
                }
            }
            Event::LoggedIn(login) => self.handle_logged_in(&login),
            Event::LoginFailed(failure) => self.handle_entry_failed("login", &failure),
            Event::LoggedOut(reason) => self.handle_logged_out(reason),
            Event::Message(message) => self.handle_message(&message),
            Event::Sent { local, conversation, seq, .. } => self.handle_sent(local, conversation, seq),
            Event::SendDelayed { local, refusal } => self.handle_delayed(local, refusal),
            Event::SendFailed { local, failure } => self.handle_send_failed(local, &failure),
            Event::Reply { request, reply } => self.handle_reply(request, Ok(reply)),
            Event::Failed { request, failure } => self.handle_reply(request, Err(failure)),
            Event::Conversations(entries) => {
                self.directory.learn_entries(&entries);
                self.publish_names();
                self.settle_marks();
            }
            Event::Push(push) => self.handle_push(push),
            Event::GoingAway { reason } => {
                self.say(&format!("the server is going away: {}", sanitize::line(&reason)));
            }
            Event::StoreFailed(why) => {
                self.say(&format!("nothing is kept on this machine: {}", sanitize::line(&why)));
            }
            Event::Missing { conversation, from, to } => {
                let label = self.directory.conversation(conversation);
                self.say(&format!("the server has lost messages {from} to {to} of {label}"));
            }
        }
    }

    fn handle_push(&mut self, push: Push) {
        match push {
            Push::Timeline(timeline::Push::Delivered(receipt)) => {
                self.handle_receipt(receipt, Mark::Delivered);
            }
            Push::Timeline(timeline::Push::ReadReceipt(receipt)) => self.handle_receipt(receipt, Mark::Read),
            Push::Presence(presence::Push::Changed(change)) => self.handle_presence(change),
            Push::Contact(contact::Push::Friend(change)) => self.handle_friend(*change),
            Push::Session(session::Push::Changed(changed)) => self.refresh(&changed.what),
            // The session handles these itself.
            Push::Session(_) | Push::Message(_) => {}
            Push::Error(refusal) => {
                self.say(&format!("the server reports: {}", sentence(&Failure::Refused(refusal))));
            }
        }
    }

    fn handle_logged_in(&mut self, login: &LoggedIn) {
        let first = matches!(self.mode, Mode::LoggingIn);
        if first {
            self.learn_store(login.id, &login.name);
        }
        self.directory.learn_login(login);
        self.backlog = Backlog::of(login, &self.directory.chats);
        self.publish_names();
        self.settle_marks();
        if self.outage.end() && !first {
            let again = std::mem::replace(&mut self.was_online, true);
            return self.say(if again { "resumed" } else { "online" });
        }
        // Whoever is leaving is not stopped by a connection that came back.
        if !first {
            return;
        }
        // What is unread is said for each conversation.
        self.backlog = Backlog::default();
        (self.mode, self.was_online) = (Mode::Chat, true);
        self.say(&format!("logged in as {}", person(&login.name, login.id)));
        self.say(&chat::friends(self.directory.friends.values(), &[]));
        self.say(&chat::groups(self.directory.groups.values()));
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
        self.take_up();
    }

    // ---- messages ------------------------------------------------------------------------------------------------------

    fn handle_message(&mut self, message: &Message) {
        let known = self.directory.chats.get(&message.conversation).map_or(Seq(0), |chat| chat.shown);
        // What the store gave a moment ago was shown then.
        if message.seq <= known {
            return;
        }
        self.directory.learn_message(message);
        self.show_line(message);
        let theirs = message.from != self.directory.me;
        if let Some(chat) = self.directory.chats.get_mut(&message.conversation) {
            chat.show(message.seq);
            chat.unread += u64::from(theirs);
        }
        self.take_backlog(message.conversation, message.seq, theirs);
        if self.is_open(message.conversation) {
            self.read_up_to_here(message.conversation);
        }
        if theirs && message.kind == ConversationKind::Direct {
            self.call();
        }
    }

    /// A message has its place, shown or own: once all that a login found is here, says how much of it was new.
    fn take_backlog(&mut self, conversation: ConversationId, seq: Seq, theirs: bool) {
        let Some(chat) = self.directory.chats.get(&conversation) else { return };
        if let Some(new) = self.backlog.take(conversation, seq, theirs, chat) {
            self.say(&format!("{new} new while away"));
        }
    }

    /// `[12:03] zhang san (1): hello`.
    pub(super) fn show_line(&mut self, message: &Message) {
        let (at, who) = (clock::short(message.time), person(&message.name, message.from));
        let own = self.screen.is_live() && message.from == self.directory.me;
        let who = self.style.name(if own { "you" } else { &who }, message.from);
        let text = sanitize::line(&message.content);
        let place = self.directory.conversation(message.conversation);
        let line = match message.kind {
            ConversationKind::Group => format!("[{at}] {place} | {who}: {text}"),
            // Written by this account, on another device or before.
            ConversationKind::Direct if message.from == self.directory.me => {
                format!(
                    "[{at}] {who} {} {place}: {text}",
                    if self.screen.is_live() { self.style.arrow() } else { "to" }
                )
            }
            ConversationKind::Direct => format!("[{at}] {who}: {text}"),
        };
        match self.mark_of(message) {
            Some(mark) if self.screen.is_live() => {
                let id = self.own.new_line();
                self.screen.print_marked(id, mark, line);
                self.own.watch(message.conversation, message.seq, id, mark);
            }
            _ => self.print(&line),
        }
    }

    /// Whether the user looks at a conversation.
    fn is_open(&self, conversation: ConversationId) -> bool {
        self.here.as_ref().is_some_and(|here| self.directory.conversation_of(here) == Some(conversation))
    }

    /// The user sees all of a conversation that is here. A message counts as read when a person at a terminal has its
    /// conversation open while it is shown, or opens it later; never because a script took it.
    pub(super) fn read_up_to_here(&mut self, conversation: ConversationId) {
        let Some(chat) = self.directory.chats.get_mut(&conversation) else { return };
        if self.seen_by_a_person {
            chat.unread = 0;
            let seq = chat.last;
            self.client.with(|session, now| session.read(now, conversation, seq));
        }
    }

    /// The bell, at most once a second: a backlog is one call.
    fn call(&mut self) {
        let now = Instant::now();
        if self.bell && self.called.is_none_or(|called| now >= called + BELL_EVERY) {
            self.called = Some(now);
            self.screen.bell();
        }
    }

    // ---- own messages ----------------------------------------------------------------------------------------------------

    fn handle_sent(&mut self, local: LocalId, conversation: ConversationId, seq: Seq) {
        let Some(own) = self.own.waiting.remove(&local) else { return };
        if self.here.as_ref() == Some(&own.to) {
            self.client.store(|store| store.set_current(Some(conversation)));
        }
        self.directory.learn_sent(conversation, &own.to, seq);
        self.take_backlog(conversation, seq, false);
        let mark = self.directory.chats.get(&conversation).map_or(Mark::Stored, |chat| chat.mark(seq));
        if self
            .directory
            .chats
            .get(&conversation)
            .is_some_and(|chat| chat.peer.is_some() && chat.name.is_empty())
        {
            self.ask_peers();
        }
        self.screen.mark(own.line, mark);
        self.own.watch(conversation, seq, own.line, mark);
        self.say_mark(mark, &format!("sent to {}", self.directory.target_label(&own.to)));
    }

    /// A message from an earlier life of the program, still under way.
    pub(super) fn show_waiting(&mut self, unsent: Unsent) {
        let (to, text, line) = (unsent.send.target, unsent.send.content.to_string(), self.own.new_line());
        let shown = format!("[{}] {}", clock::now(), self.own_line(&to, &text));
        self.screen.print_marked(line, Mark::Sending, shown);
        self.own.waiting.insert(unsent.local, Waiting { to, text, line, delayed: false });
    }

    /// A message that failed in an earlier life of the program.
    pub(super) fn show_failed(&mut self, failed: FailedMessage) {
        let FailedMessage { local, target: to, content: text, why } = failed;
        let line = self.own.new_line();
        self.screen.print_marked(line, Mark::Failed, self.own_line(&to, &text));
        self.say(&self.style.alarm(&format!("not sent: {}  (/retry, /drop)", sanitize::line(&why))));
        self.own.failed.push(own::Failure { local, to, text });
    }

    fn handle_delayed(&mut self, local: LocalId, refusal: Box<Refusal>) {
        if let Some(own) = self.own.waiting.get_mut(&local)
            && !std::mem::replace(&mut own.delayed, true)
        {
            let (label, why) = (self.directory.target_label(&own.to), sentence(&Failure::Refused(refusal)));
            self.say(&format!("not yet sent to {label}: {why}; trying again"));
        }
    }

    fn handle_send_failed(&mut self, local: LocalId, failure: &SendFailure) {
        let Some(own) = self.own.waiting.remove(&local) else { return };
        let why = match failure {
            SendFailure::Refused(refusal) => sentence(&Failure::Refused(refusal.clone())),
            SendFailure::Expired | SendFailure::OtherAccount => failure.to_string(),
        };
        self.screen.mark(own.line, Mark::Failed);
        let label = self.directory.target_label(&own.to);
        if self.screen.is_live() {
            let text = columns::cut(&sanitize::line(&own.text), 30);
            self.say(&self.style.alarm(&format!("not sent to {label}: {why}  [{text}]  /retry, /drop")));
        } else {
            self.say_mark(Mark::Failed, &format!("not sent to {label}: {why}"));
        }
        self.own.failed.push(own::Failure { local, to: own.to, text: own.text });
    }

    /// The peer of a direct chat has received, or read.
    fn handle_receipt(&mut self, receipt: Receipt, mark: Mark) {
        let Receipt { conversation, seq, .. } = receipt;
        if let Some(chat) = self.directory.chats.get_mut(&conversation) {
            chat.peer_delivered = chat.peer_delivered.max(seq);
            if mark == Mark::Read {
                chat.peer_read = chat.peer_read.max(seq);
            }
        }
        if self.own.advance(&self.screen, conversation, seq, mark) {
            let what = if mark == Mark::Read { "read by" } else { "delivered to" };
            if self.marks_as_lines {
                self.say_mark(mark, &format!("{what} {}", self.directory.conversation(conversation)));
            }
        }
    }

    /// Where the peers have come to meanwhile.
    fn settle_marks(&mut self) {
        for (id, chat) in &self.directory.chats {
            self.own.advance(&self.screen, *id, chat.peer_delivered, Mark::Delivered);
            self.own.advance(&self.screen, *id, chat.peer_read, Mark::Read);
        }
    }

    /// What happened to an own message, where its line cannot be painted over.
    fn say_mark(&self, mark: Mark, what: &str) {
        if self.marks_as_lines {
            self.say(&format!("{} {what}", self.style.mark(mark)));
        } else if !self.screen.is_live() {
            self.say(what);
        }
    }

    // ---- people ------------------------------------------------------------------------------------------------------------

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
                self.publish_names();
            }
            FriendEvent::Refused => self.say(&format!("{who} does not want to be friends{said}")),
            FriendEvent::Removed => {
                self.say(&format!("{who} and you are no longer friends"));
                self.directory.friends.remove(&id);
            }
        }
    }
}
