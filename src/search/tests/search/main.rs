//! The index over timelines in memory: what is found, by whom, in which order, and after what damage.

#![allow(clippy::unwrap_used, reason = "test support")]

mod oracle;
mod threads;
mod timelines;

use logic::Found;
use logic::contract::{Denial, search as contract};
use search::{FollowError, Follower, Identity, Index, IndexError, IndexReader, SLICE, Step, answer};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use timelines::Timelines;
use wire::search::{Search, SearchPage};
use wire::{ChangeKind, ConversationId, Seq, UnixMillis, UserId};

const ANNA: UserId = UserId(1);
const BEN: UserId = UserId(2);
const FIRST: ConversationId = ConversationId(1);
const SECOND: ConversationId = ConversationId(2);

fn identity(history: &str) -> Identity {
    Identity { server: "server".into(), history: history.into() }
}

/// A database and the folder of its index.
struct Fixture {
    timelines: Timelines,
    folder: TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture { timelines: Timelines::default(), folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("index")
    }

    fn open(&self, history: &str) -> Follower<Timelines> {
        let identity = identity(history);
        let (index, is_unverified) = Index::open(&self.path(), &identity).unwrap();
        Follower::new(self.timelines.clone(), index, identity, is_unverified)
    }

    fn search(&self, user: UserId, search: &Search) -> SearchPage {
        match self.ask(user, search) {
            Found::Search(contract::Found::Results(page)) => *page,
            other => panic!("{other:?}"),
        }
    }

    fn ask(&self, user: UserId, search: &Search) -> Found {
        let index = IndexReader::open(&self.path()).unwrap();
        index.allow(Duration::from_secs(20));
        answer(&index, &mut self.timelines.clone(), user, search, UnixMillis(0)).unwrap()
    }

    fn seqs(&self, user: UserId, text: &str) -> Vec<(u32, u64)> {
        let page = self.search(user, &query(text));
        page.messages.iter().map(|message| (message.conversation.0, message.seq.0)).collect()
    }

    /// Whether any file of the index contains this text.
    fn contains(&self, text: &str) -> bool {
        let files = fs::read_dir(self.folder.path()).unwrap();
        let has =
            |path: &Path| fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes());
        files.map(|file| file.unwrap().path()).any(|path| has(&path))
    }
}

fn query(text: &str) -> Search {
    Search::new(text, 50)
}

/// Follows until the index has everything. Returns how many messages were read.
fn catch_up(follower: &mut Follower<Timelines>) -> usize {
    let mut read = 0;
    loop {
        match follower.step(SLICE).unwrap() {
            Step::Worked { messages } => read += messages,
            Step::CaughtUp(_) => return read,
        }
    }
}

#[test]
fn hits_come_by_time_over_all_conversations() {
    let t = Fixture::new();
    for conversation in [FIRST, SECOND] {
        t.timelines.join(conversation, ANNA);
    }
    for (conversation, text) in
        [(FIRST, "hello"), (SECOND, "Hello you"), (FIRST, "nothing"), (FIRST, "HELLO again"), (SECOND, "bye")]
    {
        t.timelines.send(conversation, BEN, text);
    }
    let mut follower = t.open("h");
    catch_up(&mut follower);
    assert_eq!(t.seqs(ANNA, "hello"), [(1, 3), (2, 1), (1, 1)]);
    assert_eq!(t.seqs(ANNA, "hello ag"), [(1, 3)]);
    assert_eq!(t.seqs(BEN, "hello"), [], "no member");
    t.timelines.send(SECOND, ANNA, "well, hello");
    catch_up(&mut follower);
    assert_eq!(t.seqs(ANNA, "hello"), [(2, 3), (1, 3), (2, 1), (1, 1)]);
    let by = Search { from: Some(ANNA), ..query("hello") };
    assert_eq!(t.search(ANNA, &by).messages.len(), 1);
}

