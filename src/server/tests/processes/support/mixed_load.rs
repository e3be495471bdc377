//! Users that do everything at once, one request after another, and remember what was answered.

use super::ledger::Counter;
use super::setup::asks_again_after;
use super::{Account, Client, client};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use wire::change::{self, Edit, React, Recall};
use wire::timeline::{Clear, ConversationSummary, Cursor, Request, Set, SettingsChange};
use wire::{Command, ConversationId, Errno, Message, Reply, Seq, Target, UserId, group, message};

/// The most groups that one user creates; all of them fit into one page of everybody's list.
const CREATED_MAX: usize = 40;

/// What all users know.
#[derive(Default)]
pub struct Shared {
    /// Groups that anybody may join.
    groups: Mutex<Vec<ConversationId>>,
}

type Place = (ConversationId, Seq);

/// A user, and what it may rely on: what was answered.
pub struct Actor {
    pub account: Account,
    pub client: Client,
    /// How many requests of each kind were answered.
    pub done: BTreeMap<&'static str, usize>,
    dice: u64,
    requests: u32,
    conversations: Vec<ConversationId>,
    peers: Vec<UserId>,
    /// Own messages: the `cid`, and the text of now; `None`: recalled.
    sent: BTreeMap<Place, (String, Option<String>)>,
    /// The last message of anybody that is known in each conversation.
    ends: BTreeMap<ConversationId, Seq>,
    reactions: BTreeMap<(Place, &'static str), bool>,
    /// The place that each `cid` of a change was answered with.
    changes: BTreeMap<String, Seq>,
    cleared: BTreeMap<ConversationId, Seq>,
    pinned: BTreeMap<ConversationId, bool>,
    joined: Vec<ConversationId>,
    /// The request that was not answered.
    pending: Option<Step>,
}

/// A request, and what it means once it is done.
#[derive(Clone, Debug)]
struct Step {
    command: Command,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Send { cid: String, content: String },
    Edit { of: Place, cid: String, content: String },
    Recall { of: Place, cid: String },
    React { of: Place, cid: String, reaction: &'static str, on: bool },
    Read,
    Clear { conversation: ConversationId, upto: Seq },
    Pin { conversation: ConversationId, pinned: bool },
    Create,
    Join(ConversationId),
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Kind::Send { .. } => "SEND",
            Kind::Edit { .. } => "EDIT",
            Kind::Recall { .. } => "RECALL",
            Kind::React { .. } => "REACT",
            Kind::Read => "READ",
            Kind::Clear { .. } => "CLEAR",
            Kind::Pin { .. } => "SET_CONVERSATION",
            Kind::Create => "CREATE_GROUP",
            Kind::Join(_) => "JOIN_GROUP",
        }
    }
}

impl Actor {
    pub fn join(address: SocketAddr, name: &str, seed: u64) -> Actor {
        let (client, account) = Client::join(address, name);
        Actor {
            account,
            client,
            done: BTreeMap::new(),
            dice: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            requests: 0,
            conversations: Vec::new(),
            peers: Vec::new(),
            sent: BTreeMap::new(),
            ends: BTreeMap::new(),
            reactions: BTreeMap::new(),
            changes: BTreeMap::new(),
            cleared: BTreeMap::new(),
            pinned: BTreeMap::new(),
            joined: Vec::new(),
            pending: None,
        }
    }

    /// Joins the group of all and says something to everybody.
    pub fn begin(&mut self, group: ConversationId, users: &[UserId], shared: &Shared) {
        if self.account.id != users[0] {
            self.client.join_group(group);
        }
        self.joined.push(group);
        self.peers = users.iter().copied().filter(|user| *user != self.account.id).collect();
        let targets = self.peers.iter().map(|peer| Target::User(*peer));
        for target in targets.chain([Target::Conversation(group)]).collect::<Vec<_>>() {
            let step = self.send(target);
            let reply = self.client.ask_again(&step.command);
            self.finish(step, &reply, false, shared);
        }
    }

    /// Makes requests until the connection is lost or the round is over.
    pub fn act_until(&mut self, is_over: &AtomicBool, answered: &Counter, shared: &Shared) {
        while !is_over.load(Ordering::Acquire) {
            let (step, again) = match self.pending.take() {
                Some(step) => (step, true),
                None => (self.next_step(shared), false),
            };
            let Ok(reply) = self.client.try_ask(&step.command) else {
                self.pending = Some(step);
                return;
            };
            let pause = match &reply {
                Reply::Refused(refusal) => asks_again_after(refusal),
                _ => None,
            };
            match pause {
                // Without a `cid` it cannot be asked again.
                Some(_) if matches!(step.kind, Kind::Create) => {}
                Some(pause) => {
                    self.pending = Some(step);
                    thread::sleep(pause);
                }
                None => {
                    self.finish(step, &reply, again, shared);
                    answered.add_one();
                }
            }
        }
    }

