//! Searches: an index of the timelines, written and asked at any moment. What SEARCH returns is what HISTORY shows, all
//! of it that is indexed, and nothing to who may not see it.

use super::World;
use crate::node::Outcome;
use ::search::{Follower, Identity, Index, IndexReader, SLICE, Source, Step, answer};
use logic::contract::{Denial, search, timeline};
use logic::{Found, Read};
use std::cmp::Reverse;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use storage::{SqliteStore, Store};
use tempfile::TempDir;
use wire::search::{Place, Search, SearchPage};
use wire::words::Sought;
use wire::{ConversationId, Direction, Message, Seq, UnixMillis, UserId};

/// Far longer than any query takes here.
const QUERY_TIME: Duration = Duration::from_secs(60);

/// The store, while the index reads it.
#[derive(Clone, Default)]
struct Lent(Arc<Mutex<Option<SqliteStore>>>);

impl Source for Lent {
    fn read(&mut self, read: &Read) -> Found {
        self.0.lock().expect("one thread").as_mut().expect("the store is lent").read(read)
    }
}

/// The index of a run.
pub struct Indexed {
    folder: TempDir,
    store: Lent,
    follower: Option<Follower<Lent>>,
    indexed_to: UnixMillis,
    /// Begun with each restart of the database, as a node that is alone does.
    histories: u32,
    /// Answers that were checked.
    answers: u32,
}

impl World {
    /// Has an index from now on.
    pub fn begin_index(&mut self) {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, indexed_to) = (Lent::default(), UnixMillis(0));
        self.indexed = Some(Indexed { folder, store, follower: None, indexed_to, histories: 0, answers: 0 });
        self.restart_index();
    }

    /// The index is opened by a new process.
    pub fn restart_index(&mut self) {
        let Some(indexed) = &mut self.indexed else { return };
        indexed.follower = None;
        indexed.histories += 1;
        let history = format!("history {}", indexed.histories).into();
        let identity = Identity { server: "server".into(), history };
        let path = indexed.folder.path().join("index");
        let (index, is_unverified) = Index::open(&path, &identity).expect("an index");
        indexed.follower = Some(Follower::new(indexed.store.clone(), index, identity, is_unverified));
        indexed.indexed_to = UnixMillis(0);
    }

    /// How many answers to searches were checked.
    pub fn answers(&self) -> u32 {
        self.indexed.as_ref().map_or(0, |indexed| indexed.answers)
    }

    fn with_index<T>(&mut self, work: impl FnOnce(&mut Indexed) -> T) -> Option<T> {
        let indexed = self.indexed.as_mut()?;
        *indexed.store.0.lock().expect("one thread") = self.store.take();
        let done = work(indexed);
        self.store = indexed.store.0.lock().expect("one thread").take();
        Some(done)
    }

    /// The follower does a slice of its work. Returns whether it has caught up.
    pub fn follow(&mut self) -> bool {
        let done = self.with_index(|indexed| {
            let follower = indexed.follower.as_mut().expect("it is open");
            match follower.step(SLICE).expect("neither the index nor the store fails") {
                Step::Worked { .. } => false,
                Step::CaughtUp(time) => {
                    indexed.indexed_to = indexed.indexed_to.max(time);
                    true
                }
            }
        });
        done.unwrap_or(true)
    }

    /// A device searches.
    pub fn search(&mut self, device: usize) {
        if self.indexed.is_none() {
            return;
        }
        let text = match self.dice.once_in(3) {
            true => "text".to_owned(),
            false => format!("text {}", 1 + self.dice.below(self.texts as usize + 1)),
        };
        let conversation = match self.dice.below(4) {
            0 => Some(self.group),
            1 => Some(ConversationId(1 + self.dice.below(6) as u32)),
            _ => None,
        };
        let limit = if self.dice.once_in(2) { 50 } else { 3 };
        let search = Search { conversation, ..Search::new(&text, limit) };
        let ms = self.ms;
        self.devices[device].session.search(ms, search);
        self.pump(device);
    }

    /// A node answers one of its searches.
    pub fn answer_search(&mut self, node: usize) {
        let Some((query, issued)) = self.nodes[node].searches.pop_front() else { return };
        let found = self.find(query.user, &query.search);
        self.nodes[node].outcomes.push_back(Outcome::Found(query.ticket, found, issued));
    }

    /// The answer to a search, which is checked.
    fn find(&mut self, user: UserId, search: &Search) -> Found {
        let found = self.with_index(|indexed| {
            indexed.answers += 1;
            let reader = IndexReader::open(&indexed.folder.path().join("index")).expect("an index");
            reader.allow(QUERY_TIME);
            let found = answer(&reader, &mut indexed.store, user, search, indexed.indexed_to);
            found.expect("the index can be read")
        });
        let found = found.expect("only who has an index is asked");
        let visible = self.visible(user);
        let is_member = |of: ConversationId| visible.iter().any(|message| message.conversation == of);
        match (&found, search.conversation) {
            (Found::Denied(Denial::Forbidden), Some(of)) => {
                assert!(!is_member(of), "{user:?} is a member of {of:?}");
            }
            (Found::Search(search::Found::Results(page)), of) => {
                let is_visible = of.is_none_or(is_member) || page.messages.is_empty();
                assert!(is_visible, "{user:?} found something in {of:?}, which it does not see");
                check_page(search, page, &visible);
            }
            other => panic!("{user:?}: {search:?} was answered {other:?}"),
        }
        found
    }

    /// What HISTORY shows a user, of all its conversations.
    fn visible(&mut self, user: UserId) -> Vec<Arc<Message>> {
        let conversations = timeline::Read::Conversations {
            user,
            before: None,
            limit: 200,
            with_unread: false,
            with_last: false,
        };
        let Found::Timeline(timeline::Found::Conversations { entries, more: false }) =
            self.read_now(&conversations.into())
        else {
            panic!("conversations can be read")
        };
        let mut visible = Vec::new();
        for conversation in entries.into_iter().map(|entry| entry.conversation) {
            let mut after = Seq(0);
            loop {
                let direction = Direction::After(after);
                let (limit, with_changes) = (200, true);
                let read = timeline::Read::History { user, conversation, direction, limit, with_changes };
                let Found::Timeline(timeline::Found::History { messages, more, .. }) =
                    self.read_now(&read.into())
                else {
                    panic!("a timeline can be read")
                };
                after = messages.last().map_or(after, |message| message.seq);
                visible.extend(messages);
                if !more {
                    break;
                }
            }
        }
        visible
    }

    /// After a run: the index catches up, and every user finds every text that it sees.
    pub fn check_searches(&mut self) {
        if self.indexed.is_none() {
            return;
        }
        // What is stored from now on is not before this time.
        self.advance(1);
        assert!((0..10_000).any(|_| self.follow()), "the follower does not catch up");
        for user in self.users.clone() {
            let all = self.visible(user).iter().filter(|message| has_text(message)).count();
            let (mut found, mut cursor) = (0, None);
            loop {
                let search = Search { cursor, ..Search::new("text", 50) };
                let Found::Search(search::Found::Results(page)) = self.find(user, &search) else {
                    panic!("{user:?} may search")
                };
                found += page.messages.len();
                let Some(next) = page.cursor else { break };
                cursor = Some(next.parse().expect("it is one of ours"));
            }
            assert_eq!(found, all, "{user:?} finds all that it sees");
        }
    }
}

