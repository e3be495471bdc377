//! The scrubber: what the files of a store hold after a recall.

#[path = "../../../../server/tests/support/effort.rs"]
mod effort;

use super::{TestClock, fixed_random};
use crate::conformance::{BEGIN, Fixture, Scenario, actor, append};
use crate::sqlite::SqliteStore;
use crate::store::Store;
use effort::effort;
use logic::contract::change::{self, What};
use logic::contract::{Quotas, Read, Write, Written};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wire::{ConversationId, Direction, Seq, Target, UnixMillis, UserId};

/// A store on files.
struct OnFiles {
    folder: TempDir,
    store: Option<SqliteStore>,
    test_clock: TestClock,
    retention_months: u32,
}

impl OnFiles {
    fn new() -> OnFiles {
        let test_clock = TestClock::default();
        test_clock.set(BEGIN);
        let mut files =
            OnFiles { folder: tempfile::tempdir().unwrap(), store: None, test_clock, retention_months: 0 };
        files.restart();
        files
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("chat.db")
    }
}

impl Fixture for OnFiles {
    fn store(&mut self) -> &mut dyn Store {
        self.store.as_mut().unwrap()
    }

    fn restart(&mut self) {
        self.store = None;
        let opened = SqliteStore::open(&self.path(), self.test_clock.clock(), fixed_random(7));
        self.store = Some(opened.unwrap().with_retention(self.retention_months));
    }

    fn set_time(&mut self, time: UnixMillis) {
        self.test_clock.set(time);
    }

    fn forget_claims(&mut self) {}

    fn set_quotas(&mut self, _: Quotas) {}

    fn sessions(&mut self) -> u64 {
        0
    }

    fn cost(&mut self, _: &Read) -> u64 {
        0
    }

    fn cost_again(&mut self, _: &Read) -> u64 {
        0
    }

    fn set_retention(&mut self, months: u32) {
        self.retention_months = months;
        self.restart();
    }

    fn housekeep_some(&mut self, slices: usize) {
        for _ in 0..slices {
            self.store().housekeep().unwrap();
        }
    }

    fn forget_totals(&mut self) {}
}

/// How often the files of a folder contain a text.
fn count(folder: &Path, text: &str) -> usize {
    let files = fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
    files.map(|file| file.windows(text.len()).filter(|at| *at == text.as_bytes()).count()).sum()
}

/// Scrubs what is due. The thread that copies the log may be using it for a moment.
fn scrub(scenario: &mut Scenario<'_>) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while scenario.fixture.store().urgency().is_some() {
        scenario.fixture.store().housekeep().unwrap();
        assert!(Instant::now() < deadline, "it is scrubbed");
    }
}

const WINDOW: u64 = u64::MAX / 2;

fn change(user: UserId, conversation: ConversationId, seq: Seq, what: What) -> Write {
    change::Write { by: actor(user), conversation, seq, what }.into()
}

fn made(written: &Written) {
    assert!(matches!(written, Written::Change(change::Written::Made(_))), "{written:?}");
}

/// A message in the middle of others that is edited twice and recalled: its texts, each so long that some pages overflow.
/// `file`: in which of the pauses between the steps everything is filed.
fn recall(
    scenario: &mut Scenario<'_>,
    length: usize,
    file: [bool; 4],
) -> (Vec<String>, UserId, ConversationId) {
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    let texts: Vec<String> = ["first", "second", "third"]
        .map(|which| format!("the {which} secret, {}", "and much more ".repeat(length)))
        .into();
    let say = |scenario: &mut Scenario<'_>, from: u32| {
        let texts = (from..from + 40).map(|n| append(ben, Target::User(anna), &format!("{n}"), "harmless"));
        scenario.all(texts.collect());
    };
    say(scenario, 0);
    let sent = scenario.say(anna, Target::User(ben), "secret", &texts[0]);
    say(scenario, 100);
    let steps = [
        What::Edit { content: texts[1].as_str().into(), window: WINDOW },
        What::Edit { content: texts[2].as_str().into(), window: WINDOW },
        What::Recall { window: WINDOW },
    ];
    for (number, what) in steps.into_iter().enumerate() {
        if file[number] {
            scenario.file();
        }
        made(&scenario.one(change(anna, sent.conversation, sent.seq, what)));
        say(scenario, 200 + 100 * number as u32);
    }
    if file[3] {
        scenario.file();
    }
    (texts, anna, sent.conversation)
}

