//! Measures the search index over an SQLite database: `cargo run --release -p chatbench --example search -- [MESSAGES]`.
//!
//! Fills a database with MESSAGES (1,000,000) in 50 conversations of one account, texts of ten words out of 20,000 whose
//! frequencies follow Zipf's law, a tenth of them Chinese. Prints how fast the idle follower indexes them, how long
//! searches take, and how far the index is behind while 5,000 messages a second are stored.

use hdrhistogram::Histogram;
use logic::contract::entry::Actor;
use logic::contract::group::Write as GroupWrite;
use logic::contract::message::Append;
use logic::contract::search as contract;
use logic::contract::{Epoch, Quotas, account, group, message};
use logic::{Found, Read, Ticket, Write, Written};
use runtime::queue::{Bell, Inbox, queue};
use search::{
    Follower, Identity, Index, IndexReader, Load, Settings as SearchSettings, Source, Step, answer,
};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use storage::{Outcome, Reader, Settings, Storage, StorageUrl};
use wire::search::Search;
use wire::{ConversationId, Target, UnixMillis, UserId};

type Done<T> = Result<T, Box<dyn Error>>;

const CONVERSATIONS: u64 = 50;
const WORDS: u64 = 20_000;
const BATCH: u64 = 2_000;
const SEARCHES: usize = 2_000;
/// Messages a second, and for how long they are stored.
const RATE: u64 = 5_000;
const SECONDS: u64 = 10;

struct StorageSource(Box<dyn Reader>);

impl Source for StorageSource {
    fn read(&mut self, read: &Read) -> Found {
        self.0.read(read)
    }
}

/// Numbers that are the same in every run (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// The rank of a word: the one at `n` comes about `n` times less often than the first.
    fn word(&mut self) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((WORDS as f64).powf(unit) as u64).clamp(1, WORDS)
    }

    fn text(&mut self) -> String {
        let is_chinese = self.next().is_multiple_of(10);
        let words =
            (0..10).map(|_| self.word()).map(|word| if is_chinese { chinese(word) } else { latin(word) });
        words.collect::<Vec<_>>().join(if is_chinese { "" } else { " " })
    }
}

/// A word of its own for each rank.
fn latin(mut rank: u64) -> String {
    const SYLLABLES: &[&str] = &["ka", "ro", "min", "tel", "su", "lop", "en", "vi", "dar", "gu"];
    let mut word = String::new();
    while rank > 0 {
        word += SYLLABLES[(rank % 10) as usize];
        rank /= 10;
    }
    word
}

fn chinese(rank: u64) -> String {
    let character = |n: u64| char::from_u32(0x4E00 + n as u32).expect("a Chinese character");
    [character(rank % 200), character(200 + rank / 200)].iter().collect()
}

struct Database {
    storage: Storage,
    outcomes: Inbox<Outcome>,
    bell: Arc<Bell>,
    serial: u64,
}

impl Database {
    fn write(&mut self, writes: Vec<Write>) -> Done<Vec<Written>> {
        let count = writes.len();
        let tickets = writes.into_iter().enumerate().map(|(n, write)| (Ticket(n as u64), write)).collect();
        self.storage.writes().send(tickets).map_err(|_| "the database thread has ended")?;
        let mut written = Vec::with_capacity(count);
        while written.len() < count {
            match self.outcomes.try_recv().map_err(|_| "the database thread has ended")? {
                Some(Outcome::Written(batch)) => written.extend(batch),
                Some(Outcome::Fatal(why)) => return Err(why.into()),
                Some(Outcome::Found(_)) => {}
                None => self.bell.wait(None, || !self.outcomes.is_empty()),
            }
        }
        Ok(written.into_iter().map(|(_, written)| written).collect())
    }

    fn send(&mut self, groups: &[ConversationId], count: u64, random: &mut Random) -> Done<()> {
        let append = |serial: u64, random: &mut Random| Append {
            sender: UserId(1),
            epoch: Epoch::NONE,
            sender_name: "ann".into(),
            target: Target::Conversation(groups[(random.next() % CONVERSATIONS) as usize]),
            cid: format!("c{serial}").into(),
            content_type: None,
            content: random.text().into(),
            references: None,
            stream: None,
        };
        let serial = self.serial;
        self.serial += count;
        let appends = (serial..serial + count).map(|serial| append(serial, random));
        let writes = appends.map(|append| Write::Message(message::Write::Append(append))).collect();
        let written = self.write(writes)?;
        match written.iter().all(|written| matches!(written, Written::Message(_))) {
            true => Ok(()),
            false => Err(format!("a message was not stored: {:?}", written.first()).into()),
        }
    }
}

fn main() -> Done<()> {
    let messages: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |count| count.parse())?;
    let folder = tempfile::tempdir()?;
    let settings = Settings {
        url: StorageUrl::Sqlite(folder.path().join("chat.db")),
        password: None,
        trust: None,
        accept_weak_durability: false,
        retention_months: 0,
        quotas: Quotas::default(),
    };
    let opened = storage::open(&settings)?;
    let mut sources = (0..4).map(|_| Ok(StorageSource(opened.reader()?))).collect::<Done<Vec<_>>>()?;
    let bell = Arc::new(Bell::new());
    let (outbox, outcomes) = queue(4_096, &bell);
    let storage = storage::start(opened, outbox, Instant::now())?;
    let mut database = Database { storage, outcomes, bell, serial: 0 };
    let (groups, mut random) = (fill(&mut database, messages)?, Random(0x9E37_79B9_7F4A_7C15));
    let file = folder.path().join("index");
    let (mut following, mut asking) = (sources.remove(0), sources.remove(0));
    index(&file, &mut following)?;
    ask(&file, &mut asking, &groups, &mut random)?;
    follow(&file, [sources.remove(0), sources.remove(0)], &mut database, &groups)?;
    database.storage.stop();
    Ok(())
}

