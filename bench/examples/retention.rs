//! Measures how long messages wait to be stored while an old month is dropped from an SQLite database:
//! `cargo run --release -p chatbench --example retention -- [MESSAGES] [ROUNDS]`.
//!
//! Fills a database with MESSAGES (1,000,000) of 100 bytes in 200 conversations and makes them old. Then ROUNDS (5) times,
//! in turn without and with the drop, stores 2,000 messages a second in a copy of it, from the start of the database until
//! the month is gone, and prints how long each was under way (from when it was due until its outcome).

use chatbench::prepare::Database;
use hdrhistogram::Histogram;
use logic::contract::message::Append;
use logic::contract::{Epoch, Quotas, account, message};
use logic::{Ticket, Write, Written};
use runtime::queue::{Bell, queue};
use rusqlite::Connection;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use storage::{Outcome, Settings, StorageUrl};
use wire::{Target, UserId};

type Done<T> = Result<T, Box<dyn Error>>;

const USERS: u64 = 201;
const BATCH: u64 = 2_000;
const TEXT_BYTES: usize = 100;
/// Messages a second that are stored meanwhile, some at a time.
const RATE: u64 = 2_000;
const AT_ONCE: u64 = 10;

fn main() -> Done<()> {
    let mut arguments = std::env::args().skip(1);
    let messages: u64 = arguments.next().map_or(Ok(1_000_000), |count| count.parse())?;
    let rounds: u32 = arguments.next().map_or(Ok(5), |count| count.parse())?;
    let folder = tempfile::tempdir()?;
    let filled = folder.path().join("filled");
    fill(&filled, messages)?;
    let size = std::fs::metadata(filled.join("chat.db"))?.len() >> 20;
    println!("{messages} messages, a database of {size} MiB");
    let mut all = [Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?];
    let mut lasts = Duration::from_secs(10);
    for round in 0..rounds {
        // The drop first, as it says how long the other one is to be.
        for months in [1, 0] {
            let copy = tempfile::tempdir_in(folder.path())?;
            for file in std::fs::read_dir(&filled)? {
                let file = file?;
                std::fs::copy(file.path(), copy.path().join(file.file_name()))?;
            }
            let times = load(copy.path(), months, &mut lasts)?;
            let title = if months > 0 { "with the drop   " } else { "without the drop" };
            println!("{round}: {title} {}", line(&times, lasts));
            all[months as usize].add(times)?;
        }
    }
    println!("all: without the drop {}", line(&all[0], lasts));
    println!("all: with the drop    {}", line(&all[1], lasts));
    Ok(())
}

fn line(times: &Histogram<u64>, lasted: Duration) -> String {
    let ms = |quantile| times.value_at_quantile(quantile) as f64 / 1_000.0;
    format!(
        "p50 {:.2} ms, p99 {:.2} ms, longest {:.1} ms; {} messages in {:.1} s",
        ms(0.5),
        ms(0.99),
        times.max() as f64 / 1_000.0,
        times.len(),
        lasted.as_secs_f64()
    )
}

fn settings(folder: &Path, retention_months: u32) -> Settings {
    Settings {
        url: StorageUrl::Sqlite(folder.join("chat.db")),
        password: None,
        trust: None,
        accept_weak_durability: false,
        retention_months,
        quotas: Quotas::default(),
    }
}

fn append(serial: u64) -> Write {
    Write::Message(message::Write::Append(Append {
        sender: UserId(1),
        epoch: Epoch::NONE,
        sender_name: "user 0".into(),
        target: Target::User(UserId(2 + (serial % (USERS - 1)) as u32)),
        cid: format!("c{serial}").into(),
        content_type: None,
        content: "x".repeat(TEXT_BYTES).into(),
        references: None,
        stream: None,
    }))
}

/// Stores the messages and moves them to January 2001.
fn fill(folder: &Path, messages: u64) -> Done<()> {
    std::fs::create_dir(folder)?;
    let mut database = Database::open(&settings(folder, 0))?;
    let create =
        |n| account::Write::Create { name: format!("user {n}").into(), password: "x".into(), nick: None };
    database.write((0..USERS).map(|n| (Ticket(n), create(n).into())).collect())?;
    for first in (0..messages).step_by(BATCH as usize) {
        let serials = first..messages.min(first + BATCH);
        database.write(serials.map(|serial| (Ticket(serial), append(serial))).collect())?;
    }
    database.close();
    let conn = Connection::open(folder.join("chat.db"))?;
    let month: u32 = conn.query_row("SELECT max(month) FROM segment", [], |row| row.get(0))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    // As if a server had looked a moment ago, with this setting, so that nothing is held.
    conn.execute_batch(&format!(
        "ALTER TABLE message_{month:06} RENAME TO message_200101;
         UPDATE segment SET month = 200101 WHERE month = {month};
         UPDATE conversation SET month = 200101, updated_at = 978307200000, changed_at = 978307200000
           WHERE month = {month};
         UPDATE retention SET months = 1, seen_at = {now}, held_until = 0;"
    ))?;
    Ok(())
}

/// Stores messages at a rate until the old month is gone, or, without a drop, for as long as that has `lasted`. Returns how
/// long each was under way, in microseconds.
fn load(folder: &Path, months: u32, lasted: &mut Duration) -> Done<Histogram<u64>> {
    let bell = Arc::new(Bell::new());
    let (outbox, outcomes) = queue(4_096, &bell);
    let storage = storage::start(storage::open(&settings(folder, months))?, outbox, Instant::now())?;
    let watcher = Connection::open(folder.join("chat.db"))?;
    let mut times = Histogram::new(3)?;
    let (begun, mut sent) = (Instant::now(), 0);
    let due = |serial: u64| begun + Duration::from_micros(serial * 1_000_000 / RATE);
    let mut is_over = false;
    while !is_over || times.len() < sent {
        while let Some(outcome) = outcomes.try_recv().map_err(|_| "the database thread has ended")? {
            let Outcome::Written(batch) = outcome else { return Err(format!("{outcome:?}").into()) };
            for (ticket, written) in batch {
                if !matches!(written, Written::Message(message::Written::Appended { .. })) {
                    return Err(format!("a message was not stored: {written:?}").into());
                }
                times.record(due(ticket.0).elapsed().as_micros() as u64)?;
            }
        }
        if is_over || Instant::now() < due(sent + AT_ONCE - 1) {
            thread::sleep(Duration::from_micros(200));
            continue;
        }
        let batch =
            (sent..sent + AT_ONCE).map(|serial| (Ticket(serial), append((1 << 32) + serial))).collect();
        storage.writes().send(batch).map_err(|_| "the database thread has ended")?;
        sent += AT_ONCE;
        if sent.is_multiple_of(RATE / 4) {
            let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'message_200101'";
            let is_gone = watcher.query_row(sql, [], |row| row.get::<_, u32>(0))? == 0;
            is_over = if months > 0 { is_gone } else { begun.elapsed() >= *lasted };
        }
    }
    if months > 0 {
        *lasted = begun.elapsed();
    }
    storage.stop();
    Ok(times)
}
