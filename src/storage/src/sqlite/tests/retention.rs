//! Months that are dropped while something else happens to the embedded database.

use super::InMemory;
use crate::calendar;
use crate::conformance::{Fixture, Scenario, append, walk};
use logic::contract::{Found, Read, Write, session};
use rusqlite::Connection;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use wire::{Direction, Seq, Target, UnixMillis, UserId};

const HOUR_MS: u64 = 60 * 60 * 1000;

fn go_to(scenario: &mut Scenario<'_>, month: u32, hours: u64) {
    let time = UnixMillis(calendar::start_of(month).0 + hours * HOUR_MS);
    scenario.wait(time.0 - scenario.now.0);
}

/// Twenty conversations of anna with messages of January, February and March: two, two and one.
fn three_months(scenario: &mut Scenario<'_>) -> Vec<UserId> {
    let anna = scenario.user("anna");
    let peers: Vec<UserId> = (0..20).map(|n| scenario.user(&format!("peer {n}"))).collect();
    for (month, count) in [(202_601, 2), (202_602, 2), (202_603, 1)] {
        if month > 202_601 {
            go_to(scenario, month, 24);
        }
        for peer in &peers {
            for n in 0..count {
                scenario.say(anna, Target::User(*peer), &format!("{month} {peer} {n}"), "x");
            }
        }
        scenario.file();
    }
    peers
}

fn check(scenario: &mut Scenario<'_>, peers: &[UserId], first: u64) {
    for peer in peers {
        let conversation = scenario.conversations(*peer, None, 9).0[0].conversation;
        let expected: Vec<u64> = (first..=5).collect();
        assert_eq!(walk(scenario, *peer, conversation, 1, true), expected, "{peer}");
        let (_, _, told) = scenario.history(*peer, conversation, Direction::Before(Seq::MAX), 9);
        assert_eq!(told, Seq(first), "{peer}");
    }
}

#[test]
fn a_drop_goes_on_over_the_turn_of_a_month() {
    let mut interrupted = 0;
    for slices in 1..60 {
        let mut files = InMemory::new();
        let mut scenario = Scenario::on(&mut files);
        let peers = three_months(&mut scenario);
        // The day of notice ends half an hour before April begins.
        go_to(&mut scenario, 202_603, 30 * 24 - 1);
        scenario.fixture.set_retention(1);
        scenario.file();
        go_to(&mut scenario, 202_603, 31 * 24 - 1);
        scenario.fixture.housekeep_some(slices);
        go_to(&mut scenario, 202_604, 1);
        scenario.file();
        check(&mut scenario, &peers, 5);
        let mut left =
            |sql: &str| files.sqlite().conn.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
        let tables =
            "SELECT count(*) FROM sqlite_schema WHERE name < 'message_202603' AND name GLOB 'message_2*'";
        assert_eq!(
            (left("SELECT count(*) FROM segment WHERE month < 202603"), left(tables)),
            (0, 0),
            "{slices}"
        );
        interrupted += left("SELECT rounds FROM retention");
    }
    assert!(interrupted > 60, "some were two rounds: {interrupted}");
}

