//! What every store must do, told once and run against each of them.

mod account;
mod cluster;
mod listing;
mod message;
mod month;
mod social;

use super::Store;
use logic::contract::message::Append;
use logic::contract::{self, Epoch, Found, Read, Ticket, Write, Written, group, timeline};
use std::sync::Arc;
use wire::account::Who;
use wire::timeline::ConversationSummary;
use wire::{ConversationId, Direction, Message, Seq, Target, UnixMillis, UserId};

pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// When stories begin: 2026-01-30, noon.
pub const BEGIN: UnixMillis = UnixMillis(1_769_774_400_000);

/// A store to play on.
pub trait Stage {
    fn store(&mut self) -> &mut dyn Store;
    /// Ends it without warning and opens it again.
    fn restart(&mut self);
    /// Sets the clock that it sees.
    fn set_time(&mut self, time: UnixMillis);
}

/// A story, told from an empty store on.
pub type Story = fn(&mut Play<'_>);

/// All stories by name.
pub const STORIES: &[(&str, Story)] = &[
    ("names are unique by their key", account::names_are_unique_by_their_key),
    ("tokens expire, are extended and revoked", account::tokens_expire_are_extended_and_revoked),
    ("friendship is mutual", social::friendship_is_mutual),
    ("friends come in pages", social::friends_come_in_pages),
    ("a group has roles and members", social::a_group_has_roles_and_members),
    ("who joins sees what comes after", social::who_joins_sees_what_comes_after),
    ("a timeline has no gaps", message::a_timeline_has_no_gaps),
    ("only members write and read", message::only_members_write_and_read),
    ("a direct chat is one, whoever begins", message::a_direct_chat_is_one_whoever_begins),
    ("a cid is stored once", message::a_cid_is_stored_once),
    ("a cid is known for a day", message::a_cid_is_known_for_a_day),
    ("texts come back as they were sent", message::texts_come_back_as_they_were_sent),
    ("a page ends before it is too large", message::a_page_ends_before_it_is_too_large),
    ("history pages across months", month::history_pages_across_months),
    ("a clock that goes back keeps months in order", month::a_clock_that_goes_back_keeps_months_in_order),
    ("cursors only go up", listing::cursors_only_go_up),
    ("a login sees where it is behind", listing::a_login_sees_where_it_is_behind),
    ("conversations come latest first", listing::conversations_come_latest_first),
    ("unread conversations come in pages", listing::unread_conversations_come_in_pages),
    ("a claim raises the epoch", cluster::a_claim_raises_the_epoch),
    ("an older session writes nothing", cluster::an_older_session_writes_nothing),
    (
        "a session outlives its connection for its grace",
        cluster::a_session_outlives_its_connection_for_its_grace,
    ),
    ("who is connected can be left alone", cluster::who_is_connected_can_be_left_alone),
    ("claims of others are listed", cluster::claims_of_others_are_listed),
    ("whoever was not heard tells the others", cluster::whoever_was_not_heard_tells_the_others),
    ("changes that a node's members lack are listed", cluster::changes_that_a_nodes_members_lack_are_listed),
    ("a roster has every member's place", cluster::a_roster_has_every_members_place),
];

/// A stage with words to act by.
pub struct Play<'a> {
    pub stage: &'a mut dyn Stage,
    pub now: UnixMillis,
    tickets: u64,
}

impl Play<'_> {
    pub fn on(stage: &mut dyn Stage) -> Play<'_> {
        stage.set_time(BEGIN);
        Play { stage, now: BEGIN, tickets: 0 }
    }

    pub fn wait(&mut self, millis: u64) {
        self.now.0 += millis;
        self.stage.set_time(self.now);
    }

    /// Carries out one batch; outcomes come in order.
    pub fn all(&mut self, writes: Vec<Write>) -> Vec<Written> {
        let first = self.tickets;
        self.tickets += writes.len() as u64;
        let batch = (first..).map(Ticket).zip(writes).collect();
        let mut outcomes = Vec::new();
        self.stage.store().write(batch, &mut |batch| outcomes.extend(batch)).unwrap();
        assert!((first..self.tickets).eq(outcomes.iter().map(|(ticket, _)| ticket.0)));
        outcomes.into_iter().map(|(_, written)| written).collect()
    }

    pub fn one(&mut self, write: Write) -> Written {
        self.all(vec![write]).pop().unwrap()
    }

    pub fn read(&mut self, read: Read) -> Found {
        self.stage.store().read(&read)
    }

    pub fn file(&mut self) {
        while self.stage.store().housekeep().unwrap() {}
    }

    /// Runs `look` three times: on what is resident, on what is filed, and after a restart.
    pub fn look_thrice(&mut self, mut look: impl FnMut(&mut Self)) {
        look(self);
        self.file();
        look(self);
        self.stage.restart();
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
        match self.one(Write::Group(group::Write::Create { owner, name: name.into(), desc: "about".into() }))
        {
            Written::Group(group::Written::Created(conversation)) => conversation,
            other => panic!("{other:?}"),
        }
    }

    pub fn join(&mut self, user: UserId, conversation: ConversationId) {
        let joined = self.one(Write::Group(group::Write::Join { user, conversation }));
        assert!(matches!(joined, Written::Done), "{joined:?}");
    }

    /// Sends, and expects it to be stored.
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
        match self.read(Read::Timeline(timeline::Read::History { user, conversation, direction, limit })) {
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
        match self.read(Read::Timeline(timeline::Read::Conversations { user, before, limit })) {
            Found::Timeline(timeline::Found::Conversations { entries, more }) => (entries, more),
            other => panic!("{other:?}"),
        }
    }
}

pub fn append(sender: UserId, target: Target, cid: &str, content: &str) -> Write {
    Write::Message(contract::message::Write::Append(Append {
        sender,
        epoch: Epoch::NONE,
        sender_name: format!("name of {sender}").into(),
        target,
        cid: cid.into(),
        content_type: "text".into(),
        content: content.into(),
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

/// Pages through a whole timeline one way; gives its seqs in the order of the way.
pub fn walk(
    play: &mut Play<'_>,
    user: UserId,
    conversation: ConversationId,
    limit: u32,
    upwards: bool,
) -> Vec<u64> {
    let mut all = Vec::new();
    let mut bound = if upwards { Seq(0) } else { Seq::MAX };
    loop {
        let direction = if upwards { Direction::After(bound) } else { Direction::Before(bound) };
        let (messages, more, _) = play.history(user, conversation, direction, limit);
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
