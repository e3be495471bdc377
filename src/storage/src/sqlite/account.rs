//! Accounts.

use super::column::{self, next_id};
use super::name;
use super::store::{Batch, SqliteStore};
use super::view::View;
use crate::error::StoreError;
use crate::fault::At;
use logic::contract::account::{self, Password, Profile};
use logic::contract::{Denial, Found, Written};
use rusqlite::{OptionalExtension, Row};
use wire::UserId;
use wire::account::Who;

impl SqliteStore {
    pub(super) fn write_account(
        &mut self,
        batch: &Batch,
        write: account::Write,
    ) -> Result<Written, StoreError> {
        match write {
            account::Write::Create { name, password, nick } => {
                self.create_account(batch, &name, &password, nick.as_deref())
            }
        }
    }

    fn create_account(
        &mut self,
        batch: &Batch,
        name: &str,
        password: &str,
        nick: Option<&str>,
    ) -> Result<Written, StoreError> {
        let key = wire::name::key(name);
        if name::is_taken(&self.conn, name)? {
            return Ok(Written::Denied(Denial::NameTaken));
        }
        let sql = concat!(
            "INSERT INTO user (id, name, name_key, password, nick, created_at, last_login) VALUES (",
            next_id!("user"),
            ", ?1, ?2, ?3, ?4, ?5, ?5)"
        );
        let mut insert = self.conn.prepare_cached(sql)?;
        let id = insert.insert((name, key.as_bytes(), password, nick, batch.now.0 as i64))?;
        drop(insert);
        let user = UserId(id as u32);
        name::claim(&self.conn, user, name)?;
        let token = self.new_token(batch.now, user, None)?;
        Ok(Written::Account(account::Written::Created { user, token }))
    }
}

impl View<'_> {
    pub(super) fn read_account(&self, read: &account::Read) -> Result<Found, StoreError> {
        let found = match read {
            account::Read::Password(who) => {
                account::Found::Password(self.password(who).at("user", key_of(who))?)
            }
            account::Read::Profile { user, who } => {
                let profile = self.profile(*user, who).at("user", key_of(who))?;
                account::Found::Profile(profile.map(Box::new))
            }
        };
        Ok(Found::Account(found))
    }

    fn password(&self, who: &Who) -> Result<Option<Password>, StoreError> {
        let account = |row: &Row<'_>| Ok(Password { user: UserId(row.get(0)?), hash: row.get(1)? });
        let Some(user) = self.user(who)? else { return Ok(None) };
        let mut select = self.conn.prepare_cached("SELECT id, password FROM user WHERE id = ?1")?;
        Ok(select.query_row([user.0], account).optional()?)
    }

    fn profile(&self, user: UserId, who: &Who) -> Result<Option<Profile>, StoreError> {
        const SQL: &str = "SELECT id, name, nick, created_at, \
                               EXISTS (SELECT 1 FROM friend WHERE user_id = ?1 AND friend_id = id) FROM user \
                           WHERE id = ?2";
        let profile = |row: &Row<'_>| {
            Ok(Profile {
                user: UserId(row.get(0)?),
                name: row.get(1)?,
                nick: row.get(2)?,
                created: column::time(row, 3)?,
                is_friend: row.get(4)?,
            })
        };
        let Some(other) = self.user(who)? else { return Ok(None) };
        let mut select = self.conn.prepare_cached(SQL)?;
        Ok(select.query_row((user.0, other.0), profile).optional()?)
    }

    /// The id of an account; one that is given by its id may not exist.
    fn user(&self, who: &Who) -> rusqlite::Result<Option<UserId>> {
        match who {
            Who::Id(id) => Ok(Some(*id)),
            Who::Name(name) => name::find(self.conn, name),
        }
    }
}

/// The key of an account's row, for the log.
pub(super) fn key_of(who: &Who) -> String {
    match who {
        Who::Id(id) => id.to_string(),
        Who::Name(name) => format!("`{}`", wire::name::key(name)),
    }
}
