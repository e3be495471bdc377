//! Accounts.

use super::column::{self, next_id, undamaged};
use super::name;
use super::store::{Batch, SqliteStore};
use super::view::View;
use crate::error::StoreError;
use crate::fault::At;
use crate::networks;
use crate::token::{self, KeptClient, OfRegister};
use logic::contract::account::{self, Credentials, Login, PasswordChange, Profile};
use logic::contract::contact::Notes;
use logic::contract::session::Revoked;
use logic::contract::{Denial, Found, Tokens, Written};
use rusqlite::{OptionalExtension, Row};
use wire::UserId;
use wire::account::{Find, FoundUser, FoundUsers, Who};
use wire::session::KickCode;

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
            account::Write::ChangePassword(change) => self.change_password(batch, &change),
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
        let token = self.new_token(batch.now, user, &KeptClient::default(), OfRegister::Unused)?;
        Ok(Written::Account(account::Written::Created { user, token }))
    }
}

impl SqliteStore {
    fn change_password(&self, batch: &Batch, change: &PasswordChange) -> Result<Written, StoreError> {
        let PasswordChange { user, old, new, token } = change;
        let sql = "SELECT password FROM user WHERE id = ?1";
        let password = self.conn.prepare_cached(sql)?.query_row([user.0], |row| row.get(0)).optional();
        let password: Option<Box<str>> = password.at("user", user)?;
        match password {
            None => return Ok(Written::Denied(Denial::NotFound)),
            // Made already.
            Some(password) if password == *new => {
                let revoked = Revoked {
                    tokens: Tokens::AllBut(*token),
                    ended: Vec::new(),
                    is_gone: false,
                    changes_status: false,
                };
                return Ok(Written::Account(account::Written::PasswordChanged(Box::new(revoked))));
            }
            Some(password) if password != *old => return Ok(Written::Denied(Denial::Conflict)),
            Some(_) => {}
        }
        let sql = "UPDATE user SET password = ?2, password_by = ?3 WHERE id = ?1";
        self.conn.prepare_cached(sql)?.execute((user.0, &**new, token))?;
        let revoked = self.revoke_tokens(batch.now, *user, Tokens::AllBut(*token), KickCode::Password)?;
        Ok(Written::Account(account::Written::PasswordChanged(Box::new(revoked))))
    }
}

impl View<'_> {
    pub(super) fn read_account(&self, read: &account::Read) -> Result<Found, StoreError> {
        let found = match read {
            account::Read::Id(who) => account::Found::Id(self.id_of(who).at("user", key_of(who))?),
            account::Read::Credentials(login) => {
                let found = self.credentials(login).at("user", key_of(&login.who))?;
                account::Found::Credentials(found.map(Box::new))
            }
            account::Read::Profile { user, who } => {
                let profile = self.profile(*user, who).at("user", key_of(who))?;
                account::Found::Profile(profile.map(Box::new))
            }
            account::Read::Find(find) => {
                account::Found::Users(self.find_users(find).at("user", &find.query)?)
            }
        };
        Ok(Found::Account(found))
    }

    fn id_of(&self, who: &Who) -> Result<Option<UserId>, StoreError> {
        let Some(user) = self.user(who)? else { return Ok(None) };
        let exists = self.conn.prepare_cached("SELECT 1 FROM user WHERE id = ?1")?.exists([user.0])?;
        Ok(exists.then_some(user))
    }

    fn credentials(&self, login: &Login) -> Result<Option<Credentials>, StoreError> {
        // Looked up whether or not there is such an account, so that the time taken does not tell.
        let known = match &login.known {
            Some(text) => {
                let hash = token::hash(text);
                let mut select = self.conn.prepare_cached("SELECT user_id FROM token WHERE hash = ?1")?;
                select.query_row([hash], |row| Ok((UserId(row.get(0)?), hash))).optional()?
            }
            None => None,
        };
        let Some(user) = self.user(&login.who)? else { return Ok(None) };
        let mut select =
            self.conn.prepare_cached("SELECT password, networks, password_by FROM user WHERE id = ?1")?;
        let found = select.query_row([user.0], |row| {
            let networks: Option<Vec<u8>> = row.get(1)?;
            Ok(Credentials {
                user,
                hash: row.get(0)?,
                is_familiar: networks::contain(&networks.unwrap_or_default(), login.network),
                known: known.filter(|(owner, _)| *owner == user).map(|(_, hash)| hash),
                changed_by: row.get(2)?,
            })
        });
        Ok(found.optional()?)
    }

    fn profile(&self, user: UserId, who: &Who) -> Result<Option<Profile>, StoreError> {
        const SQL: &str = "SELECT u.id, u.name, u.nick, u.created_at, f.friend_id, f.remark, f.tag FROM user u \
                               LEFT JOIN friend f ON f.user_id = ?1 AND f.friend_id = u.id \
                           WHERE u.id = ?2";
        let profile = |row: &Row<'_>| {
            Ok(Profile {
                user: UserId(row.get(0)?),
                name: row.get(1)?,
                nick: row.get(2)?,
                created: column::time(row, 3)?,
                friend: match row.get::<_, Option<u32>>(4)? {
                    Some(_) => Some(Notes { remark: row.get(5)?, tag: row.get(6)? }),
                    None => None,
                },
            })
        };
        let Some(other) = self.user(who)? else { return Ok(None) };
        let mut select = self.conn.prepare_cached(SQL)?;
        Ok(select.query_row((user.0, other.0), profile).optional()?)
    }

    fn find_users(&self, find: &Find) -> Result<FoundUsers, StoreError> {
        let user =
            |row: &Row<'_>| Ok(FoundUser { id: UserId(row.get(0)?), name: row.get(1)?, nick: row.get(2)? });
        let mut users = Vec::new();
        if let Some(id) = find.id() {
            let mut select = self.conn.prepare_cached("SELECT id, name, nick FROM user WHERE id = ?1")?;
            users.extend(select.query_row([id.0], user).optional()?);
        }
        if let Some(keys) = find.keys() {
            let sql = "SELECT id, name, nick FROM user WHERE name_key >= ?1 AND name_key < ?2 AND id <> ?3 \
                       ORDER BY name_key LIMIT ?4";
            let mut select = self.conn.prepare_cached(sql)?;
            let known = users.first().map_or(0, |user| user.id.0);
            let mut rows = select.query((keys.start, keys.end, known, find.limit + 1))?;
            users.extend(undamaged("user", &mut rows, user)?.0);
        }
        let more = users.len() > find.limit as usize;
        users.truncate(find.limit as usize);
        Ok(FoundUsers { users, more })
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
