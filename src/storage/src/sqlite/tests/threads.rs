//! The threads on a real file: a reader beside the writer, and shutdown.

use super::{TestClock, open};
use crate::conformance::BEGIN;
use crate::conformance::{append, appended};
use crate::outcome::Outcome;
use crate::store::Store;
use crate::threads::start;
use logic::Ticket;
use logic::contract::{Found, Read, Write, Written, account, search, timeline};
use runtime::queue::{Bell, Inbox, queue};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wire::{Direction, Seq, Target, UserId};

/// What is being committed may have an earlier time than the clock shows: only what is before it counts as told.
#[test]
fn what_is_being_committed_is_not_settled() {
    let folder = tempfile::tempdir().unwrap();
    let test_clock = TestClock::default();
    test_clock.set(BEGIN);
    let mut store = open(&folder.path().join("chat.db"), &test_clock);
    let mut reader = store.reader().unwrap();
    let mut settled = || match reader.read(&search::Read::Appended { since: search::Mark(1) }.into()) {
        Found::Search(search::Found::Appended(appended)) => appended.settled,
        other => panic!("{other:?}"),
    };
    assert!(settled() > BEGIN, "the reader has the clock of this machine");
    let anna = account::Write::Create { name: "anna".into(), password: "".into(), nick: None };
    let mut while_committing = None;
    let batch = vec![(Ticket(0), Write::Account(anna))];
    store.write(batch, &mut |_| while_committing = Some(settled())).unwrap();
    assert_eq!(while_committing, Some(BEGIN));
    assert!(settled() > BEGIN);
}

/// A reader sees every message that was published before the read, none that was not, and never a gap.
#[test]
fn a_reader_beside_the_writer_never_sees_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let test_clock = TestClock::default();
    test_clock.set(BEGIN);
    let mut store = open(&folder.path().join("chat.db"), &test_clock);
    let names = ["anna", "ben"].map(|name| {
        Write::Account(account::Write::Create { name: name.into(), password: "".into(), nick: None })
    });
    store.write((0..).map(Ticket).zip(names).collect(), &mut |_| {}).unwrap();
    let (anna, ben) = (UserId(1), UserId(2));
    let mut conversation = None;
    let first = vec![(Ticket(0), append(anna, Target::User(ben), "first", "x"))];
    store.write(first, &mut |batch| conversation = Some(appended(&batch[0].1).conversation)).unwrap();
    let conversation = conversation.unwrap();
    let mut reader = store.reader().unwrap();
    let (published, done) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicBool::new(false)));
    let (seen_published, is_done) = (Arc::clone(&published), Arc::clone(&done));
    let watcher = std::thread::spawn(move || {
        let mut looks = 0u64;
        while !is_done.load(Ordering::SeqCst) {
            let before = seen_published.load(Ordering::SeqCst);
            let direction = Direction::Before(Seq::MAX);
            let found = reader.read(&Read::Timeline(timeline::Read::History {
                user: ben,
                conversation,
                direction,
                limit: 60,
                with_changes: true,
            }));
            let standing = reader.read(&Read::Timeline(timeline::Read::Standing { user: ben, conversation }));
            let after = Read::Timeline(timeline::Read::Feed {
                conversation,
                member: None,
                after: Seq(before - 1),
                limit: 200,
                bytes: 1 << 20,
            });
            let feed = reader.read(&after);
            let now = seen_published.load(Ordering::SeqCst);
            let Found::Timeline(timeline::Found::History { messages, .. }) = found else {
                panic!("{found:?}")
            };
            let last = messages.last().unwrap().seq.0;
            assert!(last >= before && last <= now + 1, "{before} {last} {now}");
            assert!(messages.windows(2).all(|two| two[0].seq.next() == two[1].seq));
            assert_eq!(messages.len() as u64, last.min(60));
            let Found::Timeline(timeline::Found::Standing(Some(standing))) = standing else { panic!() };
            assert!(standing.last.0 >= last);
            let Found::Timeline(timeline::Found::Feed { messages, .. }) = feed else { panic!() };
            assert_eq!(messages[0].seq, Seq(before));
            looks += 1;
        }
        looks
    });
    let until = Instant::now() + Duration::from_millis(1500);
    let mut cid = 0u64;
    while Instant::now() < until {
        let texts = (0..20).map(|n| {
            cid += 1;
            (Ticket(n), append(anna, Target::Conversation(conversation), &format!("c{cid}"), "hello"))
        });
        // Published before it is counted: a reader may be one batch ahead of the count, never behind it.
        let texts: Vec<_> = texts.collect();
        let count = &published;
        store
            .write(texts, &mut |batch| {
                count.store(appended(&batch.last().unwrap().1).seq.0, Ordering::SeqCst);
            })
            .unwrap();
        if cid.is_multiple_of(3) {
            store.housekeep().unwrap();
        }
    }
    while store.housekeep().unwrap() {}
    done.store(true, Ordering::SeqCst);
    let looks = watcher.join().unwrap();
    assert!(looks > 10, "the watcher looked {looks} times");
}

fn next(inbox: &Inbox<Outcome>, bell: &Bell) -> Outcome {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(outcome) = inbox.try_recv().unwrap() {
            return outcome;
        }
        assert!(Instant::now() < until, "no outcome came");
        bell.wait(Some(Duration::from_millis(100)), || !inbox.is_empty());
    }
}

#[test]
fn threads_answer_in_order_and_stop_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let bell = Arc::new(Bell::new());
    let (outbox, inbox) = queue(64, &bell);
    let test_clock = TestClock::default();
    test_clock.set(BEGIN);
    let storage = start(Box::new(open(&path, &test_clock)), outbox, Instant::now()).unwrap();
    let (writes, reads) = (storage.writes(), storage.reads());
    let account = |name: &str| {
        Write::Account(account::Write::Create { name: name.into(), password: "".into(), nick: None })
    };
    writes.send(vec![(Ticket(1), account("anna")), (Ticket(2), account("ben"))]).unwrap();
    let mut tickets = Vec::new();
    let mut take = |outcome: Outcome| match outcome {
        Outcome::Written(batch) => tickets.extend(batch.into_iter().map(|(ticket, written)| {
            assert!(!matches!(written, Written::Unavailable));
            ticket.0
        })),
        other => panic!("{other:?}"),
    };
    take(next(&inbox, &bell));
    for n in 3..=500 {
        let text = append(UserId(1), Target::User(UserId(2)), &format!("c{n}"), "x");
        writes.send(vec![(Ticket(n), text)]).unwrap();
        while let Some(outcome) = inbox.try_recv().unwrap() {
            take(outcome);
        }
    }
    // What is still queued is finished at shutdown.
    let stopper = std::thread::spawn(move || storage.stop());
    let mut take_all = || {
        while let Ok(Some(outcome)) = inbox.try_recv() {
            take(outcome);
        }
    };
    while !stopper.is_finished() {
        take_all();
        std::thread::yield_now();
    }
    take_all();
    stopper.join().unwrap();
    assert_eq!(tickets, (1..=500).collect::<Vec<_>>());
    assert!(reads.send(vec![]).is_err(), "the read thread is gone");
    assert!(!folder.path().join("chat.db-wal").exists(), "the log was cleared away");
    let conn = rusqlite::Connection::open(&path).unwrap();
    let filed: i64 = conn.query_row("SELECT last_seq FROM conversation", [], |row| row.get(0)).unwrap();
    assert_eq!(filed, 498, "everything was filed");
}
