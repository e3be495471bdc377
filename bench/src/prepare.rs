//! Writes accounts with tokens straight into a database, through the server's own store.
//!
//! Registering through a server costs an Argon2 hash each, 79 a second; these all have one password and one hash of it.

use crate::accounts::{Account, names, save};
use crate::args::PrepareArgs;
use crate::error::Error;
use chatserver::args::Args as ServerArgs;
use chatserver::config::{Config, StorageUrl};
use chatserver::{password, storage};
use clap::Parser;
use indicatif::ProgressBar;
use logic::{Ticket, Write, Written};

/// Accounts of one transaction.
const BATCH: usize = 1_000;
/// The password of all of them.
const PASSWORD: &str = "password of all";

/// Writes the accounts and the file that names them.
pub fn run(args: &PrepareArgs) -> Result<(), Error> {
    let usage = |error: &dyn std::fmt::Display| Error::Usage(error.to_string());
    // Read as the server reads it, so that what it would take is taken here.
    let setting = format!("--set=storage.url={}", args.database);
    let server = ServerArgs::try_parse_from(["chatserver", &setting]).map_err(|error| usage(&error))?;
    let config = Config::load(&server).map_err(|error| usage(&error))?;
    let StorageUrl::Sqlite(path) = &config.storage.url;
    let hash = password::hash(PASSWORD, args.password_memory_kib, args.password_iterations);
    let hash = hash.map_err(|error| usage(&error))?;
    let mut store = storage::open(path).map_err(|error| usage(&error))?;

    let names = names(&args.prefix, args.count);
    let bar = ProgressBar::new(names.len() as u64);
    let mut accounts = Vec::with_capacity(names.len());
    for batch in names.chunks(BATCH) {
        let create = |name: &String| Write::CreateAccount {
            name: name.as_str().into(),
            password: hash.clone(),
            nick: None,
        };
        let writes = (0..).map(Ticket).zip(batch.iter().map(create)).collect();
        let mut written = Vec::new();
        store.write(writes, &mut |outcomes| written = outcomes).map_err(|error| usage(&error))?;
        for ((_, outcome), name) in written.into_iter().zip(batch) {
            let Written::AccountCreated { user, token } = outcome else {
                return Err(Error::Usage(format!("the account {name} could not be made: {outcome:?}")));
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
    save(&args.file, &accounts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::load;

    #[test]
    fn accounts_are_in_the_database_and_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (database, file) = (folder.path().join("chat.db"), folder.path().join("accounts"));
        let args = PrepareArgs {
            database: format!("sqlite:{}", database.display()),
            count: 1_001,
            file: file.clone(),
            prefix: "p".to_owned(),
            password_memory_kib: 8,
            password_iterations: 1,
        };
        run(&args).unwrap();
        let accounts = load(&file, 0, 1_001).unwrap();
        let mut store = storage::open(&database).unwrap();
        // The database knows the last of them by its token.
        let last = &accounts[1_000];
        let extend = Write::ExtendToken { token: last.token.clone() };
        let mut found = None;
        store.write(vec![(Ticket(1), extend)], &mut |written| found = written.into_iter().next()).unwrap();
        match found {
            Some((_, Written::TokenReady { user, name, .. })) => {
                assert_eq!((user, &*name), (last.id, &*last.name));
            }
            other => panic!("{other:?}"),
        }
        assert!(run(&PrepareArgs { database: "nonsense".to_owned(), ..args }).is_err());
    }
}
