//! What a group of 10,000 members costs, 2,000 of them online at two nodes: a private MariaDB and Redis, two nodes and
//! the generator, all on this machine. Build the server first:
//! `cargo build -p chatserver && cargo run -p chatbench --example large_group`.
//!
//! Members are written straight into the database. After one message at each node, one member sends 200 messages, one
//! after the other; then a user joins and leaves 20 times, and after each change somebody at either node sends two.
//! Prints what each of these read and changed in the tables, by MariaDB's user statistics, and what was
//! published in Redis. Tables that nodes read all the time, such as that of the sessions, are left out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "it uses the support code of the tests")]

#[path = "../../src/server/tests/support/mariadb.rs"]
#[allow(dead_code, reason = "tests do more with it")]
mod mariadb;
#[path = "../../src/server/tests/support/ports.rs"]
mod ports;
#[path = "../../src/server/tests/support/service.rs"]
#[allow(dead_code, reason = "the cluster to try out does more with it")]
mod service;
#[path = "../../src/server/tests/support/supervised.rs"]
#[allow(dead_code, reason = "tests do more with it")]
mod supervised;
#[path = "../../src/server/tests/support/system.rs"]
mod system;

use chatbench::accounts::{load, log_in, unexpected};
use chatbench::args::{PrepareArgs, TlsArgs};
use chatbench::client::{Client, ReplyOrPush};
use chatbench::endpoints::Endpoints;
use chatbench::error::Error;
use chatbench::prepare;
use mariadb::MariaDb;
use service::{Service, built};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use wire::message::{self, Send};
use wire::{Command, ConversationId, Dialect, Errno, Push, Reply, Seq, Target, group};

const MEMBERS: u32 = 10_000;
const ONLINE: usize = 2_000;
const MESSAGES: u32 = 200;
const ROUNDS: u32 = 20;
/// Long enough for what the nodes write and read once a second.
const SETTLING: Duration = Duration::from_millis(1_500);
/// For how long a message is sent again, and after which pause.
const PATIENCE: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_secs(1);
const SETTINGS: [&str; 8] = [
    "limits.messages_per_second=0",
    "limits.requests_per_second=0",
    "limits.members=20000",
    "registration.per_address_hour=0",
    "password.memory_kib=8",
    "password.iterations=1",
    "search.enabled=false",
    "log.level=warn",
];
/// What nodes read and write all the time, whatever is sent.
const OF_NODES: [&str; 5] = ["account_session", "bus_key", "deployment", "node", "schema_version"];

/// Rows read and changed, by table, and publications.
#[derive(Clone, Debug, Default)]
struct Figures {
    rows: BTreeMap<String, [f64; 2]>,
    published: f64,
}

impl Figures {
    fn add(&mut self, other: &Figures, factor: f64) {
        self.published += factor * other.published;
        for (table, figures) in &other.rows {
            let sum = self.rows.entry(table.clone()).or_default();
            sum.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += factor * figure);
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} published", self.published)?;
        for (table, [read, changed]) in &self.rows {
            if *read >= 0.005 || *changed >= 0.005 {
                write!(f, "; {table}: {read:.2} read, {changed:.2} changed")?;
            }
        }
        Ok(())
    }
}

/// What is counted.
struct Counters<'a> {
    database: &'a MariaDb,
    name: &'a str,
    redis: SocketAddr,
}

impl Counters<'_> {
    fn take(&self) -> Figures {
        let rows = self.database.ask(&format!(
            "SELECT TABLE_NAME, ROWS_READ, ROWS_CHANGED FROM information_schema.TABLE_STATISTICS \
             WHERE TABLE_SCHEMA = '{}'",
            self.name
        ));
        let rows = rows.into_iter().map(mysql::from_row::<(String, f64, f64)>);
        let rows = rows.filter(|(table, ..)| !OF_NODES.contains(&table.as_str()));
        let rows = rows.map(|(table, read, changed)| (table, [read, changed])).collect();
        Figures { rows, published: published(self.redis) }
    }

    /// What `count` repetitions of `work` cost, each.
    fn each(&self, count: u32, work: impl FnOnce() -> Result<(), Error>) -> Result<Figures, Error> {
        let before = self.take();
        work()?;
        // What follows a change, such as cursors that are written once a second.
        thread::sleep(SETTLING);
        let (mut sum, each) = (Figures::default(), 1.0 / f64::from(count));
        sum.add(&self.take(), each);
        sum.add(&before, -each);
        Ok(sum)
    }
}

