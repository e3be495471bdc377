//! The environment of a test case: a store, a clock, and the verbs of the contract.

use crate::store::Store;
use logic::contract::entry::{Actor, Entry};
use logic::contract::message::Append;
use logic::contract::{self, Epoch, Found, Quotas, Read, Ticket, Write, Written, group, timeline};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wire::account::Who;
use wire::message::server_cid;
use wire::timeline::ConversationSummary;
use wire::{ConversationId, Direction, Message, Seq, Target, UnixMillis, UserId};

pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// When cases begin: 2026-01-30, noon.
pub const BEGIN: UnixMillis = UnixMillis(1_769_774_400_000);

/// A store under test.
pub trait Fixture {
    fn store(&mut self) -> &mut dyn Store;
    /// Crashes the store and opens it again.
    fn restart(&mut self);
    /// Sets the store's clock.
    fn set_time(&mut self, time: UnixMillis);
    /// Forgets which names are claimed, as if the accounts were created by a version that claimed none.
    fn forget_claims(&mut self);
    fn set_quotas(&mut self, quotas: Quotas);
    /// How many sessions the store remembers, those that have ended included.
    fn sessions(&mut self) -> u64;
    /// The work that a read costs the database, in steps or rows; does not depend on how fast the machine is.
    fn cost(&mut self, read: &Read) -> u64;
    /// The same of a read that was answered before.
    fn cost_again(&mut self, read: &Read) -> u64;
    /// Sets how many whole months are kept before the current one; 0: all.
    fn set_retention(&mut self, months: u32);
    /// Does so many slices of background work, if there are any.
    fn housekeep_some(&mut self, slices: usize);
    /// Forgets the totals of direct conversations, as if their entries were older than these.
    fn forget_totals(&mut self);
}

/// A fixture with a clock and shorthands for the verbs.
pub struct Scenario<'a> {
    pub fixture: &'a mut dyn Fixture,
    pub now: UnixMillis,
    tickets: u64,
}