/// `(first_seq, unread)` of the only conversation that a login shows.
fn log_in(scenario: &mut Scenario<'_>, user: UserId) -> (Seq, u64) {
    match scenario.read(Read::Session(session::Read::LoginView { user, with_last: true })) {
        Found::Session(session::Found::LoginView(view)) => {
            (view.conversations[0].first_seq, view.conversations[0].unread)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_login_has_read_is_not_kept_over_a_drop() {
    let mut files = InMemory::new();
    let mut scenario = Scenario::on(&mut files);
    let peer = three_months(&mut scenario)[0];
    assert_eq!(log_in(&mut scenario, peer), (Seq(1), 5));
    go_to(&mut scenario, 202_603, 30 * 24 - 1);
    scenario.fixture.set_retention(1);
    scenario.file();
    for (month, hours) in [(202_603, 31 * 24 - 1), (202_604, 1)] {
        go_to(&mut scenario, month, hours);
        log_in(&mut scenario, peer);
        scenario.file();
    }
    assert_eq!(log_in(&mut scenario, peer), (Seq(5), 1));
}

#[test]
fn filing_does_not_wait_for_a_drop() {
    let mut files = InMemory::new();
    let mut scenario = Scenario::on(&mut files);
    three_months(&mut scenario);
    scenario.fixture.set_retention(1);
    scenario.file();
    files
        .sqlite()
        .conn
        .execute_batch(
            "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 20000)
         INSERT INTO message_202601 SELECT (2000000000 << 32) + n, randomblob(500) FROM n",
        )
        .unwrap();
    let mut scenario = Scenario::on_at(&mut files, UnixMillis(calendar::start_of(202_603).0 + 48 * HOUR_MS));
    // It is being dropped when the run becomes full.
    scenario.fixture.housekeep_some(20);
    let text = "y".repeat(10_000);
    let mut number = 0;
    while !scenario.fixture.store().is_behind() {
        let writes: Vec<Write> = (0..100)
            .map(|n| append(UserId(1), Target::User(UserId(2)), &format!("{number} {n}"), &text))
            .collect();
        number += 1;
        scenario.all(writes);
    }
    let mut slices = 0;
    while scenario.fixture.store().is_behind() {
        scenario.fixture.housekeep_some(1);
        slices += 1;
        assert!(slices < 1_000, "the writer waits for filing only");
    }
    scenario.file();
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'message_202601'";
    assert_eq!(files.sqlite().conn.query_row(tables, [], |row| row.get::<_, u32>(0)), Ok(0));
}

#[test]
fn a_drop_does_not_wait_for_a_pause_of_the_messages() {
    let mut files = InMemory::new();
    let mut scenario = Scenario::on(&mut files);
    let peers = three_months(&mut scenario);
    scenario.fixture.set_retention(1);
    // The day of notice begins and ends, and the month is dropped, between messages, as the store thread does it.
    for number in 0..200 {
        scenario.wait(HOUR_MS / 4);
        scenario.say(UserId(1), Target::User(peers[0]), &format!("meanwhile {number}"), "x");
        while scenario.fixture.store().is_behind() {
            scenario.fixture.housekeep_some(1);
        }
    }
    assert!(!has_table(&mut files, 202_601), "it is dropped");
    let mut scenario = Scenario::on_at(&mut files, UnixMillis(calendar::start_of(202_603).0 + 75 * HOUR_MS));
    scenario.file();
    check(&mut scenario, &peers[1..], 3);
}

#[test]
fn a_damaged_conversation_keeps_its_months_and_others_are_filed() {
    let mut files = InMemory::new();
    let mut scenario = Scenario::on(&mut files);
    let peers = three_months(&mut scenario);
    scenario.fixture.set_retention(1);
    scenario.file();
    files.sqlite().conn.execute_batch("UPDATE conversation SET first_seq = -7 WHERE id = 3").unwrap();
    let mut scenario = Scenario::on_at(&mut files, UnixMillis(calendar::start_of(202_603).0 + 48 * HOUR_MS));
    scenario.file();
    scenario.say(UserId(1), Target::User(peers[0]), "later", "this is filed");
    scenario.file();
    assert_eq!(scenario.fixture.store().unfiled(), 0);
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'message_202601'";
    assert_eq!(files.sqlite().conn.query_row(tables, [], |row| row.get::<_, u32>(0)), Ok(1), "it is kept");
    // Once it is repaired, it is finished.
    files.sqlite().conn.execute_batch("UPDATE conversation SET first_seq = 1 WHERE id = 3").unwrap();
    let mut scenario = Scenario::on_at(&mut files, UnixMillis(calendar::start_of(202_603).0 + 50 * HOUR_MS));
    scenario.file();
    check(&mut scenario, &peers[1..], 3);
    assert_eq!(files.sqlite().conn.query_row(tables, [], |row| row.get::<_, u32>(0)), Ok(0));
}

/// Whether the table of a month is there.
fn has_table(files: &mut InMemory, month: u32) -> bool {
    let sql = format!("SELECT count(*) FROM sqlite_schema WHERE name = 'message_{month:06}'");
    files.sqlite().conn.query_row(&sql, [], |row| row.get::<_, u32>(0)).unwrap() > 0
}

#[test]
fn a_corrupt_month_is_left_and_others_are_dropped() {
    // The first page that is emptied, or one that is reached after some.
    for place in ["SELECT min(id)", "SELECT max(id)"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db");
        let mut files = InMemory::new();
        files.store = None;
        files.disk = Default::default();
        files.open(Connection::open(&path).unwrap());
        let mut scenario = Scenario::on(&mut files);
        let peers = three_months(&mut scenario);
        scenario.fixture.set_retention(1);
        // The day of notice.
        go_to(&mut scenario, 202_603, 30 * 24);
        scenario.file();
        let conn = &files.sqlite().conn;
        conn.execute_batch(
            "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 1000)
             INSERT INTO message_202601 SELECT (2000000000 << 32) + n, randomblob(500) FROM n",
        )
        .unwrap();
        // A blob that fills pages of its own, of which the first names the next.
        let marker = b"the next page of this one is damaged".repeat(1_000);
        let sql = format!("UPDATE message_202601 SET page = ?1 WHERE id = ({place} FROM message_202601)");
        conn.execute(&sql, [&marker[..]]).unwrap();
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        drop(files.store.take());
        let bytes = std::fs::read(&path).unwrap();
        let is_overflow = |page: &[u8]| is_within(&marker, &page[4..300]);
        let page_size = super::super::connection::PAGE_SIZE as usize;
        let at = bytes.chunks(page_size).position(is_overflow).expect("it has overflow pages");
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0xff; 4], (at * page_size) as u64).unwrap();
        files.test_clock.set(UnixMillis(calendar::start_of(202_604).0 + HOUR_MS));
        files.open(Connection::open(&path).unwrap());
        let time = UnixMillis(calendar::start_of(202_604).0 + 2 * HOUR_MS);
        let mut scenario = Scenario::on_at(&mut files, time);
        scenario.file();
        scenario.say(UserId(1), Target::User(peers[0]), "later", "this is filed");
        scenario.file();
        assert_eq!(scenario.fixture.store().unfiled(), 0, "{place}");
        for peer in &peers[1..] {
            check(&mut scenario, std::slice::from_ref(peer), 5);
        }
        // It is tried again in an hour, to no avail; what else is due is done.
        scenario.wait(HOUR_MS);
        scenario.file();
        assert!(has_table(&mut files, 202_601), "{place}: it is left");
        assert!(!has_table(&mut files, 202_602), "{place}: another one is dropped");
        let rounds = |files: &mut InMemory| {
            files
                .sqlite()
                .conn
                .query_row("SELECT rounds FROM retention", [], |row| row.get::<_, u32>(0))
                .unwrap()
        };
        let before = rounds(&mut files);
        assert!(before.is_multiple_of(2), "{place}: all are raised");
        let mut scenario = Scenario::on_at(&mut files, UnixMillis(time.0 + 3 * HOUR_MS));
        scenario.file();
        assert_eq!(rounds(&mut files), before, "{place}: the index is not told again");
        // Once it is repaired, it is dropped.
        files.sqlite().conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        drop(files.store.take());
        let next = u32::from_be_bytes(bytes[at * page_size..][..4].try_into().unwrap());
        file.write_all_at(&next.to_be_bytes(), (at * page_size) as u64).unwrap();
        files.open(Connection::open(&path).unwrap());
        let mut scenario = Scenario::on_at(&mut files, UnixMillis(time.0 + 4 * HOUR_MS));
        scenario.file();
        assert!(!has_table(&mut files, 202_601), "{place}: it is dropped");
    }
}

#[test]
fn what_was_dropped_is_not_filed_again() {
    let mut files = InMemory::new();
    // What is filed is not recorded, so that the journal keeps it.
    files.sqlite().conn.execute_batch("ALTER TABLE journal_filed RENAME TO lost").unwrap();
    let mut scenario = Scenario::on(&mut files);
    let peers = three_months(&mut scenario);
    scenario.fixture.set_retention(1);
    scenario.file();
    go_to(&mut scenario, 202_603, 72);
    // Killed before the scrub that follows, which clears the journal.
    let mut slices = 0;
    while has_table(&mut files, 202_601) {
        files.housekeep_some(1);
        slices += 1;
        assert!(slices < 1_000, "it is dropped");
    }
    files.sqlite().conn.execute_batch("ALTER TABLE lost RENAME TO journal_filed").unwrap();
    // The journal is filed again as a whole, which makes the tables of its months.
    files.restart();
    assert!(has_table(&mut files, 202_601));
    let sql = "SELECT count(*) FROM message_202601";
    assert_eq!(files.sqlite().conn.query_row(sql, [], |row| row.get::<_, u32>(0)), Ok(0));
    let time = UnixMillis(calendar::start_of(202_603).0 + 72 * HOUR_MS);
    let mut scenario = Scenario::on_at(&mut files, time);
    scenario.file();
    check(&mut scenario, &peers, 3);
}

#[test]
fn what_is_sent_while_the_clock_goes_back_during_a_drop_is_kept() {
    let mut begun = 0;
    for slices in 1..40 {
        let mut files = InMemory::new();
        let mut scenario = Scenario::on(&mut files);
        let peers = three_months(&mut scenario);
        go_to(&mut scenario, 202_604, 24);
        scenario.fixture.set_retention(1);
        scenario.file();
        go_to(&mut scenario, 202_604, 49);
        scenario.fixture.housekeep_some(slices);
        let right = scenario.now;
        let sql = "SELECT kept_from FROM retention";
        if files.sqlite().conn.query_row(sql, [], |row| row.get(0)) == Ok(0) {
            // It has not begun.
            continue;
        }
        begun += 1;
        let mut scenario = Scenario::on_at(&mut files, right);
        scenario.now = UnixMillis(calendar::start_of(200_001).0 + HOUR_MS);
        scenario.fixture.set_time(scenario.now);
        let new = scenario.user("new");
        scenario.say(UserId(1), Target::User(new), "new", "to a new conversation");
        scenario.say(UserId(1), Target::User(peers[0]), "old", "to an old one");
        scenario.file();
        scenario.now = right;
        scenario.fixture.set_time(right);
        for _ in 0..2 {
            scenario.wait(25 * HOUR_MS);
            scenario.file();
        }
        let shown = |scenario: &mut Scenario<'_>, user: UserId| {
            let conversation = scenario.conversations(user, None, 9).0[0].conversation;
            walk(scenario, user, conversation, 9, true)
        };
        assert_eq!(shown(&mut scenario, new), [1], "{slices}");
        assert_eq!(shown(&mut scenario, peers[0]), [5, 6], "{slices}");
        check(&mut scenario, &peers[1..], 5);
        assert!(!has_table(&mut files, 202_601) && !has_table(&mut files, 202_602), "{slices}");
    }
    assert!(begun > 30, "{begun}");
}

