//! A device: the real client core, and everything it has shown its user, across its own restarts.

use crate::dice::Dice;
use chatclient_core::{
    ConnectionAction, Event, LogoutReason, Options, RequestId, SendFailure, Session, Snapshot,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::account::Who;
use wire::message::TEXT;
use wire::timeline::{self, ConversationSummary};
use wire::{
    Change, ChangeKind, ConversationId, ConversationKind, Errno, Mentions, Message, References, Reply, Seq,
    Target, UnixMillis, UserId, change,
};

pub struct Device {
    pub user: UserId,
    pub session: Session,
    saved: Snapshot,
    /// What was shown, by conversation and place.
    pub shown: BTreeMap<ConversationId, BTreeMap<Seq, String>>,
    /// The messages among it, with their senders.
    answerable: BTreeMap<ConversationId, Vec<(Seq, UserId)>>,
    /// Own messages: their texts, and where the server stored them.
    pub written: BTreeMap<u64, Written>,
    /// The index of its link.
    pub link: Option<usize>,
    pub wants_link: bool,
    /// Whether another device of the same user has ended its session.
    pub kicked: bool,
    /// The first message that came, and the latest.
    pub first: BTreeMap<ConversationId, Seq>,
    last: BTreeMap<ConversationId, Seq>,
    /// The messages that were shown, as the changes that were shown have left them.
    pub messages: BTreeMap<ConversationId, BTreeMap<Seq, Message>>,
    /// The entries of changes that were shown, by what they change.
    changes: BTreeMap<(ConversationId, Seq), Vec<Arc<Message>>>,
    /// Changes that were asked for and not answered.
    asked: BTreeMap<RequestId, Asked>,
    /// Those that were answered, and the entries that tell of them.
    pub changed: Vec<(Asked, Seq)>,
    /// All edits that were asked for.
    pub edits: Vec<Asked>,
    /// Every row of its conversations that it was told.
    pub listed: Vec<ConversationSummary>,
    /// What its searches found.
    pub found: Vec<Arc<Message>>,
}

/// A change that was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub conversation: ConversationId,
    pub change: Change,
    /// The content of the entry that tells of it.
    pub content: String,
}

pub struct Written {
    pub text: String,
    pub target: Target,
    pub references: Option<References>,
    pub sent: Option<(ConversationId, Seq)>,
    /// When it was written, milliseconds.
    pub at: u64,
    /// Why it was refused, and when the device was told.
    pub refused: Option<(Errno, u64)>,
}

impl Device {
    pub fn new(user: UserId, seed: u64) -> Device {
        Device {
            user,
            session: Session::new(Options::new(seed)),
            saved: Snapshot::default(),
            shown: BTreeMap::new(),
            answerable: BTreeMap::new(),
            written: BTreeMap::new(),
            link: None,
            wants_link: false,
            kicked: false,
            first: BTreeMap::new(),
            last: BTreeMap::new(),
            messages: BTreeMap::new(),
            changes: BTreeMap::new(),
            asked: BTreeMap::new(),
            changed: Vec::new(),
            edits: Vec::new(),
            listed: Vec::new(),
            found: Vec::new(),
        }
    }

    pub fn login(&mut self, now: u64) {
        self.kicked = false;
        self.session.login_password(now, Who::Id(self.user), "secret");
    }

    pub fn write(&mut self, now: u64, target: Target, text: String) {
        self.write_referring(now, target, text, None);
    }

    /// Writes a message that answers one that was shown, whose sender it mentions, if there is one.
    pub fn answer(&mut self, now: u64, target: Target, text: String, dice: &mut Dice) {
        let sent = || self.written.values().find(|written| written.target == target)?.sent;
        let conversation = match &target {
            Target::Conversation(conversation) => Some(*conversation),
            _ => sent().map(|(conversation, _)| conversation),
        };
        let answerable = conversation.and_then(|conversation| self.answerable.get(&conversation));
        let references = dice.pick(answerable.map_or(&[], |known| known)).map(|(seq, from)| References {
            reply_to: Some(*seq),
            mentions: Mentions::Users([*from].into()),
        });
        self.write_referring(now, target, text, references);
    }

