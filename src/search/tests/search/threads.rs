//! The threads: every query is answered, also while the index is damaged or away.

use super::timelines::Timelines;
use super::{ANNA, BEN, FIRST, identity, query};
use ::search::{Load, Settings};
use logic::contract::search::{self as contract, Query};
use logic::{Found, Ticket};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use wire::UserId;

const PATIENCE: Duration = Duration::from_secs(30);

struct Running {
    search: search::Search,
    answers: Receiver<(Ticket, Found)>,
}

fn start(file: PathBuf, timelines: &Timelines) -> Running {
    let (answered, answers) = channel();
    let settings = Settings { file, identity: identity("h"), clock_start: Instant::now() };
    let sources = [timelines.clone(), timelines.clone()];
    let search = search::start(settings, sources, Load::default(), move |ticket, found| {
        let _ = answered.send((ticket, found));
    });
    Running { search: search.unwrap(), answers }
}

impl Running {
    fn send(&self, ticket: u64, user: UserId, due: u64) {
        let query = Query { ticket: Ticket(ticket), user, due, search: Box::new(query("word")) };
        self.search.outbox().send(vec![query]);
    }

    /// Asks until so many messages are found.
    fn wait_for(&self, count: usize) {
        let until = Instant::now() + PATIENCE;
        loop {
            self.send(0, ANNA, u64::MAX);
            let (_, found) = self.answers.recv_timeout(PATIENCE).unwrap();
            match found {
                Found::Search(contract::Found::Results(page)) if page.messages.len() == count => return,
                _ => assert!(Instant::now() < until, "{found:?}"),
            }
        }
    }
}

#[test]
fn queries_are_answered_once_the_index_has_caught_up_and_after_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (file, timelines) = (folder.path().join("index"), Timelines::default());
    timelines.join(FIRST, ANNA);
    for n in 0..20 {
        timelines.send(FIRST, BEN, &format!("word {n}"));
    }
    let running = start(file.clone(), &timelines);
    running.wait_for(20);
    timelines.send(FIRST, BEN, "another word");
    running.wait_for(21);
    // Of the pages behind the first one nothing is left.
    let opened = OpenOptions::new().write(true).open(&file).unwrap();
    let length = opened.metadata().unwrap().len();
    opened.write_all_at(&vec![0x5A; length.saturating_sub(4_096) as usize], 4_096).unwrap();
    timelines.send(FIRST, BEN, "one more word");
    running.wait_for(22);
    running.search.stop();
}

#[test]
fn a_query_that_comes_too_late_or_without_an_index_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let timelines = Timelines::default();
    // A folder is where the file should be.
    let file = folder.path().join("index");
    fs::create_dir(&file).unwrap();
    let running = start(file.clone(), &timelines);
    running.send(1, ANNA, u64::MAX);
    running.send(2, BEN, 0);
    let mut answers = [(); 2].map(|()| running.answers.recv_timeout(PATIENCE).unwrap());
    answers.sort_by_key(|(ticket, _)| ticket.0);
    let [(_, away), (_, late)] = answers;
    assert!(matches!(away, Found::Unavailable), "{away:?}");
    assert!(matches!(late, Found::Search(contract::Found::Busy)), "{late:?}");
    fs::remove_dir(&file).unwrap();
    timelines.join(FIRST, ANNA);
    timelines.send(FIRST, BEN, "word");
    running.wait_for(1);
    running.search.stop();
}