impl Scenario<'_> {
    pub fn on(fixture: &mut dyn Fixture) -> Scenario<'_> {
        fixture.set_time(BEGIN);
        Scenario { fixture, now: BEGIN, tickets: 0 }
    }

    /// On a store that has been used up to `now`.
    pub fn on_at(fixture: &mut dyn Fixture, now: UnixMillis) -> Scenario<'_> {
        fixture.set_time(now);
        Scenario { fixture, now, tickets: 1 << 40 }
    }

    pub fn wait(&mut self, millis: u64) {
        self.now.0 += millis;
        self.fixture.set_time(self.now);
    }

    /// Executes one batch; outcomes arrive in order.
    pub fn all(&mut self, writes: Vec<Write>) -> Vec<Written> {
        let first = self.tickets;
        self.tickets += writes.len() as u64;
        let batch = (first..).map(Ticket).zip(writes).collect();
        let mut outcomes = Vec::new();
        self.fixture.store().write(batch, &mut |batch| outcomes.extend(batch)).unwrap();
        assert!((first..self.tickets).eq(outcomes.iter().map(|(ticket, _)| ticket.0)));
        outcomes.into_iter().map(|(_, written)| written).collect()
    }

    pub fn one(&mut self, write: Write) -> Written {
        self.all(vec![write]).pop().unwrap()
    }

    pub fn read(&mut self, read: Read) -> Found {
        self.fixture.store().read(&read)
    }

    pub fn file(&mut self) {
        while self.fixture.store().housekeep().unwrap() {}
    }

    /// Runs `look` three times: while messages are resident, once they are filed, and after a restart.
    pub fn look_thrice(&mut self, mut look: impl FnMut(&mut Self)) {
        look(self);
        self.file();
        look(self);
        self.fixture.restart();
        look(self);
    }

    pub fn user(&mut self, name: &str) -> UserId {
        match self.one(Write::Account(contract::account::Write::Create {
            name: name.into(),
            password: "$hash".into(),
            nick: None,
        })) {
            Written::Account(contract::account::Written::Created { user, .. }) => user,
            other => panic!("{other:?}"),
        }
    }

    pub fn group(&mut self, owner: UserId, name: &str) -> ConversationId {
        entry(&self.one(create(owner, name))).message.conversation
    }

    pub fn join(&mut self, user: UserId, conversation: ConversationId) -> Arc<Message> {
        entry(&self.one(join(user, conversation))).message
    }

    /// Sends a message and expects it to be stored.
    pub fn say(&mut self, sender: UserId, target: Target, cid: &str, content: &str) -> Arc<Message> {
        appended(&self.one(append(sender, target, cid, content)))
    }

    pub fn history(
        &mut self,
        user: UserId,
        conversation: ConversationId,
        direction: Direction,
        limit: u32,
    ) -> (Vec<Arc<Message>>, bool, Seq) {
        let with_changes = true;
        let read = timeline::Read::History { user, conversation, direction, limit, with_changes };
        match self.read(read.into()) {
            Found::Timeline(timeline::Found::History { messages, more, first_seq }) => {
                (messages, more, first_seq)
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn conversations(
        &mut self,
        user: UserId,
        before: Option<(UnixMillis, ConversationId)>,
        limit: u32,
    ) -> (Vec<ConversationSummary>, bool) {
        match self.read(Read::Timeline(timeline::Read::Conversations {
            user,
            before,
            limit,
            with_unread: true,
            with_last: false,
        })) {
            Found::Timeline(timeline::Found::Conversations { entries, more }) => (entries, more),
            other => panic!("{other:?}"),
        }
    }
}

/// Creates a group with the description `about`.
pub fn create(owner: UserId, name: &str) -> Write {
    Write::Group(group::Write::Create { by: actor(owner), name: name.into(), desc: "about".into() })
}

pub fn join(user: UserId, conversation: ConversationId) -> Write {
    Write::Group(group::Write::Join { by: actor(user), conversation })
}

pub fn change_members(by: UserId, conversation: ConversationId, what: group::What) -> Write {
    Write::Group(group::Write::Change(group::Change { by: actor(by), conversation, what }))
}

/// The entry of a change of members or roles.
pub fn changed(written: &Written) -> Entry {
    match written {
        Written::Group(group::Written::Changed(entry)) => {
            assert!(entry.members.contains(&entry.message.from) && entry.members.is_sorted());
            entry.clone()
        }
        other => panic!("{other:?}"),
    }
}

pub fn actor(user: UserId) -> Actor {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let cid = server_cid(1, COUNT.fetch_add(1, Ordering::Relaxed));
    Actor { user, name: format!("name of {user}").into(), cid }
}

/// The entry of a group that was created or joined.
pub fn entry(written: &Written) -> Entry {
    match written {
        Written::Group(group::Written::Created(entry) | group::Written::Joined(entry)) => {
            assert!(entry.members.contains(&entry.message.from) && entry.members.is_sorted());
            entry.clone()
        }
        other => panic!("{other:?}"),
    }
}

pub fn append(sender: UserId, target: Target, cid: &str, content: &str) -> Write {
    Write::Message(contract::message::Write::Append(Append {
        sender,
        epoch: Epoch::NONE,
        sender_name: format!("name of {sender}").into(),
        target,
        cid: cid.into(),
        content_type: None,
        content: content.into(),
        references: None,
        stream: None,
    }))
}

pub fn appended(written: &Written) -> Arc<Message> {
    match written {
        Written::Message(contract::message::Written::Appended { message, members, .. }) => {
            assert!(members.contains(&message.from) && members.is_sorted());
            Arc::clone(message)
        }
        other => panic!("{other:?}"),
    }
}

pub fn by_name(name: &str) -> Who {
    Who::Name(name.into())
}

pub fn seqs(messages: &[Arc<Message>]) -> Vec<u64> {
    messages.iter().map(|message| message.seq.0).collect()
}

/// Pages through a whole timeline in one direction and returns its seqs in that order.
pub fn walk(
    scenario: &mut Scenario<'_>,
    user: UserId,
    conversation: ConversationId,
    limit: u32,
    upwards: bool,
) -> Vec<u64> {
    let mut all = Vec::new();
    let mut bound = if upwards { Seq(0) } else { Seq::MAX };
    loop {
        let direction = if upwards { Direction::After(bound) } else { Direction::Before(bound) };
        let (messages, more, _) = scenario.history(user, conversation, direction, limit);
        let mut page = seqs(&messages);
        assert!(page.is_sorted() && page.len() <= limit as usize && (!more || !page.is_empty()));
        if !upwards {
            page.reverse();
        }
        all.extend(&page);
        match page.last() {
            Some(last) if more => bound = Seq(*last),
            _ => return all,
        }
    }
}
