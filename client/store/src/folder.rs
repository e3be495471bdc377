//! [`Folder`]: where the stores are, `$XDG_DATA_HOME/chatclient`, one file per account and server.

use crate::account::StoredAccount;
use crate::database::{Store, StoreError};
use std::collections::BTreeSet;
use std::env;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use wire::UserId;
use wire::account::Who;

/// The characters of a server's identity in the name of a store.
const SERVER_CHARS: usize = 32;

/// The folder of all stores, and the server whose stores are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
    /// The server's address, reduced to characters that a file name may contain.
    server: String,
}

impl Folder {
    /// The user's folder (XDG Base Directory Specification 0.8); `None` without a home directory.
    pub fn of_user(server: &str) -> Option<Folder> {
        let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let data =
            absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
        data.map(|data| Folder::new(data.join("chatclient"), server))
    }

    pub fn new(path: impl Into<PathBuf>, server: &str) -> Folder {
        Folder { path: path.into(), server: server.to_lowercase().chars().map(plain_char).collect() }
    }

    /// The file with the history of typed lines.
    pub fn input_history(&self) -> PathBuf {
        self.path.join("input_history")
    }

    /// Notes that this server was reached with TLS, so that no login is sent to it without.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn require_tls(&self) -> Result<(), StoreError> {
        self.create()?;
        let write = fs::write(self.tls_mark(), "");
        write.map_err(|source| StoreError::Folder { path: self.path.clone(), source })
    }

    /// Whether this server was reached with TLS before.
    pub fn requires_tls(&self) -> bool {
        self.tls_mark().exists()
    }

    /// The file that says so. Removing it allows connections without TLS again.
    pub fn tls_mark(&self) -> PathBuf {
        self.path.join(format!("{}.tls", self.server))
    }

    fn create(&self) -> Result<(), StoreError> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        created.map_err(|source| StoreError::Folder { path: self.path.clone(), source })
    }

    /// Opens an account's store, or creates it. The ids of accounts are a server's own, so another server at the same
    /// address has stores of its own.
    ///
    /// `server`: the server's identity; `None`: the server that the account was last used at.
    pub fn open(&self, account: UserId, server: Option<&str>) -> Result<Store, StoreError> {
        self.create()?;
        let Some(server) = server else {
            let known = self.stores().into_iter().filter(|(id, _)| *id == account);
            let last = known
                .filter_map(|(_, path)| fs::metadata(&path).ok().map(|found| (found.modified().ok(), path)));
            let path = last.max().map_or_else(|| self.first_path(account), |(_, path)| path);
            return Store::open(&path, account);
        };
        let other = self.path.join(format!("{}_{account}_{}.db", self.server, plain(server)));
        if !other.exists() {
            // The first server that says who it is keeps the store that was there before.
            let first = Store::open(&self.first_path(account), account)?;
            if first.server()?.is_none_or(|known| known == server) {
                return Ok(first);
            }
        }
        Store::open(&other, account)
    }

    /// The accounts of this server that can be used without a password, the latest first. Stores that are in use
    /// elsewhere or unreadable are left out.
    pub fn accounts(&self) -> Vec<StoredAccount> {
        let stored =
            |(id, path): (UserId, PathBuf)| Store::open(&path, id).ok()?.stored_account().ok().flatten();
        let mut accounts: Vec<StoredAccount> = self.stores().into_iter().filter_map(stored).collect();
        accounts.sort_by_key(|account| std::cmp::Reverse(account.used_at));
        let mut seen = BTreeSet::new();
        accounts.retain(|account| seen.insert(account.id));
        accounts
    }

    /// The token of the last login of an account of this server, also after a logout.
    pub fn known_token(&self, who: &Who) -> Option<String> {
        let known =
            |(id, path): (UserId, PathBuf)| Store::open(&path, id).ok()?.known_token(who).ok().flatten();
        self.stores().into_iter().find_map(known)
    }

    fn first_path(&self, account: UserId) -> PathBuf {
        self.path.join(format!("{}_{account}.db", self.server))
    }

    /// Every store of this address, with its account.
    fn stores(&self) -> Vec<(UserId, PathBuf)> {
        let Ok(files) = fs::read_dir(&self.path) else { return Vec::new() };
        let id = |name: &str| {
            let name = name.strip_prefix(&self.server)?.strip_prefix('_')?.strip_suffix(".db")?;
            let (id, _) = name.split_once('_').unwrap_or((name, ""));
            id.parse().ok().map(UserId)
        };
        let ids = files.flatten().filter_map(|file| Some((id(file.file_name().to_str()?)?, file.path())));
        ids.collect()
    }
}

/// Reduced to characters that a file name may contain.
fn plain(text: &str) -> String {
    text.chars().map(plain_char).take(SERVER_CHARS).collect()
}

fn plain_char(c: char) -> char {
    if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' }
}
