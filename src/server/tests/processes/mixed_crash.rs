//! kill -9 at any moment of a mixed load: what was answered is there, once; no entry is there without its change, nor a
//! change without its entry; and every client that comes back shows the same.

use crate::database::start_on_shared;
use crate::support::effort::effort;
use crate::support::ledger::Counter;
use crate::support::mixed_load::{Actor, Shared};
use crate::support::nodes::Nodes;
use crate::support::{Client, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use wire::timeline::{ConversationSummary, Conversations, Reply as TimelineReply, Request};
use wire::{ChangeKind, ConversationId, ConversationKind, Message, Page, Reply, Seq, UserId, group};

const NAMES: [&str; 4] = ["ann", "bob", "cleo", "dan"];

/// The servers of a test, one of which is killed in each round.
enum Servers {
    Alone(Box<Server>),
    Cluster(Nodes),
}

impl Servers {
    fn addresses(&self) -> Vec<SocketAddr> {
        match self {
            Servers::Alone(server) => vec![server.address],
            Servers::Cluster(nodes) => nodes.nodes.iter().map(|node| node.address).collect(),
        }
    }

    fn kill9(&mut self, number: usize) {
        match self {
            Servers::Alone(server) => server.kill9(),
            Servers::Cluster(nodes) => nodes.kill9(&[number]),
        }
    }

    /// Under its own name, at once.
    fn restart(&mut self, number: usize) {
        match self {
            Servers::Alone(server) => server.restart(),
            Servers::Cluster(nodes) => {
                nodes.restart(number);
                nodes.wait_for_all();
            }
        }
    }
}

fn survives(mut servers: Servers, seed: u64, rounds: usize) {
    let addresses = servers.addresses();
    let at = |number: usize, addresses: &[SocketAddr]| addresses[number % addresses.len()];
    let shared = Shared::default();
    let mut actors: Vec<Actor> = NAMES
        .iter()
        .enumerate()
        .map(|(number, name)| Actor::join(at(number, &addresses), name, seed * 1_000 + number as u64))
        .collect();
    let users: Vec<UserId> = actors.iter().map(|actor| actor.account.id).collect();
    let group = actors[0].client.create_group("all of us");
    actors.iter_mut().for_each(|actor| actor.begin(group, &users, &shared));
    for round in 0..rounds {
        let (answered, is_over) = (Counter::default(), AtomicBool::new(false));
        let (kill_at, killed) = (60 + (seed as usize * 37 + round * 101) % 397, round % addresses.len());
        thread::scope(|scope| {
            for actor in &mut actors {
                let (answered, is_over, shared) = (&answered, &is_over, &shared);
                scope.spawn(move || actor.act_until(is_over, answered, shared));
            }
            answered.wait_for(kill_at);
            servers.kill9(killed);
            is_over.store(true, Ordering::Release);
        });
        servers.restart(killed);
        let addresses = servers.addresses();
        for (number, actor) in actors.iter_mut().enumerate() {
            actor.come_back(at(number + round, &addresses), &shared);
        }
        let views: Vec<View> = actors
            .iter()
            .enumerate()
            .map(|(number, actor)| View::of(actor, at(number, &addresses)))
            .collect();
        for (actor, view) in actors.iter().zip(&views) {
            view.check(actor);
        }
        agree(&views);
        // Another connection of the same account has ended this one.
        for (number, actor) in actors.iter_mut().enumerate() {
            actor.come_back(at(number + round, &addresses), &shared);
        }
    }
    let done = actors.iter().fold(BTreeMap::new(), |mut all: BTreeMap<&str, usize>, actor| {
        actor.done.iter().for_each(|(what, count)| *all.entry(what).or_default() += count);
        all
    });
    println!("{rounds} rounds, answered: {done:?}");
    assert!(done.len() == 9 && done.values().all(|count| *count > 0), "every kind of request: {done:?}");
}

/// What a client shows that comes back: its list, and the timelines.
struct View {
    me: UserId,
    rows: BTreeMap<ConversationId, ConversationSummary>,
    timelines: BTreeMap<ConversationId, Vec<Arc<Message>>>,
    /// The members of groups.
    members: BTreeMap<ConversationId, BTreeSet<UserId>>,
}

impl View {
    fn of(actor: &Actor, address: SocketAddr) -> View {
        let mut client = Client::connect(address);
        let login = client.login(&actor.account);
        let request = Request::Conversations(Conversations { before: None, limit: 200, with_last: true });
        let Reply::Timeline(TimelineReply::Conversations(page)) = client.ask_again(&request.into()) else {
            panic!("CONVERSATIONS is answered")
        };
        assert!(!page.more, "one page has all of them");
        // Cursors of peers may be written in between.
        let shown = |row: &ConversationSummary| (row.conversation, row.first_seq, row.last_seq, row.unread);
        assert!(page.conversations.iter().map(shown).eq(login.conversations.iter().map(shown)));
        let (mut timelines, mut members) = (BTreeMap::new(), BTreeMap::new());
        for row in &page.conversations {
            timelines.insert(row.conversation, client.history(row.conversation, Seq(0)));
            if row.kind == ConversationKind::Group {
                let page = Page { after: 0, limit: 200 };
                let request =
                    group::Request::Members(group::Members { conversation: row.conversation, page });
                let Reply::Group(group::Reply::Members(page)) = client.ask_again(&request.into()) else {
                    panic!("MEMBERS is answered")
                };
                members.insert(row.conversation, page.members.iter().map(|member| member.id).collect());
            }
        }
        let rows = page.conversations.into_iter().map(|row| (row.conversation, row)).collect();
        View { me: actor.account.id, rows, timelines, members }
    }

    /// Checks the view by itself, and against what its user was answered.
    fn check(&self, actor: &Actor) {
        for (id, timeline) in &self.timelines {
            let row = &self.rows[id];
            let seqs: Vec<u64> = timeline.iter().map(|entry| entry.seq.0).collect();
            let expected: Vec<u64> = (row.first_seq.0..=row.last_seq.0).collect();
            assert_eq!(seqs, expected, "{id} has no gap");
            let cids: Vec<_> =
                timeline.iter().filter_map(|entry| Some((entry.from, entry.cid.as_deref()?))).collect();
            assert_eq!(cids.iter().collect::<BTreeSet<_>>().len(), cids.len(), "each cid is there once");
            for message in timeline.iter().filter(|entry| entry.is_message()) {
                self.check_message(message, timeline);
            }
            let unread = timeline.iter().filter(|entry| entry.seq > row.read_seq && entry.is_message());
            let unread = unread.filter(|entry| entry.from != self.me && entry.recalled().is_none());
            let unread = unread.count() as u64;
            assert!(row.unread == unread || row.unread_more && row.unread < unread, "{unread}: {row:?}");
            let last = timeline.iter().rfind(|entry| entry.is_message());
            assert_eq!(row.last.as_ref().map(|last| last.seq), last.map(|last| last.seq), "{row:?}");
            if let (Some(members), Seq(1)) = (self.members.get(id), row.first_seq) {
                let told =
                    timeline.iter().filter_map(|entry| entry.system()).flat_map(|system| system.who.to_vec());
                let told: Vec<UserId> = told.collect();
                assert_eq!(told.len(), members.len(), "nobody joined twice: {told:?}");
                assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), *members);
            }
        }
        actor.check(&self.rows, &self.timelines);
    }

    /// A message is what the entries of its changes make of it.
    fn check_message(&self, message: &Message, timeline: &[Arc<Message>]) {
        let tells = |entry: &&Arc<Message>| entry.change().is_some_and(|change| change.of == message.seq);
        let entries: Vec<&Arc<Message>> = timeline.iter().filter(tells).collect();
        let of_kind =
            |kind| entries.iter().filter(move |entry| entry.change().map(|change| change.kind) == Some(kind));
        let recall = of_kind(ChangeKind::Recall).next();
        assert_eq!(message.recalled(), recall.map(|entry| entry.time), "{message:?}");
        assert!(of_kind(ChangeKind::Recall).count() <= 1, "{message:?}");
        let changed = message.changes().map(|changes| changes.changed);
        assert_eq!(changed, entries.last().map(|entry| entry.seq), "{message:?}");
        let last_edit = of_kind(ChangeKind::Edit).next_back();
        if recall.is_some() {
            assert_eq!(&*message.content, "");
            assert!(of_kind(ChangeKind::Edit).all(|entry| entry.content.is_empty()), "{entries:?}");
            return;
        }
        let edited = message.changes().and_then(|changes| changes.edited);
        assert_eq!(edited, last_edit.map(|entry| entry.time), "{message:?}");
        assert!(last_edit.is_none_or(|entry| entry.content == message.content), "{message:?}, {entries:?}");
        let mut reacting: BTreeSet<(&str, UserId)> = BTreeSet::new();
        for entry in &entries {
            match entry.change().map(|change| change.kind) {
                Some(ChangeKind::Reaction { on: true }) => {
                    assert!(reacting.insert((&entry.content, entry.from)), "once: {entries:?}");
                }
                Some(ChangeKind::Reaction { on: false }) => {
                    assert!(reacting.remove(&(&*entry.content, entry.from)), "it was there: {entries:?}");
                }
                _ => {}
            }
        }
        let shown = message.changes().map_or(&[][..], |changes| &changes.reactions);
        let mine = |kind: &str| reacting.contains(&(kind, self.me));
        assert!(shown.iter().all(|kind| kind.mine == mine(&kind.reaction)), "{message:?}");
        let shown = shown.iter().flat_map(|kind| kind.ids.iter().map(|id| (&*kind.reaction, *id)));
        assert_eq!(shown.collect::<BTreeSet<_>>(), reacting, "{message:?}");
    }
}

/// All that see an entry see the same, apart from which reactions are their own.
fn agree(views: &[View]) {
    let mut seen: BTreeMap<(ConversationId, Seq), Message> = BTreeMap::new();
    for view in views {
        for entry in view.timelines.values().flatten() {
            let mut entry = (**entry).clone();
            if let Some(changes) = entry.extra.as_mut().and_then(|extra| extra.changes.as_mut()) {
                changes.reactions.iter_mut().for_each(|kind| kind.mine = false);
            }
            let key = (entry.conversation, entry.seq);
            let other = seen.entry(key).or_insert_with(|| entry.clone());
            assert_eq!(*other, entry);
        }
    }
}

#[test]
fn a_mixed_load_survives_kill_9() {
    survives(Servers::Alone(Box::new(Server::start(&[]))), 1, effort(5, 50));
}

#[test]
fn a_mixed_load_on_mariadb_survives_kill_9() {
    survives(Servers::Alone(Box::new(start_on_shared())), 2, effort(5, 50));
}

#[test]
fn a_mixed_load_on_two_nodes_survives_kill_9() {
    survives(Servers::Cluster(Nodes::start(2, &[])), 3, effort(5, 50));
}
