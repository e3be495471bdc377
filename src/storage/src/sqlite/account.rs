//! Accounts.

use super::store::{Batch, SqliteStore};
use super::view::View;
use crate::error::StoreError;
use logic::contract::account::{self, Password, Profile};
use logic::contract::{Denial, Found, Written};
use rusqlite::{OptionalExtension, Row};
use wire::account::Who;
use wire::{UnixMillis, UserId};

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
        if self.conn.prepare_cached("SELECT 1 FROM user WHERE name_key = ?1")?.exists([key.as_bytes()])? {
            return Ok(Written::Denied(Denial::NameTaken));
        }
        let sql = "INSERT INTO user (name, name_key, password, nick, created_at, last_login) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?5)";
        let mut insert = self.conn.prepare_cached(sql)?;
        let id = insert.insert((name, key.as_bytes(), password, nick, batch.now.0 as i64))?;
        drop(insert);
        let user = UserId(id as u32);
        let token = self.new_token(batch.now, user, None)?;
        Ok(Written::Account(account::Written::Created { user, token }))
    }
}

impl View<'_> {
    pub(super) fn read_account(&self, read: &account::Read) -> Result<Found, StoreError> {
        let found = match read {
            account::Read::Password(who) => account::Found::Password(self.password(who)?),
            account::Read::Profile { user, who } => {
                account::Found::Profile(self.profile(*user, who)?.map(Box::new))
            }
        };
        Ok(Found::Account(found))
    }

    fn password(&self, who: &Who) -> Result<Option<Password>, StoreError> {
        let account = |row: &Row<'_>| Ok(Password { user: UserId(row.get(0)?), hash: row.get(1)? });
        Ok(match who {
            Who::Id(id) => {
                let mut select = self.conn.prepare_cached("SELECT id, password FROM user WHERE id = ?1")?;
                select.query_row([id.0], account).optional()?
            }
            Who::Name(name) => {
                let sql = "SELECT id, password FROM user WHERE name_key = ?1";
                let mut select = self.conn.prepare_cached(sql)?;
                select.query_row([wire::name::key(name).as_bytes()], account).optional()?
            }
        })
    }

    fn profile(&self, user: UserId, who: &Who) -> Result<Option<Profile>, StoreError> {
        const COLUMNS: &str = "SELECT id, name, nick, created_at, \
                               EXISTS (SELECT 1 FROM friend WHERE user_id = ?1 AND friend_id = id) FROM user";
        let profile = |row: &Row<'_>| {
            Ok(Profile {
                user: UserId(row.get(0)?),
                name: row.get(1)?,
                nick: row.get(2)?,
                created: UnixMillis(row.get::<_, i64>(3)? as u64),
                is_friend: row.get(4)?,
            })
        };
        Ok(match who {
            Who::Id(id) => {
                let mut select = self.conn.prepare_cached(&format!("{COLUMNS} WHERE id = ?2"))?;
                select.query_row((user.0, id.0), profile).optional()?
            }
            Who::Name(name) => {
                let mut select = self.conn.prepare_cached(&format!("{COLUMNS} WHERE name_key = ?2"))?;
                select.query_row((user.0, wire::name::key(name).as_bytes()), profile).optional()?
            }
        })
    }
}
