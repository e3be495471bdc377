//! Clients without a session: whom a token logs in, and whether it still does.

use super::column;
use super::store::{Batch, SqliteStore};
use super::view::View;
use crate::error::StoreError;
use crate::fault::At;
use crate::token::{self, OfRegister};
use logic::contract::TokenHash;
use logic::contract::session::Holder;
use rusqlite::OptionalExtension;
use wire::UserId;

impl SqliteStore {
    /// Whether a token logs in. Of writes that are executed one after the other, those behind its end see that it has ended.
    pub(super) fn is_token_in_force(&self, batch: &Batch, token: &TokenHash) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM token WHERE hash = ?1 AND expires_at > ?2";
        Ok(self.conn.prepare_cached(sql)?.exists((token, batch.now.0 as i64))?)
    }
}

impl View<'_> {
    pub(super) fn holder(&self, text: &str) -> Result<Option<Holder>, StoreError> {
        let token = token::hash(text);
        let sql = "SELECT u.id, u.name, t.expires_at, t.of_register FROM token t JOIN user u ON u.id = t.user_id \
                   WHERE t.hash = ?1 AND t.expires_at > ?2";
        let mut select = self.conn.prepare_cached(sql)?;
        let found = select.query_row((token, self.now.0 as i64), |row| {
            let (name, of_register): (String, i64) = (row.get(1)?, row.get(3)?);
            let is_fresh =
                of_register == OfRegister::No as i64 && token::is_fresh(column::time(row, 2)?, self.now);
            Ok(Holder { user: UserId(row.get(0)?), name: name.into(), token, is_stale: !is_fresh })
        });
        found.optional().at("token", "of an account")
    }
}
