//! `chatbench prepare`: writes accounts with tokens straight into a database, through the server's own storage.
//!
//! Registering through a server costs one Argon2 hash an account, about 79 a second. Here all accounts share one
//! password and its hash.

use crate::accounts::{Account, List, names};
use crate::args::PrepareArgs;
use crate::error::Error;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use indicatif::ProgressBar;
use logic::contract::message::Append;
use logic::contract::timeline::{CursorMove, CursorStep};
use logic::contract::{Epoch, Quotas, account, message, timeline};
use logic::{Ticket, Write, Written};
use runtime::queue::{Bell, Gone, Inbox, queue};
use std::sync::Arc;
use std::time::Instant;
use storage::{Outcome, Settings, Storage, StorageUrl, StoreError};
use wire::Target;

/// Accounts in one transaction.
const BATCH: usize = 1_000;
/// The password of every account.
const PASSWORD: &str = "password of all";

/// Writes the accounts to the database and to their file.
pub fn run(args: &PrepareArgs) -> Result<(), Error> {
    if !args.conversations.is_multiple_of(2) || (args.conversations > 0 && args.conversations >= args.count) {
        let wrong = "--conversations must be even and below --count".to_owned();
        return Err(Error::Usage(wrong));
    }
    let usage = |error: &dyn std::fmt::Display| Error::Usage(error.to_string());
    let url = StorageUrl::parse(&args.database).map_err(|error| usage(&format!("--database {error}")))?;
    let settings = Settings {
        url,
        password: None,
        trust: None,
        accept_weak_durability: false,
        retention_months: 0,
        quotas: Quotas::default(),
    };
    let list = List::open(&args.file)?;
    let hash = hash(PASSWORD, args.password_memory_kib, args.password_iterations);
    let hash = hash.map_err(|error| usage(&error))?;
    let mut database = Database::open(&settings).map_err(|error| usage(&error))?;

    let names = names(&args.prefix, args.count);
    let bar = ProgressBar::new(names.len() as u64);
    let mut accounts = Vec::with_capacity(names.len());
    for batch in names.chunks(BATCH) {
        let create = |name: &String| {
            Write::Account(account::Write::Create {
                name: name.as_str().into(),
                password: hash.clone(),
                nick: None,
            })
        };
        let writes = (0..).map(Ticket).zip(batch.iter().map(create)).collect();
        for (outcome, name) in database.write(writes)?.into_iter().zip(batch) {
            let Written::Account(account::Written::Created { user, token }) = outcome else {
                return Err(Error::Usage(format!("cannot create the account {name}: {outcome:?}")));
            };
            accounts.push(Account {
                id: user,
                token: token.text,
                name: name.as_str().into(),
                password: PASSWORD.into(),
            });
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    open_chats(&mut database, &accounts, args)?;
    database.close();
    list.write(&accounts)
}

/// Every account writes one message to each of the accounts after it, so that each has as many direct chats as are asked
/// for.
fn open_chats(database: &mut Database, accounts: &[Account], args: &PrepareArgs) -> Result<(), Error> {
    let recipient = |sender: usize, ahead: usize| accounts[(sender + ahead) % accounts.len()].id;
    let append = |sender: usize, ahead: usize| {
        let Account { id, name, .. } = &accounts[sender];
        Write::Message(message::Write::Append(Append {
            sender: *id,
            epoch: Epoch::NONE,
            sender_name: (**name).into(),
            target: Target::User(recipient(sender, ahead)),
            cid: format!("prepared {ahead}").into(),
            content_type: None,
            content: "hello".into(),
            references: None,
            stream: None,
        }))
    };
    let senders = 0..accounts.len();
    let chats = args.conversations as usize / 2;
    let all: Vec<_> = senders.flat_map(|sender| (1..=chats).map(move |ahead| (sender, ahead))).collect();
    for batch in all.chunks(BATCH) {
        let writes = batch.iter().map(|&(sender, ahead)| append(sender, ahead));
        let written = database.write((0..).map(Ticket).zip(writes).collect())?;
        let mut moves = Vec::with_capacity(batch.len());
        for (written, &(sender, ahead)) in written.iter().zip(batch) {
            let Written::Message(message::Written::Appended { message, .. }) = written else {
                return Err(Error::Usage(format!("cannot write a message: {written:?}")));
            };
            let step = CursorStep::Reach { delivered: message.seq, read: message.seq };
            let (conversation, user, epoch) = (message.conversation, recipient(sender, ahead), Epoch::NONE);
            moves.push(CursorMove { conversation, user, epoch, step });
        }
        if args.read {
            database.write(vec![(Ticket(0), timeline::Write::MoveCursors(moves).into())])?;
        }
    }
    Ok(())
}

/// An Argon2id hash that the server accepts, as a PHC string.
fn hash(password: &str, memory_kib: u32, iterations: u32) -> Result<Box<str>, argon2::password_hash::Error> {
    let params = Params::new(memory_kib, iterations, 1, None)?;
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| argon2::password_hash::Error::Crypto)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash = argon2.hash_password_with_salt(password.as_bytes(), &salt)?;
    Ok(hash.to_string().into())
}

/// A running database, as in the server.
pub struct Database {
    storage: Storage,
    outcomes: Inbox<Outcome>,
    bell: Arc<Bell>,
}

impl Database {
    /// Opens it and starts its threads.
    pub fn open(settings: &Settings) -> Result<Database, StoreError> {
        let bell = Arc::new(Bell::new());
        let (outbox, outcomes) = queue(BATCH, &bell);
        let storage = storage::start(storage::open(settings)?, outbox, Instant::now())?;
        Ok(Database { storage, outcomes, bell })
    }

    /// Writes a batch; returns the outcomes in the order of the batch.
    pub fn write(&mut self, batch: Vec<(Ticket, Write)>) -> Result<Vec<Written>, Error> {
        let count = batch.len();
        let gone = || Error::Usage("the database thread has ended".to_owned());
        self.storage.writes().send(batch).map_err(|Gone| gone())?;
        let mut written = Vec::with_capacity(count);
        while written.len() < count {
            match self.outcomes.try_recv().map_err(|Gone| gone())? {
                Some(Outcome::Written(batch)) => written.extend(batch),
                Some(Outcome::Fatal(why)) => return Err(Error::Usage(why)),
                Some(Outcome::Found(_)) => {}
                None => self.bell.wait(None, || !self.outcomes.is_empty()),
            }
        }
        // Several storage threads may share a batch.
        written.sort_by_key(|(ticket, _)| ticket.0);
        Ok(written.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// Stops the threads.
    pub fn close(self) {
        self.storage.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::load;
    use logic::Found;
    use logic::contract::session;

    #[test]
    fn accounts_are_written_to_the_database_and_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (database, file) = (folder.path().join("chat.db"), folder.path().join("accounts"));
        let args = PrepareArgs {
            database: format!("sqlite:{}", database.display()),
            count: 1_001,
            file: file.clone(),
            prefix: "p".to_owned(),
            conversations: 4,
            read: false,
            password_memory_kib: 8,
            password_iterations: 1,
        };
        run(&args).unwrap();
        let accounts = load(&file, 0, 1_001).unwrap();
        let settings = Settings {
            url: StorageUrl::Sqlite(database),
            password: None,
            trust: None,
            accept_weak_durability: false,
            retention_months: 0,
            quotas: Quotas::default(),
        };
        let mut database = Database::open(&settings).unwrap();
        // The last token in the file is valid in the database.
        let last = &accounts[1_000];
        let client = logic::contract::Client { device: None, kind: None, address: [127, 0, 0, 1].into() };
        let extend = Write::Session(session::Write::ExtendToken { token: last.token.clone(), client });
        match database.write(vec![(Ticket(1), extend)]).unwrap().pop() {
            Some(Written::Session(session::Written::TokenReady(ready))) => {
                assert_eq!((ready.user, &*ready.name), (last.id, &*last.name));
            }
            other => panic!("{other:?}"),
        }
        database.close();
        let mut reader = storage::open(&settings).unwrap().reader().unwrap();
        for account in [&accounts[0], last] {
            let (user, before, limit) = (account.id, None, 10);
            let (with_unread, with_last) = (true, false);
            let read = timeline::Read::Conversations { user, before, limit, with_unread, with_last };
            let Found::Timeline(timeline::Found::Conversations { entries, more: false }) =
                reader.read(&read.into())
            else {
                panic!("conversations can be read")
            };
            // Those before it have written to it, and it to those after it.
            let unread: Vec<u64> = entries.iter().map(|entry| entry.unread).collect();
            assert_eq!((unread.len(), unread.iter().sum::<u64>()), (4, 2));
        }
        // The same, whose messages have been read.
        let (database, file) = (folder.path().join("read.db"), folder.path().join("accounts of it"));
        let of_read =
            PrepareArgs { database: format!("sqlite:{}", database.display()), file, ..args.clone() };
        run(&PrepareArgs { count: 10, read: true, ..of_read.clone() }).unwrap();
        let first = &load(&of_read.file, 0, 10).unwrap()[0];
        let settings = Settings { url: StorageUrl::Sqlite(database), ..settings };
        let mut reader = storage::open(&settings).unwrap().reader().unwrap();
        let (before, limit, with_unread, with_last) = (None, 10, true, false);
        let user = first.id;
        let read = timeline::Read::Conversations { user, before, limit, with_unread, with_last };
        let Found::Timeline(timeline::Found::Conversations { entries, .. }) = reader.read(&read.into())
        else {
            panic!("conversations can be read")
        };
        assert_eq!((entries.len(), entries.iter().map(|entry| entry.unread).sum::<u64>()), (4, 0));
        for conversations in [3, 1_002] {
            assert!(run(&PrepareArgs { conversations, ..args.clone() }).is_err());
        }
        assert!(run(&PrepareArgs { database: "nonsense".to_owned(), ..args }).is_err());
    }
}