fn has_text(message: &Message) -> bool {
    message.is_message() && message.content.starts_with("text")
}

/// Checks a page. `visible`: what HISTORY shows to who has asked.
fn check_page(search: &Search, page: &SearchPage, visible: &[Arc<Message>]) {
    let sought = Sought::parse(&search.text).expect("it has words");
    let is_sought = |message: &&Arc<Message>| {
        message.is_message()
            && sought.is_in(&message.content)
            && search.conversation.is_none_or(|of| message.conversation == of)
            && search.cursor.is_none_or(|cursor| Place::of(message) < cursor)
    };
    let mut expected: Vec<&Arc<Message>> = visible.iter().filter(is_sought).collect();
    expected.sort_by_key(|message| Reverse(Place::of(message)));
    for message in &page.messages {
        assert!(expected.contains(&message), "{search:?} found {message:?}, which HISTORY does not show");
    }
    assert!(
        page.messages.is_sorted_by(|one, next| Place::of(one) > Place::of(next)),
        "{search:?}: each once, the latest first"
    );
    // A page that is followed by another one ends with its last message.
    let end = page.cursor.as_ref().and_then(|_| page.messages.last()).map(|last| Place::of(last));
    for message in expected.iter().filter(|message| end.is_none_or(|end| Place::of(message) >= end)) {
        let edited = message.changes().and_then(|changes| changes.edited);
        let is_indexed = edited.unwrap_or(message.time) < page.indexed_to;
        assert!(
            !is_indexed || page.messages.contains(message),
            "{search:?}, indexed to {}: {message:?} is not found",
            page.indexed_to
        );
    }
}
