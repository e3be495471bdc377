//! Where the stores lie: `$XDG_DATA_HOME/chatclient`, one file for each account of each server.

use crate::{Store, StoreError};
use std::env;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use wire::UserId;

/// The folder of stores, as seen by a client of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
    /// The server's address as a file name takes it.
    server: String,
}

/// An account that can be gone on with, without a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAccount {
    pub id: UserId,
    pub name: String,
    /// When it was used last, Unix milliseconds.
    pub used_at: i64,
}

impl Folder {
    /// The user's folder (XDG Base Directory Specification 0.8); `None` where there is no home.
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

    /// Where lines are remembered that were typed.
    pub fn input_history(&self) -> PathBuf {
        self.path.join("input_history")
    }

    /// Opens an account's store, or makes it.
    pub fn open(&self, account: UserId) -> Result<Store, StoreError> {
        let make = DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        make.map_err(|source| StoreError::Folder { path: self.path.clone(), source })?;
        Store::open(&self.path.join(format!("{}_{account}.db", self.server)), account)
    }

    /// The accounts of this server that can be gone on with, the latest first. One that is in use elsewhere, or cannot be
    /// read, is none.
    pub fn accounts(&self) -> Vec<KeptAccount> {
        let Ok(files) = fs::read_dir(&self.path) else { return Vec::new() };
        let id = |name: &str| {
            let id = name.strip_prefix(&self.server)?.strip_prefix('_')?.strip_suffix(".db")?;
            id.parse().ok().map(UserId)
        };
        let ids = files.flatten().filter_map(|file| id(file.file_name().to_str()?));
        let mut accounts: Vec<_> =
            ids.filter_map(|id| self.open(id).ok()?.kept_account().ok().flatten()).collect();
        accounts.sort_by_key(|account| std::cmp::Reverse(account.used_at));
        accounts
    }
}
