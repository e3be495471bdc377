//! Friends.

use super::account::is_user;
use super::connection::{Connection, rows_of};
use super::failure::Failure;
use super::record::{Record, page_of, undamaged};
use super::sql::Sql;
use super::usage::{add_charge, ask_usage, refund_friend, usage};
use crate::account_usage::Charge;
use crate::page::Rows;
use logic::contract::contact::{Found, Friend, Read, Write};
use logic::contract::{Denial, Written, contact};
use wire::account::Who;
use wire::{Page, UnixMillis, UserId};

pub fn write(conn: &mut Connection, now: UnixMillis, write: &Write) -> Result<Written, Failure> {
    match write {
        Write::Add { user, who } => add_friend(conn, now, *user, who),
        Write::Remove { user, friend } => remove_friend(conn, *user, *friend),
        Write::Set { user, friend, remark, tag } => set_friend(conn, *user, *friend, remark, tag),
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
        "INSERT IGNORE INTO friend (user_id, friend_id, has_added) \
         VALUES ({low}, {high}, {}), ({high}, {low}, {})",
        u8::from(low == user),
        u8::from(high == user),
    ));
    if conn.ask(&sql)?[0].changed == 0 {
        return Ok(Written::Denied(Denial::Conflict));
    }
    let mut sql = Sql::new();
    add_charge(&mut sql, user, Charge::Friend, now);
    conn.ask(&sql)?;
    Ok(Written::Contact(contact::Written::Friends { peer, name }))
}

fn remove_friend(conn: &mut Connection, user: UserId, friend: UserId) -> Result<Written, Failure> {
    let (low, high) = (user.min(friend), user.max(friend));
    let both = format!("(user_id, friend_id) IN (({low}, {high}), ({high}, {low}))");
    let mut sql = Sql::new();
    sql.statement(format_args!("SELECT user_id FROM friend WHERE {both} AND has_added = 1 FOR UPDATE"))
        .statement(format_args!("DELETE FROM friend WHERE {both}"));
    let answers = conn.ask(&sql)?;
    if answers[1].changed == 0 {
        return Ok(Written::Denied(Denial::NotFound));
    }
    let mut sql = Sql::new();
    for adder in ids(&answers[0].rows)? {
        refund_friend(&mut sql, adder);
    }
    conn.ask(&sql)?;
    Ok(Written::Done)
}

fn set_friend(
    conn: &mut Connection,
    user: UserId,
    friend: UserId,
    remark: &Option<Box<str>>,
    tag: &Option<Box<str>>,
) -> Result<Written, Failure> {
    let is_this = format!(" WHERE user_id = {user} AND friend_id = {friend}");
    let mut sql = Sql::new();
    // A row that has these already is not counted as changed.
    sql.statement(format_args!("SELECT 1 FROM friend{is_this} FOR UPDATE"));
    sql.push("UPDATE friend SET user_id = user_id");
    for (column, text) in [("remark", remark), ("tag", tag)] {
        if let Some(text) = text {
            let text = Some(&**text).filter(|text| !text.is_empty());
            sql.push(format_args!(", {column} = ")).maybe_text(text);
        }
    }
    sql.push(is_this).end();
    match conn.ask(&sql)?[0].rows.is_empty() {
        true => Ok(Written::Denied(Denial::NotFound)),
        false => Ok(Written::Done),
    }
}

pub fn ask_friends(sql: &mut Sql, user: UserId, page: Page) {
    sql.statement(format_args!(
        "SELECT u.id, u.name, GREATEST(u.last_seen_at, COALESCE(u.last_login, 0)), f.remark, f.tag FROM friend f FORCE INDEX (PRIMARY) STRAIGHT_JOIN user u ON u.id = f.friend_id \
         WHERE f.user_id = {user} AND f.friend_id > {} ORDER BY f.friend_id LIMIT {}",
        page.after,
        page.limit + 1
    ));
}

pub fn friends(rows: &[Record], page: Page) -> Result<Rows<Friend>, Failure> {
    page_of(rows, page.limit as usize, |row| {
        let last_seen = Some(row.time(2)?).filter(|at| at.0 > 0);
        Ok(Friend { user: row.user(0)?, name: row.text(1)?.into(), last_seen, notes: row.notes(3)? })
    })
}

pub fn ask_friend_ids(sql: &mut Sql, user: UserId) {
    sql.statement(format_args!("SELECT friend_id FROM friend WHERE user_id = {user} ORDER BY friend_id"));
}

pub fn ids(rows: &[Record]) -> Result<Vec<UserId>, Failure> {
    undamaged(rows, |row| row.user(0))
}