    fn write_referring(&mut self, now: u64, target: Target, text: String, references: Option<References>) {
        let boxed = references.clone().map(Box::new);
        if let Ok(local) = self.session.send_referring(now, target.clone(), &text, boxed) {
            let written = Written { text, target, references, sent: None, at: now, refused: None };
            let before = self.written.insert(local.0, written);
            assert!(before.is_none(), "a local number is used once");
        }
    }

    /// Changes something that was shown: reacts to it or takes that back, edits it to `text`, or recalls it.
    pub fn change(&mut self, now: u64, text: String, dice: &mut Dice) {
        let shown: Vec<(ConversationId, Seq)> = self
            .shown
            .iter()
            .flat_map(|(conversation, shown)| shown.keys().map(|seq| (*conversation, *seq)))
            .collect();
        let (on, reaction) = (!dice.once_in(3), if dice.once_in(2) { "👍" } else { "🎉" });
        // Mostly one of the latest own messages, which alone can be edited.
        let own: Vec<(ConversationId, Seq)> =
            self.written.values().rev().take(4).filter_map(|written| written.sent).collect();
        let kind = match dice.below(8) {
            0..4 => ChangeKind::Reaction { on },
            4..7 => ChangeKind::Edit,
            _ => ChangeKind::Recall,
        };
        let is_own = !matches!(kind, ChangeKind::Reaction { .. }) && !dice.once_in(10);
        if let Some(&(conversation, seq)) = dice.pick(if is_own { &own } else { &shown }) {
            let (request, content) = match kind {
                ChangeKind::Reaction { on } => {
                    (self.session.react(now, conversation, seq, reaction, on), reaction.to_owned())
                }
                ChangeKind::Edit => (self.session.edit(now, conversation, seq, &text), text),
                ChangeKind::Recall => (self.session.recall(now, conversation, seq), String::new()),
            };
            let asked = Asked { conversation, change: Change { of: seq, kind }, content };
            self.edits.extend((kind == ChangeKind::Edit).then(|| asked.clone()));
            self.asked.insert(request, asked);
        }
    }

    /// Carries out the core's actions; returns the bytes for its link, and whether to close it.
    pub fn pump(&mut self, now: u64, out: &mut Vec<u8>) -> bool {
        let mut close = false;
        while let Some(action) = self.session.poll_connection() {
            match action {
                ConnectionAction::Connect => self.wants_link = true,
                ConnectionAction::Close => {
                    self.wants_link = false;
                    close = true;
                }
            }
        }
        while let Some(event) = self.session.poll_event() {
            self.see(now, event);
        }
        // The core's contract: what was shown is remembered before the server is told.
        self.saved = self.session.snapshot(now);
        self.session.poll_transmit(out);
        close
    }

