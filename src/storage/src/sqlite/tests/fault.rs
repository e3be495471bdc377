//! Full disks, rejected commits, a second process.

use super::{InMemory, TestClock, open};
use crate::conformance::{Fixture, Scenario, actor, append, appended, create, entry, join, walk};
use crate::error::StoreError;
use crate::store::Store;
use logic::Ticket;
use logic::contract::change::{self, What};
use logic::contract::{Denial, Write, Written, account, timeline};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use wire::timeline::SettingsChange;
use wire::{ConversationId, Direction, Seq, Target, UserId};

fn outcomes_of(store: &mut dyn Store, writes: Vec<Write>) -> (Vec<Written>, Result<(), StoreError>) {
    let mut outcomes = Vec::new();
    let batch = (0..).map(Ticket).zip(writes).collect();
    let result =
        store.write(batch, &mut |batch| outcomes.extend(batch.into_iter().map(|(_, written)| written)));
    (outcomes, result)
}

fn pair(fixture: &mut dyn Fixture) -> (UserId, UserId, ConversationId) {
    let mut scenario = Scenario::on(fixture);
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let conversation = scenario.say(anna, Target::User(ben), "first", "hi").conversation;
    (anna, ben, conversation)
}

#[test]
fn a_full_disk_rejects_writes_until_there_is_space() {
    let mut fixture = InMemory::new();
    let (anna, ben, conversation) = pair(&mut fixture);
    let limit = |fixture: &mut InMemory, pages: u32| {
        fixture.sqlite().conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
        fixture.disk.set_full(pages == 1);
    };
    limit(&mut fixture, 1);
    let text = "x".repeat(2000);
    let mut stored = 1;
    let mut refused = 0;
    let mut unknown = Vec::new();
    for round in 0..40 {
        if round == 30 {
            limit(&mut fixture, 1 << 30);
        }
        let cids: Vec<String> = (0..10).map(|n| format!("{round} {n}")).collect();
        let texts = cids.iter().map(|cid| append(anna, Target::Conversation(conversation), cid, &text));
        let (outcomes, result) = outcomes_of(fixture.store(), texts.collect());
        assert_eq!(outcomes.len(), 10);
        match result {
            Ok(()) => {
                for outcome in &outcomes {
                    stored += 1;
                    assert_eq!(appended(outcome).seq, Seq(stored));
                }
            }
            Err(error) => {
                assert!(!error.is_fatal(), "{error}");
                assert!(outcomes.iter().all(|outcome| matches!(outcome, Written::Unavailable)));
                refused += 1;
                unknown.extend(cids);
            }
        }
        // Filing may fail as well; nothing is lost.
        match fixture.store().housekeep() {
            Ok(_) => {}
            Err(error) => assert!(!error.is_fatal(), "{error}"),
        }
        assert_eq!(
            walk(&mut resume(&mut fixture), ben, conversation, 200, true),
            (1..=stored).collect::<Vec<_>>()
        );
    }
    assert!(refused > 5, "the disk was not full");
    for cid in unknown {
        let (outcomes, result) = outcomes_of(
            fixture.store(),
            vec![append(anna, Target::Conversation(conversation), &cid, "retry")],
        );
        result.unwrap();
        stored += 1;
        assert_eq!(appended(&outcomes[0]).seq, Seq(stored), "what was refused was not stored");
    }
    let mut scenario = resume(&mut fixture);
    scenario.look_thrice(|scenario| {
        assert_eq!(walk(scenario, ben, conversation, 200, true), (1..=stored).collect::<Vec<_>>());
    });
}

fn resume(fixture: &mut InMemory) -> Scenario<'_> {
    Scenario::on(fixture)
}

#[test]
fn a_rejected_commit_leaves_no_trace() {
    let mut fixture = InMemory::new();
    let (anna, ben, conversation) = pair(&mut fixture);
    let refuse = Arc::new(AtomicBool::new(true));
    let hook = Arc::clone(&refuse);
    fixture.sqlite().conn.commit_hook(Some(move || hook.load(Ordering::Relaxed))).unwrap();
    let batch = || {
        vec![
            Write::Account(account::Write::Create { name: "cleo".into(), password: "".into(), nick: None }),
            create(anna, "g"),
            append(anna, Target::User(ben), "again", "x"),
            append(ben, Target::User(UserId(ben.0 + 1)), "new", "x"),
        ]
    };
    let (outcomes, result) = outcomes_of(fixture.store(), batch());
    assert!(matches!(result, Err(StoreError::Unavailable(_))));
    assert_eq!(outcomes.len(), 4);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Written::Unavailable)));
    assert_eq!(walk(&mut resume(&mut fixture), ben, conversation, 10, true), [1]);
    refuse.store(false, Ordering::Relaxed);
    let (outcomes, result) = outcomes_of(fixture.store(), batch());
    result.unwrap();
    assert!(matches!(outcomes[0], Written::Account(account::Written::Created { .. })));
    assert_eq!(appended(&outcomes[2]).seq, Seq(2));
    let opened = appended(&outcomes[3]);
    assert_eq!(opened.seq, Seq(1));
    let mut scenario = resume(&mut fixture);
    scenario.look_thrice(|scenario| {
        assert_eq!(walk(scenario, ben, conversation, 10, true), [1, 2]);
        assert_eq!(walk(scenario, ben, opened.conversation, 10, true), [1]);
    });
}

