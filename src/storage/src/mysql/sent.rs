//! Looking up messages by sender and `cid`: one table a day, of which today's and yesterday's are read.

use super::connection::Connection;
use super::failure::Failure;
use super::record::Record;
use super::sql::Sql;
use crate::calendar::{self, Day};
use crate::column::Sort;
use foldhash::HashMap;
use logic::contract::message::Stored;
use wire::{UnixMillis, UserId};

pub type Found = HashMap<(UserId, Box<[u8]>), Stored>;

/// The days whose tables are read at this time.
pub fn days(now: UnixMillis) -> [Day; 2] {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    [calendar::day_of(now), calendar::day_of(UnixMillis(now.0.saturating_sub(DAY_MS)))]
}

/// Adds the statement that looks these `cid`s up.
pub fn ask<'a>(sql: &mut Sql, days: [Day; 2], cids: impl Iterator<Item = (UserId, &'a str)>) {
    let mut cids: Vec<(UserId, &str)> = cids.collect();
    // Sorted, so that each sender is one range of the key.
    cids.sort_unstable();
    sql.list(" UNION ALL ", days, |sql, day| {
        sql.push(format_args!(
            "SELECT sender_id, cid, conversation_id, seq, created_at FROM sent_{day:08} WHERE "
        ));
        sql.list(" OR ", cids.chunk_by(|a, b| a.0 == b.0), |sql, of_one| {
            sql.push(format_args!("sender_id = {} AND cid IN (", of_one[0].0));
            sql.list(",", of_one, |sql, (_, cid)| {
                sql.bytes(cid.as_bytes());
            })
            .push(")");
        });
    });
    sql.end();
}

pub fn found(rows: &[Record]) -> Result<Found, Failure> {
    let read = |row: &Record| {
        let place = Stored { conversation: row.conversation(2)?, seq: row.seq(3)?, time: row.time(4)? };
        Ok(((row.user(0)?, Box::from(row.bytes(1)?)), place))
    };
    rows.iter().map(read).collect()
}

pub fn place(found: &Found, sender: UserId, cid: &str) -> Option<Stored> {
    if found.is_empty() {
        return None;
    }
    found.get(&(sender, Box::from(cid.as_bytes()))).copied()
}

/// Those of some places whose entry tells of a change.
pub fn changes_among(conn: &mut Connection, places: &[Stored]) -> Result<Vec<Stored>, Failure> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new();
    for Stored { conversation, seq, time } in places {
        sql.statement(format_args!(
            "SELECT status FROM message_{:06} WHERE conversation_id = {conversation} AND seq = {seq}",
            calendar::month_of(*time)
        ));
    }
    let mut changes = Vec::new();
    for (place, answer) in places.iter().zip(conn.ask(&sql)?) {
        if answer.rows.first().map(|row| row.sort(0)).transpose()? == Some(Sort::Change) {
            changes.push(*place);
        }
    }
    Ok(changes)
}