#[test]
fn what_could_not_be_filed_of_a_kept_month_is_kept_for_its_repair() {
    for goes_on in [false, true] {
        let mut files = InMemory::new();
        let mut scenario = Scenario::on(&mut files);
        let peers = three_months(&mut scenario);
        let anna = UserId(1);
        let conversation = scenario.conversations(peers[2], None, 9).0[0].conversation;
        go_to(&mut scenario, 202_604, 24);
        scenario.file();
        files
            .sqlite()
            .conn
            .execute_batch(&format!(
                "CREATE TRIGGER refuse BEFORE INSERT ON message_202604 WHEN NEW.id >> 32 = {conversation} \
                 BEGIN SELECT raise(ABORT, 'refused'); END"
            ))
            .unwrap();
        let time = UnixMillis(calendar::start_of(202_604).0 + 24 * HOUR_MS);
        let mut scenario = Scenario::on_at(&mut files, time);
        scenario.say(anna, Target::User(peers[2]), "refused", "this cannot be filed");
        scenario.file();
        let unfiled = |files: &mut InMemory| {
            let sql = "SELECT id & 0xffffffff FROM message_unfiled";
            files.sqlite().conn.query_row(sql, [], |row| row.get::<_, u32>(0))
        };
        assert_eq!(unfiled(&mut files), Ok(6));
        files.sqlite().conn.execute_batch("DROP TRIGGER refuse").unwrap();
        let mut scenario = Scenario::on_at(&mut files, time);
        if goes_on {
            scenario.say(anna, Target::User(peers[2]), "filed", "this can be filed");
        }
        scenario.fixture.set_retention(1);
        scenario.file();
        scenario.wait(25 * HOUR_MS);
        scenario.file();
        check(&mut scenario, &peers[3..], 5);
        assert!(!has_table(&mut files, 202_602), "the drop was finished");
        assert_eq!(unfiled(&mut files), Ok(6), "{goes_on}");
        let sql = format!("SELECT first_seq FROM conversation WHERE id = {conversation}");
        let first = files.sqlite().conn.query_row(&sql, [], |row| row.get::<_, u32>(0)).unwrap();
        assert!(first <= 6, "{first}");
        // It is dropped with its month.
        let mut scenario = Scenario::on_at(&mut files, UnixMillis(calendar::start_of(202_606).0 + HOUR_MS));
        scenario.file();
        scenario.wait(25 * HOUR_MS);
        scenario.file();
        assert_eq!(unfiled(&mut files), Err(rusqlite::Error::QueryReturnedNoRows), "{goes_on}");
    }
}

