//! The rows that tell a deployment from others: its ids and the keys of its bus.

use super::connection::Connection;
use super::failure::Failure;
use super::record::{Record, first};
use super::sql::Sql;
use crate::deployment::RandomId;
use crate::error::StoreError;
use crate::machine::Random;
use crate::peers::{BusKey, KEY_OVERLAP_MS};

/// The keys that a node needs, by id.
pub const KEYS: &str = "SELECT id, secret, since FROM bus_key ORDER BY id";

/// Makes the ids and the first key, unless they are there. To be called under the lock of the schema.
pub fn make_once(conn: &mut Connection, random: &mut Random) -> Result<(), Failure> {
    let (server, history, secret) = (fresh::<16>(random), fresh::<16>(random), fresh::<32>(random));
    let mut sql = Sql::new();
    sql.push("INSERT IGNORE INTO deployment (one, server, history) VALUES (1, ")
        .bytes(&server)
        .push(", ")
        .bytes(&history)
        .push(")")
        .end()
        .push("INSERT INTO bus_key (id, secret, since) SELECT 1, ")
        .bytes(&secret)
        .push(", 0 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM bus_key)")
        .end();
    conn.ask(&sql).map(drop)
}

/// The server's id and that of its history.
pub fn ids(conn: &mut Connection) -> Result<(RandomId, RandomId), Failure> {
    let mut sql = Sql::new();
    sql.statement("SELECT server, history FROM deployment");
    let rows = conn.rows(&sql)?;
    let row = first(&rows)?;
    Ok((id_of(row, 0)?, id_of(row, 1)?))
}

/// Begins a new history.
pub fn renew_history(conn: &mut Connection, random: &mut Random) -> Result<(), Failure> {
    let history = fresh::<16>(random);
    let mut sql = Sql::new();
    sql.push("UPDATE deployment SET history = ").bytes(&history).end();
    conn.ask(&sql).map(drop)
}

/// Adds a key, which nodes use from [`KEY_OVERLAP_MS`] from now on, and removes all but its predecessor. Returns the
/// new key's id. Refused while the last rotation is in progress.
pub fn rotate_key(conn: &mut Connection, random: &mut Random) -> Result<u32, StoreError> {
    let now = conn.now()?;
    let mut sql = conn.begin();
    sql.statement("SELECT id, secret, since FROM bus_key ORDER BY id FOR UPDATE");
    let keys = keys(&conn.rows(&sql)?)?;
    let (last, ends) = keys.last().map_or((0, 0), |key| (key.id, key.since.0 + KEY_OVERLAP_MS));
    let mut sql = Sql::new();
    if keys.last().is_some_and(|key| key.since.0 > 0) && ends > now.0 {
        conn.roll_back()?;
        return Err(StoreError::Unsuitable(format!(
            "the key was replaced less than {} s ago: wait {} s",
            2 * KEY_OVERLAP_MS / 1_000,
            (ends - now.0).div_ceil(1_000)
        )));
    }
    sql.push(format_args!("INSERT INTO bus_key (id, secret, since) VALUES ({}, ", last + 1))
        .bytes(&fresh::<32>(random))
        .push(format_args!(", {})", now.0 + KEY_OVERLAP_MS))
        .end()
        .statement(format_args!("DELETE FROM bus_key WHERE id < {last}"))
        .statement("COMMIT");
    conn.ask(&sql)?;
    Ok(last + 1)
}

pub fn keys(rows: &[Record]) -> Result<Vec<BusKey>, Failure> {
    let key = |row: &Record| {
        let secret = row.bytes(1)?.try_into();
        let secret = secret.map_err(|_| Failure::refused("a row of `bus_key` has no secret of 32 bytes"))?;
        Ok(BusKey { id: row.number(0)? as u32, secret, since: row.time(2)? })
    };
    rows.iter().map(key).collect()
}

pub fn id_of(row: &Record, column: usize) -> Result<RandomId, Failure> {
    let id = row.bytes(column)?.try_into();
    id.map(RandomId).map_err(|_| Failure::refused("the row of `deployment` has no ids of 16 bytes"))
}

fn fresh<const N: usize>(random: &mut Random) -> [u8; N] {
    let mut bytes = [0; N];
    random(&mut bytes);
    bytes
}
