//! Accounts and their logged-in connections: registers, logs in, opens conversations.

use crate::error::Error;
use crate::session::{Said, Session, ask_all};
use std::borrow::Cow;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use wire::command::{Register, Send};
use wire::{Command, ConversationId, Credentials, Push, Reply, Target, UserId};

/// Connections that register and log in side by side, and how many requests each has open.
const WORKERS: usize = 4;
const OPEN: usize = 32;

/// An account that can log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: UserId,
    /// What REGISTER gave to log in by.
    pub token: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

/// 32 random bits, from what the standard library seeds its hash maps with.
pub fn random() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}

/// Registers `count` accounts, named `prefix`, a random number, and their own number.
pub fn register_many(address: SocketAddr, prefix: &str, count: u32) -> Result<Vec<Account>, Error> {
    let random = random();
    let names = (0..count).map(|number| format!("{prefix}-{random:08x}-{number}")).collect();
    in_parallel(names, |names: Vec<String>| {
        let commands: Vec<Command> = names.iter().map(|name| register(name)).collect();
        ask_all(&mut Session::connect(address)?, "REGISTER", &commands, OPEN, |index, reply| match reply {
            Reply::Registered(new) => {
                Ok(Account { id: new.id, token: new.token, name: names[index].as_str().into() })
            }
            other => Err(unexpected("REGISTER", &other)),
        })
    })
}

fn register(name: &str) -> Command {
    let (name, password) = (name.into(), format!("password of {name}").into_boxed_str());
    Command::Register(Box::new(Register { name, password, email: None, code: None, nick: None }))
}

/// Logs all accounts in by their tokens, each on a connection of its own, in their order.
pub fn log_in(address: SocketAddr, accounts: &[Account]) -> Result<Vec<Session>, Error> {
    in_parallel(accounts.to_vec(), |accounts: Vec<Account>| {
        in_batches(accounts, |batch| {
            let login = |account: &Account| {
                let credentials = Credentials::Token(account.token.clone());
                Command::Login { credentials, device: None }
            };
            let mut sessions = Vec::with_capacity(batch.len());
            for account in &batch {
                let mut session = Session::connect(address)?;
                session.send(&login(account), 1)?;
                sessions.push(session);
            }
            for (session, account) in sessions.iter_mut().zip(&batch) {
                match session.answer("LOGIN", &login(account))? {
                    Reply::LoggedIn(me) if me.id == account.id && me.name == account.name => {}
                    other => return Err(unexpected("LOGIN", &other)),
                }
            }
            Ok(sessions)
        })
    })
}

/// Two logged-in users and the conversation that they have.
#[derive(Debug)]
pub struct OpenPair {
    /// Where they talk; the last message in it is number 1.
    pub conversation: ConversationId,
    /// Who sends.
    pub sender: (Account, Session),
    /// Who receives.
    pub receiver: (Account, Session),
}

/// The seq of the message that opens a conversation.
pub const OPENING_SEQ: u64 = 1;

/// Registers and logs in `count` pairs, and opens their conversations with one message each.
pub fn open_pairs(address: SocketAddr, prefix: &str, count: u32) -> Result<Vec<OpenPair>, Error> {
    let accounts = register_many(address, prefix, 2 * count)?;
    let sessions = log_in(address, &accounts)?;
    let mut users = accounts.into_iter().zip(sessions);
    let pairs = std::iter::from_fn(|| users.next().zip(users.next())).collect();
    in_parallel(pairs, |pairs| in_batches(pairs, open))
}