#[test]
fn a_damaged_beginning_does_not_keep_messages_from_being_filed() {
    let mut files = InMemory::new();
    let mut scenario = Scenario::on(&mut files);
    let peers = three_months(&mut scenario);
    files.sqlite().conn.execute_batch("UPDATE conversation SET first_seq = -7").unwrap();
    let time = UnixMillis(calendar::start_of(202_604).0 + HOUR_MS);
    let mut scenario = Scenario::on_at(&mut files, time);
    scenario.say(UserId(1), Target::User(peers[2]), "later", "in a new month");
    scenario.file();
    let count = |files: &mut InMemory, sql: &str| {
        files.sqlite().conn.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap()
    };
    assert_eq!(count(&mut files, "SELECT count(*) FROM message_202604"), 1);
    let unfiled = "SELECT count(*) FROM sqlite_schema WHERE name = 'message_unfiled'";
    assert_eq!(count(&mut files, unfiled), 0);
}

#[test]
fn a_kept_month_whose_segment_is_missing_is_not_taken_for_dropped() {
    let mut files = InMemory::new();
    let mut scenario = Scenario::on(&mut files);
    let peers = three_months(&mut scenario);
    let conversation = scenario.conversations(peers[2], None, 9).0[0].conversation;
    scenario.fixture.set_retention(1);
    scenario.file();
    let sql = format!("DELETE FROM segment WHERE conversation_id = {conversation} AND month >= 202602");
    files.sqlite().conn.execute_batch(&sql).unwrap();
    let time = UnixMillis(calendar::start_of(202_603).0 + 50 * HOUR_MS);
    let mut scenario = Scenario::on_at(&mut files, time);
    scenario.file();
    check(&mut scenario, &peers[3..], 3);
    let sql = format!("SELECT first_seq FROM conversation WHERE id = {conversation}");
    assert_eq!(files.sqlite().conn.query_row(&sql, [], |row| row.get::<_, u32>(0)), Ok(1));
    assert!(has_table(&mut files, 202_601), "it waits for the repair");
}

fn is_within(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
