//! The table `account`: one row with the login and what the program was last used for.

use crate::database::{Store, StoreError, wall_clock};
use chatclient_core::Snapshot;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use wire::account::Who;
use wire::session::LoggedIn;
use wire::{ConversationId, UserId};

/// An account that can be used again without a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAccount {
    pub id: UserId,
    pub name: String,
    /// The time of the last login, Unix milliseconds.
    pub used_at: i64,
}

impl Store {
    pub fn account(&self) -> UserId {
        self.account
    }

    /// The account, if the store has a token and a name.
    pub fn stored_account(&self) -> Result<Option<StoredAccount>, StoreError> {
        let found = self.db.query_row(
            "SELECT name, used_at FROM account WHERE id = ?1 AND token IS NOT NULL AND name <> ''",
            [self.account.0],
            |row| Ok(StoredAccount { id: self.account, name: row.get(0)?, used_at: row.get(1)? }),
        );
        found.optional().map_err(|error| self.failure(&error))
    }

    /// The identity of the server whose account this is, if it is known.
    pub fn server(&self) -> Result<Option<String>, StoreError> {
        let server = self.db.query_row("SELECT server FROM account", [], |row| row.get(0));
        server.map_err(|error| self.failure(&error))
    }

    /// The token of the account's last login, also after a logout, if the store is of this user.
    pub fn known_token(&self, who: &Who) -> Result<Option<String>, StoreError> {
        let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?));
        let found = self.db.query_row("SELECT name, known FROM account", [], row);
        let (name, known) = found.map_err(|error| self.failure(&error))?;
        let is_theirs = match who {
            Who::Id(id) => *id == self.account,
            Who::Name(text) => wire::name::key(text) == wire::name::key(&name),
        };
        Ok(known.filter(|_| is_theirs))
    }

    /// The conversation that was open last.
    pub fn current(&self) -> Result<Option<ConversationId>, StoreError> {
        let current =
            self.db.query_row("SELECT current FROM account", [], |row| row.get::<_, Option<u32>>(0));
        current.map(|id| id.map(ConversationId)).map_err(|error| self.failure(&error))
    }

    pub fn set_current(&mut self, conversation: Option<ConversationId>) -> Result<(), StoreError> {
        let current = conversation.map(|id| id.0);
        let done = self.db.execute("UPDATE account SET current = ?1", [current]);
        done.map(|_| ()).map_err(|error| self.failure(&error))
    }
}

pub(crate) fn write_login(t: &Transaction<'_>, login: &LoggedIn) -> rusqlite::Result<()> {
    t.execute("UPDATE account SET name = ?1, used_at = ?2", params![login.name, wall_clock()])?;
    Ok(())
}

pub(crate) fn write_changes(t: &Transaction<'_>, changes: &Snapshot) -> rusqlite::Result<()> {
    let Snapshot { token, next_number, server, history, .. } = changes;
    t.prepare_cached(
        "UPDATE account SET token = ?1, known = coalesce(?1, known), next_number = max(next_number, ?2), server = ?3, \
         history = ?4",
    )?
    .execute(params![token, *next_number as i64, server, history])?;
    Ok(())
}
