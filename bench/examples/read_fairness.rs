//! Measures whether the reads of one account delay others: `cargo run -p chatbench --example read_fairness -- SERVER`.
//!
//! Starts SERVER on an empty SQLite database, with quotas and rates off. One account creates very many groups, then
//! keeps 31 CONVERSATIONS with `"limit":1` outstanding. Prints how long HISTORY and LOGIN by password take others,
//! without and with that, and fails if HISTORY's 99th percentile more than triples or a LOGIN takes 2 s.

use chatbench::testbed::known;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use wire::account::{Register, Who};
use wire::limits::FRAME_BYTES;
use wire::{
    Command, ConversationId, Credentials, Direction, Reply, Seq, Target, UserId, account, group, message,
    session, split_frame, timeline,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const PASSWORD: &str = "correct horse";
const GROUPS: u32 = 100_000;
/// Requests that one account keeps outstanding.
const OUTSTANDING: u32 = 31;
/// HISTORY requests of each phase.
const PAGES: usize = 2_000;
/// LOGINs of each phase.
const LOGINS: usize = 40;
/// Settings of the server; those that it does not know are left out.
const SETTINGS: &[&str] = &[
    "http.listen=",
    "ops.listen=",
    "limits.messages_per_second=0",
    "limits.requests_per_second=0",
    "limits.reads_waiting=0",
    "limits.groups=0",
    "limits.groups_made_day=0",
    "limits.conversations=0",
    "password.memory_kib=8",
    "password.iterations=1",
    "log.level=warn",
];

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn start(program: &Path, folder: &Path) -> Outcome<(Server, SocketAddr)> {
        let mut command = Process::new(program);
        command.arg(format!("--set=storage.url=sqlite:{}", folder.join("chat.db").display()));
        command.args(known(program, SETTINGS).iter().map(|setting| format!("--set={setting}")));
        let mut child = command.args(["127.0.0.1", "0"]).stdout(Stdio::piped()).spawn()?;
        let mut announced = String::new();
        let stdout = child.stdout.take().ok_or("no stdout")?;
        BufReader::new(stdout).read_line(&mut announced)?;
        let address = announced.split(' ').find(|word| word.starts_with("127.0.0.1:"));
        Ok((Server(child), address.ok_or("the server does not say where it listens")?.parse()?))
    }
}

/// A connection that sends requests and reads replies; pushes are dropped.
struct Client {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Outcome<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Client { stream, bytes: Vec::new() })
    }

    fn post(&mut self, commands: impl IntoIterator<Item = Command>) -> Outcome<()> {
        let mut bytes = Vec::new();
        commands.into_iter().for_each(|command| command.encode(1, &mut bytes));
        Ok(self.stream.write_all(&bytes)?)
    }

    fn reply(&mut self) -> Outcome<Reply> {
        let mut chunk = vec![0; 64 << 10];
        loop {
            let frame = split_frame(&self.bytes, FRAME_BYTES).map_err(|error| format!("{error:?}"))?;
            if let Some((frame, length)) = frame {
                let reply =
                    (frame.request != 0).then(|| Reply::decode(frame.kind, frame.value)).transpose()?;
                self.bytes.drain(..length);
                match reply {
                    Some(reply) => return Ok(reply),
                    None => continue,
                }
            }
            match self.stream.read(&mut chunk)? {
                0 => return Err("the server has closed the connection".into()),
                count => self.bytes.extend_from_slice(&chunk[..count]),
            }
        }
    }

    fn ask(&mut self, command: Command) -> Outcome<Reply> {
        self.post([command])?;
        self.reply()
    }

    fn register(&mut self, name: &str) -> Outcome<UserId> {
        let register =
            Register { name: name.into(), password: PASSWORD.into(), email: None, code: None, nick: None };
        match self.ask(Command::Account(account::Request::Register(Box::new(register))))? {
            Reply::Account(account::Reply::Registered(registered)) => Ok(registered.id),
            other => Err(format!("REGISTER: {other:?}").into()),
        }
    }

    fn log_in(&mut self, user: UserId) -> Outcome<()> {
        let credentials = Credentials::Password { who: Who::Id(user), password: PASSWORD.into() };
        let login = session::Login::new(credentials);
        match self.ask(Command::Session(session::Request::Login(login)))? {
            Reply::Session(session::Reply::LoggedIn(_)) => Ok(()),
            other => Err(format!("LOGIN: {other:?}").into()),
        }
    }
}