#[test]
fn a_recalled_text_is_in_no_file_once_it_is_scrubbed() {
    for length in [0, 100, 2_000] {
        for file in [[false; 4], [true; 4], [true, false, false, false], [false, true, false, true]] {
            let mut files = OnFiles::new();
            let folder = files.folder.path().to_owned();
            let mut scenario = Scenario::on(&mut files);
            let (texts, anna, direct) = recall(&mut scenario, length, file);
            let found = |text: &String| count(&folder, &text[..18.min(text.len())]);
            assert!(texts.iter().any(|text| found(text) > 0), "it is somewhere before");
            scenario.wait(10_000);
            scrub(&mut scenario);
            for text in &texts {
                assert_eq!(found(text), 0, "{length} {file:?}");
            }
            assert!(count(&folder, "harmless") > 100);
            scenario.look_thrice(|scenario| {
                let all = scenario.history(anna, direct, Direction::After(Seq(0)), 200).0;
                let others = all.iter().filter(|entry| &*entry.content == "harmless").count();
                assert_eq!((all.len(), others, &*all[40].content), (200, 196, ""));
            });
        }
    }
}

#[test]
fn a_start_goes_on_with_what_was_interrupted() {
    let mut slices = 0;
    loop {
        let mut files = OnFiles::new();
        let folder = files.folder.path().to_owned();
        let mut scenario = Scenario::on(&mut files);
        let (texts, ..) = recall(&mut scenario, 3, [false, true, false, false]);
        scenario.wait(10_000);
        let mut more = true;
        for _ in 0..slices {
            more = scenario.fixture.store().housekeep().unwrap();
        }
        scenario.fixture.restart();
        scrub(&mut scenario);
        for text in &texts {
            assert_eq!(count(&folder, &text[..18]), 0, "after {slices} slices");
        }
        if !more {
            break;
        }
        slices += 1;
    }
    assert!(slices > 5, "there were only {slices} slices to end at");
}

#[test]
fn recalls_wait_to_be_scrubbed_together_while_messages_arrive() {
    let mut files = OnFiles::new();
    let folder = files.folder.path().to_owned();
    let mut scenario = Scenario::on(&mut files);
    let (texts, anna, _) = recall(&mut scenario, 0, [false; 4]);
    let ben = Target::User(UserId(2));
    for number in 0.. {
        scenario.wait(100);
        scenario.all(vec![append(anna, ben.clone(), &format!("more {number}"), "harmless")]);
        // As the thread of the store does it between batches.
        while scenario.fixture.store().is_behind() {
            scenario.fixture.store().housekeep().unwrap();
        }
        let is_gone = texts.iter().all(|text| count(&folder, &text[..18]) == 0);
        assert!(!is_gone || number >= 98, "not before its time: {number}");
        if is_gone {
            break;
        }
        assert!(number < 250, "within the time that is promised");
    }
}

#[test]
fn a_recalled_text_is_in_no_file_whatever_was_filed_around_it() {
    let mut files = OnFiles::new();
    let folder = files.folder.path().to_owned();
    let mut scenario = Scenario::on(&mut files);
    let users: Vec<UserId> = (0..24).map(|n| scenario.user(&format!("user {n}"))).collect();
    let mut random = fixed_random(11);
    let mut below = move |n: u64| {
        let mut bytes = [0; 8];
        random(&mut bytes);
        u64::from_le_bytes(bytes) % n
    };
    let mut kept: Vec<(String, UserId, ConversationId, Seq)> = Vec::new();
    for round in 0..effort(6, 60) {
        for batch in 0..6 {
            let mut sent = Vec::new();
            for number in 0..40 {
                let [from, to] = [below(24), below(24)].map(|at| users[at as usize]);
                let token = format!("text {round}.{batch}.{number} ");
                let length = if below(8) == 0 { below(900) } else { below(30) };
                let text = token.clone() + &"padding ".repeat(length as usize);
                let cid = format!("c{round}.{batch}.{number}");
                sent.push((token, from, append(from, Target::User(to), &cid, &text)));
            }
            let writes = sent.iter().map(|(.., write)| write.clone()).collect();
            for ((token, from, _), written) in sent.into_iter().zip(scenario.all(writes)) {
                let Written::Message(logic::contract::message::Written::Appended { message, .. }) = written
                else {
                    panic!("{written:?}")
                };
                kept.push((token, from, message.conversation, message.seq));
            }
            // Most are filed a few at a time, which moves the pages of others about.
            if below(3) > 0 {
                scenario.file();
            }
        }
        let mut gone = Vec::new();
        for _ in 0..20 {
            let (token, user, conversation, seq) = kept.swap_remove(below(kept.len() as u64) as usize);
            if below(2) == 0 {
                let content = format!("{token}again").into();
                made(&scenario.one(change(user, conversation, seq, What::Edit { content, window: WINDOW })));
            }
            made(&scenario.one(change(user, conversation, seq, What::Recall { window: WINDOW })));
            gone.push(token);
        }
        scenario.wait(10_000);
        scrub(&mut scenario);
        for token in gone {
            assert_eq!(count(&folder, &token), 0, "{token}");
        }
        assert!(kept.iter().rev().take(20).all(|(token, ..)| count(&folder, token) > 0));
    }
}

