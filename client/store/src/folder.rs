//! [`Folder`]: where the stores are, `$XDG_DATA_HOME/chatclient`, one file per account and server.

use crate::account::StoredAccount;
use crate::database::{Store, StoreError};
use std::env;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use wire::UserId;

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
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' };
        Folder { path: path.into(), server: server.to_lowercase().chars().map(plain).collect() }
    }

    /// The file with the history of typed lines.
    pub fn input_history(&self) -> PathBuf {
        self.path.join("input_history")
    }

    /// Opens an account's store, or creates it.
    pub fn open(&self, account: UserId) -> Result<Store, StoreError> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        created.map_err(|source| StoreError::Folder { path: self.path.clone(), source })?;
        Store::open(&self.path.join(format!("{}_{account}.db", self.server)), account)
    }

    /// The accounts of this server that can be used without a password, the latest first. Stores that are in use
    /// elsewhere or unreadable are left out.
    pub fn accounts(&self) -> Vec<StoredAccount> {
        let Ok(files) = fs::read_dir(&self.path) else { return Vec::new() };
        let id = |name: &str| {
            let id = name.strip_prefix(&self.server)?.strip_prefix('_')?.strip_suffix(".db")?;
            id.parse().ok().map(UserId)
        };
        let ids = files.flatten().filter_map(|file| id(file.file_name().to_str()?));
        let mut accounts: Vec<_> =
            ids.filter_map(|id| self.open(id).ok()?.stored_account().ok().flatten()).collect();
        accounts.sort_by_key(|account| std::cmp::Reverse(account.used_at));
        accounts
    }
}