#[test]
fn pages_continue_where_the_last_one_ended() {
    let t = Fixture::new();
    for n in 0..120 {
        let conversation = ConversationId(1 + n % 7);
        t.timelines.join(ConversationId(1 + n % 7), ANNA);
        t.timelines.0.lock().unwrap().timelines.get_mut(&conversation).unwrap().members.insert(ANNA, Seq(1));
        t.timelines.send(conversation, BEN, &format!("word {n}"));
    }
    catch_up(&mut t.open("h"));
    let (mut cursor, mut all) = (None, Vec::new());
    loop {
        let page = t.search(ANNA, &Search { cursor, limit: 9, ..query("word") });
        all.extend(page.messages.iter().map(|message| message.time));
        let Some(next) = page.cursor else { break };
        assert_eq!(page.messages.len(), 9);
        cursor = Some(next.parse().unwrap());
    }
    assert_eq!(all.len(), 120);
    assert!(all.windows(2).all(|pair| pair[0] > pair[1]));
    let bounded = Search { since: Some(UnixMillis(100)), until: Some(UnixMillis(200)), ..query("word") };
    let times: Vec<_> = t.search(ANNA, &bounded).messages.iter().map(|message| message.time.0).collect();
    assert_eq!(times, (10..=20).rev().map(|n| n * 10).collect::<Vec<_>>(), "both ends are included");
}

#[test]
fn a_page_ends_before_it_is_too_long() {
    let t = Fixture::new();
    t.timelines.join(FIRST, ANNA);
    for _ in 0..40 {
        t.timelines.send(FIRST, BEN, &format!("word {}", "\u{1}".repeat(10_000)));
    }
    catch_up(&mut t.open("h"));
    let page = t.search(ANNA, &query("word"));
    assert!((2..40).contains(&page.messages.len()) && page.cursor.is_some(), "{}", page.messages.len());
}

#[test]
fn only_what_history_shows_is_found() {
    let t = Fixture::new();
    t.timelines.join(FIRST, BEN);
    t.timelines.send(FIRST, BEN, "secret before");
    t.timelines.join(FIRST, ANNA);
    t.timelines.send(FIRST, BEN, "secret after");
    catch_up(&mut t.open("h"));
    assert_eq!(t.seqs(ANNA, "secret"), [(1, 2)]);
    let within = Search { conversation: Some(FIRST), ..query("secret") };
    assert_eq!(t.search(ANNA, &within).messages.len(), 1);
    for conversation in [SECOND, FIRST] {
        let foreign = Search { conversation: Some(conversation), ..query("secret") };
        assert!(matches!(t.ask(UserId(3), &foreign), Found::Denied(Denial::Forbidden)), "{conversation}");
    }
    t.timelines.0.lock().unwrap().timelines.get_mut(&FIRST).unwrap().members.remove(&ANNA);
    assert_eq!(t.seqs(ANNA, "secret"), []);
}

#[test]
fn a_text_is_that_of_now_and_not_that_of_the_index() {
    let t = Fixture::new();
    t.timelines.join(FIRST, ANNA);
    let seq = t.timelines.send(FIRST, BEN, "the old text");
    catch_up(&mut t.open("h"));
    t.timelines.rewrite(FIRST, seq, "");
    assert_eq!(t.seqs(ANNA, "old"), []);
}

#[test]
fn edits_and_recalls_are_followed_and_leave_nothing() {
    let t = Fixture::new();
    t.timelines.join(FIRST, ANNA);
    let (first, second) =
        (t.timelines.send(FIRST, BEN, "originally this"), t.timelines.send(FIRST, BEN, "regrettable words"));
    let mut follower = t.open("h");
    catch_up(&mut follower);
    assert_eq!((t.seqs(ANNA, "originally"), t.seqs(ANNA, "regrettable")), (vec![(1, 1)], vec![(1, 2)]));
    t.timelines.change(FIRST, first, ChangeKind::Edit, "afterwards that");
    t.timelines.change(FIRST, second, ChangeKind::Recall, "");
    catch_up(&mut follower);
    assert_eq!((t.seqs(ANNA, "afterwards"), t.seqs(ANNA, "originally")), (vec![(1, 1)], vec![]));
    assert_eq!(t.seqs(ANNA, "regrettable"), []);
    assert!(!t.contains("originally") && !t.contains("regrettable") && t.contains("afterwards"));
    // One that was changed before it was indexed.
    let third = t.timelines.send(FIRST, BEN, "premature");
    t.timelines.change(FIRST, third, ChangeKind::Edit, "considered");
    catch_up(&mut follower);
    assert_eq!((t.seqs(ANNA, "considered"), t.seqs(ANNA, "premature")), (vec![(1, 5)], vec![]));
}