    /// Logs in again, and asks once more what was not answered.
    pub fn come_back(&mut self, address: SocketAddr, shared: &Shared) {
        self.client = Client::login_to(address, &self.account);
        let Some(step) = self.pending.take() else { return };
        if let Kind::Create = step.kind {
            // It has no `cid`: it was made, or it was not.
            return;
        }
        let reply = self.client.ask_again(&step.command);
        self.finish(step, &reply, true, shared);
    }

    fn below(&mut self, n: usize) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice % n as u64) as usize
    }

    /// How many requests of a kind were answered.
    fn count(&self, what: &str) -> usize {
        self.done.get(what).copied().unwrap_or(0)
    }

    fn cid(&mut self) -> String {
        self.requests += 1;
        format!("{} {}", self.account.name, self.requests)
    }

    fn send(&mut self, target: Target) -> Step {
        let cid = self.cid();
        let content = format!("text of {cid} {}", "and more ".repeat(self.below(40)));
        Step { command: client::text(target, &content, Some(&cid)), kind: Kind::Send { cid, content } }
    }

    fn next_step(&mut self, shared: &Shared) -> Step {
        let own: Vec<Place> =
            self.sent.iter().filter(|(_, (_, text))| text.is_some()).map(|(place, _)| *place).collect();
        let visible = |place: &Place| self.cleared.get(&place.0).is_none_or(|upto| place.1 > *upto);
        let own: Vec<Place> = own.into_iter().filter(visible).collect();
        let any = self.below(self.conversations.len());
        let conversation = self.conversations[any];
        let pick = self.below(own.len().max(1));
        match (self.below(20), own.get(pick).copied()) {
            (0..=2, Some(of)) => {
                let cid = self.cid();
                let content = format!("edited by {cid}");
                let (conversation, seq) = of;
                let text = content.as_str().into();
                let edit = Edit { conversation, seq, content: text, cid: Some(cid.as_str().into()) };
                Step { command: change::Request::Edit(edit).into(), kind: Kind::Edit { of, cid, content } }
            }
            (3, Some(of)) => {
                let (cid, (conversation, seq)) = (self.cid(), of);
                let recall = Recall { conversation, seq, cid: Some(cid.as_str().into()) };
                Step { command: change::Request::Recall(recall).into(), kind: Kind::Recall { of, cid } }
            }
            (4..=6, Some(of)) => {
                let reaction = ["👍", "🎉", "❤"][self.below(3)];
                let on = !self.reactions.get(&(of, reaction)).copied().unwrap_or(false);
                let (cid, (conversation, seq)) = (self.cid(), of);
                let cid_field = Some(cid.as_str().into());
                let react = React { conversation, seq, reaction: reaction.into(), on, cid: cid_field };
                let kind = Kind::React { of, cid, reaction, on };
                Step { command: change::Request::React(react).into(), kind }
            }
            (7..=8, _) => {
                let seq = self.ends.get(&conversation).copied().unwrap_or(Seq(1));
                Step { command: Request::Read(Cursor { conversation, seq }).into(), kind: Kind::Read }
            }
            (9, _) if self.below(4) == 0 => {
                let upto = Seq(self.ends.get(&conversation).map_or(1, |end| end.0 / 2));
                let clear = Request::Clear(Clear { conversation, upto });
                Step { command: clear.into(), kind: Kind::Clear { conversation, upto } }
            }
            (9..=10, _) => {
                let pinned = !self.pinned.get(&conversation).copied().unwrap_or(false);
                let change = SettingsChange { pinned: Some(pinned), ..SettingsChange::default() };
                let set = Request::Set(Set { conversation, change });
                Step { command: set.into(), kind: Kind::Pin { conversation, pinned } }
            }
            // Not more than an account may create in a day.
            (11, _) if self.below(5) == 0 && self.count("CREATE_GROUP") < CREATED_MAX => {
                let (name, desc) = (self.cid().into(), Box::default());
                Step {
                    command: group::Request::Create(group::Create { name, desc }).into(),
                    kind: Kind::Create,
                }
            }
            (11..=12, _) => {
                let groups = shared.groups.lock().unwrap().clone();
                match groups.into_iter().find(|group| !self.joined.contains(group)) {
                    Some(conversation) => {
                        let join = group::Request::Join(group::Join { conversation });
                        Step { command: join.into(), kind: Kind::Join(conversation) }
                    }
                    None => self.send(Target::Conversation(conversation)),
                }
            }
            (13, _) => {
                let to = self.below(self.peers.len());
                self.send(Target::User(self.peers[to]))
            }
            _ => self.send(Target::Conversation(conversation)),
        }
    }

    /// Takes the answer to a step. `again`: it was asked before.
    fn finish(&mut self, step: Step, reply: &Reply, again: bool, shared: &Shared) {
        *self.done.entry(step.kind.name()).or_default() += 1;
        let unexpected = || panic!("{step:?} of {} was answered {reply:?}", self.account.name);
        match (&step.kind, reply) {
            (Kind::Send { cid, content }, Reply::Message(message::Reply::Sent(sent))) => {
                assert!(again || !sent.duplicate, "{step:?} was sent once");
                let place = (sent.conversation, sent.seq);
                let other = self.sent.insert(place, (cid.clone(), Some(content.clone())));
                assert!(other.is_none(), "{place:?} was promised twice");
                self.ends.insert(sent.conversation, sent.seq);
                if !self.conversations.contains(&sent.conversation) {
                    self.conversations.push(sent.conversation);
                }
            }
            (Kind::Edit { of, cid, content }, Reply::Change(change::Reply::Edited(changed))) => {
                self.note(cid, changed.seq);
                self.sent.get_mut(of).expect("it is an own one").1 = Some(content.clone());
            }
            (Kind::Recall { of, cid }, Reply::Change(change::Reply::Recalled(changed))) => {
                self.note(cid, changed.seq);
                self.sent.get_mut(of).expect("it is an own one").1 = None;
            }
            (Kind::React { of, cid, reaction, on }, Reply::Change(change::Reply::Reacted(changed))) => {
                self.note(cid, changed.seq);
                self.reactions.insert((*of, reaction), *on);
            }
            (Kind::Read, Reply::Done) => {}
            (Kind::Clear { conversation, upto }, Reply::Done) => {
                let cleared = self.cleared.entry(*conversation).or_default();
                *cleared = (*cleared).max(*upto);
            }
            (Kind::Pin { conversation, pinned }, Reply::Done) => {
                self.pinned.insert(*conversation, *pinned);
            }
            (Kind::Create, Reply::Group(group::Reply::Created(made))) => {
                self.joined.push(made.conversation);
                shared.groups.lock().unwrap().push(made.conversation);
            }
            (Kind::Join(group), Reply::Group(group::Reply::Joined(_))) => self.joined.push(*group),
            // The first try was carried out.
            (Kind::Join(group), Reply::Refused(refusal)) if again && refusal.errno == Errno::Conflict => {
                self.joined.push(*group);
            }
            _ => unexpected(),
        }
    }

    fn note(&mut self, cid: &str, seq: Seq) {
        self.changes.insert(cid.to_owned(), seq);
    }

    /// Checks that everything that was answered is in the user's view.
    pub fn check(
        &self,
        rows: &BTreeMap<ConversationId, ConversationSummary>,
        timelines: &BTreeMap<ConversationId, Vec<Arc<Message>>>,
    ) {
        for (conversation, upto) in &self.cleared {
            assert!(rows[conversation].first_seq > *upto, "{conversation} was cleared up to {upto}");
        }
        for (conversation, pinned) in &self.pinned {
            assert_eq!(rows[conversation].pinned, *pinned, "{conversation}");
        }
        assert!(self.joined.iter().all(|group| rows.contains_key(group)), "{:?}", self.joined);
        let find = |(conversation, seq): Place| {
            let first = rows[&conversation].first_seq;
            (seq >= first).then(|| &timelines[&conversation][(seq.0 - first.0) as usize])
        };
        let entries = || timelines.values().flatten().filter(|entry| entry.from == self.account.id);
        let by_cid: BTreeMap<&str, &Arc<Message>> =
            entries().filter_map(|entry| Some((entry.cid.as_deref()?, entry))).collect();
        for (place, (cid, text)) in &self.sent {
            let Some(entry) = find(*place) else { continue };
            assert_eq!((entry.from, entry.cid.as_deref()), (self.account.id, Some(&**cid)));
            assert_eq!(*entry.content, *text.as_deref().unwrap_or_default(), "{entry:?}");
            assert_eq!(entry.recalled().is_none(), text.is_some(), "{entry:?}");
        }
        for (cid, seq) in &self.changes {
            // What was cleared is not seen.
            if let Some(entry) = by_cid.get(&**cid) {
                assert_eq!(entry.seq, *seq, "{cid}");
            }
        }
        for ((of, reaction), on) in &self.reactions {
            let Some(entry) = find(*of).filter(|entry| entry.recalled().is_none()) else { continue };
            let shown = entry.changes().is_some_and(|changes| {
                changes.reactions.iter().any(|kind| *kind.reaction == **reaction && kind.mine)
            });
            assert_eq!(shown, *on, "{reaction}: {entry:?}");
        }
        let texts = entries().filter(|entry| entry.is_message()).count();
        let known = self.sent.keys().filter(|place| find(**place).is_some()).count();
        assert_eq!(texts, known, "nothing else of {} is there", self.account.name);
    }
}
