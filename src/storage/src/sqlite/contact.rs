//! Friends.

use super::account::key_of;
use super::column::{self, undamaged};
use super::store::{Batch, SqliteStore};
use super::view::View;
use crate::account_usage::Charge;
use crate::error::StoreError;
use crate::fault::At;
use crate::page::Rows;
use logic::contract::contact::{self, Friend, Notes};
use logic::contract::{Denial, Found, Written};
use rusqlite::{OptionalExtension, Row};
use wire::account::Who;
use wire::{Page, UserId};

impl SqliteStore {
    pub(super) fn write_contact(
        &mut self,
        batch: &Batch,
        write: contact::Write,
    ) -> Result<Written, StoreError> {
        match write {
            contact::Write::Add { user, who } => self.add_friend(batch, user, &who).at("user", key_of(&who)),
            contact::Write::Remove { user, friend } => self.remove_friend(user, friend).at("friend", user),
            contact::Write::Set { user, friend, remark, tag } => {
                self.set_friend(user, friend, remark.as_deref(), tag.as_deref()).at("friend", user)
            }
        }
    }

    fn remove_friend(&self, user: UserId, friend: UserId) -> Result<Written, StoreError> {
        let sql = "DELETE FROM friend WHERE (user_id = ?1 AND friend_id = ?2) OR (user_id = ?2 AND friend_id = ?1) \
                   RETURNING user_id, has_added";
        let mut delete = self.conn.prepare_cached(sql)?;
        let removed = delete.query_map((user.0, friend.0), |row| Ok((UserId(row.get(0)?), row.get(1)?)))?;
        let removed: Vec<(UserId, bool)> = removed.collect::<rusqlite::Result<_>>()?;
        if removed.is_empty() {
            return Ok(Written::Denied(Denial::NotFound));
        }
        for (adder, _) in removed.iter().filter(|(_, has_added)| *has_added) {
            self.refund_friend(*adder)?;
        }
        Ok(Written::Done)
    }

    fn set_friend(
        &self,
        user: UserId,
        friend: UserId,
        remark: Option<&str>,
        tag: Option<&str>,
    ) -> Result<Written, StoreError> {
        let sql = "UPDATE friend SET remark = CASE WHEN ?3 IS NULL THEN remark ELSE nullif(?3, '') END, \
                                     tag = CASE WHEN ?4 IS NULL THEN tag ELSE nullif(?4, '') END \
                   WHERE user_id = ?1 AND friend_id = ?2";
        match self.conn.prepare_cached(sql)?.execute((user.0, friend.0, remark, tag))? {
            0 => Ok(Written::Denied(Denial::NotFound)),
            _ => Ok(Written::Done),
        }
    }

    fn add_friend(&mut self, batch: &Batch, user: UserId, who: &Who) -> Result<Written, StoreError> {
        let peer = match who {
            Who::Id(id) => Some(*id),
            Who::Name(name) => self.cache.user(&self.conn, name)?,
        };
        let Some(peer) = peer else { return Ok(Written::Denied(Denial::NotFound)) };
        if peer == user {
            return Ok(Written::Denied(Denial::Oneself));
        }
        let mut select = self.conn.prepare_cached("SELECT name FROM user WHERE id = ?1")?;
        let name: Option<Box<str>> = select.query_row([peer.0], |row| row.get(0)).optional()?;
        let Some(name) = name else { return Ok(Written::Denied(Denial::NotFound)) };
        let sql = "SELECT 1 FROM friend WHERE user_id = ?1 AND friend_id = ?2";
        if self.conn.prepare_cached(sql)?.exists((user.0, peer.0))? {
            return Ok(Written::Denied(Denial::Conflict));
        }
        if let Err(denial) = self.charge(batch, user, Charge::Friend)? {
            return Ok(Written::Denied(denial));
        }
        let sql =
            "INSERT OR IGNORE INTO friend (user_id, friend_id, has_added) VALUES (?1, ?2, 1), (?2, ?1, 0)";
        self.conn.prepare_cached(sql)?.execute((user.0, peer.0))?;
        Ok(Written::Contact(contact::Written::Friends { peer, name }))
    }
}

impl View<'_> {
    pub(super) fn read_contact(&self, read: &contact::Read) -> Result<Found, StoreError> {
        let found = match read {
            contact::Read::Friends { user, page } => {
                let (friends, more) = self.friends(*user, *page).at("friend", user)?;
                contact::Found::Friends { friends, more }
            }
            contact::Read::FriendIds { user } => {
                contact::Found::FriendIds(self.friend_ids(*user).at("friend", user)?)
            }
        };
        Ok(Found::Contact(found))
    }

    pub(super) fn friends(&self, user: UserId, page: Page) -> Result<Rows<Friend>, StoreError> {
        let sql = "SELECT u.id, u.name, max(u.last_seen_at, coalesce(u.last_login, 0)), f.remark, f.tag \
                   FROM friend f JOIN user u ON u.id = f.friend_id \
                   WHERE f.user_id = ?1 AND f.friend_id > ?2 ORDER BY f.friend_id LIMIT ?3";
        let row = |row: &Row<'_>| {
            let last_seen = Some(column::time(row, 2)?).filter(|at| at.0 > 0);
            let notes = Notes { remark: row.get(3)?, tag: row.get(4)? };
            Ok(Friend { user: UserId(row.get(0)?), name: row.get(1)?, last_seen, notes })
        };
        self.page("user", sql, user.0, page, row)
    }

    pub(super) fn friend_ids(&self, user: UserId) -> Result<Vec<UserId>, StoreError> {
        let sql = "SELECT friend_id FROM friend WHERE user_id = ?1 ORDER BY friend_id";
        let mut select = self.conn.prepare_cached(sql)?;
        let mut rows = select.query([user.0])?;
        Ok(undamaged("friend", &mut rows, |row| row.get(0).map(UserId))?.0)
    }
}
