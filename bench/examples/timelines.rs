//! Measures edits against sends, and logins with many unread messages:
//! `cargo run --release -p chatbench --example timelines -- [SERVER]`.
//!
//! Starts SERVER, by default the one in the folder above this program's, on an empty SQLite database. First PAIRS users
//! keep 64 requests outstanding each: as many SENDs to a friend, then an EDIT of each of these messages, ROUNDS times in
//! turn. Then one user, who is offline, is sent UNREAD messages in a direct chat and logs in, in turn with one who was
//! sent a single message. Prints the medians, their ratios and the smallest and largest figures.

use chatbench::accounts::{Account, in_parallel, log_in, register_many, unexpected};
use chatbench::args::Placement;
use chatbench::args::TlsArgs;
use chatbench::client::{Client, ask_all};
use chatbench::endpoints::Endpoints;
use chatbench::error::Error;
use chatbench::measure::Sample;
use chatbench::testbed::{Testbed, existing};
use std::path::PathBuf;
use std::time::Instant;
use wire::change::{self, Edit};
use wire::message::{self, Send};
use wire::{Command, ConversationId, Dialect, Reply, Seq, Target, UserId, session};

const PAIRS: usize = 8;
const WINDOW: usize = 64;
/// Requests of each user in a round.
const REQUESTS: usize = 2_000;
const ROUNDS: usize = 5;
/// An edit takes at most so many times what a send takes.
const GOAL: f64 = 10.0;
const UNREAD: usize = 200_000;
const LOGINS: usize = 30;

/// What the requests of a round took.
struct Round {
    /// Time for each request, us.
    elapsed: f64,
    /// The server's CPU time for each request, us.
    cpu: f64,
}

/// The places of the messages that a user sent.
type Places = Vec<(ConversationId, Seq)>;

fn main() -> Result<(), Error> {
    let testbed = Testbed::new()?;
    let beside = || testbed.server_beside().with_file_name("..").join("chatserver");
    let server = std::env::args().nth(1).map_or_else(beside, PathBuf::from);
    let database = testbed.fresh_database()?;
    let launched = testbed.start_server(existing(&server)?, Placement::Free, &database, &[])?;
    let endpoints = Endpoints::new(&[launched.address.into()], 0, &TlsArgs::default())?;
    let accounts = register_many(&endpoints, Dialect::Tlv, "bench", 2 * PAIRS as u32)?;
    edits(&endpoints, launched.pid(), &accounts)?;
    logins(&endpoints, launched.pid())
}

/// Measures EDIT against SEND; the first half of the accounts sends to the second.
fn edits(endpoints: &Endpoints, server: u32, accounts: &[Account]) -> Result<(), Error> {
    let (senders, receivers) = accounts.split_at(PAIRS);
    let mut clients = log_in(endpoints, Dialect::Tlv, 0, senders)?;
    let (mut sends, mut edits) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (mut places, text) = (Vec::new(), format!("edited in round {round}"));
        sends.push(measure(server, || {
            let pairs = clients.iter_mut().zip(receivers).collect();
            places = in_parallel(pairs, |pairs: Vec<(&mut Client, &Account)>| {
                pairs.into_iter().map(|(client, to)| send(client, to.id, REQUESTS)).collect()
            })?;
            Ok(())
        })?);
        edits.push(measure(server, || {
            let pairs = clients.iter_mut().zip(&places).collect();
            let edited = in_parallel(pairs, |pairs: Vec<(&mut Client, &Places)>| {
                pairs.into_iter().map(|(client, places)| edit(client, places, &text)).collect()
            });
            edited.map(drop::<Vec<()>>)
        })?);
    }
    let figure = |rounds: &[Round], figure: fn(&Round) -> f64| Spread::of(rounds.iter().map(figure));
    println!("{PAIRS} users, {WINDOW} outstanding each, {ROUNDS} rounds of {REQUESTS}; us a request:");
    for (name, of) in
        [("elapsed", (|round| round.elapsed) as fn(&Round) -> f64), ("server CPU", |round| round.cpu)]
    {
        let (send, edit) = (figure(&sends, of), figure(&edits, of));
        let ratio = edit.median / send.median;
        println!("  {name:<11} SEND {send}, EDIT {edit}: {ratio:.1} times (goal: at most {GOAL})");
    }
    Ok(())
}