fn published(redis: SocketAddr) -> f64 {
    let mut stream = TcpStream::connect(redis).unwrap();
    stream.write_all(b"INFO commandstats\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let calls =
        text.split("cmdstat_publish:calls=").nth(1).map_or("0", |rest| rest.split(',').next().unwrap());
    calls.parse().unwrap()
}

fn main() -> Result<(), Error> {
    let folder = tempfile::Builder::new().prefix("chatbench-group-").tempdir().unwrap();
    let database = MariaDb::start_in(folder.path().join("mariadb"), &["--innodb-buffer-pool-size=512M"]);
    let redis = Service::redis(folder.path());
    let name = database.new_name();
    let file = folder.path().join("accounts");
    prepare::run(&PrepareArgs {
        database: database.url(&name),
        count: MEMBERS + 1,
        file: file.clone(),
        prefix: "member".to_owned(),
        conversations: 0,
        read: false,
        password_memory_kib: 8,
        password_iterations: 1,
    })?;
    let nodes = ["n1", "n2"].map(|node| start(node, &database.url(&name), &redis, folder.path()));
    let endpoints =
        Endpoints::new(&nodes.each_ref().map(|node| node.address.into()), 0, &TlsArgs::default())?;
    // The last one is no member yet.
    let accounts = load(&file, 0, MEMBERS as usize + 1)?;
    let owner = log_in(&endpoints, Dialect::Tlv, 0, &accounts[..1])?.remove(0);
    let (conversation, mut clients) = {
        let mut owner = owner;
        let create = group::Create { name: "everybody".into(), desc: "".into() };
        let conversation = match ask(&mut owner, "CREATE_GROUP", group::Request::Create(create).into())? {
            Reply::Group(group::Reply::Created(group::Created { conversation })) => conversation,
            other => return Err(unexpected("CREATE_GROUP", &other)),
        };
        (conversation, vec![owner])
    };
    fill(&database, &name, conversation, [accounts[0].id.0, accounts[MEMBERS as usize].id.0]);
    clients.extend(log_in(&endpoints, Dialect::Tlv, 1, &accounts[1..ONLINE])?);
    let mut guest = log_in(&endpoints, Dialect::Tlv, 1, &accounts[MEMBERS as usize..])?.remove(0);

    database.ask("SET GLOBAL userstat = ON");
    let counters = Counters { database: &database, name: &name, redis: redis.address };
    // The first message at each node reads all members. The first one of a group moves it in all listings.
    for (number, client) in (1..).zip(&mut clients[..2]) {
        let first = counters.each(1, || say(client, conversation).map(drop))?;
        println!("the first message at node {number}: {first}");
    }
    println!("nothing, for {SETTLING:?}: {}", counters.each(1, || Ok(()))?);
    let mut last = Seq(0);
    let message = counters.each(MESSAGES, || {
        for _ in 0..MESSAGES {
            last = say(&mut clients[0], conversation)?;
        }
        clients[1..].iter_mut().try_for_each(|client| receive(client, last))
    })?;
    println!("a message: {message}");
    let mut sums = [(); 3].map(|()| Figures::default());
    for _ in 0..ROUNDS {
        for (of, command) in [
            (0, Command::from(group::Request::Join(group::Join { conversation }))),
            (1, group::Request::Leave(group::Leave { conversation }).into()),
        ] {
            let change =
                counters.each(ROUNDS, || ask(&mut guest, "JOIN_GROUP or LEAVE", command).map(drop))?;
            sums[of].add(&change, 1.0);
            let messages = counters.each(8 * ROUNDS, || {
                for client in &mut clients[..2] {
                    for _ in 0..2 {
                        say(client, conversation)?;
                    }
                }
                Ok(())
            })?;
            sums[2].add(&messages, 1.0);
        }
    }
    for (what, figures) in ["a join", "a leave", "a message after either"].iter().zip(&sums) {
        println!("{what}: {figures}");
    }
    Ok(())
}

fn start(node: &'static str, url: &str, redis: &Service, folder: &Path) -> Service {
    Service::start(node, &built("chatserver"), folder, |address| {
        let own = [
            format!("storage.url={url}"),
            format!("cluster.redis=redis://{}", redis.address),
            format!("cluster.node={node}"),
        ];
        let settings = own.into_iter().chain(SETTINGS.map(str::to_owned));
        let words = settings.flat_map(|setting| ["--set".to_owned(), setting]);
        words.chain([address.ip().to_string(), address.port().to_string()]).collect()
    })
}

/// Makes all users but these members of a group that has a single entry.
fn fill(database: &MariaDb, name: &str, conversation: ConversationId, but: [u32; 2]) {
    let [owner, guest] = but;
    let others = format!("FROM {name}.user WHERE id NOT IN ({owner}, {guest})");
    for sql in [
        format!(
            "INSERT INTO {name}.member (conversation_id, user_id, kind, joined_seq, delivered_seq, read_seq) \
             SELECT {conversation}, id, 1, 1, 1, 1 {others}"
        ),
        format!(
            "INSERT INTO {name}.listing (user_id, slack, listed_until, conversation_id) SELECT m.user_id, c.slack, \
             c.listed_until, c.id FROM {name}.member m JOIN {name}.conversation c ON c.id = m.conversation_id \
             WHERE m.user_id <> {owner}"
        ),
        format!("INSERT INTO {name}.account_usage (user_id, conversations) SELECT id, 1 {others}"),
        format!("UPDATE {name}.conversation SET member_version = {MEMBERS} WHERE id = {conversation}"),
    ] {
        database.ask(&sql);
    }
}

fn ask(client: &mut Client, what: &'static str, command: Command) -> Result<Reply, Error> {
    client.send(&command, 1)?;
    client.answer(what, &command)
}

/// Sends a message, again where the database could not say in time that it is stored.
fn say(client: &mut Client, conversation: ConversationId) -> Result<Seq, Error> {
    let begun = Instant::now();
    let mut send = Send::text(Target::Conversation(conversation), "a message to everybody");
    loop {
        match ask(client, "SEND", Command::Message(message::Request::Send(send.clone()))) {
            Ok(Reply::Message(message::Reply::Sent(sent))) => return Ok(sent.seq),
            Ok(other) => return Err(unexpected("SEND", &other)),
            Err(Error::Refused { refusal, .. })
                if refusal.errno == Errno::Unavailable && begun.elapsed() < PATIENCE =>
            {
                send.cid = refusal.cid;
                thread::sleep(AGAIN);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Waits until a client has received the message.
fn receive(client: &mut Client, seq: Seq) -> Result<(), Error> {
    loop {
        if let ReplyOrPush::Push(Push::Message(message::Push::New(message))) = client.receive()?
            && message.seq >= seq
        {
            return Ok(());
        }
    }
}
