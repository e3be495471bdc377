//! What LOGIN reads beside the writer: its rows, counts and timelines are of one moment; and what is kept of it.

use super::{InMemory, SqliteStore, TestClock, open};
use crate::conformance::{self, BEGIN, actor, append, appended, change, entry};
use crate::store::{Reader, Store};
use logic::Ticket;
use logic::contract::change::What;
use logic::contract::session::LoginView;
use logic::contract::timeline::{CursorMove, CursorStep};
use logic::contract::{Client, Epoch, Found, Read, Write, Written};
use logic::contract::{account, contact, group, presence, session, timeline};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wire::account::Who;
use wire::timeline::SettingsChange;
use wire::{ConversationId, Seq, Target, UserId};

const ANNA: UserId = UserId(1);
const BEN: UserId = UserId(2);

/// The timeline is a message, then rounds of so many messages and a recall of the first of them.
const MESSAGES: u64 = 7;

/// What such a timeline has for its reader.
fn unread(last: u64) -> u64 {
    let (rounds, rest) = ((last - 1) / (MESSAGES + 1), (last - 1) % (MESSAGES + 1));
    1 + rounds * (MESSAGES - 1) + rest
}

fn write(store: &mut dyn Store, writes: Vec<Write>) -> Vec<Written> {
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

fn is_kept(store: &SqliteStore, user: UserId) -> [bool; 2] {
    let kept = store.logins.find(user, false).expect("it was read");
    [&kept.note, &kept.friends].map(|note| store.logins.generations.is_current(note))
}

/// A debug build compares each view that is kept with a new read.
fn log_in(store: &mut SqliteStore, user: UserId) -> LoginView {
    let found = store.read(&Read::Session(session::Read::LoginView { user, with_last: false }));
    let Found::Session(session::Found::LoginView(view)) = found else { panic!("{found:?}") };
    *view
}

#[test]
fn a_view_that_a_fault_left_something_out_of_is_not_kept() {
    let mut fixture = InMemory::new();
    let store = fixture.sqlite();
    let names = ["anna", "ben"].map(|name| {
        Write::Account(account::Write::Create { name: name.into(), password: "".into(), nick: None })
    });
    write(store, names.into());
    write(store, vec![append(ANNA, Target::User(BEN), "1", "x")]);
    let listed = |store: &mut SqliteStore| log_in(store, BEN).conversations.len();
    let set = |store: &SqliteStore, time: i64| {
        store.conn.execute("UPDATE conversation SET updated_at = ?1", [time]).unwrap();
    };
    set(store, -1);
    assert_eq!(listed(store), 0);
    set(store, BEGIN.0 as i64);
    assert_eq!(listed(store), 1);
}

#[test]
fn a_view_is_kept_until_something_of_it_changes() {
    let mut fixture = InMemory::new();
    let store = fixture.sqlite();
    let create = |name: &str| {
        Write::Account(account::Write::Create { name: name.into(), password: "".into(), nick: None })
    };
    let eve = UserId(3);
    write(store, ["anna", "ben", "eve"].map(create).into());
    let say = |from, to, cid: &str| append(from, Target::User(to), cid, "x");
    let conversation = appended(&write(store, vec![say(ANNA, BEN, "1")])[0]).conversation;
    let group = entry(&write(store, vec![conformance::create(ANNA, "climbing")])[0]).message.conversation;
    log_in(store, BEN);
    let (settings, step) = (
        SettingsChange { pinned: Some(true), ..SettingsChange::default() },
        CursorStep::Reach { delivered: Seq(1), read: Seq(1) },
    );
    let moved = |user| CursorMove { conversation, user, epoch: Epoch::NONE, step };
    let token = |user, written: &Written| match written {
        Written::Account(account::Written::Created { token, .. }) => {
            let client = Client { device: None, kind: None, address: [127, 0, 0, 1].into() };
            (user, Write::Session(session::Write::ExtendToken { token: token.text.clone(), client }))
        }
        other => panic!("{other:?}"),
    };
    // Of others it says nothing.
    let (dan, login) = token(UserId(4), &write(store, vec![create("dan")])[0]);
    let others = [say(ANNA, eve, "2"), say(eve, ANNA, "3"), create("finn"), login];
    for other in others {
        write(store, vec![other]);
        assert_eq!(is_kept(store, BEN), [true, true]);
    }
    let befriend = Write::Contact(contact::Write::Add { user: BEN, who: Who::Id(dan) });
    let change = change(ANNA, conversation, 1, What::React { reaction: "x".into(), on: true });
    for touching in [
        say(ANNA, BEN, "4"),
        say(BEN, ANNA, "5"),
        say(eve, BEN, "6"),
        change,
        Write::Timeline(timeline::Write::MoveCursors(vec![moved(ANNA)])),
        Write::Timeline(timeline::Write::MoveCursors(vec![moved(BEN)])),
        Write::Timeline(timeline::Write::Set { user: BEN, conversation, change: settings }),
        Write::Timeline(timeline::Write::Clear { user: BEN, conversation, upto: Seq(1) }),
        conformance::join(BEN, group),
        append(ANNA, Target::Group(group), "7", "x"),
        befriend,
        Write::Contact(contact::Write::Add { user: ANNA, who: Who::Id(BEN) }),
        Write::Group(group::Write::Create { by: actor(BEN), name: "reading".into(), desc: "".into() }),
        conformance::change_members(ANNA, group, group::What::Remove { user: BEN, bar: false }),
    ] {
        let what = format!("{touching:?}");
        write(store, vec![touching]);
        assert!(!is_kept(store, BEN)[0], "{what}");
        log_in(store, BEN);
        while store.unfiled() > 0 && store.housekeep().unwrap() {}
        log_in(store, BEN);
    }
    // The cursors of a group that was left are not noted, so that nothing is kept while it is behind there.
    assert!(!is_kept(store, BEN)[0]);
    let left = CursorMove { conversation: group, ..moved(BEN) };
    let step = CursorStep::Reach { delivered: Seq(9), read: Seq(9) };
    write(store, vec![Write::Timeline(timeline::Write::MoveCursors(vec![CursorMove { step, ..left }]))]);
    assert_eq!(log_in(store, BEN).friends.len(), 2);
    assert_eq!(is_kept(store, BEN), [true, true]);
    // When a friend was seen, only the rows of friends are read again.
    write(store, vec![Write::Presence(presence::Write::Seen(vec![(dan, 0)]))]);
    assert_eq!(is_kept(store, BEN), [true, false]);
    let friends = log_in(store, BEN).friends;
    assert_eq!(friends.iter().find(|friend| friend.user == dan).unwrap().last_seen, Some(BEGIN));
    assert_eq!(is_kept(store, BEN), [true, true]);
}