/// Interrupts every statement in turn; the outcomes must agree with what is stored afterwards.
#[test]
fn an_interrupted_statement_loses_nothing() {
    for budget in (0..600).step_by(7) {
        let mut fixture = InMemory::new();
        let (anna, ben, conversation) = pair(&mut fixture);
        let left = Arc::new(AtomicU32::new(budget));
        let countdown = Arc::clone(&left);
        let spend = move || {
            let left = countdown.load(Ordering::Relaxed);
            countdown.store(left.saturating_sub(1), Ordering::Relaxed);
            left == 0
        };
        fixture.sqlite().conn.progress_handler(1, Some(spend)).unwrap();
        let mut stored = vec!["first".to_owned()];
        let mut unknown = None;
        for round in 0..6 {
            let cid = format!("c{round}");
            let (outcomes, result) = outcomes_of(
                fixture.store(),
                vec![append(anna, Target::Conversation(conversation), &cid, "x")],
            );
            match result {
                Ok(()) => stored.push(appended(&outcomes[0]).cid.as_deref().unwrap().to_owned()),
                Err(error) if error.is_fatal() => {
                    // The process ends without an outcome for this one: it may be stored.
                    assert!(outcomes.is_empty());
                    unknown = Some(cid);
                    break;
                }
                Err(_) => assert!(matches!(outcomes[0], Written::Unavailable)),
            }
            let _ = fixture.store().housekeep();
            if round == 3 {
                left.store(u32::MAX, Ordering::Relaxed);
            }
        }
        fixture.sqlite().conn.progress_handler(1, None::<fn() -> bool>).unwrap();
        fixture.restart();
        let mut scenario = resume(&mut fixture);
        let (messages, more, _) = scenario.history(ben, conversation, Direction::After(Seq(0)), 50);
        assert!(!more);
        let mut found: Vec<_> = messages.iter().map(|message| message.cid.as_deref().unwrap()).collect();
        if unknown.is_some() && found.last().copied() == unknown.as_deref() {
            found.pop();
        }
        assert_eq!(found, stored, "budget {budget}");
    }
}

#[test]
fn a_second_process_is_rejected_with_the_owners_pid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").join("chat.db");
    let test_clock = TestClock::default();
    let store = open(&path, &test_clock);
    let refused = super::SqliteStore::open(&path, test_clock.clock(), super::fixed_random(0)).err().unwrap();
    let sentence = refused.to_string();
    assert!(sentence.contains(&format!("pid {}", std::process::id())), "{sentence}");
    assert!(sentence.contains("chat.db"), "{sentence}");
    drop(store);
    drop(open(&path, &test_clock));
}

#[test]
fn files_are_accessible_to_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").join("chat.db");
    let mut store = open(&path, &TestClock::default());
    let account =
        Write::Account(account::Write::Create { name: "anna".into(), password: "".into(), nick: None });
    outcomes_of(&mut store, vec![account]).1.unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
        files += 1;
    }
    assert!(files >= 4, "database, log, index and lock");
}

/// A join behind a message of the same batch records that message's seq. When the power fails before the message is
/// durable, the next message takes its place and must be visible.
#[test]
fn a_join_never_refers_to_a_message_that_is_not_durable() {
    let mut fixture = InMemory::new();
    let (anna, ben, _) = pair(&mut fixture);
    let group = Scenario::on(&mut fixture).group(anna, "all");
    fixture.disk.set_sync_fails(true);
    let batch = vec![append(anna, Target::Conversation(group), "lost", "lost"), join(ben, group)];
    let (outcomes, result) = outcomes_of(fixture.store(), batch);
    assert!(result.unwrap_err().is_fatal() && outcomes.is_empty());
    fixture.restart();
    let mut scenario = resume(&mut fixture);
    let joined = scenario.join(ben, group).seq;
    let said = scenario.say(anna, Target::Conversation(group), "second", "seen").seq;
    assert_eq!((joined, said), (Seq(2), Seq(3)));
    assert_eq!(walk(&mut scenario, ben, group, 10, true), [2, 3]);
}