#[test]
fn a_change_that_is_committed_while_its_page_is_read_is_not_missed() {
    let t = Fixture::new();
    t.timelines.join(FIRST, ANNA);
    let seq = t.timelines.send(FIRST, BEN, "premature");
    let before = std::sync::Arc::clone(&t.timelines.0.lock().unwrap().timelines[&FIRST].entries[0]);
    t.timelines.change(FIRST, seq, ChangeKind::Edit, "considered");
    t.timelines.0.lock().unwrap().stale.insert((FIRST, seq), before);
    catch_up(&mut t.open("h"));
    assert_eq!((t.seqs(ANNA, "considered"), t.contains("premature")), (vec![(1, 1)], false));
}

#[test]
fn what_lies_behind_damaged_entries_is_found() {
    let t = Fixture::new();
    for conversation in [FIRST, SECOND] {
        t.timelines.join(conversation, ANNA);
        for n in 1..=400 {
            t.timelines.send(conversation, BEN, &format!("word {n}"));
        }
    }
    let damage = |damaged: Vec<(ConversationId, Seq)>| {
        t.timelines.0.lock().unwrap().damaged = damaged.into_iter().collect();
    };
    // One conversation cannot be read at all, for now.
    let all = (1..=400).map(|seq| (SECOND, Seq(seq)));
    damage(all.chain([(FIRST, Seq(300)), (FIRST, Seq(301))]).collect());
    let mut follower = t.open("h");
    catch_up(&mut follower);
    assert_eq!(t.seqs(ANNA, "word 299"), [(1, 299)]);
    assert_eq!((t.seqs(ANNA, "word 301"), t.seqs(ANNA, "word 302")), (vec![], vec![(1, 302)]));
    damage(vec![]);
    catch_up(&mut follower);
    assert_eq!(t.seqs(ANNA, "word 302"), [(1, 302)], "not before the next scan");
    t.timelines.0.lock().unwrap().now += 300_000;
    catch_up(&mut follower);
    assert_eq!(t.seqs(ANNA, "word 302"), [(2, 302), (1, 302)]);
}

#[test]
fn what_was_found_in_time_is_a_page() {
    let t = Fixture::new();
    t.timelines.join(FIRST, ANNA);
    for n in 0..50 {
        t.timelines.send(FIRST, BEN, &format!("word {n}"));
    }
    catch_up(&mut t.open("h"));
    let index = IndexReader::open(&t.path()).unwrap();
    index.allow(TIME);
    let mut slow = Slow { timelines: t.timelines.clone(), reads: 10 };
    let found = answer(&index, &mut slow, ANNA, &query("word"), UnixMillis(0));
    let Ok(Found::Search(contract::Found::Results(page))) = found else { panic!("{found:?}") };
    let last = page.messages.last().unwrap();
    assert!((1..50).contains(&page.messages.len()));
    assert_eq!(page.cursor.as_deref(), Some(&*wire::search::Place::of(last).to_string()));
}

/// How long a query may take on a slow database.
const TIME: Duration = Duration::from_secs(2);

/// A database of whose reads one takes longer than the query may.
struct Slow {
    timelines: Timelines,
    /// Reads until then.
    reads: u32,
}

impl ::search::Source for Slow {
    fn read(&mut self, read: &logic::Read) -> Found {
        self.reads = self.reads.saturating_sub(1);
        if self.reads == 0 {
            std::thread::sleep(TIME);
            self.reads = u32::MAX;
        }
        self.timelines.read(read)
    }

    fn settle(&mut self) -> bool {
        self.timelines.settle()
    }
}

