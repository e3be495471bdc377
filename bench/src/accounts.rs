//! Accounts: registration, login, and files of accounts.

use crate::client::{Client, ask_all};
use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::legacy::{self, msgid};
use serde_json::json;
use std::fs::{self, File, OpenOptions, Permissions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::thread;
use wire::account::{Register, Who};
use wire::{Command, Credentials, Dialect, Errno, Reply, UserId, account, session};

/// Parallel set-up connections, and the outstanding requests of each.
const WORKERS: usize = 4;
const OPEN: usize = 32;

/// An account that can log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: UserId,
    /// Empty for accounts registered over the legacy dialect, which has no tokens.
    pub token: Box<str>,
    pub name: Box<str>,
    pub password: Box<str>,
}

/// The credentials to log in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LoginMethod {
    /// The token from registration; TLV only.
    Token,
    /// The password, which costs the server one Argon2 hash.
    Password,
}

impl Account {
    /// The cheapest login over TLV: by token, where the account has one.
    pub fn cheapest_login(&self) -> LoginMethod {
        if self.token.is_empty() { LoginMethod::Password } else { LoginMethod::Token }
    }

    pub fn login(&self, method: LoginMethod) -> Command {
        let credentials = match method {
            LoginMethod::Token => Credentials::Token(self.token.clone()),
            LoginMethod::Password => {
                Credentials::Password { who: Who::Id(self.id), password: self.password.clone() }
            }
        };
        let kind = Some(session::ClientKind::Script);
        Command::Session(session::Request::Login(session::Login { kind, ..session::Login::new(credentials) }))
    }

    /// Appends a login request.
    pub fn put_login(&self, dialect: Dialect, method: LoginMethod, out: &mut Vec<u8>) {
        match dialect {
            Dialect::Tlv => self.login(method).encode(1, out),
            Dialect::Legacy => legacy::put_login(out, self.id.0, &self.password),
        }
    }
}

/// 32 random bits, from the seed of the standard library's hash maps.
pub fn random() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}

/// `count` names: the prefix, a random number, and the number of the account.
pub fn names(prefix: &str, count: u32) -> Vec<String> {
    let random = random();
    (0..count).map(|number| format!("{prefix}-{random:08x}-{number}")).collect()
}

pub fn register_many(
    endpoints: &Endpoints,
    dialect: Dialect,
    prefix: &str,
    count: u32,
) -> Result<Vec<Account>, Error> {
    in_parallel(names(prefix, count), |names: Vec<String>| {
        let mut client = Client::connect(endpoints, 0)?;
        if dialect == Dialect::Legacy {
            return names.iter().map(|name| register_legacy(&mut client, name)).collect();
        }
        let commands: Vec<Command> = names.iter().map(|name| register(name)).collect();
        ask_all(&mut client, "REGISTER", &commands, OPEN, |index, reply| match reply {
            Reply::Account(account::Reply::Registered(new)) => {
                let name = names[index].as_str();
                Ok(Account { id: new.id, token: new.token, name: name.into(), password: password(name) })
            }
            other => Err(unexpected("REGISTER", &other)),
        })
    })
    .map_err(|error| match error {
        Error::Refused { refusal, .. } if refusal.errno == Errno::RateLimited => Error::Usage(format!(
            "the server refused to register {count} accounts from one address: start it with --set \
             registration.per_address_hour=0, or use `chatbench prepare`"
        )),
        other => other,
    })
}

fn password(name: &str) -> Box<str> {
    format!("password of {name}").into_boxed_str()
}

fn register(name: &str) -> Command {
    let (name, password) = (name.into(), password(name));
    let register = Register { name, password, email: None, code: None, nick: None };
    Command::Account(account::Request::Register(Box::new(register)))
}

fn register_legacy(client: &mut Client, name: &str) -> Result<Account, Error> {
    let password = password(name);
    client.send_object(&json!({"msgid": msgid::REGISTER, "name": name, "password": password}))?;
    let answer = client.answer_object("REG_MSG", msgid::REGISTER_ACK)?;
    let id = answer["id"]
        .as_u64()
        .ok_or_else(|| Error::Protocol(format!("its answer to REG_MSG has no id: {answer}")))?;
    Ok(Account { id: UserId(id as u32), token: "".into(), name: name.into(), password })
}