/// A change that is committed before the message below it would lie above a gap.
#[test]
fn a_change_never_precedes_a_message_that_is_not_durable() {
    let mut fixture = InMemory::new();
    let (anna, ben, direct) = pair(&mut fixture);
    let react = |reaction: &str| {
        let what = What::React { reaction: reaction.into(), on: true };
        Write::from(change::Write { by: actor(ben), conversation: direct, seq: Seq(1), what })
    };
    fixture.disk.set_sync_fails(true);
    let batch = vec![append(anna, Target::User(ben), "lost", "lost"), react("👍")];
    let (outcomes, result) = outcomes_of(fixture.store(), batch);
    assert!(result.unwrap_err().is_fatal() && outcomes.is_empty());
    fixture.restart();
    let mut scenario = resume(&mut fixture);
    let before = walk(&mut scenario, ben, direct, 10, true);
    let changes = |scenario: &mut Scenario<'_>| {
        let page = scenario.history(ben, direct, Direction::After(Seq(0)), 1).0;
        page[0].changes().map_or(Seq(0), |changes| changes.changed)
    };
    assert_eq!(changes(&mut scenario), Seq(0), "neither the entry nor the change is there");
    assert!(matches!(scenario.one(react("👍")), Written::Change(change::Written::Made(_))));
    let told = Seq(before.len() as u64 + 1);
    assert_eq!(changes(&mut scenario), told);
    // The journal has no room: the change stands, and only the message is rejected.
    fixture.disk.set_full(true);
    let long = "x".repeat(30_000);
    let batch: Vec<Write> = std::iter::once(react("🎉"))
        .chain((0..400).map(|n| append(anna, Target::User(ben), &format!("full {n}"), &long)))
        .collect();
    let (outcomes, _) = outcomes_of(fixture.store(), batch);
    assert!(matches!(outcomes[0], Written::Change(change::Written::Made(_))), "{:?}", outcomes[0]);
    assert!(matches!(outcomes[400], Written::Unavailable));
    fixture.disk.set_full(false);
    resume(&mut fixture).look_thrice(|scenario| assert_eq!(changes(scenario), told.next()));
}

/// A view that ended above a message that was never stored would hide the message that takes its place.
#[test]
fn a_member_never_clears_a_message_that_is_not_durable() {
    let mut fixture = InMemory::new();
    let (anna, ben, direct) = pair(&mut fixture);
    let change = SettingsChange { hidden: Some(true), ..SettingsChange::default() };
    let writes: [Write; 2] = [
        timeline::Write::Clear { user: ben, conversation: direct, upto: Seq::MAX }.into(),
        timeline::Write::Set { user: anna, conversation: direct, change }.into(),
    ];
    for (write, cid) in writes.into_iter().zip(["lost 1", "lost 2"]) {
        fixture.disk.set_sync_fails(true);
        let (outcomes, result) =
            outcomes_of(fixture.store(), vec![append(anna, Target::User(ben), cid, "x"), write]);
        assert!(result.unwrap_err().is_fatal() && outcomes.is_empty());
        fixture.restart();
        resume(&mut fixture).say(anna, Target::User(ben), &format!("instead of {cid}"), "x");
    }
    resume(&mut fixture).look_thrice(|scenario| {
        assert_eq!(walk(scenario, ben, direct, 10, true), walk(scenario, anna, direct, 10, true));
        assert!(!scenario.conversations(anna, None, 10).0[0].hidden);
    });
}

/// Tables are committed before the journal. When the journal then has no room, the entries are stored and the messages
/// are not; the next message takes the place after the entries.
#[test]
fn entries_outlive_the_messages_of_their_commit() {
    let mut fixture = InMemory::new();
    let mut scenario = Scenario::on(&mut fixture);
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let group = scenario.group(anna, "all");
    // The journal has no segment yet.
    fixture.disk.set_full(true);
    let batch = || {
        vec![
            append(anna, Target::User(ben), "direct", "lost"),
            join(ben, group),
            append(ben, Target::Conversation(group), "group", "lost"),
        ]
    };
    let (outcomes, result) = outcomes_of(fixture.store(), batch());
    assert!(matches!(result, Err(StoreError::Unavailable(_))));
    assert!(matches!(outcomes[0], Written::Unavailable) && matches!(outcomes[2], Written::Unavailable));
    assert_eq!(entry(&outcomes[1]).message.seq, Seq(2), "it is stored, and its outcome says so");
    assert_eq!(walk(&mut resume(&mut fixture), ben, group, 10, true), [2]);
    fixture.disk.set_full(false);
    let (outcomes, result) = outcomes_of(fixture.store(), batch());
    result.unwrap();
    assert!(matches!(outcomes[1], Written::Denied(Denial::Conflict)));
    let direct = appended(&outcomes[0]);
    assert_eq!((direct.seq, appended(&outcomes[2]).seq), (Seq(1), Seq(3)));
    resume(&mut fixture).look_thrice(|scenario| {
        assert_eq!(walk(scenario, ben, group, 10, true), [2, 3]);
        assert_eq!(walk(scenario, ben, direct.conversation, 10, true), [1]);
    });
}