#[test]
fn dropped_months_are_gone_from_the_index() {
    let t = Fixture::new();
    for conversation in [FIRST, SECOND] {
        t.timelines.join(conversation, ANNA);
        // More than one transaction removes.
        for n in 0..2_500 {
            let other = if conversation == SECOND { "vanishing" } else { "" };
            t.timelines.send(conversation, BEN, &format!("word{n} forgettable {other}"));
        }
    }
    let mut follower = t.open("h");
    catch_up(&mut follower);
    assert!(t.contains("forgettable"));
    assert_eq!(t.seqs(ANNA, "word2499"), [(2, 2_500), (1, 2_500)]);
    t.timelines.drop_below(FIRST, Seq(2_499));
    t.timelines.drop_below(SECOND, Seq(2_501));
    assert!(t.contains("vanishing"));
    assert_eq!(catch_up(&mut follower), 0, "nothing is read again");
    assert!(!t.contains("vanishing"), "nothing of it is in the files");
    assert_eq!(t.seqs(ANNA, "forgettable"), [(1, 2_500), (1, 2_499)]);
    t.timelines.send(SECOND, BEN, "goes on");
    assert_eq!(catch_up(&mut follower), 1);
    assert_eq!(t.seqs(ANNA, "goes on"), [(2, 2_501)]);
    // Also by a follower that was not there, with another history.
    t.timelines.drop_below(FIRST, Seq(2_501));
    drop(follower);
    assert_eq!(catch_up(&mut t.open("another")), 0, "nothing is indexed anew");
    assert_eq!(t.seqs(ANNA, "forgettable"), []);
    assert!(!t.contains("forgettable"), "nothing of it is in the files");
}

#[test]
fn a_large_month_is_removed_in_many_steps() {
    let t = Fixture::new();
    for conversation in [FIRST, SECOND] {
        t.timelines.join(conversation, ANNA);
    }
    for n in 0..20_000 {
        t.timelines.send(FIRST, BEN, &format!("forgettable {n}"));
    }
    t.timelines.send(SECOND, BEN, "kept");
    let mut follower = t.open("h");
    catch_up(&mut follower);
    t.timelines.drop_below(FIRST, Seq(20_000));
    // Something to index before and after it.
    t.timelines.send(FIRST, BEN, "kept");
    t.timelines.send(SECOND, BEN, "kept");
    let (mut steps, mut indexed) = (0, 0);
    while let Step::Worked { messages } = follower.step(SLICE).unwrap() {
        steps += 1;
        indexed += messages;
    }
    assert!(steps >= 20, "others wait for {steps} steps only");
    assert_eq!(indexed, 2, "nothing is indexed twice");
    assert_eq!(t.seqs(ANNA, "kept"), [(2, 2), (1, 20_001), (2, 1)]);
    assert_eq!(t.seqs(ANNA, "forgettable"), [(1, 20_000)]);
}

#[test]
fn another_history_is_indexed_anew_where_it_differs() {
    let t = Fixture::new();
    for (conversation, text) in [(FIRST, "kept"), (SECOND, "kept too"), (SECOND, "lost")] {
        t.timelines.join(conversation, ANNA);
        t.timelines.0.lock().unwrap().timelines.get_mut(&conversation).unwrap().members.insert(ANNA, Seq(1));
        t.timelines.send(conversation, BEN, text);
    }
    assert_eq!(catch_up(&mut t.open("one")), 3);
    assert_eq!(catch_up(&mut t.open("one")), 0, "a restart reads nothing again");
    // A restore: the last message is gone, and another one takes its place.
    t.timelines.0.lock().unwrap().timelines.get_mut(&SECOND).unwrap().entries.pop();
    assert_eq!(catch_up(&mut t.open("two")), 1, "the end is another one");
    assert_eq!(t.seqs(ANNA, "lost"), []);
    t.timelines.send(SECOND, BEN, "found");
    assert_eq!(catch_up(&mut t.open("two")), 1);
    t.timelines.0.lock().unwrap().timelines.get_mut(&SECOND).unwrap().entries.pop();
    t.timelines.send(SECOND, BEN, "elsewhere");
    assert_eq!(catch_up(&mut t.open("three")), 2);
    assert_eq!((t.seqs(ANNA, "elsewhere"), t.seqs(ANNA, "found")), (vec![(2, 2)], vec![]));
    assert_eq!(t.seqs(ANNA, "kept"), [(2, 1), (1, 1)]);
    assert!(!t.contains("found"));
    assert_eq!(catch_up(&mut t.open("three")), 0);
}

