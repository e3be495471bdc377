//! The settings of storage: which database to use and how to log in to it.

use crate::database::{Database, without_password};
use logic::contract::Quotas;
use std::fmt;
use std::path::PathBuf;
use tls::Trust;

/// The configuration of storage.
#[derive(Clone)]
pub struct Settings {
    pub url: StorageUrl,
    /// The password of a database server, if it is not in the URL.
    pub password: Option<String>,
    /// Connects to a database server with TLS, by these authorities; `None`: in plain text.
    pub trust: Option<Trust>,
    /// Whether to use a database server that may lose acknowledged messages when its machine fails.
    pub accept_weak_durability: bool,
    /// How many whole months are kept before the current one; 0: all.
    pub retention_months: u32,
    pub quotas: Quotas,
}

/// Where messages and accounts are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageUrl {
    /// `sqlite:PATH`: an embedded database in this file, relative to the working directory; created if it is missing.
    Sqlite(PathBuf),
    /// `mysql://user:password@host:port/database`: a MySQL or MariaDB server.
    Mysql(Database),
}

impl StorageUrl {
    /// Parses a URL. An error reads as a predicate of the configuration key.
    pub fn parse(url: &str) -> Result<StorageUrl, String> {
        if let Some(rest) = url.strip_prefix("mysql://") {
            return Database::read(rest).map(StorageUrl::Mysql);
        }
        let Some(path) = url.strip_prefix("sqlite:") else {
            let url = without_password(url);
            return Err(format!(
                "must be `sqlite:PATH` or `mysql://user:password@host:port/database`, not `{url}`"
            ));
        };
        match path {
            "" => Err("lacks the path after `sqlite:`".to_owned()),
            ":memory:" => Err("must name a file: what is kept in memory alone is lost at the end".to_owned()),
            _ if path.starts_with("//") => {
                Err(format!("has a path that begins with `//`: write `sqlite:{}`", &path[2..]))
            }
            _ if path.contains('\0') => Err("has a path with U+0000 in it".to_owned()),
            _ => Ok(StorageUrl::Sqlite(PathBuf::from(path))),
        }
    }
}

impl StorageUrl {
    /// Where the data is, for operators: a path, or a server's database.
    pub fn data(&self) -> String {
        match self {
            StorageUrl::Sqlite(path) => path.display().to_string(),
            StorageUrl::Mysql(database) => database.to_string(),
        }
    }
}

impl fmt::Display for StorageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StorageUrl::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            StorageUrl::Mysql(database) => write!(f, "{database}"),
        }
    }
}