fn open(batch: Vec<((Account, Session), (Account, Session))>) -> Result<Vec<OpenPair>, Error> {
    let mut batch = batch;
    let opening = |receiver: &Account| {
        let (target, content) = (Target::User(receiver.id), "hello".into());
        Command::Send(Send {
            target,
            content,
            content_type: Cow::Borrowed("text"),
            cid: Some("opening".into()),
        })
    };
    for ((_, sender), (to, _)) in &mut batch {
        sender.send(&opening(to), 1)?;
    }
    let mut opened = Vec::with_capacity(batch.len());
    for (mut sender, mut receiver) in batch {
        let sent = match sender.1.answer("SEND", &opening(&receiver.0))? {
            Reply::Sent(sent) if sent.seq.0 == OPENING_SEQ => sent,
            other => return Err(unexpected("SEND", &other)),
        };
        let message = loop {
            if let Said::Push(Push::Message(message)) = receiver.1.receive()? {
                break message;
            }
        };
        if (message.conversation, message.seq) != (sent.conversation, sent.seq) {
            return Err(Error::Protocol(format!("SEND was answered {sent:?} and delivered as {message:?}")));
        }
        receiver.1.send(&Command::Ack { conversation: sent.conversation, seq: sent.seq }, 0)?;
        opened.push(OpenPair { conversation: sent.conversation, sender, receiver });
    }
    Ok(opened)
}

fn unexpected(what: &str, reply: &Reply) -> Error {
    Error::Protocol(format!("it answered {what} with {reply:?}"))
}

/// Saves accounts, one a line: id, token, name.
pub fn save(file: &Path, accounts: &[Account]) -> Result<(), Error> {
    let lines: String = accounts.iter().map(|a| format!("{}\t{}\t{}\n", a.id, a.token, a.name)).collect();
    fs::write(file, lines).map_err(|error| Error::io(format!("write {}", file.display()), error))
}

/// Reads what [`save`] wrote.
pub fn load(file: &Path) -> Result<Vec<Account>, Error> {
    let text =
        fs::read_to_string(file).map_err(|error| Error::io(format!("read {}", file.display()), error))?;
    let account = |line: &str| {
        let mut fields = line.split('\t');
        let id = UserId(fields.next()?.parse().ok()?);
        Some(Account { id, token: fields.next()?.into(), name: fields.next()?.into() })
    };
    let wrong = |line: &str| Error::Usage(format!("{}: `{line}` is not an account", file.display()));
    text.lines().map(|line| account(line).ok_or_else(|| wrong(line))).collect()
}

/// Has [`WORKERS`] threads each do a part of `items`, and puts the results back in order.
fn in_parallel<T: std::marker::Send, R: std::marker::Send>(
    items: Vec<T>,
    work: impl Fn(Vec<T>) -> Result<Vec<R>, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let share = items.len().div_ceil(WORKERS).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> =
            split(items, share).into_iter().map(|part| scope.spawn(|| work(part))).collect();
        let mut results = Vec::new();
        for worker in workers {
            results.extend(worker.join().expect("a set-up thread does not panic")?);
        }
        Ok(results)
    })
}

/// Does `work` on at most [`OPEN`] of the items at a time.
fn in_batches<T, R>(items: Vec<T>, work: impl Fn(Vec<T>) -> Result<Vec<R>, Error>) -> Result<Vec<R>, Error> {
    let mut results = Vec::with_capacity(items.len());
    for batch in split(items, OPEN) {
        results.extend(work(batch)?);
    }
    Ok(results)
}

fn split<T>(items: Vec<T>, size: usize) -> Vec<Vec<T>> {
    let mut items = items.into_iter();
    let part = || Some(items.by_ref().take(size).collect::<Vec<T>>()).filter(|part| !part.is_empty());
    std::iter::from_fn(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_work_keeps_the_order_and_the_first_error() {
        let double = |part: Vec<u32>| Ok(part.into_iter().map(|n| n * 2).collect());
        assert_eq!(in_parallel((0..101).collect(), double).unwrap(), (0..202).step_by(2).collect::<Vec<_>>());
        assert!(
            in_parallel(vec![1], |_: Vec<u32>| Err::<Vec<()>, _>(Error::Usage("no".to_owned()))).is_err()
        );
    }
}