    fn see(&mut self, now: u64, event: Event) {
        match event {
            Event::Message(message) => {
                let (conversation, seq) = (message.conversation, message.seq);
                self.first.entry(conversation).or_insert(seq);
                let last = self.last.insert(conversation, seq).unwrap_or_default();
                assert!(last < seq, "{conversation:?}: {seq} was shown after {last} to {:?}", self.user);
                if message.is_message() {
                    self.answerable.entry(conversation).or_default().push((seq, message.from));
                }
                self.show(conversation, seq, essence(&message));
                if let Some(change) = message.change() {
                    let known = self.messages.entry(conversation).or_default();
                    if let Some(changed) = known.get_mut(&change.of) {
                        changed.apply(&message, self.user);
                    }
                    self.changes.entry((conversation, change.of)).or_default().push(message);
                } else {
                    self.know(Arc::unwrap_or_clone(message));
                }
            }
            Event::Sent { local, conversation, seq, .. } => {
                let written = self.written.get_mut(&local.0).expect("only what was written is sent");
                assert!(written.sent.replace((conversation, seq)).is_none(), "a message is sent once");
                let (text, shown) = (written.text.clone(), written.told());
                self.answerable.entry(conversation).or_default().push((seq, self.user));
                // The reply may have been lost, so that changes were shown before.
                self.know(own(conversation, seq, &text));
                self.show(conversation, seq, shown);
            }
            Event::Reply { request, reply: Reply::Change(reply) } => {
                let (change::Reply::Edited(changed)
                | change::Reply::Recalled(changed)
                | change::Reply::Reacted(changed)) = reply;
                let asked = self.asked.remove(&request).expect("only what was asked is answered");
                self.changed.push((asked, changed.seq));
            }
            Event::Failed { request, .. } => drop(self.asked.remove(&request)),
            Event::LoggedIn(login) => self.listed.extend(login.conversations.iter().cloned()),
            Event::Conversations(rows) => self.listed.extend(rows),
            Event::Reply { reply: Reply::Timeline(timeline::Reply::Conversations(page)), .. } => {
                self.listed.extend(page.conversations);
            }
            Event::Reply { reply: Reply::Timeline(timeline::Reply::Results(page)), .. } => {
                self.found.extend(page.messages);
            }
            Event::SendFailed { failure: SendFailure::OtherAccount, .. } => {}
            Event::SendFailed { local, failure: SendFailure::Refused(refusal) } => {
                let written = self.written.get_mut(&local.0).expect("only what was written is refused");
                let is_to_group = matches!(written.target, Target::Conversation(_));
                // Unless what it answers has been dropped.
                let is_possible = is_to_group || refusal.errno == Errno::NotFound;
                assert!(is_possible, "every direct message can be stored: {refusal:?}");
                written.refused = Some((refusal.errno, now));
            }
            Event::SendFailed { failure, .. } => panic!("every message can be stored: {failure}"),
            Event::LoggedOut(LogoutReason::Kicked(_)) => self.kicked = true,
            // A session that a newer login ended while its own was under way.
            Event::LoggedOut(_) | Event::LoginFailed(_) => self.kicked = true,
            // After a leave nothing can be asked for. What a device lacks in the end is found by `shown_to_all`.
            Event::Missing { .. } => {}
            _ => {}
        }
    }

    /// Takes a message, with the changes that came before it.
    fn know(&mut self, mut message: Message) {
        let (conversation, seq) = (message.conversation, message.seq);
        for change in self.changes.get(&(conversation, seq)).into_iter().flatten() {
            message.apply(change, self.user);
        }
        self.messages.entry(conversation).or_default().insert(seq, message);
    }

    fn show(&mut self, conversation: ConversationId, seq: Seq, text: String) {
        let before = self.shown.entry(conversation).or_default().insert(seq, text);
        assert!(before.is_none(), "{conversation:?} {seq} was shown twice to {:?}", self.user);
    }

    /// Kills and restarts the program: only saved state is left.
    pub fn restart(&mut self, now: u64, dice: &mut Dice) {
        self.session = Session::restore(Options::new(dice.roll()), now, self.saved.clone());
        self.link = None;
        self.wants_link = false;
    }
}

impl Written {
    /// What its sender is shown.
    pub fn told(&self) -> String {
        told(&self.text, self.references.as_ref())
    }
}

/// What a user is shown of an entry: its text, and what it refers to.
pub fn essence(message: &Message) -> String {
    told(&message.content, message.extra.as_deref().map(|extra| &extra.references))
}

fn told(text: &str, references: Option<&References>) -> String {
    match references.filter(|references| !references.is_empty()) {
        Some(references) => format!("{text} {}", references.to_json()),
        None => text.to_owned(),
    }
}

/// An own message as a device knows it that has sent it.
fn own(conversation: ConversationId, seq: Seq, text: &str) -> Message {
    Message {
        conversation,
        kind: ConversationKind::Group,
        seq,
        from: UserId(0),
        name: "".into(),
        content_type: TEXT.into(),
        content: text.into(),
        time: UnixMillis(0),
        cid: None,
        extra: None,
    }
}