/// A join behind messages of other conversations shares their commit; behind a message of its own group it does not.
#[test]
fn a_join_splits_a_batch_only_behind_a_message_of_its_group() {
    let mut fixture = InMemory::new();
    let (anna, ben, direct) = pair(&mut fixture);
    let group = Scenario::on(&mut fixture).group(anna, "all");
    let commits = |fixture: &mut InMemory, writes: Vec<Write>| {
        let mut commits = 0;
        let batch = (0..).map(Ticket).zip(writes).collect();
        fixture.store().write(batch, &mut |_| commits += 1).unwrap();
        commits
    };
    let say = |to, cid: &str| append(anna, Target::Conversation(to), cid, "x");
    assert_eq!(
        commits(&mut fixture, vec![say(direct, "1"), join(ben, group), say(group, "2"), say(direct, "3")]),
        1
    );
    let cleo = Scenario::on(&mut fixture).user("cleo");
    assert_eq!(commits(&mut fixture, vec![say(group, "4"), join(cleo, group), say(group, "5")]), 2);
    assert_eq!(walk(&mut resume(&mut fixture), anna, group, 10, true), [1, 2, 3, 4, 5, 6]);
}

/// A fault drops the cache, and what replaces it does not have the messages of the open group.
#[test]
fn a_fault_within_a_batch_gives_no_seq_twice() {
    let mut fixture = InMemory::new();
    let (anna, ben, direct) = pair(&mut fixture);
    let mut scenario = Scenario::on(&mut fixture);
    let (group, damaged) = (scenario.group(anna, "all"), scenario.group(anna, "damaged"));
    scenario.file();
    let store = fixture.sqlite();
    store.conn.execute("UPDATE conversation SET last_seq = 'what' WHERE id = ?1", [damaged.0]).unwrap();
    store.cache.clear();
    let say = |to, cid: &str| append(anna, Target::Conversation(to), cid, "x");
    let batch =
        vec![say(direct, "1"), join(ben, group), say(damaged, "2"), say(direct, "3"), say(group, "4")];
    let (outcomes, result) = outcomes_of(fixture.store(), batch);
    result.unwrap();
    assert!(matches!(outcomes[2], Written::Failed), "{:?}", outcomes[2]);
    let seqs = [0, 3, 4].map(|at| appended(&outcomes[at]).seq);
    assert_eq!((seqs, entry(&outcomes[1]).message.seq), ([Seq(2), Seq(3), Seq(3)], Seq(2)));
    resume(&mut fixture).look_thrice(|scenario| {
        assert_eq!(walk(scenario, ben, direct, 10, true), [1, 2, 3]);
        assert_eq!(walk(scenario, ben, group, 10, true), [2, 3]);
    });
}

#[test]
fn a_damaged_entry_that_is_not_filed_costs_only_itself() {
    for (value, is_last) in [("x'ff00'", false), ("'what'", false), ("x''", true)] {
        let mut fixture = InMemory::new();
        let (anna, ben, direct) = pair(&mut fixture);
        let mut scenario = Scenario::on(&mut fixture);
        let group = scenario.group(anna, "all");
        scenario.file();
        scenario.say(anna, Target::User(ben), "second", "x");
        scenario.join(ben, group);
        if !is_last {
            scenario.say(anna, Target::Conversation(group), "third", "x");
        }
        let update = format!("UPDATE entry SET entry = {value}");
        assert_eq!(fixture.sqlite().conn.execute(&update, []).unwrap(), 1);
        fixture.restart();
        let mut scenario = resume(&mut fixture);
        assert_eq!(walk(&mut scenario, ben, direct, 10, true), [1, 2], "{value}");
        let next = scenario.say(ben, Target::Conversation(group), "next", "x").seq;
        assert_eq!(next, Seq(if is_last { 3 } else { 4 }), "{value}: no seq is given twice");
        let conn = &fixture.sqlite().conn;
        let count = |table: &str| -> u32 {
            conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!((count("entry"), count("message_unfiled")), (0, 1), "{value}");
    }
}
