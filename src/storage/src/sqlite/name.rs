//! Names of accounts: claiming them, and finding accounts by them.

use crate::error::StoreError;
use rusqlite::{Connection, OptionalExtension};
use wire::UserId;
use wire::name::{fold, key, skeletons};

/// Accounts whose names are claimed in one transaction.
const CLAIMED_AT_ONCE: usize = 1_000;

/// The account of this name: by its key, otherwise by its plain form where that belongs to exactly one account.
pub fn find(conn: &Connection, name: &str) -> rusqlite::Result<Option<UserId>> {
    let by_key = conn
        .prepare_cached("SELECT id FROM user WHERE name_key = ?1")?
        .query_row([key(name).as_bytes()], |row| row.get(0).map(UserId));
    match by_key.optional()? {
        Some(user) => Ok(Some(user)),
        None => Ok(match *with_fold(conn, &fold(name))? {
            [user] => Some(user),
            _ => None,
        }),
    }
}

/// At most two accounts whose names have this plain form.
fn with_fold(conn: &Connection, fold: &str) -> rusqlite::Result<Vec<UserId>> {
    let sql = "SELECT id FROM user WHERE name_key = ?1 \
               UNION SELECT user_id FROM name_fold WHERE fold = ?1 LIMIT 2";
    let mut select = conn.prepare_cached(sql)?;
    select.query_map([fold.as_bytes()], |row| row.get(0).map(UserId))?.collect()
}

/// Whether a new account may not have this name, as another one has it or looks like it.
pub fn is_taken(conn: &Connection, name: &str) -> rusqlite::Result<bool> {
    let by_key =
        conn.prepare_cached("SELECT 1 FROM user WHERE name_key = ?1")?.exists([key(name).as_bytes()])?;
    if by_key || !with_fold(conn, &fold(name))?.is_empty() {
        return Ok(true);
    }
    // ASCII names share skeletons among themselves.
    let sql = "SELECT 1 FROM name_claim WHERE skeleton = ?1 AND NOT (is_ascii AND ?2)";
    let mut select = conn.prepare_cached(sql)?;
    for skeleton in skeletons(name) {
        if select.exists((skeleton.as_bytes(), name.is_ascii()))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Claims the name of an account.
pub fn claim(conn: &Connection, user: UserId, name: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO name_claim (skeleton, user_id, is_ascii) VALUES (?1, ?2, ?3) \
               ON CONFLICT (skeleton) DO UPDATE SET is_ascii = min(is_ascii, excluded.is_ascii)";
    let mut insert = conn.prepare_cached(sql)?;
    for skeleton in skeletons(name) {
        insert.execute((skeleton.as_bytes(), user.0, name.is_ascii()))?;
    }
    let fold = fold(name);
    if fold != key(name) {
        let sql = "INSERT OR IGNORE INTO name_fold (fold, user_id) VALUES (?1, ?2)";
        conn.prepare_cached(sql)?.execute((fold.as_bytes(), user.0))?;
    }
    Ok(())
}

/// Claims the names of accounts that were created before names were claimed.
pub fn claim_existing(conn: &Connection) -> Result<(), StoreError> {
    loop {
        let sql = "SELECT id, name FROM user \
                   WHERE id > (SELECT user_id FROM name_claimed) AND id < 2147483648 ORDER BY id LIMIT ?1";
        // A damaged name claims nothing.
        let accounts: Vec<(u32, Option<String>)> = conn
            .prepare(sql)?
            .query_map([CLAIMED_AT_ONCE as u32], |row| Ok((row.get(0)?, row.get(1).ok())))?
            .collect::<rusqlite::Result<_>>()?;
        let Some((last, _)) = accounts.last() else { return Ok(()) };
        let transaction = conn.unchecked_transaction()?;
        for (user, name) in &accounts {
            if let Some(name) = name {
                claim(conn, UserId(*user), name)?;
            }
        }
        conn.execute("UPDATE name_claimed SET user_id = ?1", [last])?;
        transaction.commit()?;
    }
}