/// Measures `work`, which makes all requests of a round.
fn measure(server: u32, work: impl FnOnce() -> Result<(), Error>) -> Result<Round, Error> {
    let (before, begun) = (Sample::take(&[server])?, Instant::now());
    work()?;
    let (elapsed, used) = (begun.elapsed(), Sample::take(&[server])?.since(&before));
    let each = |ns: f64| ns / 1e3 / (PAIRS * REQUESTS) as f64;
    Ok(Round { elapsed: each(elapsed.as_nanos() as f64), cpu: each(used.cpu_ns as f64) })
}

fn send(client: &mut Client, to: UserId, count: usize) -> Result<Places, Error> {
    let send = Send::text(Target::User(to), "a message of about sixty-four bytes, as in the other runs ....");
    let command = Command::Message(message::Request::Send(send));
    ask_all(client, "SEND", &vec![command; count], WINDOW, |_, reply| match reply {
        Reply::Message(message::Reply::Sent(sent)) => Ok((sent.conversation, sent.seq)),
        other => Err(unexpected("SEND", &other)),
    })
}

fn edit(client: &mut Client, places: &Places, text: &str) -> Result<(), Error> {
    let edit = |&(conversation, seq): &(ConversationId, Seq)| {
        let edit = Edit { conversation, seq, content: text.into(), cid: None };
        Command::Change(change::Request::Edit(edit))
    };
    let commands: Vec<Command> = places.iter().map(edit).collect();
    let edited = ask_all(client, "EDIT", &commands, WINDOW, |_, reply| match reply {
        Reply::Change(change::Reply::Edited(_)) => Ok(()),
        other => Err(unexpected("EDIT", &other)),
    });
    edited.map(drop::<Vec<()>>)
}

/// Measures the LOGIN of a user with many unread messages against that of a user with one.
fn logins(endpoints: &Endpoints, server: u32) -> Result<(), Error> {
    let accounts = register_many(endpoints, Dialect::Tlv, "bench", 3)?;
    let [sender, many, one] = &accounts[..] else {
        return Err(Error::Usage("accounts are missing".to_owned()));
    };
    let mut client = log_in(endpoints, Dialect::Tlv, 0, std::slice::from_ref(sender))?.remove(0);
    send(&mut client, many.id, UNREAD)?;
    send(&mut client, one.id, 1)?;
    let (mut of_many, mut of_one) = (Vec::new(), Vec::new());
    let before = Sample::take(&[server])?;
    for _ in 0..LOGINS {
        of_many.push(login(endpoints, many, UNREAD)?);
        of_one.push(login(endpoints, one, 1)?);
    }
    let memory = Sample::take(&[server])?.rss_kib().saturating_sub(before.rss_kib());
    let (many, one) = (Spread::of(of_many.into_iter()), Spread::of(of_one.into_iter()));
    let ratio = many.median / one.median;
    println!("LOGIN by token, us: 1 unread {one}, {UNREAD} unread {many}: {ratio:.1} times");
    println!("  the server's memory grew by {memory} KiB in {LOGINS} logins of each");
    Ok(())
}

/// Logs in and leaves; returns how long the reply took, us.
fn login(endpoints: &Endpoints, account: &Account, unread: usize) -> Result<f64, Error> {
    let mut client = Client::connect(endpoints, 0)?;
    let (login, begun) = (account.login(account.cheapest_login()), Instant::now());
    client.send(&login, 1)?;
    let reply = client.answer("LOGIN", &login)?;
    let elapsed = begun.elapsed().as_secs_f64() * 1e6;
    let Reply::Session(session::Reply::LoggedIn(me)) = reply else { return Err(unexpected("LOGIN", &reply)) };
    let counted: u64 = me.conversations.iter().map(|conversation| conversation.unread).sum();
    if counted != unread as u64 {
        return Err(Error::Protocol(format!("it counts {counted} unread messages instead of {unread}")));
    }
    Ok(elapsed)
}

/// The median of some figures, and the smallest and largest.
struct Spread {
    median: f64,
    smallest: f64,
    largest: f64,
}

impl Spread {
    /// Of at least one figure.
    fn of(figures: impl Iterator<Item = f64>) -> Spread {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let (median, largest) = (figures[figures.len() / 2], figures[figures.len() - 1]);
        Spread { median, smallest: figures[0], largest }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Spread { median, smallest, largest } = self;
        write!(f, "{median:.1} ({smallest:.1} to {largest:.1})")
    }
}
