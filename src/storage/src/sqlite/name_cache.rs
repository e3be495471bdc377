//! The names of users, kept in memory: they never change.

use foldhash::HashMap;
use rusqlite::{Connection, OptionalExtension};
use std::sync::Arc;
use wire::UserId;

/// NameCache that are kept at most.
const NAMES_MAX: usize = 1 << 16;

/// The names that were asked for.
#[derive(Debug, Default)]
pub struct NameCache {
    names: HashMap<UserId, Arc<str>>,
}

impl NameCache {
    /// The name of an account; empty where there is none.
    pub fn get(&mut self, conn: &Connection, user: UserId) -> rusqlite::Result<Arc<str>> {
        if let Some(name) = self.names.get(&user) {
            return Ok(Arc::clone(name));
        }
        let mut select = conn.prepare_cached("SELECT name FROM user WHERE id = ?1")?;
        let name: Option<String> = select.query_row([user.0], |row| row.get(0)).optional()?;
        let Some(name) = name else { return Ok(Arc::from("")) };
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        let name: Arc<str> = name.into();
        self.names.insert(user, Arc::clone(&name));
        Ok(name)
    }
}
