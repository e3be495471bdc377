//! The table `listing`: the conversations of each member by their latest activity (see [`crate::listing`]).

use crate::listing::Listed;
use rusqlite::{Connection, Row};
use wire::{ConversationId, UnixMillis, UserId};

/// Lists a conversation for a new member.
pub fn list(conn: &Connection, conversation: ConversationId, user: UserId) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO listing (user_id, slack, listed_until, conversation_id) \
               SELECT ?2, slack, listed_until, id FROM conversation WHERE id = ?1";
    conn.prepare_cached(sql)?.execute((conversation.0, user.0))?;
    Ok(())
}

/// Moves the rows of all members for a message of this time; returns how many rows it wrote.
pub fn relist(
    conn: &Connection,
    conversation: ConversationId,
    from: Listed,
    time: UnixMillis,
) -> rusqlite::Result<usize> {
    let sql = "SELECT count(*) FROM member WHERE conversation_id = ?1 AND device = 0";
    let members: i64 = conn.prepare_cached(sql)?.query_row([conversation.0], |row| row.get(0))?;
    let to = Listed::after(time, members as usize);
    let (slack, until) = (to.slack as i64, to.until.0 as i64);
    let sql = "UPDATE listing SET slack = ?1, listed_until = ?2 WHERE user_id IN \
               (SELECT user_id FROM member WHERE conversation_id = ?5 AND device = 0) \
               AND slack = ?3 AND listed_until = ?4 AND conversation_id = ?5";
    let values = (slack, until, from.slack as i64, from.until.0 as i64, conversation.0);
    let moved = conn.prepare_cached(sql)?.execute(values)?;
    let sql = "UPDATE conversation SET slack = ?2, listed_until = ?3 WHERE id = ?1";
    conn.prepare_cached(sql)?.execute((conversation.0, slack, until))?;
    Ok(moved)
}

/// The columns `slack` and `listed_until`, which begin at `column`.
pub fn listed_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Listed> {
    let (slack, until): (i64, i64) = (row.get(column)?, row.get(column + 1)?);
    Ok(Listed { slack: slack as u64, until: UnixMillis(until as u64) })
}
