//! A cache of users' names, which never change.

use crate::error::StoreError;
use crate::fault::{self, At};
use foldhash::HashMap;
use rusqlite::{Connection, OptionalExtension};
use std::sync::Arc;
use wire::UserId;

/// The number of names that are kept.
const NAMES_MAX: usize = 1 << 16;

#[derive(Debug, Default)]
pub struct NameCache {
    names: HashMap<UserId, Arc<str>>,
}

impl NameCache {
    /// The name of an account; empty: there is no such account, or its row is damaged.
    pub fn get(&mut self, conn: &Connection, user: UserId) -> Result<Arc<str>, StoreError> {
        if let Some(name) = self.names.get(&user) {
            return Ok(Arc::clone(name));
        }
        let mut select = conn.prepare_cached("SELECT name FROM user WHERE id = ?1")?;
        let found: rusqlite::Result<Option<String>> = select.query_row([user.0], |row| row.get(0)).optional();
        // The messages of this account and its conversations can be read without its name.
        let name = fault::tolerate(found.at("user", user))?.flatten();
        let Some(name) = name else { return Ok(Arc::from("")) };
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        let name: Arc<str> = name.into();
        self.names.insert(user, Arc::clone(&name));
        Ok(name)
    }
}