fn fill(database: &mut Database, messages: u64) -> Done<Vec<ConversationId>> {
    let create = account::Write::Create { name: "ann".into(), password: "x".into(), nick: None };
    database.write(vec![create.into()])?;
    let mut groups = Vec::new();
    for n in 0..CONVERSATIONS {
        let by = Actor { user: UserId(1), name: "ann".into(), cid: format!("g{n}").into() };
        let create = GroupWrite::Create { by, name: format!("group {n}").into(), desc: "".into() };
        match database.write(vec![create.into()])?.pop() {
            Some(Written::Group(group::Written::Created(entry))) => groups.push(entry.message.conversation),
            other => return Err(format!("{other:?}").into()),
        }
    }
    let (begun, mut random) = (Instant::now(), Random(0x2545_F491_4F6C_DD1D));
    for done in (0..messages).step_by(BATCH as usize) {
        database.send(&groups, BATCH.min(messages - done), &mut random)?;
    }
    println!("stored {messages} messages in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(groups)
}

fn identity() -> Identity {
    Identity { server: "bench".into(), history: "bench".into() }
}

fn index(file: &Path, source: &mut StorageSource) -> Done<()> {
    let (index, is_unverified) = Index::open(file, &identity())?;
    let mut follower = Follower::new(Borrowed(source), index, identity(), is_unverified);
    let (begun, mut read) = (Instant::now(), 0);
    while let Step::Worked { messages } = follower.step(search::SLICE)? {
        read += messages;
    }
    let (time, size) = (begun.elapsed().as_secs_f64(), std::fs::metadata(file)?.len() >> 20);
    println!("indexed {read} entries in {time:.1} s: {:.0}/s, a file of {size} MiB", read as f64 / time);
    Ok(())
}

struct Borrowed<'a>(&'a mut StorageSource);

impl Source for Borrowed<'_> {
    fn read(&mut self, read: &Read) -> Found {
        self.0.read(read)
    }
}

fn ask(file: &Path, source: &mut StorageSource, groups: &[ConversationId], random: &mut Random) -> Done<()> {
    let reader = IndexReader::open(file)?;
    for (kind, of_kind) in [
        ("a word", 0),
        ("two words", 1),
        ("a word and a beginning", 2),
        ("two Chinese characters", 3),
        ("a word in one conversation", 4),
        ("a word that is nowhere", 5),
    ] {
        let (mut times, mut found, mut busy) = (Histogram::<u64>::new(3)?, 0, 0);
        for _ in 0..SEARCHES / 6 {
            let text = match of_kind {
                1 => format!("{} {}", latin(random.word()), latin(random.word())),
                2 => format!("{} {}", latin(random.word()), &latin(random.word())[..2]),
                3 => chinese(random.word()),
                5 => "absent".to_owned(),
                _ => latin(random.word()),
            };
            let conversation = (of_kind == 4).then(|| groups[(random.next() % CONVERSATIONS) as usize]);
            let search = Search { conversation, ..Search::new(&text, 50) };
            let begun = Instant::now();
            reader.allow(Duration::from_millis(400));
            match answer(&reader, source, UserId(1), &search, UnixMillis(0))? {
                Found::Search(contract::Found::Results(page)) => found += page.messages.len(),
                _ => busy += 1,
            }
            times.record(begun.elapsed().as_micros() as u64)?;
        }
        println!(
            "{kind:<28} p50 {:>6} us, p99 {:>7} us, longest {:>7} us; {found} results, {busy} busy",
            times.value_at_quantile(0.5),
            times.value_at_quantile(0.99),
            times.max(),
        );
    }
    Ok(())
}

/// Stores messages at a rate beside the threads of the index, and asks how far it has come.
fn follow(
    file: &Path,
    sources: [StorageSource; 2],
    database: &mut Database,
    groups: &[ConversationId],
) -> Done<()> {
    let clock_start = Instant::now();
    let settings = SearchSettings { file: file.to_owned(), identity: identity(), clock_start };
    let (answered, answers) = channel();
    let load = Load::default();
    let running = search::start(settings, sources, load.clone(), move |_, found| drop(answered.send(found)))?;
    let (begun, mut random, mut lags) = (Instant::now(), Random(77), Vec::new());
    let step = RATE / 50;
    for n in 0..SECONDS * 50 {
        load.set(step as usize);
        database.send(groups, step, &mut random)?;
        load.set(0);
        if n % 25 == 24 {
            let search = Search { conversation: Some(groups[0]), ..Search::new(&latin(9_999), 1) };
            let query = contract::Query {
                ticket: Ticket(n),
                user: UserId(1),
                due: u64::MAX,
                search: Box::new(search),
            };
            running.outbox().send(vec![query]);
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
            if let Ok(Found::Search(contract::Found::Results(page))) =
                answers.recv_timeout(Duration::from_secs(5))
            {
                // 0: the follower has not yet read all conversations once.
                lags.extend((page.indexed_to.0 > 0).then(|| now.saturating_sub(page.indexed_to.0)));
            }
        }
        let due = begun + Duration::from_millis(20 * (n + 1));
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    running.stop();
    let rate = RATE as f64 * SECONDS as f64 / begun.elapsed().as_secs_f64();
    lags.sort_unstable();
    println!(
        "at {rate:.0} messages/s the index is behind by {} ms (median), {} ms (most) in {} looks",
        lags.get(lags.len() / 2).copied().unwrap_or_default(),
        lags.last().copied().unwrap_or_default(),
        lags.len(),
    );
    Ok(())
}