#[test]
fn an_index_that_is_missing_or_damaged_is_made_anew() {
    let t = Fixture::new();
    t.timelines.join(FIRST, ANNA);
    for n in 0..3_000 {
        t.timelines.send(FIRST, BEN, &format!("word number {n}"));
    }
    assert_eq!(catch_up(&mut t.open("h")), 3_000);
    fs::remove_file(t.path()).unwrap();
    assert_eq!(catch_up(&mut t.open("h")), 3_000);
    let whole = fs::read(t.path()).unwrap();
    for damage in [
        &b"this is no database, and it is longer than the header of one would be, so that it is read ........."[..],
        &whole[..whole.len() / 3],
        &whole[..50],
        b"",
    ] {
        fs::write(t.path(), damage).unwrap();
        let mut follower = t.open("h");
        let mut resets = 0;
        loop {
            match follower.step(SLICE) {
                Ok(Step::CaughtUp(_)) => break,
                Ok(Step::Worked { .. }) => {}
                Err(FollowError::Index(IndexError::Damaged(_))) if resets < 1 => {
                    resets += 1;
                    follower = follower.reset().unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        drop(follower);
        let reader = IndexReader::open(&t.path()).unwrap();
        match answer(&reader, &mut t.timelines.clone(), ANNA, &query("number 2999"), UnixMillis(0)) {
            Ok(Found::Search(contract::Found::Results(page))) => assert_eq!(page.messages.len(), 1),
            // A query may be the first to meet the damage; the thread then makes the index anew.
            Err(IndexError::Damaged(_)) => {}
            other => panic!("{other:?}"),
        }
        drop(reader);
        fs::write(t.path(), &whole).unwrap();
    }
}

#[test]
fn a_file_of_somebody_else_is_not_touched() {
    let t = Fixture::new();
    fs::write(t.path(), "a letter").unwrap();
    let refused = Index::open(&t.path(), &identity("h"));
    assert!(matches!(refused, Err(IndexError::Foreign(_))), "{refused:?}");
    assert_eq!(fs::read(t.path()).unwrap(), b"a letter");
    let elsewhere = t.folder.path().join("new/folder/index");
    let (index, _) = Index::open(&elsewhere, &identity("h")).unwrap();
    assert!(matches!(Index::open(&elsewhere, &identity("h")), Err(IndexError::Locked(_))));
    drop(index);
    // A copy without its lock is still an index.
    fs::copy(&elsewhere, t.folder.path().join("copy")).unwrap();
    assert!(Index::open(&t.folder.path().join("copy"), &identity("h")).is_ok());
}

#[test]
fn a_database_that_does_not_answer_is_asked_again() {
    let t = Fixture::new();
    t.timelines.join(FIRST, ANNA);
    t.timelines.send(FIRST, BEN, "word");
    let mut follower = t.open("h");
    t.timelines.0.lock().unwrap().is_away = true;
    assert!(matches!(follower.step(SLICE), Err(FollowError::Database)));
    assert!(matches!(t.ask(ANNA, &query("word")), Found::Unavailable));
    t.timelines.0.lock().unwrap().is_away = false;
    assert_eq!(catch_up(&mut follower), 1);
}

#[test]
fn a_query_over_its_time_is_answered_busy() {
    let t = Fixture::new();
    t.timelines.join(FIRST, ANNA);
    t.timelines.send(FIRST, BEN, "word");
    catch_up(&mut t.open("h"));
    let index = IndexReader::open(&t.path()).unwrap();
    index.allow(Duration::ZERO);
    let found = answer(&index, &mut t.timelines.clone(), ANNA, &query("word"), UnixMillis(0)).unwrap();
    assert!(matches!(found, Found::Search(contract::Found::Busy)), "{found:?}");
    index.allow(Duration::from_secs(20));
    let found = answer(&index, &mut t.timelines.clone(), ANNA, &query("word"), UnixMillis(0)).unwrap();
    assert!(matches!(found, Found::Search(contract::Found::Results(_))), "{found:?}");
}
