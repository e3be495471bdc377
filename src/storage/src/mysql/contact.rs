//! Friends.

use super::account::is_user;
use super::connection::{Connection, rows_of};
use super::failure::Failure;
use super::record::{Record, page_of, undamaged};
use super::sql::Sql;
use super::usage::{add_charge, ask_usage, usage};
use crate::account_usage::Charge;
use crate::page::Rows;
use logic::contract::contact::{Found, Friend, Read, Write};
use logic::contract::{Denial, Written, contact};
use wire::account::Who;
use wire::{Page, UnixMillis, UserId};

pub fn write(conn: &mut Connection, now: UnixMillis, write: &Write) -> Result<Written, Failure> {
    match write {
        Write::Add { user, who } => add_friend(conn, now, *user, who),
    }
}

pub fn read(conn: &mut Connection, read: &Read) -> Result<Found, Failure> {
    Ok(match read {
        Read::Friends { user, page } => {
            let rows = rows_of(conn, |sql| ask_friends(sql, *user, *page))?;
            let (friends, more) = friends(&rows, *page)?;
            Found::Friends { friends, more }
        }
        Read::FriendIds { user } => Found::FriendIds(ids(&rows_of(conn, |sql| ask_friend_ids(sql, *user))?)?),
    })
}

fn add_friend(conn: &mut Connection, now: UnixMillis, user: UserId, who: &Who) -> Result<Written, Failure> {
    let mut sql = Sql::new();
    sql.push("SELECT id, name FROM user WHERE ").push(is_user(who)).end();
    let rows = conn.rows(&sql)?;
    let Some(row) = rows.first() else { return Ok(Written::Denied(Denial::NotFound)) };
    let (peer, name) = (row.user(0)?, Box::from(row.text(1)?));
    if peer == user {
        return Ok(Written::Denied(Denial::Oneself));
    }
    let mut sql = Sql::new();
    sql.statement(format_args!("SELECT 1 FROM friend WHERE user_id = {user} AND friend_id = {peer}"));
    ask_usage(&mut sql, user);
    let answers = conn.ask(&sql)?;
    let [friends, used] = &answers[..] else { unreachable!("one answer for each statement") };
    if !friends.rows.is_empty() {
        return Ok(Written::Denied(Denial::Conflict));
    }
    if let Err(quota) = usage(used.rows.first())?.charge(Charge::Friend, &conn.quotas, now) {
        return Ok(Written::Denied(Denial::Quota(quota)));
    }
    let (low, high) = (user.min(peer), user.max(peer));
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "INSERT IGNORE INTO friend (user_id, friend_id) VALUES ({low}, {high}), ({high}, {low})"
    ));
    if conn.ask(&sql)?[0].changed == 0 {
        return Ok(Written::Denied(Denial::Conflict));
    }
    let mut sql = Sql::new();
    add_charge(&mut sql, user, Charge::Friend, now);
    conn.ask(&sql)?;
    Ok(Written::Contact(contact::Written::Friends { peer, name }))
}

pub fn ask_friends(sql: &mut Sql, user: UserId, page: Page) {
    sql.statement(format_args!(
        "SELECT u.id, u.name, GREATEST(u.last_seen_at, COALESCE(u.last_login, 0)) FROM friend f FORCE INDEX (PRIMARY) STRAIGHT_JOIN user u ON u.id = f.friend_id \
         WHERE f.user_id = {user} AND f.friend_id > {} ORDER BY f.friend_id LIMIT {}",
        page.after,
        page.limit + 1
    ));
}

pub fn friends(rows: &[Record], page: Page) -> Result<Rows<Friend>, Failure> {
    page_of(rows, page.limit as usize, |row| {
        let last_seen = Some(row.time(2)?).filter(|at| at.0 > 0);
        Ok(Friend { user: row.user(0)?, name: row.text(1)?.into(), last_seen })
    })
}

pub fn ask_friend_ids(sql: &mut Sql, user: UserId) {
    sql.statement(format_args!("SELECT friend_id FROM friend WHERE user_id = {user} ORDER BY friend_id"));
}

pub fn ids(rows: &[Record]) -> Result<Vec<UserId>, Failure> {
    undamaged(rows, |row| row.user(0))
}