/// Logs all accounts in, each on its own connection, numbered from `first` on; returned in the order of the accounts.
pub fn log_in(
    endpoints: &Endpoints,
    dialect: Dialect,
    first: u64,
    accounts: &[Account],
) -> Result<Vec<Client>, Error> {
    let numbered = (first..).zip(accounts.iter().cloned()).collect();
    in_parallel(numbered, |accounts: Vec<(u64, Account)>| {
        in_batches(accounts, |batch| {
            let mut clients = Vec::with_capacity(batch.len());
            for (number, account) in &batch {
                let mut client = Client::connect(endpoints, *number)?;
                match dialect {
                    Dialect::Tlv => client.send(&account.login(account.cheapest_login()), 1)?,
                    Dialect::Legacy => client.send_object(
                        &json!({"msgid": msgid::LOGIN, "id": account.id.0, "password": &account.password}),
                    )?,
                }
                clients.push(client);
            }
            for (client, (_, account)) in clients.iter_mut().zip(&batch) {
                if dialect == Dialect::Legacy {
                    client.answer_object("LOGIN_MSG", msgid::LOGIN_ACK)?;
                    continue;
                }
                match client.answer("LOGIN", &account.login(account.cheapest_login())) {
                    Ok(Reply::Session(session::Reply::LoggedIn(me)))
                        if me.id == account.id && me.name == account.name => {}
                    Ok(other) => return Err(unexpected("LOGIN", &other)),
                    Err(Error::Refused { refusal, .. }) if refusal.errno == Errno::TokenInvalid => {
                        return Err(Error::Usage(format!(
                            "the token of {} is no longer valid, as after a login by password: register the accounts again",
                            account.name
                        )));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(clients)
        })
    })
}

/// The error for a reply of the wrong kind to `what`.
pub fn unexpected(what: &str, reply: &Reply) -> Error {
    Error::Protocol(format!("it answered {what} with {reply:?}"))
}

/// A file of accounts with mode 600. It is opened before the accounts are created, as their creation takes long and
/// cannot be undone.
#[derive(Debug)]
pub struct List<'a> {
    path: &'a Path,
    file: File,
}

impl List<'_> {
    /// Opens or creates `path`. Its content stays until [`Self::write`].
    ///
    /// # Errors
    /// It cannot be written.
    pub fn open(path: &Path) -> Result<List<'_>, Error> {
        let open = || {
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
            // An existing file keeps its mode when it is opened.
            file.set_permissions(Permissions::from_mode(0o600))?;
            Ok(List { path, file })
        };
        open().map_err(|error| Error::io(format!("write {}", path.display()), error))
    }

    /// Writes one account a line: id, token, name, password.
    pub fn write(mut self, accounts: &[Account]) -> Result<(), Error> {
        let line = |a: &Account| format!("{}\t{}\t{}\t{}\n", a.id, a.token, a.name, a.password);
        let lines: String = accounts.iter().map(line).collect();
        let written = self.file.set_len(0).and_then(|()| self.file.write_all(lines.as_bytes()));
        written.map_err(|error| Error::io(format!("write {}", self.path.display()), error))
    }
}

/// Reads `count` accounts from a file written by [`List`], after the first `skip`.
pub fn load(file: &Path, skip: usize, count: usize) -> Result<Vec<Account>, Error> {
    let text =
        fs::read_to_string(file).map_err(|error| Error::io(format!("read {}", file.display()), error))?;
    let account = |line: &str| {
        let mut fields = line.split('\t');
        let id = UserId(fields.next()?.parse().ok()?);
        let mut field = || Some(fields.next()?.into());
        Some(Account { id, token: field()?, name: field()?, password: field()? })
    };
    let wrong = |line: &str| Error::Usage(format!("{}: `{line}` is not an account", file.display()));
    let lines = text.lines().skip(skip).take(count);
    let accounts: Vec<_> =
        lines.map(|line| account(line).ok_or_else(|| wrong(line))).collect::<Result<_, _>>()?;
    if accounts.len() < count {
        let (file, is, want) = (file.display(), text.lines().count(), skip + count);
        return Err(Error::Usage(format!("{want} accounts are needed, but {file} holds {is}")));
    }
    Ok(accounts)
}

/// Divides `items` over [`WORKERS`] threads; the results are in the order of the items.
pub fn in_parallel<T: Send, R: Send>(
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

/// Passes at most [`OPEN`] items at a time to `work`.
pub fn in_batches<T, R>(
    items: Vec<T>,
    work: impl Fn(Vec<T>) -> Result<Vec<R>, Error>,
) -> Result<Vec<R>, Error> {
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
    fn parallel_work_keeps_the_order_and_returns_the_first_error() {
        let double = |part: Vec<u32>| Ok(part.into_iter().map(|n| n * 2).collect());
        assert_eq!(in_parallel((0..101).collect(), double).unwrap(), (0..202).step_by(2).collect::<Vec<_>>());
        assert!(
            in_parallel(vec![1], |_: Vec<u32>| Err::<Vec<()>, _>(Error::Usage("no".to_owned()))).is_err()
        );
    }

    #[test]
    fn accounts_are_read_back_from_their_file() {
        let (folder, account) = (tempfile::tempdir().unwrap(), |n: u32| Account {
            id: UserId(n),
            token: "t".into(),
            name: "a".into(),
            password: "p w".into(),
        });
        let file = folder.path().join("accounts");
        fs::write(&file, "longer than the new content").unwrap();
        List::open(&file).unwrap().write(&[account(1), account(2), account(3)]).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load(&file, 1, 2).unwrap(), [account(2), account(3)]);
        assert!(load(&file, 2, 2).unwrap_err().to_string().contains("holds 3"));
    }
}
