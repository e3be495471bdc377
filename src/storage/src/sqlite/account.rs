//! Accounts and their tokens.

use super::super::StoreError;
use super::super::token;
use super::{Batch, SqliteStore};
use logic::contract::{Denial, Token, TokenHash, Written, account, session};
use rusqlite::OptionalExtension;
use std::sync::Arc;
use wire::{UnixMillis, UserId};

impl SqliteStore {
    /// Carries out [`logic::contract::account::Write::Create`].
    pub(super) fn create_account(
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

    /// Carries out [`logic::contract::session::Write::CreateToken`].
    pub(super) fn create_token(
        &mut self,
        batch: &Batch,
        user: UserId,
        device: Option<&str>,
    ) -> Result<Written, StoreError> {
        let Some(name) = self.logged_in(batch.now, user)? else {
            return Ok(Written::Denied(Denial::NotFound));
        };
        let token = self.new_token(batch.now, user, device)?;
        Ok(Written::Session(session::Written::TokenReady { user, name, token }))
    }

    /// Carries out [`logic::contract::session::Write::ExtendToken`].
    pub(super) fn extend_token(&mut self, batch: &Batch, text: Box<str>) -> Result<Written, StoreError> {
        let (now, token) = (batch.now, token::with_text(text, batch.now));
        let sql = "SELECT user_id, expires_at, name FROM token JOIN user ON id = user_id \
                   WHERE hash = ?1 AND expires_at > ?2";
        let mut select = self.conn.prepare_cached(sql)?;
        let found: Option<(u32, i64, String)> =
            select.query_row((token.hash, now.0 as i64), |row| row.try_into()).optional()?;
        let Some((user, expires, name)) = found else { return Ok(Written::Denied(Denial::TokenInvalid)) };
        let (user, name, expires) = (UserId(user), name.into(), UnixMillis(expires as u64));
        if token::is_fresh(expires, now) {
            return Ok(Written::Session(session::Written::TokenReady {
                user,
                name,
                token: Token { expires, ..token },
            }));
        }
        let sql = "UPDATE token SET expires_at = ?2 WHERE hash = ?1";
        self.conn.prepare_cached(sql)?.execute((token.hash, token.expires.0 as i64))?;
        self.logged_in(now, user)?;
        Ok(Written::Session(session::Written::TokenReady { user, name, token }))
    }

    /// Carries out [`logic::contract::session::Write::RevokeToken`].
    pub(super) fn revoke_token(&mut self, hash: TokenHash) -> Result<Written, StoreError> {
        self.conn.prepare_cached("DELETE FROM token WHERE hash = ?1")?.execute([hash])?;
        Ok(Written::Done)
    }

    /// Forgets expired tokens; at most `limit`, gives how many.
    pub(super) fn prune_tokens(&self, now: UnixMillis, limit: u32) -> Result<usize, StoreError> {
        let sql = "DELETE FROM token WHERE hash IN (SELECT hash FROM token WHERE expires_at <= ?1 LIMIT ?2)";
        Ok(self.conn.prepare_cached(sql)?.execute((now.0 as i64, limit))?)
    }

    fn new_token(
        &mut self,
        now: UnixMillis,
        user: UserId,
        device: Option<&str>,
    ) -> Result<Token, StoreError> {
        let token = token::make(&mut self.random, now);
        let sql = "INSERT INTO token (hash, user_id, device, expires_at) VALUES (?1, ?2, ?3, ?4)";
        self.conn.prepare_cached(sql)?.execute((token.hash, user.0, device, token.expires.0 as i64))?;
        Ok(token)
    }

    /// Notes a login; gives the account's name.
    fn logged_in(&self, now: UnixMillis, user: UserId) -> Result<Option<Arc<str>>, StoreError> {
        let sql = "UPDATE user SET last_login = ?2 WHERE id = ?1 RETURNING name";
        let mut update = self.conn.prepare_cached(sql)?;
        let name: Option<String> = update.query_row((user.0, now.0 as i64), |row| row.get(0)).optional()?;
        Ok(name.map(Arc::from))
    }
}