#[test]
fn the_texts_of_dropped_months_are_gone_from_the_files() {
    for interrupted in (0..60).step_by(4).map(Some).chain([None]) {
        let mut files = OnFiles::new();
        let folder = files.folder.path().to_owned();
        let mut scenario = Scenario::on(&mut files);
        scenario.fixture.set_retention(1);
        let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
        for n in 0..60 {
            let text = format!("unforgettablysecret {n} {}", "and more ".repeat(n * n % 700));
            scenario.say(anna, Target::User(ben), &format!("{n}"), &text);
        }
        let edited = What::Edit { content: "a quietlyedited text".into(), window: WINDOW };
        made(&scenario.one(change(anna, ConversationId(1), Seq(3), edited)));
        scenario.file();
        // To March, and over the day that a jump of the clock takes.
        for hours in [40 * 24, 25] {
            scenario.wait(hours * 3_600_000);
            scenario.say(anna, Target::User(ben), &format!("later {hours}"), "this is kept");
            assert!(count(&folder, "unforgettablysecret") > 0);
            if let Some(slices) = interrupted.filter(|_| hours == 25) {
                scenario.fixture.housekeep_some(slices);
                scenario.fixture.restart();
            }
            scenario.file();
        }
        // Ten seconds pass before it is scrubbed.
        scenario.wait(11_000);
        scrub(&mut scenario);
        for gone in ["unforgettablysecret", "quietlyedited"] {
            assert_eq!(count(&folder, gone), 0, "{gone}, interrupted after {interrupted:?}");
        }
        assert!(count(&folder, "this is kept") > 0);
    }
}

#[test]
fn a_recalled_text_does_not_wait_for_a_drop() {
    let mut files = OnFiles::new();
    let folder = files.folder.path().to_owned();
    let mut scenario = Scenario::on(&mut files);
    let (anna, ben) = (scenario.user("anna"), scenario.user("ben"));
    scenario.say(anna, Target::User(ben), "old", "an old text");
    scenario.file();
    let conn = rusqlite::Connection::open(folder.join("chat.db")).unwrap();
    conn.execute_batch(
        "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 20000)
         INSERT INTO message_202601 SELECT (2000000000 << 32) + n, randomblob(500) FROM n",
    )
    .unwrap();
    scenario.fixture.set_retention(1);
    // To March, and over the day that a jump of the clock takes.
    scenario.wait(40 * 24 * 3_600_000);
    scenario.file();
    scenario.wait(25 * 3_600_000);
    let sent = scenario.say(anna, Target::User(ben), "new", "unforgettablysecret");
    scenario.fixture.housekeep_some(40);
    made(&scenario.one(change(anna, sent.conversation, sent.seq, What::Recall { window: WINDOW })));
    scenario.wait(11_000);
    let mut slices = 0;
    while count(&folder, "unforgettablysecret") > 0 {
        scenario.fixture.housekeep_some(10);
        slices += 10;
        assert!(slices < 300, "it is gone at once");
    }
    let tables = "SELECT count(*) FROM message_202601";
    let left = conn.query_row(tables, [], |row| row.get::<_, u32>(0)).unwrap();
    assert!(left > 10_000, "the month is still being dropped: {left}");
}
