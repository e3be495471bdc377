//! What LOGIN reads beside the writer: its rows, counts and timelines are of one moment.

use super::{TestClock, open};
use crate::conformance::{BEGIN, append, appended, change};
use crate::store::{Reader, Store};
use logic::Ticket;
use logic::contract::change::What;
use logic::contract::{Found, Read, Write, account, session};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wire::{ConversationId, Target, UserId};

const ANNA: UserId = UserId(1);
const BEN: UserId = UserId(2);

/// The timeline is a message, then rounds of so many messages and a recall of the first of them.
const MESSAGES: u64 = 7;

/// What such a timeline has for its reader.
fn unread(last: u64) -> u64 {
    let (rounds, rest) = ((last - 1) / (MESSAGES + 1), (last - 1) % (MESSAGES + 1));
    1 + rounds * (MESSAGES - 1) + rest
}

fn write(store: &mut dyn Store, writes: Vec<Write>) -> Vec<logic::contract::Written> {
    let mut written = Vec::new();
    let writes = (0..).map(Ticket).zip(writes).collect();
    store.write(writes, &mut |batch| written.extend(batch.into_iter().map(|(_, written)| written))).unwrap();
    written
}

/// Reads a login until the writer is done; returns how often.
fn look(
    reader: &mut dyn Reader,
    conversation: ConversationId,
    published: &AtomicU64,
    is_done: &AtomicBool,
) -> u64 {
    let mut looks = 0;
    while !is_done.load(Ordering::SeqCst) {
        let before = published.load(Ordering::SeqCst);
        let with_last = looks % 2 == 0;
        let found = reader.read(&Read::Session(session::Read::LoginView { user: BEN, with_last }));
        let Found::Session(session::Found::LoginView(view)) = found else { panic!("{found:?}") };
        let row = view.conversations.iter().find(|row| row.conversation == conversation).unwrap();
        let last = row.last_seq.0;
        assert!(last >= before, "{last} was published up to {before}");
        assert_eq!((row.unread, row.mentions), (unread(last), 0), "up to {last}");
        assert_eq!(view.unread.rows.len(), 1);
        assert_eq!(row.last.is_some(), with_last);
        looks += 1;
    }
    looks
}

#[test]
fn a_login_beside_the_writer_counts_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let test_clock = TestClock::default();
    test_clock.set(BEGIN);
    let mut store = open(&folder.path().join("chat.db"), &test_clock);
    let names = ["anna", "ben"].map(|name| {
        Write::Account(account::Write::Create { name: name.into(), password: "".into(), nick: None })
    });
    write(&mut store, names.into());
    let first = write(&mut store, vec![append(ANNA, Target::User(BEN), "first", "x")]);
    let conversation = appended(&first[0]).conversation;
    let (published, is_done) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicBool::new(false)));
    let readers = [(), ()].map(|()| {
        let mut reader = store.reader().unwrap();
        let (published, is_done) = (Arc::clone(&published), Arc::clone(&is_done));
        std::thread::spawn(move || look(&mut *reader, conversation, &published, &is_done))
    });
    let until = Instant::now() + Duration::from_secs(2);
    let mut last = 1;
    while Instant::now() < until {
        let text = |n| append(ANNA, Target::User(BEN), &format!("{last} {n}"), "hello");
        let mut writes: Vec<Write> = (0..MESSAGES).map(text).collect();
        writes.push(change(ANNA, conversation, last + 1, What::Recall { window: 60_000 }));
        write(&mut store, writes);
        last += MESSAGES + 1;
        published.store(last, Ordering::SeqCst);
        // Runs are frozen early, so that much is filed while logins are read.
        if last % 3 == 0 {
            while store.unfiled() > 0 && store.housekeep().unwrap() {}
        }
    }
    is_done.store(true, Ordering::SeqCst);
    for reader in readers {
        let looks = reader.join().unwrap();
        assert!(looks > 10, "{looks} looks");
    }
}