/// The times of HISTORY and LOGIN for accounts that are not to blame.
struct Times {
    history_p50: Duration,
    history_p99: Duration,
    login_max: Duration,
    refused: usize,
}

fn measure(
    address: SocketAddr,
    reader: &mut Client,
    conversation: ConversationId,
    guest: UserId,
) -> Outcome<Times> {
    let (mut pages, mut logins, mut refused) = (Vec::new(), Vec::new(), 0);
    for number in 0..PAGES {
        let begun = Instant::now();
        let history = timeline::History {
            conversation,
            direction: Direction::Before(Seq::MAX),
            limit: 20,
            with_changes: true,
        };
        let reply = reader.ask(Command::Timeline(timeline::Request::History(history)))?;
        refused += usize::from(!matches!(reply, Reply::Timeline(timeline::Reply::History(_))));
        pages.push(begun.elapsed());
        if number % (PAGES / LOGINS) == 0 {
            let begun = Instant::now();
            refused += usize::from(Client::connect(address)?.log_in(guest).is_err());
            logins.push(begun.elapsed());
        }
    }
    pages.sort_unstable();
    Ok(Times {
        history_p50: pages[pages.len() / 2],
        history_p99: pages[pages.len() * 99 / 100],
        login_max: logins.into_iter().max().unwrap_or_default(),
        refused,
    })
}

fn print(phase: &str, times: &Times) {
    let Times { history_p50, history_p99, login_max, refused } = times;
    println!(
        "{phase}: HISTORY p50 {history_p50:.1?}, p99 {history_p99:.1?}; LOGIN at most {login_max:.1?}; {refused} refused"
    );
}

fn main() -> Outcome<()> {
    let program = std::env::args_os().nth(1).ok_or("usage: read_fairness SERVER")?;
    let folder = tempfile::tempdir()?;
    let (_server, address) = Server::start(Path::new(&program), folder.path())?;
    let mut greedy = Client::connect(address)?;
    let greedy_id = greedy.register("greedy")?;
    greedy.log_in(greedy_id)?;
    let mut reader = Client::connect(address)?;
    let (reader_id, guest) = (reader.register("reader")?, reader.register("guest")?);
    reader.log_in(reader_id)?;
    let mut conversation = ConversationId(0);
    for number in 0..200 {
        let send = message::Send::text(Target::User(guest), format!("message {number}"));
        if let Reply::Message(message::Reply::Sent(sent)) =
            reader.ask(Command::Message(message::Request::Send(send)))?
        {
            conversation = sent.conversation;
        }
    }
    let begun = Instant::now();
    for _ in 0..GROUPS / 500 {
        let create =
            |n| group::Request::Create(group::Create { name: format!("g{n}").into(), desc: "".into() });
        greedy.post((0..500).map(|n| Command::Group(create(n))))?;
        for _ in 0..500 {
            if let Reply::Refused(refusal) = greedy.reply()? {
                return Err(format!("CREATE_GROUP: {}", refusal.errmsg).into());
            }
        }
    }
    println!("{GROUPS} groups created in {:.1?}", begun.elapsed());

    let quiet = measure(address, &mut reader, conversation, guest)?;
    print("quiet", &quiet);

    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (is_over, count) = (Arc::clone(&stop), Arc::clone(&served));
    let flood = thread::spawn(move || -> Outcome<()> {
        let page = || {
            let page = timeline::Conversations { before: None, limit: 1, with_last: false };
            Command::Timeline(timeline::Request::Conversations(page))
        };
        greedy.post((0..OUTSTANDING).map(|_| page()))?;
        while !is_over.load(Ordering::SeqCst) {
            greedy.reply()?;
            count.fetch_add(1, Ordering::SeqCst);
            greedy.post([page()])?;
        }
        Ok(())
    });
    let busy = measure(address, &mut reader, conversation, guest)?;
    stop.store(true, Ordering::SeqCst);
    flood.join().map_err(|_| "the flood failed")??;
    print("with 31 CONVERSATIONS outstanding", &busy);
    let ratio = busy.history_p99.as_secs_f64() / quiet.history_p99.as_secs_f64();
    println!("{} CONVERSATIONS answered meanwhile; HISTORY p99 x {ratio:.2}", served.load(Ordering::SeqCst));
    if quiet.refused + busy.refused > 0 || ratio > 3.0 || busy.login_max > Duration::from_secs(2) {
        return Err("one account's reads delay others".into());
    }
    Ok(())
}
